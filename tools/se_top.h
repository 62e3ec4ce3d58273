/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_top.h - what the files of se-top share.
 *
 *   se-top.c          settings, main, text and JSON
 *   se_top_screen.c   the terminal
 *   top_look.c        pictures of a server     top_column.c  what is told of a session
 *   top_view.c        a picture as lines       lines.c       lines of a screen */
#ifndef SE_TOOLS_SE_TOP_H
#define SE_TOOLS_SE_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/top_look.h"
#include "tools/top_view.h"

/* Shows the server until the user leaves. 0, an outcome of tools/outcome.h, or -errno. */
int se_top_screen(struct se_top_look *look, struct se_top_picture *picture,
                  struct se_top_view *view, uint64_t delay_ns, bool color);

#endif
