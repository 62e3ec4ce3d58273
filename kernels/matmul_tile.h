/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/matmul_tile.h - rows times a row-major matrix in register tiles; a template.
 *
 * Included once per format by the file of an instruction set, which first defines (all
 * undefined again at the end of this file):
 *   TILE(name)                 the names of this format
 *   VECTOR                     elements along k that one vector register takes
 *   PIECES                     w rows of a tile, at most 8
 *   X_ROWS                     x rows of a tile, 3
 *   WEIGHT_B, X_B              bytes of an element of w, of a prepared x
 *   struct-less types          SUM (accumulator), PART (a w vector made ready), X (an x vector)
 *   LOAD_W(p), LOAD_W_TAIL(p, n), STORE_PART(p, part), LOAD_PART(p), LOAD_X(p)
 *   PART_B                     bytes of a stored PART
 *   ZERO(), DOT(sum, part, x)  sum + the products, in one fixed way
 *   REDUCE(sum, out)           PIECES sums to PIECES floats, each by the same tree
 *   CONVERT_X(x, n, out)       VECTOR floats, of which n are there, to prepared ones
 *
 * Lanes run over k and there is one accumulator per y[m][n], added to in ascending k and
 * folded by one tree: every tile shape below gives the same bits.
 *
 *   few rows (<= X_ROWS)  w is read where it lies, the next tile is prefetched beside it
 *   more rows             PIECES rows of w by BLOCK_K elements are laid side by side in a
 *                         block that stays in the first-level cache (where it lies, rows a
 *                         power of two apart would fight for the same cache sets); all
 *                         tiles of x stream past it, accumulators wait in memory between
 *                         blocks, and the next block is prefetched meanwhile
 *
 * Prepared x: tiles of X_ROWS rows (the last of what is left), in a tile the rows' vectors
 * side by side: [tile][k / VECTOR][row][VECTOR]. */

#define VECTOR_W_B (VECTOR * WEIGHT_B)
#define VECTOR_X_B (VECTOR * X_B)
#define INLINE static inline __attribute__((always_inline))

enum {
    TILE(block_vectors) = 16384 / (PIECES * PART_B),
    TILE(most_tiles) = 20 /* x tiles per pass over w: bounds the accumulators on the stack */
};

static inline size_t TILE(vectors)(uint32_t n_in)
{
    return ((size_t)n_in + VECTOR - 1) / VECTOR;
}

void TILE(prepare)(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in, void *out,
                   uint32_t from, uint32_t to)
{
    size_t row_b = TILE(vectors)(n_in) * VECTOR_X_B;

    for (uint32_t m = from; m < to; m++) {
        uint32_t first = m - m % X_ROWS;
        uint32_t height = n_rows - first < X_ROWS ? n_rows - first : X_ROWS;
        char *at = (char *)out + first * row_b + (m - first) * VECTOR_X_B;
        for (uint32_t k = 0; k < n_in; k += VECTOR, at += height * VECTOR_X_B)
            CONVERT_X(x + m * ldx + k, n_in - k < VECTOR ? n_in - k : VECTOR, at);
    }
}

/* Adds one vector of each w row to the sums. */
INLINE void TILE(step)(const PART *part, const char *x, int height, SUM *sum)
{
    for (int j = 0; j < height; j++) {
        X value = LOAD_X(x + j * VECTOR_X_B);
#pragma GCC unroll 8
        for (int i = 0; i < PIECES; i++)
            sum[j * PIECES + i] = DOT(sum[j * PIECES + i], part[i], value);
    }
}

/* PIECES rows of w where they lie, by height rows of x. */
INLINE void TILE(direct)(const char *const *w, size_t ahead_b, uint32_t n_in, const char *x,
                         int height, SUM *sum)
{
    size_t full = n_in / VECTOR;
    uint32_t tail = n_in % VECTOR;
    PART part[PIECES];

    for (size_t v = 0; v < full; v++, x += height * VECTOR_X_B) {
#pragma GCC unroll 8
        for (int i = 0; i < PIECES; i++) {
            part[i] = LOAD_W(w[i] + v * VECTOR_W_B);
            __builtin_prefetch(w[i] + v * VECTOR_W_B + ahead_b, 0, 2);
        }
        TILE(step)(part, x, height, sum);
    }
    if (tail) {
        for (int i = 0; i < PIECES; i++)
            part[i] = LOAD_W_TAIL(w[i] + full * VECTOR_W_B, tail);
        TILE(step)(part, x, height, sum);
    }
}

/* A packed block of w by height rows of x; warms one line of each next[] per vector. */
INLINE void TILE(packed)(const char *block, size_t n, const char *x, int height,
                         const char *const *next, int warm, SUM *sum)
{
    for (size_t v = 0; v < n; v++) {
        PART part[PIECES];
        for (int i = 0; i < warm; i++)
            __builtin_prefetch(next[i] + v * VECTOR_W_B, 0, 2);
#pragma GCC unroll 8
        for (int i = 0; i < PIECES; i++)
            part[i] = LOAD_PART(block + i * PART_B);
        TILE(step)(part, x, height, sum);
        block += PIECES * PART_B;
        x += height * VECTOR_X_B;
    }
}

/* Pointers to the w rows of the tile at n; those from limit on repeat the last one. */
static void TILE(point)(const struct se_matrix *w, uint32_t n, uint32_t limit, const char **row)
{
    for (uint32_t i = 0; i < PIECES; i++) {
        uint32_t at = n + i < limit ? n + i : limit - 1;
        row[i] = (const char *)w->data + (size_t)at * w->n_in * WEIGHT_B;
    }
}

