/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/quant.h - activations as int8 in groups of 32, for the q8 matmul.
 *
 * Shared by the implementations of kernels/matmul.h, so that all of them see the same
 * integers. A prepared row is one struct se_quant_group per group of 32 along k:
 * scale = max|x| / 127, q = x * (127 / max|x|) to nearest even. A group whose largest
 * magnitude is below SE_QUANT_TINY counts as zero (127 / max would overflow); one that
 * holds an infinity or NaN gets the scale NaN, so that the fault shows in every result.
 *
 * The functions are here, not in quant.c, so that every instruction set compiles its own:
 * the loops have no order that matters, and each set's compiler makes them wide. */
#ifndef SE_KERNELS_QUANT_H
#define SE_KERNELS_QUANT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul.h"

#define SE_QUANT_TINY 0x1p-100f
#define SE_QUANT_INFINITE 0x7f800000u /* bits of float32 infinity; a NaN's are above */

struct se_quant_group {
    float scale;
    int32_t bias; /* -128 * sum of q: what the + 128 of the stored weights adds, taken back */
    int8_t q[SE_Q8_GROUP];
};

static inline size_t se_quant_groups(uint32_t n_in)
{
    return ((size_t)n_in + SE_Q8_GROUP - 1) / SE_Q8_GROUP;
}

/* Bytes of a prepared row. */
static inline size_t se_quant_row_size(uint32_t n_in)
{
    return (se_quant_groups(n_in) * sizeof(struct se_quant_group) + 63) & ~(size_t)63;
}

/* Bits of the largest magnitude: as integers the magnitudes keep their order, and NaN is
 * the largest of all, so none is lost on the way. */
static inline uint32_t se_quant_largest(const float *x)
{
    uint32_t top = 0;
    for (int i = 0; i < SE_Q8_GROUP; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffffu;
        top = bits > top ? bits : top;
    }
    return top;
}

/* To nearest even, for |value| < 2^22, without a call: adding 1.5 * 2^23 leaves no fraction. */
static inline int32_t se_quant_nearest(float value)
{
    float sum = value + 0x1.8p23f;
    int32_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return bits - 0x4b400000;
}

/* SE_Q8_GROUP floats. */
static inline void se_quant_group(const float *x, struct se_quant_group *group)
{
    uint32_t top = se_quant_largest(x);
    float magnitude, inverse;
    int32_t sum = 0;

    memcpy(&magnitude, &top, sizeof magnitude);
    group->scale = magnitude / 127.0f;
    inverse = 127.0f / magnitude;
    if (top >= SE_QUANT_INFINITE || magnitude < SE_QUANT_TINY) {
        group->scale = top >= SE_QUANT_INFINITE ? __builtin_nanf("") : 0;
        group->bias = 0;
        memset(group->q, 0, sizeof group->q);
        return;
    }
    for (int i = 0; i < SE_Q8_GROUP; i++) {
        int32_t value = se_quant_nearest(x[i] * inverse);
        group->q[i] = (int8_t)value;
        sum += value;
    }
    group->bias = -128 * sum;
}

/* One row of n_in floats into se_quant_row_size() bytes. */
static inline void se_quant_row(const float *x, uint32_t n_in, void *out)
{
    struct se_quant_group *group = out;

    for (; n_in >= SE_Q8_GROUP; n_in -= SE_Q8_GROUP, x += SE_Q8_GROUP)
        se_quant_group(x, group++);
    if (n_in) {
        float padded[SE_Q8_GROUP] = { 0 };
        memcpy(padded, x, n_in * sizeof *x);
        se_quant_group(padded, group);
    }
}

/* Where output n, a multiple of 16, of a packed matrix has its weights and scales. */
struct se_quant_place {
    size_t byte;  /* of its first quad; the next outputs follow, 4 bytes each */
    size_t scale; /* index of its first scale; the next outputs follow */
    size_t width; /* outputs of its panel: 4 * width bytes to the next quad, width scales to
                   * the next group */
};

static inline struct se_quant_place se_quant_place(uint32_t n_out, uint32_t n_in, uint32_t n)
{
    size_t panel = n - n % SE_MATMUL_STEP, groups = se_quant_groups(n_in);
    size_t left = (n_out - panel + SE_Q8_LANES - 1) / SE_Q8_LANES * SE_Q8_LANES;
    return (struct se_quant_place){
        .byte = panel * groups * SE_Q8_GROUP + (n - panel) * 4,
        .scale = panel * groups + n - panel,
        .width = left < SE_MATMUL_STEP ? left : SE_MATMUL_STEP,
    };
}

#endif
