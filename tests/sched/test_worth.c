/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "runtime/base/rng.h"
#include "sched/edge/worth.h"
#include "tests/sched/seed.h"

static void assert_falling(const struct se_worth *worth)
{
    for (uint32_t i = 0; i < SE_WORTH_BUCKETS; i++) {
        assert_true(se_worth_of(worth, i) > 0 && se_worth_of(worth, i) < 1);
        if (i > 0)
            assert_true(se_worth_of(worth, i) <= se_worth_of(worth, i - 1));
    }
}

static void buckets_follow_the_logarithm(void **state)
{
    uint32_t last = 0;
    (void)state;
    assert_int_equal(se_worth_bucket(0), 0);
    assert_int_equal(se_worth_bucket(-INFINITY), SE_WORTH_BUCKETS - 1);
    for (float logprob = 0; logprob > -20; logprob -= 0.001f) {
        uint32_t bucket = se_worth_bucket(logprob);
        assert_true(bucket == last || bucket == last + 1);
        last = bucket;
    }
    assert_int_equal(last, SE_WORTH_BUCKETS - 1);
}

/* Tokens are taken with a likelihood that is a share of what the draft says. */
static void observe(struct se_worth *worth, struct se_rng *rng, double share, int parents)
{
    for (int i = 0; i < parents; i++) {
        float logprob = -(float)(4 * se_rng_unit(rng));
        for (int child = 0; child < 4; child++, logprob -= 0.5f)
            se_worth_note(worth, se_worth_bucket(logprob),
                          se_rng_unit(rng) < share * exp((double)logprob));
        se_worth_settle(worth);
        assert_falling(worth);
    }
}

static void shares_are_learnt(void **state)
{
    static const double shares[] = { 1, 0.5, 0.1 };
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed_of_test(), SE_RNG_TEST);
    for (int i = 0; i < 3; i++) {
        struct se_worth worth;
        se_worth_init(&worth);
        assert_falling(&worth);
        observe(&worth, &rng, shares[i], 4000);
        for (float logprob = -0.35f; logprob > -3; logprob -= 0.4f) {
            double truth = shares[i] * exp((double)logprob);
            double learnt = (double)se_worth_of(&worth, se_worth_bucket(logprob));
            /* About 500 observations matter, a twentieth of them in a bucket. */
            if (fabs(learnt - truth) > 0.25)
                fail_msg("share %g at %g: %g, not %g", shares[i], (double)logprob, learnt, truth);
        }
    }
}

/* Of a draft that is never right a few tokens tell, in every bucket. */
static void a_useless_draft_is_known_soon(void **state)
{
    struct se_worth worth;
    (void)state;
    se_worth_init(&worth);
    float before = se_worth_of(&worth, 0);
    for (int parent = 0; parent < 8; parent++) {
        for (uint32_t child = 0; child < 6; child++)
            se_worth_note(&worth, 6 + child, false);
        se_worth_settle(&worth);
    }
    assert_true(before > 0.5f);
    assert_true(se_worth_of(&worth, 0) < 0.3f); /* nothing was seen of this one itself */
    assert_true(se_worth_of(&worth, 6) < 0.1f);
}

static void the_past_fades(void **state)
{
    struct se_worth worth;
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed_of_test(), SE_RNG_TEST);
    se_worth_init(&worth);
    observe(&worth, &rng, 0, 2000);
    assert_true(se_worth_of(&worth, se_worth_bucket(-0.5f)) < 0.05f);
    observe(&worth, &rng, 1, 4000);
    assert_true(se_worth_of(&worth, se_worth_bucket(-0.5f)) > 0.3f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_the_logarithm),
        cmocka_unit_test(shares_are_learnt),
        cmocka_unit_test(a_useless_draft_is_known_soon),
        cmocka_unit_test(the_past_fades),
    };
    return cmocka_run_group_tests_name("worth", tests, NULL, NULL);
}
