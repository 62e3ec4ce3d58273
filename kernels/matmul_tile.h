/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/matmul_tile.h - rows times a row-major matrix in register tiles; a template.
 *
 * Included once per format by the file of an instruction set, which first defines (all
 * undefined again at the end of this file):
 *   TILE(name)                 the names of this format
 *   VECTOR                     elements along k that one vector register takes
 *   PIECES, X_ROWS             w rows (at most 8) and x rows of a tile when rows are many
 *   WEIGHT_B, X_B              bytes of an element of w, of a prepared x
 *   SUM, PART, X               types: accumulator, a w vector made ready, an x vector
 *   LOAD_W(p), LOAD_W_TAIL(p, n), STORE_PART(p, part), LOAD_PART(p), LOAD_X(p)
 *   PART_B                     bytes of a stored PART
 *   ZERO(), DOT(sum, part, x)  sum + the products, in one fixed way
 *   REDUCE(sum, out)           PIECES sums to as many floats, each by the same tree
 *   CONVERT_X(x, n, out)       VECTOR floats, of which n are there, to prepared ones
 *
 * Lanes run over k and there is one accumulator per y[m][n], added to in ascending k and
 * folded by one tree: every tile shape below gives the same bits.
 *
 *   <= X_ROWS   PIECES rows of w abreast, where they lie: w comes at the memory's pace
 *   <= some     one row of w after the other by up to part_rows rows of x, which stay in the
 *               first-level cache. Where they are too long for that, PIECES rows of w take
 *               turns, a stretch of k each; where there are too many, they come in two parts,
 *               and the second one finds PIECES rows of w in the second-level cache
 *   more rows   PIECES rows of w are laid side by side (where they lie, rows a power of two
 *               apart would fight for the same cache sets) by the first tile of x; the
 *               other tiles stream past, and the next rows of w are prefetched meanwhile.
 *
 * Prepared x: tiles of X_ROWS rows (the last of what is left; up to some rows are one or two
 * tiles), in a tile the rows' vectors side by side: [tile][k / VECTOR][row][VECTOR]. */

#define VECTOR_W_B (VECTOR * WEIGHT_B)
#define VECTOR_X_B (VECTOR * X_B)
#include "kernels/unroll.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    TILE(part_rows) = 6,
    TILE(some) = 8,
    /* Vectors of x that stay in a first-level cache of 32 KiB beside the passing w: fewer
     * where that leaves whole rows of common models in one stretch. */
    TILE(few_vectors) = 16384 / VECTOR_X_B,
    TILE(more_vectors) = 24576 / VECTOR_X_B,
    /* Vectors of a w row laid beside the others: at PIECES rows, half of a second-level
     * cache of 128 KiB at most. Accumulators wait in memory when k is longer. */
    TILE(block_vectors) = 65536 / (PIECES * PART_B),
    /* x tiles per pass over w: bounds the accumulators on the stack. */
    TILE(most_tiles) = 20
};

static inline size_t TILE(vectors)(uint32_t n_in)
{
    return ((size_t)n_in + VECTOR - 1) / VECTOR;
}

/* Rows of a whole tile. */
static inline uint32_t TILE(rows)(uint32_t n_rows)
{
    if (n_rows > TILE(some))
        return X_ROWS;
    return n_rows > TILE(part_rows) ? (n_rows + 1) / 2 : n_rows;
}

void TILE(prepare)(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in, void *out,
                   uint32_t from, uint32_t to)
{
    size_t row_b = TILE(vectors)(n_in) * VECTOR_X_B;
    uint32_t rows = TILE(rows)(n_rows);

    for (uint32_t m = from; m < to; m++) {
        uint32_t first = m - m % rows;
        uint32_t height = n_rows - first < rows ? n_rows - first : rows;
        char *at = (char *)out + first * row_b + (m - first) * VECTOR_X_B;
        for (uint32_t k = 0; k < n_in; k += VECTOR, at += height * VECTOR_X_B)
            CONVERT_X(x + m * ldx + k, n_in - k < VECTOR ? n_in - k : VECTOR, at);
    }
}

