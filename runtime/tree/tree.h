/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/tree/tree.h - a draft tree as flat arrays.
 *
 *   node      0      1      2      3          the cat
 *   token    the    dog    cat    sat          ├─ dog
 *   parent   -1      0      0      2           └─ cat ── sat
 *
 * Node 0 is the root, the last token of the text. A parent stands before its children and
 * siblings carry distinct tokens; whatever else one wants to know (depths, ancestors, what
 * attention may see) follows from the parents. What crosses the wire has 1 to SE_TREE_MAX
 * nodes; while it grows a tree may be larger.
 *
 * An edge forwards nodes through its draft model in an order of its own. row says which row
 * of the draft's open sequence (runtime/model/kv.h calls it a node of the sequence) belongs
 * to a node, or that the node is a candidate: in the tree, not forwarded yet. Rows 0 to
 * n_lead - 1 are no nodes: the last n_lead tokens of the text before the root, which the draft
 * has not seen and which go into the step that forwards the root, ahead of it, as a chain.
 *
 * One thread at a time per tree; the functions on plain arrays are pure. */
#ifndef SE_RUNTIME_TREE_TREE_H
#define SE_RUNTIME_TREE_TREE_H

#include <stddef.h>
#include <stdint.h>

enum { SE_TREE_MAX = 1024, SE_TREE_MASK_WORDS = SE_TREE_MAX / 64 };
enum { SE_TREE_NO_PARENT = -1, SE_TREE_CANDIDATE = -1 };

struct se_tree {
    uint32_t n;      /* nodes, the root included */
    uint32_t n_lead; /* rows of text before the root's row */
    uint32_t n_rows; /* rows of the draft's open sequence, the leading ones included */

    uint32_t *token;
    int32_t *parent; /* SE_TREE_NO_PARENT for the root */
    uint32_t *depth; /* 0 for the root */
    float *score;    /* of the way to the node; 0 for the root, higher is better */
    int32_t *row;    /* SE_TREE_CANDIDATE: not forwarded */
    /* What the draft thinks follows best, of forwarded nodes. */
    uint32_t *next_token;
    float *next_logprob;

    void *block; /* all of the above */
    uint32_t cap;
};
#define SE_TREE_NULL ((struct se_tree){ 0 })

void se_tree_fini(struct se_tree *tree);

/* Forgets everything but the memory: a root, and n_lead tokens of text that the draft has
 * not seen. 0 or -ENOMEM. */
int se_tree_reset(struct se_tree *tree, uint32_t root, uint32_t n_lead);

/* Room for n nodes in all. 0 or -ENOMEM. */
int se_tree_reserve(struct se_tree *tree, uint32_t n);

/* Adds a candidate below parent; *node (NULL is fine) is its number. That no sibling has the
 * token is the caller's care: se_tree_child() tells. 0, -EINVAL (no such parent), -ENOMEM. */
int se_tree_add(struct se_tree *tree, uint32_t parent, uint32_t token, float score, uint32_t *node);

/* The child of a node that carries the token, or 0: the root is nobody's child. */
uint32_t se_tree_child(const struct se_tree *tree, uint32_t parent, uint32_t token);

/* For trees from outside. Every rule: 1 to SE_TREE_MAX nodes, the root first and alone
 * without a parent, parents before children, tokens below vocab, no two siblings alike.
 * parent NULL: a chain. 0, or -EINVAL and the text names the node. Never reads beyond n. */
int se_tree_check(const int32_t *parent, const uint32_t *token, uint32_t n, uint32_t vocab);

/* The functions below take arrays that passed the check. */

/* Depth of every node; the root's is 0. */
void se_tree_depths(const int32_t *parent, uint32_t n, uint32_t *depth);

/* Ancestors as bits, a node's own bit among them: node j is node i itself or stands above it
 * exactly if bit j % 64 of mask[i * words + j / 64] is set, words = se_tree_mask_words(n). */
uint32_t se_tree_mask_words(uint32_t n);
void se_tree_masks(const int32_t *parent, uint32_t n, uint64_t *mask);

#endif
