/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/matmul_tile_q8.h - rows times a packed q8 matrix in register tiles; a template.
 *
 * Included once by the file of an instruction set, which first defines:
 *   TILE(name)             the names of this implementation
 *   LANES                  outputs that one vector register takes, at most 16
 *   WIDE                   blocks of 16 outputs of a tile in a whole panel, 1, 2 or 4
 *   X_ROWS                 x rows of a tile, 3 or fewer
 *   BLOCK_GROUPS           groups along k that one pass over the rows takes
 *   SUM, PART, X, FLOATS   integer sums, a weight vector made ready, an x quad in all lanes
 *   LOAD_W(p)              LANES x 4 weights made ready for DOT
 *   LOAD_X(p)              4 values of k in all lanes
 *   BEGIN(group)           the integer sums that a group of x starts with
 *   DOT(sum, part, x)      sum + the four products of each lane
 *   ZERO(), LOAD_SCALE(p), SPREAD(scalar), STORE(p, floats), LOAD(p)
 *   ADD(floats, sum, w_scale, x_scale)   floats + sum * (w_scale * x_scale), fused
 *
 * Lanes run over outputs: sums within a group are exact, and groups are added in ascending
 * order with one fused operation each, so every tile shape gives the same bits.
 *
 * One row: weights stream by once. More: BLOCK_GROUPS groups of a panel stay in the
 * first-level cache while all rows pass, floats wait in memory between blocks of groups,
 * and the next block is prefetched meanwhile. */

#define INLINE static inline __attribute__((always_inline))
#define BLOCK_B (SE_Q8_LANES * SE_Q8_GROUP)

enum {
    TILE(per_block) = SE_Q8_LANES / LANES,
    TILE(most_tiles) = 20, /* of rows per pass over w: bounds the floats on the stack */
    TILE(ahead_b) = 8192,  /* how far ahead one pass over w warms it */
};

void TILE(prepare)(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in, void *out,
                   uint32_t from, uint32_t to)
{
    (void)n_rows;
    for (uint32_t m = from; m < to; m++)
        se_quant_row(x + m * ldx, n_in, (char *)out + m * se_quant_row_size(n_in));
}

/* What a tile reads, at its first group. */
struct TILE(place) {
    const uint8_t *w;
    const uint16_t *scale;
    const char *x;
    size_t w_step_b, scale_step, x_row_b;
    const char *next; /* to be warmed, warm lines per group */
};

