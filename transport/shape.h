/* SPDX-License-Identifier: Apache-2.0 */
/* transport/shape.h - a tree's shape in two bits for each node behind the root.
 *
 * Nodes travel in level order: node 0 is the root, then come its children, then the children
 * of node 1, of node 2 and so on. Of a tree numbered that way the parents never decrease, and
 * every tree whose parents never decrease is numbered that way. Siblings keep the order the
 * sender gave them.
 *
 *              0                 parent of 1 2 3 4 5   is 0 0 1 1 2
 *            /   \               children of 0: 2, of 1: 2, of 2: 1, of 3 4 5: none
 *           1     2
 *          / \    |              unary, a zero behind each: 110 110 10 0 0 [0]
 *         3   4   5              the last zero says nothing: 10 bits for 5 nodes
 *
 * So bit k is set for k = parent[i] + i - 1, i = 1 ... n - 1, and no other. Bits lie as in
 * pack.h. That siblings carry distinct tokens is se_tree_check()'s to say. Pure; any thread. */
#ifndef SE_TRANSPORT_SHAPE_H
#define SE_TRANSPORT_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SE_SHAPE_NODES_MAX = 1024 };

/* Bytes of a tree of n nodes; 0 for the root alone. */
size_t se_shape_size(uint32_t n);

/* True if parent[] is in level order: parent[i] < i, never decreasing. parent[0] is not read. */
bool se_shape_ordered(const int32_t *parent, uint32_t n);

/* Writes se_shape_size() bytes of a tree in level order, 1 <= n. */
void se_shape_put(const int32_t *parent, uint32_t n, uint8_t *out);

/* Reads se_shape_size() bytes; parent[0] is -1. False: no tree of n nodes has these bits. */
bool se_shape_get(const uint8_t *in, uint32_t n, int32_t *parent);

/* The mapping from any numbering with parent[i] < i: order[k] is the caller's number of the
 * node that travels as k. 1 <= n <= SE_SHAPE_NODES_MAX. False: a parent is not before its
 * child. A tree in level order gives order[k] = k. */
bool se_shape_order(const int32_t *parent, uint32_t n, uint16_t *order);

/* The tree as it travels: parents and tokens in the order of se_shape_order(). */
void se_shape_arrange(const int32_t *parent, const uint32_t *token, uint32_t n,
                      const uint16_t *order, int32_t *parent_out, uint32_t *token_out);

/* The way from the root to node last, path[0] = 0 and path[n_path - 1] = last. False: last is
 * no node, or not n_path nodes from the root, itself counted; path[] holds anything. */
bool se_shape_path(const int32_t *parent, uint32_t n, uint32_t last, uint32_t n_path,
                   uint32_t *path);

#endif
