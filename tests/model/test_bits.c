/* SPDX-License-Identifier: Apache-2.0 */
/* The bits of a row do not depend on its company: alone, in a batch of up to 64 rows, in a
 * prompt chunk of any size, in decode, or as a node of a tree whose ancestors are committed
 * later, with other branches between. Random models and random histories, all kinds of
 * weights, every level of this processor, one and two threads.
 *
 * A text is computed token by token, one row a step: that is the truth. Then the same text
 * is gone through in random ways, beside other sequences, and every row that lies on it has
 * to give the same hidden state and the same logits, bit for bit.
 *
 *   test_bits [RANKS]    how many ranks share the model, 1 if not given */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/step.h"
#include "tests/model/gpu.h"
#include "tests/model/tiny.h"

enum { LEVELS = on_gpu ? 1 : 4, ROUNDS = on_gpu ? 1 : 3, CHECKED_LEAST = on_gpu ? 30 : 1000 };
enum {
    KINDS = on_gpu ? 2 : 4,
    TEXT = on_gpu ? 48 : 72,
    ROWS_MAX = 96,
    TREE_MAX = 40,
    OTHERS = 3,
    PAGES = 64,
    BATCH_MAX = 64
};

struct world {
    struct se_rng rng;
    const struct se_model *model;
    struct se_engine *engine;
    struct se_seq *seq;           /* goes along the text */
    struct se_seq *other[OTHERS]; /* company */
    uint32_t text[TEXT];
    float *hidden, *logits; /* the truth, per position */
    float *got_hidden, *got_logits;
    char what[128]; /* for the message */
    uint32_t checked;
};

static uint32_t ranks = 1;

static void open_engine(struct world *w, struct se_pool *pool, uint32_t threads)
{
    struct se_engine_options options = {
        .ops = backend_ops,
        .pool = pool,
        .tp = ranks,
        .rank_threads = threads,
        .max_rows = ROWS_MAX,
        .n_pages = PAGES,
        .kv_dtype = se_engine_kv_dtype(w->model),
    };
    if (se_engine_new(&w->engine, w->model, &options) < 0)
        fail_msg("%s: %s", w->what, se_err_text());
    assert_int_equal(se_seq_new(&w->seq, se_engine_kv(w->engine)), 0);
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(se_seq_new(&w->other[i], se_engine_kv(w->engine)), 0);
}

static void close_engine(struct world *w)
{
    se_seq_free(w->seq);
    for (int i = 0; i < OTHERS; i++)
        se_seq_free(w->other[i]);
    assert_int_equal(se_kv_pages_free(se_engine_kv(w->engine)), PAGES);
    se_engine_free(w->engine);
}

static void run(struct world *w, struct se_part *part, uint32_t n)
{
    int r = se_step(w->engine, part, n);
    if (r != 0)
        fail_msg("%s: %d %s", w->what, r, se_err_text());
}

/* The truth: one row a step, no company. */
static void compute_truth(struct world *w)
{
    uint32_t vocab = w->model->config.vocab, hidden = w->model->config.hidden;
    const uint32_t path[] = { 0 };
    open_engine(w, NULL, 1);
    for (uint32_t i = 0; i < TEXT; i++) {
        w->text[i] = se_rng_below(&w->rng, vocab);
        struct se_part part = {
            .seq = w->seq,
            .token = &w->text[i],
            .n_rows = 1,
            .want = SE_WANT_LOGITS,
            .logits = w->logits + (size_t)i * vocab,
            .hidden = w->hidden + (size_t)i * hidden,
        };
        run(w, &part, 1);
        assert_int_equal(se_engine_commit(w->engine, w->seq, path, 1, NULL, 0), 0);
    }
    close_engine(w);
}

static void check_row(struct world *w, uint32_t position, uint32_t row, bool logits)
{
    uint32_t vocab = w->model->config.vocab, hidden = w->model->config.hidden;
    if (memcmp(w->hidden + (size_t)position * hidden, w->got_hidden + (size_t)row * hidden,
               hidden * sizeof(float)))
        fail_msg("%s: position %u, row %u: the hidden state differs", w->what, position, row);
    if (logits && memcmp(w->logits + (size_t)position * vocab, w->got_logits + (size_t)row * vocab,
                         vocab * sizeof(float)))
        fail_msg("%s: position %u, row %u: the logits differ", w->what, position, row);
    w->checked++;
}

/* Company: sequences that grow at random, as chunks or trees, and are cut now and then. */
struct company {
    uint32_t token[OTHERS][BATCH_MAX];
    int32_t parent[OTHERS][BATCH_MAX];
    uint32_t id[OTHERS][BATCH_MAX * 2];
    float logprob[OTHERS][BATCH_MAX * 2];
};

