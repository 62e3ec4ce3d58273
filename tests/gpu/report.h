/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/report.h - the table that a check of a GPU ends with, and the samples behind it.
 *
 * A row is printed as it comes and once more in the table. Checks fail or pass; figures only stand
 * beside their goal, where they have one: another card, or a busy one, is no fault. */
#ifndef SE_TESTS_GPU_REPORT_H
#define SE_TESTS_GPU_REPORT_H

#include <stdbool.h>

#include "runtime/base/hist.h"

/* The table goes to the end of the file `table` (what, value, goal, judgement, tabs between), or
 * when that is NULL to the end of what is printed; samples go to `json`, or nowhere. */
int report_open(const char *table, const char *json);
/* The table; 0 when no check has failed, otherwise 1. A file that cannot be written is a failure. */
int report_close(void);

/* A check, with what it returned; the words when that is 0, otherwise the last failure's. */
void report_check(int r, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Something to know. */
void report_note(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A figure: goal as words, and whether it is met; NULL: there is none. */
void report_figure(const char *what, const char *goal, bool met, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* All samples of a figure. */
void report_samples(const char *key, const char *unit, struct se_hist *hist);
/* One number, or a word. */
void report_number(const char *key, double value);
void report_word(const char *key, const char *value);

#endif
