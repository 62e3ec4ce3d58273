/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/kv.h - who holds which page: sequences over a bounded pool of pages.
 *
 *   slots of one sequence:
 *   0 ............ len-1 | len ......... len+pending-1
 *   committed text,      | nodes of the tree that is still open,
 *   slot = position      | slot = len + node number, in the order they were added
 *
 * Every row a model step computes is a node: a prompt is a tree without branches, a decode
 * step a tree of one. A node's position is len + its depth. Committing a path moves its
 * slots to their positions (only those that do not lie there already) and drops the rest, but
 * for what hangs on the end of the path and is to stay.
 * A page holds SE_PAGE_SLOTS slots of all layers. This file knows page numbers, not bytes:
 * the backend owns the memory. One thread at a time per pool. */
#ifndef SE_RUNTIME_MODEL_KV_H
#define SE_RUNTIME_MODEL_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SE_NODE_ROOT = -1 }; /* parent of a node that follows the committed text */
enum { SE_KV_FULL = 1 };    /* no page is free: nothing was changed */

struct se_kv; /* the pool */

struct se_node {
    int32_t parent; /* an earlier node, or SE_NODE_ROOT */
    uint32_t depth; /* 0 for a child of the committed text */
    uint32_t token;
};

struct se_seq {
    struct se_kv *kv;
    uint32_t *page; /* numbers of its pages */
    uint32_t n_pages;
    uint32_t len;     /* committed tokens whose keys and values are there */
    uint32_t pending; /* nodes */
    struct se_node *node;
    size_t page_cap, node_cap;
};

/* A slot that has to be copied for a commit; the backend does it. */
struct se_kv_move {
    uint32_t from_page, from_slot, to_page, to_slot;
};

int se_kv_new(struct se_kv **out, uint32_t n_pages);
void se_kv_free(struct se_kv *kv); /* NULL is fine; all sequences must be gone */
uint32_t se_kv_pages(const struct se_kv *kv);
uint32_t se_kv_pages_free(const struct se_kv *kv);

int se_seq_new(struct se_seq **out, struct se_kv *kv);
void se_seq_free(struct se_seq *seq); /* gives its pages back; NULL is fine */

/* Adds n nodes. parent[i] is a node number (of earlier nodes, these included) or
 * SE_NODE_ROOT; NULL: a chain that goes on from the last pending node. 0, SE_KV_FULL, or
 * -EINVAL (a parent that is not earlier) with nothing changed. */
int se_seq_add(struct se_seq *seq, const uint32_t *token, const int32_t *parent, uint32_t n);

/* Makes the path (node numbers, each the child of the one before, the first a child of the
 * text) part of the text. Of the other nodes those in keep (ascending; below the end of the
 * path, each with its parent) stay and are numbered from 0 on; the rest is gone. Writes the
 * copies to do into moves (room for n + n_keep), *n_moves of them, to be done in order. */
int se_seq_commit(struct se_seq *seq, const uint32_t *path, uint32_t n, const uint32_t *keep,
                  uint32_t n_keep, struct se_kv_move *moves, uint32_t *n_moves);

/* All nodes become text; they are a chain. */
void se_seq_settle(struct se_seq *seq);

/* Forgets nodes from number n on. Pages no longer needed go back. */
void se_seq_drop(struct se_seq *seq, uint32_t n);
/* Forgets all nodes, and the text from position len on (len <= seq->len). */
void se_seq_rewind(struct se_seq *seq, uint32_t len);

#endif
