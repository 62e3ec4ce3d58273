/* SPDX-License-Identifier: Apache-2.0 */
/* Logits of tiny random models of every architecture, beside those of transformers in
 * float32 (tests/golden/README.md): in one prefill, token by token, and as f32 weights from
 * whatever is stored.
 *
 *   test_golden_models [RANKS]    how many ranks share a model, 1 if not given; those models that
 *                                 so many can share */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>
#include <jansson.h>

#include "runtime/base/err.h"
#include "runtime/model/split.h"
#include "runtime/model/step.h"
#include "tests/model/gpu.h"

enum { IDS_MAX = 256, NAME_MAX_B = 128 };
/* Of the largest logit of a position. A GPU has weights of 8 bits, not 24, and so have rows. */
static const double tolerance = on_gpu ? 3e-2 : 1e-4;

static uint32_t ranks = 1;

struct golden {
    json_t *root;
    uint32_t id[IDS_MAX], n_ids;
    uint32_t vocab;
};

static void read_golden(struct golden *golden, const char *dir)
{
    char path[1100];
    json_error_t error;
    snprintf(path, sizeof path, "%s/golden.json", dir);
    golden->root = json_load_file(path, 0, &error);
    if (!golden->root)
        fail_msg("%s: %s", path, error.text);
    const json_t *ids = json_object_get(golden->root, "ids");
    golden->n_ids = (uint32_t)json_array_size(ids);
    assert_in_range(golden->n_ids, 1, IDS_MAX);
    for (uint32_t i = 0; i < golden->n_ids; i++)
        golden->id[i] = (uint32_t)json_integer_value(json_array_get(ids, i));
    golden->vocab = (uint32_t)json_integer_value(json_object_get(golden->root, "vocab"));
}

/* Logits of all positions, chunk rows a step. */
static void compute(const struct golden *golden, const char *dir, enum se_weights weights,
                    uint32_t chunk, float *logits)
{
    struct se_model *model;
    struct se_engine *engine;
    struct se_seq *seq;
    struct se_model_options options = { .weights = weights };
    if (se_model_open(&model, dir, &options) < 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(model->config.vocab, golden->vocab);
    struct se_engine_options engine_options = {
        .ops = backend_ops,
        .max_rows = IDS_MAX,
        .n_pages = IDS_MAX / 16,
        .kv_dtype = SE_DTYPE_F32,
        .tp = ranks,
    };
    assert_int_equal(se_engine_new(&engine, model, &engine_options), 0);
    assert_int_equal(se_seq_new(&seq, se_engine_kv(engine)), 0);
    for (uint32_t at = 0; at < golden->n_ids; at += chunk) {
        uint32_t n = golden->n_ids - at < chunk ? golden->n_ids - at : chunk;
        struct se_part part = {
            .seq = seq,
            .token = golden->id + at,
            .n_rows = n,
            .want = SE_WANT_LOGITS,
            .logits = logits + (size_t)at * golden->vocab,
        };
        if (se_step(engine, &part, 1) != 0)
            fail_msg("%s: %s", dir, se_err_text());
    }
    se_seq_free(seq);
    se_engine_free(engine);
    se_model_close(model);
}

static uint32_t best_of(const float *x, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

/* The largest difference over the largest logit. */
static double compare_position(const json_t *row, const float *ours, uint32_t vocab)
{
    double largest = 0, difference = 0;
    assert_int_equal(json_array_size(row), vocab);
    for (uint32_t i = 0; i < vocab; i++) {
        double golden = json_number_value(json_array_get(row, i));
        assert_true(isfinite(ours[i]));
        largest = fmax(largest, fabs(golden));
        difference = fmax(difference, fabs(golden - (double)ours[i]));
    }
    return difference / largest;
}

static void compare(const struct golden *golden, const char *name, const char *how,
                    const float *logits)
{
    const json_t *positions = json_object_get(golden->root, "positions");
    const json_t *rows = json_object_get(golden->root, "logits");
    const json_t *argmax = json_object_get(golden->root, "argmax");
    double worst = 0;
    for (size_t i = 0; i < json_array_size(positions); i++) {
        json_int_t at = json_integer_value(json_array_get(positions, i));
        double off = compare_position(json_array_get(rows, i), logits + (size_t)at * golden->vocab,
                                      golden->vocab);
        if (off > tolerance)
            fail_msg("%s, %s: position %lld is off by %.2e", name, how, (long long)at, off);
        worst = fmax(worst, off);
    }
    assert_int_equal(json_array_size(argmax), golden->n_ids);
    for (uint32_t i = 0; i < golden->n_ids && !on_gpu; i++)
        assert_int_equal(best_of(logits + (size_t)i * golden->vocab, golden->vocab),
                         json_integer_value(json_array_get(argmax, i)));
    print_message("%-28s %-10s off by %.1e at most\n", name, how, worst);
}

/* SE_WEIGHTS_F32 everywhere: transformers computed in float32 from the stored values. */
static void check_model(const char *name)
{
    static const struct {
        const char *how;
        uint32_t chunk;
    } way[] = { { "at once", IDS_MAX }, { "by seven", 7 }, { "one by one", 1 } };
    const size_t ways = emulated ? 1 : sizeof way / sizeof *way;
    char dir[1024];
    struct golden golden;
    snprintf(dir, sizeof dir, "%s/%s", getenv("SE_GOLDEN"), name);
    read_golden(&golden, dir);
    float *logits = calloc((size_t)golden.n_ids * golden.vocab, sizeof *logits);
    assert_non_null(logits);
    for (size_t i = 0; i < ways; i++) {
        compute(&golden, dir, SE_WEIGHTS_F32, way[i].chunk, logits);
        compare(&golden, name, way[i].how, logits);
    }
    free(logits);
    json_decref(golden.root);
}

static bool can_be_shared(const char *name)
{
    char dir[1024];
    struct se_config config;
    snprintf(dir, sizeof dir, "%s/%s", getenv("SE_GOLDEN"), name);
    assert_int_equal(se_config_read(&config, dir), 0);
    return se_split_check(&config, SE_DTYPE_F32, ranks) == 0;
}

static void logits_are_those_of_transformers(void **state)
{
    (void)state;
    char path[1024], name[NAME_MAX_B];
    int n = 0;
    assert_non_null(getenv("SE_GOLDEN"));
    snprintf(path, sizeof path, "%s/LIST", getenv("SE_GOLDEN"));
    FILE *list = fopen(path, "r");
    assert_non_null(list);
    while (fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = '\0';
        if (*name && can_be_shared(name)) {
            check_model(name);
            n++;
        }
    }
    fclose(list);
    assert_true(n > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_transformers),
    };
    if (argc > 1)
        ranks = (uint32_t)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests_name("golden models", tests, NULL, NULL);
}
