/* SPDX-License-Identifier: Apache-2.0 */
/* The three float types with NEON: every weight widened to float32, fused sums. */
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_set.h"

static inline float32x4_t widen_f16(const void *p)
{
    uint16x4_t half;
    memcpy(&half, p, sizeof half);
    return vcvt_f32_f16(vreinterpret_f16_u16(half));
}

static inline float32x4_t widen_bf16(const void *p)
{
    uint16x4_t half;
    memcpy(&half, p, sizeof half);
    return vreinterpretq_f32_u32(vshll_n_u16(half, 16));
}

static inline float32x4_t load_floats(const void *p)
{
    float32x4_t four;
    memcpy(&four, p, sizeof four);
    return four;
}

/* x to the nearest bf16, kept as float32; as se_f32_to_bf16(). */
static inline float32x4_t round_bf16(float32x4_t x)
{
    uint32x4_t bits = vreinterpretq_u32_f32(x);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t near = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    uint32x4_t kept = vbslq_u32(vceqq_f32(x, x), near, quiet);
    return vreinterpretq_f32_u32(vandq_u32(kept, vdupq_n_u32(0xffff0000u)));
}

/* The first n of four elements of size_b bytes, the rest zero: nothing past them is read. */
static inline void copy_some(void *four, const void *p, uint32_t n, size_t size_b)
{
    memset(four, 0, 4 * size_b);
    memcpy(four, p, n * size_b);
}

static inline float32x4_t some_floats(const void *p, uint32_t n)
{
    float four[4];
    copy_some(four, p, n, sizeof *four);
    return load_floats(four);
}

static inline float32x4_t some_f16(const void *p, uint32_t n)
{
    uint16_t four[4];
    copy_some(four, p, n, sizeof *four);
    return widen_f16(four);
}

static inline float32x4_t some_bf16(const void *p, uint32_t n)
{
    uint16_t four[4];
    copy_some(four, p, n, sizeof *four);
    return widen_bf16(four);
}

/* Eight sums, each (lane 0 + lane 1) + (lane 2 + lane 3). */
static inline void reduce8(const float32x4_t *sum, float *out)
{
    for (int i = 0; i < 8; i += 4)
        vst1q_f32(out + i,
                  vpaddq_f32(vpaddq_f32(sum[i], sum[i + 1]), vpaddq_f32(sum[i + 2], sum[i + 3])));
}

#define TILE(name) se_matmul_##name##_f32_neon
#define WEIGHT_B 4
#define LOAD_W(p) load_floats(p)
#define LOAD_W_TAIL(p, n) some_floats(p, n)
#define CONVERT_X(x, n, out) vst1q_f32((void *)(out), some_floats(x, n))
#include "kernels/arm/tile_neon.h"

#define TILE(name) se_matmul_##name##_f16_neon
#define WEIGHT_B 2
#define LOAD_W(p) widen_f16(p)
#define LOAD_W_TAIL(p, n) some_f16(p, n)
#define CONVERT_X(x, n, out) vst1q_f32((void *)(out), some_floats(x, n))
#include "kernels/arm/tile_neon.h"

#define TILE(name) se_matmul_##name##_bf16_neon
#define WEIGHT_B 2
#define LOAD_W(p) widen_bf16(p)
#define LOAD_W_TAIL(p, n) some_bf16(p, n)
#define CONVERT_X(x, n, out) vst1q_f32((void *)(out), round_bf16(some_floats(x, n)))
#include "kernels/arm/tile_neon.h"
