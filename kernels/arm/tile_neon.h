/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/arm/tile_neon.h - what the formats of matmul_neon.c share; see
 * kernels/matmul_tile.h. Included once per format. */
#define VECTOR 4
#define PIECES 8
#define X_ROWS 3
#define X_B 4
#define SUM float32x4_t
#define PART float32x4_t
#define PART_B 16
#define X float32x4_t
#define STORE_PART(p, part) vst1q_f32((void *)(p), part)
#define LOAD_PART(p) vld1q_f32((const void *)(p))
#define LOAD_X(p) vld1q_f32((const void *)(p))
#define ZERO() vdupq_n_f32(0)
#define DOT(sum, part, x) vfmaq_f32(sum, part, x)
#define REDUCE(sum, out) reduce8(sum, out)
#include "kernels/matmul_tile.h"
