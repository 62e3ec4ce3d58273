/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tree/grow.h"

#include <errno.h>
#include <math.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/tree/prune.h"

static int check_range(const char *name, uint32_t value, uint32_t least, uint32_t most)
{
    if (value < least || value > most)
        return se_fail(-EINVAL, "%s is %u; it must be %u to %u", name, value, least, most);
    return 0;
}

int se_grow_config_check(const struct se_grow_config *config)
{
    const struct {
        const char *name;
        uint32_t value, least, most;
    } row[] = {
        { "max_n_beams", config->max_n_beams, 1, SE_TREE_MAX },
        { "max_beam_len", config->max_beam_len, 0, SE_TREE_MAX - 1 },
        { "max_branch_width", config->max_branch_width, 1, SE_TREE_MAX },
        { "max_budget", config->max_budget, 1, SE_TREE_MAX - 1 },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int r = check_range(row[i].name, row[i].value, row[i].least, row[i].most);
        if (r < 0)
            return se_trace(r);
    }
    if (!(config->decay > 0 && config->decay <= 1))
        return se_fail(-EINVAL, "decay is %g; it must be above 0 and at most 1", config->decay);
    return 0;
}

uint32_t se_grow_levels(enum se_proactive proactive, uint32_t max_beam_len, bool hit,
                        uint32_t n_ahead)
{
    if (!hit || proactive != SE_PROACTIVE_INCLUDED)
        return max_beam_len;
    return max_beam_len > n_ahead ? max_beam_len - n_ahead : 0;
}

void se_grow_fini(struct se_grow *grow)
{
    se_mem_free(grow->node);
    se_mem_free(grow->token);
    se_mem_free(grow->parent);
    se_mem_free(grow->keep);
    se_mem_free(grow->map);
    se_best_fini(&grow->best);
    se_best_fini(&grow->scratch);
    *grow = SE_GROW_NULL;
}

/* May the node still get children that are kept? No node scores above the root, so that the
 * root always may. */
static bool is_open(const struct se_grow *grow, uint32_t node, float floor)
{
    const struct se_tree *tree = grow->tree;
    return tree->row[node] == SE_TREE_CANDIDATE && tree->depth[node] < grow->config.max_depth &&
           tree->score[node] >= floor;
}

static int set_frontier(struct se_grow *grow)
{
    struct se_tree *tree = grow->tree;
    float floor = se_best_floor(&grow->best);
    uint32_t n = 0;
    grow->n_frontier = 0;
    if (grow->n_levels >= grow->config.max_beam_len)
        return 0;
    if (se_mem_grow(&grow->node, &grow->node_cap, tree->n, sizeof *grow->node) < 0 ||
        se_mem_grow(&grow->token, &grow->token_cap, tree->n, sizeof *grow->token) < 0 ||
        se_mem_grow(&grow->parent, &grow->parent_cap, tree->n, sizeof *grow->parent) < 0)
        return se_trace(-ENOMEM);
    for (uint32_t i = grow->root; i < tree->n; i++)
        if (is_open(grow, i, floor))
            grow->node[n++] = i;
    int kept = se_best_pick(&grow->scratch, tree->score, grow->node, n, grow->config.max_n_beams);
    if (kept < 0)
        return se_trace(kept);
    for (int i = 0; i < kept; i++) {
        uint32_t node = grow->node[i];
        grow->token[i] = tree->token[node];
        /* The root hangs on the last of its leading rows: row -1, the text, without any. */
        grow->parent[i] = node == 0 ? (int32_t)tree->n_lead - 1 : tree->row[tree->parent[node]];
    }
    grow->n_frontier = (uint32_t)kept;
    return 0;
}

/* A tree that does not come from a growth could break the promise to trim to a tree, or have
 * a candidate that cannot be forwarded. */
static int check_tree(const struct se_tree *tree, uint32_t root)
{
    if (root >= tree->n)
        return se_fail(-EINVAL, "node %u: there is nothing to grow from", root);
    if (root > 0 && tree->row[tree->parent[root]] == SE_TREE_CANDIDATE)
        return se_fail(-EINVAL, "node %u: its parent was not forwarded", root);
    for (uint32_t i = root + 1; i < tree->n; i++) {
        uint32_t above = (uint32_t)tree->parent[i];
        if (above < root)
            return se_fail(-EINVAL, "node %u: it does not hang on node %u", i, root);
        if (!(tree->score[i] <= tree->score[above]))
            return se_fail(-EINVAL, "node %u: it scores above its parent", i);
        if (tree->row[above] == SE_TREE_CANDIDATE)
            return se_fail(-EINVAL, "node %u: its parent was not forwarded", i);
    }
    return 0;
}

static int begin(struct se_grow *grow, const struct se_grow_config *config, struct se_tree *tree,
                 uint32_t root, uint32_t first)
{
    int r = check_tree(tree, root);
    if (r == 0)
        r = se_best_reset(&grow->best, config->max_budget);
    if (r < 0)
        return se_trace(r);
    for (uint32_t i = first; i < tree->n; i++)
        se_best_offer(&grow->best, tree->score[i]);
    grow->config = *config;
    grow->tree = tree;
    grow->root = root;
    grow->first = first;
    grow->ln_decay = (float)log(config->decay);
    grow->n_levels = 0;
    return se_trace(set_frontier(grow));
}

