/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/page.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "runtime/base/err.h"

int se_page_open(struct se_page *page, const char *dir, const char *name, const char *title)
{
    const int n = snprintf(page->path, sizeof page->path, "%s/%s", dir, name);
    page->file = NULL;
    if (n < 0 || (size_t)n >= sizeof page->path)
        return se_fail(-ENAMETOOLONG, "%s: too long a name", dir);
    page->file = fopen(page->path, "we");
    if (!page->file)
        return se_fail(-errno, "%s: %s", page->path, strerror(errno));
    se_page_say(page, "# %s\n\n", title);
    return 0;
}

int se_page_close(struct se_page *page)
{
    if (!page->file)
        return 0;
    const bool bad = ferror(page->file) != 0;
    const int r = fclose(page->file);
    page->file = NULL;
    return r != 0 || bad ? se_fail(-EIO, "%s: cannot be written", page->path) : 0;
}

void se_page_say(struct se_page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(page->file, format, arguments);
    va_end(arguments);
}

double se_page_number(const json_t *run, const char *key)
{
    char name[128];
    const json_t *at = run;
    snprintf(name, sizeof name, "%s", key);
    char *rest = name, *dot;
    for (; (dot = strchr(rest, '.')) != NULL; rest = dot + 1) {
        *dot = '\0';
        at = json_object_get(at, rest);
    }
    at = json_object_get(at, rest);
    return json_is_number(at) ? json_number_value(at) : NAN;
}

/* Four digits, whatever their size. */
static void say_number(struct se_page *page, double value)
{
    const double size = fabs(value);
    if (isnan(value))
        se_page_say(page, " - |");
    else
        se_page_say(page, " %.*f |",
                    size >= 100 || size == 0 ? 0
                    : size >= 10             ? 1
                    : size >= 1              ? 2
                                             : 3,
                    value);
}

/* ---- figures */

static void say_row(struct se_page *page, const char *key, const json_t *figure, const char *suffix)
{
    static const char *const shares[] = { "p50", "p95", "p99", "p999", "max" };
    const size_t len = strlen(key), tail = strlen(suffix);
    const bool ends = len >= tail && strcmp(key + len - tail, suffix) == 0;
    se_page_say(page, "| `%.*s` | %.0f |", (int)(ends ? len - tail : len), key,
                se_page_number(figure, "n"));
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        say_number(page, se_page_number(figure, shares[i]));
    se_page_say(page, "\n");
}

void se_page_figures(struct se_page *page, const json_t *run, const char *suffix, const char *unit)
{
    const char *key, *between = "";
    json_t *value, *all = (json_t *)(uintptr_t)run; /* the macro wants to write, and does not */
    se_page_say(page, "| %s | samples | p50 | p95 | p99 | p99.9 | max |\n", unit);
    se_page_say(page, "|---|--:|--:|--:|--:|--:|--:|\n");
    json_object_foreach(all, key, value) {
        if (se_page_number(value, "n") > 0)
            say_row(page, key, value, suffix);
    }
    se_page_say(page, "\n");
    json_object_foreach(all, key, value) {
        if (!json_is_number(value))
            continue;
        se_page_say(page, "%s`%s` %.6g", between, key, json_number_value(value));
        between = ", ";
    }
    se_page_say(page, "%s", *between ? "\n\n" : "");
}

/* ---- stages */

static bool is_none(const char *bound) { return !bound || strcmp(bound, "none") == 0; }

static void say_capacity(struct se_page *page, const json_t *run)
{
    const char *bound = json_string_value(json_object_get(run, "bound"));
    se_page_say(page, "\nCapacity: **%s%.0f edges**, with p95 of a %s within %.4g ms; %s%s.\n\n",
                is_none(bound) ? "at least " : "", se_page_number(run, "capacity"),
                json_string_value(json_object_get(run, "of")), se_page_number(run, "limit_ms"),
                is_none(bound) ? "nothing limits it so far" : "what limits it: ",
                is_none(bound) ? "" : bound);
}

void se_page_stages(struct se_page *page, const json_t *run)
{
    static const char *const columns[] = { "tokens_per_s",    "rounds_per_s", "round_ms.p50",
                                           "round_ms.p95",    "token_ms.p50", "token_ms.p95",
                                           "rounds_per_step", "rows_per_step" };
    size_t i;
    json_t *stage;
    se_page_say(page, "| edges | tokens/s | rounds/s | round p50, ms | p95 | token p50, ms | p95 | "
                      "rounds of a step | rows | engine busy, %% | beyond the limit |\n"
                      "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n");
    json_array_foreach(json_object_get(run, "stages"), i, stage) {
        const char *bound = json_string_value(json_object_get(stage, "bound"));
        se_page_say(page, "| %.0f |", se_page_number(stage, "edges"));
        for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++)
            say_number(page, se_page_number(stage, columns[k]));
        say_number(page, 100 * se_page_number(stage, "engine_share"));
        se_page_say(page, " %s |\n", is_none(bound) ? "" : bound);
    }
    say_capacity(page, run);
}
