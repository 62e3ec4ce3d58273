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

void se_matmul_prepare_bf16_c(const float *x, size_t ldx, uint32_t n_rows, uint32_t n_in, void *out,
                              uint32_t from, uint32_t to)
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

/* Sum of one group of one output, whose quads lie step_b bytes apart. */
static int32_t dot_group(const uint8_t *quads, size_t step_b, const struct se_quant_group *x)
{
    int32_t sum = x->bias;
    for (size_t k = 0; k < SE_Q8_GROUP; k++)
        sum += quads[k / 4 * step_b + k % 4] * x->q[k];
    return sum;
}

static double dot_q8(const struct se_matrix *w, const struct se_quant_group *x, uint32_t n)
{
    uint32_t lane = n % SE_Q8_LANES;
    struct se_quant_place place = se_quant_place(w->n_out, w->n_in, n - lane);
    const uint8_t *quads = (const uint8_t *)w->data + place.byte + lane * 4;
    const uint16_t *scale = w->scale + place.scale + lane;
    size_t groups = se_quant_groups(w->n_in);
    double sum = 0;

    for (size_t g = 0; g < groups; g++) {
        sum +=
            (double)dot_group(quads, place.width * 4, x + g) * se_f16_to_f32(*scale) * x[g].scale;
        quads += place.width * SE_Q8_GROUP;
        scale += place.width;
    }
    return sum;
}

void se_matmul_run_q8_c(const struct se_matrix *w, const void *rows, uint32_t n_rows, float *y,
                        size_t ldy, uint32_t from, uint32_t to)
{
    for (uint32_t m = 0; m < n_rows; m++) {
        const void *x = (const char *)rows + m * se_quant_row_size(w->n_in);
        for (uint32_t n = from; n < to; n++)
            y[m * ldy + n] = (float)dot_q8(w, x, n);
    }
}
