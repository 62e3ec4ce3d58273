/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/hist.h"
#include "runtime/base/rng.h"

static void add(struct se_hist *hist, double sample)
{
    assert_int_equal(se_hist_add(hist, sample), 0);
}

static void assert_at(struct se_hist *hist, double share, double wanted)
{
    double found = se_hist_at(hist, share);
    if (found != wanted)
        fail_msg("at %g: %.17g, not %.17g", share, found, wanted);
}

static void test_ranks(void **state)
{
    (void)state;
    struct se_hist hist = { 0 };
    for (int i = 0; i < 100; i++)
        add(&hist, (i * 37) % 100 + 1); /* 1..100 in some order */
    assert_at(&hist, 0, 1);
    assert_at(&hist, 0.01, 1);
    assert_at(&hist, 0.011, 2);
    assert_at(&hist, 0.07, 7); /* 0.07 * 100 rounds to above 7 */
    assert_at(&hist, 0.5, 50);
    assert_at(&hist, 0.505, 51);
    assert_at(&hist, 0.99, 99);
    assert_at(&hist, 0.999, 100);
    assert_at(&hist, 1, 100);
    assert_at(&hist, 2, 100);
    assert_at(&hist, -1, 1);
    for (int k = 1; k <= 100; k++)
        assert_at(&hist, k / 100.0, k);
    add(&hist, 1000); /* after sorting: the maximum moves */
    assert_at(&hist, 1, 1000);
    assert_at(&hist, 0, 1);
    add(&hist, -7); /* and the minimum, which does not come last by chance */
    assert_at(&hist, 0, -7);
    se_hist_fini(&hist);
    assert_int_equal(hist.n, 0);
}

static void test_few(void **state)
{
    (void)state;
    struct se_hist hist = { 0 };
    assert_true(isnan(se_hist_at(&hist, 0.5)));
    assert_true(isnan(se_hist_mean(&hist)));
    assert_true(se_hist_deviation(&hist) == 0);
    add(&hist, -3);
    assert_at(&hist, 0, -3);
    assert_at(&hist, 0.5, -3);
    assert_at(&hist, 1, -3);
    assert_true(se_hist_mean(&hist) == -3);
    assert_true(se_hist_deviation(&hist) == 0);
    add(&hist, 5);
    assert_at(&hist, 0.5, -3);
    assert_at(&hist, 0.51, 5);
    assert_true(fabs(se_hist_deviation(&hist) - sqrt(32)) < 1e-12);
    se_hist_fini(&hist);
}

/* A small deviation on a large mean, where the textbook's sum of squares loses everything. */
static void test_deviation(void **state)
{
    (void)state;
    struct se_hist hist = { 0 };
    for (int i = 0; i < 1000; i++)
        add(&hist, 1e9 + i % 2);
    assert_true(fabs(se_hist_mean(&hist) - (1e9 + 0.5)) < 1e-6);
    assert_true(fabs(se_hist_deviation(&hist) - sqrt(250.0 / 999)) < 1e-6);
    se_hist_fini(&hist);
}

static void test_not_a_number(void **state)
{
    (void)state;
    struct se_hist hist = { 0 };
    add(&hist, NAN);
    add(&hist, 2);
    add(&hist, NAN);
    add(&hist, 1);
    assert_at(&hist, 0, 1);
    assert_at(&hist, 0.5, 2);
    assert_true(isnan(se_hist_at(&hist, 1)));
    se_hist_fini(&hist);
}

static void test_random(void **state)
{
    (void)state;
    const char *text = getenv("SE_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 1;
    struct se_rng rng;
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int round = 0; round < 200; round++) {
        struct se_hist hist = { 0 };
        uint32_t n = 1 + se_rng_below(&rng, 300);
        for (uint32_t i = 0; i < n; i++)
            add(&hist, se_rng_below(&rng, 50));
        double share = se_rng_unit(&rng), found = se_hist_at(&hist, share);
        uint32_t below = 0, covered = 0;
        for (uint32_t i = 0; i < n; i++) {
            below += hist.sample[i] < found;
            covered += hist.sample[i] <= found;
        }
        assert_true(covered >= share * n * (1 - 1e-9));
        assert_true(below < share * n);
        se_hist_fini(&hist);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),     cmocka_unit_test(test_few),
        cmocka_unit_test(test_deviation), cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
