/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/rng.h"
#include "sched/pace.h"
#include "tests/sched/seed.h"

static uint64_t seed;

static void note(struct se_pace *pace, uint32_t rows, uint64_t ns, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        se_pace_note(pace, rows, ns);
}

static void nothing_is_known_at_first(void **state)
{
    const struct se_pace pace = SE_PACE_NULL;
    (void)state;
    assert_int_equal(se_pace_ns(&pace, 1), 0);
    assert_int_equal(se_pace_ns(&pace, UINT32_MAX), 0);
    assert_int_equal(se_pace_rows(&pace, 0, 3, 99), 99);
}

static void one_point(void **state)
{
    struct se_pace pace = SE_PACE_NULL;
    (void)state;
    note(&pace, 32, 1000, 3);
    assert_int_equal(se_pace_ns(&pace, 1), 1000); /* fewer rows: no promise of less */
    assert_int_equal(se_pace_ns(&pace, 32), 1000);
    assert_int_equal(se_pace_ns(&pace, 96), 3000); /* more: in proportion */
    assert_int_equal(se_pace_rows(&pace, 3000, 1, 4096), 96);
    assert_int_equal(se_pace_rows(&pace, 999, 1, 4096), 1);
    assert_int_equal(se_pace_rows(&pace, 999, 50, 4096), 50);
}

static void lines_between_points(void **state)
{
    struct se_pace pace = SE_PACE_NULL;
    (void)state;
    note(&pace, 8, 1000, 1);
    note(&pace, 24, 3000, 1);
    note(&pace, 32, 7000, 1);
    assert_int_equal(se_pace_ns(&pace, 7), 1000);
    assert_int_equal(se_pace_ns(&pace, 8), 1000);
    assert_int_equal(se_pace_ns(&pace, 16), 2000);
    assert_int_equal(se_pace_ns(&pace, 24), 3000);
    assert_int_equal(se_pace_ns(&pace, 28), 5000);
    assert_int_equal(se_pace_ns(&pace, 32), 7000);
    /* The last octave: 8 to 32, since 24 is too near. */
    assert_int_equal(se_pace_ns(&pace, 56), 13000);
    assert_int_equal(se_pace_rows(&pace, 5000, 1, 100), 28);
    assert_int_equal(se_pace_rows(&pace, 4999, 1, 100), 27);
    assert_int_equal(se_pace_rows(&pace, 13000, 1, 100), 56);
    assert_int_equal(se_pace_rows(&pace, 13000, 1, 40), 40);
}

static void small_steps_are_told_apart(void **state)
{
    struct se_pace pace = SE_PACE_NULL;
    (void)state;
    for (uint32_t rows = 1; rows <= 8; rows++)
        note(&pace, rows, 100 * rows * rows, 2);
    for (uint32_t rows = 1; rows <= 8; rows++)
        assert_int_equal(se_pace_ns(&pace, rows), 100 * rows * rows);
}

static void the_newest_weigh_most(void **state)
{
    struct se_pace pace = SE_PACE_NULL;
    (void)state;
    note(&pace, 64, 1000, 1000);
    note(&pace, 64, 2000, 8);
    const uint64_t soon = se_pace_ns(&pace, 64);
    assert_true(soon > 1600 && soon < 1700); /* 1 - (7/8)^8 of the way */
    note(&pace, 64, 2000, 200);
    assert_in_range(se_pace_ns(&pace, 64), 1999, 2001);
}

static void more_rows_never_take_less(void **state)
{
    struct se_pace pace = SE_PACE_NULL;
    (void)state;
    note(&pace, 4, 5000, 1);
    note(&pace, 16, 1000, 3); /* the three that were fast outweigh the slow one */
    note(&pace, 64, 9000, 1);
    assert_int_equal(se_pace_ns(&pace, 13), 2000);
    assert_int_equal(se_pace_ns(&pace, 1), 2000);
    assert_int_equal(se_pace_ns(&pace, 64), 9000);
}

/* Any history: monotone, and rows() is the inverse of ns(). */
static void random_histories(void **state)
{
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int round = 0; round < 300; round++) {
        struct se_pace pace = SE_PACE_NULL;
        const uint32_t notes = 1 + se_rng_below(&rng, 40);
        for (uint32_t i = 0; i < notes; i++) {
            const uint32_t rows = 1 + se_rng_below(&rng, 1u << (1 + se_rng_below(&rng, 14)));
            const uint64_t ns = se_rng_below(&rng, 1u << (1 + se_rng_below(&rng, 30)));
            se_pace_note(&pace, rows, ns);
        }
        uint64_t before = 0;
        for (uint32_t rows = 1; rows < 20000; rows += 1 + rows / 50) {
            const uint64_t ns = se_pace_ns(&pace, rows);
            if (ns < before)
                fail_msg("round %d: %u rows take %llu ns, fewer rows %llu", round, rows,
                         (unsigned long long)ns, (unsigned long long)before);
            before = ns;
        }
        for (int i = 0; i < 20; i++) {
            const uint64_t ns = se_rng_below(&rng, 1u << 30);
            const uint32_t least = 1 + se_rng_below(&rng, 100);
            const uint32_t most = least + se_rng_below(&rng, 4000);
            const uint32_t rows = se_pace_rows(&pace, ns, least, most);
            assert_in_range(rows, least, most);
            assert_true(rows == least || se_pace_ns(&pace, rows) <= ns);
            assert_true(rows == most || se_pace_ns(&pace, rows + 1) > ns);
        }
    }
}

static void ends_of_the_range(void **state)
{
    struct se_pace pace = SE_PACE_NULL;
    (void)state;
    note(&pace, 1, 0, 1); /* a clock that stood still */
    assert_int_equal(se_pace_ns(&pace, 1), 1);
    note(&pace, UINT32_MAX, UINT64_MAX, 1);
    assert_true(se_pace_ns(&pace, UINT32_MAX) > 1u << 30);
    assert_int_equal(se_pace_rows(&pace, UINT64_MAX, 1, UINT32_MAX), UINT32_MAX);
}

int main(void)
{
    seed = seed_of_test();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first), cmocka_unit_test(one_point),
        cmocka_unit_test(lines_between_points),      cmocka_unit_test(small_steps_are_told_apart),
        cmocka_unit_test(the_newest_weigh_most),     cmocka_unit_test(more_rows_never_take_less),
        cmocka_unit_test(random_histories),          cmocka_unit_test(ends_of_the_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
