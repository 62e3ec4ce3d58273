/* SPDX-License-Identifier: Apache-2.0 */
/* tools/lookout.h - one thread that sleeps until one of many links has something.
 *
 * A link is read until it has nothing more, then armed, and not looked at again before its
 * descriptors say so: what a sleep costs grows with what comes, not with how many there are. */
#ifndef SE_TOOLS_LOOKOUT_H
#define SE_TOOLS_LOOKOUT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/link.h"

struct se_lookout_post; /* one link */

struct se_lookout {
    /* Reads what link number i has. 1: there was something, 0: nothing; < 0: -errno. */
    int (*read)(void *of, uint32_t i);
    /* Link number i, of a kind that can be slept on: not loop. */
    struct se_link *(*link)(void *of, uint32_t i);
    void *of;
    uint32_t n; /* links that are there: may grow */
    struct se_lookout_post *post;
    struct pollfd *fd;
    uint32_t *number; /* whose fd is */
};

/* Room for so many links; read, link and of are set. The caller's to fini, after this failed too.
 * 0 or -ENOMEM. */
int se_lookout_init(struct se_lookout *lookout, uint32_t most);
void se_lookout_fini(struct se_lookout *lookout);

/* Link i was used, and may have taken notice of what came: it is read before the next sleep. */
void se_lookout_stir(struct se_lookout *lookout, uint32_t i);

/* Sleeps until something came, a signal, or ns have passed, and reads it. 0 or -errno. */
int se_lookout_wait(struct se_lookout *lookout, uint64_t ns);

#endif
