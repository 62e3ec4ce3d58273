/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/identity.h"

#include <stddef.h>
#include <string.h>

enum { SPOTS = 4, SPOT_B = 64 }; /* of a matrix: few, for each may be a read from the disk */

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15u;
    *hash ^= *hash >> 32;
}

static void mix_real(uint64_t *hash, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    mix(hash, bits);
}

static void mix_bytes(uint64_t *hash, const unsigned char *byte, size_t len_b)
{
    for (size_t i = 0; i < len_b; i++)
        mix(hash, byte[i]);
}

/* SPOTS pieces, the first and the last at the ends. */
static void mix_block(uint64_t *hash, const void *block, size_t size_b)
{
    if (size_b <= (size_t)SPOTS * SPOT_B) {
        mix_bytes(hash, block, size_b);
        return;
    }
    for (size_t i = 0; i < SPOTS; i++)
        mix_bytes(hash, (const unsigned char *)block + (size_b - SPOT_B) / (SPOTS - 1) * i, SPOT_B);
}

static void mix_matrix(uint64_t *hash, const struct se_matrix *matrix)
{
    static const size_t element_b[] = {
        [SE_DTYPE_F32] = 4, [SE_DTYPE_F16] = 2, [SE_DTYPE_BF16] = 2
    };
    size_t scale_at_b = 0;
    mix(hash, matrix->dtype);
    mix(hash, (uint64_t)matrix->n_out << 32 | matrix->n_in);
    if (matrix->dtype != SE_DTYPE_Q8) {
        mix_block(hash, matrix->data,
                  (size_t)matrix->n_out * matrix->n_in * element_b[matrix->dtype]);
        return;
    }
    size_t size_b = se_matrix_q8_size(matrix->n_out, matrix->n_in, &scale_at_b);
    mix_block(hash, matrix->data, scale_at_b);
    mix_block(hash, matrix->scale, size_b - scale_at_b);
}

/* A norm or a bias; NULL where the model has none. */
static void mix_row(uint64_t *hash, const float *row, uint32_t n)
{
    mix(hash, row != NULL);
    if (row)
        mix_block(hash, row, n * sizeof *row);
}

/* Whatever changes the arithmetic. */
static void mix_config(uint64_t *hash, const struct se_config *c)
{
    const uint32_t number[] = { (uint32_t)c->arch,
                                c->vocab,
                                c->hidden,
                                c->layers,
                                c->heads,
                                c->kv_heads,
                                c->head_dim,
                                c->mlp,
                                (uint32_t)c->rope.kind,
                                c->rope.truncate,
                                c->tied,
                                c->qk_norm,
                                c->rope.original_context };
    const double real[] = { c->norm_eps,
                            c->rope.theta,
                            c->rope.factor,
                            c->rope.low_freq_factor,
                            c->rope.high_freq_factor,
                            c->rope.beta_fast,
                            c->rope.beta_slow,
                            c->rope.attention_factor,
                            c->rope.mscale,
                            c->rope.mscale_all_dim };
    for (size_t i = 0; i < sizeof number / sizeof number[0]; i++)
        mix(hash, number[i]);
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        mix_real(hash, real[i]);
}

static void mix_layer(uint64_t *hash, const struct se_layer *layer, const struct se_config *c)
{
    const struct se_matrix *matrix[] = { &layer->q,    &layer->k,  &layer->v,   &layer->o,
                                         &layer->gate, &layer->up, &layer->down };
    const uint32_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const struct {
        const float *row;
        uint32_t n;
    } row[] = {
        { layer->norm_attn, c->hidden },
        { layer->norm_mlp, c->hidden },
        { layer->norm_q, c->head_dim },
        { layer->norm_k, c->head_dim },
        { layer->bias_q, q },
        { layer->bias_k, kv },
        { layer->bias_v, kv },
        { layer->bias_o, c->hidden },
        { layer->bias_gate, c->mlp },
        { layer->bias_up, c->mlp },
        { layer->bias_down, c->hidden },
    };
    for (size_t i = 0; i < sizeof matrix / sizeof matrix[0]; i++)
        mix_matrix(hash, matrix[i]);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        mix_row(hash, row[i].row, row[i].n);
}

static const uint64_t begin = 0x7370656365646765u;

uint64_t se_identity_shape(const struct se_config *config)
{
    uint64_t hash = begin;
    mix_config(&hash, config);
    mix(&hash, config->context);
    return hash ? hash : 1;
}

uint64_t se_identity(const struct se_model *model)
{
    uint64_t hash = begin;
    const struct se_config *c = &model->config;
    mix_config(&hash, c);
    mix(&hash, model->dtype);
    mix_matrix(&hash, &model->embed);
    mix_matrix(&hash, &model->output);
    mix_row(&hash, model->norm, c->hidden);
    for (uint32_t i = 0; i < c->layers; i++)
        mix_layer(&hash, &model->layer[i], c);
    return hash ? hash : 1;
}
