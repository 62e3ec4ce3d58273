/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/tree/accept.h - the walk that turns a verified tree into text. Pure; any thread.
 *
 *   drafted            sampled by the target     accepted: 0, 2, 3; bonus: x
 *        0 the                 0: cat
 *       / \
 *   1 dog  2 cat               2: sat
 *          |
 *          3 sat               3: x
 *
 * Node 0 is the root, the last token of the text. From it the walk goes to the child that
 * carries the token sampled at its parent, as long as there is one. */
#ifndef SE_RUNTIME_TREE_ACCEPT_H
#define SE_RUNTIME_TREE_ACCEPT_H

#include <stdint.h>

/* parent[i] < i for i >= 1 (parent[0] is not read); NULL: a chain. n >= 1. path has room
 * for n; returns how many nodes were accepted, at least 1. *bonus is the token sampled at
 * the last of them. Of two siblings with the same token the earlier one is taken. */
uint32_t se_accept_walk(const int32_t *parent, const uint32_t *token, const uint32_t *sampled,
                        uint32_t n, uint32_t *path, uint32_t *bonus);

#endif
