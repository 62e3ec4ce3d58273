/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tree/bet.h"

#include <errno.h>
#include <math.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

void se_bet_fini(struct se_bet *bet)
{
    se_mem_free(bet->node);
    se_mem_free(bet->token);
    se_mem_free(bet->parent);
    se_mem_free(bet->leaf);
    se_best_fini(&bet->scratch);
    *bet = SE_BET_NULL;
}

static int reserve(struct se_bet *bet, uint32_t n)
{
    if (se_mem_grow(&bet->node, &bet->node_cap, n, sizeof *bet->node) < 0 ||
        se_mem_grow(&bet->token, &bet->token_cap, n, sizeof *bet->token) < 0 ||
        se_mem_grow(&bet->parent, &bet->parent_cap, n, sizeof *bet->parent) < 0 ||
        se_mem_grow(&bet->leaf, &bet->leaf_cap, n, sizeof *bet->leaf) < 0)
        return se_trace(-ENOMEM);
    return 0;
}

/* Nobody's parent, and room below. Nodes above n do not exist, whatever lies in the arrays. */
static uint32_t find_leaves(const struct se_tree *tree, uint32_t max_depth, uint32_t *leaf,
                            uint32_t *children)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < tree->n; i++)
        children[i] = 0;
    for (uint32_t i = 1; i < tree->n; i++)
        children[tree->parent[i]]++;
    for (uint32_t i = 0; i < tree->n; i++)
        if (children[i] == 0 && tree->depth[i] < max_depth)
            leaf[n++] = i;
    return n;
}

/* With the likeliest successor there could be, for a leaf not seen yet. */
static float best_score(const struct se_bet *bet, uint32_t leaf)
{
    const struct se_tree *tree = bet->tree;
    bool seen = tree->row[leaf] != SE_TREE_CANDIDATE;
    return tree->score[leaf] + bet->ln_decay + (seen ? fminf(tree->next_logprob[leaf], 0) : 0);
}

int se_bet_leaves(struct se_bet *bet, const struct se_grow_config *config, struct se_tree *tree)
{
    float sure = -INFINITY; /* what a leaf seen before promises */
    bet->n_leaves = 0;
    bet->n = 0;
    bet->tree = tree;
    int r = se_grow_config_check(config);
    if (r == 0)
        r = reserve(bet, tree->n);
    if (r < 0)
        return se_trace(r);
    bet->ln_decay = (float)log(config->decay);
    uint32_t n = find_leaves(tree, config->max_depth, bet->leaf, bet->node);
    r = se_best_pick(&bet->scratch, tree->score, bet->leaf, n, config->max_n_beams);
    if (r <= 0)
        return r < 0 ? se_trace(r) : SE_BET_NONE;
    bet->n = (uint32_t)r;
    for (uint32_t i = 0; i < bet->n; i++)
        if (tree->row[bet->leaf[i]] != SE_TREE_CANDIDATE)
            sure = fmaxf(sure, best_score(bet, bet->leaf[i]));
    for (uint32_t i = 0; i < bet->n; i++) {
        uint32_t leaf = bet->leaf[i];
        if (tree->row[leaf] != SE_TREE_CANDIDATE || best_score(bet, leaf) < sure)
            continue;
        bet->node[bet->n_leaves] = leaf;
        bet->token[bet->n_leaves] = tree->token[leaf];
        bet->parent[bet->n_leaves++] =
            leaf == 0 ? (int32_t)tree->n_lead - 1 : tree->row[tree->parent[leaf]];
    }
    return 0;
}

int se_bet_seen(struct se_bet *bet, const uint32_t *topk_id, const float *topk_logprob, uint32_t k)
{
    struct se_tree *tree = bet->tree;
    if (k == 0)
        return se_fail(-EINVAL, "no successors");
    for (uint32_t i = 0; i < bet->n_leaves; i++)
        if (isnan(topk_logprob[(size_t)i * k]))
            return se_fail(-EINVAL, "node %u: what follows it is no number", bet->node[i]);
    for (uint32_t i = 0; i < bet->n_leaves; i++) {
        uint32_t leaf = bet->node[i];
        tree->row[leaf] = (int32_t)tree->n_rows++;
        tree->next_token[leaf] = topk_id[(size_t)i * k];
        tree->next_logprob[leaf] = topk_logprob[(size_t)i * k];
    }
    bet->n_leaves = 0;
    return 0;
}

int se_bet_choose(struct se_bet *bet, uint32_t *node)
{
    struct se_tree *tree = bet->tree;
    uint32_t best = 0;
    float best_of_all = -INFINITY;
    for (uint32_t i = 0; i < bet->n; i++) {
        uint32_t leaf = bet->leaf[i];
        if (tree->row[leaf] == SE_TREE_CANDIDATE)
            continue;
        float score = best_score(bet, leaf);
        if (score > best_of_all) {
            best_of_all = score;
            best = leaf;
        }
    }
    if (best_of_all == -INFINITY)
        return SE_BET_NONE;
    return se_trace(se_tree_add(tree, best, tree->next_token[best], 0, node));
}
