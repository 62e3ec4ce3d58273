/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/attend.cu - attention over pages, on tensor cores.
 *
 *   tile of 64 query vectors = 4 warps of 16: rows of one part times query heads of one kv head
 *   positions = splits of 256 or more, each of chunks of 16: a page's worth
 *
 * A warp takes a chunk as scores (16 vectors times 16 keys), shares (2 ^ (score - largest so far))
 * and a mix (shares times 16 values), all in registers. Keys and values come in pieces of 16 bytes
 * to a lane, arranged by which lane takes which piece so that they are fragments as they are: no
 * barrier, and no shared memory but for what has no room in registers. The warps of a block ask
 * for the same pieces, which the first brings into the multiprocessor's cache. Sums of each split
 * go to the workspace and are added by a second kernel.
 *
 * Why the bits of a row do not depend on its batch, nor on where its history lies: splits begin at
 * fixed positions; a row goes through the chunks of a split in ascending order; position p is in
 * column p % 16 of its chunk always; and a vector's row of a fragment does not touch the others.
 * A chunk is taken together when all vectors of the warp find what they see of it in the same
 * slots: those below `plain`, or the part of them that a vector sees. Otherwise it is taken row by
 * row, gathered as this row has it, and what the visit makes of other vectors is thrown away; so
 * is one where a vector does not see a value that is no finite number and another may: 0 times
 * that would not be 0. What nobody sees is not read but taken as 0. */
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

#include <math.h>

enum {
    LANES = 32,
    VECTORS = 16, /* of a warp */
    CHUNK = SE_GPU_PAGE_SLOTS,
    WARPS = SE_GPU_TILE / VECTORS,
    KEY_SPAN = 32,   /* values of a key that the lanes take at a time */
    VALUE_SPAN = 64, /* and of a value */
    SPLITS = LANES,  /* at most: a lane each where they are added */
    BLOCKS = 2112,   /* at most: sixteen to a multiprocessor of a large GPU */
    NOWHERE = UINT32_MAX,
};

struct attention {
    uint32_t heads, kv_heads, ratio, dim;
    uint32_t padded;   /* dim as the workspace has it: whole pieces of eight */
    uint32_t split;    /* positions */
    uint32_t n_splits; /* of the context */
    float scale;       /* to powers of 2 */
    const uint16_t *q, *pages;
    float *sums; /* per row, head and split: the largest score, the sum of shares */
    float *mix;  /* the same places, padded floats each */
};

/* A warp's tile, as a lane sees it: of two vectors, lane / 4 and that + 8. */
struct view {
    uint32_t kv_head;
    uint32_t first_page;      /* of the part, in page[] */
    uint32_t first_row, rows; /* in the warp */
    uint32_t row[2], head[2];
    uint32_t seen[2]; /* positions; 0: there is no such vector */
    uint32_t plain[2];
    uint32_t most;  /* that any vector sees */
    uint32_t whole; /* so many positions do all see, in their own slots */
};

static __device__ inline uint32_t lane_of(void) { return threadIdx.x % LANES; }

static __device__ inline uint32_t warp_max(uint32_t value)
{
    for (int with = LANES / 2; with > 0; with /= 2)
        value = max(value, __shfl_xor_sync(0xffffffff, value, with));
    return value;
}

static __device__ inline void view_init(struct view *view, const struct se_gpu_input *in,
                                        const struct attention *a, uint32_t number,
                                        uint32_t kv_head)
{
    const struct se_gpu_tile tile = in->tile[number];
    const uint32_t first = threadIdx.x / LANES * VECTORS;
    uint32_t whole = UINT32_MAX, most = 0;
    view->kv_head = kv_head;
    view->first_page = in->part[in->row[tile.first_row].part].first_page;
    uint32_t from = first / a->ratio, to = (first + VECTORS - 1) / a->ratio + 1;
    to = min(to, tile.n_rows);
    view->first_row = tile.first_row + from;
    view->rows = from < to ? to - from : 0;
    SE_UNROLL
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t vector = first + lane_of() / 4 + i * 8;
        view->row[i] = tile.first_row + vector / a->ratio;
        view->head[i] = kv_head * a->ratio + vector % a->ratio;
        view->seen[i] = view->plain[i] = 0;
        if (vector / a->ratio >= tile.n_rows)
            continue;
        view->seen[i] = in->row[view->row[i]].position + 1;
        view->plain[i] = in->row[view->row[i]].plain;
        most = max(most, view->seen[i]);
        whole = min(whole, min(view->seen[i], view->plain[i]));
    }
    view->most = warp_max(most);
    view->whole = ~warp_max(~whole);
}

