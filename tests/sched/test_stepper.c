/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "sched/server/stepper.h"
#include "tests/sched/seed.h"
#include "tests/sched/table_backend.h"
#include "transport/bell.h"

enum { ROWS = 64, PAGES = 8, JOBS = 10 };

static struct table_model model;
static struct se_engine *engine;
static struct se_stepper *stepper;
static struct se_job job[JOBS];
static uint64_t now, wakes;

static uint64_t read_now(void *context)
{
    (void)context;
    return now;
}

static void count_wake(void *context) { ++*(uint64_t *)context; }

static int set_up(void **state)
{
    (void)state;
    now = 1000;
    wakes = 0;
    table_model_init(&model, 5, TABLE_MODEL_VOCAB, 4096);
    const int r = table_engine_new(&engine, &model, ROWS, PAGES);
    const struct se_stepper_options options = {
        .engine = engine,
        .clock = { .now_ns = read_now },
        .wake = count_wake,
        .wake_context = &wakes,
    };
    for (uint32_t i = 0; i < JOBS; i++) {
        if (se_job_init(&job[i], 4, ROWS) < 0)
            return -1;
    }
    return r < 0 ? r : se_stepper_new(&stepper, &options);
}

static int tear_down(void **state)
{
    (void)state;
    se_stepper_free(stepper);
    for (uint32_t i = 0; i < JOBS; i++)
        se_job_fini(&job[i]);
    se_engine_free(engine);
    return 0;
}

static struct se_seq *new_seq(void)
{
    struct se_seq *seq;
    assert_int_equal(se_seq_new(&seq, se_engine_kv(engine)), 0);
    return seq;
}

/* The engine's side by hand: the job that was offered last, from take to give. */
static void run_it(struct se_job *wanted)
{
    struct se_job *taken = se_stepper_take(stepper);
    assert_ptr_equal(taken, wanted);
    se_stepper_run(stepper, taken);
    se_stepper_give(stepper, taken);
}

static void the_seat_has_one_place(void **state)
{
    (void)state;
    assert_null(se_stepper_recall(stepper));
    assert_null(se_stepper_take(stepper));
    assert_null(se_stepper_done(stepper));
    assert_int_equal(se_stepper_offer(stepper, &job[0]), 0);
    assert_int_equal(se_stepper_offer(stepper, &job[1]), -EBUSY);
    assert_ptr_equal(se_stepper_recall(stepper), &job[0]);
    assert_null(se_stepper_recall(stepper));
    assert_null(se_stepper_take(stepper));
    assert_int_equal(se_stepper_offer(stepper, &job[1]), 0);
    assert_ptr_equal(se_stepper_take(stepper), &job[1]);
    assert_null(se_stepper_recall(stepper));                 /* it runs already */
    assert_int_equal(se_stepper_offer(stepper, &job[0]), 0); /* beside the one that runs */
    assert_null(se_stepper_done(stepper));
    se_stepper_run(stepper, &job[1]);
    se_stepper_give(stepper, &job[1]);
    assert_ptr_equal(se_stepper_done(stepper), &job[1]);
    assert_null(se_stepper_done(stepper));
    assert_ptr_equal(se_stepper_recall(stepper), &job[0]);
    assert_int_equal(wakes, 1);
}

static void finished_jobs_come_in_order(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < SE_STEPPER_JOBS; i++) {
            struct se_job *mine = &job[(i * 3 + (uint32_t)round) % SE_STEPPER_JOBS];
            assert_int_equal(se_stepper_offer(stepper, mine), 0);
            run_it(mine);
        }
        assert_int_equal(se_stepper_offer(stepper, &job[9]), -ENOSPC);
        assert_non_null(strstr(se_err_text(), "8 jobs"));
        assert_null(se_stepper_take(stepper));
        for (uint32_t i = 0; i < SE_STEPPER_JOBS; i++)
            assert_ptr_equal(se_stepper_done(stepper),
                             &job[(i * 3 + (uint32_t)round) % SE_STEPPER_JOBS]);
        assert_null(se_stepper_done(stepper));
    }
}

