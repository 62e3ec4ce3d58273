/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/map.h"
#include "runtime/base/rng.h"

enum { KEYS = 600, ABSENT = -1 };

static uint64_t test_seed(void)
{
    const char *text = getenv("SE_TEST_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : se_clock_ns();
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void check(const struct se_map *map, const int *value, uint32_t n)
{
    uint32_t there = 0;
    for (uint32_t key = 0; key < n; key++) {
        uint32_t got = 12345;
        bool found = se_map_get(map, key * UINT64_C(0x100000001), &got);
        assert_int_equal(found, value[key] != ABSENT);
        if (found)
            assert_int_equal(got, value[key]);
        there += found;
    }
    assert_int_equal(map->n, there);
}

/* Few keys in use at once make long runs and many removals in the middle of them. */
static void random_histories_agree_with_a_list(void **state)
{
    struct se_rng rng;
    static int value[KEYS];
    (void)state;
    se_rng_init(&rng, test_seed(), SE_RNG_TEST);
    for (int turn = 0; turn < 20; turn++) {
        uint32_t n = 1 + se_rng_below(&rng, KEYS);
        struct se_map map = { .secret = se_rng_u32(&rng) };
        for (uint32_t i = 0; i < n; i++)
            value[i] = ABSENT;
        for (int action = 0; action < 3000; action++) {
            uint32_t key = se_rng_below(&rng, n);
            if (se_rng_below(&rng, 5) < 2) {
                se_map_remove(&map, key * UINT64_C(0x100000001));
                value[key] = ABSENT;
            } else {
                value[key] = (int)se_rng_below(&rng, 1000);
                assert_int_equal(
                    se_map_set(&map, key * UINT64_C(0x100000001), (uint32_t)value[key]), 0);
            }
            if (action % 100 == 0)
                check(&map, value, n);
        }
        check(&map, value, n);
        se_map_fini(&map);
    }
}

static void an_empty_map_has_nothing(void **state)
{
    struct se_map map = SE_MAP_NULL;
    uint32_t value;
    (void)state;
    assert_false(se_map_get(&map, 0, &value));
    se_map_remove(&map, 0);
    assert_int_equal(se_map_set(&map, UINT64_MAX, 0), 0);
    assert_true(se_map_get(&map, UINT64_MAX, &value));
    assert_int_equal(value, 0);
    se_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories_agree_with_a_list),
        cmocka_unit_test(an_empty_map_has_nothing),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
