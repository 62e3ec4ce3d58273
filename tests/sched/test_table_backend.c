/* SPDX-License-Identifier: Apache-2.0 */
/* The tests' own model: whatever the trees, pages and company of a sequence, its text is what
 * the formula says, and a slot that is not what the books say is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "kernels/gumbel.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "tests/sched/seed.h"
#include "tests/sched/table_backend.h"

enum { SEQS = 6, TEXT_MAX = 400, NODES = 24, ROWS = 512, PAGES = 200 };

static uint64_t seed;

struct writer {
    struct se_seq *seq;
    struct se_sampling sampling;
    uint32_t text[TEXT_MAX], n;
    /* of the step under way */
    uint32_t token[NODES], path[NODES];
    int32_t parent[NODES];
};

static struct se_sampling draw_sampling(struct se_rng *rng)
{
    const struct se_sampling sampling = {
        .temp = se_rng_below(rng, 3) ? 0.3 + se_rng_unit(rng) : 0,
        .top_k = se_rng_below(rng, 2) ? 5 : 0,
        .top_p = se_rng_below(rng, 2) ? 0.9 : 1,
        .min_p = se_rng_below(rng, 4) ? 0 : 0.05,
        .seed = se_rng_u32(rng),
    };
    return sampling;
}

/* A tree below the last token of the text. Half of its nodes hang where the text goes on, so
 * that paths of all lengths come about, not in the slots where they belong. */
static uint32_t draw_tree(const struct table_model *model, struct writer *w, struct se_rng *rng)
{
    const uint32_t n = 1 + se_rng_below(rng, NODES);
    uint32_t ids[TEXT_MAX], len = w->n;
    int32_t end = 0;
    memcpy(ids, w->text, w->n * sizeof *ids);
    w->token[0] = w->text[w->n - 1];
    w->parent[0] = SE_NODE_ROOT;
    for (uint32_t i = 1; i < n; i++) {
        if (se_rng_below(rng, 2)) {
            w->token[i] = ids[len] = table_next(model, &w->sampling, ids, len);
            len++;
            w->parent[i] = end;
            end = (int32_t)i;
        } else {
            w->token[i] = se_rng_below(rng, TABLE_MODEL_VOCAB);
            w->parent[i] = (int32_t)se_rng_below(rng, i);
        }
    }
    return n;
}

static void read_verdict(const struct table_model *model, struct writer *w,
                         const struct se_part *part)
{
    for (uint32_t i = 1; i <= part->n_path; i++) {
        const uint32_t token = i < part->n_path ? w->token[part->path[i]] : part->bonus;
        assert_int_equal(token, table_next(model, &w->sampling, w->text, w->n));
        w->text[w->n++] = token;
    }
    assert_int_equal(w->seq->len, w->n - 1);
}

static void text_is_that_of_the_formula(void **state)
{
    static struct writer writer[SEQS];
    static struct table_model model;
    struct se_engine *engine;
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    table_model_init(&model, seed, TABLE_MODEL_VOCAB, 4096);
    assert_int_equal(table_engine_new(&engine, &model, ROWS, PAGES), 0);
    assert_string_equal(se_engine_backend(engine), "table");
    for (uint32_t i = 0; i < SEQS; i++) {
        struct writer *w = &writer[i];
        w->sampling = draw_sampling(&rng);
        w->n = 2 + se_rng_below(&rng, 40);
        for (uint32_t j = 0; j < w->n; j++)
            w->text[j] = se_rng_below(&rng, TABLE_MODEL_VOCAB);
        assert_int_equal(se_seq_new(&w->seq, se_engine_kv(engine)), 0);
        struct se_part prefill = { .seq = w->seq, .token = w->text, .n_rows = w->n - 1 };
        assert_int_equal(se_step(engine, &prefill, 1), 0);
    }
    for (int round = 0; round < 400; round++) {
        struct se_part part[SEQS];
        struct writer *of[SEQS];
        uint32_t n_parts = 0;
        for (uint32_t i = 0; i < SEQS; i++) {
            struct writer *w = &writer[i];
            if (w->n + NODES > TEXT_MAX) { /* back to somewhere before */
                w->n = 2 + se_rng_below(&rng, w->n - 2);
                se_seq_rewind(w->seq, w->n - 1);
            }
            if (se_rng_below(&rng, 3) == 0)
                continue;
            of[n_parts] = w;
            part[n_parts++] = (struct se_part){
                .seq = w->seq,
                .token = w->token,
                .parent = w->parent,
                .n_rows = draw_tree(&model, w, &rng),
                .want = SE_WANT_VERDICT,
                .sampling = &w->sampling,
                .path = w->path,
            };
        }
        if (n_parts > 0 && se_step(engine, part, n_parts) != 0)
            fail_msg("round %d: %s", round, se_err_text());
        for (uint32_t i = 0; i < n_parts; i++)
            read_verdict(&model, of[i], &part[i]);
    }
    for (uint32_t i = 0; i < SEQS; i++)
        se_seq_free(writer[i].seq);
    se_engine_free(engine);
}

