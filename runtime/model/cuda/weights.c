/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices become bf16, or stay 8 bits, in the order in which the products read them. Those that have the same
 * input are one: queries, keys and values; gate and up. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kernels/float16.h"
#include "kernels/quant.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/cuda/inside.h"

enum { JOINED_MAX = 3 };

/* ---- any matrix as bf16 */

static void widen_q8(const struct se_matrix *w, uint32_t n, uint16_t *to)
{
    const uint32_t lane = n % SE_Q8_LANES;
    const struct se_quant_place place = se_quant_place(w->n_out, w->n_in, n - lane);
    const uint8_t *quads = (const uint8_t *)w->data + place.byte + (size_t)lane * 4;
    for (uint32_t k = 0; k < w->n_in; k++) {
        const size_t group = k / SE_Q8_GROUP;
        const uint8_t q = quads[(size_t)(k / 4) * place.width * 4 + k % 4];
        const float scale = se_f16_to_f32(w->scale[place.scale + lane + group * place.width]);
        to[k] = se_f32_to_bf16((float)((int)q - 128) * scale);
    }
}

/* Row n of a matrix, which need not be aligned for its elements. */
static void row_to_bf16(const struct se_matrix *w, uint32_t n, uint16_t *to)
{
    const size_t at = (size_t)n * w->n_in;
    const char *data = w->data;
    float value;
    uint16_t half;
    switch (w->dtype) {
    case SE_DTYPE_BF16:
        memcpy(to, data + at * sizeof half, w->n_in * sizeof half);
        return;
    case SE_DTYPE_F32:
        for (uint32_t k = 0; k < w->n_in; k++) {
            memcpy(&value, data + (at + k) * sizeof value, sizeof value);
            to[k] = se_f32_to_bf16(value);
        }
        return;
    case SE_DTYPE_F16:
        for (uint32_t k = 0; k < w->n_in; k++) {
            memcpy(&half, data + (at + k) * sizeof half, sizeof half);
            to[k] = se_f32_to_bf16(se_f16_to_f32(half));
        }
        return;
    default:
        widen_q8(w, n, to);
    }
}

/* ---- to the device */

static int send(const void *data, size_t size_b, void *out)
{
    void *at = se_gpu_alloc(size_b, "weights");
    if (!at)
        return se_cuda_pass_on(-ENOMEM);
    memcpy(out, &at, sizeof at);
    return se_cuda_pass_on(se_gpu_upload(at, data, size_b));
}

static int send_floats(const float *data, uint32_t n, float **out)
{
    return data ? send(data, n * sizeof *data, out) : 0;
}

/* ---- packing */

/* Rows of matrices that are one below the other, some at a time, by all threads there are. */
struct packing {
    const struct se_matrix *const *w;
    const struct se_cuda_matrix *out;
    unsigned char *packed;
    _Atomic bool failed;
};
enum { PACKED_ROWS = SE_MATMUL_STEP }; /* whole panels of 8-bit weights too */

static void row_of_joined(const struct se_matrix *const *w, uint32_t n, uint16_t *to)
{
    while (n >= (*w)->n_out)
        n -= (*w++)->n_out;
    row_to_bf16(*w, n, to);
}

static void pack_bf16(void *context, uint32_t item, uint32_t thread)
{
    struct packing *p = context;
    const uint32_t first = item * PACKED_ROWS, left = p->out->n_out - first;
    const uint32_t n = left < PACKED_ROWS ? left : PACKED_ROWS, n_in = p->out->n_in;
    uint16_t *rows = se_mem_new((size_t)n * n_in, sizeof *rows);
    (void)thread;
    for (uint32_t i = 0; rows && i < n; i++)
        row_of_joined(p->w, first + i, rows + (size_t)i * n_in);
    if (rows)
        se_gpu_matrix_pack(rows, n, n_in, p->packed + se_gpu_matrix_size(first, n_in));
    else
        p->failed = true;
    se_mem_free(rows);
}

static uint32_t items_of(uint32_t n_out) { return (n_out + PACKED_ROWS - 1) / PACKED_ROWS; }

