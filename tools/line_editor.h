/* SPDX-License-Identifier: Apache-2.0 */
/* tools/line_editor.h - a line edited on the terminal, for tools/line.c alone.
 *
 * line_editor.c is libedit; line_editor_absent.c stands for it where there is none. */
#ifndef SE_TOOLS_LINE_EDITOR_H
#define SE_TOOLS_LINE_EDITOR_H

struct se_editor;

enum { SE_EDITOR_ABSENT = 1 }; /* not built in, or a terminal that cannot do it */

/* history as in se_line_open(). 0, SE_EDITOR_ABSENT or -errno. */
int se_editor_open(struct se_editor **out, const char *history);
void se_editor_close(struct se_editor *editor); /* NULL is fine */

/* Outcomes as of se_line_read(); the line still has its end. A line that is not empty is remembered. */
int se_editor_read(struct se_editor *editor, const char *prompt, const char **text);

#endif
