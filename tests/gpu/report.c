/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gpu/report.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"

enum { ROWS_MAX = 96, WHAT_B = 48, VALUE_B = 400, GOAL_B = 40 };

struct row {
    char what[WHAT_B], value[VALUE_B], goal[GOAL_B];
    const char *judgement;
};

static struct {
    struct row row[ROWS_MAX];
    int n, failed;
    FILE *table, *json;
    bool json_begun;
} report;

int report_open(const char *table, const char *json)
{
    memset(&report, 0, sizeof report);
    setvbuf(stdout, NULL, _IOLBF, 0);
    report.table = table ? fopen(table, "a") : NULL;
    if (table && !report.table)
        return se_fail(-errno, "%s: %s", table, strerror(errno));
    report.json = json ? fopen(json, "w") : NULL;
    if (json && !report.json)
        return se_fail(-errno, "%s: %s", json, strerror(errno));
    return 0;
}

static void print_row(FILE *to, const struct row *row)
{
    fprintf(to, "%-44s %-6s %s%s%s\n", row->what, row->judgement, row->value,
            *row->goal ? ", goal " : "", row->goal);
}

static int close_file(FILE *file, const char *what)
{
    if (!file)
        return 0;
    const bool bad = ferror(file);
    if (fclose(file) == 0 && !bad)
        return 0;
    printf("%s could not be written\n", what);
    return 1;
}

int report_close(void)
{
    for (int i = 0; i < report.n && !report.table; i++) /* a table has its own reader */
        print_row(stdout, &report.row[i]);
    if (report.json)
        fprintf(report.json, report.json_begun ? "\n}\n" : "{}\n");
    const int bad = close_file(report.table, "the table") + close_file(report.json, "the samples");
    return report.failed || bad ? 1 : 0;
}

static void add(const char *what, const char *goal, const char *judgement, const char *value)
{
    struct row *row = &report.row[report.n < ROWS_MAX ? report.n++ : ROWS_MAX - 1];
    snprintf(row->what, sizeof row->what, "%s", what);
    snprintf(row->goal, sizeof row->goal, "%s", goal);
    snprintf(row->value, sizeof row->value, "%s", value);
    for (char *at = row->value; *at; at++) /* one line, and columns stay columns */
        *at = *at == '\n' || *at == '\t' ? ' ' : *at;
    row->judgement = judgement;
    print_row(stdout, row);
    if (report.table) {
        fprintf(report.table, "%s\t%s\t%s\t%s\n", row->what, row->value, row->goal, judgement);
        fflush(report.table);
    }
}

void report_check(int r, const char *what, const char *format, ...)
{
    char text[VALUE_B];
    va_list list;
    va_start(list, format);
    if (r == 0)
        vsnprintf(text, sizeof text, format, list);
    else
        snprintf(text, sizeof text, "%s (%d)", se_err_text(), r);
    va_end(list);
    report.failed |= r != 0;
    add(what, "", r == 0 ? "ok" : "FAILED", text);
}

void report_note(const char *what, const char *format, ...)
{
    char text[VALUE_B];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    add(what, "", "", text);
}

void report_figure(const char *what, const char *goal, bool met, const char *format, ...)
{
    char text[VALUE_B];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    add(what, goal ? goal : "", !goal ? "" : met ? "met" : "below", text);
}

/* ---- samples: keys are ours, words may hold anything */

static bool begin(const char *key)
{
    if (report.json)
        fprintf(report.json, "%s\n \"%s\": ", report.json_begun ? "," : "{", key);
    report.json_begun = true;
    return report.json != NULL;
}

void report_samples(const char *key, const char *unit, struct se_hist *hist)
{
    if (hist->n == 0 || !begin(key))
        return;
    fprintf(report.json, "{\"unit\": \"%s\", \"median\": %.6g, \"samples\": [", unit,
            se_hist_at(hist, 0.5));
    for (size_t i = 0; i < hist->n; i++)
        fprintf(report.json, i ? ", %.6g" : "%.6g", hist->sample[i]);
    fprintf(report.json, "]}");
}

void report_number(const char *key, double value)
{
    if (begin(key))
        fprintf(report.json, isfinite(value) ? "%.9g" : "null", value);
}

void report_word(const char *key, const char *value)
{
    if (!begin(key))
        return;
    fputc('"', report.json);
    for (; *value; value++)
        if (*value == '"' || *value == '\\' || (unsigned char)*value < 32)
            fprintf(report.json, "\\u%04x", (unsigned char)*value);
        else
            fputc(*value, report.json);
    fputc('"', report.json);
}
