/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a captured graph, on a fake launcher: it stands for a GPU that is not there, counts
 * what it is asked for, and fails wherever it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernels/cuda/graph.h"

enum point { NOWHERE, RUN, BEGIN, END, END_WITHOUT_GRAPH, LAUNCH };

struct fake_launcher {
    enum point fails;
    unsigned long at; /* the call of that point that fails, from 1; 0: every one */
    bool capturing;
    unsigned long runs, captured_runs, begins, ends, launches, frees, live;
    uint32_t last_bucket;
    bool others; /* have captured */
    unsigned long agreements;
};

static bool fails_here(struct fake_launcher *fake, enum point point, unsigned long call)
{
    return fake->fails == point && (fake->at == 0 || fake->at == call);
}

static int fake_run(void *context, uint32_t bucket)
{
    struct fake_launcher *fake = context;
    fake->last_bucket = bucket;
    *(fake->capturing ? &fake->captured_runs : &fake->runs) += 1;
    return fails_here(fake, RUN, fake->runs + fake->captured_runs) ? -5 : 0;
}

static int fake_begin(void *context)
{
    struct fake_launcher *fake = context;
    assert_false(fake->capturing);
    if (fails_here(fake, BEGIN, ++fake->begins))
        return -5;
    fake->capturing = true;
    return 0;
}

static int fake_end(void *context, void **graph)
{
    struct fake_launcher *fake = context;
    assert_true(fake->capturing);
    fake->capturing = false;
    *graph = NULL;
    if (fails_here(fake, END, ++fake->ends))
        return -5;
    if (fails_here(fake, END_WITHOUT_GRAPH, fake->ends))
        return 0;
    fake->live++;
    *graph = fake;
    return 0;
}

static int fake_launch(void *context, void *graph)
{
    struct fake_launcher *fake = context;
    assert_ptr_equal(graph, fake);
    assert_false(fake->capturing);
    return fails_here(fake, LAUNCH, ++fake->launches) ? -5 : 0;
}

static void fake_free(void *context, void *graph)
{
    struct fake_launcher *fake = context;
    assert_ptr_equal(graph, fake);
    assert_true(fake->live > 0);
    fake->live--;
    fake->frees++;
}

static const struct se_gpu_graph_ops fake_ops = { fake_run,    fake_begin, fake_end,
                                                  fake_launch, fake_free,  NULL };

static bool fake_agree(void *context, bool captured)
{
    struct fake_launcher *fake = context;
    assert_false(fake->capturing);
    fake->agreements++;
    return captured && fake->others;
}

static const struct se_gpu_graph_ops fake_ops_of_several = { fake_run,    fake_begin, fake_end,
                                                             fake_launch, fake_free,  fake_agree };

/* All of several replay, or none; and where one cannot launch, nobody is left waiting for it. */
static void several_go_the_same_way(void **state)
{
    static const enum point cannot[] = { BEGIN, END, END_WITHOUT_GRAPH, NOWHERE };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cannot / sizeof *cannot; i++) {
        struct fake_launcher fake = { .fails = cannot[i / 2], .others = i % 2 };
        struct se_gpu_graphs graphs;
        const bool all = cannot[i / 2] == NOWHERE && fake.others;
        se_gpu_graphs_init(&graphs, &fake_ops_of_several, &fake);
        for (int step = 0; step < 4; step++)
            assert_int_equal(se_gpu_graphs_step(&graphs, 8), 0);
        assert_int_equal(fake.agreements, 1);
        assert_int_equal(fake.launches, all ? 3 : 0);
        assert_int_equal(fake.live, all);
        fake.fails = LAUNCH;
        assert_int_equal(se_gpu_graphs_step(&graphs, 8), all ? -5 : 0);
        se_gpu_graphs_fini(&graphs);
        assert_int_equal(fake.live, 0);
    }
}

static void the_second_step_is_captured(void **state)
{
    (void)state;
    struct fake_launcher fake = { .fails = NOWHERE };
    struct se_gpu_graphs graphs;
    se_gpu_graphs_init(&graphs, &fake_ops, &fake);
    assert_int_equal(se_gpu_graphs_state(&graphs, 8), SE_GPU_GRAPH_PLAIN);
    assert_int_equal(se_gpu_graphs_step(&graphs, 8), 0);
    assert_int_equal(se_gpu_graphs_state(&graphs, 8), SE_GPU_GRAPH_WARM);
    assert_int_equal(fake.runs, 1);
    assert_int_equal(fake.begins, 0);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(se_gpu_graphs_step(&graphs, 8), 0);
    assert_int_equal(se_gpu_graphs_state(&graphs, 8), SE_GPU_GRAPH_CAPTURED);
    assert_int_equal(fake.runs, 1);
    assert_int_equal(fake.captured_runs, 1);
    assert_int_equal(fake.launches, 10);
    assert_int_equal(graphs.counts.plain, 1);
    assert_int_equal(graphs.counts.captured, 1);
    assert_int_equal(graphs.counts.replayed, 10);
    assert_int_equal(graphs.counts.refused, 0);
    se_gpu_graphs_fini(&graphs);
    assert_int_equal(fake.live, 0);
}

