/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/arm/tile_q8_neon.h - what the q8 forms of NEON share, with and without SDOT; see
 * kernels/matmul_tile_q8.h. Included once per form. */
#define LANES 4
#define WIDE 1
#define X_ROWS 3
#define SUM int32x4_t
#define PART int8x16_t
#define X int8x16_t
#define FLOATS float32x4_t
/* from q + 128 back to q */
#define LOAD_W(p) vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128)))
#define LOAD_X(p) vreinterpretq_s8_s32(vld1q_dup_s32((const void *)(p)))
#define BEGIN(group) ((void)(group), vdupq_n_s32(0))
#define ZERO() vdupq_n_f32(0)
#define LOAD_SCALE(p) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))
#define SPREAD(p) vld1q_dup_f32(p)
#define STORE(p, floats) vst1q_f32(p, floats)
#define LOAD(p) vld1q_f32(p)
#define ADD(floats, sum, w_scale, x_scale) \
    vfmaq_f32(floats, vcvtq_f32_s32(sum), vmulq_f32(w_scale, x_scale))
#include "kernels/matmul_tile_q8.h"
