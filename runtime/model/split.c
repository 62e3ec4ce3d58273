/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/split.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kernels/quant.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/collective.h"

/* A part, and the memory of what had to be copied. */
struct split {
    struct se_model model; /* first: what the caller has is this */
    char *block;
    size_t used_b, size_b;
};

/* Outputs [row, row + n_out), inputs [column, column + n_in) of a matrix. */
struct cut {
    const struct se_matrix *from;
    uint32_t row, n_out, column, n_in;
};

/* What can be split. */

static const char *fault_of(const struct se_config *c, enum se_dtype dtype, uint32_t size,
                            char *text, size_t text_b)
{
    const bool q8 = dtype == SE_DTYPE_Q8;
    const uint32_t q = c->heads / size * c->head_dim;
    text[0] = '\0';
    if (c->kv_heads % size)
        snprintf(text, text_b, "%u key-value heads", c->kv_heads);
    else if (c->mlp % size)
        snprintf(text, text_b, "an mlp of %u", c->mlp);
    else if (q8 && size > 1 && q % SE_Q8_GROUP)
        snprintf(text, text_b, "8-bit weights in groups of %d under %u heads of %u", SE_Q8_GROUP,
                 c->heads, c->head_dim);
    else if (q8 && size > 1 && c->mlp / size % SE_Q8_GROUP)
        snprintf(text, text_b, "8-bit weights in groups of %d under an mlp of %u", SE_Q8_GROUP,
                 c->mlp);
    return text[0] ? text : NULL;
}

int se_split_check(const struct se_config *config, enum se_dtype dtype, uint32_t size)
{
    char fault[128], could[256] = "1", other[128];
    size_t used = 1;
    if (size < 1 || size > SE_COLLECTIVE_RANKS_MAX)
        return se_fail(-EINVAL, "%u ranks are not from 1 to %d", size, SE_COLLECTIVE_RANKS_MAX);
    if (!fault_of(config, dtype, size, fault, sizeof fault))
        return 0;
    for (uint32_t n = 2; n <= SE_COLLECTIVE_RANKS_MAX && used < sizeof could; n++) {
        if (!fault_of(config, dtype, n, other, sizeof other))
            used += (size_t)snprintf(could + used, sizeof could - used, ", %u", n);
    }
    return se_fail(-EINVAL, "%u ranks cannot share %s; this model can be split among %s", size,
                   fault, could);
}

uint32_t se_split_tokens(const struct se_config *config, uint32_t size)
{
    const uint32_t fair = (config->vocab + size - 1) / size;
    return (fair + SE_MATMUL_STEP - 1) / SE_MATMUL_STEP * SE_MATMUL_STEP;
}

/* Cutting. */

static size_t element_size(enum se_dtype dtype)
{
    return dtype == SE_DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
}

static bool stays(const struct cut *cut)
{
    if (cut->n_in != cut->from->n_in)
        return false;
    if (cut->from->dtype != SE_DTYPE_Q8)
        return true;
    /* Whole panels of 64, but the last one of the matrix, may be looked at where they lie. */
    return cut->row % SE_MATMUL_STEP == 0 &&
           (cut->n_out % SE_MATMUL_STEP == 0 || cut->row + cut->n_out == cut->from->n_out);
}

static size_t copied_size(const struct cut *cut)
{
    size_t scale_at_b, size_b = (size_t)cut->n_out * cut->n_in * element_size(cut->from->dtype);
    if (stays(cut))
        return 0;
    if (cut->from->dtype == SE_DTYPE_Q8)
        size_b = se_matrix_q8_size(cut->n_out, cut->n_in, &scale_at_b);
    return (size_b + SE_MEM_ALIGN - 1) & ~(size_t)(SE_MEM_ALIGN - 1);
}

static struct se_matrix look_at(const struct cut *cut)
{
    struct se_matrix view = *cut->from;
    view.n_out = cut->n_out;
    if (cut->n_out == 0)
        return view;
    if (view.dtype != SE_DTYPE_Q8) {
        view.data =
            (const char *)view.data + (size_t)cut->row * view.n_in * element_size(view.dtype);
        return view;
    }
    const struct se_quant_place place = se_quant_place(cut->from->n_out, view.n_in, cut->row);
    view.data = (const char *)view.data + place.byte;
    view.scale += place.scale;
    return view;
}

/* One output of packed 8-bit weights: its quads and scales, from place to place. */
static void copy_output_q8(const struct cut *cut, uint32_t number, char *data, uint16_t *scale)
{
    const struct se_matrix *w = cut->from;
    const struct se_quant_place from = se_quant_place(w->n_out, w->n_in, cut->row + number);
    const struct se_quant_place to = se_quant_place(cut->n_out, cut->n_in, number);
    const size_t groups = se_quant_groups(cut->n_in), first = cut->column / SE_Q8_GROUP;
    const size_t quads = SE_Q8_GROUP / 4;
    for (size_t i = 0; i < groups * quads; i++)
        memcpy(data + to.byte + i * 4 * to.width,
               (const char *)w->data + from.byte + (first * quads + i) * 4 * from.width, 4);
    for (size_t i = 0; i < groups; i++)
        scale[to.scale + i * to.width] = w->scale[from.scale + (first + i) * from.width];
}

