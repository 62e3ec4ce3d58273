/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <stdbool.h>

#include "runtime/base/rng.h"
#include "sched/server/policy.h"
#include "tests/sched/seed.h"

#define MS UINT64_C(1000000)

static uint64_t seed;

/* Steps of 20 ms and a little: a model whose weights are read in every step. */
static struct se_pace flat_pace(void)
{
    struct se_pace pace = SE_PACE_NULL;
    for (uint32_t rows = 1; rows <= 1024; rows *= 2)
        se_pace_note(&pace, rows, 20 * MS + rows * 1000);
    return pace;
}

/* Steps that take as long as they have rows. */
static struct se_pace steep_pace(void)
{
    struct se_pace pace = SE_PACE_NULL;
    for (uint32_t rows = 1; rows <= 1024; rows *= 2)
        se_pace_note(&pace, rows, rows * MS / 10);
    return pace;
}

static struct se_policy_view view_of(const struct se_pace *pace, const struct se_arrival *next,
                                     uint32_t n_next)
{
    return (struct se_policy_view){
        .start_ns = 1000 * MS,
        .ready = 1,
        .rows = 33,
        .oldest_ns = 1000 * MS,
        .next = next,
        .n_next = n_next,
        .at_work = 1 + n_next,
        .batch = 64,
        .max_rows = 4096,
        .wait_ns = 20 * MS,
        .pace = pace,
    };
}

static bool launches_now(const struct se_policy_view *view)
{
    return se_policy_when(SE_POLICY_PIPELINE, view) <= view->start_ns;
}

static void dynamic_never_waits(void **state)
{
    const struct se_pace pace = flat_pace();
    const struct se_arrival next = { 1000 * MS + 1, 1 };
    const struct se_policy_view view = view_of(&pace, &next, 1);
    (void)state;
    assert_int_equal(se_policy_when(SE_POLICY_DYNAMIC, &view), view.start_ns);
}

static void static_waits_for_its_batch(void **state)
{
    const struct se_pace pace = flat_pace();
    struct se_policy_view view = view_of(&pace, NULL, 0);
    (void)state;
    view.batch = 4;
    view.ready = 3;
    assert_int_equal(se_policy_when(SE_POLICY_STATIC, &view), 1020 * MS);
    view.oldest_ns = 990 * MS;
    assert_int_equal(se_policy_when(SE_POLICY_STATIC, &view), 1010 * MS);
    view.oldest_ns = 970 * MS; /* it has waited long enough */
    assert_true(se_policy_when(SE_POLICY_STATIC, &view) <= view.start_ns);
    view.oldest_ns = 1000 * MS;
    view.ready = 4;
    assert_true(se_policy_when(SE_POLICY_STATIC, &view) <= view.start_ns);
    view.ready = 3;
    view.max_rows = view.rows; /* no more would find room */
    assert_true(se_policy_when(SE_POLICY_STATIC, &view) <= view.start_ns);
    view.max_rows = 4096;
    view.wait_ns = UINT64_MAX;
    assert_int_equal(se_policy_when(SE_POLICY_STATIC, &view), UINT64_MAX);
}

static void nobody_to_wait_for(void **state)
{
    const struct se_pace pace = flat_pace(), unknown = SE_PACE_NULL;
    const struct se_arrival late = { 1021 * MS, 33 }, soon = { 1001 * MS, 33 };
    struct se_policy_view view = view_of(&pace, NULL, 0);
    (void)state;
    assert_true(launches_now(&view));
    view = view_of(&pace, &late, 1); /* after the step that could begin now */
    assert_true(launches_now(&view));
    view = view_of(&unknown, &soon, 1); /* nothing is known of steps */
    assert_true(launches_now(&view));
}

static void waits_for_one_in_a_moment(void **state)
{
    const struct se_pace pace = flat_pace();
    const struct se_arrival soon = { 1001 * MS, 33 };
    struct se_policy_view view = view_of(&pace, &soon, 1);
    (void)state;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1001 * MS);
    view.busy = 1;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1001 * MS);
}

