/* SPDX-License-Identifier: Apache-2.0 */
/* Rows through the layers. All rows of the batch go together; in the last layer only those
 * that something is wanted of go on once their keys and values are stored. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "kernels/float16.h"
#include "runtime/base/mem.h"
#include "runtime/model/backend_cpu.h"
#include "runtime/model/collective.h"

struct pass {
    struct se_backend *backend;
    const struct se_batch *batch;
    const struct se_layer *layer;
    uint32_t number; /* of the layer */
    uint32_t step;   /* rows per item */
};

/* [item * step, ...) of n rows */
static uint32_t range_end(uint32_t from, uint32_t step, uint32_t n)
{
    return n - from < step ? n : from + step;
}

/* Rows at the door: embeddings and rotations. */

static void look_up(const struct se_matrix *embed, uint32_t token, float *x)
{
    size_t n = embed->n_in, at = token * n;
    if (embed->dtype == SE_DTYPE_F32) {
        memcpy(x, (const float *)embed->data + at, n * sizeof *x);
        return;
    }
    const uint16_t *bits = (const uint16_t *)embed->data + at;
    for (size_t i = 0; i < n; i++)
        x[i] = embed->dtype == SE_DTYPE_F16 ? se_f16_to_f32(bits[i]) : se_bf16_to_f32(bits[i]);
}

/* The angle is rounded to float32, as the models' own code does it. */
static void rotation(const struct se_backend *backend, uint32_t position, float *cos_to,
                     float *sin_to)
{
    for (uint32_t i = 0; i < backend->model->config.head_dim / 2; i++) {
        float angle = (float)position * (float)backend->inv_freq[i];
        cos_to[i] = (float)cos((double)angle) * (float)backend->attention_scale;
        sin_to[i] = (float)sin((double)angle) * (float)backend->attention_scale;
    }
}

static void enter_item(void *context, uint32_t item, uint32_t thread)
{
    const struct pass *pass = context;
    const struct se_backend *b = pass->backend;
    const struct se_config *config = &b->model->config;
    uint32_t from = item * pass->step, to = range_end(from, pass->step, b->n_rows);
    (void)thread;
    for (uint32_t i = from; i < to; i++) {
        const struct se_batch_row *row = &pass->batch->row[i];
        size_t at = (size_t)i * (config->head_dim / 2);
        look_up(&b->model->embed, row->token, b->x + (size_t)i * config->hidden);
        rotation(b, row->position, b->cos + at, b->sin + at);
    }
}

/* Queries and keys: bias is in already; norm and rotation; keys and values to their slot. */

static void norm_heads(const struct se_backend *b, float *x, uint32_t n_heads, const float *weight)
{
    uint32_t dim = b->model->config.head_dim;
    for (uint32_t head = 0; weight && head < n_heads; head++)
        b->norm->run(x + (size_t)head * dim, weight, b->model->config.norm_eps, dim,
                     x + (size_t)head * dim);
}

static void store_row(const struct pass *pass, const struct se_batch_row *row,
                      const uint32_t *pages, const float *k, const float *v)
{
    const struct se_backend *b = pass->backend;
    uint32_t dim = b->model->config.head_dim;
    uint32_t page = pages[row->slot / SE_PAGE_SLOTS];
    for (uint32_t head = 0; head < b->model->config.kv_heads; head++) {
        unsigned char *keys = se_cpu_keys(b, page, pass->number, head);
        se_attend_store(b->kv_dtype, keys, keys + b->value_at_b, row->slot % SE_PAGE_SLOTS, dim,
                        k + (size_t)head * dim, v + (size_t)head * dim);
    }
}

static void rotate_item(void *context, uint32_t item, uint32_t thread)
{
    const struct pass *pass = context;
    const struct se_backend *b = pass->backend;
    const struct se_config *config = &b->model->config;
    uint32_t dim = config->head_dim;
    uint32_t from = item * pass->step, to = range_end(from, pass->step, b->n_rows);
    (void)thread;
    for (uint32_t i = from; i < to; i++) {
        float *q = b->q + (size_t)i * config->heads * dim;
        float *k = b->k + (size_t)i * config->kv_heads * dim;
        const float *v = b->v + (size_t)i * config->kv_heads * dim;
        const float *cos_row = b->cos + (size_t)i * (dim / 2);
        const float *sin_row = b->sin + (size_t)i * (dim / 2);
        norm_heads(b, q, config->heads, pass->layer->norm_q);
        norm_heads(b, k, config->kv_heads, pass->layer->norm_k);
        b->rope->run(q, config->heads, dim, cos_row, sin_row);
        b->rope->run(k, config->kv_heads, dim, cos_row, sin_row);
        store_row(pass, &pass->batch->row[i], pass->batch->part[b->part_of[i]].page, k, v);
    }
}

/* Attention: an item is a block of rows of one part, and one kv head. */

