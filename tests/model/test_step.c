/* SPDX-License-Identifier: Apache-2.0 */
/* What a step promises beside its numbers: refusals that change nothing, answers that agree
 * with each other, and verdicts whose text does not depend on what was drafted. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "kernels/gumbel.h"
#include "kernels/softmax.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/step.h"
#include "tests/model/gpu.h"
#include "tests/model/tiny.h"

enum { MAX_ROWS = 100, N_PAGES = 12, VOCAB = 70, HIDDEN = 40, CONTEXT = 150 };

static const struct tiny_spec small = {
    .arch = SE_ARCH_QWEN3,
    .stored = SE_DTYPE_BF16,
    .vocab = VOCAB,
    .hidden = HIDDEN,
    .layers = 2,
    .heads = 4,
    .kv_heads = 2,
    .head_dim = 16,
    .mlp = 50,
    .context = CONTEXT,
    .seed = 11,
};

static char dir[TINY_PATH_MAX_B];
static struct se_model *model;
static struct se_engine *engine;
static struct se_kv *kv;
static uint64_t seed;

static int set_up(void **state)
{
    struct se_engine_options options = {
        .ops = backend_ops,
        .max_rows = MAX_ROWS,
        .n_pages = N_PAGES,
        .kv_dtype = SE_DTYPE_F16,
    };
    (void)state;
    tiny_write(dir, &small);
    if (se_model_open(&model, dir, &(struct se_model_options){ 0 }) != 0 ||
        se_engine_new(&engine, model, &options) != 0)
        return -1;
    kv = se_engine_kv(engine);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    se_engine_free(engine);
    se_model_close(model);
    tiny_remove(dir);
    return 0;
}

static struct se_seq *new_seq(void)
{
    struct se_seq *seq;
    assert_int_equal(se_seq_new(&seq, kv), 0);
    return seq;
}

static void step(struct se_part *part, uint32_t n)
{
    int r = se_step(engine, part, n);
    if (r != 0)
        fail_msg("%d: %s", r, se_err_text());
}

static void prefill(struct se_seq *seq, const uint32_t *token, uint32_t n)
{
    struct se_part part = { .seq = seq, .token = token, .n_rows = n };
    step(&part, 1);
}

static void draw_tokens(struct se_rng *rng, uint32_t *token, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        token[i] = se_rng_below(rng, VOCAB);
}

/* Refusals. */

struct plan {
    const char *why;
    struct se_part part[2];
    uint32_t n_parts;
    int code;
};

