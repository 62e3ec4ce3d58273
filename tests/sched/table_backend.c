/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sched/table_backend.h"

#include <errno.h>
#include <string.h>

#include "kernels/attend.h"
#include "kernels/gumbel.h"
#include "kernels/softmax.h"
#include "kernels/topk.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

/* What stands in a slot. */
struct cell {
    uint64_t context; /* that ends here */
    uint32_t next;    /* the position that follows, 0: nothing was ever here */
};

struct se_backend {
    const struct table_model *model;
    struct cell *cell; /* n_pages * SE_PAGE_SLOTS */
    uint32_t n_pages;
    float logits[TABLE_MODEL_VOCAB_MAX];
};

/* ---- the formula */

static const float PADDING = -10000; /* e to this is 0 */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

uint64_t table_model_follow(uint64_t context, uint32_t token)
{
    return mix(context * 3 + token + 0x9e3779b97f4a7c15);
}

/* From 0 to 12, a few far above the rest, as a model that knows something has them. */
static float logit_of(uint32_t word)
{
    const float u = (float)(word >> 8) * (1.0f / (1 << 24));
    return 12 * (u * u) * (u * u);
}

static void fill(uint64_t seed, uint64_t context, uint32_t vocab, float *logits)
{
    const uint64_t at = mix(seed) ^ context;
    for (uint32_t i = 0; i < vocab; i += 2) {
        const uint64_t word = mix(at + (i + 1) * 0x9e3779b97f4a7c15);
        logits[i] = logit_of((uint32_t)word);
        if (i + 1 < vocab)
            logits[i + 1] = logit_of((uint32_t)(word >> 32));
    }
}

void table_model_logits(const struct table_model *model, uint64_t context, float *logits)
{
    float other[TABLE_MODEL_VOCAB_MAX];
    const uint32_t vocab = model->model.config.vocab;
    fill(model->seed, context, vocab, logits);
    if (model->stray != 0) {
        fill(model->stray_seed, context, vocab, other);
        for (uint32_t i = 0; i < vocab; i++)
            logits[i] += model->stray * (other[i] - logits[i]);
    }
    for (uint32_t i = model->tokens; model->tokens > 0 && i < vocab; i++)
        logits[i] = PADDING;
}

void table_model_init(struct table_model *model, uint64_t seed, uint32_t vocab, uint32_t context)
{
    *model = (struct table_model){ .seed = seed, .stray_seed = seed + 1 };
    model->model.config.vocab = vocab;
    model->model.config.context = context;
}

uint32_t table_next(const struct table_model *model, const struct se_sampling *sampling,
                    const uint32_t *ids, uint32_t n)
{
    float logits[TABLE_MODEL_VOCAB_MAX];
    uint64_t context = 0;
    uint32_t token = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++)
        context = table_model_follow(context, ids[i]);
    table_model_logits(model, context, logits);
    se_sample(sampling, logits, model->model.config.vocab, n, &token);
    return token;
}

/* ---- the backend */

static void table_close(struct se_backend *backend)
{
    if (!backend)
        return;
    se_mem_free(backend->cell);
    se_mem_free(backend);
}

static int table_open(struct se_backend **out, const struct se_model *model,
                      const struct se_engine_options *options)
{
    struct se_backend *backend = se_mem_zero(1, sizeof *backend);
    if (!backend)
        return -ENOMEM;
    backend->model = (const struct table_model *)model;
    backend->n_pages = options->n_pages;
    backend->cell = se_mem_zero((size_t)options->n_pages * SE_PAGE_SLOTS, sizeof *backend->cell);
    if (!backend->cell) {
        table_close(backend);
        return -ENOMEM;
    }
    *out = backend;
    return 0;
}

static const char *table_text(const struct se_backend *backend)
{
    (void)backend;
    return "table";
}

static size_t table_memory(const struct se_backend *backend)
{
    return (size_t)backend->n_pages * SE_PAGE_SLOTS * sizeof *backend->cell;
}

/* NULL: beyond the pages of the sequence. */
static struct cell *cell_at(const struct se_backend *backend, const struct se_batch_part *part,
                            uint32_t slot)
{
    if (slot / SE_PAGE_SLOTS >= part->n_pages)
        return NULL;
    return backend->cell + (size_t)part->page[slot / SE_PAGE_SLOTS] * SE_PAGE_SLOTS +
           slot % SE_PAGE_SLOTS;
}