INLINE void TILE(add)(PART part, const char *x, int height, SUM *sum)
{
    SE_UNROLL
    for (int j = 0; j < height; j++)
        sum[j] = DOT(sum[j], part, LOAD_X(x + j * VECTOR_X_B));
}

/* One row of w in vectors [from, to) of k, and what is to be warmed meanwhile: one line for
 * every 1 << slow vectors. */
struct TILE(turn) {
    const char *w;
    size_t from, to;
    uint32_t n_in;
    const char *later;
    int slow;
};

INLINE void TILE(stretch)(const struct TILE(turn) *turn, const char *x, int height, SUM *kept)
{
    size_t full = turn->n_in / VECTOR, tail = turn->n_in % VECTOR;
    size_t whole = turn->to < full ? turn->to : full, from = turn->from;
    const char *w = turn->w, *later = turn->later;
    int slow = turn->slow;
    SUM sum[TILE(part_rows)];

    SE_UNROLL
    for (int j = 0; j < height; j++)
        sum[j] = kept[j * PIECES];
    x += from * (size_t)height * VECTOR_X_B;
#pragma GCC unroll 4
    for (size_t v = from; v < whole; v++, x += height * VECTOR_X_B) {
        __builtin_prefetch(later + ((v - from) >> slow) * VECTOR_W_B, 0, 2);
        TILE(add)(LOAD_W(w + v * VECTOR_W_B), x, height, sum);
    }
    if (tail && turn->to > full)
        TILE(add)(LOAD_W_TAIL(w + full * VECTOR_W_B, (uint32_t)tail), x, height, sum);
    SE_UNROLL
    for (int j = 0; j < height; j++)
        kept[j * PIECES] = sum[j];
}

/* The same, for the heights there are. */
static void TILE(stretch_any)(const struct TILE(turn) *turn, const char *x, uint32_t height,
                              SUM *kept)
{
    switch (height) {
    case 3:
        TILE(stretch)(turn, x, 3, kept);
        return;
    case 4:
        TILE(stretch)(turn, x, 4, kept);
        return;
    case 5:
        TILE(stretch)(turn, x, 5, kept);
        return;
    default:
        TILE(stretch)(turn, x, TILE(part_rows), kept);
    }
}

INLINE void TILE(finish)(const SUM *sum, uint32_t height, float *y, size_t ldy, uint32_t n_left)
{
    size_t size_b = (n_left < PIECES ? n_left : PIECES) * sizeof(float);

    for (uint32_t j = 0; j < height; j++) {
        float out[PIECES];
        REDUCE(sum + j * PIECES, out);
        memcpy(y + j * ldy, out, size_b);
    }
}

/* What is warmed while row i in [v, end) is multiplied by part t of x. With one part: the row
 * after the next, or the first ones again further along k, or those of the next PIECES rows.
 * With two there is twice the time, half a row's worth in each turn. */
INLINE const char *TILE(later)(const char *row, size_t row_b, size_t vectors, size_t v, size_t end,
                               uint32_t i, uint32_t t, uint32_t parts)
{
    uint32_t turn = parts == 1 ? i + 2 : PIECES + (t * PIECES + i) / 2;
    size_t half = parts > 1 && i % 2 ? (end - v) / 2 * VECTOR_W_B : 0;

    if (turn < PIECES)
        return row + turn * row_b + v * VECTOR_W_B;
    if (end < vectors)
        return row + (turn - PIECES) * row_b + end * VECTOR_W_B + half;
    return row + turn * row_b + half;
}

