/* SPDX-License-Identifier: Apache-2.0 */
/* tools/door.h - a server's keys: its own, and the list of those who may come, read from files.
 *
 * The guard belongs to the thread of the link that has it; the rest to the thread that opened the
 * door. Who is turned away is logged, a line a second at most for each reason. */
#ifndef SE_TOOLS_DOOR_H
#define SE_TOOLS_DOOR_H

#include <stdbool.h>

#include "transport/guard.h"

struct se_door {
    struct se_guard guard;
    struct se_keyring *ring;
    uint64_t told_ns[SE_GUARD_REFUSALS], told[SE_GUARD_REFUSALS]; /* of the link's thread */
};

/* own: the server's secret key; list: of those who may come. 0 or -errno with the file's name. */
int se_door_open(struct se_door *door, const char *own, const char *list, bool admins_only);
void se_door_close(struct se_door *door); /* one that was never opened is fine, when it is zero */

#endif
