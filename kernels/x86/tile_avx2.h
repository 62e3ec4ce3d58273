/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/x86/tile_avx2.h - what the formats of matmul_avx2.c share; see
 * kernels/matmul_tile.h. Included once per format. */
#define VECTOR 8
#define PIECES 4
#define X_ROWS 3
#define X_B 4
#define SUM __m256
#define PART __m256
#define PART_B 32
#define X __m256
#define STORE_PART(p, part) _mm256_store_ps((void *)(p), part)
#define LOAD_PART(p) _mm256_load_ps((const void *)(p))
#define LOAD_X(p) _mm256_load_ps((const void *)(p))
#define ZERO() _mm256_setzero_ps()
#define DOT(sum, part, x) _mm256_fmadd_ps(part, x, sum)
#define REDUCE(sum, out) reduce4(sum, out)
#include "kernels/matmul_tile.h"
