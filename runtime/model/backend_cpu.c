/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/backend_cpu.h"

#include <errno.h>
#include <stdio.h>

#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/collective.h"
#include "runtime/model/split.h"

void se_cpu_run(const struct se_backend *backend, se_pool_fn *fn, void *context, uint32_t n_items)
{
    if (backend->pool && n_items > 1) {
        se_pool_run(backend->pool, fn, context, n_items);
        return;
    }
    for (uint32_t i = 0; i < n_items; i++)
        fn(context, i, 0);
}

uint32_t se_cpu_row_step(const struct se_backend *backend, uint32_t n, size_t row_cost)
{
    enum { ITEM_COST = 8192 }; /* a few microseconds: what sharing an item out is worth */
    if (backend->n_threads == 1)
        return n;
    uint32_t fair = (n + 4 * backend->n_threads - 1) / (4 * backend->n_threads);
    size_t least = ITEM_COST / (row_cost + 1) + 1;
    return fair > least ? fair : (uint32_t)least;
}

static void choose_kernels(struct se_backend *backend)
{
    char flags[48];
    backend->matmul = se_matmul_pick(backend->model->dtype);
    backend->matmul_out = se_matmul_pick(backend->model->output.dtype);
    backend->norm = se_norm_pick();
    backend->rope = se_rope_pick();
    backend->glu = se_glu_pick();
    backend->attend = se_attend_pick(backend->kv_dtype);
    snprintf(backend->text, sizeof backend->text, "cpu (%s)",
             se_cpu_text(se_cpu_flags(), flags, sizeof flags));
}

static int open_pages(struct se_backend *backend, uint32_t n_pages)
{
    const struct se_config *config = &backend->model->config;
    size_t element_b = backend->kv_dtype == SE_DTYPE_F16 ? 2 : 4, total_b;
    backend->value_at_b = (size_t)config->head_dim * SE_PAGE_SLOTS * element_b;
    backend->head_b = 2 * backend->value_at_b;
    backend->layer_b = config->kv_heads * backend->head_b;
    backend->page_b = config->layers * backend->layer_b;
    backend->n_pages = n_pages;
    if (__builtin_mul_overflow(backend->page_b, (size_t)n_pages, &total_b))
        return se_fail(-ENOMEM, "%u pages of %zu bytes are too many", n_pages, backend->page_b);
    backend->pages = se_mem_new(total_b, 1);
    return backend->pages ? 0 : -ENOMEM;
}

/* A buffer of so many floats, counted. */
static float *take(struct se_backend *backend, size_t count, size_t per)
{
    backend->buffer_b += count * per * sizeof(float);
    return se_mem_new(count * per, sizeof(float));
}

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

/* One buffer holds the prepared rows of whatever product comes next. */
static size_t prepared_size(const struct se_backend *backend)
{
    const struct se_config *config = &backend->model->config;
    const size_t width[] = { config->hidden, (size_t)config->heads * config->head_dim,
                             config->mlp };
    size_t size_b =
        se_matmul_rows_size(backend->model->output.dtype, SE_CPU_LOGIT_ROWS, config->hidden);
    for (int i = 0; i < 3; i++)
        size_b = max_size(size_b, se_matmul_rows_size(backend->model->dtype, backend->max_rows,
                                                      (uint32_t)width[i]));
    return size_b;
}

/* Logits on their way from the ranks to rank 0. */
static int open_shares(struct se_backend *backend, size_t rows)
{
    const struct se_collective *group = backend->group;
    const size_t tokens = se_split_tokens(&backend->model->config, group->size);
    backend->share = take(backend, rows, tokens);
    if (group->rank == 0)
        backend->shares = take(backend, rows * group->size, tokens);
    return backend->share && (group->rank > 0 || backend->shares) ? 0 : -ENOMEM;
}

