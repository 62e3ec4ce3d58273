/* SPDX-License-Identifier: Apache-2.0 */
/* tools/figures.h - what a verb has timed, for people and for programs: a table and JSON of the
 * same numbers, beside those of an earlier run, and held against limits.
 *
 * A figure is a set of samples under a key. One thread. */
#ifndef SE_TOOLS_FIGURES_H
#define SE_TOOLS_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/conf.h"
#include "runtime/base/hist.h"

struct se_figures_options {
    bool json;
    const char *compare; /* JSON that the same verb once printed */
    const char *fail_if; /* "p99>20us", "trip:max>1ms,ratio>1.05" */
};

/* Rows for the options of a verb: a struct of this type, whose member is a struct
 * se_figures_options. */
#define SE_FIGURES_OPTION_ROWS(type, member) \
    { "json", 'j', SE_CONF_FLAG, offsetof(type, member.json), NULL, 0, 0, NULL, "print JSON" }, \
        { "compare", \
          'c', \
          SE_CONF_TEXT, \
          offsetof(type, member.compare), \
          NULL, \
          0, \
          0, \
          "FILE", \
          "beside what --json once printed: each figure's median over its median there" }, \
    { \
        "fail-if", 'f', SE_CONF_TEXT, offsetof(type, member.fail_if), NULL, 0, 0, "LIMIT", \
            "exit with 1 when [KEY:]p50, p95, p99, p999 or max is above a time, as in " \
            "\"p99>20us\", " \
            "or " \
            "the ratio to the earlier run above a number, \"ratio>1.05\"; several with commas" \
    }

struct se_figure {
    const char *key;  /* in JSON, without the unit; "a.b" is b in the object a */
    const char *text; /* in a table */
    struct se_hist *hist;
    bool leads; /* a limit without a key is for this one */
};

struct se_figures_past; /* the earlier run, and the limits */

struct se_figures {
    struct se_figure *figure;
    size_t n;
    double unit_ns;     /* samples are in this */
    const char *unit;   /* "us" */
    const char *suffix; /* behind every key in JSON: "_us", or "" */
    int digits;         /* behind the point */
    struct se_figures_past *past;
};

/* All figures are rows of a table, whose samples lie in hist[] in the same order. */
void se_figures_take(struct se_figures *figures, const struct se_figure *row, struct se_hist *hist);

/* Before anything is measured: reads the earlier run and the limits, so that what is wrong with
 * them is told at once. The keys are there by now. 0, SE_OUTCOME_USAGE, or -errno. */
int se_figures_open(struct se_figures *figures, const struct se_figures_options *options);

/* The end of a verb, also after open failed. r is what came of it: of 0 the result is printed, by
 * text or as JSON, and held against the limits: -ERANGE with the figure, its value and the limit
 * it is above. Samples are given up in any case. */
int se_figures_end(struct se_figures *figures, int r, void (*text)(void *of),
                   void (*json)(void *of), void *of);

/* A title above the columns, and a line for each figure in [from, end) that has samples. */
void se_figures_table(const struct se_figures *figures, const char *title, size_t from, size_t end);

/* Behind an object's other members, without a comma yet: one for each figure, and the end. */
void se_figures_json(const struct se_figures *figures);
/* For a verb that nests them: one figure's object, and what stands at the end. */
void se_figures_json_one(const struct se_figures *figures, size_t number);
void se_figures_json_end(const struct se_figures *figures);

#endif