static void each_bucket_has_its_own(void **state)
{
    (void)state;
    struct fake_launcher fake = { .fails = NOWHERE };
    struct se_gpu_graphs graphs;
    se_gpu_graphs_init(&graphs, &fake_ops, &fake);
    for (unsigned i = 0; i < 3; i++)
        for (uint32_t bucket = 1; bucket <= 2 * SE_GPU_GRAPHS_MAX; bucket++)
            assert_int_equal(se_gpu_graphs_step(&graphs, bucket), 0);
    assert_int_equal(fake.live, SE_GPU_GRAPHS_MAX);
    assert_int_equal(fake.runs, SE_GPU_GRAPHS_MAX + 3 * SE_GPU_GRAPHS_MAX);
    assert_int_equal(fake.launches, 2 * SE_GPU_GRAPHS_MAX);
    assert_int_equal(se_gpu_graphs_state(&graphs, SE_GPU_GRAPHS_MAX), SE_GPU_GRAPH_CAPTURED);
    assert_int_equal(se_gpu_graphs_state(&graphs, SE_GPU_GRAPHS_MAX + 1), SE_GPU_GRAPH_PLAIN);
    se_gpu_graphs_fini(&graphs);
    assert_int_equal(fake.live, 0);
}

/* Wherever a capture or a replay fails, each step is still made, once, and none says so. */
static void what_fails_is_refused_and_run_plainly(void **state)
{
    (void)state;
    const struct {
        enum point fails;
        unsigned long at, plain, launched;
    } cases[] = {
        { BEGIN, 0, 10, 0 }, { END, 0, 10, 0 },    { END_WITHOUT_GRAPH, 0, 10, 0 },
        { RUN, 2, 10, 0 },   { LAUNCH, 0, 10, 0 }, { LAUNCH, 4, 7, 3 },
    };
    for (unsigned c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct fake_launcher fake = { .fails = cases[c].fails, .at = cases[c].at };
        struct se_gpu_graphs graphs;
        se_gpu_graphs_init(&graphs, &fake_ops, &fake);
        for (unsigned i = 0; i < 10; i++) {
            assert_int_equal(se_gpu_graphs_step(&graphs, 4), 0);
            assert_false(fake.capturing);
        }
        assert_int_equal(se_gpu_graphs_state(&graphs, 4), SE_GPU_GRAPH_REFUSED);
        assert_int_equal(fake.runs, cases[c].plain);
        assert_int_equal(graphs.counts.plain, cases[c].plain);
        assert_int_equal(graphs.counts.replayed, cases[c].launched);
        assert_int_equal(graphs.counts.refused, 1);
        assert_int_equal(fake.begins, 1);
        assert_int_equal(fake.live, 0);
        se_gpu_graphs_fini(&graphs);
    }
}

static void a_plain_run_that_fails_is_told(void **state)
{
    (void)state;
    struct fake_launcher fake = { .fails = RUN };
    struct se_gpu_graphs graphs;
    se_gpu_graphs_init(&graphs, &fake_ops, &fake);
    assert_int_equal(se_gpu_graphs_step(&graphs, 4), -5);
    assert_int_equal(se_gpu_graphs_state(&graphs, 4), SE_GPU_GRAPH_PLAIN);
    fake.fails = NOWHERE;
    assert_int_equal(se_gpu_graphs_step(&graphs, 4), 0);
    fake.fails = RUN;
    assert_int_equal(se_gpu_graphs_step(&graphs, 4), -5);
    assert_int_equal(se_gpu_graphs_state(&graphs, 4), SE_GPU_GRAPH_REFUSED);
    assert_false(fake.capturing);
    se_gpu_graphs_fini(&graphs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_step_is_captured),
        cmocka_unit_test(each_bucket_has_its_own),
        cmocka_unit_test(several_go_the_same_way),
        cmocka_unit_test(what_fails_is_refused_and_run_plainly),
        cmocka_unit_test(a_plain_run_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
