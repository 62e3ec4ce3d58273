/* SPDX-License-Identifier: Apache-2.0 */
/* tests/tools/hand.h - an edge by hand: no drafts, one token a round, every message as it comes. */
#ifndef SE_TESTS_TOOLS_HAND_H
#define SE_TESTS_TOOLS_HAND_H

#include <stdint.h>

#include "transport/link.h"
#include "transport/wire.h"

struct hand {
    struct se_frames *frames;
    struct se_link *link;
    uint64_t session;
    struct se_wire_welcome welcome;
    uint32_t round;
};
#define HAND_NULL ((struct hand){ 0 })

/* Waits for at most 20 s for each answer. All return 0 or -errno; what the server refuses is
 * -EPROTO with its sentence. */
int hand_open(struct hand *hand, const char *url, uint64_t fingerprint, uint32_t tokens);
/* The greedy tokens behind ids[0..n-1], n >= 1: as many as wanted into out. */
int hand_write(struct hand *hand, const uint32_t *id, uint32_t n, uint32_t wanted, uint32_t *out);
/* Waits for a BYE that the server sends by itself; its reason into *reason. */
int hand_await_bye(struct hand *hand, uint8_t *reason);
void hand_close(struct hand *hand);

#endif
