/* SPDX-License-Identifier: Apache-2.0 */
/* tools/top_column.h - what se-top tells of each session: one table for screen, text, JSON, help
 * and manual page. */
#ifndef SE_TOOLS_TOP_COLUMN_H
#define SE_TOOLS_TOP_COLUMN_H

#include <stddef.h>
#include <stdint.h>

#include "tools/top_picture.h"

enum se_top_kind {
    SE_TOP_WORD,
    SE_TOP_COUNT,
    SE_TOP_REAL,
    SE_TOP_SHARE, /* of 1 */
    SE_TOP_TIME   /* seconds */
};

enum { SE_TOP_CELL_B = 40 }; /* the longest word is a draft's name, of 32 */

struct se_top_column {
    const char *name; /* heading, key of JSON, word for --sort */
    uint32_t width;
    uint32_t rank; /* where there is not room for all, the higher ones are left out */
    enum se_top_kind kind;
    bool falls; /* sorted with the largest first, unless reversed */
    /* What it is sorted by, and of all kinds but words what is shown. */
    double (*value)(const struct se_top_session *session, uint64_t now_ns);
    void (*word)(const struct se_top_session *session, char text[SE_TOP_CELL_B]); /* of words */
    const char *help;
};

extern const struct se_top_column se_top_columns[];
extern const uint32_t se_top_columns_n;

/* Its number, or -EINVAL, and the text names those that there are. */
int se_top_column_find(const char *name);

/* The value as text, of at most so many characters where that is possible; "-": not known. */
void se_top_value(char text[SE_TOP_CELL_B], enum se_top_kind kind, double value, uint32_t width);
void se_top_cell(char text[SE_TOP_CELL_B], const struct se_top_column *column,
                 const struct se_top_session *session, uint64_t now_ns);

const char *se_top_state_name(uint32_t state);

/* Which columns fit: how many, their numbers in fit[], in their order. That of keys is left out where
 * no session has one. */
uint32_t se_top_columns_fit(uint32_t width, const struct se_top_picture *picture, uint32_t *fit);

/* Orders the sessions by a column; what is not known comes last. */
void se_top_sort(struct se_top_picture *picture, uint32_t column, bool reverse);

#endif
