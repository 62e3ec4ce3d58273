/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quant.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "kernels/float16.h"
#include "runtime/base/err.h"

enum { GROUP = SE_Q8_GROUP, LANES = SE_Q8_LANES, QUADS = GROUP / 4 };
#define INFINITE 0x7f800000u /* bits of float32 infinity; a NaN's are above */

/* Bits of the largest magnitude: as integers the magnitudes keep their order, and NaN is
 * the largest of all, so none is lost on the way. */
static uint32_t largest(const float *x, uint32_t n)
{
    uint32_t top = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffffu;
        top = bits > top ? bits : top;
    }
    return top;
}

/* To nearest even, for |value| < 2^22, without a call: adding 1.5 * 2^23 leaves no fraction. */
static int32_t nearest(float value)
{
    const float shift = 0x1.8p23f;
    float sum = value + shift;
    int32_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return bits - 0x4b400000;
}

static void quant_group(const float *x, int8_t *q, struct se_quant_group *group)
{
    uint32_t top = largest(x, GROUP);
    float magnitude;
    int32_t sum = 0;

    memcpy(&magnitude, &top, sizeof magnitude);
    group->scale = top >= INFINITE ? NAN : 0;
    group->bias = 0;
    memset(q, 0, GROUP);
    if (top >= INFINITE || magnitude < SE_QUANT_TINY)
        return;
    float inverse = 127.0f / magnitude;
    group->scale = magnitude / 127.0f;
    for (int i = 0; i < GROUP; i++) {
        int32_t value = nearest(x[i] * inverse);
        q[i] = (int8_t)value;
        sum += value;
    }
    group->bias = -128 * sum;
}

void se_quant_row(const float *x, uint32_t n_in, void *out)
{
    int8_t *q = out;
    struct se_quant_group *group =
        (struct se_quant_group *)(void *)((char *)out + se_quant_q_size(n_in));

    for (uint32_t k = 0; k < n_in; k += GROUP) {
        uint32_t n = n_in - k < GROUP ? n_in - k : GROUP;
        float padded[GROUP] = { 0 };
        memcpy(padded, x + k, n * sizeof *x);
        quant_group(padded, q + k, group++);
    }
}

size_t se_matrix_q8_size(uint32_t n_out, uint32_t n_in, size_t *scale_at_b)
{
    size_t blocks = ((size_t)n_out + LANES - 1) / LANES;
    size_t groups = se_quant_groups(n_in);
    size_t data_b = blocks * groups * LANES * GROUP;

    *scale_at_b = data_b;
    return data_b + blocks * groups * LANES * sizeof(uint16_t);
}

/* n weights of output row from element k on, as floats; the rest of the group is zero. */
static void load_group(const struct se_matrix *m, uint32_t row, uint32_t k, uint32_t n, float *out)
{
    size_t at = (size_t)row * m->n_in + k;
    uint16_t half[GROUP];

    memset(out, 0, GROUP * sizeof *out);
    if (m->dtype == SE_DTYPE_F32) {
        memcpy(out, (const char *)m->data + at * sizeof(float), n * sizeof(float));
        return;
    }
    memcpy(half, (const char *)m->data + at * sizeof *half, n * sizeof *half);
    for (uint32_t i = 0; i < n; i++)
        out[i] = m->dtype == SE_DTYPE_BF16 ? se_bf16_to_f32(half[i]) : se_f16_to_f32(half[i]);
}

/* The f16 scale of a group whose largest magnitude is given; false when there is none. */
static int choose_scale(float magnitude, uint16_t *scale)
{
    uint16_t bits = se_f32_to_f16(magnitude / 127.0f);
    /* Rounding the scale down can push the largest quotient beyond 127, where f16 is coarse. */
    while (bits < 0x7c00u && magnitude > 0 && !(magnitude / se_f16_to_f32(bits) < 127.5f))
        bits++;
    *scale = bits;
    return bits < 0x7c00u;
}

/* Weights of one output in one group to its place in the packed quads. */
static int pack_group(const float *w, uint8_t *quads, uint16_t *scale)
{
    uint32_t top = largest(w, GROUP);
    float magnitude;

    memcpy(&magnitude, &top, sizeof magnitude);
    if (top >= INFINITE || !choose_scale(magnitude, scale))
        return -EDOM;
    float step = magnitude > 0 ? se_f16_to_f32(*scale) : 1.0f;
    for (int quad = 0; quad < QUADS; quad++)
        for (int i = 0; i < 4; i++)
            quads[quad * LANES * 4 + i] = (uint8_t)(nearest(w[quad * 4 + i] / step) + 128);
    return 0;
}

/* One group of one block: outputs row .. row+15, those from n_out on are padding. */
static int pack_block(const struct se_matrix *m, uint32_t row, uint32_t k, uint8_t *quads,
                      uint16_t *scale)
{
    uint32_t n = m->n_in - k < GROUP ? m->n_in - k : GROUP;

    for (uint32_t lane = 0; lane < LANES; lane++) {
        float w[GROUP] = { 0 };
        if (row + lane < m->n_out)
            load_group(m, row + lane, k, n, w);
        if (pack_group(w, quads + lane * 4, scale + lane) < 0)
            return se_fail(-EDOM, "weight [%u][%u..%u] cannot be stored in 8 bits: "
                           "not finite, or above 8 million", row + lane, k, k + n - 1);
    }
    return 0;
}

int se_matrix_pack_q8(const struct se_matrix *m, void *block, uint32_t from, uint32_t to)
{
    size_t groups = se_quant_groups(m->n_in);
    size_t scale_at_b;

    se_matrix_q8_size(m->n_out, m->n_in, &scale_at_b);
    for (uint32_t row = from; row < to; row += LANES) {
        size_t at = row / LANES * groups * LANES;
        uint8_t *quads = (uint8_t *)block + at * GROUP;
        uint16_t *scale = (uint16_t *)(void *)((char *)block + scale_at_b) + at;
        for (uint32_t k = 0; k < m->n_in; k += GROUP) {
            int r = pack_block(m, row, k, quads, scale);
            if (r < 0)
                return se_trace(r);
            quads += LANES * GROUP;
            scale += LANES;
        }
    }
    return 0;
}
