/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/matmul.h - y[m][n] = sum over k of x[m][k] * w[n][k]: rows times a weight matrix.
 *
 * The promise: y[m][n] has the same bits whatever the other rows are, how many there are,
 * and which range of n a call was asked for. Each implementation sums every y[m][n] in one
 * order that depends on n_in alone (and each has its own order, hence its own rounding).
 *
 * Three arithmetics, chosen by how the weights are stored:
 *   f32        float32 products and sums
 *   f16        weights widened to float32, then as f32
 *   bf16       x is rounded to bf16 (nearest even); float32 sums of exact products
 *   q8         weights are int8 in groups of 32 along k with one f16 scale each, packed at
 *              load by se_matrix_pack_q8(); x is rounded to int8 in the same groups with one
 *              f32 scale each; exact int32 sums within a group, float32 across groups
 *
 * f32, f16 and bf16 matrices are row-major and used where they lie (a mapped file: any
 * alignment of 2 or 4 bytes). Any n_out, n_in >= 1; q8 pads k to 32 and n to 16 inside.
 * Everything is thread safe; calls for disjoint ranges of n may run at the same time. */
#ifndef SE_KERNELS_MATMUL_H
#define SE_KERNELS_MATMUL_H

#include <stddef.h>
#include <stdint.h>

enum se_dtype { SE_DTYPE_F32, SE_DTYPE_F16, SE_DTYPE_BF16, SE_DTYPE_Q8, SE_DTYPES };

const char *se_dtype_name(enum se_dtype dtype);

enum { SE_Q8_GROUP = 32, SE_Q8_LANES = 16, SE_MATMUL_STEP = 64 };

/* q8 layout: panels of 64 outputs, one after the other (the last one may be narrower: what is
 * left, rounded up to 16); in a panel, for each quad of 4 consecutive k, its outputs side by
 * side, 4 bytes each, as q + 128. Scales apart: panel, group of 32 along k, output, f16.
 * q is in [-127, 127]; padding is q = 0, scale 0. */
struct se_matrix {
    enum se_dtype dtype;
    uint32_t n_out, n_in;
    const void *data;      /* row-major elements, or q8 bytes (64-byte aligned) */
    const uint16_t *scale; /* q8 only */
};

/* Bytes of a packed q8 matrix: first the data, then, at *scale_at_b, the scales. */
size_t se_matrix_q8_size(uint32_t n_out, uint32_t n_in, size_t *scale_at_b);

/* Packs outputs [from, to) of a matrix of F32, F16 or BF16 into block (se_matrix_q8_size()
 * bytes, 64-byte aligned). from is a multiple of 16; to is too, or it is n_out. Several
 * threads may pack disjoint ranges. The rounding: scale = max|w| / 127 rounded to f16 (up to
 * the next f16 when needed so that no q leaves [-127, 127]), q = w / scale (a float32
 * quotient) to nearest even.
 * 0, or -EDOM when a weight is not finite (or its scale does not fit f16). */
int se_matrix_pack_q8(const struct se_matrix *from_matrix, void *block, uint32_t from, uint32_t to);

/* Rows made ready once for any number of matrices of the same dtype and n_in. */
size_t se_matmul_rows_size(enum se_dtype dtype, uint32_t n_rows, uint32_t n_in);

struct se_matmul_impl {
    const char *name;
    enum se_dtype dtype;
    uint32_t cpu; /* SE_CPU_ flags it needs */
    /* x: n_rows rows, ldx floats apart; out: se_matmul_rows_size() bytes, 64-byte aligned.
     * The prepared rows belong to this implementation alone. Rows are independent: the
     * range [from, to) may be prepared by several threads, each its own part. */
    void (*prepare)(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in, void *out,
                    uint32_t from, uint32_t to);
    /* y[m * ldy + n] for m < n_rows and from <= n < to; from is a multiple of
     * SE_MATMUL_STEP, to is too or it is n_out. Nothing else in y is touched. */
    void (*run)(const struct se_matrix *w, const void *rows, uint32_t n_rows, float *y, size_t ldy,
                uint32_t from, uint32_t to);
};

/* Fastest first within a dtype; the plain C one of each dtype last, needing nothing. */
extern const struct se_matmul_impl se_matmul_table[];
extern const uint32_t se_matmul_table_n;

/* The first row of the table for the dtype that se_cpu_flags() allows. */
const struct se_matmul_impl *se_matmul_pick(enum se_dtype dtype);

#endif