static struct se_matrix copy_q8(const struct cut *cut, char *block)
{
    size_t scale_at_b;
    const size_t size_b = se_matrix_q8_size(cut->n_out, cut->n_in, &scale_at_b);
    uint16_t *scale = (uint16_t *)(void *)(block + scale_at_b);
    memset(block, 128, scale_at_b); /* the outputs that fill up a panel: q = 0, */
    memset(block + scale_at_b, 0, size_b - scale_at_b); /* scale 0 */
    for (uint32_t i = 0; i < cut->n_out; i++)
        copy_output_q8(cut, i, block, scale);
    return (struct se_matrix){ SE_DTYPE_Q8, cut->n_out, cut->n_in, block, scale };
}

static struct se_matrix copy_plain(const struct cut *cut, char *block)
{
    const size_t element_b = element_size(cut->from->dtype), row_b = cut->n_in * element_b;
    for (uint32_t i = 0; i < cut->n_out; i++)
        memcpy(block + i * row_b,
               (const char *)cut->from->data +
                   ((size_t)(cut->row + i) * cut->from->n_in + cut->column) * element_b,
               row_b);
    return (struct se_matrix){ cut->from->dtype, cut->n_out, cut->n_in, block, NULL };
}

/* Before there is a block: counts what it will have to hold. */
static void take(struct split *split, const struct cut *cut, struct se_matrix *to)
{
    const size_t size_b = copied_size(cut);
    if (!split->block) {
        split->size_b += size_b;
        return;
    }
    char *at = split->block + split->used_b;
    split->used_b += size_b;
    if (size_b == 0)
        *to = look_at(cut);
    else
        *to = cut->from->dtype == SE_DTYPE_Q8 ? copy_q8(cut, at) : copy_plain(cut, at);
}

static void take_rows(struct split *split, const struct se_matrix *from, uint32_t rank,
                      uint32_t n_out, struct se_matrix *to)
{
    const struct cut cut = { from, rank * n_out, n_out, 0, from->n_in };
    take(split, &cut, to);
}

static void take_columns(struct split *split, const struct se_matrix *from, uint32_t rank,
                         uint32_t n_in, struct se_matrix *to)
{
    const struct cut cut = { from, 0, from->n_out, rank * n_in, n_in };
    take(split, &cut, to);
}

static void take_layer(struct split *split, const struct se_layer *from, uint32_t rank,
                       struct se_layer *to)
{
    const struct se_config *c = &split->model.config;
    const uint32_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const struct {
        const float *const *from;
        const float **to;
        uint32_t n;
    } bias[] = {
        { &from->bias_q, &to->bias_q, q },        { &from->bias_k, &to->bias_k, kv },
        { &from->bias_v, &to->bias_v, kv },       { &from->bias_gate, &to->bias_gate, c->mlp },
        { &from->bias_up, &to->bias_up, c->mlp },
    };
    *to = *from;
    take_rows(split, &from->q, rank, q, &to->q);
    take_rows(split, &from->k, rank, kv, &to->k);
    take_rows(split, &from->v, rank, kv, &to->v);
    take_columns(split, &from->o, rank, q, &to->o);
    take_rows(split, &from->gate, rank, c->mlp, &to->gate);
    take_rows(split, &from->up, rank, c->mlp, &to->up);
    take_columns(split, &from->down, rank, c->mlp, &to->down);
    for (size_t i = 0; i < sizeof bias / sizeof *bias; i++) {
        if (*bias[i].from)
            *bias[i].to = *bias[i].from + (size_t)rank * bias[i].n;
    }
}

static void take_output(struct split *split, const struct se_model *whole, uint32_t rank,
                        uint32_t size)
{
    const uint32_t vocab = whole->config.vocab, step = se_split_tokens(&whole->config, size);
    const uint64_t from = (uint64_t)rank * step;
    const uint32_t first = from < vocab ? (uint32_t)from : vocab;
    const uint32_t n = vocab - first < step ? vocab - first : step;
    const struct cut cut = { &whole->output, first, n, 0, whole->output.n_in };
    take(split, &cut, &split->model.output);
}

static void take_all(struct split *split, const struct se_model *whole, uint32_t rank,
                     uint32_t size)
{
    for (uint32_t i = 0; i < whole->config.layers; i++)
        take_layer(split, &whole->layer[i], rank, &split->model.layer[i]);
    take_output(split, whole, rank, size);
}

int se_split_new(struct se_model **out, const struct se_model *whole, uint32_t rank, uint32_t size)
{
    int r = se_split_check(&whole->config, whole->dtype, size);
    if (r < 0)
        return se_trace(r);
    struct split *split = se_mem_zero(1, sizeof *split);
    if (!split)
        return se_trace(-ENOMEM);
    split->model = *whole;
    split->model.config.heads /= size;
    split->model.config.kv_heads /= size;
    split->model.config.mlp /= size;
    split->model.layer = se_mem_new(whole->config.layers, sizeof *split->model.layer);
    if (!split->model.layer) {
        r = se_trace(-ENOMEM);
        goto out;
    }
    take_all(split, whole, rank, size);
    split->block = se_mem_new(split->size_b, 1);
    if (!split->block) {
        r = se_trace(-ENOMEM);
        goto out;
    }
    take_all(split, whole, rank, size);
    *out = &split->model;
    split = NULL;
out:
    if (split)
        se_split_free(&split->model);
    return r;
}

void se_split_free(struct se_model *part)
{
    struct split *split = (struct split *)(void *)part;
    if (!split)
        return;
    se_mem_free(split->block);
    se_mem_free(split->model.layer);
    se_mem_free(split);
}
