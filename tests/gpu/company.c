/* SPDX-License-Identifier: Apache-2.0 */
/* Bits: a row has the same in any company (tests/model/bits.h), and a step the same whether its
 * graph is replayed or its kernels are started one by one. And what a step asks of the device. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/model/step.h"
#include "tests/gpu/checks.h"
#include "tests/gpu/random_model.h"
#include "tests/gpu/report.h"
#include "tests/gpu/tap.h"
#include "tests/model/bits.h"

/* ---- company */

static int check_bits(const struct check_size *size, const struct check_shape *shape, uint64_t seed,
                      uint32_t *rows)
{
    struct random_model m;
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    int r = random_model_init(&m, &shape->config, seed, false);
    const struct bits_case of = { .model = &m.model,
                                  .ops = &tap_ops,
                                  .text = size->tiny ? 20 : 600,
                                  .chunk = size->tiny ? 20 : 500,
                                  .batch = size->tiny ? 24 : 128 };
    for (int i = 0; r == 0 && i < (size->tiny ? 1 : 2); i++)
        r = bits_check(&of, &rng, rows);
    random_model_fini(&m);
    return r;
}

/* ---- graphs */

enum { SEQS = 3, NODES = 12, STEPS = 14, BEST = 3 };

/* Everything that a history of steps has answered. */
struct answers {
    uint32_t n;
    struct answer {
        uint32_t n_path, bonus, path[NODES], sampled[NODES];
        uint32_t id[NODES * BEST];
        float logprob[NODES * BEST];
    } of[STEPS * SEQS];
};

struct history {
    struct se_rng rng;
    struct se_engine *engine;
    struct se_seq *seq[SEQS];
    uint32_t vocab, token[SEQS][NODES];
    int32_t parent[SEQS][NODES];
    struct se_sampling sampling[SEQS];
};

/* A tree, or now and then best tokens; sizes change, so that several graphs are made. */
static struct se_part draw(struct history *h, uint32_t i, struct answer *to)
{
    const uint32_t n = 1 + se_rng_below(&h->rng, NODES);
    const bool verdict = se_rng_below(&h->rng, 4) > 0;
    h->sampling[i] = (struct se_sampling){ .temp = se_rng_below(&h->rng, 2) ? 0.9 : 0,
                                           .top_p = 0.95,
                                           .seed = i };
    for (uint32_t k = 0; k < n; k++) {
        h->token[i][k] = se_rng_below(&h->rng, h->vocab);
        h->parent[i][k] = k ? (int32_t)se_rng_below(&h->rng, k) : SE_NODE_ROOT;
    }
    return (struct se_part){
        .seq = h->seq[i],
        .token = h->token[i],
        .parent = h->parent[i],
        .n_rows = n,
        .want = verdict ? SE_WANT_VERDICT : SE_WANT_TOPK,
        .k = BEST,
        .topk_id = to->id,
        .topk_logprob = to->logprob,
        .sampling = verdict ? &h->sampling[i] : NULL,
        .path = to->path,
        .sampled = verdict ? to->sampled : NULL,
    };
}

static int go(struct history *h, struct answers *answers)
{
    struct se_part part[SEQS];
    int r = 0;
    for (uint32_t s = 0; r == 0 && s < STEPS; s++) {
        const uint32_t n = 1 + se_rng_below(&h->rng, SEQS), from = answers->n;
        for (uint32_t i = 0; i < n; i++)
            part[i] = draw(h, i, &answers->of[answers->n++]);
        r = se_step(h->engine, part, n);
        r = r > 0 ? se_fail(-ENOMEM, "no page is left") : r;
        for (uint32_t i = 0; r == 0 && i < n; i++) {
            answers->of[from + i].n_path = part[i].n_path;
            answers->of[from + i].bonus = part[i].bonus;
            se_seq_drop(h->seq[i], 0);
        }
    }
    return r;
}

static int run_history(const struct random_model *m, const struct se_backend_ops *ops,
                       uint64_t seed, struct answers *answers, struct se_gpu_graph_counts *counts)
{
    const struct se_engine_options options = {
        .ops = ops, .max_rows = 64, .n_pages = 64, .kv_dtype = SE_DTYPE_F16
    };
    struct history h = { .vocab = m->model.config.vocab };
    se_rng_init(&h.rng, seed, SE_RNG_TEST);
    memset(answers, 0, sizeof *answers);
    int r = se_engine_new(&h.engine, &m->model, &options);
    for (int i = 0; r == 0 && i < SEQS; i++)
        r = se_seq_new(&h.seq[i], se_engine_kv(h.engine));
    if (r == 0)
        r = go(&h, answers);
    if (r == 0 && counts)
        *counts = tap_backend()->graphs.counts;
    for (int i = 0; i < SEQS; i++)
        se_seq_free(h.seq[i]);
    se_engine_free(h.engine);
    return r;
}

