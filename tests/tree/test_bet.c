/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/tree/bet.h"
#include "tests/tree/table.h"

enum { ROUNDS = 400, WIDTH = 16, NODES = 1024 };

static void forward(const struct table *table, const struct se_tree *tree, const uint32_t *node,
                    uint32_t n, uint32_t *id, float *logprob)
{
    for (uint32_t i = 0; i < n; i++)
        table_row(table, table_context_of(tree, node[i], 0), WIDTH, id + i * WIDTH,
                  logprob + i * WIDTH);
}

static uint32_t id[NODES * WIDTH];
static float logprob[NODES * WIDTH];

static void grow_tree(struct se_grow *grow, const struct se_grow_config *config,
                      struct se_tree *tree, const struct table *table)
{
    assert_int_equal(se_tree_reset(tree, 7, 0), 0);
    assert_int_equal(se_grow_begin(grow, config, tree), 0);
    while (grow->n_frontier > 0) {
        forward(table, tree, grow->node, grow->n_frontier, id, logprob);
        assert_int_equal(se_grow_level(grow, id, logprob, WIDTH), 0);
    }
    assert_int_equal(se_grow_finish(grow, NULL), 0);
}

static bool is_leaf(const struct se_tree *tree, uint32_t node)
{
    for (uint32_t i = 1; i < tree->n; i++)
        if (tree->parent[i] == (int32_t)node)
            return false;
    return true;
}

/* The rule as it is written: every leaf that counts, every token. */
static bool naive_bet(const struct se_tree *tree, const struct table *table,
                      const struct se_grow_config *c, uint32_t *leaf, uint32_t *token)
{
    float best = -INFINITY;
    for (uint32_t i = 0; i < tree->n; i++) {
        uint32_t better = 0, all[TABLE_VOCAB];
        float row[TABLE_VOCAB];
        if (!is_leaf(tree, i) || tree->depth[i] >= c->max_depth)
            continue;
        for (uint32_t j = 0; j < tree->n; j++)
            better +=
                is_leaf(tree, j) && tree->depth[j] < c->max_depth &&
                (tree->score[j] > tree->score[i] || (tree->score[j] == tree->score[i] && j < i));
        if (better >= c->max_n_beams)
            continue;
        table_row(table, table_context_of(tree, i, 0), TABLE_VOCAB, all, row);
        for (uint32_t k = 0; k < TABLE_VOCAB; k++) {
            volatile float above = tree->score[i] + (float)log(c->decay);
            float score = above + row[k];
            if (score > best) {
                best = score;
                *leaf = i;
                *token = all[k];
            }
        }
    }
    return best > -INFINITY;
}

