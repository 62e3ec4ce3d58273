/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/matmul_set.h - the functions behind the rows of se_matmul_table, by instruction set.
 *
 * Private to matmul.c and the files that define them; callers use kernels/matmul.h. */
#ifndef SE_KERNELS_MATMUL_SET_H
#define SE_KERNELS_MATMUL_SET_H

#include "kernels/matmul.h"

typedef void se_matmul_prepare_fn(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in,
                                  void *out, uint32_t from, uint32_t to);
typedef void se_matmul_run_fn(const struct se_matrix *w, const void *rows, uint32_t n_rows,
                              float *y, size_t ldy, uint32_t from, uint32_t to);

se_matmul_prepare_fn se_matmul_prepare_f32_c, se_matmul_prepare_bf16_c, se_matmul_prepare_q8_c;
se_matmul_run_fn se_matmul_run_float_c, se_matmul_run_q8_c;

#define SE_MATMUL_SET(name) \
    se_matmul_prepare_fn se_matmul_prepare_##name; \
    se_matmul_run_fn se_matmul_run_##name

SE_MATMUL_SET(f32_avx2);
SE_MATMUL_SET(f16_avx2);
SE_MATMUL_SET(bf16_avx2);
SE_MATMUL_SET(q8_avx2);
SE_MATMUL_SET(f32_avx512);
SE_MATMUL_SET(f16_avx512);
SE_MATMUL_SET(bf16_avx512);
SE_MATMUL_SET(q8_avx512);
SE_MATMUL_SET(bf16_dot);
SE_MATMUL_SET(q8_vnni);
SE_MATMUL_SET(f32_neon);
SE_MATMUL_SET(f16_neon);
SE_MATMUL_SET(bf16_neon);
SE_MATMUL_SET(q8_neon);
SE_MATMUL_SET(q8_dotprod);

#endif
