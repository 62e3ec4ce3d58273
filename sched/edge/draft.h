/* SPDX-License-Identifier: Apache-2.0 */
/* sched/edge/draft.h - the tree that an edge drafts, level by level, and the bet on its answer.
 *
 *   follow ─► begin ─► level ... level ─► finish ─► (sent) ─► bet ─► level ... ─► answer
 *     ▲ feeds text                                  proactive: below the bet        │
 *     └─────────────────────────────────────────────────────────────────────────────┘
 *
 * One call forwards at most one level, so that whoever drafts can look for the answer between
 * them. Text, tree, and what the drafter remembers are kept together here: after an answer, hit or
 * miss, the drafter knows what a fresh pass over the text would give. One thread at a time. */
#ifndef SE_SCHED_EDGE_DRAFT_H
#define SE_SCHED_EDGE_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/tree/bet.h"
#include "runtime/tree/grow.h"
#include "runtime/tree/prune.h"
#include "sched/edge/drafter.h"
#include "sched/edge/worth.h"

enum { SE_DRAFT_MORE = 1 }; /* of the functions that do a part at a time: call again */

struct se_draft {
    struct se_drafter *drafter;
    struct se_tree tree;
    struct se_grow grow;
    struct se_bet bet;
    struct se_worth worth;
    bool learned;      /* scores are logarithms of likelihoods */
    uint32_t limit;    /* ids from here on are never drafted */
    bool rooted;       /* the tree stands at the end of the text */
    bool betting;      /* a bet was chosen: the growth is below it */
    bool grew;         /* the growth is finished */
    uint32_t sent;     /* nodes of the tree that are with the target; 0: none are */
    float hung, added; /* of the last level: likelihood of what it hangs on, and of what it added */

    uint8_t *bucket; /* per node, of its own log-probability */
    uint8_t *said;   /* the same of all successors of a level */
    uint32_t *front; /* nodes of a level */
    float *likely;
    uint32_t *id;
    float *logprob;
    int32_t *map;
    uint32_t *commit, *keep, *token;
    int32_t *parent;
    size_t bucket_cap, said_cap, front_cap, likely_cap, id_cap, logprob_cap, map_cap, commit_cap,
        keep_cap, token_cap, parent_cap;
};

void se_draft_init(struct se_draft *draft, struct se_drafter *drafter, bool learned);
void se_draft_fini(struct se_draft *draft);

/* Whether the drafter can go on from this text at all. */
bool se_draft_can(const struct se_draft *draft, const uint32_t *text, uint32_t n);
/* The text is another one now, alike up to position same; what hangs on the rest is gone. */
void se_draft_cut(struct se_draft *draft, uint32_t same);
/* Brings the drafter to the text and the tree to its root: a part of it at a time. 0: there. */
int se_draft_follow(struct se_draft *draft, const uint32_t *text, uint32_t n);

/* Starts to grow at the root; config's limits hold. */
int se_draft_begin(struct se_draft *draft, const struct se_grow_config *config);
/* Forwards one level. 0: the growth is complete; MORE: it is not. */
int se_draft_level(struct se_draft *draft, const uint32_t *text, uint32_t n);
/* Likelihood of the nodes that the next level would hang on, in all. */
float se_draft_frontier(const struct se_draft *draft);
/* Likelihood of the likeliest leaf. */
float se_draft_surest(const struct se_draft *draft);
/* Likelihoods of the drafted nodes, falling (learned: real ones); *n of them. */
const float *se_draft_likely(struct se_draft *draft, uint32_t *n);
/* Trims to so many nodes at most, the root apart. */
int se_draft_finish(struct se_draft *draft, uint32_t budget);

/* The tree as it travels, in level order: n nodes, their parents and ids, and (order) the tree's
 * own numbers of them. It is with the target now. */
int se_draft_send(struct se_draft *draft, int32_t *parent, uint32_t *id, uint16_t *order,
                  uint32_t *n, uint32_t *depth);

/* One unit of work on the bet: its leaves, then a level below it. 0: nothing more to do. */
int se_draft_ahead(struct se_draft *draft, const struct se_grow_config *config,
                   const uint32_t *text, uint32_t n);
uint32_t se_draft_ahead_levels(const struct se_draft *draft);

/* The target's answer: nodes (the tree's numbers) that were accepted, root first, and its own
 * token. *hit: the bet came true, and what was drafted below it is the new tree. */
int se_draft_answer(struct se_draft *draft, const uint32_t *path, uint32_t n_path, uint32_t bonus,
                    bool *hit);

#endif
