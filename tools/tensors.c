/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/tensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "runtime/base/mem.h"

struct growing {
    struct se_tensor *list;
    size_t n, cap;
    int r;
};

static struct se_tensor *add(struct growing *g, uint32_t n_out, uint32_t n_in)
{
    static struct se_tensor lost; /* takes what is written after an allocation failed */
    if (g->r == 0)
        g->r = se_mem_grow(&g->list, &g->cap, g->n + 1, sizeof g->list[0]);
    if (g->r < 0)
        return &lost;
    struct se_tensor *tensor = &g->list[g->n++];
    *tensor = (struct se_tensor){ .n_out = n_out, .n_in = n_in };
    return tensor;
}

/* Rows of unit size stay of size gain. */
static void matrix(struct growing *g, const char *prefix, const char *name, uint32_t n_out,
                   uint32_t n_in, double gain)
{
    struct se_tensor *tensor = add(g, n_out, n_in);
    snprintf(tensor->name, sizeof tensor->name, "%s%s.weight", prefix, name);
    tensor->deviation = gain / sqrt((double)n_in);
}

static void norm(struct growing *g, const char *prefix, const char *name, uint32_t n)
{
    struct se_tensor *tensor = add(g, n, 0);
    snprintf(tensor->name, sizeof tensor->name, "%s%s.weight", prefix, name);
    tensor->mean = 1;
    tensor->deviation = 0.1;
}

static void bias(struct growing *g, int wanted, const char *prefix, const char *name, uint32_t n)
{
    if (!wanted)
        return;
    struct se_tensor *tensor = add(g, n, 0);
    snprintf(tensor->name, sizeof tensor->name, "%s%s.bias", prefix, name);
    tensor->deviation = 0.1;
}

static void layer(struct growing *g, const struct se_config *c, uint32_t number)
{
    char at[40];
    uint32_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    /* What 2 * layers branches add to the stream sums up to about what it began with. */
    double branch = 1 / sqrt(2.0 * c->layers);
    snprintf(at, sizeof at, "model.layers.%" PRIu32 ".", number);
    norm(g, at, "input_layernorm", c->hidden);
    matrix(g, at, "self_attn.q_proj", q, c->hidden, 1.2);
    bias(g, c->qkv_bias, at, "self_attn.q_proj", q);
    matrix(g, at, "self_attn.k_proj", kv, c->hidden, 1.2);
    bias(g, c->qkv_bias, at, "self_attn.k_proj", kv);
    matrix(g, at, "self_attn.v_proj", kv, c->hidden, 1);
    bias(g, c->qkv_bias, at, "self_attn.v_proj", kv);
    matrix(g, at, "self_attn.o_proj", c->hidden, q, 2 * branch);
    bias(g, c->out_bias, at, "self_attn.o_proj", c->hidden);
    if (c->qk_norm) {
        norm(g, at, "self_attn.q_norm", c->head_dim);
        norm(g, at, "self_attn.k_norm", c->head_dim);
    }
    norm(g, at, "post_attention_layernorm", c->hidden);
    matrix(g, at, "mlp.gate_proj", c->mlp, c->hidden, 1.2);
    bias(g, c->mlp_bias, at, "mlp.gate_proj", c->mlp);
    matrix(g, at, "mlp.up_proj", c->mlp, c->hidden, 1.2);
    bias(g, c->mlp_bias, at, "mlp.up_proj", c->mlp);
    matrix(g, at, "mlp.down_proj", c->hidden, c->mlp, 2 * branch);
    bias(g, c->mlp_bias, at, "mlp.down_proj", c->hidden);
}

int se_tensors_of(const struct se_config *config, struct se_tensor **list, size_t *n)
{
    struct growing g = { 0 };
    /* A tied embedding is the output matrix too, whose logits should differ by a few units. */
    double embed = config->tied ? 2 : sqrt((double)config->hidden);
    matrix(&g, "", "model.embed_tokens", config->vocab, config->hidden, embed);
    for (uint32_t i = 0; i < config->layers; i++)
        layer(&g, config, i);
    norm(&g, "model.", "norm", config->hidden);
    if (!config->tied)
        matrix(&g, "", "lm_head", config->vocab, config->hidden, 2);
    if (g.r < 0) {
        se_mem_free(g.list);
        return g.r;
    }
    *list = g.list;
    *n = g.n;
    return 0;
}