/* ---- pieces of keys, values and queries */

/* What is known of a vector's length: it fills all spans; it is whole pieces; it is even. */
enum width { FULL, PIECES, PAIRS };

/* Eight numbers of a vector from `at` on; 0 beyond its end. */
template <uint32_t WIDTH>
static __device__ inline struct se_gpu_quad piece(const uint16_t *vector, uint32_t at, uint32_t dim)
{
    struct se_gpu_quad quad = { 0, 0, 0, 0 };
    if (WIDTH == FULL || (WIDTH == PIECES && at < dim))
        return *(const struct se_gpu_quad *)(vector + at);
    const uint32_t *pair = (const uint32_t *)(vector + at);
    if (WIDTH == PAIRS) {
        quad.a = at < dim ? pair[0] : 0;
        quad.b = at + 2 < dim ? pair[1] : 0;
        quad.c = at + 4 < dim ? pair[2] : 0;
        quad.d = at + 6 < dim ? pair[3] : 0;
    }
    return quad;
}

/* Where a lane finds its vectors of a chunk, or NULL: keys of the positions lane / 4 and that + 8,
 * values of lane % 4 * 2, the next, and those + 8. */
struct places {
    const uint16_t *key[2], *value[4];
};

static __device__ inline const uint16_t *page_at(const struct attention *a, const struct view *view,
                                                 uint32_t page)
{
    return a->pages + ((size_t)page * a->kv_heads + view->kv_head) * (2 * CHUNK) * a->dim;
}

/* The slots of one page, in order. */
static __device__ inline struct places places_in(const struct attention *a, const struct view *view,
                                                 uint32_t page)
{
    struct places places;
    const uint16_t *keys = page_at(a, view, page), *values = keys + (size_t)CHUNK * a->dim;
    SE_UNROLL
    for (uint32_t i = 0; i < 2; i++)
        places.key[i] = keys + (lane_of() / 4 + i * 8) * a->dim;
    SE_UNROLL
    for (uint32_t i = 0; i < 4; i++)
        places.value[i] = values + (lane_of() % 4 * 2 + i % 2 + i / 2 * 8) * a->dim;
    return places;
}

/* Each lane brings page * 16 + slot of the position of its number, or NOWHERE. */
static __device__ inline struct places places_of(const struct attention *a, const struct view *view,
                                                 uint32_t place)
{
    struct places places;
    SE_UNROLL
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t column =
            i < 2 ? lane_of() / 4 + i * 8 : lane_of() % 4 * 2 + (i - 2) % 2 + (i - 2) / 2 * 8;
        uint32_t at = __shfl_sync(0xffffffff, place, (int)column);
        const uint16_t *key = page_at(a, view, at / CHUNK) + at % CHUNK * a->dim;
        if (i < 2)
            places.key[i] = at == NOWHERE ? NULL : key;
        else
            places.value[i - 2] = at == NOWHERE ? NULL : key + (size_t)CHUNK * a->dim;
    }
    return places;
}

/* Lanes take pieces of eight of a key or query 32 at a time; the first half of a piece goes into
 * one product, the second into the next. Of a value they take pieces 64 at a time: number j of
 * lane's piece is in column lane / 4 of product j, so that what a lane has of a mix is pieces of
 * eight again. */
template <uint32_t SPANS, uint32_t WIDTH>
struct fragments {
    /* Long vectors leave no registers for the queries; they wait in shared memory, each lane's
     * own apart from the others'. */
    static constexpr bool holds_queries = SPANS <= 2;
    static constexpr uint32_t kept = holds_queries ? 1 : WARPS * SPANS * 4 * LANES;

    struct keys { /* or queries: of two positions, or vectors */
        struct se_gpu_quad quad[SPANS * 2][2];
    };
    struct values {
        struct se_gpu_quad quad[SPANS][4];
    };
    struct sums {
        float largest[2], shares[2];
        float mix[SPANS * 8][4];
    };

