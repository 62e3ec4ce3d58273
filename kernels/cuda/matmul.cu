/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/matmul.cu - rows times a matrix, on tensor cores.
 *
 *   matrix   panels of 16 outputs, 32 inputs at a time, as fragments: a warp reads a kilobyte of
 *            consecutive bytes straight into its registers, each byte once to a tile of rows
 *            (of 8-bit weights, half a kilobyte and 32 bytes of scales, made bf16 there)
 *   rows     32 inputs of 8 rows are 512 bytes; the rows of a tile go through shared memory, whence
 *            all warps of the block take them
 *
 * Inputs are taken 32 at a time: lane t of four holds eight consecutive ones of a row (or of an
 * output), the first half of which go into one product of 16, the others into the next.
 *
 * Why the bits of a row do not depend on its batch: n_in is divided into splits, by n_out and n_in
 * alone. A sum of a split runs over its inputs in ascending order, in one accumulator, and what is
 * in a column of a fragment (a row of ours) does not touch the other columns. The splits are then
 * added in ascending order to what y starts from. Only who does it differs: with few rows each
 * split has blocks of its own, which leave their sums in the workspace, and the last of them, or
 * another kernel, adds them; with many, one block walks through all of them and adds to y as it
 * goes. */
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

#include <string.h>

enum {
    LANES = 32,
    PANEL = 16,      /* outputs of a fragment */
    SPAN = 32,       /* inputs of two fragments */
    GROUP = 8,       /* rows of a fragment */
    SPLIT_SPANS = 4, /* a split is of a multiple of it, so that no stage lies across two */
    SPLIT_LEAST = 8, /* spans */
    Q8_SPAN_B = 544, /* a panel's 32 inputs, and 16 scales */
    BLOCK_OUT = 64,  /* outputs of the narrowest block */
    BLOCKS = 528,    /* such blocks that keep a large GPU reading: four to a multiprocessor */
    ENOUGH = SE_GPU_ARRIVALS, /* blocks of any kind that are left whole */
};

/* How n_in is divided, and among how many blocks. */
struct division {
    uint32_t spans, split_spans, n_splits;
    uint32_t apart; /* 1: each split has its blocks; 0: a block walks through all */
    uint32_t step;  /* 0 */
};

