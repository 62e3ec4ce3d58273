/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/matmul_tile_q8.h - rows times a packed q8 matrix in register tiles; a template.
 *
 * Included once by the file of an instruction set, which first defines:
 *   TILE(name)             the names of this implementation
 *   LANES                  outputs that one vector register takes, at most 16
 *   WIDE, X_ROWS           blocks of 16 outputs (1, 2 or 4), and x rows (at most 3), of a tile
 *   SUM, PART, X, FLOATS   integer sums, a weight vector made ready, an x quad in all lanes
 *   LOAD_W(p)              LANES x 4 weights made ready for DOT
 *   LOAD_X(p)              4 values of k in all lanes
 *   BEGIN(group)           the integer sums that a group of x starts with
 *   DOT(sum, part, x)      sum + the four products of each lane
 *   ZERO(), LOAD_SCALE(p), SPREAD(p), STORE(p, floats), LOAD(p)
 *   ADD(floats, sum, w_scale, x_scale)   floats + sum * (w_scale * x_scale), fused
 *
 * Lanes run over outputs. Sums within a group are exact, and groups are added in ascending
 * order with one product and one fused operation each: every tile shape gives the same bits
 * (and so does every instruction set).
 *
 * A panel of 64 outputs is worked off in blocks of groups along k. In a block all rows pass
 * over the same weights, which lie in the first-level cache by then; floats wait in memory
 * between blocks. Memory delivers fastest as one unbroken stream, so up to FEW rows leave
 * the fetching to the processor; more rows are slow enough to break it, and the next block
 * is prefetched meanwhile. */

#include "kernels/unroll.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    TILE(per_block) = SE_Q8_LANES / LANES,
    TILE(few) = 5,
    TILE(few_groups) = 4, /* of a block, when rows are few: 8 KiB of weights */
    TILE(more_groups) = 8,
    TILE(most_rows) = 60,  /* per pass over w: bounds the floats on the stack */
    TILE(ahead_b) = 8192   /* the stream is helped over page ends this early */
};

void TILE(prepare)(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in, void *out,
                   uint32_t from, uint32_t to)
{
    (void)n_rows;
    for (uint32_t m = from; m < to; m++)
        se_quant_row(x + m * ldx, n_in, (char *)out + m * se_quant_row_size(n_in));
}

/* What a tile reads, at its first group, and what it adds to. */
struct TILE(place) {
    const uint8_t *w;
    const uint16_t *scale;
    size_t width; /* outputs of the panel */
    const char *x;
    size_t x_row_b;
    const char *next; /* to be warmed: so many lines per group */
    float *kept;      /* SE_MATMUL_STEP floats to the next row */
};

/* One group: blocks * 16 outputs by height rows. */
INLINE void TILE(group)(const uint8_t *w, const uint16_t *scale, size_t width, const char *x,
                        size_t x_row_b, int blocks, int height, FLOATS *floats)
{
    const int pieces = blocks * TILE(per_block);
    SUM sum[X_ROWS * WIDE * TILE(per_block)];

    SE_UNROLL
    for (int i = 0; i < height * pieces; i++)
        sum[i] = BEGIN((const struct se_quant_group *)(const void *)(x + (size_t)(i / pieces) *
                                                                             x_row_b));
    SE_UNROLL
    for (size_t quad = 0; quad < SE_Q8_GROUP / 4; quad++) {
        const size_t at = offsetof(struct se_quant_group, q) + quad * 4;
        X value[X_ROWS];
        SE_UNROLL
        for (int j = 0; j < height; j++)
            value[j] = LOAD_X(x + (size_t)j * x_row_b + at);
        SE_UNROLL
        for (int i = 0; i < pieces; i++) {
            PART part = LOAD_W(w + quad * width * 4 + i * LANES * 4);
            SE_UNROLL
            for (int j = 0; j < height; j++)
                sum[j * pieces + i] = DOT(sum[j * pieces + i], part, value[j]);
        }
    }
    SE_UNROLL
    for (int i = 0; i < pieces; i++) {
        FLOATS w_scale = LOAD_SCALE(scale + i * LANES);
        SE_UNROLL
        for (int j = 0; j < height; j++) {
            const float *x_scale = (const float *)(const void *)(x + (size_t)j * x_row_b);
            floats[j * pieces + i] =
                ADD(floats[j * pieces + i], sum[j * pieces + i], w_scale, SPREAD(x_scale));
        }
    }
}

/* n groups. warm lines of what comes next are asked for with each, or the head of a page. */
INLINE void TILE(pass)(const struct TILE(place) *place, size_t n, int blocks, int height,
                       int warm, int first)
{
    const int pieces = blocks * TILE(per_block);
    /* known to the compiler where a tile is a whole panel */
    const size_t width =
        blocks * SE_Q8_LANES == SE_MATMUL_STEP ? SE_MATMUL_STEP : place->width;
    const uint8_t *w = place->w;
    const uint16_t *scale = place->scale;
    const char *x = place->x, *next = place->next;
    FLOATS floats[X_ROWS * WIDE * TILE(per_block)];

    SE_UNROLL
    for (int i = 0; i < height * pieces; i++)
        floats[i] = first ? ZERO()
                          : LOAD(place->kept + i / pieces * SE_MATMUL_STEP + i % pieces * LANES);
    for (size_t g = 0; g < n; g++) {
        if (!warm)
            __builtin_prefetch((const char *)w + TILE(ahead_b), 0, 2);
        SE_UNROLL
        for (int i = 0; i < warm; i++)
            __builtin_prefetch(next + i * 64, 0, 2);
        TILE(group)(w, scale, width, x, place->x_row_b, blocks, height, floats);
        w += width * SE_Q8_GROUP;
        scale += width;
        x += sizeof(struct se_quant_group);
        next += warm * 64;
    }
    SE_UNROLL
    for (int i = 0; i < height * pieces; i++)
        STORE(place->kept + i / pieces * SE_MATMUL_STEP + i % pieces * LANES, floats[i]);
}

