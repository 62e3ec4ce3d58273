/* SPDX-License-Identifier: Apache-2.0 */
/* transport/shm.h - the link between processes of one machine, "shm:///PATH".
 *
 * Frames are copied into memory that both ends have, and out of it; while both ends look, no
 * system call is made for a frame. PATH is a socket's file, of at most 107 bytes: who may write
 * to it may connect. What a peer can do by writing into the shared memory is to lose or
 * spoil frames of its own connection. A peer that is there but does nothing is not told from one
 * that has nothing to say: heartbeat_ns and silence_ns mean nothing here. */
#ifndef SE_TRANSPORT_SHM_H
#define SE_TRANSPORT_SHM_H

#include "transport/link.h"

extern const struct se_link_ops se_shm_ops;

#endif
