/* SPDX-License-Identifier: Apache-2.0 */
/* The bits of a row do not depend on its company (tests/model/bits.h): random models and random
 * histories, all kinds of weights, every level of this processor, one and two threads.
 *
 *   test_bits [RANKS]    how many ranks share the model, 1 if not given */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "tests/model/bits.h"
#include "tests/model/gpu.h"
#include "tests/model/tiny.h"

enum { LEVELS = on_gpu ? 1 : 4, ROUNDS = emulated ? 1 : 3, CHECKED_LEAST = on_gpu ? 30 : 1000 };
enum { KINDS = emulated ? 2 : 4, TEXT = emulated ? 48 : 72, BATCH = 64 };

static uint32_t ranks = 1;

struct world {
    struct se_rng rng;
    uint32_t checked;
};

static void check_case(struct world *w, const char *dir, enum se_weights weights, uint32_t level,
                       uint32_t threads)
{
    const uint32_t text = emulated && ranks > 1 ? TEXT / 3 : TEXT;
    char flags[64];
    struct se_pool *pool = NULL;
    struct se_model *model;
    struct se_model_options options = { .weights = weights };
    uint32_t before = se_cpu_narrow(level);
    if (se_model_open(&model, dir, &options) < 0)
        fail_msg("%s", se_err_text());
    if (ranks == 1) /* ranks have threads of their own */
        assert_int_equal(se_pool_new(&pool, threads, false), 0);
    const struct bits_case of = { .model = model,
                                  .ops = backend_ops,
                                  .pool = pool,
                                  .ranks = ranks,
                                  .rank_threads = threads,
                                  .text = text,
                                  .chunk = text,
                                  .batch = BATCH };
    if (bits_check(&of, &w->rng, &w->checked) != 0)
        fail_msg("%s, %s, %u threads, %u ranks: %s", se_weights_name(weights),
                 se_cpu_text(se_cpu_flags(), flags, sizeof flags), threads, ranks, se_err_text());
    se_pool_free(pool);
    se_model_close(model);
    se_cpu_narrow(before);
}

static uint64_t seed;

/* Sizes that so many ranks can share, groups of 8-bit weights included. */
static void make_divisible(struct tiny_spec *spec, uint32_t n)
{
    spec->kv_heads = n * (1 + spec->kv_heads % 2);
    spec->head_dim = spec->head_dim < 16 ? 16 : spec->head_dim;
    spec->heads = spec->kv_heads * (spec->heads % 2 ? 2 : 4);
    spec->mlp = SE_Q8_GROUP * n * (1 + spec->mlp % 3);
}

static void bits_do_not_depend_on_company(void **state)
{
    static const uint32_t level[] = { 0, SE_CPU_AVX2, SE_CPU_AVX2 | SE_CPU_AVX512, UINT32_MAX };
    static const enum se_weights weights[] = { SE_WEIGHTS_STORED, SE_WEIGHTS_Q8, SE_WEIGHTS_F32,
                                               SE_WEIGHTS_BF16 };
    static const enum se_dtype stored[] = { SE_DTYPE_F32, SE_DTYPE_BF16, SE_DTYPE_F16 };
    enum { KINDS_STORED = sizeof stored / sizeof *stored };
    struct world world = { 0 };
    uint32_t all = se_cpu_narrow(UINT32_MAX);
    (void)state;
    se_rng_init(&world.rng, seed, SE_RNG_TEST);
    const uint32_t rounds = ranks > 2 ? 1 : ROUNDS; /* more ranks than processors take long */
    const uint32_t least =
        emulated && ranks > 1 ? CHECKED_LEAST / 6 : CHECKED_LEAST * rounds / ROUNDS;
    /* Chance may leave little to compare: then there is more. */
    for (uint32_t k = 0; k < rounds || (world.checked <= least && k < 5 * rounds); k++) {
        char dir[TINY_PATH_MAX_B];
        struct tiny_spec spec = tiny_draw(seed + k, stored[k % KINDS_STORED]);
        if (ranks > 1)
            make_divisible(&spec, ranks);
        tiny_write(dir, &spec);
        for (size_t i = 0; i < KINDS; i++) {
            uint32_t seen = UINT32_MAX;
            for (size_t j = 0; j < LEVELS; j++) {
                se_cpu_narrow(level[j]);
                if (se_cpu_flags() != seen) /* this machine has no more */
                    check_case(&world, dir, weights[i], level[j], 1 + se_rng_below(&world.rng, 2));
                seen = (se_cpu_narrow(level[j]), se_cpu_flags());
            }
        }
        tiny_remove(dir);
    }
    se_cpu_narrow(all);
    print_message("%u rows compared\n", world.checked);
    assert_true(world.checked > least);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_company),
    };
    if (argc > 1)
        ranks = (uint32_t)strtoul(argv[1], NULL, 10);
    seed = tiny_seed();
    return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
