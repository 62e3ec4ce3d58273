/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/shape.h"

#include <string.h>

#include "runtime/tree/tree.h"
#include "transport/pack.h"

_Static_assert((int)SE_SHAPE_NODES_MAX == (int)SE_TREE_MAX, "every tree can travel");
_Static_assert(SE_TREE_NO_PARENT == -1, "as se_shape_get() gives it to the root");

size_t se_shape_size(uint32_t n) { return ((size_t)n - 1 + 3) / 4; }

bool se_shape_ordered(const int32_t *parent, uint32_t n)
{
    int32_t before = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (parent[i] < before || parent[i] >= (int32_t)i)
            return false;
        before = parent[i];
    }
    return true;
}

void se_shape_put(const int32_t *parent, uint32_t n, uint8_t *out)
{
    memset(out, 0, se_shape_size(n));
    for (uint32_t i = 1; i < n; i++) {
        uint32_t bit = (uint32_t)parent[i] + i - 1;
        out[bit / 8] = (uint8_t)(out[bit / 8] | 1u << bit % 8);
    }
}

/* From set bit to set bit, not bit by bit: the number of turns is known beforehand, so the
 * processor guesses no branch wrong, whatever the tree. */
bool se_shape_get(const uint8_t *in, uint32_t n, int32_t *parent)
{
    const uint32_t size_b = (uint32_t)se_shape_size(n);
    uint32_t i = 1; /* the node whose bit is next */
    parent[0] = -1;
    for (uint32_t at = 0; at < size_b; at += 8) {
        uint64_t word = se_pack_get(in + at, size_b - at < 8 ? size_b - at : 8);
        uint32_t n_set = (uint32_t)__builtin_popcountll(word);
        if (n_set > n - i)
            return false;
        for (uint32_t end = i + n_set; i < end; i++) {
            uint32_t bit = at * 8 + (uint32_t)__builtin_ctzll(word);
            /* bit - (i - 1) zeros stand before it, so many nodes have all their children. */
            if (bit > 2 * (i - 1))
                return false;
            parent[i] = (int32_t)(bit - (i - 1));
            word &= word - 1;
        }
    }
    return i == n;
}

bool se_shape_order(const int32_t *parent, uint32_t n, uint16_t *order)
{
    /* Children of each node as a list, by the caller's numbers; 0 ends it, as the root is no
     * child. Filled from the back, so that siblings keep their order. */
    uint16_t first[SE_SHAPE_NODES_MAX] = { 0 }, next[SE_SHAPE_NODES_MAX];
    uint32_t n_order = 1;
    for (uint32_t i = n - 1; i >= 1; i--) {
        if (parent[i] < 0 || parent[i] >= (int32_t)i)
            return false;
        next[i] = first[parent[i]];
        first[parent[i]] = (uint16_t)i;
    }
    order[0] = 0;
    for (uint32_t k = 0; k < n; k++)
        for (uint16_t child = first[order[k]]; child; child = next[child])
            order[n_order++] = child;
    return true;
}

void se_shape_arrange(const int32_t *parent, const uint32_t *token, uint32_t n,
                      const uint16_t *order, int32_t *parent_out, uint32_t *token_out)
{
    uint16_t rank[SE_SHAPE_NODES_MAX]; /* where the caller's node travels */
    for (uint32_t k = 0; k < n; k++)
        rank[order[k]] = (uint16_t)k;
    parent_out[0] = -1;
    for (uint32_t k = 1; k < n; k++)
        parent_out[k] = rank[parent[order[k]]];
    for (uint32_t k = 0; k < n; k++)
        token_out[k] = token[order[k]];
}

bool se_shape_path(const int32_t *parent, uint32_t n, uint32_t last, uint32_t n_path,
                   uint32_t *path)
{
    if (last >= n || n_path < 1 || n_path > n)
        return false;
    uint32_t node = last;
    for (uint32_t i = n_path; i-- > 1;) {
        if (node == 0)
            return false;
        path[i] = node;
        node = (uint32_t)parent[node];
    }
    path[0] = node;
    return node == 0;
}
