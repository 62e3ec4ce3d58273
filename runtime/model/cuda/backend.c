/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/collective.h"
#include "runtime/model/cuda/inside.h"
#include "runtime/model/cuda/ops.h"
#include "runtime/model/rank.h"

enum { KINDS_OF_WANTED = 32 };
#define LOST_NS UINT64_C(5000000000)
#define PATIENCE_NS UINT64_C(60000000000) /* of a step; a prompt's longest chunk takes seconds */

/* Launches are made for so many rows. */
static uint32_t bucket_of(uint32_t n_rows)
{
    uint32_t bucket = 1;
    while (bucket < n_rows)
        bucket *= 2;
    return bucket;
}

/* ---- opening */

static int check_model(const struct se_model *model)
{
    const struct se_config *config = &model->config;
    if (config->head_dim > SE_GPU_DIM_MAX || config->head_dim % 2)
        return se_fail(-ENOTSUP, "heads of %u values: on a GPU an even number up to %d",
                       config->head_dim, SE_GPU_DIM_MAX);
    if (config->heads / config->kv_heads > SE_GPU_TILE)
        return se_fail(-ENOTSUP, "%u query heads to a key: on a GPU up to %d",
                       config->heads / config->kv_heads, SE_GPU_TILE);
    return 0;
}

static int open_device(struct se_backend *b, const struct se_engine_options *options)
{
    int r = se_gpu_device_open(options->devices.of[0], &b->device);
    if (r == 0)
        r = se_gpu_stream_open(&b->stream);
    snprintf(b->text, sizeof b->text, "cuda (%s)", b->device.name);
    return se_cuda_pass_on(r);
}

/* Which launches a step is: buckets of its rows and of its wanted rows; 0: it wants none. */
static uint32_t kind_of(uint32_t rows, uint32_t wanted)
{
    uint32_t kind = 0;
    for (uint32_t bucket = wanted ? bucket_of(wanted) : 0; bucket > 0; bucket /= 2)
        kind++;
    return bucket_of(rows) * KINDS_OF_WANTED + kind;
}

static int run_pass(void *context, uint32_t kind)
{
    struct se_backend *b = context;
    const uint32_t wanted = kind % KINDS_OF_WANTED;
    se_cuda_pass(b, kind / KINDS_OF_WANTED, wanted ? 1u << (wanted - 1) : 0);
    const int r = se_gpu_stream_started(b->stream);
    const int of_ranks = b->group ? se_gpu_ranks_started(b->ranks) : 0;
    return r < 0 ? r : of_ranks;
}

static int begin_capture(void *context)
{
    return se_gpu_capture_begin(((struct se_backend *)context)->stream);
}

static int end_capture(void *context, void **graph)
{
    return se_gpu_capture_end(((struct se_backend *)context)->stream, graph);
}

static int launch_graph(void *context, void *graph)
{
    return se_gpu_graph_launch(((struct se_backend *)context)->stream, graph);
}

static void free_graph(void *context, void *graph)
{
    (void)context;
    se_gpu_graph_free(graph);
}

static bool agree(void *context, bool captured) { return se_cuda_ranks_agree(context, captured); }

#define GRAPH_OPS \
    .run = run_pass, .begin = begin_capture, .end = end_capture, .launch = launch_graph, \
    .free = free_graph
static const struct se_gpu_graph_ops graph_ops = { GRAPH_OPS };
static const struct se_gpu_graph_ops graph_ops_of_ranks = { GRAPH_OPS, .agree = agree };

/* A device is chosen thread by thread, and the one that steps is not the one that opened. */
static int use_device(const struct se_backend *b)
{
    static _Thread_local int used = -1;
    if (used == b->device.number)
        return 0;
    const int r = se_gpu_device_use(&b->device);
    used = r == 0 ? b->device.number : -1;
    return se_cuda_pass_on(r);
}

