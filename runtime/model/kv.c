/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/kv.h"

#include <errno.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { NODES_KEPT = 128 }; /* room for so many is worth keeping: trees come and go */
enum { PAGES_AHEAD = NODES_KEPT / SE_PAGE_SLOTS };

struct se_kv {
    uint32_t n_pages;
    uint32_t n_free;
    uint32_t *free_page; /* the last one given back is the first to be used again: it is warm */
};

int se_kv_new(struct se_kv **out, uint32_t n_pages)
{
    struct se_kv *kv = se_mem_zero(1, sizeof *kv);
    if (!kv)
        return se_trace(-ENOMEM);
    kv->free_page = se_mem_new(n_pages, sizeof *kv->free_page);
    if (!kv->free_page) {
        se_mem_free(kv);
        return se_trace(-ENOMEM);
    }
    kv->n_pages = kv->n_free = n_pages;
    for (uint32_t i = 0; i < n_pages; i++)
        kv->free_page[i] = n_pages - 1 - i;
    *out = kv;
    return 0;
}

void se_kv_free(struct se_kv *kv)
{
    if (!kv)
        return;
    se_mem_free(kv->free_page);
    se_mem_free(kv);
}

uint32_t se_kv_pages(const struct se_kv *kv) { return kv->n_pages; }

uint32_t se_kv_pages_free(const struct se_kv *kv) { return kv->n_free; }

int se_seq_new(struct se_seq **out, struct se_kv *kv)
{
    struct se_seq *seq = se_mem_zero(1, sizeof *seq);
    if (!seq)
        return se_trace(-ENOMEM);
    seq->kv = kv;
    *out = seq;
    return 0;
}

static uint32_t pages_for(uint64_t slots)
{
    return (uint32_t)((slots + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS);
}

/* Gives back the pages behind the last slot in use, and room for nodes that a long prompt took: a
 * sequence that rests would hold it for as long as it lives. */
static void trim(struct se_seq *seq)
{
    uint32_t keep = pages_for((uint64_t)seq->len + seq->pending);
    while (seq->n_pages > keep)
        seq->kv->free_page[seq->kv->n_free++] = seq->page[--seq->n_pages];
    if (seq->pending == 0 && seq->node_cap > NODES_KEPT) {
        se_mem_free(seq->node);
        seq->node = NULL;
        seq->node_cap = 0;
    }
}

/* A place in the table for the pages of the next tree, now that nobody waits for it. If there is
 * no memory, that tree will say so. */
static void reserve_ahead(struct se_seq *seq)
{
    if (se_mem_grow(&seq->page, &seq->page_cap, (size_t)seq->n_pages + PAGES_AHEAD,
                    sizeof *seq->page) < 0)
        se_err_clear();
}

void se_seq_free(struct se_seq *seq)
{
    if (!seq)
        return;
    seq->len = seq->pending = 0;
    trim(seq);
    se_mem_free(seq->page);
    se_mem_free(seq->node);
    se_mem_free(seq);
}

static int check_parents(const struct se_seq *seq, const int32_t *parent, uint32_t n)
{
    for (uint32_t i = 0; parent && i < n; i++) {
        if (parent[i] != SE_NODE_ROOT && (parent[i] < 0 || (uint32_t)parent[i] >= seq->pending + i))
            return se_fail(-EINVAL, "row %u: parent %d is not an earlier node", i, parent[i]);
    }
    return 0;
}

/* Room for the nodes and their pages, or nothing changed. */
static int reserve(struct se_seq *seq, uint32_t n)
{
    uint64_t slots = (uint64_t)seq->len + seq->pending + n;
    if (slots > INT32_MAX)
        return se_fail(-EINVAL, "a sequence of %llu slots is too long", (unsigned long long)slots);
    uint32_t pages = pages_for(slots);
    if (pages > seq->n_pages && pages - seq->n_pages > seq->kv->n_free)
        return SE_KV_FULL;
    int r = se_mem_grow(&seq->node, &seq->node_cap, seq->pending + n, sizeof *seq->node);
    if (r == 0)
        r = se_mem_grow(&seq->page, &seq->page_cap, pages, sizeof *seq->page);
    if (r < 0)
        return se_trace(r);
    while (seq->n_pages < pages)
        seq->page[seq->n_pages++] = seq->kv->free_page[--seq->kv->n_free];
    return 0;
}

int se_seq_add(struct se_seq *seq, const uint32_t *token, const int32_t *parent, uint32_t n)
{
    int r = check_parents(seq, parent, n);
    if (r == 0)
        r = reserve(seq, n);
    if (r)
        return r;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = seq->pending;
        int32_t above = parent ? parent[i] : (int32_t)number - 1; /* -1 is SE_NODE_ROOT */
        seq->node[number] = (struct se_node){
            .parent = above,
            .depth = above == SE_NODE_ROOT ? 0 : seq->node[above].depth + 1,
            .token = token[i],
        };
        seq->pending++;
    }
    return 0;
}

