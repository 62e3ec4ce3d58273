/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/tree/prune.h - what stays of a tree, and where it went.
 *
 * Nodes that stay keep their order. Every function tells where each node went, so that the
 * caller can do the same to whatever else it holds by node. One thread at a time per tree. */
#ifndef SE_RUNTIME_TREE_PRUNE_H
#define SE_RUNTIME_TREE_PRUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/tree/tree.h"

enum { SE_PRUNE_GONE = -1 };

/* Keeps the nodes with keep[i] != 0. map[old] is the new number or SE_PRUNE_GONE; keep and
 * map have tree->n cells and may not overlap. Rows stay as they are: the draft still has
 * those of the nodes that went. 0, or -EINVAL with nothing changed when the root is not kept
 * or a node is kept without its parent; the text names it. */
int se_prune_keep(struct se_tree *tree, const uint8_t *keep, int32_t *map);

/* The start of the next round.
 *
 *   before                             hit (bonus x)          miss (bonus y)
 *   the ── cat ── sat ── x ── on       x ── on                y
 *    │                    └── in       └── in
 *    └── dog
 *   accepted: the, cat, sat; x and what hangs on it was drafted on a bet (bet.h)
 *
 * When the last accepted node has a child that carries the bonus, the bet was won: the child
 * becomes the root and what is below it stays, with its scores as counted from there. Otherwise the new tree is
 * the bonus alone, and nothing is left of any bet.
 *
 * The draft's open sequence follows: rows commit[0..n_commit-1] become text, in this order,
 * rows keep[0..n_keep-1] (ascending) stay open and become rows 0 to n_keep - 1 behind it, the
 * others are gone. The tree's row already says the new numbers. Accepted nodes that were
 * never forwarded have no row to commit: they are counted in the new tree->n_lead, are the
 * last n_lead tokens of the text before the bonus, and will be seen with the next root. */
struct se_reroot {
    /* Room from the caller. */
    int32_t *map;     /* tree->n: old node to new node, or SE_PRUNE_GONE */
    uint32_t *commit; /* tree->n_lead + n_path */
    uint32_t *keep;   /* tree->n */
    /* Results. */
    uint32_t n_commit, n_keep;
    bool hit;
};

/* path: the accepted nodes, root first (accept.h). 0, or -EINVAL with nothing changed: the
 * path is no way down from the root. */
int se_prune_reroot(struct se_tree *tree, const uint32_t *path, uint32_t n_path, uint32_t bonus,
                    struct se_reroot *reroot);

#endif