static uint32_t over(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

static struct division divide(uint32_t n_out, uint32_t n_in)
{
    struct division division = { over(n_in, SPAN), 0, 0, 0, 0 };
    uint32_t wanted = over(BLOCKS, over(n_out, BLOCK_OUT));
    uint32_t spans = over(over(division.spans, wanted), SPLIT_SPANS) * SPLIT_SPANS;
    division.split_spans = spans < SPLIT_LEAST ? (uint32_t)SPLIT_LEAST : spans;
    division.n_splits = over(division.spans, division.split_spans);
    return division;
}

/* ---- the packed matrix */

size_t se_gpu_matrix_size(uint32_t n_out, uint32_t n_in)
{
    return (size_t)over(n_out, PANEL) * over(n_in, SPAN) * (PANEL * SPAN * sizeof(uint16_t));
}

static uint32_t pair(const uint16_t *bf16, uint32_t n_out, uint32_t n_in, uint32_t out, uint32_t at)
{
    if (out >= n_out)
        return 0;
    const uint16_t *row = bf16 + (size_t)out * n_in;
    uint32_t low = at < n_in ? row[at] : 0, high = at + 1 < n_in ? row[at + 1] : 0;
    return low | high << 16;
}

void se_gpu_matrix_pack(const uint16_t *bf16, uint32_t n_out, uint32_t n_in, void *packed)
{
    struct se_gpu_quad *quad = (struct se_gpu_quad *)packed;
    for (uint32_t first = 0; first < n_out; first += PANEL) {
        for (uint32_t i = 0; i < over(n_in, SPAN) * 2 * LANES; i++) {
            uint32_t lane = i % LANES, half = i / LANES % 2;
            uint32_t out = first + lane / 4, at = i / LANES / 2 * SPAN + lane % 4 * 8 + half * 4;
            quad->a = pair(bf16, n_out, n_in, out, at);
            quad->b = pair(bf16, n_out, n_in, out + 8, at);
            quad->c = pair(bf16, n_out, n_in, out, at + 2);
            quad->d = pair(bf16, n_out, n_in, out + 8, at + 2);
            quad++;
        }
    }
}

/* Of an output's four weights from input `at` on, a multiple of 4, in the panels of 64 outputs that
 * kernels/matmul.h has; zeroes beyond the last. */
static uint32_t four_of(const uint8_t *data, uint32_t n_out, uint32_t n_in, uint32_t out,
                        uint32_t at)
{
    const uint32_t first = out / 64 * 64, left = over(n_out - first, PANEL) * PANEL;
    const size_t width = left < 64 ? left : 64;
    uint32_t four;
    memcpy(&four, data + (size_t)first * over(n_in, SPAN) * SPAN + (at / 4 * width + out % 64) * 4,
           sizeof four);
    return four;
}

static uint32_t scale_of(const uint16_t *scale, uint32_t n_out, uint32_t n_in, uint32_t out,
                         uint32_t span)
{
    const uint32_t first = out / 64 * 64, left = over(n_out - first, PANEL) * PANEL;
    const size_t width = left < 64 ? left : 64;
    return scale[(size_t)first * over(n_in, SPAN) + span * width + out % 64];
}

size_t se_gpu_matrix_q8_size(uint32_t n_out, uint32_t n_in)
{
    return (size_t)over(n_out, PANEL) * over(n_in, SPAN) * Q8_SPAN_B;
}

void se_gpu_matrix_q8_pack(const uint8_t *data, const uint16_t *scale, uint32_t n_out,
                           uint32_t n_in, void *packed)
{
    uint32_t *to = (uint32_t *)packed;
    for (uint32_t first = 0; first < n_out; first += PANEL) {
        for (uint32_t span = 0; span < over(n_in, SPAN); span++) {
            for (uint32_t i = 0; i < 4 * LANES; i++)
                *to++ = four_of(data, n_out, n_in, first + i / 16 + i % 2 * 8,
                                span * SPAN + i / 4 % 4 * 8 + i / 2 % 2 * 4);
            for (uint32_t i = 0; i < GROUP; i++)
                *to++ = scale_of(scale, n_out, n_in, first + i, span) |
                        scale_of(scale, n_out, n_in, first + i + 8, span) << 16;
        }
    }
}

/* ---- weights as a lane holds them: of one panel, 32 inputs */

struct bf16_weights {
    static constexpr size_t span_b = 2 * LANES * sizeof(struct se_gpu_quad);
    struct se_gpu_quad half[2];

    __device__ inline void load(const unsigned char *span, uint32_t lane)
    {
        const struct se_gpu_quad *from = (const struct se_gpu_quad *)span + lane;
        half[0] = from[0];
        half[1] = from[LANES];
    }

    /* The fragments of two products. */
    __device__ inline void widen(struct se_gpu_quad to[2]) const
    {
        to[0] = half[0];
        to[1] = half[1];
    }
};

struct q8_weights {
    static constexpr size_t span_b = Q8_SPAN_B;
    struct se_gpu_quad all; /* of outputs lane / 4 and that + 8 in turn: q + 128 */
    uint32_t scales;        /* of both, f16 */

    __device__ inline void load(const unsigned char *span, uint32_t lane)
    {
        all = ((const struct se_gpu_quad *)span)[lane];
        scales = ((const uint32_t *)(span + LANES * sizeof all))[lane / 4];
    }

    /* 2 ^ 23 has its last bit at 1: with a byte put there, no conversion is needed. */
    static __device__ inline uint32_t number(uint32_t four, uint32_t which, float scale)
    {
        const uint32_t bits = 0x4b000000 | (four >> which * 8 & 0xff);
        return se_gpu_f32_to_bf16((__uint_as_float(bits) - 8388736.0f) * scale);
    }

    static __device__ inline uint32_t two(uint32_t four, uint32_t which, float scale)
    {
        return number(four, which, scale) | number(four, which + 1, scale) << 16;
    }

    __device__ inline void widen(struct se_gpu_quad to[2]) const
    {
        const float low = se_gpu_f16_to_f32((uint16_t)scales);
        const float high = se_gpu_f16_to_f32((uint16_t)(scales >> 16));
        to[0] = { two(all.a, 0, low), two(all.b, 0, high), two(all.a, 2, low),
                  two(all.b, 2, high) };
        to[1] = { two(all.c, 0, low), two(all.d, 0, high), two(all.c, 2, low),
                  two(all.d, 2, high) };
    }
};

/* ---- the kernels */

static __device__ inline uint32_t rows_of(const struct se_gpu_input *in,
                                          const struct se_gpu_product *product)
{
    return product->rows == SE_GPU_ALL_ROWS ? in->n_rows : in->n_wanted;
}

/* Eight inputs of a row from `at` on; what lies beyond is 0. */
static __device__ inline struct se_gpu_quad inputs_at(const uint16_t *x, uint32_t n_in, uint32_t at)
{
    struct se_gpu_quad quad = { 0, 0, 0, 0 };
    if (n_in % 8 == 0)
        return at < n_in ? *(const struct se_gpu_quad *)(x + at) : quad;
    uint32_t word[4] = { 0, 0, 0, 0 };
    SE_UNROLL
    for (uint32_t i = 0; i < 8; i++)
        word[i / 2] |= at + i < n_in ? (uint32_t)x[at + i] << i % 2 * 16 : 0;
    quad.a = word[0], quad.b = word[1], quad.c = word[2], quad.d = word[3];
    return quad;
}

static __device__ inline void multiply(float sum[4], const struct se_gpu_quad &weights, uint32_t b0,
                                       uint32_t b1)
{
    const uint32_t a[4] = { weights.a, weights.b, weights.c, weights.d }, b[2] = { b0, b1 };
    se_gpu_mma_bf16(sum, a, b);
}

/* What the sums of the splits are added to. */
static __device__ inline float start_of(const struct se_gpu_product *product, const float *y,
                                        uint32_t out)
{
    float start = product->adds ? *y : 0.0f;
    return product->bias ? start + product->bias[out] : start;
}

/* Where a thread's sums go, of the split at hand: its first row's first output. */
struct target {
    float *at;
    size_t step; /* to the next split: none, but that is not for the compiler to know */
    bool first;
    uint32_t rows, outs; /* that there are from here on */
};

static __device__ inline void put(const struct se_gpu_product *product, bool apart, bool first,
                                  uint32_t out, float *to, float sum)
{
    if (apart)
        *to = sum;
    else
        *to = (first ? start_of(product, to, out) : *to) + sum;
}

static __device__ inline struct target target_of(const struct se_gpu_product *product,
                                                 const struct division *division, float *work,
                                                 uint32_t n_rows, uint32_t row, uint32_t out)
{
    struct target target;
    size_t all = (size_t)n_rows * product->n_out;
    target.at = division->apart ? work + blockIdx.z * all : product->y;
    target.at += (size_t)row * product->n_out + out;
    target.step = division->step;
    target.first = true;
    target.rows = row < n_rows ? n_rows - row : 0;
    target.outs = out < product->n_out ? product->n_out - out : 0;
    return target;
}

/* One block: OUT_WARPS times PANELS panels, ROW_WARPS times GROUPS groups of rows. A warp has the
 * weights of a stage in registers, and asks for those of the next as it uses them up. */
template <class WEIGHTS, uint32_t PANELS, uint32_t GROUPS, uint32_t OUT_WARPS, uint32_t ROW_WARPS>
struct tile {
    static constexpr uint32_t threads = OUT_WARPS * ROW_WARPS * LANES;
    /* Blocks that the registers of a multiprocessor are to suffice for: as many as fit without
     * spilling. */
    static constexpr uint32_t warps_at_once = PANELS == 1 || (PANELS == 2 && GROUPS <= 6) ? 16
                                              : PANELS == 2                               ? 12
                                                                                          : 8;
    static constexpr uint32_t at_once = warps_at_once * LANES / threads;
    static constexpr uint32_t outputs = OUT_WARPS * PANELS * PANEL;
    static constexpr uint32_t groups = ROW_WARPS * GROUPS;
    static constexpr uint32_t stage = SPLIT_SPANS / PANELS; /* spans */
    static constexpr uint32_t quads = stage * groups * LANES;
    static constexpr uint32_t own = (quads + threads - 1) / threads; /* of a stage's quads */

    struct weights {
        WEIGHTS span[stage][PANELS];
    };
    struct rows {
        struct se_gpu_quad quad[own];
    };
    struct sums {
        float sum[PANELS][GROUPS][4];
    };

    /* Where a warp's panels begin; those beyond the last are left out. */
    struct place {
        const unsigned char *panel;
        size_t panel_b;
        uint32_t n_panels;
    };

    static __device__ inline struct place place_of(const struct se_gpu_product *product,
                                                   uint32_t spans, uint32_t first_panel)
    {
        uint32_t panels = (product->n_out + PANEL - 1) / PANEL;
        struct place place;
        place.panel_b = spans * WEIGHTS::span_b;
        place.panel = (const unsigned char *)product->matrix + first_panel * place.panel_b;
        place.n_panels = first_panel < panels ? panels - first_panel : 0;
        return place;
    }

    static __device__ inline void load_weights(const struct place *place, uint32_t span,
                                               WEIGHTS *weights)
    {
        SE_UNROLL
        for (uint32_t p = 0; p < PANELS; p++)
            if (p < place->n_panels)
                weights[p].load(place->panel + p * place->panel_b + span * WEIGHTS::span_b,
                                threadIdx.x % LANES);
    }

    /* This thread's share of the rows of a stage. */
    static __device__ inline void load_rows(const struct se_gpu_product *product, uint32_t n_rows,
                                            uint32_t first_row, uint32_t span, struct rows *rows)
    {
        SE_UNROLL
        for (uint32_t i = 0; i < own; i++) {
            uint32_t quad = i * threads + threadIdx.x;
            uint32_t row = first_row + quad / 4 % (groups * GROUP);
            uint32_t at = (span + quad / (groups * LANES)) * SPAN + quad % 4 * 8;
            if (row < n_rows)
                rows->quad[i] =
                    inputs_at(product->x + (size_t)row * product->n_in, product->n_in, at);
        }
    }

    /* Ends a split. The target moves on, so that the addresses are not kept ready meanwhile. */
    static __device__ inline void put_sums(const struct se_gpu_product *product, bool apart,
                                           struct target *target, struct sums *sums)
    {
        float *at = target->at;
        SE_UNROLL
        for (uint32_t row = 0; row < GROUPS * 2; row++) {
            SE_UNROLL
            for (uint32_t out = 0; out < PANELS * 2; out++) {
                float *sum = &sums->sum[out / 2][row / 2][row % 2 + out % 2 * 2];
                if (row / 2 * GROUP + row % 2 < target->rows && out * 8 < target->outs)
                    put(product, apart, target->first, product->n_out - target->outs + out * 8,
                        at + out * 8, *sum);
                *sum = 0;
            }
            at += (size_t)product->n_out * (row % 2 ? GROUP - 1 : 1);
        }
        target->at += target->step;
        target->first = false;
    }
};

/* Adds the splits of one value of y. Others wrote them, maybe a moment ago: past the cache. */
static __device__ inline void add_splits_at(const struct se_gpu_product *product, uint32_t n_rows,
                                            uint32_t n_splits, const volatile float *work,
                                            uint32_t row, uint32_t out)
{
    const size_t at = (size_t)row * product->n_out + out, step = (size_t)n_rows * product->n_out;
    float sum = start_of(product, product->y + at, out);
    for (uint32_t split = 0; split < n_splits; split++)
        sum += work[split * step + at];
    product->y[at] = sum;
}

/* The block that comes last of those with the splits of a tile adds them all. */
template <class BLOCK>
static __device__ inline void add_when_last(const struct se_gpu_product *product,
                                            const struct division *division, const float *work,
                                            uint32_t n_rows, uint32_t first_row)
{
    SE_SHARED(uint32_t, is_last);
    uint32_t *arrived = product->arrived + blockIdx.y * gridDim.x + blockIdx.x;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        const uint32_t before = atomicAdd(arrived, 1u);
        is_last = before + 1 == division->n_splits;
        if (before + 1 == division->n_splits)
            *arrived = 0; /* for the next launch */
    }
    __syncthreads();
    if (!is_last)
        return;
    __threadfence();
    const uint32_t rows = min(BLOCK::groups * GROUP, n_rows - first_row);
    const uint32_t first_out = blockIdx.y * BLOCK::outputs;
    const uint32_t outs = min(BLOCK::outputs, product->n_out - first_out);
    for (uint32_t i = threadIdx.x; i < rows * outs; i += BLOCK::threads)
        add_splits_at(product, n_rows, division->n_splits, work, first_row + i / outs,
                      first_out + i % outs);
}