static int check_counts(const struct se_gpu_graph_counts *with,
                        const struct se_gpu_graph_counts *without)
{
    if (with->refused || with->replayed == 0 || with->replayed + with->plain != STEPS)
        return se_fail(-EILSEQ, "of %d steps %llu were replayed, %llu plain; %llu graphs refused",
                       STEPS, (unsigned long long)with->replayed, (unsigned long long)with->plain,
                       (unsigned long long)with->refused);
    if (without->replayed || without->plain != STEPS)
        return se_fail(-EILSEQ, "without graphs, of %d steps %llu were plain", STEPS,
                       (unsigned long long)without->plain);
    return 0;
}

static int check_graphs(const struct random_model *m, uint64_t seed,
                        struct se_gpu_graph_counts *with)
{
    struct se_gpu_graph_counts without = { 0 };
    struct answers *of = se_mem_new(2, sizeof *of);
    int r = of ? run_history(m, &tap_ops, seed, &of[0], with) : -ENOMEM;
    if (r == 0)
        r = run_history(m, &tap_plain_ops, seed, &of[1], &without);
    if (r == 0)
        r = check_counts(with, &without);
    if (r == 0 && memcmp(&of[0], &of[1], sizeof *of) != 0)
        r = se_fail(-EILSEQ, "a step that was replayed has answered otherwise");
    se_mem_free(of);
    return r;
}

/* ---- what a step asks of the device */

static int step_again(struct se_engine *engine, struct se_seq *seq, uint32_t n)
{
    uint32_t token[NODES] = { 0 }, path[NODES];
    const struct se_sampling sampling = { .temp = 0.8, .top_p = 1, .seed = 5 };
    struct se_part part = { .seq = seq,
                            .token = token,
                            .n_rows = n,
                            .want = SE_WANT_VERDICT,
                            .sampling = &sampling,
                            .path = path };
    const int r = se_step(engine, &part, 1);
    se_seq_rewind(seq, 0);
    return r;
}

/* One launch and one wait for a word: no other call that waits, and no copy. */
static int check_calls(const struct random_model *m)
{
    const struct se_engine_options options = {
        .ops = &tap_ops, .max_rows = 16, .n_pages = 8, .kv_dtype = SE_DTYPE_F16
    };
    struct se_engine *engine = NULL;
    struct se_seq *seq = NULL;
    int r = se_engine_new(&engine, &m->model, &options);
    if (r == 0)
        r = se_seq_new(&seq, se_engine_kv(engine));
    for (int i = 0; r == 0 && i < 2; i++) /* plain, then captured */
        r = step_again(engine, seq, NODES);
    const struct tap_counts from = tap_seen();
    for (int i = 0; r == 0 && i < STEPS; i++)
        r = step_again(engine, seq, NODES - (uint32_t)i % 3); /* all of one bucket */
    const struct tap_counts to = tap_seen();
    const uint64_t others = to.plain - from.plain + to.waits - from.waits + to.copies - from.copies;
    if (r == 0 && (to.graphs - from.graphs != STEPS || to.words - from.words != STEPS || others))
        r = se_fail(-EILSEQ, "%d steps made %llu launches of a graph and %llu other calls", STEPS,
                    (unsigned long long)(to.graphs - from.graphs), (unsigned long long)others);
    se_seq_free(seq);
    se_engine_free(engine);
    return r;
}

/* ---- the module, opened as programs do it */

static int check_module(const struct random_model *m, uint64_t seed)
{
    struct se_gpu_graph_counts counts;
    struct answers *of = se_mem_new(2, sizeof *of);
    int r = of ? run_history(m, &tap_ops, seed, &of[0], &counts) : -ENOMEM;
    if (r == 0)
        r = run_history(m, &se_backend_cuda, seed, &of[1], NULL);
    if (r == 0 && memcmp(&of[0], &of[1], sizeof *of) != 0)
        r = se_fail(-EILSEQ, "the module answers otherwise than the files that it is made of");
    se_mem_free(of);
    return r;
}

void check_company(const struct check_size *size)
{
    const struct check_shape *shape;
    const uint32_t n = check_shapes(size, &shape);
    struct se_gpu_graph_counts counts = { 0 };
    const char *module = getenv("SE_CUDA_MODULE");
    struct random_model m;
    uint32_t rows = 0;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < (size->tiny ? 2 : n); i++)
        r = check_bits(size, &shape[i], size->seed + 50 + i, &rows);
    report_check(r, "bits: alone, batch, prefill, tree", "%u rows of %u shapes are the same", rows,
                 size->tiny ? 2 : n);
    r = random_model_init(&m, &shape[0].config, size->seed, false);
    if (r == 0)
        r = check_graphs(&m, size->seed, &counts);
    report_check(r, "bits: graphs and plain launches",
                 "the same; %llu steps replayed from %llu graphs, %llu plain",
                 (unsigned long long)counts.replayed, (unsigned long long)counts.captured,
                 (unsigned long long)counts.plain);
    report_check(check_calls(&m), "calls of a step", "one launch of a graph, one wait for a word");
    if (!module || !*module)
        report_note("the module", "not tried: SE_CUDA_MODULE names none");
    else
        report_check(check_module(&m, size->seed), "the module", "opens, and answers the same");
    random_model_fini(&m);
}
