/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tree/tree.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { ARRAYS = 7, CELL_B = 4 };

_Static_assert(sizeof(float) == CELL_B, "all arrays of a tree have cells of one size");

void se_tree_fini(struct se_tree *tree)
{
    se_mem_free(tree->block);
    *tree = SE_TREE_NULL;
}

static void *move_array(unsigned char **to, const void *from, uint32_t n, uint32_t cap)
{
    void *array = *to;
    if (n > 0)
        memcpy(array, from, (size_t)n * CELL_B);
    *to += (size_t)cap * CELL_B;
    return array;
}

int se_tree_reserve(struct se_tree *tree, uint32_t n)
{
    if (n <= tree->cap)
        return 0;
    if (n > INT32_MAX)
        return se_fail(-ENOMEM, "a tree of %u nodes is too large", n);
    uint32_t cap = tree->cap < 32 ? 64 : tree->cap * 2;
    if (cap < n)
        cap = n;
    unsigned char *block = se_mem_new((size_t)cap * ARRAYS, CELL_B), *at = block;
    if (!block)
        return se_trace(-ENOMEM);
    tree->token = move_array(&at, tree->token, tree->n, cap);
    tree->parent = move_array(&at, tree->parent, tree->n, cap);
    tree->depth = move_array(&at, tree->depth, tree->n, cap);
    tree->score = move_array(&at, tree->score, tree->n, cap);
    tree->row = move_array(&at, tree->row, tree->n, cap);
    tree->next_token = move_array(&at, tree->next_token, tree->n, cap);
    tree->next_logprob = move_array(&at, tree->next_logprob, tree->n, cap);
    se_mem_free(tree->block);
    tree->block = block;
    tree->cap = cap;
    return 0;
}

static void place(struct se_tree *tree, int32_t parent, uint32_t token, float score)
{
    uint32_t i = tree->n++;
    tree->token[i] = token;
    tree->parent[i] = parent;
    tree->depth[i] = parent < 0 ? 0 : tree->depth[parent] + 1;
    tree->score[i] = score;
    tree->row[i] = SE_TREE_CANDIDATE;
    tree->next_token[i] = 0;
    tree->next_logprob[i] = 0;
}

int se_tree_reset(struct se_tree *tree, uint32_t root, uint32_t n_lead)
{
    int r = se_tree_reserve(tree, 1);
    if (r < 0)
        return se_trace(r);
    tree->n = 0;
    place(tree, SE_TREE_NO_PARENT, root, 0);
    tree->n_lead = n_lead;
    tree->n_rows = n_lead;
    return 0;
}

int se_tree_add(struct se_tree *tree, uint32_t parent, uint32_t token, float score, uint32_t *node)
{
    if (parent >= tree->n)
        return se_fail(-EINVAL, "node %u: its parent %u is not there", tree->n, parent);
    int r = se_tree_reserve(tree, tree->n + 1);
    if (r < 0)
        return se_trace(r);
    if (node)
        *node = tree->n;
    place(tree, (int32_t)parent, token, score);
    return 0;
}

uint32_t se_tree_child(const struct se_tree *tree, uint32_t parent, uint32_t token)
{
    for (uint32_t i = parent + 1; i < tree->n; i++)
        if (tree->parent[i] == (int32_t)parent && tree->token[i] == token)
            return i;
    return 0;
}

static int check_parents(const int32_t *parent, uint32_t n)
{
    if (parent[0] != SE_TREE_NO_PARENT)
        return se_fail(-EINVAL, "node 0: the root has a parent, %d", parent[0]);
    for (uint32_t i = 1; i < n; i++)
        if ((uint32_t)parent[i] >= i) /* a negative one is large */
            return se_fail(-EINVAL, "node %u: its parent %d does not stand before it", i,
                           parent[i]);
    return 0;
}

/* Looks node i up among the earlier ones and enters it. Whoever sends trees made to collide
 * makes this walk the whole table; of SE_TREE_MAX nodes, which costs less than forwarding
 * one of them. */
static bool is_new(uint16_t *table, uint32_t size, const int32_t *parent, const uint32_t *token,
                   uint32_t i)
{
    uint64_t key = ((uint64_t)(uint32_t)parent[i] << 32 | token[i]) * 0x9e3779b97f4a7c15u;
    for (uint32_t at = (uint32_t)(key >> 40) & (size - 1);; at = (at + 1) & (size - 1)) {
        uint32_t other = table[at]; /* 0: free, as the root has no siblings */
        if (other == 0) {
            table[at] = (uint16_t)i;
            return true;
        }
        if (parent[other] == parent[i] && token[other] == token[i])
            return false;
    }
}

static int check_siblings(const int32_t *parent, const uint32_t *token, uint32_t n)
{
    uint16_t table[2 * SE_TREE_MAX];
    uint32_t size = 2;
    while (size < 2 * n)
        size *= 2;
    memset(table, 0, size * sizeof *table);
    for (uint32_t i = 1; i < n; i++)
        if (!is_new(table, size, parent, token, i))
            return se_fail(-EINVAL, "node %u: a sibling of it carries token %u as well", i,
                           token[i]);
    return 0;
}

int se_tree_check(const int32_t *parent, const uint32_t *token, uint32_t n, uint32_t vocab)
{
    if (n < 1 || n > SE_TREE_MAX)
        return se_fail(-EINVAL, "a tree has 1 to %d nodes, not %u", SE_TREE_MAX, n);
    for (uint32_t i = 0; i < n; i++)
        if (token[i] >= vocab)
            return se_fail(-EINVAL, "node %u: token %u is not below %u", i, token[i], vocab);
    if (!parent)
        return 0;
    int r = check_parents(parent, n);
    if (r == 0)
        r = check_siblings(parent, token, n);
    return se_trace(r);
}

void se_tree_depths(const int32_t *parent, uint32_t n, uint32_t *depth)
{
    depth[0] = 0;
    for (uint32_t i = 1; i < n; i++)
        depth[i] = depth[parent ? (uint32_t)parent[i] : i - 1] + 1;
}

uint32_t se_tree_mask_words(uint32_t n) { return (n + 63) / 64; }

void se_tree_masks(const int32_t *parent, uint32_t n, uint64_t *mask)
{
    size_t words = se_tree_mask_words(n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t *own = mask + i * words;
        if (i == 0)
            memset(own, 0, words * sizeof *own);
        else /* what the parent sees, and the parent sees itself */
            memcpy(own, mask + (parent ? (uint32_t)parent[i] : i - 1) * words, words * sizeof *own);
        own[i / 64] |= (uint64_t)1 << (i % 64);
    }
}