template <class WEIGHTS, uint32_t PANELS, uint32_t GROUPS, uint32_t OUT_WARPS, uint32_t ROW_WARPS>
__global__ void __launch_bounds__(tile<WEIGHTS, PANELS, GROUPS, OUT_WARPS, ROW_WARPS>::threads,
                                  tile<WEIGHTS, PANELS, GROUPS, OUT_WARPS, ROW_WARPS>::at_once)
    product_tile(const struct se_gpu_input *in, const struct se_gpu_product product,
                 const struct division division, float *work)
{
    using block = tile<WEIGHTS, PANELS, GROUPS, OUT_WARPS, ROW_WARPS>;
    SE_SHARED_ARRAY(struct se_gpu_quad, shared, 2 * block::quads);
    const uint32_t n_rows = rows_of(in, &product), first_row = blockIdx.x * block::groups * GROUP;
    if (first_row >= n_rows)
        return;
    const uint32_t lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
    const uint32_t first_group = warp / OUT_WARPS * GROUPS;
    const uint32_t first_panel = (blockIdx.y * OUT_WARPS + warp % OUT_WARPS) * PANELS;
    const uint32_t first_split = division.apart ? blockIdx.z : 0;
    uint32_t span = first_split * division.split_spans;
    const uint32_t stop = division.apart && span + division.split_spans < division.spans
                              ? span + division.split_spans
                              : division.spans;

    struct target target =
        target_of(&product, &division, work, n_rows, first_row + first_group * GROUP + lane % 4 * 2,
                  first_panel * PANEL + lane / 4);
    typename block::sums sums = {};
    typename block::rows rows = {};
    typename block::weights weights = {};
    typename block::place place = block::place_of(&product, division.spans, first_panel);
    block::load_rows(&product, n_rows, first_row, span, &rows);
    SE_UNROLL
    for (uint32_t i = 0; i < block::stage; i++)
        if (span + i < stop)
            block::load_weights(&place, span + i, weights.span[i]);

    uint32_t half = 0;
    while (span < stop) {
        const uint32_t rest = stop - span;
        const uint32_t end = span + (rest < division.split_spans ? rest : division.split_spans);
        for (; span < end; span += block::stage, half ^= block::quads) {
            SE_UNROLL
            for (uint32_t i = 0; i < block::own; i++)
                if (i * block::threads + threadIdx.x < block::quads)
                    shared[half + i * block::threads + threadIdx.x] = rows.quad[i];
            __syncthreads(); /* what was read before it is the other half, written after it */
            const uint32_t next = span + block::stage;
            if (next < stop)
                block::load_rows(&product, n_rows, first_row, next, &rows);
            SE_UNROLL
            for (uint32_t i = 0; i < block::stage; i++) {
                if (span + i >= stop)
                    continue;
                struct se_gpu_quad wide[PANELS][2];
                SE_UNROLL
                for (uint32_t p = 0; p < PANELS; p++)
                    weights.span[i][p].widen(wide[p]);
                SE_UNROLL
                for (uint32_t g = 0; g < GROUPS; g++) {
                    const struct se_gpu_quad x =
                        shared[half + (i * block::groups + first_group + g) * LANES + lane];
                    SE_UNROLL
                    for (uint32_t p = 0; p < PANELS; p++)
                        multiply(sums.sum[p][g], wide[p][0], x.a, x.b);
                    SE_UNROLL
                    for (uint32_t p = 0; p < PANELS; p++)
                        multiply(sums.sum[p][g], wide[p][1], x.c, x.d);
                }
                if (next + i < stop)
                    block::load_weights(&place, next + i, weights.span[i]);
            }
        }
        block::put_sums(&product, division.apart, &target, &sums);
    }
    if (division.apart && product.arrived)
        add_when_last<block>(&product, &division, work, n_rows, first_row);
}

