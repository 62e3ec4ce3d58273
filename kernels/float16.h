/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/float16.h - the two 16-bit floats as bits: IEEE binary16 and bfloat16.
 *
 * Rounding is to nearest even. NaN stays a (quiet) NaN; infinities and subnormals are kept.
 * Pure; any thread. */
#ifndef SE_KERNELS_FLOAT16_H
#define SE_KERNELS_FLOAT16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline float se_bf16_to_f32(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static inline uint16_t se_f32_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

float se_f16_to_f32(uint16_t bits);
uint16_t se_f32_to_f16(float value);

#endif
