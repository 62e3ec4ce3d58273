/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/attend_lanes.h - attention over lanes.
 *
 * The arithmetic of one pair (row, q head), which is all that its bits depend on:
 *     s[p]  = fused sum over d ascending of (q[d] * scale) * k[p][d], from zero
 *     e[p]  = exp(s[p] - max of s)
 *     sum   = lane i adds the e[p] with p % SE_LANES == i, ascending; then the tree of vf_sum
 *     o[d]  = fused sum over p ascending of e[p] * v[p][d], from zero
 *     out   = o * (1 / sum)
 * The rest is a matter of speed. A block of pairs goes through three stages:
 *     scores   tiles of pairs x pages: a vector of keys, and what it cost to load and widen,
 *              serves all pairs of the tile. A lane is a slot, so nothing is summed across
 *              lanes. Slots below plain fall on their positions; the tail's keys are gathered
 *              into a page of their own, in order of position.
 *     softmax  pair by pair, in place
 *     mix      tiles of pairs x vectors of a head, over the positions that all pairs of the
 *              tile have in common; then each pair's own rest, in order of position
 * Scores of slots that a pair does not see are computed and overwritten, never used. */
#ifndef SE_KERNELS_ATTEND_LANES_H
#define SE_KERNELS_ATTEND_LANES_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/attend_set.h"
#include "kernels/lanes.h"
#include "kernels/lanes_set.h"

#if SE_LANES
#define APART static __attribute__((noinline, unused)) /* one copy of many tiles */

enum {
    PAGE_VECTORS = SE_PAGE_SLOTS / SE_LANES,
    /* As many sums as the registers hold beside what feeds them. */
    SCORE_PAIRS = SE_LANES == 16 ? 12 : 6,
    SCORE_PAGES = SE_LANES == 16 ? 2 : 1, /* ... of a whole tile */
    MIX_PAIRS = 6,
    MIX_VECTORS = SE_LANES == 8 ? 2 : 4,
    CHUNK_FLOATS = 4096 /* of widened pages: half of a small first-level cache */
};

struct attend_block {
    const struct se_attend_job *job;
    uint32_t first, n;  /* pairs; pair i is head i % n_q of row i / n_q */
    uint32_t max_plain; /* of its rows */
    bool half;          /* pages of f16 */
    size_t stride;      /* floats from pair to pair of scores */
    float *scores;
    float *query; /* tile by tile: [dim][pairs of the tile] */
    float *sum;   /* of a pair's exponentials */
    float *wide;  /* widened pages */
    float *tail;  /* a page of gathered keys, of the pages' own type */
};

static inline const struct se_attend_row *row_of(const struct attend_block *block, uint32_t pair)
{
    return &block->job->row[(block->first + pair) / block->job->n_q];
}

static inline uint32_t plain_of(const struct se_attend_row *row)
{
    return row->plain < row->n_seen ? row->plain : row->n_seen;
}

static inline float *out_of(const struct attend_block *block, uint32_t pair)
{
    uint32_t head = (block->first + pair) % block->job->n_q;
    return row_of(block, pair)->out + (size_t)head * block->job->dim;
}

/* The pair after the last one of this pair's row. */
static inline uint32_t row_end(const struct attend_block *block, uint32_t pair)
{
    uint32_t next = pair + block->job->n_q - (block->first + pair) % block->job->n_q;
    return next < block->n ? next : block->n;
}

SE_INLINE vf load_wide(const void *page, size_t at, bool half)
{
    return half ? vf_load_half((const uint16_t *)page + at) : vf_load((const float *)page + at);
}

SE_INLINE vf load_wide_part(const void *page, size_t at, uint32_t n, bool half)
{
    return half ? vf_load_half_part((const uint16_t *)page + at, n)
                : vf_load_part((const float *)page + at, n, 0);
}

/* ---- scores ---- */

