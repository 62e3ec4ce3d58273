/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/rng.h"
#include "runtime/tree/accept.h"

enum { NODES_MAX = 64 };

static void the_root_alone_gives_its_sample(void **state)
{
    const int32_t parent[] = { -1 };
    const uint32_t token[] = { 7 }, sampled[] = { 9 };
    uint32_t path[1] = { 99 }, bonus = 0;
    (void)state;
    assert_int_equal(se_accept_walk(parent, token, sampled, 1, path, &bonus), 1);
    assert_int_equal(path[0], 0);
    assert_int_equal(bonus, 9);
}

/* The picture in accept.h. */
static void the_walk_follows_the_samples(void **state)
{
    enum { THE, DOG, CAT, SAT, X };
    const int32_t parent[] = { -1, 0, 0, 2 };
    const uint32_t token[] = { THE, DOG, CAT, SAT }, sampled[] = { CAT, SAT, SAT, X };
    uint32_t path[4], bonus = 0;
    (void)state;
    assert_int_equal(se_accept_walk(parent, token, sampled, 4, path, &bonus), 3);
    assert_int_equal(path[0], 0);
    assert_int_equal(path[1], 2);
    assert_int_equal(path[2], 3);
    assert_int_equal(bonus, X);
}

static void a_chain_needs_no_parents(void **state)
{
    const uint32_t token[] = { 1, 2, 3, 4 }, sampled[] = { 2, 3, 9, 5 };
    uint32_t path[4], bonus = 0;
    (void)state;
    assert_int_equal(se_accept_walk(NULL, token, sampled, 4, path, &bonus), 3);
    assert_int_equal(path[2], 2);
    assert_int_equal(bonus, 9);
}

static void a_match_elsewhere_in_the_tree_is_no_child(void **state)
{
    const int32_t parent[] = { -1, 0, 1 };
    const uint32_t token[] = { 1, 2, 5 }, sampled[] = { 5, 5, 5 };
    uint32_t path[3], bonus = 0;
    (void)state;
    assert_int_equal(se_accept_walk(parent, token, sampled, 3, path, &bonus), 1);
    assert_int_equal(bonus, 5);
}

static void of_twins_the_first_is_taken(void **state)
{
    const int32_t parent[] = { -1, 0, 0, 2 };
    const uint32_t token[] = { 1, 2, 2, 3 }, sampled[] = { 2, 8, 3, 4 };
    uint32_t path[4], bonus = 0;
    (void)state;
    assert_int_equal(se_accept_walk(parent, token, sampled, 4, path, &bonus), 2);
    assert_int_equal(path[1], 1);
    assert_int_equal(bonus, 8);
}

/* The walk told by the definition: look for a matching child, again and again. */
static uint32_t walk_by_search(const int32_t *parent, const uint32_t *token,
                               const uint32_t *sampled, uint32_t n, uint32_t *path, uint32_t *bonus)
{
    uint32_t at = 0, n_path = 0, next = 0;
    do {
        path[n_path++] = at = next;
        for (uint32_t i = n; i-- > 1;)
            next = parent[i] == (int32_t)at && token[i] == sampled[at] ? i : next;
    } while (next != at);
    *bonus = sampled[at];
    return n_path;
}

static void random_trees_agree_with_the_definition(void **state)
{
    const char *text = getenv("SE_TEST_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : se_clock_ns(), deep = 0;
    struct se_rng rng;
    (void)state;
    print_message("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int round = 0; round < 20000; round++) {
        int32_t parent[NODES_MAX] = { -1 };
        uint32_t token[NODES_MAX], sampled[NODES_MAX], n = 1 + se_rng_below(&rng, NODES_MAX);
        uint32_t path[NODES_MAX], other[NODES_MAX], bonus, other_bonus, n_path;
        for (uint32_t i = 0; i < n; i++) {
            if (i > 0)
                parent[i] = (int32_t)se_rng_below(&rng, i);
            token[i] = se_rng_below(&rng, 3);
            sampled[i] = se_rng_below(&rng, 3);
        }
        n_path = se_accept_walk(parent, token, sampled, n, path, &bonus);
        assert_int_equal(n_path, walk_by_search(parent, token, sampled, n, other, &other_bonus));
        assert_memory_equal(path, other, n_path * sizeof *path);
        assert_int_equal(bonus, other_bonus);
        deep += n_path > 3;
    }
    assert_true(deep > 1000); /* or the trees tell nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_alone_gives_its_sample),
        cmocka_unit_test(the_walk_follows_the_samples),
        cmocka_unit_test(a_chain_needs_no_parents),
        cmocka_unit_test(a_match_elsewhere_in_the_tree_is_no_child),
        cmocka_unit_test(of_twins_the_first_is_taken),
        cmocka_unit_test(random_trees_agree_with_the_definition),
    };
    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
