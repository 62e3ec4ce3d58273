/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_faults.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/conf_value.h"
#include "runtime/base/err.h"
#include "transport/faulty.h"

static const char variable[] = "SE_FAULTS", to[] = "..";

struct faults {
    uint64_t seed, delay_min_ns, delay_max_ns;
    double drop, twice, late;
};

#define AT(member) offsetof(struct faults, member)

static const struct se_conf_row rows[] = {
    { "seed", 0, SE_CONF_UINT, AT(seed), NULL, 0, 18446744073709549568.0, "N", NULL },
    { "drop", 0, SE_CONF_REAL, AT(drop), NULL, 0, 1, "SHARE", NULL },
    { "twice", 0, SE_CONF_REAL, AT(twice), NULL, 0, 1, "SHARE", NULL },
    { "late", 0, SE_CONF_REAL, AT(late), NULL, 0, 1, "SHARE", NULL },
    { "delay", 0, SE_CONF_TIME, AT(delay_min_ns), NULL, 0, 6e10, "TIME", NULL },
};
static const struct se_conf_row delay_max = {
    "delay", 0, SE_CONF_TIME, AT(delay_max_ns), NULL, 0, 6e10, "TIME", NULL,
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

static uint64_t now_ns(void *clock)
{
    (void)clock;
    return se_clock_ns();
}

/* "1ms..3ms", or one time that is both. */
static int set_delay(struct faults *faults, const struct se_conf_row *row, char *value,
                     const char *where)
{
    char *last = strstr(value, to);
    if (last) {
        *last = 0;
        last += sizeof to - 1;
    }
    int r = se_conf_value_set(row, faults, value, where);
    if (r == 0)
        r = se_conf_value_set(&delay_max, faults, last ? last : value, where);
    if (r == 0 && faults->delay_max_ns < faults->delay_min_ns)
        r = se_fail(-EINVAL, "%s: %s is less than %s", where, last, value);
    return r;
}

static int set(struct faults *faults, char *name)
{
    char where[64], *value = strchr(name, '=');
    if (!value)
        return se_fail(-EINVAL, "%s: '%s' is not NAME=VALUE", variable, name);
    *value++ = 0;
    const struct se_conf_row *row = se_conf_row_named(rows, N_ROWS, name, strlen(name));
    if (!row)
        return se_fail(-EINVAL, "%s: there is no '%s'", variable, name);
    snprintf(where, sizeof where, "%s: %s", variable, row->name);
    if (row->type == SE_CONF_TIME)
        return set_delay(faults, row, value, where);
    return se_conf_value_set(row, faults, value, where);
}

static int read_faults(struct faults *faults, const char *text)
{
    char *copy = strdup(text), *rest = copy, *item;
    int r = copy ? 0 : se_fail(-ENOMEM, "no memory for %s", variable);
    while (r == 0 && (item = strsep(&rest, ",")) != NULL)
        if (*item)
            r = set(faults, item);
    free(copy);
    return r;
}

int se_run_faults_wrap(struct se_link **link, struct se_frames *frames)
{
    const char *text = getenv(variable);
    struct faults faults = { .seed = 0 };
    if (!text || !*text)
        return 0;
    int r = read_faults(&faults, text);
    if (r < 0)
        return se_trace(r);
    const struct se_faulty_options options = { .seed = faults.seed,
                                               .now_ns = now_ns,
                                               .frames = frames,
                                               .delay_min_ns = faults.delay_min_ns,
                                               .delay_max_ns = faults.delay_max_ns,
                                               .drop = faults.drop,
                                               .twice = faults.twice,
                                               .late = faults.late };
    return se_trace(se_faulty_wrap(link, *link, &options));
}