__global__ void add_splits(const struct se_gpu_input *in, const struct se_gpu_product product,
                           uint32_t n_splits, const float *work)
{
    const uint32_t row = blockIdx.y, out = blockIdx.x * blockDim.x + threadIdx.x;
    const uint32_t n_rows = rows_of(in, &product);
    if (row >= n_rows || out >= product.n_out)
        return;
    add_splits_at(&product, n_rows, n_splits, work, row, out);
}

/* ---- which tile, for how many rows */

typedef void launch_fn(se_gpu_stream stream, const struct se_gpu_input *in, dim3 grid,
                       const struct se_gpu_product *product, struct division division, float *work);

template <class WEIGHTS, uint32_t PANELS, uint32_t GROUPS, uint32_t OUT_WARPS, uint32_t ROW_WARPS>
static void launch(se_gpu_stream stream, const struct se_gpu_input *in, dim3 grid,
                   const struct se_gpu_product *product, struct division division, float *work)
{
    auto kernel = product_tile<WEIGHTS, PANELS, GROUPS, OUT_WARPS, ROW_WARPS>;
    const uint32_t threads = tile<WEIGHTS, PANELS, GROUPS, OUT_WARPS, ROW_WARPS>::threads;
    SE_LAUNCH(stream, kernel, grid, threads, in, *product, division, work);
}