/* Scores of a tile: pairs x pages sums in registers. query: [dim][pairs]. */
SE_INLINE void score_tile(uint32_t pairs, uint32_t pages, bool half, const float *query,
                          uint32_t dim, const void *const *key, float *scores, size_t stride)
{
    vf sum[SCORE_PAIRS][4 * PAGE_VECTORS];
    for (uint32_t i = 0; i < pairs; i++)
        for (uint32_t j = 0; j < pages * PAGE_VECTORS; j++)
            sum[i][j] = vf_zero();
    for (uint32_t d = 0; d < dim; d++, query += pairs) {
        vf k[4 * PAGE_VECTORS];
        for (uint32_t j = 0; j < pages * PAGE_VECTORS; j++)
            k[j] = load_wide(key[j / PAGE_VECTORS],
                             (size_t)d * SE_PAGE_SLOTS + j % PAGE_VECTORS * SE_LANES, half);
        for (uint32_t i = 0; i < pairs; i++) {
            vf q = vf_set(query[i]);
            for (uint32_t j = 0; j < pages * PAGE_VECTORS; j++)
                sum[i][j] = vf_fma(q, k[j], sum[i][j]);
        }
    }
    for (uint32_t i = 0; i < pairs; i++)
        for (uint32_t j = 0; j < pages * PAGE_VECTORS; j++)
            vf_store(scores + i * stride + j * SE_LANES, sum[i][j]);
}

/* All pages, several at a time while there are that many. */
SE_INLINE void score_pages(uint32_t pairs, uint32_t pages, bool half, const float *query,
                           uint32_t dim, const void *const *key, uint32_t n_pages, float *scores,
                           size_t stride)
{
    uint32_t page = 0;
    for (; n_pages - page >= pages; page += pages)
        score_tile(pairs, pages, half, query, dim, key + page, scores + page * SE_PAGE_SLOTS,
                   stride);
    for (; page < n_pages; page++)
        score_tile(pairs, 1, half, query, dim, key + page, scores + page * SE_PAGE_SLOTS, stride);
}

SE_INLINE void score_any(uint32_t pairs, bool half, const float *query, uint32_t dim,
                         const void *const *key, uint32_t n_pages, float *scores, size_t stride)
{
    switch (pairs) {
    case SCORE_PAIRS:
        score_pages(SCORE_PAIRS, SCORE_PAGES, half, query, dim, key, n_pages, scores, stride);
        break;
#if SE_LANES == 16
    case 8:
        score_pages(8, 2, half, query, dim, key, n_pages, scores, stride);
        break;
#endif
    case 4:
        score_pages(4, SE_LANES == 16 ? 4 : 1, half, query, dim, key, n_pages, scores, stride);
        break;
    case 2:
        score_pages(2, SE_LANES == 16 ? 4 : 2, half, query, dim, key, n_pages, scores, stride);
        break;
    default:
        score_pages(1, 4, half, query, dim, key, n_pages, scores, stride);
        break;
    }
}

APART void score_f32(uint32_t pairs, const float *query, uint32_t dim, const void *const *key,
                     uint32_t n_pages, float *scores, size_t stride)
{
    score_any(pairs, false, query, dim, key, n_pages, scores, stride);
}

APART void score_f16(uint32_t pairs, const float *query, uint32_t dim, const void *const *key,
                     uint32_t n_pages, float *scores, size_t stride)
{
    score_any(pairs, true, query, dim, key, n_pages, scores, stride);
}

static inline void score(bool half, uint32_t pairs, const float *query, uint32_t dim,
                         const void *const *key, uint32_t n_pages, float *scores, size_t stride)
{
    (half ? score_f16 : score_f32)(pairs, query, dim, key, n_pages, scores, stride);
}

