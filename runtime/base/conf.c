/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/conf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/conf_value.h"
#include "runtime/base/err.h"
#include "runtime/base/quote.h"

enum { WHERE_B = 80 };

/* value NULL: only for a flag. */
static int set(const struct se_conf_row *row, void *values, const char *value)
{
    char where[WHERE_B];
    snprintf(where, sizeof where, "--%s", row->name);
    return se_conf_value_set(row, values, value, where);
}

int se_conf_defaults(const struct se_conf_row *rows, size_t n, void *values)
{
    for (size_t i = 0; i < n; i++) {
        se_conf_value_zero(&rows[i], values);
        int r = rows[i].initial ? set(&rows[i], values, rows[i].initial) : 0;
        if (r < 0)
            return se_trace(r);
    }
    return 0;
}

static const struct se_conf_row *by_letter(const struct se_conf_row *rows, size_t n, char letter)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

/* An option as it stands on the command line. */
struct given {
    const struct se_conf_row *row;
    const char *value; /* behind "=" or the letter; NULL: none there */
};

/* A word that names no option: which one is meant, or else which ones there are, is the first
 * thing to know. */
static int refuse_option(const struct se_conf_row *rows, size_t n, const char *word, size_t len)
{
    char known[640], quoted[SE_QUOTE_B];
    size_t at = 0, dashes = strspn(word, "-");
    const struct se_conf_row *meant =
        dashes == 2 ? se_conf_row_near(rows, n, word + dashes, len - dashes) : NULL;
    se_quote(word, len, quoted);
    if (meant)
        return se_fail(-EINVAL, "'%s': no such option; did you mean --%s? (--help lists all)",
                       quoted, meant->name);
    known[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (rows[i].flags & SE_CONF_HIDDEN)
            continue;
        if (at + strlen(rows[i].name) + sizeof " -- ..." > sizeof known) {
            snprintf(known + at, sizeof known - at, " ...");
            break;
        }
        at += (size_t)snprintf(known + at, sizeof known - at, " --%s", rows[i].name);
    }
    return se_fail(-EINVAL, "'%s': no such option; there are%s --help", quoted, known);
}

/* Reads "--name", "--name=value", "-x" or "-xvalue". */
static int find(const struct se_conf_row *rows, size_t n, const char *word, struct given *given)
{
    if (word[1] == '-') {
        const char *name = word + 2;
        size_t len = strcspn(name, "=");
        given->row = se_conf_row_named(rows, n, name, len);
        given->value = name[len] ? name + len + 1 : NULL;
        if (!given->row && len == 4 && !memcmp(name, "help", len) && !given->value)
            return SE_CONF_HELP;
        if (!given->row)
            return refuse_option(rows, n, word, len + 2);
        return 0;
    }
    given->row = by_letter(rows, n, word[1]);
    given->value = word[2] ? word + 2 : NULL;
    if (!given->row && !strcmp(word, "-h"))
        return SE_CONF_HELP;
    if (!given->row)
        return refuse_option(rows, n, word, strlen(word));
    if (given->row->type == SE_CONF_FLAG && given->value)
        return se_fail(-EINVAL, "'%.200s': --%s takes no value", word, given->row->name);
    return 0;
}

int se_conf_args(const struct se_conf_row *rows, size_t n, void *values, int argc, char **argv,
                 char **rest, int *n_rest)
{
    bool options = true;
    *n_rest = 0;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        struct given given = { 0 };
        if (!options || word[0] != '-' || word[1] == '\0') { /* "-" alone is a file's name */
            rest[(*n_rest)++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            options = false;
            continue;
        }
        int r = find(rows, n, word, &given);
        if (r == SE_CONF_HELP)
            return SE_CONF_HELP;
        if (r < 0)
            return se_trace(r);
        if (!given.value && given.row->type != SE_CONF_FLAG) {
            if (i + 1 >= argc)
                return se_fail(-EINVAL, "--%s: its value is missing", given.row->name);
            given.value = argv[++i];
        }
        r = set(given.row, values, given.value);
        if (r < 0)
            return se_trace(r);
    }
    return 0;
}

size_t se_conf_frozen(const struct se_conf_row *rows, size_t n, const void *running,
                      const void *fresh, const struct se_conf_row **changed)
{
    size_t n_changed = 0;
    for (size_t i = 0; i < n; i++)
        if (!(rows[i].flags & SE_CONF_LIVE) && !se_conf_value_same(&rows[i], running, fresh))
            changed[n_changed++] = &rows[i];
    return n_changed;
}
