/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/rig.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/cpu.h"
#include "runtime/model/backend.h"
#include "runtime/model/config.h"
#include "runtime/model/socket.h"
#include "runtime/model/split.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"
#include "tools/program.h"
#include "tools/progress.h"

static void show_conversion(void *context, size_t done_b, size_t total_b)
{
    se_progress_at(context, done_b, total_b);
}

int se_rig_options_check(const struct se_rig_options *options)
{
    const uint64_t tp = options->tp > 1 ? options->tp : 1, nodes = options->nodes;
    const bool meets = options->meet && *options->meet;
    if (nodes <= 1 && meets)
        return se_fail(-EINVAL, "--meet %s: there is nobody to meet; say --nodes M for M machines",
                       options->meet);
    if (nodes <= 1)
        return 0;
    if (tp % nodes)
        return se_fail(-EINVAL,
                       "--nodes %" PRIu64 ": --tp %" PRIu64 " cannot be divided among so many "
                       "machines; say --tp %" PRIu64 ", or another multiple of %" PRIu64,
                       nodes, tp, (tp / nodes + 1) * nodes, nodes);
    if (!meets)
        return se_fail(-EINVAL,
                       "--nodes %" PRIu64 ": where do the machines meet? Say --meet HOST:PORT, an "
                       "address of this machine that the others can reach",
                       nodes);
    const int r = se_socket_check(options->meet);
    return r < 0 ? se_fail(r, "--meet: %s", se_err_text()) : 0;
}

/* Before anything is converted. */
static int check_ranks(const char *dir, const struct se_rig_options *options, uint32_t tp)
{
    struct se_config config;
    int r = se_rig_options_check(options);
    if (r < 0)
        return se_trace(r);
    if (tp <= 1)
        return 0;
    r = se_config_read(&config, dir);
    if (r < 0)
        return se_trace(r);
    const enum se_dtype dtype = options->weights == SE_WEIGHTS_Q8 ? SE_DTYPE_Q8 : SE_DTYPE_F32;
    r = se_split_check(&config, dtype, tp);
    return r < 0 ? se_fail(r, "--tp %" PRIu32 ": %s: %s", tp, dir, se_err_text()) : 0;
}

/* Several devices are as many ranks, where nothing else is said. */
uint32_t se_rig_ranks(const struct se_rig_options *options)
{
    enum se_backend_kind kind;
    struct se_devices devices;
    if (options->tp > 1)
        return (uint32_t)options->tp;
    if (options->nodes > 1 || se_backend_read(options->backend, &kind, &devices) < 0)
        return 1;
    return devices.n > 1 ? devices.n : 1;
}

/* While other machines are waited for. */
static void say(void *context, const char *text)
{
    (void)context;
    se_program_say("%s", text);
}

static int check_user(void *context)
{
    (void)context;
    return se_interrupt_came() ? se_fail(-EINTR, "interrupted") : 0;
}

int se_rig_load(struct se_rig *rig, const char *dir, const struct se_rig_options *options,
                struct se_pool *shared)
{
    *rig = (struct se_rig){ .dir = dir, .pool = shared, .pool_shared = shared != NULL };
    const uint32_t all = se_cpu_count(),
                   threads = options->threads ? (uint32_t)options->threads : all;
    int r = se_backend_read(options->backend, &rig->backend, &rig->devices);
    rig->tp = se_rig_ranks(options);
    rig->here = options->nodes > 1 ? rig->tp / (uint32_t)options->nodes : rig->tp;
    rig->here = rig->here ? rig->here : 1;
    rig->threads = options->threads ? threads : all > rig->here ? all / rig->here : 1;
    if (r == 0)
        r = check_ranks(dir, options, rig->tp);
    if (options->nodes > 1)
        rig->nodes = (struct se_nodes){ .address = options->meet,
                                        .machines = (uint32_t)options->nodes,
                                        .weights = (uint32_t)options->weights,
                                        .watch = { .say = say, .check = check_user } };
    if (r == 0 && !shared)
        r = se_pool_new(&rig->pool, threads, false);
    if (r < 0)
        return se_trace(r);
    struct se_progress progress;
    se_progress_begin(&progress, options->preload ? "loading weights" : "converting weights");
    struct se_model_options of_model = { .weights = (enum se_weights)options->weights,
                                         .preload = options->preload,
                                         .pool = rig->pool,
                                         .progress = show_conversion,
                                         .progress_context = &progress };
    r = se_model_open(&rig->model, dir, &of_model);
    se_progress_end(&progress);
    return r < 0 ? se_trace(r) : 0;
}