static struct se_part draw_other(struct world *w, struct company *c, int i, uint32_t rows)
{
    struct se_seq *seq = w->other[i];
    if (seq->len + rows > 120)
        se_seq_rewind(seq, se_rng_below(&w->rng, seq->len + 1));
    se_seq_drop(seq, se_rng_below(&w->rng, 2) ? 0 : seq->pending);
    bool tree = seq->pending > 0 || se_rng_below(&w->rng, 2);
    for (uint32_t k = 0; k < rows; k++) {
        c->token[i][k] = se_rng_below(&w->rng, w->model->config.vocab);
        c->parent[i][k] = (int32_t)se_rng_below(&w->rng, seq->pending + k + 1) - 1;
    }
    return (struct se_part){
        .seq = seq,
        .token = c->token[i],
        .parent = tree ? c->parent[i] : NULL,
        .n_rows = rows,
        .want = tree ? SE_WANT_TOPK : SE_WANT_NOTHING,
        .k = 2,
        .topk_id = c->id[i],
        .topk_logprob = c->logprob[i],
    };
}

/* The step of our part with 0 .. OTHERS others, before and behind it. */
static void run_in_company(struct world *w, struct se_part ours)
{
    static struct company company;
    struct se_part part[OTHERS + 1];
    uint32_t room = BATCH_MAX > ours.n_rows ? BATCH_MAX - ours.n_rows : 0, n = 0;
    uint32_t before = se_rng_below(&w->rng, OTHERS + 1);
    for (int i = 0; i < OTHERS; i++) {
        if ((uint32_t)i == before)
            part[n++] = ours;
        uint32_t rows = se_rng_below(&w->rng, 3) ? se_rng_below(&w->rng, 24) : 0;
        if (rows < 1 || rows > room)
            continue;
        room -= rows;
        part[n++] = draw_other(w, &company, i, rows);
    }
    if (before == OTHERS)
        part[n++] = ours;
    run(w, part, n);
}

static struct se_part our_part(struct world *w, const uint32_t *token, const int32_t *parent,
                               uint32_t n)
{
    return (struct se_part){
        .seq = w->seq,
        .token = token,
        .parent = parent,
        .n_rows = n,
        .want = SE_WANT_LOGITS,
        .logits = w->got_logits,
        .hidden = w->got_hidden,
    };
}

/* A chunk of the text that becomes text; its hidden states are looked at when wanted. */
static void go_chunk(struct world *w, uint32_t n)
{
    uint32_t at = w->seq->len;
    struct se_part part = our_part(w, w->text + at, NULL, n);
    bool look = se_rng_below(&w->rng, 2);
    part.want = SE_WANT_NOTHING;
    part.hidden = look ? w->got_hidden : NULL;
    run_in_company(w, part);
    for (uint32_t i = 0; look && i < n; i++)
        check_row(w, at + i, i, false);
}

/* A tree: some nodes follow the text, others are anything; it grows over one to three steps,
 * and then a part of the way along the text is committed. */
static void go_tree(struct world *w)
{
    uint32_t way[TREE_MAX], n_way = 0, at = w->seq->len, total = 0;
    int32_t last = SE_NODE_ROOT;
    uint32_t steps = 1 + se_rng_below(&w->rng, 3);
    for (uint32_t s = 0; s < steps; s++) {
        uint32_t token[TREE_MAX], rows = 1 + se_rng_below(&w->rng, TREE_MAX / 3), on_way[TREE_MAX];
        int32_t parent[TREE_MAX];
        for (uint32_t i = 0; i < rows; i++, total++) {
            on_way[i] = UINT32_MAX;
            token[i] = se_rng_below(&w->rng, w->model->config.vocab);
            parent[i] = (int32_t)se_rng_below(&w->rng, total + 1) - 1;
            if (at + n_way < TEXT && se_rng_below(&w->rng, 2)) {
                token[i] = w->text[at + n_way];
                parent[i] = last;
                last = (int32_t)total;
                on_way[i] = at + n_way;
                way[n_way++] = total;
            }
        }
        run_in_company(w, our_part(w, token, parent, rows));
        for (uint32_t i = 0; i < rows; i++) {
            if (on_way[i] != UINT32_MAX)
                check_row(w, on_way[i], i, true);
        }
    }
    uint32_t keep = se_rng_below(&w->rng, n_way + 1);
    assert_int_equal(se_engine_commit(w->engine, w->seq, way, keep, NULL, 0), 0);
    assert_int_equal(w->seq->len, at + keep);
}

