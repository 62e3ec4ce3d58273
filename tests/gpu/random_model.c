/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gpu/random_model.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "kernels/float16.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"

enum { DRAWN_MOST = 1048573 }; /* a prime: columns do not line up */

void random_bf16(uint16_t *to, size_t n, double deviation, uint64_t seed)
{
    const size_t drawn = n < DRAWN_MOST ? n : DRAWN_MOST;
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_WEIGHTS);
    for (size_t i = 0; i < drawn; i++)
        to[i] = se_f32_to_bf16((float)(deviation * se_rng_normal(&rng)));
    for (size_t at = drawn; at < n; at += drawn)
        memcpy(to + at, to, (n - at < drawn ? n - at : drawn) * sizeof *to);
}

struct maker {
    struct random_model *m;
    uint64_t seed;
};

static int make_matrix(struct maker *maker, struct se_matrix *w, uint32_t n_out, uint32_t n_in,
                       double deviation)
{
    const size_t n = (size_t)n_out * n_in;
    uint16_t *data = se_arena_take(&maker->m->arena, n, sizeof *data);
    if (!data)
        return -ENOMEM;
    *w = (struct se_matrix){ .dtype = SE_DTYPE_BF16, .n_out = n_out, .n_in = n_in, .data = data };
    maker->m->model.weight_b += n * sizeof *data;
    random_bf16(data, n, deviation, maker->seed++);
    return 0;
}

static int make_vector(struct maker *maker, const float **out, uint32_t n, double middle,
                       bool wanted)
{
    struct se_rng rng;
    if (!wanted)
        return 0;
    float *data = se_arena_take(&maker->m->arena, n, sizeof *data);
    if (!data)
        return -ENOMEM;
    se_rng_init(&rng, maker->seed++, SE_RNG_WEIGHTS);
    for (uint32_t i = 0; i < n; i++)
        data[i] = (float)(middle + 0.2 * se_rng_normal(&rng));
    maker->m->model.weight_b += n * sizeof *data;
    *out = data;
    return 0;
}

static int make_matrices(struct maker *maker, struct se_layer *layer)
{
    const struct se_config *c = &maker->m->model.config;
    const uint32_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const struct {
        struct se_matrix *w;
        const float **bias;
        uint32_t n_out, n_in;
        bool biased;
    } of[] = {
        { &layer->q, &layer->bias_q, q, c->hidden, c->qkv_bias },
        { &layer->k, &layer->bias_k, kv, c->hidden, c->qkv_bias },
        { &layer->v, &layer->bias_v, kv, c->hidden, c->qkv_bias },
        { &layer->o, &layer->bias_o, c->hidden, q, c->out_bias },
        { &layer->gate, &layer->bias_gate, c->mlp, c->hidden, c->mlp_bias },
        { &layer->up, &layer->bias_up, c->mlp, c->hidden, c->mlp_bias },
        { &layer->down, &layer->bias_down, c->hidden, c->mlp, c->mlp_bias },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof of / sizeof *of; i++) {
        r = make_matrix(maker, of[i].w, of[i].n_out, of[i].n_in, 1.5 / sqrt(of[i].n_in));
        if (r == 0)
            r = make_vector(maker, of[i].bias, of[i].n_out, 0, of[i].biased);
    }
    return r;
}

static int make_layer(struct maker *maker, struct se_layer *layer)
{
    const struct se_config *c = &maker->m->model.config;
    int r = make_vector(maker, &layer->norm_attn, c->hidden, 1, true);
    if (r == 0)
        r = make_vector(maker, &layer->norm_mlp, c->hidden, 1, true);
    if (r == 0)
        r = make_vector(maker, &layer->norm_q, c->head_dim, 1, c->qk_norm);
    if (r == 0)
        r = make_vector(maker, &layer->norm_k, c->head_dim, 1, c->qk_norm);
    return r < 0 ? r : make_matrices(maker, layer);
}

static int make_ends(struct maker *maker)
{
    struct se_model *model = &maker->m->model;
    const struct se_config *c = &model->config;
    int r =
        make_matrix(maker, &model->embed, c->vocab, c->hidden, c->tied ? 1.5 / sqrt(c->hidden) : 1);
    if (r == 0 && c->tied)
        model->output = model->embed;
    else if (r == 0)
        r = make_matrix(maker, &model->output, c->vocab, c->hidden, 1.5 / sqrt(c->hidden));
    return r < 0 ? r : make_vector(maker, &model->norm, c->hidden, 1, true);
}

int random_model_init(struct random_model *m, const struct se_config *config, uint64_t seed,
                      bool same_layers)
{
    struct maker maker = { .m = m, .seed = seed << 16 };
    *m = (struct random_model){ .model = { .config = *config, .dtype = SE_DTYPE_BF16 },
                                .arena = SE_ARENA_NULL };
    m->model.layer = se_arena_take(&m->arena, config->layers, sizeof *m->model.layer);
    if (!m->model.layer)
        return -ENOMEM;
    memset(m->model.layer, 0, config->layers * sizeof *m->model.layer);
    int r = make_ends(&maker);
    const size_t ends_b = m->model.weight_b;
    for (uint32_t i = 0; r == 0 && i < config->layers; i++) {
        if (i > 0 && same_layers)
            m->model.layer[i] = m->model.layer[0];
        else
            r = make_layer(&maker, &m->model.layer[i]);
    }
    if (same_layers)
        m->model.weight_b = ends_b + (m->model.weight_b - ends_b) * config->layers;
    return r;
}

void random_model_fini(struct random_model *m) { se_arena_fini(&m->arena); }

void random_model_spoil(struct random_model *m)
{
    const struct se_matrix *w = &m->model.layer[m->model.config.layers - 1].down;
    uint16_t *data = (uint16_t *)(uintptr_t)w->data;
    data[(size_t)w->n_out / 2 * w->n_in] = 0x7fc0;
}
