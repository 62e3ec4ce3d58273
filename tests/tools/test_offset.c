/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds between two clocks that are made up, and what is made of them. SE_TEST_SEED: another run. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/rng.h"
#include "tools/offset.h"

enum { ROUNDS_MAX = 3000, REPEATS = 40 };
#define MS 1e6
#define S 1e9

struct world {
    double offset_ns, drift;          /* the server's clock over the edge's */
    double up_ns, down_ns, jitter_ns; /* least delays, and the mean of what comes on top */
    double seconds;
    uint32_t rounds;
    uint32_t jumps; /* the first so many answers say nonsense */
};

struct round {
    uint64_t sent, came, answered, heard;
};

struct case_of {
    struct se_rng rng;
    struct round round[ROUNDS_MAX];
    struct se_offset offset;
};

static uint64_t seed;

static double jitter(struct se_rng *rng, double mean_ns)
{
    return -log(1 - se_rng_unit(rng)) * mean_ns;
}

/* Edge time 0 is far from 0, as after months. */
static const double start_ns = 8e15;

static double server_at(const struct world *w, double edge_ns)
{
    return start_ns + edge_ns + w->offset_ns + w->drift * edge_ns;
}

static void make(struct case_of *c, const struct world *w)
{
    c->offset = SE_OFFSET_NULL;
    for (uint32_t i = 0; i < w->rounds; i++) {
        struct round *r = &c->round[i];
        const double sent = w->seconds * S * i / w->rounds;
        const double came = sent + w->up_ns + jitter(&c->rng, w->jitter_ns);
        const double answered = came + 5 * MS;
        const double heard = answered + w->down_ns + jitter(&c->rng, w->jitter_ns);
        r->sent = (uint64_t)(start_ns + sent);
        r->came = (uint64_t)(server_at(w, came) + 1);
        r->answered = (uint64_t)server_at(w, answered) - (i < w->jumps ? (uint64_t)-40000000 : 0);
        r->heard = (uint64_t)(start_ns + heard + 1);
        assert_int_equal(se_offset_up(&c->offset, r->sent, r->came), 0);
        assert_int_equal(se_offset_down(&c->offset, r->heard, r->answered), 0);
    }
}

static double error_at(const struct case_of *c, const struct world *w, uint64_t edge_ns)
{
    const double right = server_at(w, (double)edge_ns - start_ns);
    return fabs((double)se_offset_at(&c->offset, edge_ns) - right);
}

/* What is promised: nothing takes less than no time, and the truth is as near as is said. */
static size_t check(const struct case_of *c, const struct world *w)
{
    size_t out = 0;
    double worst = 0;
    for (uint32_t i = 0; i < w->rounds; i++) {
        const struct round *r = &c->round[i];
        out += se_offset_at(&c->offset, r->sent) > (int64_t)r->came;
        out += se_offset_at(&c->offset, r->heard) < (int64_t)r->answered;
        const double error = fmax(error_at(c, w, r->sent), error_at(c, w, r->heard));
        worst = fmax(worst, error);
    }
    assert_int_equal(out, c->offset.out);
    if (w->jumps == 0)
        assert_true(worst <= c->offset.uncertainty_ns + 4); /* moments are whole nanoseconds */
    return out;
}

static void run(const struct world *w, double uncertainty_ns)
{
    static struct case_of c;
    for (uint32_t i = 0; i < REPEATS; i++) {
        se_rng_init(&c.rng, seed + i, SE_RNG_TEST);
        make(&c, w);
        assert_int_equal(se_offset_fit(&c.offset), 0);
        assert_int_equal(check(&c, w), 0);
        assert_true(c.offset.uncertainty_ns <= uncertainty_ns);
        se_offset_fini(&c.offset);
    }
}

static void test_same_clock(void **state)
{
    (void)state;
    const struct world w = { 0, 0, 20e3, 20e3, 30e3, 2, 200, 0 };
    run(&w, 100e3);
}

static void test_far_apart(void **state)
{
    (void)state;
    const struct world ahead = { 3e14, 0, 5 * MS, 5 * MS, 2 * MS, 5, 100, 0 };
    const struct world behind = { -3e14, 0, 5 * MS, 5 * MS, 2 * MS, 5, 100, 0 };
    run(&ahead, 9 * MS);
    run(&behind, 9 * MS);
}