/* One group: blocks * 16 outputs by height rows. */
INLINE void TILE(group)(const uint8_t *w, const uint16_t *scale, const char *x, size_t x_row_b,
                        int blocks, int height, FLOATS *floats)
{
    const int pieces = blocks * TILE(per_block);
    SUM sum[X_ROWS * WIDE * TILE(per_block)];

    for (int j = 0; j < height; j++)
        for (int i = 0; i < pieces; i++)
            sum[j * pieces + i] = BEGIN((const struct se_quant_group *)(const void *)(x + j * x_row_b));
#pragma GCC unroll 8
    for (int quad = 0; quad < SE_Q8_GROUP / 4; quad++) {
        PART part[WIDE * TILE(per_block)];
#pragma GCC unroll 8
        for (int i = 0; i < pieces; i++)
            part[i] = LOAD_W(w + i / TILE(per_block) * BLOCK_B + quad * SE_Q8_LANES * 4 +
                             i % TILE(per_block) * LANES * 4);
#pragma GCC unroll 8
        for (int j = 0; j < height; j++) {
            X value = LOAD_X(x + j * x_row_b + offsetof(struct se_quant_group, q) + quad * 4);
#pragma GCC unroll 8
            for (int i = 0; i < pieces; i++)
                sum[j * pieces + i] = DOT(sum[j * pieces + i], part[i], value);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < pieces; i++) {
        FLOATS w_scale = LOAD_SCALE(scale + i * LANES);
#pragma GCC unroll 8
        for (int j = 0; j < height; j++)
            floats[j * pieces + i] = ADD(floats[j * pieces + i], sum[j * pieces + i], w_scale,
                                         SPREAD((const float *)(const void *)(x + j * x_row_b)));
    }
}

INLINE void TILE(groups)(const struct TILE(place) *place, size_t n, int blocks, int height,
                         int warm, FLOATS *floats)
{
    const uint8_t *w = place->w;
    const uint16_t *scale = place->scale;
    const char *x = place->x, *next = place->next;
    size_t w_step_b = place->w_step_b, scale_step = place->scale_step, x_row_b = place->x_row_b;

    for (size_t g = 0; g < n; g++) {
        for (int i = 0; i < warm; i++)
            __builtin_prefetch(next + i * 64, 0, 2);
        TILE(group)(w, scale, x, x_row_b, blocks, height, floats);
        w += w_step_b;
        scale += scale_step;
        x += sizeof(struct se_quant_group);
        next += warm * 64;
    }
}

/* The same with the floats in memory, n_out of them per row. */
INLINE void TILE(pass)(const struct TILE(place) *place, size_t n, int blocks, int height,
                       int warm, float *kept, int first)
{
    const int pieces = blocks * TILE(per_block);
    FLOATS floats[X_ROWS * WIDE * TILE(per_block)];

    for (int i = 0; i < height * pieces; i++)
        floats[i] = first ? ZERO() : LOAD(kept + i * LANES);
    TILE(groups)(place, n, blocks, height, warm, floats);
    for (int i = 0; i < height * pieces; i++)
        STORE(kept + i * LANES, floats[i]);
}

static void TILE(pass_any)(const struct TILE(place) *place, size_t n, int blocks, uint32_t height,
                           int warm, float *kept, int first)
{
    if (blocks == WIDE) {
        if (height == 1 && warm == 32)
            TILE(pass)(place, n, WIDE, 1, 32, kept, first);
        else if (height == 1)
            TILE(pass)(place, n, WIDE, 1, 4, kept, first);
        else if (height == 2)
            TILE(pass)(place, n, WIDE, 2, 4, kept, first);
        else if (warm == 4)
            TILE(pass)(place, n, WIDE, X_ROWS, 4, kept, first);
        else
            TILE(pass)(place, n, WIDE, X_ROWS, 16, kept, first);
    } else {
        for (uint32_t j = 0; j < height; j++) {
            struct TILE(place) one = *place;
            one.x += j * place->x_row_b;
            TILE(pass)(&one, n, 1, 1, 4, kept + j * SE_Q8_LANES, first);
        }
    }
}

/* blocks * 16 outputs, from n on, for all rows of at most most_tiles tiles. */
static void TILE(column)(const struct se_matrix *w, const char *x, uint32_t n_rows, float *y,
                         size_t ldy, uint32_t n, int blocks)
{
    float kept[TILE(most_tiles)][X_ROWS * WIDE * SE_Q8_LANES] __attribute__((aligned(64)));
    struct se_quant_place at = se_quant_place(w->n_out, w->n_in, n);
    size_t groups = se_quant_groups(w->n_in), row_b = se_quant_row_size(w->n_in);
    size_t block = n_rows > X_ROWS ? BLOCK_GROUPS : groups;
    uint32_t tiles = (n_rows + X_ROWS - 1) / X_ROWS;
    int warm = tiles >= 8 ? 4 : tiles >= 2 ? 16 : 32;
    uint32_t width = (uint32_t)blocks * SE_Q8_LANES;

    for (size_t g = 0; g < groups; g += block) {
        size_t end = groups - g < block ? groups : g + block;
        size_t from = at.at + g * at.step, past = at.at + end * at.step;
        for (uint32_t t = 0; t < tiles; t++) {
            uint32_t m = t * X_ROWS;
            struct TILE(place) place = {
                .w = (const uint8_t *)w->data + from * BLOCK_B,
                .scale = w->scale + from * SE_Q8_LANES,
                .x = x + m * row_b + g * sizeof(struct se_quant_group),
                .w_step_b = at.step * BLOCK_B,
                .scale_step = at.step * SE_Q8_LANES,
                .x_row_b = row_b,
                .next = (const char *)w->data +
                        (tiles > 1 ? past * BLOCK_B + t * (end - g) * (size_t)warm * 64
                                   : from * BLOCK_B + TILE(ahead_b)),
            };
            TILE(pass_any)(&place, end - g, blocks, n_rows - m < X_ROWS ? n_rows - m : X_ROWS,
                           warm, kept[t], g == 0);
        }
    }
    for (uint32_t m = 0; m < n_rows; m++)
        memcpy(y + m * ldy + n, kept[m / X_ROWS] + m % X_ROWS * width,
               (w->n_out - n < width ? w->n_out - n : width) * sizeof *y);
}

void TILE(run)(const struct se_matrix *w, const void *rows, uint32_t n_rows, float *y, size_t ldy,
               uint32_t from, uint32_t to)
{
    const uint32_t most = TILE(most_tiles) * X_ROWS;
    size_t row_b = se_quant_row_size(w->n_in);
    uint32_t n = from;

    for (uint32_t m = 0; m < n_rows; m += most) {
        uint32_t part = n_rows - m < most ? n_rows - m : most;
        const char *x = (const char *)rows + m * row_b;
        for (n = from; n < to; ) {
            int blocks = w->n_out - n + 15 >= WIDE * SE_Q8_LANES ? WIDE : 1;
            TILE(column)(w, x, part, y + m * ldy, ldy, n, blocks);
            n += (uint32_t)blocks * SE_Q8_LANES;
        }
    }
}

#undef INLINE
#undef BLOCK_B
