/* SPDX-License-Identifier: Apache-2.0 */
/* No ncurses in this build. */
#include "tools/outcome.h"
#include "tools/se_top.h"

int se_top_screen(struct se_top_look *look, struct se_top_picture *picture,
                  struct se_top_view *view, uint64_t delay_ns, bool color)
{
    (void)look;
    (void)picture;
    (void)view;
    (void)delay_ns;
    (void)color;
    return se_usage("this build has no ncurses: say -b for text, or --json");
}