INLINE void TILE(finish)(const SUM *sum, uint32_t height, float *y, size_t ldy, uint32_t n_left)
{
    float out[PIECES];
    uint32_t n = n_left < PIECES ? n_left : PIECES;

    for (uint32_t j = 0; j < height; j++) {
        REDUCE(sum + j * PIECES, out);
        memcpy(y + j * ldy, out, n * sizeof *out);
    }
}

INLINE void TILE(few)(const struct se_matrix *w, const char *x, int height, float *y, size_t ldy,
                      uint32_t from, uint32_t to)
{
    size_t ahead_b = (size_t)w->n_in * WEIGHT_B * PIECES;
    const char *row[PIECES];

    for (uint32_t n = from; n < to; n += PIECES) {
        SUM sum[X_ROWS * PIECES];
        for (int i = 0; i < height * PIECES; i++)
            sum[i] = ZERO();
        TILE(point)(w, n, to, row);
        TILE(direct)(row, ahead_b, w->n_in, x, height, sum);
        TILE(finish)(sum, (uint32_t)height, y + n, ldy, to - n);
    }
}

/* One block of w, made ready and laid side by side. */
static void TILE(pack)(const char *const *w, uint32_t n_in, size_t from, size_t to, char *block)
{
    for (size_t v = from; v < to; v++) {
        size_t left = n_in - v * VECTOR;
        for (int i = 0; i < PIECES; i++, block += PART_B) {
            const char *at = w[i] + v * VECTOR_W_B;
            STORE_PART(block, left < VECTOR ? LOAD_W_TAIL(at, (uint32_t)left) : LOAD_W(at));
        }
    }
}

/* One x tile past a packed block: fresh sums or those that wait, kept or written out. */
INLINE void TILE(pass)(const char *block, size_t n, const char *x, int height,
                       const char *const *next, int warm, SUM *kept, int first)
{
    SUM sum[X_ROWS * PIECES];
    for (int i = 0; i < height * PIECES; i++)
        sum[i] = first ? ZERO() : kept[i];
    TILE(packed)(block, n, x, height, next, warm, sum);
    for (int i = 0; i < height * PIECES; i++)
        kept[i] = sum[i];
}

/* The same, for the heights and amounts of warming there are. */
static void TILE(pass_any)(const char *block, size_t n, const char *x, uint32_t height,
                           const char *const *next, uint32_t warm, SUM *kept, int first)
{
    if (height == 1)
        TILE(pass)(block, n, x, 1, next, 1, kept, first);
    else if (height == 2)
        TILE(pass)(block, n, x, 2, next, 1, kept, first);
    else if (warm == 1)
        TILE(pass)(block, n, x, X_ROWS, next, 1, kept, first);
    else
        TILE(pass)(block, n, x, X_ROWS, next, 4, kept, first);
}

/* PIECES outputs for all rows of at most most_tiles tiles. */
static void TILE(column)(const struct se_matrix *w, const char *x, uint32_t n_rows, float *y,
                         size_t ldy, uint32_t n, uint32_t to)
{
    char block[TILE(block_vectors) * PIECES * PART_B] __attribute__((aligned(64)));
    SUM kept[TILE(most_tiles)][X_ROWS * PIECES];
    size_t vectors = TILE(vectors)(w->n_in);
    size_t row_b = vectors * VECTOR_X_B;
    uint32_t tiles = (n_rows + X_ROWS - 1) / X_ROWS;
    uint32_t warm = tiles >= PIECES ? 1 : 4;
    const char *row[PIECES], *next[2 * PIECES + 4];

    TILE(point)(w, n, to, row);
    for (size_t v = 0; v < vectors; v += TILE(block_vectors)) {
        size_t end = vectors - v < TILE(block_vectors) ? vectors : v + TILE(block_vectors);
        TILE(pack)(row, w->n_in, v, end, block);
        for (uint32_t i = 0; i < 2 * PIECES + 4; i++) /* past the last piece: nothing new */
            next[i] = block;
        for (uint32_t i = 0; i < PIECES; i++)
            next[i] = end < vectors ? row[i] + end * VECTOR_W_B
                                    : row[i] + (size_t)w->n_in * WEIGHT_B * PIECES;
        for (uint32_t t = 0; t < tiles; t++) {
            uint32_t m = t * X_ROWS;
            uint32_t height = n_rows - m < X_ROWS ? n_rows - m : X_ROWS;
            uint32_t piece = t * warm < 2 * PIECES ? t * warm : 2 * PIECES;
            TILE(pass_any)(block, end - v, x + m * row_b + v * height * VECTOR_X_B, height,
                           next + piece, warm, kept[t], v == 0);
        }
    }
    for (uint32_t t = 0; t < tiles; t++) {
        uint32_t m = t * X_ROWS;
        TILE(finish)(kept[t], n_rows - m < X_ROWS ? n_rows - m : X_ROWS, y + m * ldy + n, ldy,
                     to - n);
    }
}

void TILE(run)(const struct se_matrix *w, const void *rows, uint32_t n_rows, float *y, size_t ldy,
               uint32_t from, uint32_t to)
{
    const uint32_t most = TILE(most_tiles) * X_ROWS;
    const char *x = rows;
    size_t row_b = TILE(vectors)(w->n_in) * VECTOR_X_B;

    if (n_rows == 1)
        TILE(few)(w, x, 1, y, ldy, from, to);
    else if (n_rows == 2)
        TILE(few)(w, x, 2, y, ldy, from, to);
    else if (n_rows == 3)
        TILE(few)(w, x, 3, y, ldy, from, to);
    else
        for (uint32_t m = 0; m < n_rows; m += most)
            for (uint32_t n = from; n < to; n += PIECES)
                TILE(column)(w, x + m * row_b, n_rows - m < most ? n_rows - m : most,
                             y + m * ldy, ldy, n, to);
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