/* Pairs of the next tile, of n that are left. */
static inline uint32_t score_step(uint32_t n)
{
    if (n >= SCORE_PAIRS)
        return SCORE_PAIRS;
    if (SE_LANES == 16 && n >= 8)
        return 8;
    return n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

/* Queries of n pairs, scaled, as [dim][n]. */
static inline void pack_queries(const struct attend_block *block, uint32_t pair, uint32_t n,
                                float *query)
{
    const struct se_attend_job *job = block->job;
    for (uint32_t i = 0; i < n; i++) {
        const float *q =
            row_of(block, pair + i)->q + (size_t)((block->first + pair + i) % job->n_q) * job->dim;
        for (uint32_t d = 0; d < job->dim; d++)
            query[(size_t)d * n + i] = q[d] * job->scale;
    }
}

/* Widens whole pages, each of dim * SE_PAGE_SLOTS elements, and points at the copies. */
static inline void widen_pages(const void *const *page, uint32_t n_pages, size_t page_floats,
                               float *wide, const void **copy)
{
    for (uint32_t i = 0; i < n_pages; i++, wide += page_floats) {
        for (size_t at = 0; at < page_floats; at += SE_LANES)
            vf_store(wide + at, load_wide(page[i], at, true));
        copy[i] = wide;
    }
}

enum { CHUNK_PAGES = 8 };

/* Pages that go through all tiles before the next ones do. */
static inline uint32_t chunk_pages(uint32_t dim)
{
    uint32_t n = CHUNK_FLOATS / (dim * SE_PAGE_SLOTS);
    return n < 1 ? 1 : n < CHUNK_PAGES ? n : CHUNK_PAGES;
}

static inline void score_plain(const struct attend_block *block)
{
    const struct se_attend_job *job = block->job;
    uint32_t n_pages = (block->max_plain + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS;
    bool widen = block->half && block->n > SCORE_PAIRS;
    uint32_t chunk = block->n > SCORE_PAIRS ? chunk_pages(job->dim) : n_pages;
    for (uint32_t page = 0; page < n_pages; page += chunk) {
        const void *copy[CHUNK_PAGES];
        const void *const *key = job->key + page;
        uint32_t n = n_pages - page < chunk ? n_pages - page : chunk;
        if (widen) {
            widen_pages(key, n, (size_t)job->dim * SE_PAGE_SLOTS, block->wide, copy);
            key = copy;
        }
        for (uint32_t pair = 0, step; pair < block->n; pair += step) {
            step = score_step(block->n - pair);
            const float *query = block->query + (size_t)pair * job->dim;
            float *scores = block->scores + pair * block->stride + page * SE_PAGE_SLOTS;
            score(block->half && !widen, step, query, job->dim, key, n, scores, block->stride);
        }
    }
}

SE_INLINE void gather(const void *const *page, const uint32_t *slot, uint32_t n, uint32_t dim,
                      size_t size_b, unsigned char *to)
{
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *from = page[slot[i] / SE_PAGE_SLOTS];
        from += slot[i] % SE_PAGE_SLOTS * size_b;
        for (size_t d = 0; d < dim; d++)
            memcpy(to + (d * SE_PAGE_SLOTS + i) * size_b, from + d * SE_PAGE_SLOTS * size_b,
                   size_b);
    }
}

/* The keys of n <= SE_PAGE_SLOTS slots as one page. The other lanes' sums go unused. */
static inline void gather_keys(const struct attend_block *block, const uint32_t *slot, uint32_t n)
{
    const struct se_attend_job *job = block->job;
    if (block->half)
        gather(job->key, slot, n, job->dim, 2, (unsigned char *)block->tail);
    else
        gather(job->key, slot, n, job->dim, 4, (unsigned char *)block->tail);
}

/* Scores of the tail of the row of pairs [from, to). Packs queries where pages are widened. */
static inline void score_tail(const struct attend_block *block, uint32_t from, uint32_t to)
{
    const struct se_attend_job *job = block->job;
    const struct se_attend_row *row = row_of(block, from);
    const void *key = block->tail;
    for (uint32_t p = plain_of(row); p < row->n_seen; p += SE_PAGE_SLOTS) {
        uint32_t left = row->n_seen - p;
        gather_keys(block, row->tail + (p - row->plain),
                    left < SE_PAGE_SLOTS ? left : SE_PAGE_SLOTS);
        for (uint32_t pair = from, step; pair < to; pair += step) {
            step = score_step(to - pair);
            pack_queries(block, pair, step, block->wide);
            score(block->half, step, block->wide, job->dim, &key, 1,
                  block->scores + pair * block->stride + p, block->stride);
        }
    }
}

/* ---- softmax ---- */

SE_INLINE vf exponentials_of(float *s, uint32_t n, vf most, vf sum)
{
    vf e[SE_EXP_CHAINS];
    for (uint32_t i = 0; i < n; i++)
        e[i] = vf_sub(vf_load(s + i * SE_LANES), most);
    vf_exp_down(e, n);
    for (uint32_t i = 0; i < n; i++) {
        vf_store(s + i * SE_LANES, e[i]);
        sum = vf_add(sum, e[i]);
    }
    return sum;
}

/* Turns n scores into exponentials and returns their sum. Lanes beyond n, up to a whole
 * vector, become 0. */
static inline float exponentials(float *s, uint32_t n)
{
    uint32_t whole = n / SE_LANES * SE_LANES;
    for (uint32_t i = n; i % SE_LANES; i++)
        s[i] = -INFINITY;
    vf most = vf_set(vf_largest_of(s, n)), sum = vf_zero();
    if (whole < n)
        whole += SE_LANES;
    uint32_t p = 0;
    for (; whole - p >= SE_EXP_CHAINS * SE_LANES; p += SE_EXP_CHAINS * SE_LANES)
        sum = exponentials_of(s + p, SE_EXP_CHAINS, most, sum);
    for (; p < whole; p += SE_LANES)
        sum = exponentials_of(s + p, 1, most, sum);
    return vf_sum(sum);
}

/* ---- mix ---- */

struct mix {
    const float *share; /* of the first pair, at the first position */
    size_t stride;
    float *out[MIX_PAIRS]; /* sums so far, at the first of the vectors */
};

/* Adds the values of n slots, side by side row_floats apart, to a tile of pairs x vectors.
 * part: lanes of the only vector, when it is not whole. */
SE_INLINE void mix_tile(uint32_t pairs, uint32_t vectors, bool half, uint32_t part,
                        const struct mix *mix, const void *const *value, size_t at,
                        size_t row_floats, uint32_t n_slots)
{
    vf sum[MIX_PAIRS][MIX_VECTORS];
    for (uint32_t i = 0; i < pairs; i++)
        for (uint32_t j = 0; j < vectors; j++)
            sum[i][j] =
                part ? vf_load_part(mix->out[i], part, 0) : vf_load(mix->out[i] + j * SE_LANES);
    const float *share = mix->share;
    for (uint32_t left = n_slots; left > 0; value++) {
        uint32_t here = left < SE_PAGE_SLOTS ? left : SE_PAGE_SLOTS;
        size_t from = at;
        left -= here;
        for (; here > 0; here--, from += row_floats, share++) {
            vf v[MIX_VECTORS];
            for (uint32_t j = 0; j < vectors; j++)
                v[j] = part ? load_wide_part(*value, from, part, half)
                            : load_wide(*value, from + j * SE_LANES, half);
            for (uint32_t i = 0; i < pairs; i++) {
                vf e = vf_set(share[i * mix->stride]);
                for (uint32_t j = 0; j < vectors; j++)
                    sum[i][j] = vf_fma(e, v[j], sum[i][j]);
            }
        }
    }
    for (uint32_t i = 0; i < pairs; i++) {
        for (uint32_t j = 0; j < vectors; j++) {
            if (part)
                vf_store_part(mix->out[i], sum[i][j], part);
            else
                vf_store(mix->out[i] + j * SE_LANES, sum[i][j]);
        }
    }
}

/* All vectors of a head: wide tiles first, then narrower ones, then the lanes left over. */
SE_INLINE void mix_head(uint32_t pairs, bool half, struct mix *mix, const void *const *value,
                        size_t at, uint32_t dim, uint32_t n_slots)
{
    uint32_t d = 0, next = 0;
    for (; d < dim; d = next) {
        uint32_t left = dim - d;
        if (left >= MIX_VECTORS * SE_LANES) {
            mix_tile(pairs, MIX_VECTORS, half, 0, mix, value, at + d, dim, n_slots);
            next = d + MIX_VECTORS * SE_LANES;
        } else if (left >= 2 * SE_LANES) {
            mix_tile(pairs, 2, half, 0, mix, value, at + d, dim, n_slots);
            next = d + 2 * SE_LANES;
        } else if (left >= SE_LANES) {
            mix_tile(pairs, 1, half, 0, mix, value, at + d, dim, n_slots);
            next = d + SE_LANES;
        } else {
            mix_tile(pairs, 1, half, left, mix, value, at + d, dim, n_slots);
            next = dim;
        }
        for (uint32_t i = 0; i < pairs; i++)
            mix->out[i] += next - d;
    }
}

SE_INLINE void mix_any(uint32_t pairs, bool half, struct mix *mix, const void *const *value,
                       size_t at, uint32_t dim, uint32_t n_slots)
{
    switch (pairs) {
    case MIX_PAIRS:
        mix_head(MIX_PAIRS, half, mix, value, at, dim, n_slots);
        break;
    case 4:
        mix_head(4, half, mix, value, at, dim, n_slots);
        break;
    case 2:
        mix_head(2, half, mix, value, at, dim, n_slots);
        break;
    default:
        mix_head(1, half, mix, value, at, dim, n_slots);
        break;
    }
}

APART void mix_f32(uint32_t pairs, struct mix *mix, const void *const *value, size_t at,
                   uint32_t dim, uint32_t n_slots)
{
    mix_any(pairs, false, mix, value, at, dim, n_slots);
}

APART void mix_f16(uint32_t pairs, struct mix *mix, const void *const *value, size_t at,
                   uint32_t dim, uint32_t n_slots)
{
    mix_any(pairs, true, mix, value, at, dim, n_slots);
}

/* Adds the values of n slots in order, from element at of the first page on. */
static inline void mix_slots(const struct attend_block *block, bool half, uint32_t pair,
                             uint32_t pairs, uint32_t position, const void *const *value, size_t at,
                             uint32_t n_slots)
{
    struct mix mix = { block->scores + pair * block->stride + position, block->stride, { 0 } };
    for (uint32_t i = 0; i < pairs; i++)
        mix.out[i] = out_of(block, pair + i);
    if (half)
        mix_f16(pairs, &mix, value, at, block->job->dim, n_slots);
    else
        mix_f32(pairs, &mix, value, at, block->job->dim, n_slots);
}

static inline uint32_t mix_step(uint32_t n)
{
    return n >= MIX_PAIRS ? MIX_PAIRS : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

/* Positions that all pairs of a tile hold below plain. */
static inline uint32_t common_plain(const struct attend_block *block, uint32_t pair, uint32_t n)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t plain = plain_of(row_of(block, pair + i));
        least = plain < least ? plain : least;
    }
    return least;
}