struct shape {
    uint32_t rows, outputs; /* of a block */
    uint32_t least;         /* rows of a launch that may take it */
    launch_fn *launch[SE_GPU_STORES];
};

#define SHAPE(panels, groups, out_warps, row_warps, least) \
    { \
        (groups) * (row_warps)*GROUP, (panels) * (out_warps)*PANEL, least, \
        { \
            launch<bf16_weights, panels, groups, out_warps, row_warps>, \
                launch<q8_weights, panels, groups, out_warps, row_warps> \
        } \
    }

/* Few rows: reading the weights is all, and many small blocks read best. Many rows: what a byte
 * from memory, and one from shared memory, is used for counts. */
static const struct shape shapes[] = {
    SHAPE(1, 1, 4, 1, 0), SHAPE(1, 2, 4, 1, 0), SHAPE(1, 3, 8, 1, 0), SHAPE(1, 5, 8, 1, 0),
    SHAPE(2, 8, 4, 1, 0), SHAPE(2, 6, 4, 2, 0), SHAPE(2, 8, 4, 2, 0), SHAPE(4, 8, 4, 2, 1024),
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The least work: rows of all tiles, and for each tile something for the weights it reads. */
static const struct shape *shape_for(uint32_t rows)
{
    const struct shape *best = NULL;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < SHAPES && rows >= shapes[i].least; i++) {
        uint32_t cost = over(rows, shapes[i].rows) * (shapes[i].rows + 24);
        if (cost <= least) {
            least = cost;
            best = &shapes[i];
        }
    }
    return best;
}