static void does_not_wait_at_a_loss(void **state)
{
    const struct se_pace flat = flat_pace(), steep = steep_pace();
    const struct se_arrival soon = { 1001 * MS, 33 }, later = { 1019 * MS, 33 };
    struct se_policy_view view = view_of(&flat, &later, 1);
    (void)state;
    assert_true(launches_now(&view)); /* 19 ms for one, to save the other 1 ms */
    view = view_of(&steep, &soon, 1); /* nothing is saved by sharing a step */
    assert_true(launches_now(&view));
    /* Forty wait for one. */
    view = view_of(&flat, &soon, 1);
    view.ready = 40;
    assert_true(launches_now(&view));
}

static void the_busier_the_more_patient(void **state)
{
    const struct se_pace pace = flat_pace();
    const struct se_arrival later = { 1014 * MS, 33 };
    struct se_policy_view view = view_of(&pace, &later, 1);
    (void)state;
    view.at_work = 20;
    view.busy = 0;
    assert_true(launches_now(&view));
    view.busy = 0.9f;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1014 * MS);
}

static void no_round_waits_beyond_its_limit(void **state)
{
    const struct se_pace pace = flat_pace();
    const struct se_arrival next[] = { { 1001 * MS, 33 }, { 1002 * MS, 33 }, { 1003 * MS, 33 } };
    struct se_policy_view view = view_of(&pace, next, 3);
    (void)state;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1003 * MS);
    view.oldest_ns = 982 * MS; /* until 1002 */
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1002 * MS);
    view.oldest_ns = 970 * MS;
    assert_true(launches_now(&view));
    view.oldest_ns = 1000 * MS;
    view.wait_ns = 0;
    assert_true(launches_now(&view));
    view.wait_ns = UINT64_MAX;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1003 * MS);
}

static void a_step_that_runs_is_no_wait_for_others(void **state)
{
    const struct se_pace pace = flat_pace();
    const struct se_arrival next = { 1001 * MS, 33 };
    struct se_policy_view view = view_of(&pace, &next, 1);
    (void)state;
    view.oldest_ns = 900 * MS; /* it came when a long step had just begun */
    assert_true(launches_now(&view));
    assert_int_equal(se_policy_when(SE_POLICY_STATIC, &view), 920 * MS); /* static counts it all */
    view.free_ns = view.start_ns;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1001 * MS);
    view.free_ns = 980 * MS; /* the engine has stood idle for long enough */
    assert_true(launches_now(&view));
}

static void who_is_overdue_is_not_waited_for(void **state)
{
    const struct se_pace pace = flat_pace();
    const struct se_arrival next[] = { { 500 * MS, 33 }, { 1000 * MS, 33 }, { 1001 * MS, 33 } };
    struct se_policy_view view = view_of(&pace, next, 2);
    (void)state;
    assert_true(launches_now(&view));
    view = view_of(&pace, next, 3); /* and hides nobody who is on time */
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1001 * MS);
}

static void no_more_than_a_step_holds(void **state)
{
    const struct se_pace pace = flat_pace();
    const struct se_arrival next[] = { { 1001 * MS, 33 }, { 1002 * MS, 33 }, { 1003 * MS, 33 } };
    struct se_policy_view view = view_of(&pace, next, 3);
    (void)state;
    view.max_rows = 100;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1002 * MS);
    view.max_rows = 65;
    assert_true(launches_now(&view));
    view.max_rows = 4096;
    view.batch = 2;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1001 * MS);
    view.batch = 1;
    assert_true(launches_now(&view));
    view.batch = 0;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view), 1003 * MS);
}

/* Only so many are looked at, however many are told, and those who are late do not count. */
static void a_bounded_look(void **state)
{
    enum { LATE = 300, ALL = 1000 };
    const struct se_pace pace = flat_pace();
    static struct se_arrival next[ALL];
    struct se_policy_view view = view_of(&pace, next, ALL);
    (void)state;
    for (uint32_t i = 0; i < ALL; i++)
        next[i] = (struct se_arrival){ 1000 * MS - LATE + 1 + i, 1 };
    view.batch = 0;
    assert_int_equal(se_policy_when(SE_POLICY_PIPELINE, &view),
                     next[LATE - 1 + SE_POLICY_LOOK].at_ns);
}

