/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/rng.h"

/* The vectors that the paper's authors publish for philox4x32-10. */
static void test_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4];
        uint64_t key; /* first key word low */
        uint32_t word[4];
    } cases[] = {
        { { 0, 0, 0, 0 }, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
          UINT64_MAX,
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          0x299f31d0a4093822,
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct se_rng_block block = se_rng_philox(cases[i].key, cases[i].counter);
        assert_memory_equal(block.word, cases[i].word, sizeof block.word);
    }
}

/* The place of a token's noise is a promise between machines: see the header. */
static void test_token_word(void **state)
{
    (void)state;
    for (uint32_t token = 0; token < 40; token++) {
        const uint32_t counter[4] = { token / 4, 77, 0, 0x53414d50 };
        struct se_rng_block block = se_rng_philox(0x123456789abcdef0, counter);
        assert_int_equal(se_rng_token_word(0x123456789abcdef0, 77, token), block.word[token % 4]);
    }
    assert_int_not_equal(se_rng_token_word(1, 2, 3), se_rng_token_word(2, 2, 3));
    assert_int_not_equal(se_rng_token_word(1, 2, 3), se_rng_token_word(1, 3, 3));
    assert_int_not_equal(se_rng_token_word(1ull << 32, 2, 3), se_rng_token_word(0, 2, 3));
}

static void test_sequence(void **state)
{
    (void)state;
    struct se_rng a, b, other;
    se_rng_init(&a, 42, SE_RNG_TEST);
    se_rng_init(&b, 42, SE_RNG_TEST);
    se_rng_init(&other, 42, SE_RNG_WEIGHTS);
    uint32_t equal = 0;
    for (uint32_t i = 0; i < 100; i++) {
        const uint32_t counter[4] = { i / 4, 0, 0, SE_RNG_TEST };
        uint32_t word = se_rng_u32(&a);
        assert_int_equal(word, se_rng_philox(42, counter).word[i % 4]);
        assert_int_equal(word, se_rng_u32(&b));
        equal += word == se_rng_u32(&other);
    }
    assert_int_equal(equal, 0);
    /* The counter's low half at its wrap. */
    se_rng_init(&a, 42, SE_RNG_TEST);
    a.next = 4 * (1ull << 32);
    const uint32_t wrapped[4] = { 0, 1, 0, SE_RNG_TEST };
    assert_int_equal(se_rng_u32(&a), se_rng_philox(42, wrapped).word[0]);
}

/* Moments within six deviations of what they should be: the seed is fixed, so either the
 * numbers are right or they never are. */
static void test_distributions(void **state)
{
    (void)state;
    enum { N = 200000, BINS = 10 };
    struct se_rng rng;
    double sum = 0, squares = 0, unit = 0, fourth = 0;
    uint32_t bin[BINS] = { 0 };
    se_rng_init(&rng, 7, SE_RNG_TEST);
    for (int i = 0; i < N; i++) {
        double u = se_rng_unit(&rng);
        assert_true(u > 0 && u < 1);
        unit += u;
        double x = se_rng_normal(&rng);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
        uint32_t k = se_rng_below(&rng, BINS);
        assert_true(k < BINS);
        bin[k]++;
    }
    assert_true(fabs(unit / N - 0.5) < 6 * sqrt(1.0 / 12 / N));
    assert_true(fabs(sum / N) < 6 / sqrt(N));
    assert_true(fabs(squares / N - 1) < 6 * sqrt(2.0 / N));
    assert_true(fabs(fourth / N - 3) < 6 * sqrt(96.0 / N));
    for (int k = 0; k < BINS; k++)
        assert_true(fabs(bin[k] - N / 10.0) < 6 * sqrt(N * 0.09));
    assert_int_equal(se_rng_below(&rng, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_token_word),
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_distributions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
