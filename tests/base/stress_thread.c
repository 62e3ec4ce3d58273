/* SPDX-License-Identifier: Apache-2.0 */
/* Loops of many sizes through the pool, in both modes: every item runs exactly once, with a
 * thread number of its own, what the caller wrote is seen by the items and the other way
 * round. All of it in plain memory, so that ThreadSanitizer sees a missing edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/base/thread.h"

enum { ITEMS_MAX = 300, THREADS_MAX = 1025 };

struct loop {
    uint32_t round, n, spin;
    uint32_t seen[ITEMS_MAX]; /* the round in which the item last ran, plus its runs */
    uint32_t ran[ITEMS_MAX];
    uint64_t by_thread[THREADS_MAX][8]; /* of each thread: plain, so a shared number shows */
    uint32_t bad;                       /* written only on failure */
};

static void item_fn(void *context, uint32_t item, uint32_t thread)
{
    struct loop *loop = context;
    if (item >= loop->n || thread >= THREADS_MAX) {
        loop->bad = 1;
        return;
    }
    loop->seen[item] = loop->round;
    loop->ran[item]++;
    uint64_t sum = loop->by_thread[thread][0];
    for (uint32_t i = 0; i < loop->spin; i++)
        sum = sum * 6364136223846793005u + item;
    loop->by_thread[thread][0] = sum;
}

static uint64_t seed(void)
{
    const char *text = getenv("SE_TEST_SEED");
    return text ? strtoull(text, NULL, 0) : 20261121;
}

static void run_loops(uint32_t threads, bool always, bool pin, uint32_t rounds)
{
    static struct loop loop;
    struct se_pool *pool = NULL;
    struct se_rng rng;
    uint64_t items = 0;
    memset(&loop, 0, sizeof loop);
    se_rng_init(&rng, seed() + threads, SE_RNG_TEST);
    assert_int_equal(se_pool_new(&pool, threads, pin), 0);
    assert_int_equal(se_pool_threads(pool), threads);
    se_pool_share_always(pool, always);
    uint32_t last[ITEMS_MAX] = { 0 };
    for (uint32_t round = 1; round <= rounds; round++) {
        loop.round = round;
        /* Mostly small: the edges between loops are where things go wrong. */
        loop.n = se_rng_below(&rng, se_rng_below(&rng, 8) ? 9 : ITEMS_MAX + 1);
        loop.spin = se_rng_below(&rng, 4) ? 0 : se_rng_below(&rng, 2000);
        se_pool_run(pool, item_fn, &loop, loop.n);
        items += loop.n;
        for (uint32_t i = 0; i < ITEMS_MAX; i++) {
            uint32_t runs = i < loop.n;
            if (loop.ran[i] != last[i] + runs || (runs && loop.seen[i] != round))
                fail_msg("threads %u round %u: item %u of %u ran %u times, in round %u", threads,
                         round, i, loop.n, loop.ran[i] - last[i], loop.seen[i]);
            last[i] = loop.ran[i];
        }
        assert_int_equal(loop.bad, 0);
    }
    struct se_pool_stat stat = se_pool_stat_take(pool);
    assert_true(stat.runs + stat.alone <= rounds);
    assert_true(stat.helped <= items);
    if (threads == 1)
        assert_int_equal(stat.runs, 0);
    else if (always && rounds >= 100)
        assert_true(stat.runs > 0);
    stat = se_pool_stat_take(pool);
    assert_int_equal(stat.runs + stat.alone + stat.helped, 0);
    se_pool_free(pool);
}

static void test_shared(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 5; threads++)
        run_loops(threads, true, false, 3000);
}

static void test_judged(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++)
        run_loops(threads, false, false, 3000);
}

static void test_pinned(void **state)
{
    (void)state;
    run_loops(2, true, true, 1000);
    run_loops(4, true, true, 1000);
}

/* Helpers that went to sleep come back for work that is worth it. They sleep at once here,
 * because there are more threads than processors. */
static void test_sleepers_come_back(void **state)
{
    (void)state;
    static struct loop loop;
    struct se_pool *pool = NULL;
    uint64_t deadline = se_clock_ns() + 60000000000u;
    assert_int_equal(se_pool_new(&pool, se_cpu_count() + 1, false), 0);
    se_pool_share_always(pool, true);
    memset(&loop, 0, sizeof loop);
    loop.n = 16;
    loop.spin = 50000;
    for (int i = 0; i < 20; i++) {
        uint64_t pause = se_clock_ns() + 500000;
        while (se_clock_ns() < pause)
            ;
        do {
            se_pool_run(pool, item_fn, &loop, loop.n);
            assert_true(se_clock_ns() < deadline);
        } while (se_pool_stat_take(pool).helped == 0);
    }
    se_pool_free(pool);
}

/* Pools come and go while their helpers are anywhere between start and sleep. */
static void test_short_lives(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200; i++)
        run_loops(1 + i % 5, i % 2, false, i % 7);
}

static void test_refusals(void **state)
{
    (void)state;
    struct se_pool *pool = NULL;
    assert_true(se_pool_new(&pool, 0, false) < 0);
    assert_non_null(strstr(se_err_text(), "0 threads"));
    assert_true(se_pool_new(&pool, UINT32_MAX, false) < 0);
    assert_null(pool);
    se_pool_free(NULL);
}

int main(void)
{
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared),   cmocka_unit_test(test_judged),
        cmocka_unit_test(test_pinned),   cmocka_unit_test(test_short_lives),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_sleepers_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