static void bets_agree_with_the_rule(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_bet bet = SE_BET_NULL;
    struct se_rng rng;
    uint32_t spared = 0, none = 0;
    (void)state;
    se_rng_init(&rng, test_seed(), SE_RNG_TEST);
    for (int round = 0; round < ROUNDS; round++) {
        struct se_grow_config c = SE_GROW_CONFIG, b = SE_GROW_CONFIG_BET;
        struct table table = { se_rng_u32(&rng), se_rng_below(&rng, 2) ? 6 : 0 };
        uint32_t leaf = 0, token = 0, node = 0, leaves = 0, known = 0;
        c.max_budget = 1 + se_rng_below(&rng, 64);
        c.max_n_beams = 1 + se_rng_below(&rng, 20);
        c.max_beam_len = se_rng_below(&rng, 6);
        b.max_n_beams = 1 + se_rng_below(&rng, 40);
        b.decay = se_rng_below(&rng, 2) ? 0.95 : 1;
        if (se_rng_below(&rng, 3) == 0)
            b.max_depth = se_rng_below(&rng, 6);
        grow_tree(&grow, &c, &tree, &table);
        uint32_t sent = tree.n, n_rows = tree.n_rows;
        bool there = naive_bet(&tree, &table, &b, &leaf, &token);
        int r = se_bet_leaves(&bet, &b, &tree);
        assert_int_equal(r, there ? 0 : SE_BET_NONE);
        none += !there;
        if (!there)
            continue;
        for (uint32_t i = 0; i < sent; i++) {
            leaves += is_leaf(&tree, i);
            known += is_leaf(&tree, i) && tree.row[i] >= 0;
        }
        spared += bet.n_leaves + known < leaves;
        forward(&table, &tree, bet.node, bet.n_leaves, id, logprob);
        for (uint32_t i = 0; i < bet.n_leaves; i++) {
            assert_int_equal(bet.token[i], tree.token[bet.node[i]]);
            assert_int_equal(bet.parent[i], bet.node[i] ? tree.row[tree.parent[bet.node[i]]] : -1);
        }
        uint32_t n_leaves = bet.n_leaves;
        if (n_leaves > 0)
            assert_int_equal(se_bet_seen(&bet, id, logprob, WIDTH), 0);
        assert_int_equal(tree.n_rows, n_rows + n_leaves);
        assert_int_equal(se_bet_choose(&bet, &node), 0);
        assert_int_equal(node, sent);
        assert_int_equal(tree.n, sent + 1);
        assert_int_equal(tree.parent[node], (int)leaf);
        assert_int_equal(tree.token[node], token);
        assert_true(tree.score[node] == 0 && tree.row[leaf] >= 0);
        assert_int_equal(se_grow_begin_bet(&grow, &b, &tree, node), 0);
    }
    assert_true(spared > ROUNDS / 10 && none > 0);
    se_bet_fini(&bet);
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

/* A tree that was larger before must not lend its old parents to the leaves of this one. */
static void leaves_of_the_last_tree_are_forgotten(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_bet bet = SE_BET_NULL;
    struct se_grow_config b = SE_GROW_CONFIG_BET;
    (void)state;
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    for (uint32_t i = 1; i < 40; i++)
        assert_int_equal(se_tree_add(&tree, i - 1, i, -(float)i, NULL), 0);
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    tree.row[0] = 0;
    assert_int_equal(se_tree_add(&tree, 0, 1, -1, NULL), 0);
    assert_int_equal(se_tree_add(&tree, 0, 2, -2, NULL), 0);
    assert_int_equal(se_bet_leaves(&bet, &b, &tree), 0);
    assert_int_equal(bet.n_leaves, 2);
    assert_true(bet.node[0] == 1 && bet.node[1] == 2);
    se_bet_fini(&bet);
    se_tree_fini(&tree);
}

/* Node 2 was forwarded and promises -1 (decay 1): node 1 could tie with that, and would win as
 * the lower one; node 3 could not. */
static void leaves_that_cannot_win_are_not_forwarded(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_bet bet = SE_BET_NULL;
    struct se_grow_config b = SE_GROW_CONFIG_BET;
    const uint32_t ids[] = { 9 };
    const float sure[] = { 0 };
    uint32_t node;
    (void)state;
    b.decay = 1;
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    assert_int_equal(se_tree_add(&tree, 0, 1, -1, NULL), 0);
    assert_int_equal(se_tree_add(&tree, 0, 2, -0.5f, NULL), 0);
    assert_int_equal(se_tree_add(&tree, 0, 3, -1.125f, NULL), 0);
    tree.row[0] = 0;
    tree.row[2] = 1;
    tree.n_rows = 2;
    tree.next_token[2] = 8;
    tree.next_logprob[2] = -0.5f;
    assert_int_equal(se_bet_leaves(&bet, &b, &tree), 0);
    assert_int_equal(bet.n_leaves, 1);
    assert_int_equal(bet.node[0], 1);
    assert_int_equal(se_bet_seen(&bet, ids, sure, 1), 0);
    assert_int_equal(tree.row[1], 2);
    assert_int_equal(se_bet_choose(&bet, &node), 0);
    assert_true(tree.parent[node] == 1 && tree.token[node] == 9);
    se_bet_fini(&bet);
    se_tree_fini(&tree);
}

static void numbers_that_are_none_are_refused(void **state)
{
    const uint32_t ids[] = { 1, 2 };
    const float bad[] = { -1, NAN }, gone[] = { -INFINITY, -INFINITY };
    struct se_tree tree = SE_TREE_NULL;
    struct se_bet bet = SE_BET_NULL;
    struct se_grow_config b = SE_GROW_CONFIG_BET;
    uint32_t node;
    (void)state;
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    tree.row[0] = 0;
    assert_int_equal(se_tree_add(&tree, 0, 1, -1, NULL), 0);
    assert_int_equal(se_tree_add(&tree, 0, 2, -2, NULL), 0);
    b.max_n_beams = 0;
    assert_int_equal(se_bet_leaves(&bet, &b, &tree), -EINVAL);
    b.max_n_beams = 2;
    assert_int_equal(se_bet_leaves(&bet, &b, &tree), 0);
    assert_int_equal(se_bet_seen(&bet, ids, bad, 1), -EINVAL);
    assert_int_equal(se_bet_seen(&bet, ids, gone, 0), -EINVAL);
    assert_int_equal(tree.row[1], SE_TREE_CANDIDATE);
    assert_int_equal(se_bet_choose(&bet, &node), SE_BET_NONE); /* nothing was seen */
    assert_int_equal(se_bet_seen(&bet, ids, gone, 1), 0);
    assert_int_equal(se_bet_choose(&bet, &node), SE_BET_NONE); /* nothing can follow */
    assert_int_equal(tree.n, 3);
    se_bet_fini(&bet);
    se_tree_fini(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bets_agree_with_the_rule),
        cmocka_unit_test(leaves_of_the_last_tree_are_forgotten),
        cmocka_unit_test(leaves_that_cannot_win_are_not_forwarded),
        cmocka_unit_test(numbers_that_are_none_are_refused),
    };
    return cmocka_run_group_tests_name("bet", tests, NULL, NULL);
}
