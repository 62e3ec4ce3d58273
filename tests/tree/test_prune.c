/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/tree/prune.h"
#include "tests/tree/table.h"

enum { NODES = 100, ROUNDS = 500 };

struct room {
    int32_t map[NODES];
    uint32_t commit[2 * NODES], keep[NODES];
};

static struct se_reroot reroot_in(struct room *room)
{
    return (struct se_reroot){ .map = room->map, .commit = room->commit, .keep = room->keep };
}

enum { THE, DOG, CAT, SAT, X, ON, IN, Y };

/* The picture in prune.h. The rows are what a growth, its bet and the growth below would have
 * given: the root first, cat before dog, dog never. */
static void make_picture(struct se_tree *tree, uint32_t n_lead)
{
    static const uint32_t parent[] = { 0, 0, 0, 2, 3, 4, 4 };
    static const int32_t row[] = { 0, -1, 1, 2, 3, 4, -1 };
    assert_int_equal(se_tree_reset(tree, THE, n_lead), 0);
    for (uint32_t i = 1; i < 7; i++)
        assert_int_equal(se_tree_add(tree, parent[i], DOG + i - 1, -(float)i, NULL), 0);
    for (uint32_t i = 0; i < 7; i++)
        tree->row[i] = row[i] < 0 ? row[i] : row[i] + (int32_t)n_lead;
    tree->n_rows = 5 + n_lead;
}

static void a_won_bet_becomes_the_tree(void **state)
{
    const uint32_t path[] = { 0, 2, 3 };
    struct se_tree tree = SE_TREE_NULL;
    struct room room;
    struct se_reroot reroot = reroot_in(&room);
    (void)state;
    make_picture(&tree, 0);
    assert_int_equal(se_prune_reroot(&tree, path, 3, X, &reroot), 0);
    assert_true(reroot.hit);
    assert_int_equal(tree.n, 3);
    assert_true(tree.token[0] == X && tree.token[1] == ON && tree.token[2] == IN);
    assert_true(tree.parent[0] == -1 && tree.parent[1] == 0 && tree.parent[2] == 0);
    assert_true(tree.depth[0] == 0 && tree.depth[1] == 1 && tree.depth[2] == 1);
    assert_true(tree.score[0] == 0 && tree.score[1] == -1 && tree.score[2] == -2);
    assert_true(tree.row[0] == 0 && tree.row[1] == 1 && tree.row[2] == SE_TREE_CANDIDATE);
    assert_int_equal(reroot.n_commit, 3);
    assert_true(room.commit[0] == 0 && room.commit[1] == 1 && room.commit[2] == 2);
    assert_int_equal(reroot.n_keep, 2);
    assert_true(room.keep[0] == 3 && room.keep[1] == 4);
    assert_true(tree.n_rows == 2 && tree.n_lead == 0);
    for (int i = 0; i < 7; i++)
        assert_int_equal(room.map[i], i < 4 ? SE_PRUNE_GONE : i - 4);
    se_tree_fini(&tree);
}

static void a_lost_bet_leaves_nothing(void **state)
{
    const uint32_t path[] = { 0, 2, 3 };
    struct se_tree tree = SE_TREE_NULL;
    struct room room;
    struct se_reroot reroot = reroot_in(&room);
    (void)state;
    make_picture(&tree, 0);
    assert_int_equal(se_prune_reroot(&tree, path, 3, Y, &reroot), 0);
    assert_false(reroot.hit);
    assert_int_equal(tree.n, 1);
    assert_true(tree.token[0] == Y && tree.score[0] == 0 && tree.row[0] == SE_TREE_CANDIDATE);
    assert_true(reroot.n_commit == 3 && reroot.n_keep == 0);
    assert_true(tree.n_rows == 0 && tree.n_lead == 0);
    /* The right token elsewhere is no hit: the bet was on the whole way. */
    make_picture(&tree, 0);
    assert_int_equal(se_prune_reroot(&tree, path, 2, X, &reroot), 0);
    assert_false(reroot.hit);
    assert_int_equal(reroot.n_commit, 2);
    se_tree_fini(&tree);
}