/* The heights, widths and amounts of warming there are. */
static void TILE(pass_any)(const struct TILE(place) *place, size_t n, uint32_t blocks,
                           uint32_t height, uint32_t warm, int first)
{
    struct TILE(place) one = *place;

    if (blocks == WIDE && height == X_ROWS && warm > 4) {
        TILE(pass)(place, n, WIDE, X_ROWS, 16, first);
    } else if (blocks == WIDE && height == X_ROWS && warm) {
        TILE(pass)(place, n, WIDE, X_ROWS, 4, first);
    } else if (blocks == WIDE && height == X_ROWS) {
        TILE(pass)(place, n, WIDE, X_ROWS, 0, first);
    } else if (blocks == WIDE && height == 2) {
        TILE(pass)(place, n, WIDE, 2, 0, first);
    } else if (blocks == WIDE) {
        TILE(pass)(place, n, WIDE, 1, 0, first);
    } else {
        for (uint32_t j = 0; j < height; j++) {
            TILE(pass)(&one, n, 1, 1, 0, first);
            one.x += one.x_row_b;
            one.kept += SE_MATMUL_STEP;
        }
    }
}

/* All tiles of rows by all widths of a panel, in the groups [from, to). */
static void TILE(block)(const struct TILE(place) *panel, uint32_t n_rows, size_t from, size_t to)
{
    uint32_t tiles = (n_rows + X_ROWS - 1) / X_ROWS;
    uint32_t warm = n_rows <= TILE(few) ? 0 : tiles >= 8 ? 4 : 16;
    uint32_t blocks = (uint32_t)panel->width / SE_Q8_LANES;

    for (uint32_t t = 0; t < tiles; t++) {
        uint32_t m = t * X_ROWS, height = n_rows - m < X_ROWS ? n_rows - m : X_ROWS;
        for (uint32_t b = 0, step; b < blocks; b += step) {
            size_t at = b * SE_Q8_LANES;
            step = blocks - b >= WIDE ? WIDE : 1;
            TILE(pass_any)(
                &(struct TILE(place)){
                    .w = panel->w + from * panel->width * SE_Q8_GROUP + at * 4,
                    .scale = panel->scale + from * panel->width + at,
                    .width = panel->width,
                    .x = panel->x + m * panel->x_row_b + from * sizeof(struct se_quant_group),
                    .x_row_b = panel->x_row_b,
                    .next = (const char *)panel->w + to * panel->width * SE_Q8_GROUP +
                            t * (to - from) * warm * 64,
                    .kept = panel->kept + m * SE_MATMUL_STEP + at,
                },
                to - from, step, height, warm, from == 0);
        }
    }
}

/* A panel, from output n on, for at most most_rows rows. */
static void TILE(panel)(const struct se_matrix *w, const char *x, uint32_t n_rows, float *y,
                        size_t ldy, uint32_t n)
{
    float kept[TILE(most_rows) * SE_MATMUL_STEP] __attribute__((aligned(64)));
    struct se_quant_place at = se_quant_place(w->n_out, w->n_in, n);
    size_t groups = se_quant_groups(w->n_in), step = TILE(more_groups);
    struct TILE(place) panel = {
        .w = (const uint8_t *)w->data + at.byte,
        .scale = w->scale + at.scale,
        .width = at.width,
        .x = x,
        .x_row_b = se_quant_row_size(w->n_in),
        .kept = kept,
    };

    if (n_rows <= TILE(few))
        step = TILE(few_groups);
    if (n_rows <= X_ROWS && WIDE * SE_Q8_LANES == SE_MATMUL_STEP)
        step = groups;
    for (size_t g = 0; g < groups; g += step)
        TILE(block)(&panel, n_rows, g, groups - g < step ? groups : g + step);
    for (uint32_t m = 0; m < n_rows; m++)
        memcpy(y + m * ldy + n, kept + m * SE_MATMUL_STEP,
               (w->n_out - n < at.width ? w->n_out - n : at.width) * sizeof *y);
}

void TILE(run)(const struct se_matrix *w, const void *rows, uint32_t n_rows, float *y, size_t ldy,
               uint32_t from, uint32_t to)
{
    size_t row_b = se_quant_row_size(w->n_in);

    for (uint32_t m = 0; m < n_rows; m += TILE(most_rows))
        for (uint32_t n = from; n < to; n += SE_MATMUL_STEP)
            TILE(panel)(w, (const char *)rows + m * row_b,
                        n_rows - m < TILE(most_rows) ? n_rows - m : TILE(most_rows),
                        y + m * ldy, ldy, n);
}

#undef INLINE