    /* `all` are there, or some are NULL and taken as 0. */
    static __device__ inline void load(const uint16_t *const vector[2], bool all, uint32_t dim,
                                       struct keys *keys)
    {
        SE_UNROLL
        for (uint32_t i = 0; i < SPANS * 2; i++) {
            SE_UNROLL
            for (uint32_t j = 0; j < 2; j++) {
                keys->quad[i][j] = se_gpu_quad();
                if (all || vector[j])
                    keys->quad[i][j] =
                        piece<WIDTH>(vector[j], i * KEY_SPAN + lane_of() % 4 * 8, dim);
            }
        }
    }

    static __device__ inline void load(const uint16_t *const vector[4], bool all, uint32_t dim,
                                       struct values *values)
    {
        SE_UNROLL
        for (uint32_t i = 0; i < SPANS; i++) {
            SE_UNROLL
            for (uint32_t j = 0; j < 4; j++) {
                values->quad[i][j] = se_gpu_quad();
                if (all || vector[j])
                    values->quad[i][j] =
                        piece<WIDTH>(vector[j], i * VALUE_SPAN + lane_of() / 4 * 8, dim);
            }
        }
    }

    static __device__ inline void load_queries(const struct attention *a, const struct view *view,
                                               struct keys *queries)
    {
        const uint16_t *vector[2];
        SE_UNROLL
        for (uint32_t i = 0; i < 2; i++)
            vector[i] = view->seen[i] == 0
                            ? NULL
                            : a->q + ((size_t)view->row[i] * a->heads + view->head[i]) * a->dim;
        load(vector, false, a->dim, queries);
    }

    static __device__ inline void keep(const struct keys *queries,
                                       SE_SHARED_POINTER(struct se_gpu_quad) own)
    {
        SE_UNROLL
        for (uint32_t i = 0; i < SPANS * 4 && !holds_queries; i++)
            own[i * WARPS * LANES + threadIdx.x] = queries->quad[i / 2][i % 2];
    }

    static __device__ inline void fetch(SE_SHARED_POINTER(struct se_gpu_quad) own,
                                        struct keys *queries)
    {
        if (holds_queries)
            return;
        __syncwarp(); /* so that the compiler does not fetch them once for all */
        SE_UNROLL
        for (uint32_t i = 0; i < SPANS * 4; i++)
            queries->quad[i / 2][i % 2] = own[i * WARPS * LANES + threadIdx.x];
    }

    /* score[i]: of the positions i * 8 + lane % 4 * 2 and the next; of one vector, the other. */
    static __device__ inline void score(const struct keys *queries, const struct keys *keys,
                                        float score[2][4])
    {
        SE_UNROLL
        for (uint32_t i = 0; i < 8; i++)
            score[i / 4][i % 4] = 0;
        SE_UNROLL
        for (uint32_t i = 0; i < SPANS * 2; i++) {
            const struct se_gpu_quad low = queries->quad[i][0], high = queries->quad[i][1];
            const uint32_t first[4] = { low.a, high.a, low.b, high.b };
            const uint32_t second[4] = { low.c, high.c, low.d, high.d };
            const struct se_gpu_quad key[2] = { keys->quad[i][0], keys->quad[i][1] };
            const uint32_t b[2][4] = { { key[0].a, key[0].b, key[0].c, key[0].d },
                                       { key[1].a, key[1].b, key[1].c, key[1].d } };
            se_gpu_mma_f16(score[0], first, b[0]);
            se_gpu_mma_f16(score[1], first, b[1]);
            se_gpu_mma_f16(score[0], second, b[0] + 2);
            se_gpu_mma_f16(score[1], second, b[1] + 2);
        }
    }