/* Along the text in random ways. */
static void go_along(struct world *w)
{
    const uint32_t path[ROWS_MAX] = { 0 };
    while (w->seq->len < TEXT) {
        uint32_t left = TEXT - w->seq->len;
        uint32_t n = 1 + se_rng_below(&w->rng, left);
        switch (se_rng_below(&w->rng, 6)) {
        case 0:
            go_chunk(w, n);
            break;
        case 1: /* decode */
            run_in_company(w, our_part(w, w->text + w->seq->len, NULL, 1));
            check_row(w, w->seq->len, 0, true);
            assert_int_equal(se_engine_commit(w->engine, w->seq, path, 1, NULL, 0), 0);
            break;
        case 2: /* back */
            se_seq_rewind(w->seq, w->seq->len - se_rng_below(&w->rng, w->seq->len / 2 + 1));
            break;
        default:
            go_tree(w);
        }
    }
}

static void check_case(struct world *w, const char *dir, enum se_weights weights, uint32_t level,
                       uint32_t threads)
{
    char flags[64];
    struct se_pool *pool = NULL;
    struct se_model *model;
    struct se_model_options options = { .weights = weights };
    uint32_t before = se_cpu_narrow(level);
    if (se_model_open(&model, dir, &options) < 0)
        fail_msg("%s", se_err_text());
    const struct se_config *config = &model->config;
    w->model = model;
    w->hidden = calloc((size_t)TEXT * config->hidden, sizeof(float));
    w->logits = calloc((size_t)TEXT * config->vocab, sizeof(float));
    w->got_hidden = calloc((size_t)ROWS_MAX * config->hidden, sizeof(float));
    w->got_logits = calloc((size_t)ROWS_MAX * config->vocab, sizeof(float));
    assert_true(w->hidden && w->logits && w->got_hidden && w->got_logits);
    snprintf(w->what, sizeof w->what, "%s, %s, %u threads, %u ranks", se_weights_name(weights),
             se_cpu_text(se_cpu_flags(), flags, sizeof flags), threads, ranks);
    if (ranks == 1) /* ranks have threads of their own */
        assert_int_equal(se_pool_new(&pool, threads, false), 0);
    compute_truth(w);
    open_engine(w, pool, threads);
    go_along(w);
    close_engine(w);
    se_pool_free(pool);
    free(w->hidden);
    free(w->logits);
    free(w->got_hidden);
    free(w->got_logits);
    se_model_close(model);
    se_cpu_narrow(before);
}

static uint64_t seed;

/* Sizes that so many ranks can share, groups of 8-bit weights included. */
static void make_divisible(struct tiny_spec *spec, uint32_t n)
{
    spec->kv_heads = n * (1 + spec->kv_heads % 2);
    spec->head_dim = spec->head_dim < 16 ? 16 : spec->head_dim;
    spec->heads = spec->kv_heads * (spec->heads % 2 ? 2 : 4);
    spec->mlp = SE_Q8_GROUP * n * (1 + spec->mlp % 3);
}

static void bits_do_not_depend_on_company(void **state)
{
    static const uint32_t level[] = { 0, SE_CPU_AVX2, SE_CPU_AVX2 | SE_CPU_AVX512, UINT32_MAX };
    static const enum se_weights weights[] = { SE_WEIGHTS_STORED, SE_WEIGHTS_Q8, SE_WEIGHTS_F32,
                                               SE_WEIGHTS_BF16 };
    static const enum se_dtype stored[] = { SE_DTYPE_F32, SE_DTYPE_BF16, SE_DTYPE_F16 };
    struct world world = { 0 };
    uint32_t all = se_cpu_narrow(UINT32_MAX);
    (void)state;
    se_rng_init(&world.rng, seed, SE_RNG_TEST);
    const uint32_t rounds = ranks > 2 ? 1 : ROUNDS; /* more ranks than processors take long */
    for (uint32_t k = 0; k < rounds; k++) {
        char dir[TINY_PATH_MAX_B];
        struct tiny_spec spec = tiny_draw(seed + k, stored[k]);
        if (ranks > 1)
            make_divisible(&spec, ranks);
        tiny_write(dir, &spec);
        for (size_t i = 0; i < KINDS; i++) {
            uint32_t seen = UINT32_MAX;
            for (size_t j = 0; j < LEVELS; j++) {
                se_cpu_narrow(level[j]);
                if (se_cpu_flags() != seen) /* this machine has no more */
                    check_case(&world, dir, weights[i], level[j], 1 + se_rng_below(&world.rng, 2));
                seen = (se_cpu_narrow(level[j]), se_cpu_flags());
            }
        }
        tiny_remove(dir);
    }
    se_cpu_narrow(all);
    print_message("%u rows compared\n", world.checked);
    assert_true(world.checked > CHECKED_LEAST * rounds / ROUNDS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_company),
    };
    if (argc > 1)
        ranks = (uint32_t)strtoul(argv[1], NULL, 10);
    seed = tiny_seed();
    return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