static void refusals_change_nothing(void **state)
{
    static uint32_t token[200], path[200];
    static float logits[200 * VOCAB], logprob[200 * 8];
    static uint32_t id[200 * 8];
    static const uint32_t beyond[] = { 3, VOCAB };
    static const int32_t later[] = { 4, 1 }, two_roots[] = { -1, -1 }, no_root[] = { 0, 1 };
    const struct se_sampling greedy = SE_SAMPLING_GREEDY, wrong = { .temp = -1, .top_p = 1 };
    struct se_seq *a = new_seq(), *b = new_seq(), *open_tree = new_seq();
    const enum se_want lg = SE_WANT_LOGITS;
    (void)state;
    prefill(a, token, 20);
    prefill(open_tree, token, 5);
    struct se_part grow = {
        .seq = open_tree, .token = token, .n_rows = 3, .want = lg, .logits = logits
    };
    step(&grow, 1);
    const struct plan plan[] = {
        { "token beyond the vocabulary",
          { { a, beyond, NULL, 2, lg, .logits = logits } },
          1,
          -EINVAL },
        { "no rows", { { a, token, NULL, 0, lg, .logits = logits } }, 1, -EINVAL },
        { "too many rows", { { a, token, NULL, MAX_ROWS + 1, lg, .logits = logits } }, 1, -EINVAL },
        { "too many rows together",
          { { a, token, NULL, 60, lg, .logits = logits },
            { b, token, NULL, 60, lg, .logits = logits } },
          2,
          -EINVAL },
        { "one sequence twice",
          { { a, token, NULL, 2, lg, .logits = logits },
            { a, token, NULL, 2, lg, .logits = logits } },
          2,
          -EINVAL },
        { "a parent that is later",
          { { b, token, NULL, 2, lg, .logits = logits },
            { a, token, later, 2, lg, .logits = logits } },
          2,
          -EINVAL },
        { "prefill with parents",
          { { a, token, two_roots, 2, SE_WANT_NOTHING, .k = 0 } },
          1,
          -EINVAL },
        { "prefill behind a tree",
          { { open_tree, token, NULL, 2, SE_WANT_NOTHING, .k = 0 } },
          1,
          -EINVAL },
        { "no room for logits", { { a, token, NULL, 2, lg, .logits = NULL } }, 1, -EINVAL },
        { "top 0",
          { { a, token, NULL, 2, SE_WANT_TOPK, .topk_id = id, .topk_logprob = logprob } },
          1,
          -EINVAL },
        { "top of more than there are",
          { { a, token, NULL, 2, SE_WANT_TOPK, .k = VOCAB + 1, .topk_id = id,
              .topk_logprob = logprob } },
          1,
          -EINVAL },
        { "noise without settings",
          { { a, token, NULL, 2, SE_WANT_TOPK, .k = 2, .topk_id = id, .topk_logprob = logprob,
              .sharpen = 2 } },
          1,
          -EINVAL },
        { "verdict of two roots",
          { { a, token, two_roots, 2, SE_WANT_VERDICT, .sampling = &greedy, .path = path } },
          1,
          -EINVAL },
        { "verdict without a root",
          { { a, token, no_root, 2, SE_WANT_VERDICT, .sampling = &greedy, .path = path } },
          1,
          -EINVAL },
        { "verdict of an open tree",
          { { open_tree, token, NULL, 2, SE_WANT_VERDICT, .sampling = &greedy, .path = path } },
          1,
          -EINVAL },
        { "verdict without settings",
          { { a, token, NULL, 2, SE_WANT_VERDICT, .path = path } },
          1,
          -EINVAL },
        { "settings out of range",
          { { a, token, NULL, 2, SE_WANT_VERDICT, .sampling = &wrong, .path = path } },
          1,
          -EINVAL },
    };
    uint32_t free_pages = se_kv_pages_free(kv);
    for (size_t i = 0; i < sizeof plan / sizeof *plan; i++) {
        struct plan p = plan[i];
        se_err_clear();
        int r = se_step(engine, p.part, p.n_parts);
        if (r != p.code || !*se_err_text())
            fail_msg("%s: %d \"%s\"", p.why, r, se_err_text());
        assert_int_equal(a->len, 20);
        assert_int_equal(a->pending + b->len + b->pending, 0);
        assert_int_equal(open_tree->len, 5);
        assert_int_equal(open_tree->pending, 3);
        assert_int_equal(se_kv_pages_free(kv), free_pages);
    }
    se_seq_free(a);
    se_seq_free(b);
    se_seq_free(open_tree);
}

static void the_context_and_the_pool_have_an_end(void **state)
{
    static uint32_t token[MAX_ROWS];
    static float logits[MAX_ROWS * VOCAB];
    struct se_seq *a = new_seq(), *b = new_seq();
    (void)state;
    prefill(a, token, MAX_ROWS);
    prefill(a, token, CONTEXT - MAX_ROWS - 2);
    struct se_part part[] = {
        { .seq = b, .token = token, .n_rows = 10 },
        { .seq = a, .token = token, .n_rows = 3, .want = SE_WANT_LOGITS, .logits = logits },
    };
    assert_int_equal(se_step(engine, part, 2), -ERANGE);
    assert_non_null(strstr(se_err_text(), "context"));
    assert_int_equal(a->len, CONTEXT - 2);
    assert_int_equal(b->len + b->pending + a->pending, 0);
    /* Three rows that stand side by side are at one position. */
    part[1].parent = (const int32_t[]){ -1, 0, 0 };
    step(part + 1, 1);
    assert_int_equal(a->pending, 3);
    se_seq_drop(a, 0);
    /* 10 of 12 pages are taken: 40 tokens do not fit. */
    part[0].n_rows = 40;
    part[1].n_rows = 1;
    part[1].parent = NULL;
    struct se_part other_order[] = { part[1], part[0] };
    assert_int_equal(se_step(engine, other_order, 2), SE_KV_FULL);
    assert_int_equal(a->pending + b->pending + b->len, 0);
    assert_int_equal(se_kv_pages_free(kv), N_PAGES - 10);
    se_seq_free(a);
    se_seq_free(b);
}