static void attend_item(void *context, uint32_t item, uint32_t thread)
{
    const struct pass *pass = context;
    const struct se_backend *b = pass->backend;
    const struct se_config *config = &b->model->config;
    const struct se_cpu_scratch *scratch = &b->scratch[thread];
    const struct se_cpu_block *block = &b->block[item / config->kv_heads];
    const struct se_batch_part *part = &pass->batch->part[block->part];
    uint32_t head = item % config->kv_heads, n_q = config->heads / config->kv_heads;
    size_t row_q = (size_t)config->heads * config->head_dim;
    size_t head_q = (size_t)head * n_q * config->head_dim;
    struct se_attend_row row[SE_CPU_ATTEND_ROWS];
    const void **key = scratch->page, **value = scratch->page + part->n_pages;
    for (uint32_t i = 0; i < part->n_pages; i++) {
        key[i] = se_cpu_keys(b, part->page[i], pass->number, head);
        value[i] = (const unsigned char *)key[i] + b->value_at_b;
    }
    for (uint32_t i = 0; i < block->n; i++) {
        uint32_t number = b->rows[block->from + i];
        const struct se_batch_row *from = &pass->batch->row[number];
        row[i] = (struct se_attend_row){
            .q = b->q + number * row_q + head_q,
            .out = b->att + (block->from + i) * row_q + head_q,
            .tail = pass->batch->tail + from->tail,
            .plain = from->plain,
            .n_seen = from->position + 1,
        };
    }
    struct se_attend_job job = {
        .key = key,
        .value = value,
        .row = row,
        .n_rows = block->n,
        .n_q = n_q,
        .dim = config->head_dim,
        .scale = (float)(1 / sqrt(config->head_dim)),
    };
    b->attend->run(&job, scratch->attend);
}

/* Cuts the rows still computed into blocks of one part each. */
static int cut_blocks(struct se_backend *b)
{
    b->n_blocks = 0;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        struct se_cpu_block *last = b->n_blocks ? &b->block[b->n_blocks - 1] : NULL;
        uint32_t part = b->part_of[b->rows[i]];
        if (last && last->part == part && last->n < SE_CPU_ATTEND_ROWS) {
            last->n++;
            continue;
        }
        int r = se_mem_grow(&b->block, &b->block_cap, b->n_blocks + 1, sizeof *b->block);
        if (r < 0)
            return r;
        b->block[b->n_blocks++] = (struct se_cpu_block){ part, i, 1 };
    }
    return 0;
}

/* Scratch of every thread, for the longest row and the most pages of this batch. */
static int grow_scratch(struct se_backend *b, const struct se_batch *batch)
{
    const struct se_config *config = &b->model->config;
    struct se_attend_job job = {
        .n_rows = SE_CPU_ATTEND_ROWS,
        .n_q = config->heads / config->kv_heads,
        .dim = config->head_dim,
    };
    uint32_t max_seen = 1, max_pages = 1;
    int r = 0;
    for (uint32_t i = 0; i < batch->n_rows; i++)
        max_seen = batch->row[i].position >= max_seen ? batch->row[i].position + 1 : max_seen;
    for (uint32_t i = 0; i < batch->n_parts; i++)
        max_pages = batch->part[i].n_pages > max_pages ? batch->part[i].n_pages : max_pages;
    size_t need = se_attend_scratch(&job, max_seen, max_pages * SE_PAGE_SLOTS);
    for (uint32_t i = 0; r == 0 && i < b->n_threads; i++) {
        struct se_cpu_scratch *scratch = &b->scratch[i];
        r = se_mem_grow(&scratch->attend, &scratch->attend_cap, need, sizeof *scratch->attend);
        if (r == 0)
            r = se_mem_grow(&scratch->page, &scratch->page_cap, 2 * (size_t)max_pages,
                            sizeof *scratch->page);
    }
    return r;
}

/* The list of rows shrinks to those that something is wanted of; x follows. */
static void keep_wanted(struct se_backend *b, const struct se_batch *batch)
{
    size_t hidden = b->model->config.hidden;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const struct se_part *ask = batch->part[b->part_of[b->rows[i]]].ask;
        if (ask->want == SE_WANT_NOTHING && !ask->hidden)
            continue;
        b->rows[kept] = b->rows[i];
        if (kept != i)
            memcpy(b->x + kept * hidden, b->x + i * hidden, hidden * sizeof *b->x);
        kept++;
    }
    b->n_rows = kept;
}

struct addition {
    const struct se_backend *backend;
    const float *bias; /* or NULL */
    uint32_t step;
};

/* x += h + bias */
static void add_item(void *context, uint32_t item, uint32_t thread)
{
    const struct addition *a = context;
    const struct se_backend *b = a->backend;
    const size_t n = b->model->config.hidden;
    const uint32_t from = item * a->step, to = range_end(from, a->step, b->n_rows);
    (void)thread;
    for (size_t row = from; row < to; row++) {
        for (size_t i = 0; i < n; i++) {
            const float h = b->h[row * n + i];
            b->x[row * n + i] += a->bias ? h + a->bias[i] : h;
        }
    }
}