/* An accepted leaf that the draft never saw must not be mistaken for text that it knows. */
static void an_unseen_leaf_comes_before_the_next_root(void **state)
{
    const uint32_t path[] = { 0, 1 };
    struct se_tree tree = SE_TREE_NULL;
    struct room room;
    struct se_reroot reroot = reroot_in(&room);
    (void)state;
    make_picture(&tree, 2);
    assert_int_equal(se_prune_reroot(&tree, path, 2, Y, &reroot), 0);
    assert_int_equal(reroot.n_commit, 3); /* the leading rows and the root; not the dog */
    assert_true(room.commit[0] == 0 && room.commit[1] == 1 && room.commit[2] == 2);
    assert_true(tree.n_lead == 1 && tree.n_rows == 1);
    /* Verified without a draft at all, again and again: the lead adds up. */
    for (uint32_t n = 2; n < 5; n++) {
        assert_int_equal(se_prune_reroot(&tree, path, 1, Y, &reroot), 0);
        assert_true(reroot.n_commit == 0 && tree.n_lead == n);
    }
    se_tree_fini(&tree);
}

static void ways_that_are_none_change_nothing(void **state)
{
    const uint32_t off[] = { 2, 3 }, gap[] = { 0, 3 }, up[] = { 0, 2, 0 }, far[] = { 0, 7 };
    struct se_tree tree = SE_TREE_NULL;
    struct room room;
    struct se_reroot reroot = reroot_in(&room);
    (void)state;
    make_picture(&tree, 0);
    assert_int_equal(se_prune_reroot(&tree, off, 2, X, &reroot), -EINVAL);
    assert_int_equal(se_prune_reroot(&tree, off, 0, X, &reroot), -EINVAL);
    assert_int_equal(se_prune_reroot(&tree, gap, 2, X, &reroot), -EINVAL);
    assert_non_null(strstr(se_err_text(), "node 3"));
    assert_int_equal(se_prune_reroot(&tree, up, 3, X, &reroot), -EINVAL);
    assert_int_equal(se_prune_reroot(&tree, far, 2, X, &reroot), -EINVAL);
    assert_true(tree.n == 7 && tree.n_rows == 5 && tree.token[6] == IN);
    se_tree_fini(&tree);
}

static void a_node_needs_its_parent(void **state)
{
    const uint8_t orphan[] = { 1, 1, 0, 1, 0, 0, 0 }, rootless[] = { 0, 0, 0, 0, 0, 0, 0 };
    struct se_tree tree = SE_TREE_NULL;
    int32_t map[7];
    (void)state;
    make_picture(&tree, 0);
    assert_int_equal(se_prune_keep(&tree, orphan, map), -EINVAL);
    assert_non_null(strstr(se_err_text(), "node 3"));
    assert_int_equal(se_prune_keep(&tree, rootless, map), -EINVAL);
    assert_int_equal(tree.n, 7);
    se_tree_fini(&tree);
}

static void what_stays_is_what_was(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_rng rng;
    uint64_t context[NODES];
    uint8_t keep[NODES];
    int32_t map[NODES];
    (void)state;
    se_rng_init(&rng, test_seed(), SE_RNG_TEST);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n = 1 + se_rng_below(&rng, NODES), kept = 0, next = 0;
        assert_int_equal(se_tree_reset(&tree, 1, 0), 0);
        for (uint32_t i = 1; i < n; i++)
            assert_int_equal(se_tree_add(&tree, se_rng_below(&rng, i), i, (float)i, NULL), 0);
        for (uint32_t i = 0; i < n; i++) {
            context[i] = table_context_of(&tree, i, 0);
            tree.row[i] = (int32_t)(n - i);
            tree.next_token[i] = 7 * i;
            tree.next_logprob[i] = -3.0f * (float)i;
            keep[i] = i == 0 || (keep[tree.parent[i]] && se_rng_below(&rng, 4));
            kept += keep[i];
        }
        assert_int_equal(se_prune_keep(&tree, keep, map), 0);
        assert_int_equal(tree.n, kept);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(map[i], keep[i] ? (int32_t)next : SE_PRUNE_GONE);
            if (!keep[i])
                continue;
            assert_true(table_context_of(&tree, next, 0) == context[i]);
            assert_true(tree.score[next] == (float)i);
            assert_int_equal(tree.row[next], n - i);
            assert_int_equal(tree.next_token[next], 7 * i);
            assert_true(tree.next_logprob[next] == -3.0f * (float)i);
            next++;
        }
    }
    se_tree_fini(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_won_bet_becomes_the_tree),
        cmocka_unit_test(a_lost_bet_leaves_nothing),
        cmocka_unit_test(an_unseen_leaf_comes_before_the_next_root),
        cmocka_unit_test(ways_that_are_none_change_nothing),
        cmocka_unit_test(a_node_needs_its_parent),
        cmocka_unit_test(what_stays_is_what_was),
    };
    return cmocka_run_group_tests_name("prune", tests, NULL, NULL);
}
