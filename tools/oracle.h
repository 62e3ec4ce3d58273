/* SPDX-License-Identifier: Apache-2.0 */
/* tools/oracle.h - a draft that knows what the target will say, and is right as often as it shall.
 *
 *   root ─┬─ lead ─┬─ lead ─┬─ lead ...    depth levels
 *         ├─ node  ├─ node  └─ node        all others are wrong
 *         └─ node  └─ node
 *
 * The lead of a level is right with a given likelihood, if the lead above it is. So a tree of
 * depth d brings 1 + a + a^2 + ... + a^d tokens on the average, whatever hangs beside the leads. */
#ifndef SE_TOOLS_ORACLE_H
#define SE_TOOLS_ORACLE_H

#include <stdint.h>

#include "runtime/base/rng.h"
#include "transport/wire.h"

struct se_oracle {
    uint32_t nodes, depth;             /* root included; of the deepest */
    uint32_t ids;                      /* there are */
    double acceptance;                 /* 0 to 1 */
    int32_t parent[SE_WIRE_NODES_MAX]; /* in level order */
    uint16_t level[SE_WIRE_NODES_MAX];
};

/* At least one node a level: depth is cut to that. ids: at least two more than nodes. */
void se_oracle_init(struct se_oracle *oracle, uint32_t nodes, uint32_t depth, double acceptance,
                    uint32_t ids);

/* The ids of one tree below root; next: what the target says from there on, depth ids. */
void se_oracle_draft(const struct se_oracle *oracle, struct se_rng *rng, uint32_t root,
                     const uint32_t *next, uint32_t *id);

/* Tokens that a tree brings on the average, the target's own included. */
double se_oracle_tokens(const struct se_oracle *oracle);

/* A prompt, and what the target says to it. */
struct se_oracle_text {
    uint32_t *id;             /* room for want */
    uint32_t prompt, n, want; /* ids: of the prompt; known; to be known */
};

/* Prompts of ids drawn by the seed. The caller's to free, after this failed too. 0 or -ENOMEM. */
int se_oracle_texts_new(struct se_oracle_text **out, uint32_t n, uint32_t prompt, uint32_t want,
                        uint32_t ids, uint64_t seed);
void se_oracle_texts_free(struct se_oracle_text *texts);

#endif
