/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/tree/bet.h - what to draft on while the target still looks at the tree.
 *
 * The bet is a leaf and a token: "the whole way to this leaf is accepted and this token
 * follows". Of all leaves and tokens it is the one with the best
 *
 *     (score of the leaf + ln decay) + log-probability          in float32, in this order
 *
 * the lower leaf in a tie. A bare root is a leaf as well. Leaves that were never forwarded must be first; of those already
 * forwarded the tree remembers what follows best, and one that cannot win is left out.
 *
 *   se_bet_leaves ──► the caller forwards them ──► se_bet_seen ──► se_bet_choose
 *                 └──────── when there are none ────────────────────────▲   │
 *                                                     se_grow_begin_bet ◄───┘
 *
 * The bet is won when se_prune_reroot() finds the bonus below the last accepted node.
 * One thread at a time per tree. */
#ifndef SE_RUNTIME_TREE_BET_H
#define SE_RUNTIME_TREE_BET_H

#include <stdint.h>

#include "runtime/tree/grow.h"
#include "runtime/tree/tree.h"

enum { SE_BET_NONE = 1 }; /* no leaf to bet on */

struct se_bet {
    /* To forward, ascending, as a growth's frontier; may be none. */
    uint32_t n_leaves;
    uint32_t *node;
    uint32_t *token;
    int32_t *parent;

    struct se_tree *tree;
    float ln_decay;
    uint32_t *leaf; /* all that count, ascending */
    uint32_t n;
    struct se_best scratch;
    size_t node_cap, token_cap, parent_cap, leaf_cap;
};
#define SE_BET_NULL ((struct se_bet){ 0 })

void se_bet_fini(struct se_bet *bet);

/* Finds the leaves; the config is the bet's: the max_n_beams best count, and none so deep that
 * the bet would lie below max_depth. 0, SE_BET_NONE, -EINVAL (the config), -ENOMEM. */
int se_bet_leaves(struct se_bet *bet, const struct se_grow_config *config, struct se_tree *tree);

/* They were forwarded: k successors each, the likeliest first (only that one is read). They
 * get their rows. -EINVAL when a number is none; nothing changed then. */
int se_bet_seen(struct se_bet *bet, const uint32_t *topk_id, const float *topk_logprob, uint32_t k);

/* Adds the bet's node, score 0; *node is its number. 0, -ENOMEM, or SE_BET_NONE when nothing
 * that follows has a probability above 0. */
int se_bet_choose(struct se_bet *bet, uint32_t *node);

#endif
