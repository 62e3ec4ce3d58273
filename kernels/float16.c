/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/float16.h"

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float se_f16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    uint32_t exponent = bits >> 10 & 0x1fu;
    uint32_t fraction = bits & 0x3ffu;

    if (exponent == 0x1f) /* infinity; NaN made quiet, as the processors do */
        return from_bits(sign | 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0));
    if (exponent)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    /* zero or subnormal: fraction * 2^-24, exact in float32 */
    float magnitude = (float)fraction * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

/* Shifts right by n in 1..31, to nearest, ties to even. */
static uint32_t shift_round(uint32_t value, uint32_t n)
{
    uint32_t kept = value >> n;
    uint32_t lost = value & ((1u << n) - 1);
    uint32_t half = 1u << (n - 1);
    return kept + (lost > half || (lost == half && (kept & 1)));
}

uint16_t se_f32_to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u) /* NaN keeps the top of its payload, made quiet */
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) /* normal: a carry out of the fraction is the next exponent */
        return (uint16_t)(sign | shift_round(magnitude - 0x38000000u, 13));
    if (magnitude < 0x33000000u) /* below 2^-25: zero (2^-25 itself is a tie, to even: zero) */
        return (uint16_t)sign;
    /* subnormal: the fraction with its leading one, in units of 2^-24 */
    uint32_t fraction = (magnitude & 0x7fffffu) | 0x800000u;
    return (uint16_t)(sign | shift_round(fraction, 126 - (magnitude >> 23)));
}
