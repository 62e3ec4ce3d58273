/* SPDX-License-Identifier: Apache-2.0 */
/* tools/page.h - what several verbs of se-bench printed as JSON, as one page of Markdown. */
#ifndef SE_TOOLS_PAGE_H
#define SE_TOOLS_PAGE_H

#include <jansson.h>
#include <stdio.h>

struct se_page {
    FILE *file;
    char path[4096];
};

/* DIR/NAME, with a title; what was there is gone. The caller's to close, after this failed too. 0
 * or -errno. */
int se_page_open(struct se_page *page, const char *dir, const char *name, const char *title);
/* 0, or -errno: it is not whole. */
int se_page_close(struct se_page *page);

/* Lines of text, as in printf(). */
void se_page_say(struct se_page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A row for each figure that has samples; suffix: what stands behind its unit's keys, "_us". Then
 * what else there is in numbers. */
void se_page_figures(struct se_page *page, const json_t *run, const char *suffix, const char *unit);
/* A row for each stage of serve, and what limits it. */
void se_page_stages(struct se_page *page, const json_t *run);

/* A number of a run; NaN: it has none of that name. key may lead into an object: "trip_us.p50". */
double se_page_number(const json_t *run, const char *key);

#endif
