/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/quant.h"

#include <errno.h>
#include <string.h>

#include "kernels/float16.h"
#include "runtime/base/err.h"

enum { GROUP = SE_Q8_GROUP, LANES = SE_Q8_LANES };

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

/* Weights of one output in one group to its place in the packed quads, step_b apart. */
static int pack_group(const float *w, uint8_t *quads, size_t step_b, uint16_t *scale)
{
    uint32_t top = se_quant_largest(w);
    float magnitude;

    memcpy(&magnitude, &top, sizeof magnitude);
    if (top >= SE_QUANT_INFINITE || !choose_scale(magnitude, scale))
        return -EDOM;
    float step = magnitude > 0 ? se_f16_to_f32(*scale) : 1.0f;
    uint8_t q[GROUP];
    for (int i = 0; i < GROUP; i++)
        q[i] = (uint8_t)(se_quant_nearest(w[i] / step) + 128);
    for (int i = 0; i < GROUP; i += 4, quads += step_b)
        memcpy(quads, q + i, 4);
    return 0;
}

/* One group of 16 outputs from row on; those from n_out on are padding. */
static int pack_block(const struct se_matrix *m, uint32_t row, uint32_t k, uint8_t *quads,
                      size_t step_b, uint16_t *scale)
{
    uint32_t n = m->n_in - k < GROUP ? m->n_in - k : GROUP;

    for (uint32_t lane = 0; lane < LANES; lane++) {
        float w[GROUP] = { 0 };
        if (row + lane < m->n_out)
            load_group(m, row + lane, k, n, w);
        if (pack_group(w, quads + lane * 4, step_b, scale + lane) < 0)
            return se_fail(-EDOM,
                           "weight [%u][%u..%u] cannot be stored in 8 bits: "
                           "not finite, or above 8 million",
                           row + lane, k, k + n - 1);
    }
    return 0;
}

int se_matrix_pack_q8(const struct se_matrix *m, void *block, uint32_t from, uint32_t to)
{
    size_t scale_at_b;

    se_matrix_q8_size(m->n_out, m->n_in, &scale_at_b);
    for (uint32_t row = from; row < to; row += LANES) {
        struct se_quant_place place = se_quant_place(m->n_out, m->n_in, row);
        uint8_t *quads = (uint8_t *)block + place.byte;
        uint16_t *scale = (uint16_t *)(void *)((char *)block + scale_at_b) + place.scale;
        for (uint32_t k = 0; k < m->n_in; k += GROUP) {
            int r = pack_block(m, row, k, quads, place.width * 4, scale);
            if (r < 0)
                return se_trace(r);
            quads += place.width * GROUP;
            scale += place.width;
        }
    }
    return 0;
}
