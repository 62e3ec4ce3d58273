/* SPDX-License-Identifier: Apache-2.0 */
/* The reference: plain loops, sums in double, one rounding at the end. */
#include "kernels/matmul_set.h"

#include <string.h>

#include "kernels/float16.h"
#include "kernels/quant.h"

/* A prepared row of the three float types: n_in floats. */
static float *row_at(void *rows, uint32_t n_in, uint32_t m)
{
    return (float *)rows + (size_t)m * n_in;
}

void se_matmul_prepare_f32_c(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in, void *out,
                             uint32_t from, uint32_t to)
{
    (void)n_rows;
    for (uint32_t m = from; m < to; m++)
        memcpy(row_at(out, n_in, m), x + m * ldx, n_in * sizeof *x);
}

void se_matmul_prepare_bf16_c(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in,
                              void *out, uint32_t from, uint32_t to)
{
    (void)n_rows;
    for (uint32_t m = from; m < to; m++)
        for (uint32_t k = 0; k < n_in; k++)
            row_at(out, n_in, m)[k] = se_bf16_to_f32(se_f32_to_bf16(x[m * ldx + k]));
}

void se_matmul_prepare_q8_c(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in, void *out,
                            uint32_t from, uint32_t to)
{
    (void)n_rows;
    for (uint32_t m = from; m < to; m++)
        se_quant_row(x + m * ldx, n_in, (char *)out + m * se_quant_row_size(n_in));
}

/* Element at of a mapped matrix, which need not be aligned for a float. */
static float weight(const struct se_matrix *w, size_t at)
{
    const char *data = w->data;
    float value;
    uint16_t half;

    if (w->dtype == SE_DTYPE_F32) {
        memcpy(&value, data + at * sizeof value, sizeof value);
        return value;
    }
    memcpy(&half, data + at * sizeof half, sizeof half);
    return w->dtype == SE_DTYPE_BF16 ? se_bf16_to_f32(half) : se_f16_to_f32(half);
}

void se_matmul_run_float_c(const struct se_matrix *w, const void *rows, uint32_t n_rows, float *y,
                           size_t ldy, uint32_t from, uint32_t to)
{
    for (uint32_t m = 0; m < n_rows; m++) {
        const float *x = (const float *)rows + (size_t)m * w->n_in;
        for (uint32_t n = from; n < to; n++) {
            double sum = 0;
            for (uint32_t k = 0; k < w->n_in; k++)
                sum += (double)x[k] * weight(w, (size_t)n * w->n_in + k);
            y[m * ldy + n] = (float)sum;
        }
    }
}

/* Sum of one group: quads of one output lie LANES * 4 bytes apart. */
static int32_t dot_group(const uint8_t *quads, const int8_t *q, int32_t bias)
{
    for (int k = 0; k < SE_Q8_GROUP; k++)
        bias += quads[k / 4 * SE_Q8_LANES * 4 + k % 4] * q[k];
    return bias;
}

static double dot_q8(const struct se_matrix *w, const void *row, uint32_t n)
{
    size_t groups = se_quant_groups(w->n_in);
    size_t at = n / SE_Q8_LANES * groups * SE_Q8_LANES;
    const uint8_t *quads = (const uint8_t *)w->data + at * SE_Q8_GROUP + n % SE_Q8_LANES * 4;
    const uint16_t *scale = w->scale + at + n % SE_Q8_LANES;
    const int8_t *q = row;
    const struct se_quant_group *group =
        (const struct se_quant_group *)(const void *)(q + se_quant_q_size(w->n_in));
    double sum = 0;

    for (size_t g = 0; g < groups; g++) {
        int32_t dot = dot_group(quads, q, group[g].bias);
        sum += (double)dot * se_f16_to_f32(*scale) * group[g].scale;
        quads += SE_Q8_LANES * SE_Q8_GROUP;
        scale += SE_Q8_LANES;
        q += SE_Q8_GROUP;
    }
    return sum;
}

void se_matmul_run_q8_c(const struct se_matrix *w, const void *rows, uint32_t n_rows, float *y,
                        size_t ldy, uint32_t from, uint32_t to)
{
    for (uint32_t m = 0; m < n_rows; m++)
        for (uint32_t n = from; n < to; n++)
            y[m * ldy + n] =
                (float)dot_q8(w, (const char *)rows + m * se_quant_row_size(w->n_in), n);
}