int se_grow_begin(struct se_grow *grow, const struct se_grow_config *config, struct se_tree *tree)
{
    grow->n_frontier = 0;
    int r = se_grow_config_check(config);
    if (r < 0)
        return se_trace(r);
    return se_trace(begin(grow, config, tree, 0, 1));
}

int se_grow_begin_bet(struct se_grow *grow, const struct se_grow_config *config,
                      struct se_tree *tree, uint32_t bet)
{
    grow->n_frontier = 0;
    int r = se_grow_config_check(config);
    if (r < 0)
        return se_trace(r);
    if (bet < 1 || bet + 1 != tree->n)
        return se_fail(-EINVAL, "node %u: a bet is the newest node of %u", bet, tree->n);
    return se_trace(begin(grow, config, tree, bet, bet));
}

static int check_row(uint32_t node, const uint32_t *id, const float *logprob, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++) {
        if (isnan(logprob[i]) || (i > 0 && logprob[i] > logprob[i - 1]))
            return se_fail(-EINVAL, "node %u: its successors do not come best first", node);
        /* What has no probability stands for nothing: its id may be any. */
        for (uint32_t j = 0; logprob[i] > -INFINITY && j < i; j++)
            if (id[j] == id[i])
                return se_fail(-EINVAL, "node %u: token %u follows it twice", node, id[i]);
    }
    return 0;
}

/* A logarithm that rounding left above 0 must not lift a child above its parent. */
static float child_score(const struct se_grow *grow, uint32_t beam, float logprob)
{
    return grow->tree->score[grow->node[beam]] + grow->ln_decay + fminf(logprob, 0);
}

/* Adds the children that stay to the tree, which has room for all; returns how many. */
static uint32_t place_children(struct se_grow *grow, const uint32_t *id, const float *logprob,
                               uint32_t k, uint32_t width)
{
    float floor = se_best_floor(&grow->best);
    uint32_t n_before = grow->tree->n;
    for (uint32_t b = 0; b < grow->n_frontier; b++) {
        for (uint32_t i = 0; i < width; i++) {
            float score = child_score(grow, b, logprob[(size_t)b * k + i]);
            if (score < floor || score == -INFINITY)
                break; /* the others of this row are no better */
            se_tree_add(grow->tree, grow->node[b], id[(size_t)b * k + i], score, NULL);
        }
    }
    return grow->tree->n - n_before;
}

int se_grow_level(struct se_grow *grow, const uint32_t *topk_id, const float *topk_logprob,
                  uint32_t k)
{
    struct se_tree *tree = grow->tree;
    uint32_t n = grow->n_frontier;
    uint32_t width = k < grow->config.max_branch_width ? k : grow->config.max_branch_width;
    if (n == 0 || k == 0)
        return se_fail(-EINVAL, "the tree waits for no level");
    for (uint32_t b = 0; b < n; b++) {
        int r =
            check_row(grow->node[b], topk_id + (size_t)b * k, topk_logprob + (size_t)b * k, width);
        if (r < 0)
            return se_trace(r);
    }
    /* Room for all: how many tie at the threshold is not known yet. */
    int r = se_tree_reserve(tree, tree->n + n * width);
    if (r < 0)
        return se_trace(r);
    for (uint32_t b = 0; b < n; b++) {
        uint32_t node = grow->node[b];
        tree->row[node] = (int32_t)tree->n_rows++;
        tree->next_token[node] = topk_id[(size_t)b * k];
        tree->next_logprob[node] = topk_logprob[(size_t)b * k];
        for (uint32_t i = 0; i < width; i++)
            se_best_offer(&grow->best, child_score(grow, b, topk_logprob[(size_t)b * k + i]));
    }
    grow->n_levels++;
    if (place_children(grow, topk_id, topk_logprob, k, width) == 0)
        grow->n_frontier = 0;
    else
        r = set_frontier(grow);
    return se_trace(r);
}

int se_grow_finish(struct se_grow *grow, const int32_t **map)
{
    struct se_tree *tree = grow->tree;
    grow->n_frontier = 0;
    if (se_mem_grow(&grow->keep, &grow->keep_cap, tree->n, sizeof *grow->keep) < 0 ||
        se_mem_grow(&grow->map, &grow->map_cap, tree->n, sizeof *grow->map) < 0 ||
        se_mem_grow(&grow->node, &grow->node_cap, tree->n, sizeof *grow->node) < 0)
        return se_trace(-ENOMEM);
    uint32_t first = grow->first;
    for (uint32_t i = 0; i < tree->n; i++) {
        grow->keep[i] = i < first;
        if (i >= first)
            grow->node[i - first] = i;
    }
    int kept = se_best_pick(&grow->scratch, tree->score, grow->node, tree->n - first,
                            grow->config.max_budget);
    if (kept < 0)
        return se_trace(kept);
    for (int i = 0; i < kept; i++)
        grow->keep[grow->node[i]] = 1;
    int r = se_prune_keep(tree, grow->keep, grow->map);
    if (map)
        *map = grow->map;
    return se_trace(r);
}