/* x += prepared rows * w + bias. Of a group every rank has some of the columns of w, and the
 * bias is added once, to the sum: bits may differ from those of one rank, but not with the
 * batch. */
static int project(struct se_backend *b, const struct se_matrix *w, const float *bias)
{
    const struct se_cpu_product alone = { w, b->h, b->x, bias };
    const struct se_cpu_product part = { w, b->h, NULL, NULL };
    se_cpu_multiply(b, b->matmul, b->group ? &part : &alone, 1, b->n_rows, false);
    if (!b->group)
        return 0;
    const uint32_t hidden = b->model->config.hidden;
    const int r = b->group->ops->all_reduce(b->group, b->h, (size_t)b->n_rows * hidden);
    struct addition addition = { b, bias, se_cpu_row_step(b, b->n_rows, hidden) };
    if (r == 0)
        se_cpu_run(b, add_item, &addition, (b->n_rows + addition.step - 1) / addition.step);
    return r;
}

static int attention(struct pass *pass)
{
    struct se_backend *b = pass->backend;
    const struct se_config *config = &b->model->config;
    se_cpu_run(b, attend_item, pass, b->n_blocks * config->kv_heads);
    se_cpu_prepare(b, b->matmul, b->att, b->n_rows, config->heads * config->head_dim, NULL, NULL);
    return project(b, &pass->layer->o, pass->layer->bias_o);
}

static void keys_and_values(struct pass *pass)
{
    struct se_backend *b = pass->backend;
    const struct se_config *config = &b->model->config;
    const struct se_layer *layer = pass->layer;
    const struct se_cpu_product product[] = {
        { &layer->q, b->q, NULL, layer->bias_q },
        { &layer->k, b->k, NULL, layer->bias_k },
        { &layer->v, b->v, NULL, layer->bias_v },
    };
    se_cpu_prepare(b, b->matmul, b->x, b->n_rows, config->hidden, layer->norm_attn, b->h);
    se_cpu_multiply(b, b->matmul, product, 3, b->n_rows, false);
    pass->step = se_cpu_row_step(b, b->n_rows,
                                 (size_t)(config->heads + 2 * config->kv_heads) * config->head_dim);
    se_cpu_run(b, rotate_item, pass, (b->n_rows + pass->step - 1) / pass->step);
}

static int gated_unit(struct pass *pass)
{
    struct se_backend *b = pass->backend;
    const struct se_config *config = &b->model->config;
    const struct se_layer *layer = pass->layer;
    const struct se_cpu_product wide[] = {
        { &layer->gate, b->gate, NULL, layer->bias_gate },
        { &layer->up, b->up, NULL, layer->bias_up },
    };
    se_cpu_prepare(b, b->matmul, b->x, b->n_rows, config->hidden, layer->norm_mlp, b->h);
    se_cpu_multiply(b, b->matmul, wide, 2, b->n_rows, true);
    se_cpu_prepare(b, b->matmul, b->gate, b->n_rows, config->mlp, NULL, NULL);
    return project(b, &layer->down, layer->bias_down);
}

static int enter(struct pass *pass)
{
    struct se_backend *b = pass->backend;
    const struct se_batch *batch = pass->batch;
    b->n_rows = batch->n_rows;
    for (uint32_t p = 0; p < batch->n_parts; p++) {
        for (uint32_t i = 0; i < batch->part[p].n_rows; i++)
            b->part_of[batch->part[p].first_row + i] = p;
    }
    for (uint32_t i = 0; i < b->n_rows; i++)
        b->rows[i] = i;
    int r = grow_scratch(b, batch);
    if (r == 0)
        r = cut_blocks(b);
    if (r < 0)
        return r;
    pass->step = se_cpu_row_step(b, b->n_rows, b->model->config.hidden);
    se_cpu_run(b, enter_item, pass, (b->n_rows + pass->step - 1) / pass->step);
    return 0;
}

int se_cpu_layers(struct se_backend *backend, const struct se_batch *batch)
{
    const struct se_config *config = &backend->model->config;
    struct pass pass = { .backend = backend, .batch = batch };
    int r = enter(&pass);
    if (r < 0)
        return r;
    for (pass.number = 0; pass.number < config->layers; pass.number++) {
        pass.layer = &backend->model->layer[pass.number];
        keys_and_values(&pass);
        if (pass.number + 1 == config->layers) {
            keep_wanted(backend, batch);
            r = cut_blocks(backend);
            if (r < 0 || backend->n_rows == 0)
                return r;
        }
        r = attention(&pass);
        if (r == 0)
            r = gated_unit(&pass);
        if (r < 0)
            return r;
    }
    return 0;
}
