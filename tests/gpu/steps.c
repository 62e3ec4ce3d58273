/* SPDX-License-Identifier: Apache-2.0 */
/* How long a step takes, in shapes that people serve, with random weights: beside the bytes that
 * it must read over the measured bandwidth, and a prompt's beside the measured rate of products. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/hist.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/model/step.h"
#include "tests/gpu/checks.h"
#include "tests/gpu/driver.h"
#include "tests/gpu/random_model.h"
#include "tests/gpu/report.h"
#include "tests/gpu/tap.h"
#include "tools/cost.h"

enum { CONTEXT = 1024, TREE = 33, BRANCHES = 8, SEQS = 16, PREFILL = 2048, STEPS = 50, LEAST = 30 };
enum { BEFORE = 4, PREFILLS = 12, TINY_CASES = 3 };
#define SECONDS 20.0 /* for the cases of a shape: fewer samples than STEPS, not than LEAST */

#define QWEN3_14B \
    { \
        .arch = SE_ARCH_QWEN3, .vocab = 151936, .hidden = 5120, .layers = 40, .heads = 40, \
        .kv_heads = 8, .head_dim = 128, .mlp = 17408, .context = 40960, .norm_eps = 1e-6f, \
        .qk_norm = true, .rope = { .kind = SE_ROPE_DEFAULT, .theta = 1e6 }, .bos = UINT32_MAX \
    }
#define LLAMA_1B \
    { \
        .arch = SE_ARCH_LLAMA, .vocab = 32000, .hidden = 2048, .layers = 22, .heads = 32, \
        .kv_heads = 4, .head_dim = 64, .mlp = 5632, .context = 2048, .norm_eps = 1e-5f, \
        .rope = { .kind = SE_ROPE_DEFAULT, .theta = 1e4 }, .bos = UINT32_MAX \
    }
#define TINY \
    { \
        .arch = SE_ARCH_LLAMA, .vocab = 64, .hidden = 32, .layers = 1, .heads = 2, .kv_heads = 1, \
        .head_dim = 16, .mlp = 48, .context = 512, .norm_eps = 1e-5f, \
        .rope = { .kind = SE_ROPE_DEFAULT, .theta = 1e4 }, .bos = UINT32_MAX \
    }

static const struct shape {
    const char *name;
    struct se_config config;
    bool has_goals; /* those of one H200 */
} shapes[] = { { "llama-1b", LLAMA_1B, false }, { "qwen3-14b", QWEN3_14B, true } };
static const struct shape tiny_shape = { "tiny", TINY, false };

/* So many sequences with so many rows each. */
static const struct one_case {
    uint32_t seqs, rows;
    bool has_goal;
} cases[] = { { 1, 1, false }, { 1, TREE, false }, { 8, TREE, true }, { SEQS, TREE, false } };
enum { CASES = sizeof cases / sizeof *cases };

struct bench {
    const struct check_size *size;
    const struct machine *machine;
    const struct shape *shape;
    struct random_model of;
    struct se_engine *engine;
    struct se_seq *seq[SEQS], *prompt;
    uint32_t context, prefill, max_rows;
    uint32_t *token;
    struct se_part part[SEQS];
    uint32_t ids[SEQS][TREE], path[SEQS][TREE];
    int32_t parent[TREE];
    struct se_hist step_ms[CASES], host_us[CASES], prefill_ms;
    uint64_t launches[CASES], others[CASES]; /* calls of timed steps */
    int n_cases;
};

/* ---- opening */

static uint32_t pages_for(const struct bench *b)
{
    const uint32_t each = (b->context + TREE) / SE_PAGE_SLOTS + 2;
    return SEQS * each + b->prefill / SE_PAGE_SLOTS + 2;
}