/* What it costs to launch at some moment, told from the events and not from the formula. */
static double cost_of(const struct se_policy_view *view, uint64_t when_ns)
{
    const uint64_t end_ns = view->start_ns + se_pace_ns(view->pace, view->rows);
    uint32_t rows = view->rows, in = view->ready, other_rows = 0, others = 0;
    for (uint32_t i = 0; i < view->n_next; i++) {
        const struct se_arrival *a = &view->next[i];
        if (a->at_ns <= view->start_ns || a->at_ns >= end_ns)
            continue;
        if (a->at_ns <= when_ns) {
            rows += a->rows;
            in++;
        } else {
            other_rows += a->rows;
            others++;
        }
    }
    const double first = (double)se_pace_ns(view->pace, rows);
    const double second = others ? (double)se_pace_ns(view->pace, other_rows) : 0;
    const double begin = (double)when_ns - (double)view->start_ns;
    double sum = 0;
    for (uint32_t i = 0; i < in; i++)
        sum += begin + first;
    for (uint32_t i = 0; i < others; i++)
        sum += begin + first + second;
    return sum + (double)view->busy * view->at_work * (first + second);
}

static void the_moment_is_the_best(void **state)
{
    struct se_rng rng;
    uint32_t waited = 0;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int round = 0; round < 5000; round++) {
        struct se_pace pace = SE_PACE_NULL;
        struct se_arrival next[20];
        const uint64_t fixed = se_rng_below(&rng, 20) * MS, per = 1 + se_rng_below(&rng, 400000);
        for (uint32_t rows = 1; rows <= 4096; rows *= 4)
            se_pace_note(&pace, rows, fixed + rows * per);
        struct se_policy_view view = view_of(&pace, next, se_rng_below(&rng, 21));
        view.ready = 1 + se_rng_below(&rng, 10);
        view.rows = 33 * view.ready;
        view.batch = 0;
        view.busy = (float)se_rng_unit(&rng);
        view.at_work = view.ready + se_rng_below(&rng, 40);
        view.wait_ns = se_rng_below(&rng, 30) * MS;
        uint64_t at_ns = view.start_ns - 3 * MS;
        for (uint32_t i = 0; i < view.n_next; i++) {
            at_ns += 1 + se_rng_below(&rng, (uint32_t)MS * 3);
            next[i] = (struct se_arrival){ at_ns, 1 + se_rng_below(&rng, 40) };
        }
        const uint64_t when_ns = se_policy_when(SE_POLICY_PIPELINE, &view);
        assert_true(when_ns >= view.start_ns && when_ns <= view.oldest_ns + view.wait_ns);
        const double chosen = cost_of(&view, when_ns);
        waited += when_ns > view.start_ns;
        for (uint32_t i = 0; i <= view.n_next; i++) {
            const uint64_t other = i < view.n_next ? next[i].at_ns : view.start_ns;
            if (other < view.start_ns || other > view.oldest_ns + view.wait_ns ||
                other >= view.start_ns + se_pace_ns(&pace, view.rows))
                continue;
            if (cost_of(&view, other) < chosen - 1)
                fail_msg("round %d: %llu ns cost %.0f, %llu would cost %.0f", round,
                         (unsigned long long)(when_ns - view.start_ns), chosen,
                         (unsigned long long)(other - view.start_ns), cost_of(&view, other));
        }
    }
    print_message("waited in %u of 5000\n", waited);
    assert_in_range(waited, 500, 4500);
}

int main(void)
{
    seed = seed_of_test();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dynamic_never_waits),
        cmocka_unit_test(static_waits_for_its_batch),
        cmocka_unit_test(nobody_to_wait_for),
        cmocka_unit_test(waits_for_one_in_a_moment),
        cmocka_unit_test(does_not_wait_at_a_loss),
        cmocka_unit_test(the_busier_the_more_patient),
        cmocka_unit_test(no_round_waits_beyond_its_limit),
        cmocka_unit_test(a_step_that_runs_is_no_wait_for_others),
        cmocka_unit_test(who_is_overdue_is_not_waited_for),
        cmocka_unit_test(no_more_than_a_step_holds),
        cmocka_unit_test(a_bounded_look),
        cmocka_unit_test(the_moment_is_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