static void times_are_the_clock_s(void **state)
{
    (void)state;
    assert_int_equal(se_stepper_offer(stepper, &job[0]), 0);
    now = 2000;
    assert_ptr_equal(se_stepper_take(stepper), &job[0]);
    se_stepper_run(stepper, &job[0]);
    now = 2700; /* a simulation lets it take so long */
    se_stepper_give(stepper, &job[0]);
    now = 9000;
    assert_ptr_equal(se_stepper_done(stepper), &job[0]);
    assert_int_equal(job[0].begun_ns, 2000);
    assert_int_equal(job[0].ended_ns, 2700);
}

/* A verdict on a chain of one, behind a prompt in the same sequence. */
static void a_step_with_results(void **state)
{
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    static uint32_t text[6] = { 1, 2, 3, 4, 5 };
    uint32_t path[1];
    struct se_seq *seq = new_seq();
    (void)state;
    job[0].part[job[0].n_parts++] = (struct se_part){ .seq = seq, .token = text, .n_rows = 4 };
    assert_int_equal(se_stepper_offer(stepper, &job[0]), 0);
    run_it(&job[0]);
    assert_ptr_equal(se_stepper_done(stepper), &job[0]);
    assert_int_equal(job[0].result, 0);
    assert_int_equal(seq->len, 4);
    job[1].part[job[1].n_parts++] = (struct se_part){ .seq = seq,
                                                      .token = text + 4,
                                                      .n_rows = 1,
                                                      .want = SE_WANT_VERDICT,
                                                      .sampling = &greedy,
                                                      .path = path };
    assert_int_equal(se_stepper_offer(stepper, &job[1]), 0);
    run_it(&job[1]);
    assert_int_equal(job[1].result, 0);
    assert_int_equal(job[1].part[0].bonus, table_next(&model, &greedy, text, 5));
    se_seq_free(seq);
}

static void chores_come_first_and_once(void **state)
{
    static uint32_t text[100];
    struct se_seq *a = new_seq(), *b = new_seq();
    (void)state;
    /* All eight pages: a has five, b three. */
    job[0].part[job[0].n_parts++] = (struct se_part){ .seq = a, .token = text, .n_rows = 40 };
    job[0].part[job[0].n_parts++] = (struct se_part){ .seq = b, .token = text, .n_rows = 20 };
    assert_int_equal(se_stepper_offer(stepper, &job[0]), 0);
    run_it(&job[0]);
    se_job_reset(&job[0]);
    job[0].part[job[0].n_parts++] = (struct se_part){ .seq = a, .token = text, .n_rows = 40 };
    job[0].part[job[0].n_parts++] = (struct se_part){ .seq = b, .token = text, .n_rows = 20 };
    assert_int_equal(se_stepper_offer(stepper, &job[0]), 0);
    run_it(&job[0]);
    assert_int_equal(job[0].result, 0);
    assert_int_equal(se_kv_pages_free(se_engine_kv(engine)), 0);
    /* There is room for 20 rows of a new one when b is gone, a shorter, and not before. */
    struct se_seq *c = new_seq();
    job[1].part[job[1].n_parts++] = (struct se_part){ .seq = c, .token = text, .n_rows = 64 };
    assert_int_equal(se_stepper_offer(stepper, &job[1]), 0);
    run_it(&job[1]);
    assert_int_equal(job[1].result, SE_KV_FULL);
    assert_string_equal(job[1].why, "");
    assert_int_equal(se_job_chore(&job[1], b, 0, true), 0);
    assert_int_equal(se_job_chore(&job[1], a, 60, false), 0);
    while (se_stepper_done(stepper))
        ;
    assert_int_equal(se_stepper_offer(stepper, &job[1]), 0);
    run_it(&job[1]);
    assert_int_equal(job[1].result, 0);
    assert_int_equal(job[1].n_chores, 0);
    assert_int_equal(a->len, 60);
    assert_int_equal(c->len, 64);
    /* Chores alone are a job, too. */
    assert_int_equal(se_job_chore(&job[2], a, 0, true), 0);
    assert_int_equal(se_job_chore(&job[2], c, 0, true), 0);
    assert_int_equal(se_stepper_offer(stepper, &job[2]), 0);
    run_it(&job[2]);
    assert_int_equal(job[2].result, 0);
    assert_int_equal(se_kv_pages_free(se_engine_kv(engine)), PAGES);
}

