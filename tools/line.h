/* SPDX-License-Identifier: Apache-2.0 */
/* tools/line.h - what a user types, line by line.
 *
 * On a terminal, and where libedit is built in, a line can be edited and those before it can be
 * called back, from one run to the next. Otherwise lines are taken as they come. One thread. */
#ifndef SE_TOOLS_LINE_H
#define SE_TOOLS_LINE_H

#include <stdbool.h>

struct se_line;

enum {
    SE_LINE_END = 1, /* there are no more (Ctrl-D) */
    SE_LINE_BROKEN   /* a signal came (tools/interrupt.h): what was typed is void */
};

enum {
    SE_LINE_MAX_B = 1 << 20, /* of a line */
    SE_LINE_HISTORY = 1000   /* lines that are remembered */
};

/* Reads standard input. history: the file that keeps the lines, or NULL for none. */
int se_line_open(struct se_line **out, const char *history);
void se_line_close(struct se_line *line); /* NULL is fine */

/* Whether a person types: input is a terminal. */
bool se_line_typed(const struct se_line *line);

/* On 0, *text is the line without its end, good until the next call. The prompt is shown to
 * those who type. -EILSEQ: a zero byte in the line, -EFBIG: it is too long; the next one can be
 * read. */
int se_line_read(struct se_line *line, const char *prompt, const char **text);

#endif
