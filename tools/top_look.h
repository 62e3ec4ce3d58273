/* SPDX-License-Identifier: Apache-2.0 */
/* tools/top_look.h - looks at a server's pages again and again, also when it ends and comes back.
 *
 * One thread. Servers are never disturbed by it. */
#ifndef SE_TOOLS_TOP_LOOK_H
#define SE_TOOLS_TOP_LOOK_H

#include <stdint.h>

#include "tools/top_picture.h"
#include "transport/guard.h"

struct se_top_look;

/* name: of the page; NULL: the usual one, or else the first that there is. 0 or -ENOMEM. */
int se_top_look_new(struct se_top_look **out, const char *name);
/* The server whose admin endpoint is there, on this machine or another. 0 or -errno. */
int se_top_look_new_remote(struct se_top_look **out, const char *url, struct se_guard *guard);
void se_top_look_free(struct se_top_look *look);

/* Fills the picture, whose past it goes on with. */
void se_top_look_take(struct se_top_look *look, struct se_top_picture *picture);

/* From now on the next server of this machine, by its page's name. */
void se_top_look_next(struct se_top_look *look);

/* The names of the pages of all servers that run here, in their order: how many, at most max. */
uint32_t se_top_look_list(char (*name)[SE_TOP_NAME_B], uint32_t max);

#endif