static void weights_that_hold_nan_are_found_in_the_step(void **state)
{
    static const uint32_t token[] = { 1, 2, 3 };
    static const uint16_t nan_bits = 0x7fc0;
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    uint32_t path[3], id[3];
    float logprob[3];
    (void)state;
    /* The mapped embedding is read-only: a copy of the matrix with a NaN in row 2. */
    struct se_model broken = *model;
    uint16_t *copy = malloc((size_t)VOCAB * HIDDEN * 2);
    assert_non_null(copy);
    memcpy(copy, model->embed.data, (size_t)VOCAB * HIDDEN * 2);
    copy[2 * HIDDEN + 5] = nan_bits;
    broken.embed.data = copy;
    struct se_engine *other;
    struct se_seq *seq, *good;
    struct se_engine_options options = {
        .ops = backend_ops, .max_rows = 8, .n_pages = 4, .kv_dtype = SE_DTYPE_F32
    };
    assert_int_equal(se_engine_new(&other, &broken, &options), 0);
    assert_int_equal(se_seq_new(&seq, se_engine_kv(other)), 0);
    assert_int_equal(se_seq_new(&good, se_engine_kv(other)), 0);
    struct se_part part[] = {
        { .seq = good,
          .token = token,
          .n_rows = 1,
          .want = SE_WANT_VERDICT,
          .sampling = &greedy,
          .path = path },
        { .seq = seq,
          .token = token,
          .n_rows = 3,
          .want = SE_WANT_VERDICT,
          .sampling = &greedy,
          .path = path },
    };
    assert_int_equal(se_step(other, part, 2), -EDOM);
    assert_non_null(strstr(se_err_text(), "part 1, row 1"));
    assert_int_equal(seq->len + seq->pending + good->len + good->pending, 0);
    part[1].want = SE_WANT_TOPK;
    part[1].k = 1;
    part[1].topk_id = id;
    part[1].topk_logprob = logprob;
    assert_int_equal(se_step(other, part, 2), -EDOM);
    assert_int_equal(seq->len + seq->pending + good->len + good->pending, 0);
    part[1].n_rows = 1; /* before the NaN all is well */
    assert_int_equal(se_step(other, part, 2), 0);
    assert_int_equal(good->len, 1);
    se_seq_free(seq);
    se_seq_free(good);
    se_engine_free(other);
    free(copy);
}

/* In a mapped file nobody looks for NaN when it is opened; the step that meets it names it. */
static void a_mapped_nan_is_named_by_the_step(void **state)
{
    static const uint16_t nan_bits = 0x7fc0;
    static const uint32_t token[] = { 3 };
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    char path[TINY_PATH_MAX_B * 2], other_dir[TINY_PATH_MAX_B];
    uint32_t way[1];
    (void)state;
    tiny_write(other_dir, &small);
    snprintf(path, sizeof path, "%s/model.safetensors", other_dir);
    FILE *file = fopen(path, "r+b"); /* the last tensor of the file is the output */
    assert_non_null(file);
    assert_int_equal(fseek(file, -2, SEEK_END), 0);
    assert_int_equal(fwrite(&nan_bits, 1, 2, file), 2);
    assert_int_equal(fclose(file), 0);
    struct se_model *broken;
    struct se_engine *other;
    struct se_seq *seq;
    struct se_engine_options options = {
        .ops = backend_ops, .max_rows = 8, .n_pages = 4, .kv_dtype = SE_DTYPE_F16
    };
    assert_int_equal(se_model_open(&broken, other_dir, &(struct se_model_options){ 0 }), 0);
    assert_int_equal(se_engine_new(&other, broken, &options), 0);
    assert_int_equal(se_seq_new(&seq, se_engine_kv(other)), 0);
    struct se_part part = {
        .seq = seq,
        .token = token,
        .n_rows = 1,
        .want = SE_WANT_VERDICT,
        .sampling = &greedy,
        .path = way,
    };
    assert_int_equal(se_step(other, &part, 1), -EDOM);
    assert_non_null(strstr(se_err_text(), "model.safetensors: lm_head.weight holds a value"));
    assert_int_equal(seq->len + seq->pending, 0);
    assert_int_equal(se_model_scan(model), 0);
    se_seq_free(seq);
    se_engine_free(other);
    se_model_close(broken);
    tiny_remove(other_dir);
}

/* Answers. */