static uint32_t blocks_of(const struct shape *shape, uint32_t n_out, uint32_t rows)
{
    return over(rows, shape->rows) * over(n_out, shape->outputs);
}

static bool lies_apart(const struct division *division, uint32_t n_out, uint32_t rows)
{
    return division->n_splits > 1 && blocks_of(shape_for(rows), n_out, rows) < ENOUGH;
}

size_t se_gpu_matmul_work(uint32_t n_out, uint32_t n_in, uint32_t rows)
{
    struct division division = divide(n_out, n_in);
    while (rows > 0 && !lies_apart(&division, n_out, rows))
        rows--;
    return (size_t)division.n_splits * rows * n_out;
}

void se_gpu_matmul(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                   const struct se_gpu_product *product, float *work)
{
    struct division division = divide(product->n_out, product->n_in);
    const struct shape *shape = shape_for(bucket);
    division.apart = lies_apart(&division, product->n_out, bucket);
    dim3 grid(over(bucket, shape->rows), over(product->n_out, shape->outputs),
              division.apart ? division.n_splits : 1);
    shape->launch[product->store](stream, in, grid, product, division, work);
    if (division.apart && !product->arrived) {
        const uint32_t threads = 128;
        dim3 all(over(product->n_out, threads), bucket);
        SE_LAUNCH(stream, add_splits, all, threads, in, *product, division.n_splits, work);
    }
}
