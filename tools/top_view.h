/* SPDX-License-Identifier: Apache-2.0 */
/* tools/top_view.h - a picture as lines of a screen, as the user wants to see it.
 *
 *   server, in six lines │ headings │ sessions │ last rounds of one of them │ keys */
#ifndef SE_TOOLS_TOP_VIEW_H
#define SE_TOOLS_TOP_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/lines.h"
#include "tools/top_picture.h"

enum { SE_TOP_FILTER_B = 32, SE_TOP_WAITING_B = 2 * SE_TOP_NAME_B + 32 };

struct se_top_view {
    uint32_t sort; /* column */
    bool reverse;
    char filter[SE_TOP_FILTER_B]; /* a session is shown if one of its words has it; "": all */
    bool typing;                  /* the filter is being typed */
    bool paused, help, rounds;
    uint64_t chosen; /* number of a session, 0: none */
    uint32_t scroll; /* first session on the screen */
};

/* The sessions that the filter leaves, in their order, in *picture: the others are dropped. */
void se_top_arrange(struct se_top_picture *picture, const struct se_top_view *view);

/* The picture is arranged. Scrolls so that the chosen session is to be seen. */
void se_top_draw(struct se_lines *lines, const struct se_top_picture *picture,
                 struct se_top_view *view);

/* The parts that plain text has too. */
/* "waiting for a server named se-serverd", and why there is none where that is known. */
const char *se_top_waiting(const struct se_top_picture *picture, char text[SE_TOP_WAITING_B]);
void se_top_draw_server(struct se_lines *lines, const struct se_top_picture *picture);
void se_top_draw_table(struct se_lines *lines, const struct se_top_picture *picture,
                       const struct se_top_view *view, uint32_t most);

#endif