/* More rows than logits fit in memory at once, of several parts, some of which want nothing. */
static void parts_get_what_they_ask_for(void **state)
{
    static uint32_t token[3][40];
    static float logits[40 * VOCAB], again[40 * VOCAB], hidden[40 * HIDDEN], logprob[40 * VOCAB];
    static uint32_t id[40 * VOCAB];
    struct se_rng rng;
    struct se_seq *seq[3] = { new_seq(), new_seq(), new_seq() };
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int i = 0; i < 3; i++)
        draw_tokens(&rng, token[i], 40);
    struct se_part part[] = {
        { .seq = seq[0], .token = token[0], .n_rows = 20, .hidden = hidden },
        { .seq = seq[1],
          .token = token[1],
          .n_rows = 40,
          .want = SE_WANT_LOGITS,
          .logits = logits },
        { .seq = seq[2],
          .token = token[1],
          .n_rows = 40,
          .want = SE_WANT_TOPK,
          .k = VOCAB,
          .topk_id = id,
          .topk_logprob = logprob },
    };
    step(part, 3);
    assert_int_equal(seq[0]->len, 20);
    assert_int_equal(seq[1]->pending, 40);
    for (uint32_t row = 0; row < 40; row++) { /* the ranking is that of the logits */
        const float *x = logits + row * VOCAB;
        float whole = se_softmax_pick()->logsumexp(x, VOCAB);
        for (uint32_t i = 0; i < VOCAB; i++) {
            uint32_t at = id[row * VOCAB + i];
            assert_in_range(at, 0, VOCAB - 1);
            assert_true(logprob[row * VOCAB + i] == x[at] - whole);
            if (i > 0)
                assert_true(x[id[row * VOCAB + i - 1]] >= x[at]);
        }
    }
    se_seq_drop(seq[1], 0);
    struct se_part alone = {
        .seq = seq[1], .token = token[1], .n_rows = 40, .want = SE_WANT_LOGITS, .logits = again
    };
    step(&alone, 1);
    assert_memory_equal(logits, again, sizeof logits);
    for (int i = 0; i < 3; i++)
        se_seq_free(seq[i]);
}

/* The best n of a row are those of score[], whose log-probabilities they have; what was cut is
 * -INFINITY in both. */
static void assert_ranking(const double *score, const uint32_t *id, const float *logprob,
                           uint32_t n)
{
    double whole = 0;
    for (uint32_t i = 0; i < VOCAB; i++)
        whole += exp(score[i]);
    for (uint32_t i = 0; i < n; i++) {
        double expected = score[id[i]] - log(whole);
        assert_true((double)logprob[i] == expected || fabs((double)logprob[i] - expected) < 1e-4);
        assert_true(i == 0 || score[id[i]] <= score[id[i - 1]] + 1e-4);
    }
}

