/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/step.h"

#include <errno.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/backend.h"
#include "runtime/tree/accept.h"

enum { TAIL_USUAL = 32 }; /* ancestors of a row in a tree that does not run straight */

struct se_engine {
    const struct se_model *model;
    const struct se_backend_ops *ops;
    struct se_backend *backend;
    struct se_kv *kv;
    uint32_t max_rows;
    size_t own_b; /* of the arrays below, at first */
    struct se_batch_row *row;
    uint32_t *sampled;
    struct se_kv_move *move;
    /* These grow. */
    struct se_batch_part *part;
    uint32_t *before; /* pending nodes of each part's sequence before the step */
    uint32_t *tail;
    size_t part_cap, before_cap, tail_cap;
};

static int allocate(struct se_engine *engine, const struct se_engine_options *options)
{
    engine->row = se_mem_new(options->max_rows, sizeof *engine->row);
    engine->sampled = se_mem_new(options->max_rows, sizeof *engine->sampled);
    engine->move = se_mem_new(options->max_rows, sizeof *engine->move);
    if (!engine->row || !engine->sampled || !engine->move)
        return -ENOMEM;
    /* As much as steps take that are not out of the ordinary: they should not have to ask. */
    int r = se_mem_grow(&engine->part, &engine->part_cap, options->max_rows, sizeof *engine->part);
    if (r == 0)
        r = se_mem_grow(&engine->before, &engine->before_cap, options->max_rows,
                        sizeof *engine->before);
    if (r == 0)
        r = se_mem_grow(&engine->tail, &engine->tail_cap, (size_t)options->max_rows * TAIL_USUAL,
                        sizeof *engine->tail);
    if (r < 0)
        return r;
    engine->own_b =
        (size_t)options->max_rows *
        (sizeof *engine->row + sizeof *engine->sampled + sizeof *engine->move +
         sizeof *engine->part + sizeof *engine->before + TAIL_USUAL * sizeof *engine->tail);
    return se_kv_new(&engine->kv, options->n_pages);
}

static int check_options(const struct se_engine_options *options)
{
    if (options->max_rows < 1 || options->max_rows > 1u << 20)
        return se_fail(-EINVAL, "%u rows a step are not from 1 to %u", options->max_rows, 1u << 20);
    if (options->n_pages < 1 || options->n_pages > INT32_MAX / SE_PAGE_SLOTS)
        return se_fail(-EINVAL, "%u pages are not from 1 to %d", options->n_pages,
                       INT32_MAX / SE_PAGE_SLOTS);
    if (options->kv_dtype != SE_DTYPE_F32 && options->kv_dtype != SE_DTYPE_F16)
        return se_fail(-EINVAL, "keys and values are float32 or f16");
    return 0;
}

int se_engine_new(struct se_engine **out, const struct se_model *model,
                  const struct se_engine_options *options)
{
    int r = check_options(options);
    if (r < 0)
        return r;
    struct se_engine *engine = se_mem_zero(1, sizeof *engine);
    if (!engine)
        return se_trace(-ENOMEM);
    engine->model = model;
    engine->max_rows = options->max_rows;
    r = allocate(engine, options);
    if (r == 0)
        r = se_backend_open(&engine->ops, &engine->backend, model, options);
    if (r < 0) {
        se_engine_free(engine);
        return se_trace(r);
    }
    *out = engine;
    return 0;
}

void se_engine_free(struct se_engine *engine)
{
    if (!engine)
        return;
    if (engine->backend)
        engine->ops->close(engine->backend);
    se_kv_free(engine->kv);
    se_mem_free(engine->row);
    se_mem_free(engine->sampled);
    se_mem_free(engine->move);
    se_mem_free(engine->part);
    se_mem_free(engine->before);
    se_mem_free(engine->tail);
    se_mem_free(engine);
}

struct se_kv *se_engine_kv(struct se_engine *engine) { return engine->kv; }

const char *se_engine_backend(const struct se_engine *engine)
{
    return engine->ops->text(engine->backend);
}

size_t se_engine_memory(const struct se_engine *engine)
{
    return engine->own_b + engine->ops->memory(engine->backend);
}

enum se_dtype se_engine_kv_dtype(const struct se_model *model)
{
    return model->dtype == SE_DTYPE_F32 ? SE_DTYPE_F32 : SE_DTYPE_F16;
}

/* Checks: nothing is changed before all of them have passed. */