static int feed(struct bench *b, struct se_seq *seq, uint32_t n)
{
    int r = 0;
    for (uint32_t at = 0; r == 0 && at < n; at += b->max_rows) {
        struct se_part part = { .seq = seq,
                                .token = b->token + at,
                                .n_rows = n - at < b->max_rows ? n - at : b->max_rows,
                                .want = SE_WANT_NOTHING };
        r = se_step(b->engine, &part, 1);
        r = r > 0 ? se_fail(-ENOMEM, "no page is left") : r;
    }
    return r;
}

static void draw(struct bench *b)
{
    const uint32_t vocab = b->shape->config.vocab;
    struct se_rng rng;
    se_rng_init(&rng, b->size->seed, SE_RNG_TEST);
    for (uint32_t i = 0; i < b->prefill; i++)
        b->token[i] = se_rng_below(&rng, vocab);
    for (uint32_t s = 0; s < SEQS; s++)
        for (uint32_t i = 0; i < TREE; i++)
            b->ids[s][i] = se_rng_below(&rng, vocab);
    b->parent[0] = SE_NODE_ROOT;
    for (uint32_t i = 1; i < TREE; i++) /* a root with as many branches, as long as each other */
        b->parent[i] = i <= BRANCHES ? 0 : (int32_t)(i - BRANCHES);
}

static int open_bench(struct bench *b)
{
    const bool tiny = b->size->tiny;
    b->n_cases = tiny ? TINY_CASES : CASES;
    b->context = tiny ? 20 : CONTEXT;
    b->prefill = tiny ? 48 : PREFILL;
    b->max_rows = tiny ? SEQS * TREE : PREFILL;
    const struct se_engine_options options = { .ops = &tap_ops,
                                               .devices = { 1, { (uint16_t)b->size->device } },
                                               .max_rows = b->max_rows,
                                               .n_pages = pages_for(b),
                                               .kv_dtype = SE_DTYPE_F16 };
    b->token = se_mem_new(b->prefill, sizeof *b->token);
    int r = b->token ? 0 : -ENOMEM;
    if (r == 0)
        r = random_model_init(&b->of, &b->shape->config, b->size->seed, true);
    if (r == 0)
        r = se_engine_new(&b->engine, &b->of.model, &options);
    if (r < 0)
        return r;
    draw(b);
    r = se_seq_new(&b->prompt, se_engine_kv(b->engine));
    for (int i = 0; r == 0 && i < SEQS; i++) {
        r = se_seq_new(&b->seq[i], se_engine_kv(b->engine));
        if (r == 0)
            r = feed(b, b->seq[i], b->context);
    }
    return r;
}

static void close_bench(struct bench *b)
{
    se_seq_free(b->prompt);
    for (int i = 0; i < SEQS; i++)
        se_seq_free(b->seq[i]);
    se_engine_free(b->engine);
    random_model_fini(&b->of);
    se_mem_free(b->token);
    se_hist_fini(&b->prefill_ms);
    for (int i = 0; i < CASES; i++) {
        se_hist_fini(&b->step_ms[i]);
        se_hist_fini(&b->host_us[i]);
    }
}

/* ---- measuring */

/* One step, as a server makes it, and everything as it was before. */
static int time_step(struct bench *b, int number, bool counts)
{
    static const struct se_sampling sampling = { .temp = 0, .top_p = 1 };
    const struct one_case *c = &cases[number];
    for (uint32_t i = 0; i < c->seqs; i++)
        b->part[i] = (struct se_part){ .seq = b->seq[i],
                                       .token = b->ids[i],
                                       .parent = b->parent,
                                       .n_rows = c->rows,
                                       .want = SE_WANT_VERDICT,
                                       .sampling = &sampling,
                                       .path = b->path[i] };
    const struct tap_counts from = tap_seen();
    const uint64_t from_ns = se_clock_ns();
    int r = se_step(b->engine, b->part, c->seqs);
    const uint64_t ns = se_clock_ns() - from_ns;
    const struct tap_counts to = tap_seen();
    if (r != 0)
        return r > 0 ? se_fail(-ENOMEM, "no page is left") : r;
    for (uint32_t i = 0; i < c->seqs; i++)
        se_seq_rewind(b->seq[i], b->context);
    if (!counts)
        return 0;
    b->launches[number] += to.graphs - from.graphs;
    b->others[number] += to.plain - from.plain + to.waits - from.waits + to.copies - from.copies;
    r = se_hist_add(&b->step_ms[number], (double)ns * 1e-6);
    if (r == 0)
        r = se_hist_add(&b->host_us[number], (double)(ns - (to.waited_ns - from.waited_ns)) * 1e-3);
    return r;
}