/* PIECES outputs for some rows: the rows of w take turns, a stretch each. */
static void TILE(turns)(const struct se_matrix *w, const char *x, uint32_t n_rows, float *y,
                        size_t ldy, uint32_t n, uint32_t to)
{
    const size_t row_b = (size_t)w->n_in * WEIGHT_B, vectors = TILE(vectors)(w->n_in);
    const uint32_t rows = TILE(rows)(n_rows), parts = (n_rows + rows - 1) / rows;
    const size_t stretch = (rows <= 4 ? TILE(few_vectors) : TILE(more_vectors)) / rows;
    const char *row = (const char *)w->data + n * row_b;
    const uint32_t pieces = to - n < PIECES ? to - n : PIECES;
    SUM sum[TILE(some) * PIECES];

    for (uint32_t i = 0; i < n_rows * PIECES; i++)
        sum[i] = ZERO();
    for (size_t v = 0; v < vectors; v += stretch)
        for (uint32_t t = 0; t < parts; t++)
            for (uint32_t i = 0; i < pieces; i++) {
                uint32_t m = t * rows;
                struct TILE(turn) turn = { row + i * row_b, v,
                                           vectors - v < stretch ? vectors : v + stretch,
                                           w->n_in, NULL, parts > 1 };
                turn.later = TILE(later)(row, row_b, vectors, v, turn.to, i, t, parts);
                TILE(stretch_any)(&turn, x + m * vectors * VECTOR_X_B,
                                  n_rows - m < rows ? n_rows - m : rows, sum + m * PIECES + i);
            }
    TILE(finish)(sum, n_rows, y + n, ldy, to - n);
}

/* One vector of PIECES rows of w by one of height rows of x. */
INLINE void TILE(cross)(const PART *part, const char *x, int height, SUM *sum)
{
    X value[X_ROWS];
    SE_UNROLL
    for (int j = 0; j < height; j++)
        value[j] = LOAD_X(x + j * VECTOR_X_B);
    SE_UNROLL
    for (int i = 0; i < PIECES; i++)
        SE_UNROLL
        for (int j = 0; j < height; j++)
            sum[j * PIECES + i] = DOT(sum[j * PIECES + i], part[i], value[j]);
}

/* Vectors [from, to) of PIECES rows of w where they lie. They are laid side by side at beside
 * on the way, or else what lies ahead_b further is warmed. */
INLINE void TILE(abreast)(const char *const *row, size_t from, size_t to, uint32_t n_in,
                          const char *x, int height, char *beside, size_t ahead_b, SUM *sum)
{
    size_t full = n_in / VECTOR, tail = n_in % VECTOR;
    size_t whole = to < full ? to : full;

    for (size_t v = from; v < whole; v++, x += height * VECTOR_X_B) {
        PART part[PIECES];
        SE_UNROLL
        for (int i = 0; i < PIECES; i++) {
            part[i] = LOAD_W(row[i] + v * VECTOR_W_B);
            if (beside)
                STORE_PART(beside + i * PART_B, part[i]);
            else
                __builtin_prefetch(row[i] + v * VECTOR_W_B + ahead_b, 0, 2);
        }
        TILE(cross)(part, x, height, sum);
        if (beside)
            beside += PIECES * PART_B;
    }
    if (tail && to > full) {
        PART part[PIECES];
        SE_UNROLL
        for (int i = 0; i < PIECES; i++) {
            part[i] = LOAD_W_TAIL(row[i] + full * VECTOR_W_B, (uint32_t)tail);
            if (beside)
                STORE_PART(beside + i * PART_B, part[i]);
        }
        TILE(cross)(part, x, height, sum);
    }
}

/* The rows of the tile at n; those past the end repeat the last one. */
INLINE void TILE(point)(const struct se_matrix *w, uint32_t n, uint32_t to, const char **row)
{
    for (uint32_t i = 0; i < PIECES; i++)
        row[i] = (const char *)w->data +
                 (size_t)(n + i < to ? n + i : to - 1) * w->n_in * WEIGHT_B;
}