static void rankings_are_those_of_the_formulas(void **state)
{
    static float logits[VOCAB], logprob[VOCAB];
    const struct se_sampling s = { .temp = 0.7, .top_p = 1, .seed = 99 };
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    uint32_t id[VOCAB], token[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, path[1];
    struct se_seq *seq = new_seq();
    double score[VOCAB];
    (void)state;
    prefill(seq, token, 8);
    struct se_part part = {
        .seq = seq, .token = token + 8, .n_rows = 1, .want = SE_WANT_LOGITS, .logits = logits
    };
    step(&part, 1);
    se_seq_drop(seq, 0);
    struct se_part ranked = { .seq = seq,
                              .token = token + 8,
                              .n_rows = 1,
                              .want = SE_WANT_TOPK,
                              .k = 10,
                              .topk_id = id,
                              .topk_logprob = logprob,
                              .sharpen = 2,
                              .sampling = &s };
    step(&ranked, 1);
    se_seq_drop(seq, 0);
    for (uint32_t i = 0; i < VOCAB; i++) /* the noise of the position that comes next */
        score[i] = 2 * ((double)logits[i] / s.temp + (double)se_gumbel(s.seed, 9, i));
    assert_ranking(score, id, logprob, 10);
    /* Its best is the token that a verdict samples there. */
    uint32_t best = id[0];
    part = (struct se_part){ .seq = seq,
                             .token = token + 8,
                             .n_rows = 1,
                             .want = SE_WANT_VERDICT,
                             .sampling = &s,
                             .path = path };
    step(&part, 1);
    assert_int_equal(part.bonus, best);
    se_seq_rewind(seq, 8);
    /* A temperature without noise. */
    ranked.sharpen = 0;
    step(&ranked, 1);
    se_seq_drop(seq, 0);
    for (uint32_t i = 0; i < VOCAB; i++)
        score[i] = (double)logits[i] / s.temp;
    assert_ranking(score, id, logprob, 10);
    /* Of the kept set alone. */
    const struct se_sampling kept[] = { { .temp = 0.7, .top_p = 0.6, .seed = 5 },
                                        { .temp = 0.7, .top_p = 1, .top_k = 4, .seed = 5 },
                                        { .temp = 0.7, .top_p = 1, .min_p = 0.3, .seed = 5 } };
    for (int i = 0; i < 6; i++) {
        float cut[VOCAB];
        ranked.sampling = &kept[i / 2];
        ranked.sharpen = i % 2 ? 3 : 0;
        step(&ranked, 1);
        se_seq_drop(seq, 0);
        memcpy(cut, logits, sizeof cut);
        assert_int_equal(se_sample_cut(ranked.sampling, cut, VOCAB), 0);
        for (uint32_t j = 0; j < VOCAB; j++) {
            double scaled = (double)cut[j] / 0.7;
            score[j] = i % 2 ? 3 * (scaled + (double)se_gumbel(5, 9, j)) : scaled;
        }
        assert_ranking(score, id, logprob, 10);
        assert_true(logprob[9] == -INFINITY || i / 2 == 0);
    }
    /* At temperature 0 there is neither, and without settings as well. */
    for (int i = 0; i < 3; i++) {
        ranked.sharpen = i == 0 ? 2 : 0;
        ranked.sampling = i == 2 ? NULL : &greedy;
        step(&ranked, 1);
        se_seq_drop(seq, 0);
        assert_true(logprob[0] == logits[id[0]] - se_softmax_pick()->logsumexp(logits, VOCAB));
    }
    se_seq_free(seq);
}

/* Verdicts. */

enum { TEXT_LEN = 60, PROMPT = 6 };

/* Plain decoding: a verdict of one node at a time. */
static void decode(const struct se_sampling *s, const uint32_t *prompt, uint32_t *text)
{
    struct se_seq *seq = new_seq();
    uint32_t last = prompt[PROMPT - 1], path[1];
    prefill(seq, prompt, PROMPT - 1);
    for (uint32_t i = 0; i < TEXT_LEN; i++) {
        struct se_part part = { .seq = seq,
                                .token = &last,
                                .n_rows = 1,
                                .want = SE_WANT_VERDICT,
                                .sampling = s,
                                .path = path };
        step(&part, 1);
        assert_int_equal(part.n_path, 1);
        last = text[i] = part.bonus;
    }
    se_seq_free(seq);
}

/* A random tree below the root; with even odds a node follows the true text, so that paths
 * are long, short and broken. */
static uint32_t draft(struct se_rng *rng, const uint32_t *truth, uint32_t left, uint32_t last,
                      uint32_t *token, int32_t *parent)
{
    uint32_t n = 1 + se_rng_below(rng, 30), on_way = 0;
    int32_t tip = 0;
    token[0] = last;
    parent[0] = SE_NODE_ROOT;
    for (uint32_t i = 1; i < n; i++) {
        token[i] = se_rng_below(rng, VOCAB);
        parent[i] = (int32_t)se_rng_below(rng, i);
        if (on_way < left && se_rng_below(rng, 2)) {
            token[i] = truth[on_way++];
            parent[i] = tip;
            tip = (int32_t)i;
        }
    }
    return n;
}

/* The text that verdicts of random trees make, with another sequence beside now and then;
 * after every round the keys and values are as a fresh computation would make them. */
static void verify(struct se_rng *rng, const struct se_sampling *s, const uint32_t *prompt,
                   const uint32_t *truth)
{
    static float now[VOCAB], fresh[VOCAB];
    static uint32_t all[PROMPT + TEXT_LEN];
    struct se_seq *seq = new_seq(), *other = new_seq();
    uint32_t last = prompt[PROMPT - 1], done = 0;
    memcpy(all, prompt, PROMPT * sizeof *prompt);
    memcpy(all + PROMPT, truth, TEXT_LEN * sizeof *truth);
    prefill(seq, prompt, PROMPT - 1);
    while (done < TEXT_LEN) {
        uint32_t token[32], path[32], sampled[32], filler[16];
        int32_t parent[32];
        uint32_t n = draft(rng, truth + done, TEXT_LEN - done, last, token, parent);
        draw_tokens(rng, filler, 16);
        se_seq_rewind(other, 0);
        struct se_part part[] = {
            { .seq = seq,
              .token = token,
              .parent = parent,
              .n_rows = n,
              .want = SE_WANT_VERDICT,
              .sampling = s,
              .path = path,
              .sampled = sampled },
            { .seq = other, .token = filler, .n_rows = 1 + se_rng_below(rng, 16) },
        };
        step(part, 1 + se_rng_below(rng, 2));
        assert_int_equal(path[0], 0);
        for (uint32_t i = 1; i < part->n_path; i++) {
            assert_int_equal(parent[path[i]], path[i - 1]);
            assert_int_equal(token[path[i]], sampled[path[i - 1]]);
            if (done < TEXT_LEN) /* past the known text a random node may be right */
                assert_int_equal(token[path[i]], truth[done]);
            done++;
        }
        assert_int_equal(part->bonus, sampled[path[part->n_path - 1]]);
        if (done < TEXT_LEN)
            assert_int_equal(part->bonus, truth[done]);
        done++;
        last = part->bonus;
        assert_int_equal(seq->len, PROMPT - 1 + done);
        assert_int_equal(seq->pending, 0);
        se_seq_rewind(other, 0);
        if (done > TEXT_LEN)
            break;
        struct se_part probe = {
            .seq = seq, .token = &last, .n_rows = 1, .want = SE_WANT_LOGITS, .logits = now
        };
        step(&probe, 1);
        se_seq_drop(seq, 0);
        prefill(other, all, seq->len);
        probe.seq = other;
        probe.logits = fresh;
        step(&probe, 1);
        assert_memory_equal(now, fresh, sizeof now);
    }
    se_seq_free(seq);
    se_seq_free(other);
}

static void the_text_does_not_depend_on_the_draft(void **state)
{
    static const struct se_sampling sampling[] = {
        { .temp = 0, .top_p = 1 },
        { .temp = 0.7, .top_p = 0.9, .seed = 1 },
        { .temp = 1.0, .top_p = 1, .min_p = 0.05, .seed = 2 },
        { .temp = 1.5, .top_k = 30, .top_p = 1, .seed = 3 },
    };
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (size_t i = 0; i < sizeof sampling / sizeof *sampling; i++) {
        uint32_t prompt[PROMPT], text[TEXT_LEN];
        draw_tokens(&rng, prompt, PROMPT);
        decode(&sampling[i], prompt, text);
        for (int turn = 0; turn < (emulated ? 2 : 4); turn++)
            verify(&rng, &sampling[i], prompt, text);
    }
    assert_int_equal(se_kv_pages_free(kv), N_PAGES);
}

static void options_out_of_range_are_refused(void **state)
{
    static const struct se_engine_options bad[] = {
        { .max_rows = 0, .n_pages = 4, .kv_dtype = SE_DTYPE_F32 },
        { .max_rows = 4, .n_pages = 0, .kv_dtype = SE_DTYPE_F32 },
        { .max_rows = 4, .n_pages = 4, .kv_dtype = SE_DTYPE_BF16 },
        { .max_rows = UINT32_MAX, .n_pages = 4, .kv_dtype = SE_DTYPE_F32 },
        { .max_rows = 4, .n_pages = UINT32_MAX, .kv_dtype = SE_DTYPE_F32 },
    };
    struct se_engine *other;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(se_engine_new(&other, model, &bad[i]), -EINVAL);
    se_engine_free(NULL);
    se_model_close(NULL);
    assert_non_null(strstr(se_engine_backend(engine), on_gpu ? "cuda (" : "cpu ("));
    assert_true(se_engine_memory(engine) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_change_nothing),
        cmocka_unit_test(the_context_and_the_pool_have_an_end),
        cmocka_unit_test(weights_that_hold_nan_are_found_in_the_step),
        cmocka_unit_test(a_mapped_nan_is_named_by_the_step),
        cmocka_unit_test(parts_get_what_they_ask_for),
        cmocka_unit_test(rankings_are_those_of_the_formulas),
        cmocka_unit_test(the_text_does_not_depend_on_the_draft),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    seed = tiny_seed();
    return cmocka_run_group_tests_name("step", tests, set_up, tear_down);
}