/* Every case once a turn: what slows the card for a while falls on all of them. */
static int time_steps(struct bench *b)
{
    const int before = b->size->tiny ? 2 : BEFORE, most = b->size->tiny ? 1 : STEPS;
    const uint64_t from_ns = se_clock_ns();
    int r = 0;
    for (int turn = 0; r == 0 && turn < before + most; turn++) {
        const double s = (double)(se_clock_ns() - from_ns) * 1e-9;
        if (turn >= before + LEAST && s > SECONDS)
            break;
        for (int i = 0; r == 0 && i < b->n_cases; i++)
            r = time_step(b, i, turn >= before);
    }
    return r;
}

static int time_prefills(struct bench *b)
{
    const int before = b->size->tiny ? 0 : BEFORE, n = b->size->tiny ? 1 : PREFILLS;
    int r = 0;
    for (int i = 0; r == 0 && i < before + n; i++) {
        const uint64_t from_ns = se_clock_ns();
        r = feed(b, b->prompt, b->prefill);
        const double ms = (double)(se_clock_ns() - from_ns) * 1e-6;
        se_seq_rewind(b->prompt, 0);
        if (r == 0 && i >= before)
            r = se_hist_add(&b->prefill_ms, ms);
    }
    return r;
}

/* ---- reporting */

static uint32_t rows_of(const struct one_case *c) { return c->seqs * c->rows; }

static void name_case(const struct bench *b, const struct one_case *c, char *what, size_t size_b)
{
    if (c->seqs == 1)
        snprintf(what, size_b, "%s, %u row%s", b->shape->name, c->rows, c->rows == 1 ? "" : "s");
    else
        snprintf(what, size_b, "%s, %u x %u rows", b->shape->name, c->seqs, c->rows);
}

static void report_case(struct bench *b, int number)
{
    const struct one_case *c = &cases[number];
    struct se_hist *ms = &b->step_ms[number], *us = &b->host_us[number];
    const struct se_cost cost =
        se_cost_of(&b->of.model, SE_DTYPE_F16, rows_of(c), c->seqs, b->context, true);
    const double median = se_hist_at(ms, 0.5), share = cost.bytes / b->machine->copies_b;
    const bool goal = b->shape->has_goals && c->has_goal;
    char what[64], key[64], roof[48] = "";
    name_case(b, c, what, sizeof what);
    if (b->machine->copies_b > 0)
        snprintf(roof, sizeof roof, ", %.1f %% of the roofline", share / median * 1e5);
    report_figure(what, goal ? "85 %" : NULL, share / median * 1e3 >= 0.85,
                  "%.3f ms (%.3f to %.3f, p99 %.3f, %zu steps), %.0f GB/s%s", median,
                  se_hist_at(ms, 0), se_hist_at(ms, 1), se_hist_at(ms, 0.99), ms->n,
                  cost.bytes / median * 1e-6, roof);
    const double host = se_hist_at(us, 0.5);
    snprintf(what, sizeof what, "    the host's own time");
    report_figure(what, goal ? "50 us" : NULL, host <= 50, "%.1f us (%.1f to %.1f, p99 %.1f)", host,
                  se_hist_at(us, 0), se_hist_at(us, 1), se_hist_at(us, 0.99));
    snprintf(key, sizeof key, "%s_%ux%u_ms", b->shape->name, c->seqs, c->rows);
    report_samples(key, "ms", ms);
    snprintf(key, sizeof key, "%s_%ux%u_host_us", b->shape->name, c->seqs, c->rows);
    report_samples(key, "us", us);
    snprintf(key, sizeof key, "%s_%ux%u_bytes", b->shape->name, c->seqs, c->rows);
    report_number(key, cost.bytes);
}