/* PIECES outputs for at most X_ROWS rows. */
INLINE void TILE(side_by_side)(const struct se_matrix *w, const char *x, int height, float *y,
                               size_t ldy, uint32_t n, uint32_t to)
{
    const char *row[PIECES];
    SUM sum[X_ROWS * PIECES];

    TILE(point)(w, n, to, row);
    SE_UNROLL
    for (int i = 0; i < height * PIECES; i++)
        sum[i] = ZERO();
    TILE(abreast)(row, 0, TILE(vectors)(w->n_in), w->n_in, x, height, NULL,
                  (size_t)w->n_in * WEIGHT_B * PIECES, sum);
    TILE(finish)(sum, (uint32_t)height, y + n, ldy, to - n);
}

/* What the tiles of x have in common while PIECES rows of w are at hand. */
struct TILE(block) {
    const char *row[PIECES]; /* where they lie; those past the end repeat the last one */
    size_t from, to;         /* vectors of this block */
    uint32_t n_in;
    char *part; /* the block, side by side */
};

/* The others find them there, and warm one line of each of warm rows per vector. */
INLINE void TILE(follow)(const struct TILE(block) *b, const char *x, int height,
                         const char *const *later, int warm, SUM *sum)
{
    const char *part = b->part;

    for (size_t v = 0; v < b->to - b->from; v++) {
        X value[X_ROWS];
        SE_UNROLL
        for (int i = 0; i < warm; i++)
            __builtin_prefetch(later[i] + v * VECTOR_W_B, 0, 2);
        SE_UNROLL
        for (int j = 0; j < height; j++)
            value[j] = LOAD_X(x + j * VECTOR_X_B);
        SE_UNROLL
        for (int i = 0; i < PIECES; i++) {
            PART one = LOAD_PART(part + i * PART_B);
            SE_UNROLL
            for (int j = 0; j < height; j++)
                sum[j * PIECES + i] = DOT(sum[j * PIECES + i], one, value[j]);
        }
        part += PIECES * PART_B;
        x += height * VECTOR_X_B;
    }
}

/* A tile of x by the block: sums are fresh or wait in kept, and go there or to y. */
INLINE void TILE(pass)(const struct TILE(block) *b, const char *x, int height,
                       const char *const *later, int warm, SUM *kept, float *y, size_t ldy,
                       uint32_t n_left)
{
    SUM sum[X_ROWS * PIECES];

    SE_UNROLL
    for (int i = 0; i < height * PIECES; i++)
        sum[i] = b->from ? kept[i] : ZERO();
    x += b->from * (size_t)height * VECTOR_X_B;
    if (warm)
        TILE(follow)(b, x, height, later, warm, sum);
    else
        TILE(abreast)(b->row, b->from, b->to, b->n_in, x, height, b->part, 0, sum);
    if (b->to == TILE(vectors)(b->n_in)) {
        TILE(finish)(sum, (uint32_t)height, y, ldy, n_left);
        return;
    }
    SE_UNROLL
    for (int i = 0; i < height * PIECES; i++)
        kept[i] = sum[i];
}

/* The same, for the heights and amounts of warming there are. */
static void TILE(pass_any)(const struct TILE(block) *b, const char *x, uint32_t height,
                           const char *const *later, uint32_t warm, SUM *kept, float *y,
                           size_t ldy, uint32_t n_left)
{
    if (height == 1 && warm)
        TILE(pass)(b, x, 1, later, 1, kept, y, ldy, n_left);
    else if (height == 2 && warm)
        TILE(pass)(b, x, 2, later, 1, kept, y, ldy, n_left);
    else if (height == 1)
        TILE(pass)(b, x, 1, later, 0, kept, y, ldy, n_left);
    else if (height == 2)
        TILE(pass)(b, x, 2, later, 0, kept, y, ldy, n_left);
    else if (warm == 0)
        TILE(pass)(b, x, X_ROWS, later, 0, kept, y, ldy, n_left);
    else if (warm == 1)
        TILE(pass)(b, x, X_ROWS, later, 1, kept, y, ldy, n_left);
    else
        TILE(pass)(b, x, X_ROWS, later, 4, kept, y, ldy, n_left);
}