static inline void mix_common(const struct attend_block *block)
{
    const struct se_attend_job *job = block->job;
    uint32_t n_pages = (block->max_plain + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS;
    bool widen = block->half && block->n > 2 * MIX_PAIRS;
    uint32_t chunk = block->n > MIX_PAIRS ? chunk_pages(job->dim) : n_pages;
    for (uint32_t page = 0; page < n_pages; page += chunk) {
        const void *copy[CHUNK_PAGES];
        const void *const *value = job->value + page;
        uint32_t n = n_pages - page < chunk ? n_pages - page : chunk;
        uint32_t from = page * SE_PAGE_SLOTS;
        if (widen) {
            widen_pages(value, n, (size_t)job->dim * SE_PAGE_SLOTS, block->wide, copy);
            value = copy;
        }
        for (uint32_t pair = 0, step; pair < block->n; pair += step) {
            step = mix_step(block->n - pair);
            uint32_t common = common_plain(block, pair, step);
            if (common <= from)
                continue;
            uint32_t slots = common - from < n * SE_PAGE_SLOTS ? common - from : n * SE_PAGE_SLOTS;
            mix_slots(block, block->half && !widen, pair, step, from, value, 0, slots);
        }
    }
}

/* What a pair sees below plain beyond the positions its tile had in common. */
static inline void mix_rest(const struct attend_block *block, uint32_t pair, uint32_t from)
{
    uint32_t plain = plain_of(row_of(block, pair));
    while (from < plain) {
        uint32_t at = from % SE_PAGE_SLOTS, n = SE_PAGE_SLOTS - at;
        n = plain - from < n ? plain - from : n;
        mix_slots(block, block->half, pair, 1, from, block->job->value + from / SE_PAGE_SLOTS,
                  (size_t)at * block->job->dim, n);
        from += n;
    }
}

/* The tail of the row of pairs [from, to). */
static inline void mix_tail(const struct attend_block *block, uint32_t from, uint32_t to)
{
    const struct se_attend_row *row = row_of(block, from);
    for (uint32_t p = plain_of(row); p < row->n_seen; p++) {
        uint32_t slot = row->tail[p - row->plain];
        for (uint32_t pair = from, step; pair < to; pair += step) {
            step = mix_step(to - pair);
            mix_slots(block, block->half, pair, step, p, block->job->value + slot / SE_PAGE_SLOTS,
                      (size_t)(slot % SE_PAGE_SLOTS) * block->job->dim, 1);
        }
    }
}

static inline void divide(float *out, uint32_t dim, float by)
{
    float share = 1.0f / by;
    for (uint32_t d = 0; d < dim; d++)
        out[d] *= share;
}

/* ---- the whole ---- */

static inline void attend_block(struct attend_block *block)
{
    const struct se_attend_job *job = block->job;
    block->max_plain = 0;
    for (uint32_t pair = 0, step; pair < block->n; pair += step) {
        step = score_step(block->n - pair);
        pack_queries(block, pair, step, block->query + (size_t)pair * job->dim);
        for (uint32_t i = 0; i < step; i++) {
            uint32_t plain = plain_of(row_of(block, pair + i));
            block->max_plain = plain > block->max_plain ? plain : block->max_plain;
        }
    }
    score_plain(block);
    for (uint32_t pair = 0, next; pair < block->n; pair = next) {
        next = row_end(block, pair);
        score_tail(block, pair, next);
    }
    for (uint32_t pair = 0; pair < block->n; pair++) {
        float *out = out_of(block, pair);
        block->sum[pair] =
            exponentials(block->scores + pair * block->stride, row_of(block, pair)->n_seen);
        for (uint32_t d = 0; d < job->dim; d++)
            out[d] = 0;
    }
    mix_common(block);
    for (uint32_t pair = 0, step; pair < block->n; pair += step) {
        step = mix_step(block->n - pair);
        uint32_t common = common_plain(block, pair, step);
        for (uint32_t i = pair; i < pair + step; i++)
            mix_rest(block, i, common);
    }
    for (uint32_t pair = 0, next; pair < block->n; pair = next) {
        next = row_end(block, pair);
        mix_tail(block, pair, next);
    }
    for (uint32_t pair = 0; pair < block->n; pair++)
        divide(out_of(block, pair), job->dim, block->sum[pair]);
}

static inline void attend_lanes(const struct se_attend_job *job, bool half, float *scratch)
{
    uint32_t max_seen = 1, n_pairs = job->n_rows * job->n_q;
    for (uint32_t r = 0; r < job->n_rows; r++)
        max_seen = job->row[r].n_seen > max_seen ? job->row[r].n_seen : max_seen;
    struct attend_block block = { .job = job, .half = half, .stride = se_attend_stride(max_seen) };
    size_t at_once = se_attend_scores(block.stride) / block.stride / SE_ATTEND_TILE;
    uint32_t most = (uint32_t)at_once * SE_ATTEND_TILE;

    /* Whole vectors of pages and scores should not cross cache lines. */
    block.wide = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    block.tail = block.wide + SE_ATTEND_WIDE;
    block.scores = block.tail + (size_t)SE_PAGE_SLOTS * job->dim;
    block.query = block.scores + se_attend_scores(block.stride);
    block.sum = block.query + (size_t)SE_ATTEND_BLOCK * job->dim;
    for (; block.first < n_pairs; block.first += block.n) {
        block.n = n_pairs - block.first < most ? n_pairs - block.first : most;
        attend_block(&block);
    }
}
#endif

#endif