/* The context that ends with the row, written where it belongs. */
static int settle_row(const struct se_backend *backend, const struct se_batch *batch,
                      const struct se_batch_part *part, const struct se_batch_row *row,
                      uint64_t *context)
{
    uint64_t before = 0;
    if (row->position > 0) {
        const uint32_t above = row->position - 1; /* the parent's position */
        const uint32_t slot =
            above < row->plain ? above : batch->tail[row->tail + above - row->plain];
        const struct cell *parent = cell_at(backend, part, slot);
        if (!parent || parent->next != row->position)
            return se_fail(-EIO, "slot %u is followed by position %u, not %u", slot,
                           parent ? parent->next : 0, row->position);
        before = parent->context;
    }
    struct cell *own = cell_at(backend, part, row->slot);
    if (!own)
        return se_fail(-EIO, "slot %u is beyond %u pages", row->slot, part->n_pages);
    *context = table_model_follow(before, row->token);
    *own = (struct cell){ .context = *context, .next = row->position + 1 };
    return 0;
}

/* As the engine's own backend does it. */
static void rank(const struct se_part *ask, float *logits, uint32_t vocab, uint32_t position,
                 uint32_t row)
{
    uint32_t *id = ask->topk_id + (size_t)row * ask->k;
    float *logprob = ask->topk_logprob + (size_t)row * ask->k;
    if (ask->sharpen != 0 && ask->sampling->temp > 0) {
        se_gumbel_pick()->add(logits, vocab, (float)(1 / ask->sampling->temp), ask->sampling->seed,
                              position + 1, logits);
        for (uint32_t i = 0; i < vocab; i++)
            logits[i] *= ask->sharpen;
    }
    const float whole = se_softmax_pick()->logsumexp(logits, vocab);
    se_topk_pick()->run(logits, vocab, ask->k, id, logprob);
    for (uint32_t i = 0; i < ask->k; i++)
        logprob[i] -= whole;
}

static int answer_row(struct se_backend *backend, const struct se_batch *batch,
                      const struct se_batch_part *part, uint32_t row, uint64_t context)
{
    const struct se_part *ask = part->ask;
    const uint32_t vocab = backend->model->model.config.vocab, number = part->first_row + row;
    const uint32_t position = batch->row[number].position;
    if (ask->want == SE_WANT_NOTHING)
        return 0;
    if (ask->want == SE_WANT_LOGITS) {
        table_model_logits(backend->model, context, ask->logits + (size_t)row * vocab);
        return 0;
    }
    table_model_logits(backend->model, context, backend->logits);
    if (ask->want == SE_WANT_VERDICT)
        return se_sample(ask->sampling, backend->logits, vocab, position + 1,
                         &batch->sampled[number]);
    rank(ask, backend->logits, vocab, position, row);
    return 0;
}

static int table_forward(struct se_backend *backend, const struct se_batch *batch)
{
    for (uint32_t i = 0; i < batch->n_parts; i++) {
        const struct se_batch_part *part = &batch->part[i];
        for (uint32_t row = 0; row < part->n_rows; row++) {
            uint64_t context = 0;
            int r = settle_row(backend, batch, part, &batch->row[part->first_row + row], &context);
            if (r == 0)
                r = answer_row(backend, batch, part, row, context);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static void table_move(struct se_backend *backend, const struct se_kv_move *move, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        backend->cell[(size_t)move[i].to_page * SE_PAGE_SLOTS + move[i].to_slot] =
            backend->cell[(size_t)move[i].from_page * SE_PAGE_SLOTS + move[i].from_slot];
}

const struct se_backend_ops table_backend = {
    .name = "table",
    .open = table_open,
    .close = table_close,
    .text = table_text,
    .memory = table_memory,
    .forward = table_forward,
    .move = table_move,
};

int table_engine_new(struct se_engine **out, const struct table_model *model, uint32_t max_rows,
                     uint32_t n_pages)
{
    const struct se_engine_options options = {
        .ops = &table_backend,
        .max_rows = max_rows,
        .n_pages = n_pages,
        .kv_dtype = SE_DTYPE_F32,
    };
    return se_engine_new(out, &model->model, &options);
}