static int open_buffers(struct se_backend *backend)
{
    const struct se_config *config = &backend->model->config;
    size_t rows = backend->max_rows, q = (size_t)config->heads * config->head_dim;
    size_t kv = (size_t)config->kv_heads * config->head_dim;
    size_t logit_rows = rows < SE_CPU_LOGIT_ROWS ? rows : SE_CPU_LOGIT_ROWS;
    backend->x = take(backend, rows, config->hidden);
    backend->h = take(backend, rows, config->hidden);
    backend->work = take(backend, rows, max_size(2 * q + 2 * kv, 2 * (size_t)config->mlp));
    backend->cos = take(backend, rows, config->head_dim / 2);
    backend->sin = take(backend, rows, config->head_dim / 2);
    backend->prepared = take(backend, prepared_size(backend) / sizeof(float) + 1, 1);
    backend->logits = take(backend, logit_rows, config->vocab);
    if (backend->group && open_shares(backend, logit_rows) < 0)
        return -ENOMEM;
    backend->rows = se_mem_new(rows, sizeof *backend->rows);
    backend->part_of = se_mem_new(rows, sizeof *backend->part_of);
    backend->failed = se_mem_new(SE_CPU_LOGIT_ROWS, sizeof *backend->failed);
    backend->inv_freq = se_mem_new(config->head_dim / 2, sizeof *backend->inv_freq);
    backend->scratch = se_mem_zero(backend->n_threads, sizeof *backend->scratch);
    if (!backend->x || !backend->h || !backend->work || !backend->cos || !backend->sin ||
        !backend->prepared || !backend->logits || !backend->rows || !backend->part_of ||
        !backend->failed || !backend->inv_freq || !backend->scratch)
        return -ENOMEM;
    backend->q = backend->work;
    backend->k = backend->q + rows * q;
    backend->v = backend->k + rows * kv;
    backend->att = backend->v + rows * kv;
    backend->gate = backend->work;
    backend->up = backend->gate + rows * config->mlp;
    se_rope_frequencies(config, backend->inv_freq, &backend->attention_scale);
    return 0;
}

static void cpu_close(struct se_backend *backend)
{
    if (!backend)
        return;
    for (uint32_t i = 0; backend->scratch && i < backend->n_threads; i++) {
        se_mem_free(backend->scratch[i].attend);
        se_mem_free(backend->scratch[i].page);
    }
    se_mem_free(backend->scratch);
    se_mem_free(backend->block);
    se_mem_free(backend->inv_freq);
    se_mem_free(backend->failed);
    se_mem_free(backend->part_of);
    se_mem_free(backend->rows);
    se_mem_free(backend->shares);
    se_mem_free(backend->share);
    se_mem_free(backend->logits);
    se_mem_free(backend->prepared);
    se_mem_free(backend->sin);
    se_mem_free(backend->cos);
    se_mem_free(backend->work);
    se_mem_free(backend->h);
    se_mem_free(backend->x);
    se_mem_free(backend->pages);
    se_mem_free(backend);
}

static int cpu_open(struct se_backend **out, const struct se_model *model,
                    const struct se_engine_options *options)
{
    struct se_backend *backend = se_mem_zero(1, sizeof *backend);
    if (!backend)
        return -ENOMEM;
    backend->model = model;
    backend->pool = options->pool;
    backend->group = options->group;
    backend->n_threads = options->pool ? se_pool_threads(options->pool) : 1;
    backend->max_rows = options->max_rows;
    backend->kv_dtype = options->kv_dtype;
    choose_kernels(backend);
    int r = open_pages(backend, options->n_pages);
    if (r == 0)
        r = open_buffers(backend);
    if (r < 0) {
        cpu_close(backend);
        return r;
    }
    *out = backend;
    return 0;
}

static const char *cpu_text(const struct se_backend *backend) { return backend->text; }

static size_t cpu_memory(const struct se_backend *backend)
{
    size_t size_b = backend->buffer_b + (size_t)backend->n_pages * backend->page_b;
    for (uint32_t i = 0; i < backend->n_threads; i++)
        size_b += backend->scratch[i].attend_cap * sizeof(float);
    return size_b;
}

static int cpu_forward(struct se_backend *backend, const struct se_batch *batch)
{
    int r = se_cpu_layers(backend, batch);
    if (r == 0 && backend->n_rows > 0)
        r = se_cpu_wants(backend, batch);
    return r;
}

static void cpu_move(struct se_backend *backend, const struct se_kv_move *move, uint32_t n)
{
    const struct se_config *config = &backend->model->config;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t layer = 0; layer < config->layers; layer++) {
            for (uint32_t head = 0; head < config->kv_heads; head++) {
                unsigned char *from = se_cpu_keys(backend, move[i].from_page, layer, head);
                unsigned char *to = se_cpu_keys(backend, move[i].to_page, layer, head);
                se_attend_move(backend->kv_dtype, from, from + backend->value_at_b,
                               move[i].from_slot, to, to + backend->value_at_b, move[i].to_slot,
                               config->head_dim);
            }
        }
    }
}

const struct se_backend_ops se_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .text = cpu_text,
    .memory = cpu_memory,
    .forward = cpu_forward,
    .move = cpu_move,
};