/* No clock can tell the two ways apart; it can say by how much it may be wrong. */
static void test_uneven(void **state)
{
    (void)state;
    const struct world w = { 7 * S, 0, 1 * MS, 30 * MS, 3 * MS, 5, 300, 0 };
    run(&w, 18 * MS);
}

static void test_drift(void **state)
{
    (void)state;
    const struct world fast = { 1e12, 80e-6, 1 * MS, 1 * MS, 1 * MS, 120, 2000, 0 };
    const struct world slow = { 1e12, -300e-6, 4 * MS, 1 * MS, 3 * MS, 600, 3000, 0 };
    run(&fast, 2 * MS);
    run(&slow, 5 * MS);
}

/* Too short to be looked for, and yet no line without it holds. */
static void test_drift_soon(void **state)
{
    (void)state;
    const struct world w = { 5e9, 400e-6, 50e3, 50e3, 20e3, 8, 1000, 0 };
    run(&w, 200e3);
}

static void test_few(void **state)
{
    (void)state;
    const struct world one = { 1e10, 0, 2 * MS, 1 * MS, 1 * MS, 1, 1, 0 };
    const struct world three = { 1e10, 50e-6, 2 * MS, 1 * MS, 1 * MS, 60, 3, 0 };
    run(&one, INFINITY);
    run(&three, INFINITY);
}

/* Answers that went back in time: they are left out, and the others hold. */
static void test_contradiction(void **state)
{
    (void)state;
    static struct case_of c;
    const struct world w = { 1e11, 20e-6, 1 * MS, 1 * MS, 1 * MS, 30, 500, 4 };
    for (uint32_t i = 0; i < REPEATS; i++) {
        se_rng_init(&c.rng, seed + i, SE_RNG_TEST);
        make(&c, &w);
        assert_int_equal(se_offset_fit(&c.offset), 0);
        assert_int_equal(check(&c, &w), w.jumps);
        for (uint32_t k = w.jumps; k < w.rounds; k++)
            assert_true(error_at(&c, &w, c.round[k].sent) < 2 * MS);
        se_offset_fini(&c.offset);
    }
}

/* A machine that slept: no line holds for all of it. It ends all the same, and soon, and holds for
 * what it says. */
static void test_sleep(void **state)
{
    (void)state;
    static struct case_of c;
    const struct world w = { 1e11, 0, 1 * MS, 1 * MS, 1 * MS, 30, ROUNDS_MAX, 0 };
    struct world asleep = w;
    se_rng_init(&c.rng, seed, SE_RNG_TEST);
    make(&c, &w);
    for (uint32_t i = ROUNDS_MAX / 2; i < ROUNDS_MAX; i++) {
        c.offset.up.bound[i].ns += 1000 * S;
        c.offset.down.bound[i].ns += 1000 * S;
        c.round[i].came += (uint64_t)(1000 * S);
        c.round[i].answered += (uint64_t)(1000 * S);
    }
    asleep.jumps = ROUNDS_MAX / 2;
    assert_int_equal(se_offset_fit(&c.offset), 0);
    assert_true(check(&c, &asleep) >= ROUNDS_MAX / 2);
    se_offset_fini(&c.offset);
}

static void test_one_side(void **state)
{
    (void)state;
    struct se_offset o = SE_OFFSET_NULL;
    assert_int_equal(se_offset_fit(&o), -ENODATA);
    assert_int_equal(se_offset_down(&o, 1000, 5000), 0);
    assert_int_equal(se_offset_down(&o, 2000, 6500), 0);
    assert_int_equal(se_offset_fit(&o), 0);
    assert_true(isinf(o.uncertainty_ns));
    assert_int_equal(se_offset_at(&o, 2000), 6500);
    assert_int_equal(se_offset_at(&o, 1000), 5500);
    se_offset_fini(&o);
    assert_int_equal(se_offset_up(&o, 1000, 5000), 0);
    assert_int_equal(se_offset_down(&o, 2000, 9000), 0);
    assert_int_equal(se_offset_fit(&o), -ENODATA);
    se_offset_fini(&o);
}

int main(void)
{
    const char *text = getenv("SE_TEST_SEED");
    seed = text ? strtoull(text, NULL, 0) : 20261126;
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_clock),    cmocka_unit_test(test_far_apart),
        cmocka_unit_test(test_uneven),        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_drift_soon),    cmocka_unit_test(test_few),
        cmocka_unit_test(test_contradiction), cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_one_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
