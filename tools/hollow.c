/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hollow.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/backend.h"

struct se_backend {
    struct se_hollow *hollow;
};

static int hollow_open(struct se_backend **out, const struct se_model *model,
                       const struct se_engine_options *options)
{
    (void)options;
    *out = se_mem_zero(1, sizeof **out);
    if (!*out)
        return se_trace(-ENOMEM);
    (*out)->hollow = (struct se_hollow *)model;
    return 0;
}

static void hollow_close(struct se_backend *backend) { se_mem_free(backend); }

static const char *hollow_text(const struct se_backend *backend)
{
    (void)backend;
    return "hollow";
}

static size_t hollow_memory(const struct se_backend *backend)
{
    (void)backend;
    return 0;
}

static int answer(const struct se_hollow *hollow, const struct se_batch *batch, uint32_t number)
{
    const struct se_batch_part *part = &batch->part[number];
    if (part->ask->want == SE_WANT_NOTHING)
        return 0;
    if (part->ask->want != SE_WANT_VERDICT)
        return se_fail(-ENOTSUP, "a hollow engine knows no logits");
    for (uint32_t i = part->first_row; i < part->first_row + part->n_rows; i++)
        batch->sampled[i] = (batch->row[i].token + 1) % hollow->model.config.vocab;
    return 0;
}

static void sleep_until(uint64_t ns)
{
    const struct timespec until = { .tv_sec = (time_t)(ns / 1000000000),
                                    .tv_nsec = (long)(ns % 1000000000) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static int hollow_forward(struct se_backend *backend, const struct se_batch *batch)
{
    struct se_hollow *hollow = backend->hollow;
    const uint64_t begun_ns = se_clock_ns();
    int r = 0;
    /* relaxed: who reads the times of a step has heard of its end by another way. */
    atomic_store_explicit(&hollow->begun_ns, begun_ns, memory_order_relaxed);
    if (!atomic_load_explicit(&hollow->is_known, memory_order_relaxed) &&
        pthread_getcpuclockid(pthread_self(), &hollow->thread) == 0)
        /* [hollow.thread] release: whoever sees the mark sees the clock. */
        atomic_store_explicit(&hollow->is_known, true, memory_order_release);
    for (uint32_t i = 0; i < batch->n_parts && r == 0; i++)
        r = answer(hollow, batch, i);
    if (hollow->step_ns > 0)
        sleep_until(begun_ns + hollow->step_ns);
    atomic_store_explicit(&hollow->ended_ns, se_clock_ns(), memory_order_relaxed);
    return r;
}

/* There are no keys and values. */
static void hollow_move(struct se_backend *backend, const struct se_kv_move *move, uint32_t n)
{
    (void)backend;
    (void)move;
    (void)n;
}

static const struct se_backend_ops hollow_ops = {
    .name = "hollow",
    .open = hollow_open,
    .close = hollow_close,
    .text = hollow_text,
    .memory = hollow_memory,
    .forward = hollow_forward,
    .move = hollow_move,
};

void se_hollow_init(struct se_hollow *hollow, uint32_t vocab, uint32_t context, uint64_t step_ns)
{
    memset(hollow, 0, sizeof *hollow);
    hollow->model.config.vocab = vocab;
    hollow->model.config.context = context;
    hollow->step_ns = step_ns;
    atomic_init(&hollow->begun_ns, 0);
    atomic_init(&hollow->ended_ns, 0);
    atomic_init(&hollow->is_known, false);
}

int se_hollow_engine(struct se_engine **out, struct se_hollow *hollow, uint32_t max_rows,
                     uint32_t n_pages)
{
    const struct se_engine_options options = {
        .ops = &hollow_ops, .max_rows = max_rows, .n_pages = n_pages, .kv_dtype = SE_DTYPE_F32
    };
    int r = se_engine_new(out, &hollow->model, &options);
    return r < 0 ? se_trace(r) : 0;
}
