/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/collective.h"
#include "runtime/model/cuda/inside.h"

static struct se_gpu_product product_of(const struct se_backend *b, const struct se_cuda_matrix *w,
                                        float *y)
{
    return (struct se_gpu_product){ .matrix = w->packed,
                                    .store = w->store,
                                    .n_out = w->n_out,
                                    .n_in = w->n_in,
                                    .bias = w->bias,
                                    .x = b->h,
                                    .y = y,
                                    .rows = SE_GPU_ALL_ROWS,
                                    .arrived = b->arrived };
}

static void run(struct se_backend *b, uint32_t bucket, const struct se_gpu_product *product)
{
    se_gpu_matmul(b->stream, b->shared.input, bucket, product, b->work);
}

static void multiply(struct se_backend *b, uint32_t bucket, const struct se_cuda_matrix *w,
                     float *y)
{
    const struct se_gpu_product product = product_of(b, w, y);
    run(b, bucket, &product);
}

/* x += h * w + bias. Of several ranks each has some columns of w, and the bias is added once, to
 * the sum. */
static void add_product(struct se_backend *b, uint32_t bucket, const struct se_cuda_matrix *w)
{
    struct se_gpu_product product = product_of(b, w, b->x);
    if (b->group) {
        product.y = se_cuda_ranks_sums(b, bucket);
        product.bias = NULL;
    }
    product.adds = !b->group;
    run(b, bucket, &product);
    if (b->group)
        se_cuda_ranks_sum(b, bucket, w->bias);
}

static uint16_t *pages_of(const struct se_backend *b, uint32_t layer)
{
    return (uint16_t *)(b->pages + layer * b->layer_b);
}

/* Queries, and keys and values into their pages. */
static void append(struct se_backend *b, uint32_t bucket, const struct se_cuda_layer *layer,
                   uint32_t number)
{
    const struct se_config *config = &b->model->config;
    const struct se_gpu_input *in = b->shared.input;
    se_gpu_norm(b->stream, in, bucket, b->x, layer->norm_attn, config->norm_eps, config->hidden,
                b->h);
    multiply(b, bucket, &layer->qkv, b->wide);
    se_gpu_rope(b->stream, in, bucket, &b->heads, b->wide, layer->norm_q, layer->norm_k,
                config->norm_eps, b->cos, b->sin, b->q, pages_of(b, number));
}

static void attend(struct se_backend *b, uint32_t bucket, const struct se_cuda_layer *layer,
                   uint32_t number)
{
    se_gpu_attend(b->stream, b->shared.input, bucket, &b->heads, b->q, pages_of(b, number), b->work,
                  b->h);
    add_product(b, bucket, &layer->o);
}

static void gated_unit(struct se_backend *b, uint32_t bucket, const struct se_cuda_layer *layer)
{
    const struct se_config *config = &b->model->config;
    const struct se_gpu_input *in = b->shared.input;
    se_gpu_norm(b->stream, in, bucket, b->x, layer->norm_mlp, config->norm_eps, config->hidden,
                b->h);
    multiply(b, bucket, &layer->gate_up, b->wide);
    se_gpu_glu(b->stream, in, bucket, b->wide, config->mlp, b->h);
    add_product(b, bucket, &layer->down);
}

static void project_out(struct se_backend *b, uint32_t wanted)
{
    const bool samples = !b->group || b->group->rank == 0;
    struct se_gpu_product product = product_of(b, &b->output, b->group ? b->parts : b->logits);
    product.rows = SE_GPU_WANTED_ROWS;
    if (b->output.n_out > 0) /* the last ranks may have no token of a small vocabulary */
        run(b, wanted, &product);
    if (b->group)
        se_cuda_ranks_join(b, wanted);
    if (samples)
        se_gpu_sample(b->stream, b->shared.input, wanted, b->logits, b->model->config.vocab,
                      b->shared.output);
}

static void answers(struct se_backend *b, uint32_t bucket, uint32_t wanted)
{
    const struct se_config *config = &b->model->config;
    const struct se_gpu_input *in = b->shared.input;
    se_gpu_norm_wanted(b->stream, in, wanted, b->x, b->norm, config->norm_eps, config->hidden, b->h,
                       b->plain);
    project_out(b, wanted);
    if (b->group)
        se_cuda_ranks_tell(b, bucket);
    se_gpu_accept(b->stream, in, bucket, &b->heads, b->pages, b->layer_b, config->layers,
                  b->shared.output);
}

void se_cuda_pass(struct se_backend *b, uint32_t bucket, uint32_t wanted)
{
    const struct se_config *config = &b->model->config;
    struct se_cuda_shared *s = &b->shared;
    se_gpu_ingest(b->stream, s->block.device, s->input, s->block.size_b);
    se_gpu_embed(b->stream, s->input, bucket, b->embed, config->hidden, b->x);
    for (uint32_t i = 0; i < config->layers; i++) {
        append(b, bucket, &b->layer[i], i);
        if (i + 1 == config->layers && wanted == 0)
            break;
        attend(b, bucket, &b->layer[i], i);
        gated_unit(b, bucket, &b->layer[i]);
    }
    if (wanted > 0)
        answers(b, bucket, wanted);
    se_gpu_publish(b->stream, s->input, s->output, s->seen.device);
}