static void cuda_close(struct se_backend *b)
{
    if (!b)
        return;
    const bool usable = b->stream && use_device(b) == 0;
    /* Where others are lost, what waits for them on the stream ends with the ranks; and graphs go
     * before those, who wait for them. */
    if (usable && !b->lost)
        se_gpu_stream_wait(b->stream, PATIENCE_NS);
    if (usable)
        se_gpu_graphs_fini(&b->graphs);
    se_cuda_ranks_close(b);
    if (usable && b->lost)
        se_gpu_stream_wait(b->stream, LOST_NS);
    se_cuda_memory_close(b);
    se_cuda_weights_close(b);
    se_gpu_stream_close(b->stream);
    se_mem_free(b);
}

static int cuda_open(struct se_backend **out, const struct se_model *model,
                     const struct se_engine_options *options)
{
    const struct se_config *config = &model->config;
    int r = check_model(model);
    if (r < 0)
        return r;
    struct se_backend *b = se_mem_zero(1, sizeof *b);
    if (!b)
        return se_trace(-ENOMEM);
    b->model = model;
    b->pool = options->pool;
    b->group = options->group;
    b->max_rows = bucket_of(options->max_rows);
    b->max_wanted = b->max_rows < SE_CUDA_WANTED_MAX ? b->max_rows : SE_CUDA_WANTED_MAX;
    b->n_pages = options->n_pages;
    b->heads = (struct se_gpu_heads){ .heads = config->heads,
                                      .kv_heads = config->kv_heads,
                                      .dim = config->head_dim,
                                      .scale = (float)(1 / sqrt(config->head_dim)),
                                      .context = config->context };
    se_gpu_graphs_init(&b->graphs, b->group ? &graph_ops_of_ranks : &graph_ops, b);
    r = open_device(b, options);
    if (r == 0)
        r = se_cuda_weights_open(b);
    if (r == 0)
        r = se_cuda_memory_open(b);
    if (r == 0)
        r = se_cuda_ranks_open(b);
    if (r < 0) {
        cuda_close(b);
        return se_trace(r);
    }
    *out = b;
    return 0;
}

static const char *cuda_text(const struct se_backend *b) { return b->text; }

static size_t cuda_memory(const struct se_backend *b) { return b->memory_b; }

/* ---- a step */

static const struct se_gpu_output *seen_of(const struct se_backend *b)
{
    return b->shared.seen.host;
}

static int check_fault(const struct se_backend *b, const struct se_batch *batch)
{
    const uint32_t fault = seen_of(b)->fault;
    uint32_t part = 0;
    if (fault == 0)
        return 0;
    while (fault - 1 >= batch->part[part].first_row + batch->part[part].n_rows)
        part++;
    return se_fail(-EDOM,
                   "part %u, row %u: a logit is not a number, or none is finite (weights that hold "
                   "NaN do this)",
                   part, fault - 1 - batch->part[part].first_row);
}

static void take_verdict(const struct se_backend *b, const struct se_batch *batch, uint32_t number)
{
    const struct se_cuda_shared *s = &b->shared;
    const struct se_batch_part *part = &batch->part[number];
    struct se_part *ask = part->ask;
    memcpy(batch->sampled + part->first_row, s->sampled + part->first_row,
           part->n_rows * sizeof *batch->sampled);
    ask->n_path = s->n_path[number];
    ask->bonus = s->bonus[number];
    memcpy(ask->path, s->path + part->first_row, ask->n_path * sizeof *ask->path);
}

static void take_best(const struct se_backend *b, const struct se_batch_part *part)
{
    const struct se_cuda_shared *s = &b->shared;
    const struct se_part *ask = part->ask;
    for (uint32_t i = 0; i < part->n_rows; i++) {
        const size_t from = (size_t)(part->first_row + i) * SE_GPU_TOPK_MAX,
                     to = (size_t)i * ask->k;
        memcpy(ask->topk_id + to, s->topk_id + from, ask->k * sizeof *ask->topk_id);
        memcpy(ask->topk_logprob + to, s->topk_logprob + from, ask->k * sizeof *ask->topk_logprob);
    }
}

/* Many best of a row: from its logits. */
static int rank_rows(struct se_backend *b, const struct se_batch *batch,
                     const struct se_batch_part *part, uint32_t first_wanted)
{
    const uint32_t vocab = b->model->config.vocab;
    float *logits = se_mem_new(vocab, sizeof *logits);
    int r = logits ? 0 : se_trace(-ENOMEM);
    for (uint32_t i = 0; r == 0 && i < part->n_rows; i++) {
        r = se_cuda_pass_on(se_gpu_download(logits, b->logits + (size_t)(first_wanted + i) * vocab,
                                            vocab * sizeof *logits));
        if (r == 0)
            r = se_rank(part->ask, logits, vocab, batch->row[part->first_row + i].position, i);
    }
    se_mem_free(logits);
    return r;
}