static int check_path(const struct se_seq *seq, const uint32_t *path, uint32_t n)
{
    int32_t above = SE_NODE_ROOT;
    for (uint32_t i = 0; i < n; i++) {
        if (path[i] >= seq->pending || seq->node[path[i]].parent != above)
            return se_fail(-EINVAL, "node %u does not follow node %d in the tree", path[i], above);
        above = (int32_t)path[i];
    }
    return 0;
}

static struct se_kv_move move_of(const struct se_seq *seq, uint32_t from, uint32_t to)
{
    return (struct se_kv_move){
        .from_page = seq->page[from / SE_PAGE_SLOTS],
        .from_slot = from % SE_PAGE_SLOTS,
        .to_page = seq->page[to / SE_PAGE_SLOTS],
        .to_slot = to % SE_PAGE_SLOTS,
    };
}

/* Where a node's parent stands in keep[0..i-1], or n when it does not. */
static uint32_t find_kept(const uint32_t *keep, uint32_t n, int32_t node)
{
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((int32_t)keep[middle] < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && (int32_t)keep[low] == node ? low : n;
}

static int check_keep(const struct se_seq *seq, int32_t above, const uint32_t *keep, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (keep[i] >= seq->pending || (i > 0 && keep[i] <= keep[i - 1]))
            return se_fail(-EINVAL, "node %u cannot stay: numbers ascend and are below %u", keep[i],
                           seq->pending);
        int32_t parent = seq->node[keep[i]].parent;
        if (parent != above && find_kept(keep, i, parent) == i)
            return se_fail(-EINVAL, "node %u cannot stay without its parent %d", keep[i], parent);
    }
    return 0;
}

/* The nodes that stay get their new numbers. They hang on the text now where they hung on the
 * end of the path. */
static void renumber(struct se_seq *seq, int32_t above, const uint32_t *keep, uint32_t n,
                     uint32_t lift)
{
    for (uint32_t i = 0; i < n; i++) {
        struct se_node node = seq->node[keep[i]];
        node.parent =
            node.parent == above ? SE_NODE_ROOT : (int32_t)find_kept(keep, i, node.parent);
        node.depth -= lift;
        seq->node[i] = node;
    }
}

int se_seq_commit(struct se_seq *seq, const uint32_t *path, uint32_t n, const uint32_t *keep,
                  uint32_t n_keep, struct se_kv_move *moves, uint32_t *n_moves)
{
    int r = check_path(seq, path, n);
    int32_t above = n > 0 ? (int32_t)path[n - 1] : SE_NODE_ROOT;
    if (r == 0)
        r = check_keep(seq, above, keep, n_keep);
    if (r < 0)
        return r;
    *n_moves = 0;
    /* A node's number is at least its depth, and what stays stands behind the whole path, so
     * every copy goes down, and in this order no copy lands on a slot that a later one still
     * has to read. */
    for (uint32_t i = 0; i < n; i++) {
        if (path[i] != i)
            moves[(*n_moves)++] = move_of(seq, seq->len + path[i], seq->len + i);
    }
    for (uint32_t i = 0; i < n_keep; i++) {
        if (keep[i] != n + i)
            moves[(*n_moves)++] = move_of(seq, seq->len + keep[i], seq->len + n + i);
    }
    renumber(seq, above, keep, n_keep, n);
    seq->len += n;
    seq->pending = n_keep;
    trim(seq);
    reserve_ahead(seq);
    return 0;
}

void se_seq_settle(struct se_seq *seq)
{
    seq->len += seq->pending;
    seq->pending = 0;
    trim(seq);
    reserve_ahead(seq);
}

void se_seq_drop(struct se_seq *seq, uint32_t n)
{
    if (n < seq->pending)
        seq->pending = n;
    trim(seq);
}

void se_seq_rewind(struct se_seq *seq, uint32_t len)
{
    seq->pending = 0;
    if (len < seq->len)
        seq->len = len;
    trim(seq);
}
