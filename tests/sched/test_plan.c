/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "sched/edge/plan.h"

enum { N = 64 };

/* A server like a GPU: 20 ms, and 20 us a row; like a CPU: 2 ms, and 0.5 ms a row. */
static struct se_plan plan_of(uint32_t fixed_us, uint32_t row_us, uint64_t trip_ns)
{
    struct se_plan plan;
    struct se_wire_welcome welcome = { .nonce = 1 };
    for (uint32_t i = 0, rows = 1; i < SE_WIRE_COSTS; i++, rows *= 4)
        welcome.cost_us[i] = fixed_us + rows * row_us;
    se_plan_init(&plan);
    se_plan_welcome(&plan, &welcome, trip_ns);
    return plan;
}

static void fill(float *likely, float first, float factor)
{
    for (int i = 0; i < N; i++, first *= factor)
        likely[i] = first;
}

static void at_load(struct se_plan *plan, uint8_t load)
{
    const struct se_wire_result result = { .load = load };
    se_plan_note_answer(plan, &result, 1, 0, true);
}

static bool near(double a, double b) { return a > 0.98 * b && a < 1.02 * b; }

static void a_step_is_what_the_server_told(void **state)
{
    struct se_plan plan = plan_of(20000, 20, 1000000);
    (void)state;
    assert_true(near(se_plan_step_ns(&plan, 1), 20.02e6));
    assert_true(near(se_plan_step_ns(&plan, 33), 20.66e6));
    assert_true(near(se_plan_step_ns(&plan, 256), 25.12e6));
    assert_true(near(se_plan_step_ns(&plan, 1024), 40.48e6)); /* beyond what was told */
    at_load(&plan, 8);
    assert_true(near(se_plan_step_ns(&plan, 33), 25.28e6)); /* everybody has as many */
}

/* Nothing was told: nothing is worth anything but what the server does alone. */
static void without_costs_nothing_breaks(void **state)
{
    struct se_plan plan;
    float likely[N], rate;
    (void)state;
    se_plan_init(&plan);
    fill(likely, 0.9f, 0.9f);
    assert_true(se_plan_budget(&plan, likely, N, 0, &rate) <= N);
    assert_true(rate > 0);
    assert_true(se_plan_plain_rate(&plan) > 0);
    assert_true(se_plan_matched(&plan) >= 1);
}

static void rows_are_sent_as_long_as_they_pay(void **state)
{
    float likely[N], rate, plain;
    (void)state;
    fill(likely, 0.9f, 0.9f);
    struct se_plan gpu = plan_of(20000, 20, 1000000), cpu = plan_of(2000, 500, 1000000);
    uint32_t many = se_plan_budget(&gpu, likely, N, 2000000, &rate);
    plain = se_plan_plain_rate(&gpu);
    assert_true(many > 20); /* a row costs a thousandth of a step */
    assert_true(rate > 5 * plain);
    uint32_t few = se_plan_budget(&cpu, likely, N, 200000, &rate);
    assert_true(few > 0 && few < 16); /* a row costs a fifth of one */
    at_load(&cpu, 64);
    assert_int_equal(se_plan_budget(&cpu, likely, N, 200000, &rate), 0); /* of everybody's step */
    fill(likely, 0.001f, 0.9f);
    assert_int_equal(se_plan_budget(&cpu, likely, N, 200000, &rate), 0);
}

static void levels_are_drafted_as_long_as_they_pay(void **state)
{
    float likely[N];
    (void)state;
    fill(likely, 0.9f, 0.5f);
    struct se_plan plan = plan_of(20000, 20, 14000000);
    se_plan_note_level(&plan, 1000000);
    assert_true(se_plan_deeper(&plan, likely, 8, 3000000, 0.8f)); /* 0.6 tokens for 1 ms of 38 */
    assert_false(se_plan_deeper(&plan, likely, 8, 3000000, 0.01f));
    se_plan_init(&plan);
    plan = plan_of(20000, 20, 14000000);
    se_plan_note_level(&plan, 30000000);
    assert_false(se_plan_deeper(&plan, likely, 8, 3000000, 0.8f)); /* for 30 ms */
}

static void matched_depth_is_the_published_rule(void **state)
{
    /* The paper's own: a verify of 94.2 ms, 15 ms there and back, 11 ms a level: 7 levels. */
    struct se_plan plan = plan_of(94200, 0, 15000000);
    const struct se_wire_result result = { .load = 1, .step_us = 94200 };
    (void)state;
    se_plan_note_level(&plan, 11000000);
    assert_int_equal(se_plan_matched(&plan), 7);
    se_plan_note_answer(&plan, &result, 33, 15000000, false);
    assert_int_equal(se_plan_matched(&plan), 7);
    plan = plan_of(10000, 0, 50000000); /* the way alone takes longer */
    se_plan_note_level(&plan, 1000000);
    assert_int_equal(se_plan_matched(&plan), 1);
}

/* What others' trees make of plain decoding is no measure of it. */
static void plain_decoding_is_judged_as_if_all_did_it(void **state)
{
    struct se_plan plan = plan_of(2000, 500, 1000000);
    (void)state;
    assert_true(near(se_plan_plain_rate(&plan) * 1e6, 1 / 2.625));
    for (int i = 0; i < 50; i++)
        se_plan_note_push(&plan, 20000000);
    assert_true(near(se_plan_plain_rate(&plan) * 1e6, 1 / 2.625));
    for (int i = 0; i < 50; i++)
        se_plan_note_push(&plan, 2000000); /* but faster than that it may be */
    assert_true(near(se_plan_plain_rate(&plan) * 1e6, 1 / 2.0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_what_the_server_told),
        cmocka_unit_test(without_costs_nothing_breaks),
        cmocka_unit_test(rows_are_sent_as_long_as_they_pay),
        cmocka_unit_test(levels_are_drafted_as_long_as_they_pay),
        cmocka_unit_test(matched_depth_is_the_published_rule),
        cmocka_unit_test(plain_decoding_is_judged_as_if_all_did_it),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