    /* Scores to shares, in the order of a fragment; what was summed before is scaled to them. A
     * position counts when it is below the limit of its vector. */
    static __device__ inline void share(const struct attention *a, struct sums *sums,
                                        float score[2][4], uint32_t first, const uint32_t limit[2],
                                        uint32_t shares[4], float scale[2])
    {
        SE_UNROLL
        for (uint32_t v = 0; v < 2; v++) {
            float value[4], largest = -INFINITY;
            SE_UNROLL
            for (uint32_t i = 0; i < 4; i++) {
                uint32_t position = first + i / 2 * 8 + lane_of() % 4 * 2 + i % 2;
                value[i] = position < limit[v] ? score[i / 2][v * 2 + i % 2] * a->scale : -INFINITY;
                largest = fmaxf(largest, value[i]);
            }
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, 1));
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, 2));
            largest = fmaxf(largest, sums->largest[v]);
            /* Before anything is seen: -inf - -inf would be no number. */
            const float base = largest == -INFINITY ? 0.0f : largest;
            uint32_t share[4];
            float sum = 0;
            SE_UNROLL
            for (uint32_t i = 0; i < 4; i++) {
                share[i] = se_gpu_f32_to_f16(exp2f(value[i] - base));
                sum += se_gpu_f16_to_f32((uint16_t)share[i]);
            }
            scale[v] = exp2f(sums->largest[v] - base);
            sums->largest[v] = largest;
            sums->shares[v] = sums->shares[v] * scale[v] + sum;
            shares[v] = share[0] | share[1] << 16;
            shares[v + 2] = share[2] | share[3] << 16;
        }
    }

    /* To scale by 1 changes nothing, and is what there is to do most of the time. */
    static __device__ inline void rescale(struct sums *sums, const float scale[2])
    {
        if (!__any_sync(0xffffffff, scale[0] != 1.0f || scale[1] != 1.0f))
            return;
        SE_UNROLL
        for (uint32_t j = 0; j < SPANS * 8; j++) {
            SE_UNROLL
            for (uint32_t i = 0; i < 4; i++)
                sums->mix[j][i] *= scale[i / 2];
        }
    }

    /* Adds the values; of a vector that does not count, the mix stays what it was. */
    static __device__ inline void add(struct sums *sums, const struct values *values,
                                      const uint32_t shares[4], const bool counts[2])
    {
        SE_UNROLL
        for (uint32_t j = 0; j < SPANS * 8; j++) {
            const struct se_gpu_quad *quad = values->quad[j / 8];
            uint32_t word[4], b[2];
            float mix[4];
            SE_UNROLL
            for (uint32_t i = 0; i < 4; i++) {
                word[i] = j % 8 / 2 == 0   ? quad[i].a
                          : j % 8 / 2 == 1 ? quad[i].b
                          : j % 8 / 2 == 2 ? quad[i].c
                                           : quad[i].d;
                mix[i] = sums->mix[j][i];
            }
            SE_UNROLL
            for (uint32_t i = 0; i < 2; i++)
                b[i] = __byte_perm(word[i * 2], word[i * 2 + 1], j % 2 ? 0x7632 : 0x5410);
            se_gpu_mma_f16(mix, shares, b);
            SE_UNROLL
            for (uint32_t i = 0; i < 4; i++)
                sums->mix[j][i] = counts[i / 2] ? mix[i] : sums->mix[j][i];
        }
    }

    static __device__ inline bool is_finite(const struct values *values)
    {
        uint32_t found = 0;
        SE_UNROLL
        for (uint32_t i = 0; i < SPANS * 4; i++) {
            const struct se_gpu_quad quad = values->quad[i / 4][i % 4];
            const uint32_t word[4] = { quad.a, quad.b, quad.c, quad.d };
            SE_UNROLL
            for (uint32_t j = 0; j < 4; j++)
                found |= (word[j] & 0x7c00) == 0x7c00 || (word[j] & 0x7c000000) == 0x7c000000;
        }
        return !__any_sync(0xffffffff, found != 0);
    }

    static __device__ inline void put(const struct attention *a, const struct view *view,
                                      uint32_t split, const struct sums *sums)
    {
        SE_UNROLL
        for (uint32_t v = 0; v < 2; v++) {
            float shares = sums->shares[v];
            shares += __shfl_xor_sync(0xffffffff, shares, 1);
            shares += __shfl_xor_sync(0xffffffff, shares, 2);
            if (view->seen[v] <= split * a->split)
                continue;
            const size_t at =
                ((size_t)view->row[v] * a->heads + view->head[v]) * a->n_splits + split;
            if (lane_of() % 4 == 0) {
                a->sums[at * 2] = sums->largest[v];
                a->sums[at * 2 + 1] = shares;
            }
            SE_UNROLL
            for (uint32_t i = 0; i < SPANS * 2; i++) {
                uint32_t d = i / 2 * VALUE_SPAN + (lane_of() % 4 * 2 + i % 2) * 8;
                if (d >= a->padded)
                    continue;
                float4 *to = (float4 *)(a->mix + at * a->padded + d);
                const float(*mix)[4] = sums->mix + i / 2 * 8;
                const uint32_t own = v * 2 + i % 2;
                to[0] = make_float4(mix[0][own], mix[1][own], mix[2][own], mix[3][own]);
                to[1] = make_float4(mix[4][own], mix[5][own], mix[6][own], mix[7][own]);
            }
        }
    }
};

