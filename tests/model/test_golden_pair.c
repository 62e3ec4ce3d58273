/* SPDX-License-Identifier: Apache-2.0 */
/* The bundled pair: greedy ids of 64 tokens for eight prompts, and logits at the end of
 * three of them, as a plain float32 forward pass of another program gave them.
 *
 *   test_golden_pair [RANKS]    how many ranks share a model, 1 if not given */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>
#include <jansson.h>

#include "runtime/base/err.h"
#include "runtime/model/step.h"
#include "tests/model/gpu.h"

enum { IDS_MAX = 512 };
static const double tolerance = on_gpu ? 3e-2 : 1e-4;
enum { PROMPTS = emulated ? 1 : 8, TOKENS = emulated ? 8 : 64 };

static json_t *golden;
static int ties; /* tokens that were not the golden one, and as good */
static uint32_t ranks = 1;

struct subject {
    struct se_model *model;
    struct se_engine *engine;
    struct se_seq *seq;
};

static void open_subject(struct subject *subject, const char *name)
{
    char dir[1024];
    struct se_model_options options = { .weights = SE_WEIGHTS_F32 };
    struct se_engine_options engine_options = {
        .ops = backend_ops,
        .max_rows = IDS_MAX,
        .n_pages = IDS_MAX / 16,
        .kv_dtype = SE_DTYPE_F32,
        .tp = ranks,
    };
    snprintf(dir, sizeof dir, "%s/tales-%s", getenv("SE_MODELS"), name);
    if (se_model_open(&subject->model, dir, &options) < 0 ||
        se_engine_new(&subject->engine, subject->model, &engine_options) < 0 ||
        se_seq_new(&subject->seq, se_engine_kv(subject->engine)) < 0)
        fail_msg("%s", se_err_text());
}

static void close_subject(struct subject *subject)
{
    se_seq_free(subject->seq);
    se_engine_free(subject->engine);
    se_model_close(subject->model);
}

static void compare_logits(const json_t *row, const float *ours, const char *name)
{
    double largest = 0, difference = 0;
    for (size_t i = 0; i < json_array_size(row); i++) {
        double value = json_number_value(json_array_get(row, i));
        largest = fmax(largest, fabs(value));
        difference = fmax(difference, fabs(value - (double)ours[i]));
    }
    if (difference > tolerance * largest)
        fail_msg("%s: logits are off by %.2e", name, difference / largest);
}

/* Weights of 8 bits may tell two tokens apart that are nearly as likely, and tell them apart
 * otherwise: the golden one is then behind by much less than logits may be off. */
static void check_near_tie(struct subject *subject, uint32_t token, uint32_t golden_id,
                           const char *name)
{
    const uint32_t path[] = { 0 }, vocab = subject->model->config.vocab;
    float *logits = calloc(vocab, sizeof *logits);
    double best = -INFINITY, largest = 0;
    struct se_part part = {
        .seq = subject->seq, .token = &token, .n_rows = 1, .want = SE_WANT_LOGITS, .logits = logits
    };
    se_seq_rewind(subject->seq, subject->seq->len - 1);
    assert_int_equal(se_step(subject->engine, &part, 1), 0);
    assert_int_equal(se_engine_commit(subject->engine, subject->seq, path, 1, NULL, 0), 0);
    for (uint32_t i = 0; i < vocab; i++) {
        best = fmax(best, (double)logits[i]);
        largest = fmax(largest, fabs((double)logits[i]));
    }
    const double behind = (best - (double)logits[golden_id]) / largest;
    if (!on_gpu || behind > tolerance / 10)
        fail_msg("%s: the golden token is behind by %.2e", name, behind);
    print_message("%s: the golden token is behind by %.1e, and is taken\n", name, behind);
    ties++;
    free(logits);
}

/* The prompt's last row, then one token at a time: each a tree of one node, verified. */
static void check_prompt(struct subject *subject, const json_t *prompt, const char *name)
{
    const json_t *ids = json_object_get(prompt, "ids");
    const json_t *answer = json_object_get(prompt, name);
    const json_t *greedy = json_object_get(answer, "greedy");
    const json_t *logits = json_object_get(answer, "logits");
    const struct se_sampling sampling = SE_SAMPLING_GREEDY;
    uint32_t id[IDS_MAX], path[1], n = (uint32_t)json_array_size(ids);
    uint32_t vocab = subject->model->config.vocab;
    assert_in_range(n, 2, IDS_MAX - 1);
    assert_int_equal(json_array_size(greedy), 64);
    for (uint32_t i = 0; i < n; i++)
        id[i] = (uint32_t)json_integer_value(json_array_get(ids, i));
    struct se_part prefill = { .seq = subject->seq, .token = id, .n_rows = n - 1 };
    assert_int_equal(se_step(subject->engine, &prefill, 1), 0);
    if (json_array_size(logits) == vocab) {
        float *ours = calloc(vocab, sizeof *ours);
        struct se_part part = { .seq = subject->seq,
                                .token = &id[n - 1],
                                .n_rows = 1,
                                .want = SE_WANT_LOGITS,
                                .logits = ours };
        assert_int_equal(se_step(subject->engine, &part, 1), 0);
        compare_logits(logits, ours, name);
        se_seq_drop(subject->seq, 0);
        free(ours);
    }
    uint32_t last = id[n - 1];
    for (size_t i = 0; i < TOKENS; i++) {
        struct se_part part = { .seq = subject->seq,
                                .token = &last,
                                .n_rows = 1,
                                .want = SE_WANT_VERDICT,
                                .sampling = &sampling,
                                .path = path };
        assert_int_equal(se_step(subject->engine, &part, 1), 0);
        assert_int_equal(part.n_path, 1);
        const uint32_t right = (uint32_t)json_integer_value(json_array_get(greedy, i));
        if (part.bonus != right)
            check_near_tie(subject, last, right, name);
        last = right;
    }
    assert_int_equal(subject->seq->len, n - 1 + TOKENS);
    se_seq_rewind(subject->seq, 0);
}

static void check_model(const char *name)
{
    struct subject subject;
    const json_t *prompts = json_object_get(golden, "prompts");
    open_subject(&subject, name);
    assert_int_equal(json_array_size(prompts), 8);
    for (size_t i = 0; i < PROMPTS; i++)
        check_prompt(&subject, json_array_get(prompts, i), name);
    assert_in_range(ties, 0, PROMPTS * TOKENS / 50);
    close_subject(&subject);
}

static void target_writes_the_golden_ids(void **state)
{
    (void)state;
    check_model("target");
}

static void draft_writes_the_golden_ids(void **state)
{
    (void)state;
    check_model("draft");
}

static int read_golden(void **state)
{
    char path[1024];
    json_error_t error;
    (void)state;
    snprintf(path, sizeof path, "%s/golden.json", getenv("SE_MODELS"));
    golden = json_load_file(path, 0, &error);
    return golden ? 0 : -1;
}

static int drop_golden(void **state)
{
    (void)state;
    json_decref(golden);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_writes_the_golden_ids),
        cmocka_unit_test(draft_writes_the_golden_ids),
    };
    if (argc > 1)
        ranks = (uint32_t)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests_name("golden pair", tests, read_golden, drop_golden);
}
