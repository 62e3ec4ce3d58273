/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/tree/grow.h - grow a draft tree, best first, without knowing any model.
 *
 *   begin ──► frontier ──► the caller forwards these nodes ──► level ──┐
 *                ▲                                                     │ n_frontier > 0
 *                └─────────────────────────────────────────────────────┘
 *                                    n_frontier == 0, or at any time ──► finish
 *
 * The rule is the one published with SpecEdge. A level forwards the best max_n_beams
 * candidates; each of their max_branch_width likeliest successors scores
 *
 *     (score of the parent + ln decay) + log-probability         in float32, in this order
 *
 * and becomes a candidate if that is not below the max_budget-th best of all scores, old and
 * new together; ties at the threshold all stay. Growth ends after max_beam_len levels, or
 * when a level adds nothing. finish keeps the max_budget best nodes, the earlier in a tie. As
 * no child scores above its parent, these are closed under ancestors.
 *
 * Two things are left out because they change no tree. A candidate below the threshold is not
 * forwarded: its children would be below it as well. And the published second stop (no new
 * node reaches the max_budget-th best old one) cannot happen to a node that passed the
 * threshold. Of candidates with one score the earlier is forwarded first.
 *
 * Sampling needs nothing here. Ranked by the noise that the target will use (the step's
 * SE_WANT_TOPK with sharpen set), successors carry the log-probabilities of that ranking; with
 * sharpen 0 it is the published score. A successor of probability 0 is never drafted.
 *
 * One thread at a time. The tree must outlive the growth, and nobody else may touch it. */
#ifndef SE_RUNTIME_TREE_GROW_H
#define SE_RUNTIME_TREE_GROW_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/tree/best.h"
#include "runtime/tree/tree.h"

struct se_grow_config {
    uint32_t max_n_beams;      /* nodes forwarded per level, 1 to SE_TREE_MAX */
    uint32_t max_beam_len;     /* levels, 0 to SE_TREE_MAX - 1; 0: nothing grows */
    uint32_t max_branch_width; /* successors looked at per node, 1 to SE_TREE_MAX */
    uint32_t max_budget;       /* drafted nodes that stay, 1 to SE_TREE_MAX - 1 */
    uint32_t max_depth;        /* no node deeper than this below node 0: the room in the context */
    double decay;              /* per level, above 0, at most 1 */
};

/* The published settings. Of a bet, max_budget counts the bet itself as well. */
#define SE_GROW_CONFIG \
    ((struct se_grow_config){ .max_n_beams = 32, \
                              .max_beam_len = 4, \
                              .max_branch_width = 16, \
                              .max_budget = 32, \
                              .max_depth = UINT32_MAX, \
                              .decay = 0.9 })
#define SE_GROW_CONFIG_BET \
    ((struct se_grow_config){ .max_n_beams = 32, \
                              .max_beam_len = 3, \
                              .max_branch_width = 16, \
                              .max_budget = 32, \
                              .max_depth = UINT32_MAX, \
                              .decay = 0.95 })

/* 0, or -EINVAL and the text names the setting and what is allowed. */
int se_grow_config_check(const struct se_grow_config *config);

/* How deep a round drafts when the last one left a tree behind. */
enum se_proactive {
    SE_PROACTIVE_DISABLED,
    SE_PROACTIVE_EXCLUDED, /* the levels drafted on the bet come on top: a deeper tree */
    SE_PROACTIVE_INCLUDED  /* they count: a shorter draft */
};
/* The levels to grow: max_beam_len, less what was drafted ahead (n_ahead levels, as many as
 * really were) if it was a hit and is included. */
uint32_t se_grow_levels(enum se_proactive proactive, uint32_t max_beam_len, bool hit,
                        uint32_t n_ahead);

struct se_grow {
    /* To forward next, ascending; none: done. Ready to be rows of a step: row i has the token
     * token[i] and hangs on row parent[i] of the open sequence (-1: on its text). When node 0
     * is among them (alone, then), tree->n_lead rows of text come before it. */
    uint32_t n_frontier;
    uint32_t *node;
    uint32_t *token;
    int32_t *parent;
    uint32_t n_levels; /* forwarded so far */

    struct se_grow_config config;
    struct se_tree *tree;
    uint32_t root;
    uint32_t first; /* the nodes from here on count: without the root, but with the bet */
    float ln_decay;
    struct se_best best; /* scores of the max_budget best nodes */
    struct se_best scratch;
    uint8_t *keep;
    int32_t *map;
    size_t node_cap, token_cap, parent_cap, keep_cap, map_cap;
};
#define SE_GROW_NULL ((struct se_grow){ 0 })

void se_grow_fini(struct se_grow *grow);

/* Starts a round at the root: on a new tree, or on what se_prune_reroot() left. 0, -ENOMEM,
 * or -EINVAL: the config, or a tree whose scores rise along a way. */
int se_grow_begin(struct se_grow *grow, const struct se_grow_config *config, struct se_tree *tree);

/* Starts below a bet (bet.h), the newest node of the tree, whose parent was forwarded. The
 * nodes before it stay as they are, numbers included: they are with the target now. */
int se_grow_begin_bet(struct se_grow *grow, const struct se_grow_config *config,
                      struct se_tree *tree, uint32_t bet);

/* The frontier was forwarded: per node k successors (at least max_branch_width, or all there
 * are), the likeliest first, all different but for those of probability 0. The nodes get their
 * rows. 0, or -EINVAL (not a falling list of numbers, a token twice, nothing was asked) with
 * nothing changed, or -ENOMEM, after which finish still works. */
int se_grow_level(struct se_grow *grow, const uint32_t *topk_id, const float *topk_logprob,
                  uint32_t k);

/* Trims to the budget. *map (NULL is fine): the new number of every node, or -1; the growth's
 * own, until it begins again. Rows of the nodes that went stay in the open sequence. */
int se_grow_finish(struct se_grow *grow, const int32_t **map);

#endif