/* ---- a split */

/* Chunks [from, to) that all vectors see whole: the next one's keys are on their way while this
 * one's values are, where there are registers enough. */
template <uint32_t SPANS, uint32_t WIDTH>
static __device__ inline void take_whole(const struct se_gpu_input *in, const struct attention *a,
                                         const struct view *view, uint32_t from, uint32_t to,
                                         SE_SHARED_POINTER(struct se_gpu_quad) own,
                                         typename fragments<SPANS, WIDTH>::keys *queries,
                                         typename fragments<SPANS, WIDTH>::sums *sums)
{
    using kind = fragments<SPANS, WIDTH>;
    constexpr bool ahead = kind::holds_queries;
    const uint32_t limit[2] = { UINT32_MAX, UINT32_MAX };
    const bool counts[2] = { true, true };
    typename kind::keys keys = {};
    typename kind::values values;
    uint32_t listed = from, page = 0;
    struct places places = {};
    for (uint32_t chunk = from; chunk < to; chunk++) {
        if (chunk == from || chunk == listed + LANES) {
            listed = chunk;
            page = in->page[view->first_page + min(chunk + lane_of(), to - 1)];
        }
        if (!ahead || chunk == from) {
            places = places_in(a, view, __shfl_sync(0xffffffff, page, (int)(chunk - listed)));
            kind::load(places.key, true, a->dim, &keys);
        }
        float score[2][4], scale[2];
        uint32_t shares[4];
        kind::load(places.value, true, a->dim, &values);
        kind::fetch(own, queries);
        kind::score(queries, &keys, score);
        if (ahead && chunk + 1 < to) {
            uint32_t next = __shfl_sync(0xffffffff, page, (int)(chunk + 1 - listed) % LANES);
            if (chunk + 1 == listed + LANES)
                next = in->page[view->first_page + chunk + 1];
            places = places_in(a, view, next);
            kind::load(places.key, true, a->dim, &keys);
        }
        kind::share(a, sums, score, chunk * CHUNK, limit, shares, scale);
        kind::rescale(sums, scale);
        kind::add(sums, &values, shares, counts);
    }
}

/* Page and slot of the position of a lane's number: of what the furthest vector sees, in its own
 * slot, or as one row sees it. */
static __device__ inline uint32_t place_of(const struct se_gpu_input *in, const struct view *view,
                                           uint32_t first, const struct se_gpu_row *row)
{
    const uint32_t position = first + lane_of() % CHUNK;
    uint32_t slot = position;
    if (position >= (row ? row->position + 1 : view->most))
        return NOWHERE;
    if (row && position >= row->plain)
        slot = in->tail[row->tail + position - row->plain];
    return in->page[view->first_page + slot / CHUNK] * CHUNK + slot % CHUNK;
}

/* Whether all that is seen of a chunk lies in its own slots, and is finite. */
template <uint32_t SPANS, uint32_t WIDTH>
static __device__ inline bool is_common(const struct se_gpu_input *in, const struct attention *a,
                                        const struct view *view, uint32_t first)
{
    bool own = true;
    SE_UNROLL
    for (uint32_t v = 0; v < 2; v++)
        own =
            own && (view->seen[v] <= first || min(view->seen[v], first + CHUNK) <= view->plain[v]);
    if (!__all_sync(0xffffffff, own))
        return false;
    typename fragments<SPANS, WIDTH>::values values;
    struct places places = places_of(a, view, place_of(in, view, first, NULL));
    fragments<SPANS, WIDTH>::load(places.value, false, a->dim, &values);
    return fragments<SPANS, WIDTH>::is_finite(&values);
}

