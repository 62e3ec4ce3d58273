/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong with a GPU, and what a step of it is made of: the CUDA backend over the emulator,
 * which is told what to refuse. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "runtime/model/cuda/ops.h"
#include "tests/model/tiny.h"
#include "tests/simt/device_simt.h"

enum { PROMPT = 5, STEPS = 6 };
static const struct simt_device_faults none;
static char dir[TINY_PATH_MAX_B];
static struct se_model *model;

struct world {
    struct se_engine *engine;
    struct se_seq *seq;
    uint32_t text[STEPS];
};

static int open_ranks(struct world *w, uint32_t tp)
{
    const struct se_engine_options options = { .ops = &se_backend_cuda_ops,
                                               .max_rows = 8,
                                               .n_pages = 4,
                                               .kv_dtype = SE_DTYPE_F16,
                                               .tp = tp,
                                               .tp_wait_ns = 500000000 };
    int r = se_engine_new(&w->engine, model, &options);
    return r < 0 ? r : se_seq_new(&w->seq, se_engine_kv(w->engine));
}

static int open_engine(struct world *w) { return open_ranks(w, 1); }

static void close_engine(struct world *w)
{
    se_seq_free(w->seq);
    se_engine_free(w->engine);
    *w = (struct world){ 0 };
}

/* One token more. */
static int decode(struct world *w, uint32_t *token)
{
    const struct se_sampling sampling = { .temp = 0.9, .top_p = 1, .seed = 4 };
    uint32_t path[1];
    struct se_part part = { .seq = w->seq,
                            .token = token,
                            .n_rows = 1,
                            .want = SE_WANT_VERDICT,
                            .sampling = &sampling,
                            .path = path };
    const int r = se_step(w->engine, &part, 1);
    *token = r == 0 ? part.bonus : *token;
    return r;
}

static int write_text(struct world *w)
{
    static const uint32_t prompt[PROMPT] = { 1, 2, 3, 4, 5 };
    struct se_part part = { .seq = w->seq, .token = prompt, .n_rows = PROMPT };
    uint32_t token = 6;
    int r = se_step(w->engine, &part, 1);
    for (uint32_t i = 0; r == 0 && i < STEPS; i++) {
        r = decode(w, &token);
        w->text[i] = token;
    }
    return r;
}

/* What is said when the engine, or a step of it, fails. */
static void must_say(int r, int wanted, const char *words)
{
    if (r != wanted || !strstr(se_err_text(), words))
        fail_msg("%d, '%s'; wanted was %d, '%s'", r, se_err_text(), wanted, words);
}

static void a_step_is_one_launch(void **state)
{
    struct world w = { 0 };
    uint32_t token = 6;
    (void)state;
    simt_device_set(&none);
    assert_int_equal(open_engine(&w), 0);
    assert_int_equal(write_text(&w), 0);
    for (int i = 0; i < 4; i++) {
        const struct simt_device_counts before = simt_device_seen();
        assert_int_equal(decode(&w, &token), 0);
        const struct simt_device_counts after = simt_device_seen();
        assert_int_equal(after.graphs - before.graphs, 1);
        assert_int_equal(after.waits - before.waits, 0);
        assert_true(after.launches > before.launches);
    }
    close_engine(&w);
}

static void a_graph_that_is_refused_changes_nothing(void **state)
{
    static const struct simt_device_faults faults[] = {
        { .no_capture = true },
        { .no_graph = true },
        { .no_launch = true },
    };
    struct world good = { 0 }, bad = { 0 };
    (void)state;
    simt_device_set(&none);
    assert_int_equal(open_engine(&good), 0);
    assert_int_equal(write_text(&good), 0);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        simt_device_set(&faults[i]);
        assert_int_equal(open_engine(&bad), 0);
        assert_int_equal(write_text(&bad), 0);
        assert_memory_equal(bad.text, good.text, sizeof good.text);
        close_engine(&bad);
    }
    simt_device_set(&none);
    close_engine(&good);
}

static void memory_that_is_short_is_told(void **state)
{
    struct world w = { 0 };
    (void)state;
    int opened = 0, refused = 0;
    for (size_t memory_b = 1; opened == 0; memory_b *= 4) {
        const struct simt_device_faults faults = { .memory_b = memory_b };
        simt_device_set(&faults);
        const int r = open_engine(&w);
        if (r == 0)
            opened++;
        else
            must_say(r, -ENOMEM, "GPU");
        refused += r != 0;
        close_engine(&w);
    }
    assert_true(refused > 3);
}

