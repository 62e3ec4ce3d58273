/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "sched/ring.h"
#include "tests/sched/seed.h"

static uint64_t seed;

/* How many numbers find room. */
static uint32_t fill(struct se_ring *ring, uint32_t from)
{
    uint32_t n = 0;
    while (se_ring_push(ring, from + n))
        n++;
    return n;
}

static void drain(struct se_ring *ring, uint32_t from, uint32_t n)
{
    uint32_t number;
    for (uint32_t i = 0; i < n; i++) {
        assert_false(se_ring_empty(ring));
        assert_true(se_ring_pop(ring, &number));
        assert_int_equal(number, from + i);
    }
    assert_true(se_ring_empty(ring));
    number = 77;
    assert_false(se_ring_pop(ring, &number));
    assert_int_equal(number, 77);
}

static void room_for_what_was_asked(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 70; n++) {
        struct se_ring *ring = NULL;
        assert_int_equal(se_ring_new(&ring, n), 0);
        drain(ring, 0, 0);
        for (uint32_t round = 0; round < 5; round++) {
            const uint32_t room = fill(ring, 1000 * round);
            assert_in_range(room, n, 2 * n);
            drain(ring, 1000 * round, room);
        }
        se_ring_free(ring);
    }
    struct se_ring *large = NULL;
    assert_int_equal(se_ring_new(&large, 1 << 20), 0);
    assert_true(fill(large, 0) >= 1 << 20);
    se_ring_free(large);
}

static void sizes_out_of_range(void **state)
{
    struct se_ring *ring = NULL;
    (void)state;
    assert_int_equal(se_ring_new(&ring, 0), -EINVAL);
    assert_int_equal(se_ring_new(&ring, (1 << 20) + 1), -EINVAL);
    assert_non_null(strstr(se_err_text(), "1048577"));
    assert_int_equal(se_ring_new(&ring, UINT32_MAX), -EINVAL);
    assert_null(ring);
    se_ring_free(NULL);
}

/* The ring against two counters, from every place around the end of its own. */
static void counters_go_round(void **state)
{
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (uint32_t n = 1; n <= 9; n++) {
        struct se_ring *ring = NULL;
        assert_int_equal(se_ring_new(&ring, n), 0);
        for (uint32_t at = UINT32_MAX - 40; at != 40; at++) {
            uint32_t pushed = 0, popped = 0, number;
            se_ring_place(ring, at);
            const uint32_t room = fill(ring, 0);
            drain(ring, 0, room);
            for (int i = 0; i < 100; i++) {
                if (se_rng_below(&rng, 2)) {
                    const bool done = se_ring_push(ring, pushed);
                    assert_int_equal(done, pushed - popped < room);
                    pushed += done;
                } else {
                    const bool done = se_ring_pop(ring, &number);
                    assert_int_equal(done, pushed != popped);
                    assert_true(!done || number == popped);
                    popped += done;
                }
                assert_int_equal(se_ring_empty(ring), pushed == popped);
            }
        }
        se_ring_free(ring);
    }
}

int main(void)
{
    seed = seed_of_test();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_for_what_was_asked),
        cmocka_unit_test(sizes_out_of_range),
        cmocka_unit_test(counters_go_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