/* A chunk that not all vectors see whole and alike. */
template <uint32_t SPANS, uint32_t WIDTH>
static __device__ inline void take_apart(const struct se_gpu_input *in, const struct attention *a,
                                         const struct view *view, uint32_t first,
                                         SE_SHARED_POINTER(struct se_gpu_quad) own,
                                         typename fragments<SPANS, WIDTH>::keys *queries,
                                         typename fragments<SPANS, WIDTH>::sums *sums)
{
    using kind = fragments<SPANS, WIDTH>;
    const bool common = is_common<SPANS, WIDTH>(in, a, view, first);
    const uint32_t visits = common ? 1 : view->rows;
    for (uint32_t visit = 0; visit < visits; visit++) {
        const uint32_t number = view->first_row + visit;
        const struct se_gpu_row *row = common ? NULL : in->row + number;
        if (row && row->position < first)
            continue;
        uint32_t limit[2], shares[4];
        bool counts[2];
        float score[2][4], scale[2];
        typename kind::keys keys;
        typename kind::values values;
        SE_UNROLL
        for (uint32_t v = 0; v < 2; v++) {
            limit[v] = common || view->row[v] == number ? view->seen[v] : 0;
            counts[v] = limit[v] > first;
        }
        struct places places = places_of(a, view, place_of(in, view, first, row));
        kind::load(places.key, false, a->dim, &keys);
        kind::load(places.value, false, a->dim, &values);
        kind::fetch(own, queries);
        kind::score(queries, &keys, score);
        kind::share(a, sums, score, first, limit, shares, scale);
        kind::rescale(sums, scale);
        kind::add(sums, &values, shares, counts);
    }
}

/* Tiles and kv heads are dealt to the blocks; where these are more, several share one and take
 * its splits in turn. */
template <uint32_t SPANS, uint32_t WIDTH>
__global__ void __launch_bounds__(WARPS *LANES)
    attend_splits(const struct se_gpu_input *in, const struct attention a)
{
    using kind = fragments<SPANS, WIDTH>;
    SE_SHARED_ARRAY(struct se_gpu_quad, own, kind::kept);
    const uint32_t n_tiles = in->n_tiles, n = n_tiles * a.kv_heads;
    const uint32_t workers = n > 0 && gridDim.x > n ? gridDim.x / n : 1;
    for (uint32_t item = blockIdx.x; item < n * workers; item += gridDim.x) {
        struct view view;
        typename kind::keys queries;
        view_init(&view, in, &a, item % n_tiles, item / n_tiles % a.kv_heads);
        kind::load_queries(&a, &view, &queries);
        kind::keep(&queries, own);
        for (uint32_t split = item / n; split * a.split < view.most; split += workers) {
            const uint32_t begin = split * a.split, end = min(begin + a.split, view.most);
            const uint32_t whole = min(view.whole, end) / CHUNK;
            uint32_t chunk = begin / CHUNK;
            typename kind::sums sums = { { -INFINITY, -INFINITY }, { 0, 0 }, { { 0 } } };
            if (chunk < whole) {
                take_whole<SPANS, WIDTH>(in, &a, &view, chunk, whole, own, &queries, &sums);
                chunk = whole;
            }
            for (; chunk * CHUNK < end; chunk++)
                take_apart<SPANS, WIDTH>(in, &a, &view, chunk * CHUNK, own, &queries, &sums);
            kind::put(&a, &view, split, &sums);
        }
    }
}