static void no_device_is_told(void **state)
{
    const struct simt_device_faults faults = { .absent = true };
    struct world w = { 0 };
    (void)state;
    simt_device_set(&faults);
    must_say(open_engine(&w), -ENODEV, "GPU");
    simt_device_set(&none);
}

/* The step fails, the text stays, and another one says the same. */
static void a_device_that_fails_ends_the_step(void **state)
{
    static const struct simt_device_faults faults[] = { { .hangs = true }, { .fails = 3 } };
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct world w = { 0 };
        uint32_t token = 6;
        simt_device_set(&none);
        assert_int_equal(open_engine(&w), 0);
        assert_int_equal(write_text(&w), 0);
        const uint32_t len = w.seq->len;
        simt_device_set(&faults[i]);
        must_say(decode(&w, &token), -EIO, "GPU");
        must_say(decode(&w, &token), -EIO, "GPU");
        assert_int_equal(w.seq->len, len);
        assert_int_equal(w.seq->pending, 0);
        close_engine(&w);
        simt_device_set(&none);
    }
}

/* Nobody stays behind who has no one to compute with. */
static void ranks_that_cannot_begin_say_why(void **state)
{
    static const struct {
        struct simt_device_faults faults;
        const char *words;
    } cases[] = {
        { { .no_ranks = true }, "ranks cannot meet" },
        { { .devices = 1 }, "rank 1 of 2 gave up: GPU 1: there is no such device, only 0 to 0" },
        { { .absent = true }, "GPU: there is no device" },
        { { .memory_b = 4096 }, "GPU: there is no memory for" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = { 0 };
        simt_device_set(&cases[i].faults);
        const int r = open_ranks(&w, 2);
        assert_true(r < 0);
        must_say(r, r, cases[i].words);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        simt_device_set(&none);
    }
}

/* What the device of one rank does, the others come to know. */
static void a_rank_that_hangs_or_fails_ends_the_step(void **state)
{
    static const struct {
        struct simt_device_faults faults; /* of rank 0's */
        const char *words;
    } cases[] = {
        { { .hangs = true }, "GPU: a step has not ended within 0.5 s" },
        { { .fails = 3 }, "GPU: a step has failed" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w = { 0 };
        uint32_t token = 6;
        simt_device_set(&none);
        assert_int_equal(open_ranks(&w, 2), 0);
        assert_int_equal(write_text(&w), 0);
        const uint32_t len = w.seq->len;
        simt_device_set(&cases[i].faults);
        must_say(decode(&w, &token), -EIO, cases[i].words);
        must_say(decode(&w, &token), -EIO, "GPU");
        assert_int_equal(w.seq->len, len);
        close_engine(&w);
        simt_device_set(&none);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
    }
}

/* On every rank, or on one alone: then none replays one, and the text is the same. */
static void ranks_without_a_graph_write_the_same(void **state)
{
    static const struct simt_device_faults no_graph = { .no_graph = true };
    struct world good = { 0 }, bad = { 0 };
    uint32_t text[STEPS];
    (void)state;
    simt_device_set(&none);
    assert_int_equal(open_ranks(&good, 2), 0);
    assert_int_equal(write_text(&good), 0);
    memcpy(text, good.text, sizeof text);
    close_engine(&good);
    for (int of_rank_0 = 0; of_rank_0 < 2; of_rank_0++) {
        simt_device_set(of_rank_0 ? &none : &no_graph);
        assert_int_equal(open_ranks(&bad, 2), 0);
        simt_device_set(&no_graph);
        assert_int_equal(write_text(&bad), 0);
        assert_memory_equal(bad.text, text, sizeof text);
        close_engine(&bad);
    }
    simt_device_set(&none);
}

static int set_up(void **state)
{
    struct tiny_spec spec = tiny_draw(3, SE_DTYPE_BF16);
    (void)state;
    spec.heads = 4;
    spec.kv_heads = 2;
    spec.mlp = 64;
    tiny_write(dir, &spec);
    return se_model_open(&model, dir, &(struct se_model_options){ 0 });
}

static int tear_down(void **state)
{
    (void)state;
    se_model_close(model);
    tiny_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_one_launch),
        cmocka_unit_test(a_graph_that_is_refused_changes_nothing),
        cmocka_unit_test(memory_that_is_short_is_told),
        cmocka_unit_test(no_device_is_told),
        cmocka_unit_test(a_device_that_fails_ends_the_step),
        cmocka_unit_test(ranks_that_cannot_begin_say_why),
        cmocka_unit_test(a_rank_that_hangs_or_fails_ends_the_step),
        cmocka_unit_test(ranks_without_a_graph_write_the_same),
    };
    return cmocka_run_group_tests_name("gpu faults", tests, set_up, tear_down);
}