static void report_prefill(struct bench *b)
{
    const struct se_cost cost =
        se_cost_of(&b->of.model, SE_DTYPE_F16, b->prefill, 1, b->prefill / 2, false);
    const double median = se_hist_at(&b->prefill_ms, 0.5), rate = cost.ops / median * 1e3;
    const double share = rate / b->machine->products;
    char what[64], key[64], of[48] = "";
    snprintf(what, sizeof what, "%s, a prompt of %u rows", b->shape->name, b->prefill);
    if (b->machine->products > 0)
        snprintf(of, sizeof of, ", %.1f %% of the matmul rate", share * 100);
    report_figure(what, b->shape->has_goals && b->machine->products > 0 ? "60 %" : NULL,
                  share >= 0.6, "%.2f ms (%.2f to %.2f), %.0f rows/s, %.1f TFLOP/s%s", median,
                  se_hist_at(&b->prefill_ms, 0), se_hist_at(&b->prefill_ms, 1),
                  b->prefill / median * 1e3, rate * 1e-12, of);
    snprintf(key, sizeof key, "%s_prefill_%u_ms", b->shape->name, b->prefill);
    report_samples(key, "ms", &b->prefill_ms);
}

/* That is a check: a step that falls back to plain launches is slow without anyone noticing. */
static int check_launches(const struct bench *b)
{
    for (int i = 0; i < b->n_cases; i++)
        if (b->launches[i] != b->step_ms[i].n || b->others[i])
            return se_fail(-EILSEQ,
                           "%zu steps of %u rows made %llu launches of a graph and %llu other "
                           "calls",
                           b->step_ms[i].n, rows_of(&cases[i]), (unsigned long long)b->launches[i],
                           (unsigned long long)b->others[i]);
    return 0;
}

static void report_bench(struct bench *b)
{
    char what[64], kernels[48] = "";
    uint32_t nodes = 0;
    for (int i = 0; i < b->n_cases; i++)
        report_case(b, i);
    report_prefill(b);
    if (!b->size->tiny && driver_count_nodes(tap_backend(), 64, &nodes) == 0)
        snprintf(kernels, sizeof kernels, ", of %u kernels for 33 rows", nodes);
    snprintf(what, sizeof what, "%s, launches of a step", b->shape->name);
    report_check(check_launches(b), what, "one graph%s; no other call that waits", kernels);
}

static void bench_shape(const struct check_size *size, const struct machine *machine,
                        const struct shape *shape)
{
    struct bench *b = se_mem_zero(1, sizeof *b);
    if (!b) {
        report_check(-ENOMEM, shape->name, "%s", "");
        return;
    }
    b->size = size;
    b->machine = machine;
    b->shape = shape;
    const uint64_t from_ns = se_clock_ns();
    int r = open_bench(b);
    const double s = (double)(se_clock_ns() - from_ns) * 1e-9;
    if (r == -ENOMEM && !b->engine) {
        report_note(shape->name, "not measured: %s", se_err_text());
        close_bench(b);
        se_mem_free(b);
        return;
    }
    if (r == 0)
        r = time_steps(b);
    if (r == 0)
        r = time_prefills(b);
    report_check(r, shape->name,
                 "%.2f GB of weights, %u tokens of context; opened and filled in %.1f s",
                 (double)b->of.model.weight_b * 1e-9, b->context, s);
    if (r == 0)
        report_bench(b);
    close_bench(b);
    se_mem_free(b);
}

void check_steps(const struct check_size *size, const struct machine *machine)
{
    if (size->tiny) {
        bench_shape(size, machine, &tiny_shape);
        return;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        bench_shape(size, machine, &shapes[i]);
}
