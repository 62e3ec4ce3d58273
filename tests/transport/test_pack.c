/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/rng.h"
#include "transport/pack.h"

static uint64_t seed;

static void test_bits(void **state)
{
    (void)state;
    static const uint32_t wanted[][2] = { { 0, 1 },       { 1, 1 },          { 2, 1 },
                                          { 3, 2 },       { 4, 2 },          { 5, 3 },
                                          { 32000, 15 },  { 65536, 16 },     { 65537, 17 },
                                          { 128256, 17 }, { 131072, 17 },    { 151936, 18 },
                                          { 262144, 18 }, { UINT32_MAX, 32 } };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_int_equal(se_pack_bits(wanted[i][0]), wanted[i][1]);
}

/* Bit by bit: slow, and hard to get wrong. */
static void pack_plainly(const uint32_t *id, uint32_t n, uint32_t bits, uint8_t *out)
{
    memset(out, 0, se_pack_size(n, bits));
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t b = 0; b < bits; b++) {
            size_t k = (size_t)i * bits + b;
            out[k / 8] = (uint8_t)(out[k / 8] | (id[i] >> b & 1) << k % 8);
        }
}

/* Every width, every length up to some words; blocks as large as they must be and no larger,
 * so that a sanitizer sees a byte too many. */
static void test_there_and_back(void **state)
{
    (void)state;
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (uint32_t bits = 1; bits <= SE_PACK_BITS_MAX; bits++)
        for (uint32_t n = 0; n <= 70; n++) {
            size_t size_b = se_pack_size(n, bits);
            uint8_t *packed = malloc(size_b + 1), *plain = malloc(size_b + 1);
            uint32_t *id = malloc((n + 1) * sizeof *id), *back = malloc((n + 1) * sizeof *back);
            assert_true(packed && plain && id && back);
            for (uint32_t i = 0; i < n; i++)
                id[i] = se_rng_u32(&rng) >> (32 - bits) |
                        (se_rng_below(&rng, 3) ? 0 : UINT32_MAX >> (32 - bits));
            packed[size_b] = 0xa5;
            se_pack_ids(id, n, bits, packed);
            pack_plainly(id, n, bits, plain);
            assert_memory_equal(packed, plain, size_b);
            assert_int_equal(packed[size_b], 0xa5);
            assert_true(se_unpack_ids(packed, n, bits, back));
            assert_memory_equal(back, id, n * sizeof *id);
            for (size_t k = (size_t)n * bits; k < 8 * size_b; k++) {
                packed[k / 8] = (uint8_t)(packed[k / 8] ^ 1u << k % 8);
                assert_false(se_unpack_ids(packed, n, bits, back));
                packed[k / 8] = (uint8_t)(packed[k / 8] ^ 1u << k % 8);
            }
            free(packed);
            free(plain);
            free(id);
            free(back);
        }
}

int main(void)
{
    const char *given = getenv("SE_TEST_SEED");
    seed = given ? strtoull(given, NULL, 0) : 1;
    print_message("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