/* An item does not go from one matrix into the next: they may end within a panel of 64. */
static void pack_q8(void *context, uint32_t item, uint32_t thread)
{
    struct packing *p = context;
    const struct se_matrix *const *w = p->w;
    unsigned char *to = p->packed;
    (void)thread;
    for (; item >= items_of((*w)->n_out); item -= items_of((*w++)->n_out))
        to += se_gpu_matrix_q8_size((*w)->n_out, (*w)->n_in);
    const uint32_t first = item * PACKED_ROWS, left = (*w)->n_out - first, n_in = (*w)->n_in;
    const struct se_quant_place place = se_quant_place((*w)->n_out, n_in, first);
    se_gpu_matrix_q8_pack((const uint8_t *)(*w)->data + place.byte, (*w)->scale + place.scale,
                          left < PACKED_ROWS ? left : PACKED_ROWS, n_in,
                          to + se_gpu_matrix_q8_size(first, n_in));
}

static void pack(struct se_backend *b, struct packing *packing, uint32_t n_items)
{
    se_pool_fn *const item = packing->out->store == SE_GPU_Q8 ? pack_q8 : pack_bf16;
    for (uint32_t i = 0; !b->pool && i < n_items; i++)
        item(packing, i, 0);
    if (b->pool)
        se_pool_run(b->pool, item, packing, n_items);
}

/* 8 bits stay 8 where the matrices end at whole panels; of others the same values go as bf16. */
static enum se_gpu_store store_of(const struct se_matrix *const *w, uint32_t n_w)
{
    for (uint32_t i = 0; i < n_w; i++) {
        if (w[i]->dtype != SE_DTYPE_Q8 || (i + 1 < n_w && w[i]->n_out % SE_Q8_LANES != 0))
            return SE_GPU_BF16;
    }
    return SE_GPU_Q8;
}

static int send_packed(struct se_backend *b, const struct se_matrix *const *w, uint32_t n_w,
                       struct se_cuda_matrix *out)
{
    out->store = store_of(w, n_w);
    const bool q8 = out->store == SE_GPU_Q8;
    const size_t packed_b = q8 ? se_gpu_matrix_q8_size(out->n_out, out->n_in)
                               : se_gpu_matrix_size(out->n_out, out->n_in);
    struct packing packing = { .w = w, .out = out, .packed = se_mem_zero(packed_b, 1) };
    uint32_t n_items = q8 ? 0 : items_of(out->n_out);
    int r = packing.packed ? 0 : se_trace(-ENOMEM);
    for (uint32_t i = 0; q8 && i < n_w; i++)
        n_items += items_of(w[i]->n_out);
    if (r == 0)
        pack(b, &packing, n_items);
    if (r == 0 && packing.failed)
        r = se_fail(-ENOMEM, "no memory to bring weights into order");
    if (r == 0)
        r = send(packing.packed, packed_b, &out->packed);
    se_mem_free(packing.packed);
    return r;
}

/* Biases of matrices that are joined: where one has none, zeroes. */
static int send_biases(const struct se_matrix *const *w, const float *const *bias, uint32_t n_w,
                       struct se_cuda_matrix *out)
{
    bool any = false;
    for (uint32_t i = 0; i < n_w; i++)
        any |= bias[i] != NULL;
    if (!any)
        return 0;
    float *joined = se_mem_zero(out->n_out, sizeof *joined), *at = joined;
    int r = joined ? 0 : se_trace(-ENOMEM);
    for (uint32_t i = 0; r == 0 && i < n_w; at += w[i++]->n_out) {
        if (bias[i])
            memcpy(at, bias[i], w[i]->n_out * sizeof *at);
    }
    if (r == 0)
        r = send_floats(joined, out->n_out, &out->bias);
    se_mem_free(joined);
    return r;
}

