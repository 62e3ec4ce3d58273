/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/figures.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/conf_value.h"
#include "runtime/base/mem.h"
#include "tools/outcome.h"

enum { LIMITS_MAX = 8, LIMIT_B = 128, RATIO = -1 };

struct limit {
    char text[LIMIT_B]; /* as it was given */
    size_t figure;      /* SIZE_MAX: all that lead */
    double share;       /* of the samples; RATIO: medians, this run's over the earlier one's */
    double most;        /* in the figures' unit */
};

struct se_figures_past {
    bool json;   /* is wanted */
    json_t *run; /* NULL: there is none */
    struct limit limit[LIMITS_MAX];
    size_t n_limits;
};

/* ---- the earlier run */

static int read_past(struct se_figures_past *past, const char *path)
{
    json_error_t error;
    FILE *file = fopen(path, "re");
    if (!file)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    past->run = json_loadf(file, 0, &error);
    fclose(file);
    if (!past->run)
        return se_fail(-EINVAL, "%s:%d: not what --json prints: %s", path, error.line, error.text);
    return 0;
}

/* NaN: it has no such figure. */
static double past_median(const struct se_figures *figures, const char *key)
{
    char name[LIMIT_B];
    json_t *at = figures->past->run;
    snprintf(name, sizeof name, "%s%s", key, figures->suffix);
    char *rest = name, *dot;
    for (; (dot = strchr(rest, '.')) != NULL; rest = dot + 1) {
        *dot = '\0';
        at = json_object_get(at, rest);
    }
    at = json_object_get(json_object_get(at, rest), "p50");
    return json_is_number(at) ? json_number_value(at) : NAN;
}

static double ratio(const struct se_figures *figures, size_t number)
{
    const struct se_figure *figure = &figures->figure[number];
    return se_hist_at(figure->hist, 0.5) / past_median(figures, figure->key);
}

static int check_past(const struct se_figures *figures, const char *path)
{
    for (size_t i = 0; i < figures->n; i++)
        if (!isnan(past_median(figures, figures->figure[i].key)))
            return 0;
    return se_fail(-EINVAL, "%s: has none of this verb's figures", path);
}

/* ---- limits */

static int find_figure(const struct se_figures *figures, const char *key, size_t len,
                       size_t *number)
{
    for (*number = 0; *number < figures->n; (*number)++) {
        const char *name = figures->figure[*number].key;
        if (strlen(name) == len && strncmp(name, key, len) == 0)
            return 0;
    }
    char known[512] = "";
    for (size_t i = 0; i < figures->n; i++) {
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", figures->figure[i].key);
    }
    return se_usage("fail-if: no figure '%.*s': there are %s", (int)len, key, known);
}

static int read_most(const struct se_figures *figures, struct limit *limit, const char *text)
{
    static const struct se_conf_row time = { .name = "fail-if", .type = SE_CONF_TIME, .max = 1e15 };
    static const struct se_conf_row number = { .name = "fail-if",
                                               .type = SE_CONF_REAL,
                                               .max = 1e9 };
    uint64_t ns = 0;
    if (limit->share == RATIO)
        return se_conf_value_set(&number, &limit->most, text, "fail-if");
    const int r = se_conf_value_set(&time, &ns, text, "fail-if");
    limit->most = (double)ns / figures->unit_ns;
    return r;
}

/* "KEY:p99>20us", without the key: of the figures that lead. */
static int read_limit(const struct se_figures *figures, struct limit *limit)
{
    static const struct {
        const char *word;
        double share;
    } kinds[] = { { "p50", 0.5 },     { "p95", 0.95 }, { "p99", 0.99 },   { "p999", 0.999 },
                  { "p99.9", 0.999 }, { "max", 1 },    { "ratio", RATIO } };
    const char *word = limit->text, *colon = strchr(word, ':'), *above = strchr(word, '>');
    int r = 0;
    limit->figure = SIZE_MAX;
    limit->share = 0;
    if (colon && above && colon < above) {
        r = find_figure(figures, word, (size_t)(colon - word), &limit->figure);
        word = colon + 1;
    }
    for (size_t i = 0; above && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strlen(kinds[i].word) == (size_t)(above - word) &&
            strncmp(kinds[i].word, word, (size_t)(above - word)) == 0)
            limit->share = kinds[i].share;
    if (r == 0 && limit->share == 0)
        r = se_usage("fail-if: '%s' is not like p99>20us, with p50, p95, p99, p999, max or ratio",
                     limit->text);
    if (r == 0 && limit->share == RATIO && !figures->past->run)
        r = se_usage("fail-if: '%s' needs an earlier run, --compare FILE", limit->text);
    if (r == 0)
        r = read_most(figures, limit, above + 1) < 0 ? SE_OUTCOME_USAGE : 0;
    return r;
}

static int read_limits(struct se_figures *figures, const char *text)
{
    struct se_figures_past *past = figures->past;
    for (const char *at = text; *at != '\0';) {
        const size_t len = strcspn(at, ",");
        if (past->n_limits == LIMITS_MAX || len >= LIMIT_B)
            return se_usage("fail-if: at most %d limits, and short ones", LIMITS_MAX);
        struct limit *limit = &past->limit[past->n_limits++];
        snprintf(limit->text, sizeof limit->text, "%.*s", (int)len, at);
        const int r = read_limit(figures, limit);
        if (r != 0)
            return r;
        at += len + (at[len] == ',');
    }
    return 0;
}

