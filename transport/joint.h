/* SPDX-License-Identifier: Apache-2.0 */
/* transport/joint.h - several links of a server as one: "shm:///PATH,tcp://HOST:PORT".
 *
 * Each member has a byte of its own in the handles of its peers, peers_max counts all of them
 * together, and one wait sleeps for all. */
#ifndef SE_TRANSPORT_JOINT_H
#define SE_TRANSPORT_JOINT_H

#include "transport/link.h"

enum { SE_JOINT_MAX = 5 };

/* Takes the n members on 0, 1 <= n <= SE_JOINT_MAX; on -errno they are still the caller's. All
 * of them have arm. */
int se_joint_new(struct se_link **out, struct se_link *const *member, uint32_t n,
                 const struct se_link_options *options);

#endif