static int send_joined(struct se_backend *b, const struct se_matrix *const *w,
                       const float *const *bias, uint32_t n_w, struct se_cuda_matrix *out)
{
    out->n_in = w[0]->n_in;
    out->n_out = 0;
    for (uint32_t i = 0; i < n_w; i++)
        out->n_out += w[i]->n_out;
    if (out->n_out == 0) /* the last ranks may have no token of a small vocabulary */
        return 0;
    const int r = send_packed(b, w, n_w, out);
    return r < 0 ? r : send_biases(w, bias, n_w, out);
}

static int send_layer(struct se_backend *b, const struct se_layer *from, struct se_cuda_layer *to)
{
    const struct se_config *config = &b->model->config;
    const struct se_matrix *const qkv[JOINED_MAX] = { &from->q, &from->k, &from->v };
    const float *const qkv_bias[JOINED_MAX] = { from->bias_q, from->bias_k, from->bias_v };
    const struct se_matrix *const o[] = { &from->o }, *const down[] = { &from->down };
    const struct se_matrix *const wide[] = { &from->gate, &from->up };
    const float *const wide_bias[] = { from->bias_gate, from->bias_up };
    int r = send_floats(from->norm_attn, config->hidden, &to->norm_attn);
    if (r == 0)
        r = send_floats(from->norm_mlp, config->hidden, &to->norm_mlp);
    if (r == 0)
        r = send_floats(from->norm_q, config->head_dim, &to->norm_q);
    if (r == 0)
        r = send_floats(from->norm_k, config->head_dim, &to->norm_k);
    if (r == 0)
        r = send_joined(b, qkv, qkv_bias, 3, &to->qkv);
    if (r == 0)
        r = send_joined(b, o, &from->bias_o, 1, &to->o);
    if (r == 0)
        r = send_joined(b, wide, wide_bias, 2, &to->gate_up);
    if (r == 0)
        r = send_joined(b, down, &from->bias_down, 1, &to->down);
    return r;
}

static int send_embedding(struct se_backend *b)
{
    const struct se_matrix *w = &b->model->embed;
    uint16_t *rows = se_mem_new((size_t)w->n_out * w->n_in, sizeof *rows);
    int r = rows ? 0 : se_trace(-ENOMEM);
    for (uint32_t n = 0; r == 0 && n < w->n_out; n++)
        row_to_bf16(w, n, rows + (size_t)n * w->n_in);
    if (r == 0)
        r = send(rows, (size_t)w->n_out * w->n_in * sizeof *rows, &b->embed);
    se_mem_free(rows);
    return r;
}

int se_cuda_weights_open(struct se_backend *b)
{
    const struct se_model *model = b->model;
    const struct se_matrix *const output[] = { &model->output };
    const float *const none[] = { NULL };
    b->layer = se_mem_zero(model->config.layers, sizeof *b->layer);
    int r = b->layer ? 0 : se_trace(-ENOMEM);
    if (r == 0)
        r = send_embedding(b);
    for (uint32_t i = 0; r == 0 && i < model->config.layers; i++)
        r = send_layer(b, &model->layer[i], &b->layer[i]);
    if (r == 0)
        r = send_floats(model->norm, model->config.hidden, &b->norm);
    if (r == 0)
        r = send_joined(b, output, none, 1, &b->output);
    return r;
}

static void free_matrix(struct se_cuda_matrix *w)
{
    se_gpu_free(w->packed);
    se_gpu_free(w->bias);
}

void se_cuda_weights_close(struct se_backend *b)
{
    for (uint32_t i = 0; b->layer && i < b->model->config.layers; i++) {
        struct se_cuda_layer *layer = &b->layer[i];
        se_gpu_free(layer->norm_attn);
        se_gpu_free(layer->norm_mlp);
        se_gpu_free(layer->norm_q);
        se_gpu_free(layer->norm_k);
        free_matrix(&layer->qkv);
        free_matrix(&layer->o);
        free_matrix(&layer->gate_up);
        free_matrix(&layer->down);
    }
    se_gpu_free(b->embed);
    se_gpu_free(b->norm);
    free_matrix(&b->output);
    se_mem_free(b->layer);
    b->layer = NULL;
}