/* Best first, probabilities, and with the sampler's noise the sampler's winner first. */
static void ranks_agree_with_logits(void **state)
{
    enum { K = 8, N = 5 };
    static struct table_model model;
    static float logits[N * TABLE_MODEL_VOCAB], logprob[N * TABLE_MODEL_VOCAB];
    static uint32_t id[N * TABLE_MODEL_VOCAB];
    const struct se_sampling sampling = { .temp = 0.7, .top_p = 1, .seed = seed };
    const uint32_t token[N] = { 3, 1, 4, 1, 5 };
    struct se_engine *engine;
    struct se_seq *seq;
    (void)state;
    table_model_init(&model, seed, TABLE_MODEL_VOCAB, 64);
    assert_int_equal(table_engine_new(&engine, &model, ROWS, PAGES), 0);
    assert_int_equal(se_seq_new(&seq, se_engine_kv(engine)), 0);
    struct se_part part = {
        .seq = seq, .token = token, .n_rows = N, .want = SE_WANT_LOGITS, .logits = logits
    };
    assert_int_equal(se_step(engine, &part, 1), 0);
    se_seq_drop(seq, 0);
    part.want = SE_WANT_TOPK;
    part.k = TABLE_MODEL_VOCAB;
    part.topk_id = id;
    part.topk_logprob = logprob;
    assert_int_equal(se_step(engine, &part, 1), 0);
    for (uint32_t row = 0; row < N; row++) {
        const uint32_t at = row * TABLE_MODEL_VOCAB;
        double sum = 0;
        for (uint32_t i = 0; i < TABLE_MODEL_VOCAB; i++) {
            sum += exp((double)logprob[at + i]);
            assert_true(i == 0 || logprob[at + i] <= logprob[at + i - 1]);
            assert_true(fabs((double)(logprob[at + i] - logprob[at]) -
                             (double)(logits[at + id[at + i]] - logits[at + id[at]])) < 1e-4);
        }
        assert_true(fabs(sum - 1) < 1e-4);
    }
    se_seq_drop(seq, 0);
    part.k = K;
    part.sharpen = 2;
    part.sampling = &sampling;
    assert_int_equal(se_step(engine, &part, 1), 0);
    for (uint32_t row = 0; row < N; row++)
        assert_int_equal(id[row * K], table_next(&model, &sampling, token, row + 1));
    se_seq_free(seq);
    se_engine_free(engine);
}

/* A draft agrees with its target the more the less it strays. */
static void drafts_stray(void **state)
{
    static struct table_model target, draft;
    static const float stray[] = { 0, 0.1f, 0.4f, 1 };
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    uint32_t agree[4] = { 0 };
    (void)state;
    table_model_init(&target, seed, TABLE_MODEL_VOCAB, 4096);
    table_model_init(&draft, seed, TABLE_MODEL_VOCAB, 4096);
    for (uint32_t i = 0; i < 1000; i++) {
        for (int s = 0; s < 4; s++) {
            draft.stray = stray[s];
            agree[s] += table_next(&target, &greedy, &(uint32_t){ i }, 1) ==
                        table_next(&draft, &greedy, &(uint32_t){ i }, 1);
        }
    }
    print_message("agree: %u %u %u %u of 1000\n", agree[0], agree[1], agree[2], agree[3]);
    assert_int_equal(agree[0], 1000);
    assert_true(agree[1] > 700 && agree[1] > agree[2] && agree[2] > 200 && agree[3] < 100);
}

/* Two sequences' pages exchanged behind the books' back. */
static void a_wrong_page_shows(void **state)
{
    static struct table_model model;
    static uint32_t token[40];
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    struct se_engine *engine;
    struct se_seq *a, *b;
    uint32_t path[1];
    (void)state;
    table_model_init(&model, seed, TABLE_MODEL_VOCAB, 64);
    assert_int_equal(table_engine_new(&engine, &model, ROWS, PAGES), 0);
    assert_int_equal(se_seq_new(&a, se_engine_kv(engine)), 0);
    assert_int_equal(se_seq_new(&b, se_engine_kv(engine)), 0);
    struct se_part part[] = { { .seq = a, .token = token, .n_rows = 40 },
                              { .seq = b, .token = token, .n_rows = 20 } };
    assert_int_equal(se_step(engine, part, 2), 0);
    const uint32_t page = a->page[2];
    a->page[2] = b->page[1];
    struct se_part verify = { .seq = a,
                              .token = token,
                              .n_rows = 1,
                              .want = SE_WANT_VERDICT,
                              .sampling = &greedy,
                              .path = path };
    assert_int_equal(se_step(engine, &verify, 1), -EIO);
    assert_non_null(strstr(se_err_text(), "slot 39 is followed by position 0, not 40"));
    a->page[2] = page;
    assert_int_equal(se_step(engine, &verify, 1), 0);
    se_seq_free(a);
    se_seq_free(b);
    se_engine_free(engine);
}

int main(void)
{
    seed = seed_of_test();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_that_of_the_formula),
        cmocka_unit_test(ranks_agree_with_logits),
        cmocka_unit_test(drafts_stray),
        cmocka_unit_test(a_wrong_page_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