/* A warp adds the splits of one row and head. */
__global__ void add_splits_of_rows(const struct se_gpu_input *in, const struct attention a,
                                   uint16_t *out)
{
    const uint32_t row = blockIdx.x, head = blockIdx.y * WARPS + threadIdx.x / LANES;
    if (row >= in->n_rows || head >= a.heads)
        return;
    const uint32_t n = in->row[row].position / a.split + 1, lane = lane_of();
    const size_t place = (size_t)row * a.heads + head, at = place * a.n_splits;
    float largest = lane < n ? a.sums[(at + lane) * 2] : -INFINITY, top = largest;
    const float shares = lane < n ? a.sums[(at + lane) * 2 + 1] : 0.0f;
    for (int with = LANES / 2; with > 0; with /= 2)
        top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, with));
    const float weight = lane < n ? exp2f(largest - top) : 0.0f;
    float all = 0;
    for (uint32_t split = 0; split < n; split++)
        all += __shfl_sync(0xffffffff, weight * shares, (int)split);
    for (uint32_t first = 0; first < a.dim; first += 2 * LANES) {
        const uint32_t d = first + lane * 2;
        float low = 0, high = 0;
        for (uint32_t split = 0; split < n; split++) {
            const float part = __shfl_sync(0xffffffff, weight, (int)split);
            if (d >= a.dim)
                continue;
            const float *mix = a.mix + (at + split) * a.padded + d;
            low += part * mix[0];
            high += part * mix[1];
        }
        if (d < a.dim) {
            out[place * a.dim + d] = se_gpu_f32_to_bf16(low / all);
            out[place * a.dim + d + 1] = se_gpu_f32_to_bf16(high / all);
        }
    }
}

/* ---- launches */

static struct attention attention_of(const struct se_gpu_heads *heads)
{
    struct attention a = {};
    a.heads = heads->heads;
    a.kv_heads = heads->kv_heads;
    a.ratio = heads->heads / heads->kv_heads;
    a.dim = heads->dim;
    a.padded = (heads->dim + 7) / 8 * 8;
    a.scale = heads->scale * 1.4426950408889634f;
    a.split = (heads->context + SPLITS * CHUNK - 1) / (SPLITS * CHUNK) * CHUNK;
    a.split = a.split < SE_GPU_SPLIT ? (uint32_t)SE_GPU_SPLIT : a.split;
    a.n_splits = (heads->context + a.split - 1) / a.split;
    return a;
}

/* Sums first, as many floats as keep the mix aligned. */
static size_t floats_of_sums(const struct attention *a, uint32_t rows)
{
    return ((size_t)rows * a->heads * a->n_splits * 2 + 3) / 4 * 4;
}

size_t se_gpu_attend_work(const struct se_gpu_heads *heads, uint32_t rows)
{
    struct attention a = attention_of(heads);
    return floats_of_sums(&a, rows) + (size_t)rows * a.heads * a.n_splits * a.padded;
}

typedef void splits_fn(const struct se_gpu_input *in, const struct attention a);

static splits_fn *splits_for(uint32_t dim)
{
    static splits_fn *const fn[][3] = {
        { attend_splits<1, FULL>, attend_splits<1, PIECES>, attend_splits<1, PAIRS> },
        { attend_splits<2, FULL>, attend_splits<2, PIECES>, attend_splits<2, PAIRS> },
        { attend_splits<3, FULL>, attend_splits<3, PIECES>, attend_splits<3, PAIRS> },
        { attend_splits<4, FULL>, attend_splits<4, PIECES>, attend_splits<4, PAIRS> },
    };
    enum width width = dim % VALUE_SPAN == 0 ? FULL : dim % 8 == 0 ? PIECES : PAIRS;
    return fn[(dim - 1) / VALUE_SPAN][width];
}

void se_gpu_attend(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                   const struct se_gpu_heads *heads, const uint16_t *q, const uint16_t *layer_pages,
                   float *work, uint16_t *out)
{
    struct attention a = attention_of(heads);
    const uint32_t threads = WARPS * LANES;
    const uint64_t items = (uint64_t)bucket * a.kv_heads * a.n_splits;
    const uint32_t blocks = items < BLOCKS ? (uint32_t)items : (uint32_t)BLOCKS;
    dim3 rows(bucket, (a.heads + WARPS - 1) / WARPS);
    splits_fn *attend_splits_of = splits_for(a.dim);
    a.q = q;
    a.pages = layer_pages;
    a.sums = work;
    a.mix = work + floats_of_sums(&a, bucket);
    SE_LAUNCH(stream, attend_splits_of, blocks, threads, in, a);
    SE_LAUNCH(stream, add_splits_of_rows, rows, threads, in, a, out);
}