/* Where the rows of w that come next lie: further along k, or the next PIECES rows. Past
 * the last one there is nothing new to warm, so those point at what is warm. */
INLINE void TILE(look_ahead)(const struct TILE(block) *b, const char **later, int n)
{
    size_t row_b = (size_t)b->n_in * WEIGHT_B;

    for (int i = 0; i < n; i++)
        if (i >= PIECES)
            later[i] = b->part;
        else if (b->to < TILE(vectors)(b->n_in))
            later[i] = b->row[i] + b->to * VECTOR_W_B;
        else
            later[i] = b->row[i] + row_b * PIECES;
}

/* PIECES outputs for all rows of at most most_tiles tiles. */
static void TILE(column)(const struct se_matrix *w, const char *x, uint32_t n_rows, float *y,
                         size_t ldy, uint32_t n, uint32_t to)
{
    char part[TILE(block_vectors) * PIECES * PART_B] __attribute__((aligned(64)));
    SUM kept[TILE(most_tiles)][X_ROWS * PIECES];
    const char *later[PIECES + 4];
    size_t vectors = TILE(vectors)(w->n_in), row_b = vectors * VECTOR_X_B;
    /* blocks of equal size, as few as can be */
    size_t blocks = (vectors + TILE(block_vectors) - 1) / TILE(block_vectors);
    size_t step = (vectors + blocks - 1) / blocks;
    uint32_t tiles = (n_rows + X_ROWS - 1) / X_ROWS;
    uint32_t warm = tiles > PIECES ? 1 : 4;
    struct TILE(block) b = { .n_in = w->n_in, .part = part };

    TILE(point)(w, n, to, b.row);
    for (size_t v = 0; v < vectors; v += step) {
        b.from = v;
        b.to = vectors - v < step ? vectors : v + step;
        TILE(look_ahead)(&b, later, PIECES + 4);
        for (uint32_t t = 0; t < tiles; t++) {
            uint32_t m = t * X_ROWS, at = t ? (t - 1) * warm : 0;
            TILE(pass_any)(&b, x + m * row_b, n_rows - m < X_ROWS ? n_rows - m : X_ROWS,
                           later + (at < PIECES ? at : PIECES), t ? warm : 0, kept[t],
                           y + m * ldy + n, ldy, to - n);
        }
    }
}

void TILE(run)(const struct se_matrix *w, const void *rows, uint32_t n_rows, float *y, size_t ldy,
               uint32_t from, uint32_t to)
{
    const uint32_t most = TILE(most_tiles) * X_ROWS;
    const char *x = rows;
    size_t row_b = TILE(vectors)(w->n_in) * VECTOR_X_B;

    if (n_rows <= TILE(some)) {
        for (uint32_t n = from; n < to; n += PIECES)
            if (n_rows == 1)
                TILE(side_by_side)(w, x, 1, y, ldy, n, to);
            else if (n_rows == 2)
                TILE(side_by_side)(w, x, 2, y, ldy, n, to);
            else if (n_rows == 3)
                TILE(side_by_side)(w, x, 3, y, ldy, n, to);
            else
                TILE(turns)(w, x, n_rows, y, ldy, n, to);
        return;
    }
    for (uint32_t m = 0; m < n_rows; m += most)
        for (uint32_t n = from; n < to; n += PIECES)
            TILE(column)(w, x + m * row_b, n_rows - m < most ? n_rows - m : most, y + m * ldy,
                         ldy, n, to);
}

#undef VECTOR_W_B
#undef VECTOR_X_B
#undef INLINE
#undef TILE
#undef VECTOR
#undef PIECES
#undef X_ROWS
#undef WEIGHT_B
#undef X_B
#undef SUM
#undef PART
#undef X
#undef LOAD_W
#undef LOAD_W_TAIL
#undef STORE_PART
#undef LOAD_PART
#undef PART_B
#undef LOAD_X
#undef ZERO
#undef DOT
#undef REDUCE
#undef CONVERT_X
