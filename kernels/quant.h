/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/quant.h - activations as int8 in groups of 32, for the q8 matmul.
 *
 * Shared by the implementations of kernels/matmul.h, so that all of them see the same
 * integers. A prepared row, its parts each padded to 64 bytes:
 *
 *     | q: int8 [groups * 32] | per group: struct se_quant_group |
 *
 * scale = max|x| / 127, q = x * (127 / max|x|) to nearest even. A group whose largest
 * magnitude is below SE_QUANT_TINY counts as zero (127 / max would overflow); one that
 * holds an infinity or NaN gets the scale NaN, so that the fault shows in every result.
 * Pure; any thread. */
#ifndef SE_KERNELS_QUANT_H
#define SE_KERNELS_QUANT_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul.h"

#define SE_QUANT_TINY 0x1p-100f

struct se_quant_group {
    float scale;
    int32_t bias; /* -128 * sum of q: what the + 128 of the stored weights adds, taken back */
};

static inline size_t se_quant_groups(uint32_t n_in)
{
    return ((size_t)n_in + SE_Q8_GROUP - 1) / SE_Q8_GROUP;
}

/* Bytes of the q part of a row. */
static inline size_t se_quant_q_size(uint32_t n_in)
{
    return (se_quant_groups(n_in) * SE_Q8_GROUP + 63) & ~(size_t)63;
}

/* Bytes of a prepared row. */
static inline size_t se_quant_row_size(uint32_t n_in)
{
    return se_quant_q_size(n_in) +
           ((se_quant_groups(n_in) * sizeof(struct se_quant_group) + 63) & ~(size_t)63);
}

/* One row of n_in floats into se_quant_row_size() bytes. */
void se_quant_row(const float *x, uint32_t n_in, void *out);

#endif