void se_figures_take(struct se_figures *figures, const struct se_figure *row, struct se_hist *hist)
{
    for (size_t i = 0; i < figures->n; i++) {
        figures->figure[i] = row[i];
        figures->figure[i].hist = &hist[i];
    }
}

int se_figures_open(struct se_figures *figures, const struct se_figures_options *options)
{
    int r = 0;
    figures->past = se_mem_zero(1, sizeof *figures->past);
    if (!figures->past)
        return se_trace(-ENOMEM);
    figures->past->json = options->json;
    if (options->compare)
        r = read_past(figures->past, options->compare);
    if (r == 0 && options->compare)
        r = check_past(figures, options->compare);
    if (r == 0 && options->fail_if)
        r = read_limits(figures, options->fail_if);
    return r;
}

/* ---- what it says */

void se_figures_table(const struct se_figures *figures, const char *title, size_t from, size_t end)
{
    const int digits = figures->digits < 2 ? figures->digits : 2;
    printf("\n%-40s %8s %9s %9s %9s %10s   %s%s\n", title, "samples", "p50", "p99", "p99.9", "max",
           figures->unit, figures->past->run ? "; x: median over the earlier one" : "");
    for (size_t i = from; i < end; i++) {
        struct se_hist *hist = figures->figure[i].hist;
        if (hist->n == 0)
            continue;
        printf("  %-38s %8zu %9.*f %9.*f %9.*f %10.*f", figures->figure[i].text, hist->n, digits,
               se_hist_at(hist, 0.5), digits, se_hist_at(hist, 0.99), digits,
               se_hist_at(hist, 0.999), digits, se_hist_at(hist, 1));
        const double over = figures->past->run ? ratio(figures, i) : NAN;
        if (!isnan(over))
            printf("   x %.3f", over);
        printf("\n");
    }
}

void se_figures_json_one(const struct se_figures *figures, size_t number)
{
    struct se_hist *hist = figures->figure[number].hist;
    const int digits = figures->digits;
    if (hist->n == 0) {
        printf("{\"n\": 0}");
        return;
    }
    printf(
        "{\"n\": %zu, \"p50\": %.*f, \"p95\": %.*f, \"p99\": %.*f, \"p999\": %.*f, \"max\": %.*f}",
        hist->n, digits, se_hist_at(hist, 0.5), digits, se_hist_at(hist, 0.95), digits,
        se_hist_at(hist, 0.99), digits, se_hist_at(hist, 0.999), digits, se_hist_at(hist, 1));
}

void se_figures_json_end(const struct se_figures *figures)
{
    const char *before = ",\n  \"ratio\": {";
    for (size_t i = 0; i < figures->n && figures->past->run; i++) {
        const double over = ratio(figures, i);
        if (!isfinite(over))
            continue;
        printf("%s\"%s\": %.4f", before, figures->figure[i].key, over);
        before = ", ";
    }
    printf("%s}\n", *before == ',' && before[1] == ' ' ? "}" : "");
}

void se_figures_json(const struct se_figures *figures)
{
    for (size_t i = 0; i < figures->n; i++) {
        printf(",\n  \"%s%s\": ", figures->figure[i].key, figures->suffix);
        se_figures_json_one(figures, i);
    }
    se_figures_json_end(figures);
}

static int judge(const struct se_figures *figures, const struct limit *limit, size_t number)
{
    const struct se_figure *figure = &figures->figure[number];
    const bool of_medians = limit->share == RATIO;
    const double value =
        of_medians ? ratio(figures, number) : se_hist_at(figure->hist, limit->share);
    const char *unit = of_medians ? "x the earlier median" : figures->unit;
    if (value <= limit->most)
        return 0;
    if (isnan(value))
        return se_fail(-ERANGE, "%s cannot be told of %s: there is nothing to judge", limit->text,
                       figure->key);
    return se_fail(-ERANGE, "above the limit %s: %s is %.*f %s", limit->text, figure->key,
                   of_medians ? 3 : figures->digits, value, unit);
}

static int judge_all(const struct se_figures *figures)
{
    const struct se_figures_past *past = figures->past;
    for (size_t l = 0; l < past->n_limits; l++)
        for (size_t i = 0; i < figures->n; i++) {
            const struct limit *limit = &past->limit[l];
            if (limit->figure != i && !(limit->figure == SIZE_MAX && figures->figure[i].leads))
                continue;
            const int r = judge(figures, limit, i);
            if (r < 0)
                return r;
        }
    return 0;
}

int se_figures_end(struct se_figures *figures, int r, void (*text)(void *of),
                   void (*json)(void *of), void *of)
{
    if (r == 0) {
        (figures->past->json ? json : text)(of);
        r = judge_all(figures);
    }
    if (figures->past)
        json_decref(figures->past->run);
    se_mem_free(figures->past);
    figures->past = NULL;
    for (size_t i = 0; i < figures->n; i++)
        se_hist_fini(figures->figure[i].hist);
    return r;
}
