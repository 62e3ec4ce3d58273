/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/cuda/inside.h"

static void multiply(struct se_backend *b, uint32_t bucket, const struct se_cuda_matrix *w,
                     float *y, bool adds, enum se_gpu_rows rows)
{
    const struct se_gpu_product product = { .matrix = w->packed,
                                            .store = w->store,
                                            .n_out = w->n_out,
                                            .n_in = w->n_in,
                                            .bias = w->bias,
                                            .x = b->h,
                                            .y = y,
                                            .adds = adds,
                                            .rows = rows,
                                            .arrived = b->arrived };
    se_gpu_matmul(b->stream, b->shared.input, bucket, &product, b->work);
}

static void attention(struct se_backend *b, uint32_t bucket, const struct se_cuda_layer *layer,
                      uint32_t number)
{
    const struct se_config *config = &b->model->config;
    const struct se_gpu_input *in = b->shared.input;
    uint16_t *pages = (uint16_t *)(b->pages + number * b->layer_b);
    se_gpu_norm(b->stream, in, bucket, b->x, layer->norm_attn, config->norm_eps, config->hidden,
                b->h);
    multiply(b, bucket, &layer->qkv, b->wide, false, SE_GPU_ALL_ROWS);
    se_gpu_rope(b->stream, in, bucket, &b->heads, b->wide, layer->norm_q, layer->norm_k,
                config->norm_eps, b->cos, b->sin, b->q, pages);
    se_gpu_attend(b->stream, in, bucket, &b->heads, b->q, pages, b->work, b->h);
    multiply(b, bucket, &layer->o, b->x, true, SE_GPU_ALL_ROWS);
}

static void gated_unit(struct se_backend *b, uint32_t bucket, const struct se_cuda_layer *layer)
{
    const struct se_config *config = &b->model->config;
    const struct se_gpu_input *in = b->shared.input;
    se_gpu_norm(b->stream, in, bucket, b->x, layer->norm_mlp, config->norm_eps, config->hidden,
                b->h);
    multiply(b, bucket, &layer->gate_up, b->wide, false, SE_GPU_ALL_ROWS);
    se_gpu_glu(b->stream, in, bucket, b->wide, config->mlp, b->h);
    multiply(b, bucket, &layer->down, b->x, true, SE_GPU_ALL_ROWS);
}

static void answers(struct se_backend *b, uint32_t bucket)
{
    const struct se_config *config = &b->model->config;
    const struct se_gpu_input *in = b->shared.input;
    const uint32_t wanted = bucket < b->max_wanted ? bucket : b->max_wanted;
    se_gpu_norm_wanted(b->stream, in, wanted, b->x, b->norm, config->norm_eps, config->hidden, b->h,
                       b->plain);
    multiply(b, wanted, &b->output, b->logits, false, SE_GPU_WANTED_ROWS);
    se_gpu_sample(b->stream, in, wanted, b->logits, config->vocab, b->shared.output);
    se_gpu_accept(b->stream, in, bucket, &b->heads, b->pages, b->layer_b, config->layers,
                  b->shared.output);
    se_gpu_publish(b->stream, in, b->shared.output, b->shared.seen.device);
}

void se_cuda_pass(struct se_backend *b, uint32_t bucket)
{
    const struct se_config *config = &b->model->config;
    struct se_cuda_shared *s = &b->shared;
    se_gpu_ingest(b->stream, s->block.device, s->input, s->block.size_b);
    se_gpu_embed(b->stream, s->input, bucket, b->embed, config->hidden, b->x);
    for (uint32_t i = 0; i < config->layers; i++) {
        attention(b, bucket, &b->layer[i], i);
        gated_unit(b, bucket, &b->layer[i]);
    }
    answers(b, bucket);
}
