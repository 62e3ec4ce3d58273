/* SPDX-License-Identifier: Apache-2.0 */
/* transport/loop.h - the link within one process, "loop://NAME".
 *
 * Frames are handed over as they are and not copied: what is received is the sender's frame,
 * and a put returns it to the sender's pool. Each end may have a thread of its own, or one
 * thread may have them all. NAME is free; it is known in this process only. */
#ifndef SE_TRANSPORT_LOOP_H
#define SE_TRANSPORT_LOOP_H

#include "transport/link.h"

extern const struct se_link_ops se_loop_ops;

#endif
