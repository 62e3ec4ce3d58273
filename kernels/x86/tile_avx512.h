/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/x86/tile_avx512.h - what the float formats of matmul_avx512.c share; see
 * kernels/matmul_tile.h. Included once per format. */
#define VECTOR 16
#define PIECES 8
#define X_ROWS 3
#define X_B 4
#define SUM __m512
#define PART __m512
#define PART_B 64
#define X __m512
#define STORE_PART(p, part) _mm512_store_ps(p, part)
#define LOAD_PART(p) _mm512_load_ps(p)
#define LOAD_X(p) _mm512_load_ps(p)
#define ZERO() _mm512_setzero_ps()
#define DOT(sum, part, x) _mm512_fmadd_ps(part, x, sum)
#define REDUCE(sum, out) reduce8(sum, out)
#include "kernels/matmul_tile.h"
