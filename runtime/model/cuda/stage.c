/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/model/cuda/inside.h"

/* The arrays are laid one behind the other, so that what is not used need not be copied. Pointers
 * in the block are those of the device's copy, which begins at there. */
struct writer {
    unsigned char *here, *there;
    size_t used_b, room_b;
};

static void *take(struct writer *w, size_t count, size_t size_b, const void **there)
{
    const size_t at = w->used_b, end = (at + count * size_b + 15) & ~(size_t)15;
    if (end > w->room_b)
        return NULL;
    w->used_b = end;
    *there = w->there + at;
    return w->here + at;
}

bool se_cuda_ranks_here(const struct se_part *ask)
{
    return ask->want == SE_WANT_TOPK && ask->k > SE_GPU_TOPK_MAX;
}

static uint32_t want_of(const struct se_part *ask)
{
    if (se_cuda_ranks_here(ask))
        return SE_GPU_LOGITS;
    switch (ask->want) {
    case SE_WANT_NOTHING:
        return SE_GPU_NOTHING;
    case SE_WANT_TOPK:
        return SE_GPU_TOPK;
    case SE_WANT_LOGITS:
        return SE_GPU_LOGITS;
    case SE_WANT_VERDICT:
        return SE_GPU_VERDICT;
    }
    return SE_GPU_NOTHING;
}

static struct se_gpu_part part_of(const struct se_batch *batch, const struct se_batch_part *from,
                                  uint32_t first_page)
{
    const struct se_sampling *sampling = from->ask->sampling;
    struct se_gpu_part part = {
        .first_row = from->first_row,
        .n_rows = from->n_rows,
        .first_page = first_page,
        .len = batch->row[from->first_row].slot,
        .want = want_of(from->ask),
        .k = from->ask->k,
        .sharpen = from->ask->sharpen,
        .temp = 0,
        .top_p = 1,
    };
    if (sampling && sampling->temp > 0) {
        part.cuts = 1;
        part.temp = sampling->temp;
        part.top_k = sampling->top_k;
        part.top_p = sampling->top_p;
        part.min_p = sampling->min_p;
        part.seed = sampling->seed;
    }
    return part;
}

static void fill_rows(const struct se_batch *batch, uint32_t number, struct se_gpu_row *row)
{
    const struct se_batch_part *part = &batch->part[number];
    const int32_t *parent = part->ask->want == SE_WANT_VERDICT ? part->ask->parent : NULL;
    for (uint32_t i = 0; i < part->n_rows; i++) {
        const struct se_batch_row *from = &batch->row[part->first_row + i];
        row[part->first_row + i] = (struct se_gpu_row){
            .token = from->token,
            .position = from->position,
            .slot = from->slot,
            .plain = from->plain,
            .tail = from->tail,
            .part = number,
            .parent = parent ? parent[i] : (int32_t)i - 1,
        };
    }
}

static uint32_t tiles_of(const struct se_batch_part *part, uint32_t rows_per_tile,
                         struct se_gpu_tile *tile)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < part->n_rows; i += rows_per_tile) {
        const uint32_t left = part->n_rows - i;
        tile[n++] = (struct se_gpu_tile){ .first_row = part->first_row + i,
                                          .n_rows = left < rows_per_tile ? left : rows_per_tile };
    }
    return n;
}

static uint32_t wanted_of(const struct se_batch_part *part, uint32_t *wanted)
{
    if (part->ask->want == SE_WANT_NOTHING && !part->ask->hidden)
        return 0;
    for (uint32_t i = 0; i < part->n_rows; i++)
        wanted[i] = part->first_row + i;
    return part->n_rows;
}

/* Ancestors by name: how many the last row with any has, and where. */
static size_t count_tail(const struct se_batch *batch)
{
    size_t n = 0;
    for (uint32_t i = 0; i < batch->n_rows; i++) {
        const struct se_batch_row *row = &batch->row[i];
        const size_t end = (size_t)row->tail + row->position + 1 - row->plain;
        n = end > n ? end : n;
    }
    return n;
}

static int check_wanted(const struct se_backend *b, const struct se_batch *batch)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < batch->n_parts; i++) {
        const struct se_part *ask = batch->part[i].ask;
        n += ask->want != SE_WANT_NOTHING || ask->hidden ? batch->part[i].n_rows : 0;
    }
    if (n > b->max_wanted)
        return se_fail(-EINVAL, "answers are wanted of %llu rows of a step, and %u is the most",
                       (unsigned long long)n, b->max_wanted);
    return 0;
}

int se_cuda_stage(struct se_backend *b, const struct se_batch *batch)
{
    struct se_cuda_shared *s = &b->shared;
    struct se_gpu_input *head = s->block.host;
    struct writer w = { .here = s->block.host,
                        .there = (unsigned char *)s->input,
                        .room_b = s->block.size_b };
    const void *there = NULL;
    size_t n_pages = 0;
    const size_t n_tail = count_tail(batch);
    const uint32_t group = b->heads.heads / b->heads.kv_heads;
    const uint32_t rows_per_tile = group < SE_GPU_TILE ? SE_GPU_TILE / group : 1;
    int r = check_wanted(b, batch);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < batch->n_parts; i++)
        n_pages += batch->part[i].n_pages;
    take(&w, 1, sizeof *head, &there);
    struct se_gpu_row *row = take(&w, batch->n_rows, sizeof *row, &there);
    head->row = there;
    struct se_gpu_part *part = take(&w, batch->n_parts, sizeof *part, &there);
    head->part = there;
    struct se_gpu_tile *tile = take(&w, batch->n_rows, sizeof *tile, &there);
    head->tile = there;
    uint32_t *wanted = take(&w, b->max_wanted, sizeof *wanted, &there);
    head->wanted = there;
    uint32_t *page = take(&w, n_pages, sizeof *page, &there);
    head->page = there;
    uint32_t *tail = take(&w, n_tail, sizeof *tail, &there);
    head->tail = there;
    if (!row || !part || !tile || !wanted || !page || !tail)
        return se_fail(-EINVAL,
                       "trees of %zu ancestors in all are more than there is room for in a step",
                       n_tail);
    head->number = ++b->number;
    head->n_rows = batch->n_rows;
    head->n_parts = batch->n_parts;
    head->n_tiles = head->n_wanted = 0;
    n_pages = 0;
    for (uint32_t i = 0; i < batch->n_parts; i++) {
        const struct se_batch_part *from = &batch->part[i];
        part[i] = part_of(batch, from, (uint32_t)n_pages);
        memcpy(page + n_pages, from->page, from->n_pages * sizeof *page);
        n_pages += from->n_pages;
        fill_rows(batch, i, row);
        head->n_tiles += tiles_of(from, rows_per_tile, tile + head->n_tiles);
        head->n_wanted += wanted_of(from, wanted + head->n_wanted);
    }
    memcpy(tail, batch->tail, n_tail * sizeof *tail);
    head->size_b = w.used_b;
    return 0;
}
