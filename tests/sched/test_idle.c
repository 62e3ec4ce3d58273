/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "sched/idle.h"

static void spins_yields_then_parks(void **state)
{
    struct se_idle idle;
    (void)state;
    se_idle_init(&idle, (struct se_idle_options){ .spin_ns = 100, .yield_ns = 50 });
    assert_false(se_idle_pause(&idle, 1000));
    assert_false(se_idle_pause(&idle, 1099));
    assert_false(se_idle_pause(&idle, 1100));
    assert_false(se_idle_pause(&idle, 1149));
    assert_true(se_idle_pause(&idle, 1150));
    assert_true(se_idle_pause(&idle, 9000)); /* and again, for as long as there is nothing */
    se_idle_reset(&idle);
    assert_false(se_idle_pause(&idle, 9001));
    assert_true(se_idle_pause(&idle, 9151));
}

static void for_ever_has_no_end(void **state)
{
    struct se_idle idle;
    (void)state;
    se_idle_init(&idle, SE_IDLE_SPIN);
    assert_false(se_idle_pause(&idle, 0));
    assert_false(se_idle_pause(&idle, UINT64_MAX - 1));
    se_idle_init(&idle, SE_IDLE_YIELD);
    assert_false(se_idle_pause(&idle, 0));
    assert_false(se_idle_pause(&idle, UINT64_MAX - 1));
}

static void parks_at_once_when_told(void **state)
{
    struct se_idle idle;
    (void)state;
    se_idle_init(&idle, (struct se_idle_options){ .spin_ns = 0, .yield_ns = 0 });
    assert_true(se_idle_pause(&idle, 5));
    se_idle_init(&idle, SE_IDLE_PARK);
    assert_false(se_idle_pause(&idle, 5));
    assert_true(se_idle_pause(&idle, 20005));
}

/* A clock that is handed in may begin at 0, and one per processor may step back a little. */
static void clocks_of_all_kinds(void **state)
{
    struct se_idle idle;
    (void)state;
    se_idle_init(&idle, (struct se_idle_options){ .spin_ns = 10, .yield_ns = 0 });
    assert_false(se_idle_pause(&idle, 0));
    assert_false(se_idle_pause(&idle, 9));
    assert_true(se_idle_pause(&idle, 11));
    se_idle_reset(&idle);
    assert_false(se_idle_pause(&idle, 1000));
    assert_false(se_idle_pause(&idle, 990));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spins_yields_then_parks),
        cmocka_unit_test(for_ever_has_no_end),
        cmocka_unit_test(parks_at_once_when_told),
        cmocka_unit_test(clocks_of_all_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