static int check_want(const struct se_engine *engine, const struct se_part *part, uint32_t number)
{
    const struct se_config *config = &engine->model->config;
    switch (part->want) {
    case SE_WANT_NOTHING:
        if (part->parent || part->seq->pending)
            return se_fail(-EINVAL,
                           "part %u: rows that become text are a chain and follow no "
                           "open tree",
                           number);
        return 0;
    case SE_WANT_TOPK:
        if (part->k < 1 || part->k > config->vocab || !part->topk_id || !part->topk_logprob)
            return se_fail(-EINVAL, "part %u: top %u of %u tokens", number, part->k, config->vocab);
        if (part->sharpen != 0 && !part->sampling)
            return se_fail(-EINVAL, "part %u: noise without sampling settings", number);
        return part->sampling ? se_sampling_check(part->sampling) : 0;
    case SE_WANT_LOGITS:
        return part->logits ? 0 : se_fail(-EINVAL, "part %u: no place for logits", number);
    case SE_WANT_VERDICT:
        if (!part->sampling || !part->path || part->seq->pending)
            return se_fail(-EINVAL,
                           "part %u: a verdict needs sampling settings, room for the "
                           "path and a sequence without an open tree",
                           number);
        return se_sampling_check(part->sampling);
    }
    return se_fail(-EINVAL, "part %u: unknown want", number);
}

static int check_rows(const struct se_engine *engine, const struct se_part *part, uint32_t number)
{
    const struct se_config *config = &engine->model->config;
    for (uint32_t i = 0; i < part->n_rows; i++) {
        if (part->token[i] >= config->vocab)
            return se_fail(-EINVAL, "part %u, row %u: token %u is beyond the vocabulary of %u",
                           number, i, part->token[i], config->vocab);
    }
    if (part->want != SE_WANT_VERDICT || !part->parent)
        return 0;
    for (uint32_t i = 0; i < part->n_rows; i++) {
        if ((part->parent[i] == SE_NODE_ROOT) != (i == 0))
            return se_fail(-EINVAL,
                           "part %u, row %u: a verified tree has one root, its first "
                           "row",
                           number, i);
    }
    return 0;
}

static int check_parts(const struct se_engine *engine, const struct se_part *part, uint32_t n_parts)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < n_parts; i++) {
        rows += part[i].n_rows;
        if (part[i].n_rows == 0)
            return se_fail(-EINVAL, "part %u has no rows", i);
        if (part[i].seq->kv != engine->kv)
            return se_fail(-EINVAL, "part %u: a sequence of another engine", i);
        for (uint32_t j = 0; j < i; j++) {
            if (part[j].seq == part[i].seq)
                return se_fail(-EINVAL, "parts %u and %u are of one sequence", j, i);
        }
        int r = check_want(engine, &part[i], i);
        if (r == 0)
            r = check_rows(engine, &part[i], i);
        if (r < 0)
            return r;
    }
    if (rows > engine->max_rows)
        return se_fail(-EINVAL, "%llu rows in a step for at most %u", (unsigned long long)rows,
                       engine->max_rows);
    return 0;
}

/* Nodes and the batch. */

static void drop_added(const struct se_engine *engine, struct se_part *part, uint32_t n_added)
{
    for (uint32_t i = 0; i < n_added; i++)
        se_seq_drop(part[i].seq, engine->before[i]);
}

static int check_context(const struct se_engine *engine, const struct se_part *part,
                         uint32_t number)
{
    const struct se_seq *seq = part->seq;
    for (uint32_t i = seq->pending - part->n_rows; i < seq->pending; i++) {
        uint64_t position = (uint64_t)seq->len + seq->node[i].depth;
        if (position >= engine->model->config.context)
            return se_fail(-ERANGE, "part %u: position %llu is beyond the context of %u tokens",
                           number, (unsigned long long)position, engine->model->config.context);
    }
    return 0;
}

