/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/simt/simt.h"

float se_gpu_bf16_to_f32(uint16_t bits) { return __uint_as_float((uint32_t)bits << 16); }

uint16_t se_gpu_f32_to_bf16(float value)
{
    uint32_t bits = __float_as_uint(value);
    if (value != value)
        return 0x7fff; /* the device's only one */
    bits += 0x7fff + (bits >> 16 & 1);
    return (uint16_t)(bits >> 16);
}

float se_gpu_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f;
    uint32_t fraction = half & 0x3ff;
    if (exponent == 0x1f)
        return __uint_as_float(sign | 0x7f800000 | fraction << 13);
    if (exponent != 0)
        return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return __uint_as_float(sign | __float_as_uint(small));
}

uint16_t se_gpu_f32_to_f16(float value)
{
    uint16_t sign = (uint16_t)(__float_as_uint(value) >> 16 & 0x8000);
    float size = fabsf(value);
    if (value != value)
        return 0x7fff;
    if (size >= 65504.0f)
        return (uint16_t)(sign | 0x7bff);
    if (size < 0x1p-14f) /* adding this leaves the last bit where a half has it */
        return (uint16_t)(sign | (__float_as_uint(size + 0.5f) - __float_as_uint(0.5f)));
    uint32_t bits = __float_as_uint(size);
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | ((bits >> 13) - (112u << 10)));
}

/* ---- tensor cores
 *
 * Of m16n8k16, with g = lane / 4 and t = lane % 4, each register two 16-bit values, low first:
 *   a[0]: row g, columns 2t, 2t + 1    a[1]: row g + 8    a[2]: columns + 8    a[3]: both
 *   b[0]: rows 2t, 2t + 1, column g    b[1]: rows + 8
 *   d[0], d[1]: row g, columns 2t, 2t + 1    d[2], d[3]: row g + 8 */

struct operands {
    float d[4];
    uint32_t a[4], b[2];
};
static_assert(sizeof(struct operands) <= SIMT_SLOT_B, "a lane's share of a product fits");

enum { M = 16, N = 8, K = 16 };

struct matrices {
    float a[M][K], b[K][N], d[M][N];
};

typedef float widen_fn(uint16_t bits);

static void spread(const struct simt_slot *slots, widen_fn *widen, struct matrices *m)
{
    for (unsigned lane = 0; lane < 32; lane++) {
        unsigned g = lane / 4, t = lane % 4;
        struct operands own;
        memcpy(&own, slots[lane].bytes, sizeof own);
        for (unsigned i = 0; i < 8; i++)
            m->a[g + (i / 2 % 2) * 8][t * 2 + i % 2 + i / 4 * 8] =
                widen((uint16_t)(own.a[i / 2] >> i % 2 * 16));
        for (unsigned i = 0; i < 4; i++)
            m->b[t * 2 + i % 2 + i / 2 * 8][g] = widen((uint16_t)(own.b[i / 2] >> i % 2 * 16));
        for (unsigned i = 0; i < 4; i++)
            m->d[g + i / 2 * 8][t * 2 + i % 2] = own.d[i];
    }
}

static void collect(const struct matrices *m, struct simt_slot *slots)
{
    for (unsigned lane = 0; lane < 32; lane++) {
        unsigned g = lane / 4, t = lane % 4;
        float d[4];
        for (unsigned i = 0; i < 4; i++)
            d[i] = m->d[g + i / 2 * 8][t * 2 + i % 2];
        memcpy(slots[lane].bytes, d, sizeof d);
    }
}

static void multiply(struct simt_slot *slots, widen_fn *widen)
{
    struct matrices m;
    spread(slots, widen, &m);
    for (unsigned row = 0; row < M; row++)
        for (unsigned k = 0; k < K; k++)
            for (unsigned column = 0; column < N; column++)
                m.d[row][column] += m.a[row][k] * m.b[k][column];
    collect(&m, slots);
}

static void multiply_bf16(struct simt_slot *slots) { multiply(slots, se_gpu_bf16_to_f32); }
static void multiply_f16(struct simt_slot *slots) { multiply(slots, se_gpu_f16_to_f32); }

static void mma(const char *word, float d[4], const uint32_t a[4], const uint32_t b[2],
                void (*last)(struct simt_slot *))
{
    struct operands own;
    memcpy(own.d, d, sizeof own.d);
    memcpy(own.a, a, sizeof own.a);
    memcpy(own.b, b, sizeof own.b);
    const struct simt_slot *slots = simt_meet(word, 0xffffffff, &own, sizeof own, last);
    memcpy(d, slots[simt_lane()].bytes, sizeof own.d);
}

void se_gpu_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    mma("se_gpu_mma_bf16", d, a, b, multiply_bf16);
}

void se_gpu_mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    mma("se_gpu_mma_f16", d, a, b, multiply_f16);
}