/* What is not in the output: tests, tools, and rankings that are too long for the device. */
static int fetch(struct se_backend *b, const struct se_batch *batch,
                 const struct se_batch_part *part, uint32_t first_wanted)
{
    const size_t vocab = b->model->config.vocab, hidden = b->model->config.hidden;
    const struct se_part *ask = part->ask;
    int r = 0;
    if (ask->hidden)
        r = se_cuda_pass_on(se_gpu_download(ask->hidden, b->plain + first_wanted * hidden,
                                            part->n_rows * hidden * sizeof(float)));
    if (r == 0 && ask->want == SE_WANT_LOGITS)
        r = se_cuda_pass_on(se_gpu_download(ask->logits, b->logits + first_wanted * vocab,
                                            part->n_rows * vocab * sizeof(float)));
    if (r == 0 && se_cuda_ranks_here(ask))
        r = rank_rows(b, batch, part, first_wanted);
    return r;
}

static int answer(struct se_backend *b, const struct se_batch *batch)
{
    uint32_t wanted = 0;
    int r = check_fault(b, batch);
    for (uint32_t i = 0; r == 0 && i < batch->n_parts; i++) {
        const struct se_batch_part *part = &batch->part[i];
        const struct se_part *ask = part->ask;
        if (ask->want == SE_WANT_NOTHING && !ask->hidden)
            continue;
        if (ask->want == SE_WANT_VERDICT)
            take_verdict(b, batch, i);
        else if (ask->want == SE_WANT_TOPK && !se_cuda_ranks_here(ask))
            take_best(b, part);
        r = fetch(b, batch, part, wanted);
        wanted += part->n_rows;
    }
    return r;
}

static uint32_t n_wanted(const struct se_backend *b)
{
    const struct se_gpu_input *input = b->shared.block.host;
    return input->n_wanted;
}

/* The device says itself, in memory, when it is done. */
static int wait_for_step(struct se_backend *b)
{
    const uint64_t *word = &seen_of(b)->done;
    if (b->group)
        return se_cuda_ranks_wait(b, word, b->number);
    return se_cuda_pass_on(se_gpu_stream_wait_word(b->stream, word, b->number, PATIENCE_NS));
}

static int cuda_forward(struct se_backend *b, const struct se_batch *batch)
{
    int r = use_device(b);
    if (r == 0)
        r = se_cuda_stage(b, batch);
    if (r < 0)
        return r;
    r = se_cuda_pass_on(se_gpu_graphs_step(&b->graphs, kind_of(batch->n_rows, n_wanted(b))));
    if (r == 0)
        r = wait_for_step(b);
    b->lost |= r < 0 && b->group;
    if (r < 0 || (b->group && b->group->rank > 0))
        return r;
    return answer(b, batch);
}

/* Rare: where a draft's tree goes on in the middle. */
static void cuda_move(struct se_backend *b, const struct se_kv_move *move, uint32_t n)
{
    const struct se_config *config = &b->model->config;
    if (n > 0 && use_device(b) < 0)
        return; /* the next step says so */
    for (uint32_t i = 0; i < n; i += SE_CUDA_MOVES) {
        const uint32_t some = n - i < SE_CUDA_MOVES ? n - i : SE_CUDA_MOVES;
        memcpy(b->shared.move.host, move + i, some * sizeof *move);
        se_gpu_move(b->stream, b->shared.move.device, some, &b->heads, b->pages, b->layer_b,
                    config->layers);
        if (se_gpu_stream_wait(b->stream, PATIENCE_NS) < 0)
            return; /* the next step says so */
    }
}

const struct se_backend_ops se_backend_cuda_ops = {
    .name = "cuda",
    .walks = true,
    .open = cuda_open,
    .close = cuda_close,
    .text = cuda_text,
    .memory = cuda_memory,
    .forward = cuda_forward,
    .move = cuda_move,
};