/* 0, SE_KV_FULL or -errno; the caller drops what was added, *n_added parts. */
static int add_nodes(struct se_engine *engine, struct se_part *part, uint32_t n_parts,
                     uint32_t *n_added)
{
    for (uint32_t i = 0; i < n_parts; i++) {
        engine->before[i] = part[i].seq->pending;
        int r = se_seq_add(part[i].seq, part[i].token, part[i].parent, part[i].n_rows);
        if (r)
            return r;
        *n_added = i + 1;
        r = check_context(engine, &part[i], i);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Where the row of a node finds its ancestors: in the slots of their positions as long as
 * the tree runs straight, from there on by name. */
static int fill_row(struct se_engine *engine, const struct se_seq *seq, uint32_t number,
                    struct se_batch_row *row, size_t *n_tail)
{
    const struct se_node *node = &seq->node[number];
    uint32_t straight = node->depth + 1;
    for (int32_t at = (int32_t)number; at >= 0; at = seq->node[at].parent) {
        if ((uint32_t)at != seq->node[at].depth)
            straight = seq->node[at].depth; /* this one and those below it are displaced */
    }
    uint32_t n = node->depth + 1 - straight;
    int r = se_mem_grow(&engine->tail, &engine->tail_cap, *n_tail + n, sizeof *engine->tail);
    if (r < 0)
        return r;
    *row = (struct se_batch_row){
        .token = node->token,
        .position = seq->len + node->depth,
        .slot = seq->len + number,
        .plain = seq->len + straight,
        .tail = (uint32_t)*n_tail,
    };
    *n_tail += n;
    int32_t at = (int32_t)number;
    for (uint32_t i = 0; i < n; i++, at = seq->node[at].parent)
        engine->tail[*n_tail - 1 - i] = seq->len + (uint32_t)at;
    return 0;
}

static int fill_batch(struct se_engine *engine, struct se_part *part, uint32_t n_parts,
                      struct se_batch *batch)
{
    uint32_t n_rows = 0;
    size_t n_tail = 0;
    for (uint32_t i = 0; i < n_parts; i++) {
        const struct se_seq *seq = part[i].seq;
        engine->part[i] = (struct se_batch_part){
            .ask = &part[i],
            .page = seq->page,
            .n_pages = seq->n_pages,
            .first_row = n_rows,
            .n_rows = part[i].n_rows,
        };
        for (uint32_t number = engine->before[i]; number < seq->pending; number++) {
            int r = fill_row(engine, seq, number, &engine->row[n_rows++], &n_tail);
            if (r < 0)
                return r;
        }
    }
    *batch = (struct se_batch){
        .part = engine->part,
        .row = engine->row,
        .tail = engine->tail,
        .n_parts = n_parts,
        .n_rows = n_rows,
        .sampled = engine->sampled,
    };
    return 0;
}

/* Commits. */

/* moved: the backend has done the copies, and only the books are left. */
static int commit(struct se_engine *engine, struct se_seq *seq, const uint32_t *path, uint32_t n,
                  const uint32_t *keep, uint32_t n_keep, bool moved)
{
    uint32_t n_moves = 0;
    struct se_kv_move *moves = engine->move, *own = NULL;
    if ((uint64_t)n + n_keep > engine->max_rows) { /* a tree may have grown over several steps */
        moves = own = se_mem_new((size_t)n + n_keep, sizeof *own);
        if (!own)
            return se_trace(-ENOMEM);
    }
    int r = se_seq_commit(seq, path, n, keep, n_keep, moves, &n_moves);
    if (r == 0 && !moved)
        engine->ops->move(engine->backend, moves, n_moves);
    se_mem_free(own);
    return r < 0 ? se_trace(r) : 0;
}

int se_engine_commit(struct se_engine *engine, struct se_seq *seq, const uint32_t *path, uint32_t n,
                     const uint32_t *keep, uint32_t n_keep)
{
    return commit(engine, seq, path, n, keep, n_keep, false);
}

static int settle_verdict(struct se_engine *engine, struct se_part *part, const uint32_t *sampled)
{
    if (part->sampled)
        memcpy(part->sampled, sampled, part->n_rows * sizeof *sampled);
    if (!engine->ops->walks)
        part->n_path = se_accept_walk(part->parent, part->token, sampled, part->n_rows, part->path,
                                      &part->bonus);
    return commit(engine, part->seq, part->path, part->n_path, NULL, 0, engine->ops->walks);
}

/* Nothing here can fail: the walk goes along the tree that was checked, and a path is no
 * longer than the step. */
static int settle(struct se_engine *engine, struct se_part *part, const struct se_batch *batch)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < batch->n_parts; i++) {
        if (part[i].want == SE_WANT_NOTHING)
            se_seq_settle(part[i].seq);
        if (part[i].want == SE_WANT_VERDICT)
            r = settle_verdict(engine, &part[i], batch->sampled + batch->part[i].first_row);
    }
    return r;
}

/* A device or a rank that is gone is gone, whatever it died of; the rest is this step's own. */
static int kind_of(int failed)
{
    const bool own = failed == -EDOM || failed == -EINVAL || failed == -ENOMEM;
    return failed >= 0 || own ? failed : -EIO;
}

int se_step(struct se_engine *engine, struct se_part *part, uint32_t n_parts)
{
    struct se_batch batch;
    uint32_t n_added = 0;
    int r = check_parts(engine, part, n_parts);
    if (r == 0)
        r = se_mem_grow(&engine->part, &engine->part_cap, n_parts, sizeof *engine->part);
    if (r == 0)
        r = se_mem_grow(&engine->before, &engine->before_cap, n_parts, sizeof *engine->before);
    if (r < 0)
        return se_trace(r);
    r = add_nodes(engine, part, n_parts, &n_added);
    if (r == 0)
        r = fill_batch(engine, part, n_parts, &batch);
    if (r == 0)
        r = kind_of(engine->ops->forward(engine->backend, &batch));
    if (r) {
        drop_added(engine, part, n_added);
        if (r == -EDOM && engine->model->scan)
            engine->model->scan(engine->model); /* names the weight that did it, where one did */
        return r < 0 ? se_trace(r) : r;
    }
    return settle(engine, part, &batch);
}
