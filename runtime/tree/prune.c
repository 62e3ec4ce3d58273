/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tree/prune.h"

#include <errno.h>

#include "runtime/base/err.h"

/* to <= from: a node only ever moves forward, so one pass from the front is enough. */
static void move_node(struct se_tree *tree, uint32_t from, uint32_t to, int32_t parent,
                      uint32_t depth)
{
    tree->token[to] = tree->token[from];
    tree->parent[to] = parent;
    tree->depth[to] = depth;
    tree->score[to] = tree->score[from];
    tree->row[to] = tree->row[from];
    tree->next_token[to] = tree->next_token[from];
    tree->next_logprob[to] = tree->next_logprob[from];
}

int se_prune_keep(struct se_tree *tree, const uint8_t *keep, int32_t *map)
{
    uint32_t n = 0;
    if (!keep[0])
        return se_fail(-EINVAL, "node 0: the root must stay");
    for (uint32_t i = 1; i < tree->n; i++)
        if (keep[i] && !keep[tree->parent[i]])
            return se_fail(-EINVAL, "node %u: it cannot stay without its parent %d", i,
                           tree->parent[i]);
    for (uint32_t i = 0; i < tree->n; i++) {
        map[i] = SE_PRUNE_GONE;
        if (!keep[i])
            continue;
        map[i] = (int32_t)n;
        move_node(tree, i, n++, i == 0 ? SE_TREE_NO_PARENT : map[tree->parent[i]], tree->depth[i]);
    }
    tree->n = n;
    return 0;
}

static int check_path(const struct se_tree *tree, const uint32_t *path, uint32_t n_path)
{
    if (n_path < 1 || path[0] != 0)
        return se_fail(-EINVAL, "an accepted path begins at the root");
    for (uint32_t i = 1; i < n_path; i++)
        if (path[i] >= tree->n || tree->parent[path[i]] != (int32_t)path[i - 1])
            return se_fail(-EINVAL, "node %u of the accepted path is no child of node %u", path[i],
                           path[i - 1]);
    return 0;
}

/* Which rows become text. Returns how many tokens, the bonus apart, the draft still lacks.
 * A node is forwarded after its parent, so what lacks is always the end of the way. */
static uint32_t commit_rows(const struct se_tree *tree, const uint32_t *path, uint32_t n_path,
                            struct se_reroot *reroot)
{
    uint32_t n = 0, seen = 0;
    if (tree->row[0] == SE_TREE_CANDIDATE)
        return tree->n_lead + n_path; /* the leading rows go with the root's */
    while (n < tree->n_lead) {
        reroot->commit[n] = n;
        n++;
    }
    while (seen < n_path && tree->row[path[seen]] != SE_TREE_CANDIDATE)
        reroot->commit[n++] = (uint32_t)tree->row[path[seen++]];
    reroot->n_commit = n;
    return n_path - seen;
}

/* Keeps what hangs on node top, which becomes the root. */
static void keep_below(struct se_tree *tree, uint32_t top, int32_t *map)
{
    uint32_t n = 0, lift = tree->depth[top];
    float over = tree->score[top];
    for (uint32_t i = 0; i < tree->n; i++) {
        bool stays = i == top || (i > top && map[tree->parent[i]] != SE_PRUNE_GONE);
        map[i] = SE_PRUNE_GONE;
        if (!stays)
            continue;
        map[i] = (int32_t)n;
        move_node(tree, i, n, i == top ? SE_TREE_NO_PARENT : map[tree->parent[i]],
                  tree->depth[i] - lift);
        tree->score[n++] -= over;
    }
    tree->n = n;
}

/* Numbers the rows that stay anew, in their old order. */
static void keep_rows(struct se_tree *tree, struct se_reroot *reroot)
{
    uint32_t *sorted = reroot->keep, n = 0;
    for (uint32_t i = 0; i < tree->n; i++) {
        if (tree->row[i] == SE_TREE_CANDIDATE)
            continue;
        uint32_t at = n++; /* nearly in order already: insertion costs next to nothing */
        for (; at > 0 && tree->row[sorted[at - 1]] > tree->row[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = sorted[i];
        sorted[i] = (uint32_t)tree->row[node];
        tree->row[node] = (int32_t)i;
    }
    reroot->n_keep = n;
}

int se_prune_reroot(struct se_tree *tree, const uint32_t *path, uint32_t n_path, uint32_t bonus,
                    struct se_reroot *reroot)
{
    int r = check_path(tree, path, n_path);
    if (r < 0)
        return se_trace(r);
    uint32_t top = se_tree_child(tree, path[n_path - 1], bonus);
    reroot->hit = top != 0;
    reroot->n_commit = 0;
    reroot->n_keep = 0;
    uint32_t n_lead = commit_rows(tree, path, n_path, reroot);
    if (reroot->hit) {
        keep_below(tree, top, reroot->map);
        keep_rows(tree, reroot);
        tree->n_lead = n_lead;
        tree->n_rows = n_lead + reroot->n_keep;
        return 0;
    }
    for (uint32_t i = 0; i < tree->n; i++)
        reroot->map[i] = SE_PRUNE_GONE;
    return se_tree_reset(tree, bonus, n_lead);
}