int se_rig_start(struct se_rig *rig, uint32_t max_rows, uint32_t n_seqs, uint32_t slots)
{
    uint64_t pages = ((uint64_t)slots + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS * n_seqs;
    if (pages == 0 || pages > UINT32_MAX)
        return se_fail(-ERANGE, "%" PRIu32 " sequences of %" PRIu32 " tokens are too many", n_seqs,
                       slots);
    if (rig->tp > 1) { /* what is forked has one thread, and makes others then */
        if (!rig->pool_shared)
            se_pool_free(rig->pool);
        rig->pool = NULL;
    }
    struct se_engine_options options = { .backend = rig->backend,
                                         .devices = rig->devices,
                                         .pool = rig->pool,
                                         .tp = rig->tp,
                                         .rank_threads = rig->threads,
                                         .nodes = rig->nodes.machines > 1 ? &rig->nodes : NULL,
                                         .max_rows = max_rows,
                                         .n_pages = (uint32_t)pages,
                                         .kv_dtype = se_engine_kv_dtype(rig->model) };
    int r = se_engine_new(&rig->engine, rig->model, &options);
    if (r == -EINTR)
        return SE_OUTCOME_INTERRUPTED;
    if (r < 0 && options.nodes && r != -EIO)
        return se_fail(r, "--nodes %" PRIu32 " --meet %s: %s", rig->nodes.machines,
                       rig->nodes.address, se_err_text());
    return r < 0 ? se_trace(r) : 0;
}

void se_rig_close(struct se_rig *rig)
{
    se_engine_free(rig->engine);
    se_model_close(rig->model);
    if (!rig->pool_shared)
        se_pool_free(rig->pool);
    *rig = SE_RIG_NULL;
}

int se_rig_step(struct se_rig *rig, struct se_part *part)
{
    int r = se_step(rig->engine, part, 1);
    if (r == SE_KV_FULL)
        return se_fail(
            -ENOMEM, "no page is left for the keys and values of a sequence of %" PRIu32 " tokens",
            part->seq->len + part->n_rows);
    return r < 0 ? se_fail(r, "%s: %s", rig->dir, se_err_text()) : 0;
}

int se_rig_feed(struct se_rig *rig, struct se_seq *seq, const uint32_t *id, size_t n)
{
    for (size_t at = 0; at < n; at += SE_RIG_ROWS) {
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
        size_t rows = n - at < SE_RIG_ROWS ? n - at : SE_RIG_ROWS;
        struct se_part part = {
            .seq = seq, .token = id + at, .n_rows = (uint32_t)rows, .want = SE_WANT_NOTHING
        };
        int r = se_rig_step(rig, &part);
        if (r < 0)
            return r;
    }
    return 0;
}

int se_rig_logits(struct se_rig *rig, struct se_seq *seq, const uint32_t *id, uint32_t n,
                  float *logits)
{
    uint32_t path[SE_RIG_ROWS];
    for (uint32_t i = 0; i < SE_RIG_ROWS; i++)
        path[i] = i;
    struct se_part part = {
        .seq = seq, .token = id, .n_rows = n, .want = SE_WANT_LOGITS, .logits = logits
    };
    int r = se_rig_step(rig, &part);
    if (r < 0)
        return r;
    r = se_engine_commit(rig->engine, seq, path, n, NULL, 0);
    return r < 0 ? se_trace(r) : 0;
}

int se_rig_tokenizer(struct se_tokenizer **out, const char *dir, const struct se_config *config)
{
    struct se_tokenizer *tokenizer = NULL;
    int r = se_tokenizer_open(&tokenizer, dir);
    if (r < 0)
        return se_trace(r);
    if (se_tokenizer_size(tokenizer) > config->vocab) {
        r = se_fail(-EINVAL,
                    "%s/tokenizer.json: its %" PRIu32 " ids are more than the %" PRIu32
                    " rows of the embedding (vocab_size in config.json)",
                    dir, se_tokenizer_size(tokenizer), config->vocab);
        se_tokenizer_close(tokenizer);
        return r;
    }
    *out = tokenizer;
    return 0;
}

const char *se_rig_name(const char *dir, char path[PATH_MAX])
{
    const char *slash = realpath(dir, path) ? strrchr(path, '/') : NULL;
    return slash && slash[1] ? slash + 1 : dir;
}
