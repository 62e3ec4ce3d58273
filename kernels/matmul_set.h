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

se_matmul_prepare_fn se_matmul_prepare_f32_avx512, se_matmul_prepare_f16_avx512,
    se_matmul_prepare_bf16_avx512, se_matmul_prepare_bf16_dot, se_matmul_prepare_q8_vnni;
se_matmul_run_fn se_matmul_run_f32_avx512, se_matmul_run_f16_avx512, se_matmul_run_bf16_avx512,
    se_matmul_run_bf16_dot, se_matmul_run_q8_vnni;

#endif