static void an_error_keeps_its_text(void **state)
{
    static const uint32_t text[] = { TABLE_MODEL_VOCAB };
    struct se_seq *seq = new_seq();
    (void)state;
    job[0].part[job[0].n_parts++] = (struct se_part){ .seq = seq, .token = text, .n_rows = 1 };
    assert_int_equal(se_stepper_offer(stepper, &job[0]), 0);
    run_it(&job[0]);
    se_err_clear();
    assert_int_equal(job[0].result, -EINVAL);
    assert_non_null(strstr(job[0].why, "token 48 is beyond the vocabulary of 48"));
    assert_ptr_equal(se_stepper_done(stepper), &job[0]);
    job[0].n_parts = 0; /* once more, now without a fault */
    assert_int_equal(se_stepper_offer(stepper, &job[0]), 0);
    run_it(&job[0]);
    assert_int_equal(job[0].result, 0);
    assert_string_equal(job[0].why, "");
    se_seq_free(seq);
}

/* ---- with a thread */

struct waker {
    struct se_bell bell;
    char name[16];
};

static void wake_server(void *context)
{
    struct waker *waker = context;
    pthread_getname_np(pthread_self(), waker->name, sizeof waker->name);
    se_bell_ring(&waker->bell);
}

static void the_thread_runs_what_is_offered(void **state)
{
    static const struct se_idle_options idle[] = {
        { .spin_ns = 0, .yield_ns = 0 },
        { .spin_ns = 20000, .yield_ns = 0 },
        { .spin_ns = 0, .yield_ns = UINT64_MAX },
    };
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct waker waker;
        struct se_stepper *threaded;
        const struct se_stepper_options options = {
            .engine = engine, .idle = idle[i], .wake = wake_server, .wake_context = &waker
        };
        memset(&waker, 0, sizeof waker);
        se_bell_init(&waker.bell);
        assert_int_equal(se_stepper_new(&threaded, &options), 0);
        assert_int_equal(se_stepper_start(threaded), 0);
        assert_int_equal(se_stepper_start(threaded), -EALREADY);
        for (int round = 0; round < 100; round++) {
            assert_int_equal(se_stepper_offer(threaded, &job[0]), 0);
            struct se_job *done;
            while (!(done = se_stepper_done(threaded)))
                assert_true(se_bell_wait(&waker.bell, 60000000000u));
            assert_ptr_equal(done, &job[0]);
            assert_true(job[0].ended_ns >= job[0].begun_ns && job[0].begun_ns > 0);
        }
        assert_string_equal(waker.name, "se-engine");
        se_stepper_free(threaded);
    }
}

static void an_end_at_any_moment(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        const struct se_stepper_options options = { .engine = engine, .idle = SE_IDLE_PARK };
        struct se_stepper *threaded;
        assert_int_equal(se_stepper_new(&threaded, &options), 0);
        assert_int_equal(se_stepper_start(threaded), 0);
        for (uint32_t j = 0; j < i % 3; j++)
            se_stepper_offer(threaded, &job[j]); /* the second may find the seat taken */
        se_stepper_free(threaded);
    }
    se_stepper_free(NULL);
}

#define STEPPER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEPPER_TEST(the_seat_has_one_place),          STEPPER_TEST(finished_jobs_come_in_order),
        STEPPER_TEST(times_are_the_clock_s),           STEPPER_TEST(a_step_with_results),
        STEPPER_TEST(chores_come_first_and_once),      STEPPER_TEST(an_error_keeps_its_text),
        STEPPER_TEST(the_thread_runs_what_is_offered), STEPPER_TEST(an_end_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
