/* SPDX-License-Identifier: Apache-2.0 */
/* Growth against the published rule, told once more below as it is written down: with sorted
 * lists, one array per idea and no thought for speed. Trees must agree to the last bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/tree/grow.h"
#include "tests/tree/table.h"

enum { ROUNDS = 400, NODES = 20000 };

/* ---- the published rule ---- */

struct naive {
    uint32_t n;
    uint32_t token[NODES], depth[NODES];
    int32_t parent[NODES];
    float score[NODES];
    bool processed[NODES];
    float floor; /* the budget-th best score that is there */
};

static int falling(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static float nth_best(const float *list, uint32_t n, uint32_t nth)
{
    static float sorted[NODES];
    memcpy(sorted, list, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, falling);
    return sorted[nth - 1];
}

/* The k best of a list of nodes: one at a time, the first among equals; ascending. */
static uint32_t k_best(const struct naive *t, uint32_t *list, uint32_t n, uint32_t k)
{
    static bool taken[NODES];
    uint32_t kept = 0;
    if (n <= k)
        return n;
    memset(taken, 0, n);
    for (; k > 0; k--) {
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i < n; i++)
            if (!taken[i] && (best == UINT32_MAX || t->score[list[i]] > t->score[list[best]]))
                best = i;
        taken[best] = true;
    }
    for (uint32_t i = 0; i < n; i++)
        if (taken[i])
            list[kept++] = list[i];
    return kept;
}

static void naive_read(struct naive *t, const struct se_tree *tree)
{
    t->n = tree->n;
    for (uint32_t i = 0; i < tree->n; i++) {
        t->token[i] = tree->token[i];
        t->depth[i] = tree->depth[i];
        t->parent[i] = tree->parent[i];
        t->score[i] = tree->score[i];
        t->processed[i] = tree->row[i] >= 0;
    }
}

static uint64_t naive_context(const struct naive *t, uint32_t i, uint64_t before)
{
    return table_context(i ? naive_context(t, (uint32_t)t->parent[i], before) : before,
                         t->token[i]);
}

/* Chooses whom to forward, out of all that are candidates from node root on. */
static uint32_t naive_beams(const struct naive *t, const struct se_grow_config *c, uint32_t root,
                            uint32_t *beam)
{
    uint32_t n = 0;
    for (uint32_t i = root; i < t->n; i++)
        if (!t->processed[i] && t->depth[i] < c->max_depth)
            beam[n++] = i;
    return k_best(t, beam, n, c->max_n_beams);
}

/* One level; first is the first node whose score counts. Returns how many were added. */
static uint32_t naive_level(struct naive *t, const struct se_grow_config *c, uint32_t first,
                            const uint32_t *beam, uint32_t n_beams, const struct table *table)
{
    static uint32_t id[NODES];
    static float score[NODES], joint[NODES];
    uint32_t width = c->max_branch_width, n = n_beams * width, old = t->n - first, kept = 0;
    float threshold = -INFINITY, best_kept = -INFINITY;
    for (uint32_t b = 0; b < n_beams; b++) {
        table_row(table, naive_context(t, beam[b], 0), width, id + b * width, score + b * width);
        t->processed[beam[b]] = true;
        for (uint32_t k = 0; k < width; k++) {
            volatile float above = t->score[beam[b]] + (float)log(c->decay);
            score[b * width + k] = above + score[b * width + k];
        }
    }
    memcpy(joint, t->score + first, old * sizeof *joint);
    memcpy(joint + old, score, n * sizeof *joint);
    if (old + n > c->max_budget)
        threshold = nth_best(joint, old + n, c->max_budget);
    for (uint32_t i = 0; i < n; i++) {
        if (score[i] < threshold)
            continue;
        best_kept = fmaxf(best_kept, score[i]);
        kept++;
    }
    /* The published second stop, of which grow.h says that it never happens. */
    if (kept > 0 && old >= c->max_budget)
        assert_false(best_kept < nth_best(t->score + first, old, c->max_budget));
    for (uint32_t i = 0; i < n; i++) {
        if (score[i] < threshold)
            continue;
        assert_true(t->n < NODES);
        t->token[t->n] = id[i];
        t->parent[t->n] = (int32_t)beam[i / width];
        t->depth[t->n] = t->depth[beam[i / width]] + 1;
        t->processed[t->n] = false;
        t->score[t->n++] = score[i];
    }
    return kept;
}

/* The best max_budget of the nodes from first on stay, in their order. */
static void naive_trim(struct naive *t, uint32_t first, uint32_t budget)
{
    static uint32_t list[NODES];
    static int32_t map[NODES];
    uint32_t n = first;
    for (uint32_t i = first; i < t->n; i++)
        list[i - first] = i;
    uint32_t kept = k_best(t, list, t->n - first, budget);
    for (uint32_t i = 0; i < t->n; i++)
        map[i] = i < first ? (int32_t)i : -1;
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t from = list[i];
        map[from] = (int32_t)n;
        t->token[n] = t->token[from];
        t->depth[n] = t->depth[from];
        t->score[n] = t->score[from];
        t->processed[n] = t->processed[from];
        t->parent[n] = map[t->parent[from]];
        assert_true(t->parent[n] >= 0);
        n++;
    }
    t->n = n;
}

/* ---- both at once ---- */

static struct naive naive;

static void forward(struct se_grow *grow, const struct table *table, uint32_t k)
{
    static uint32_t id[NODES];
    static float logprob[NODES];
    for (uint32_t i = 0; i < grow->n_frontier; i++)
        table_row(table, table_context_of(grow->tree, grow->node[i], 0), k, id + i * k,
                  logprob + i * k);
    assert_int_equal(se_grow_level(grow, id, logprob, k), 0);
}

static void assert_frontier(const struct se_grow *grow, const uint32_t *beam, uint32_t n_beams,
                            uint32_t first)
{
    uint32_t n = 0, old = naive.n - first;
    float floor = -INFINITY;
    if (old >= grow->config.max_budget)
        floor = nth_best(naive.score + first, old, grow->config.max_budget);
    for (uint32_t i = 0; i < n_beams; i++) {
        if (naive.score[beam[i]] < floor && beam[i] != grow->root)
            continue;
        assert_true(n < grow->n_frontier);
        assert_int_equal(grow->node[n], beam[i]);
        assert_int_equal(grow->token[n], naive.token[beam[i]]);
        n++;
    }
    assert_int_equal(n, grow->n_frontier);
}

static void assert_same_tree(const struct se_tree *tree)
{
    assert_int_equal(tree->n, naive.n);
    assert_memory_equal(tree->token, naive.token, tree->n * sizeof *tree->token);
    assert_memory_equal(tree->parent, naive.parent, tree->n * sizeof *tree->parent);
    assert_memory_equal(tree->depth, naive.depth, tree->n * sizeof *tree->depth);
    assert_memory_equal(tree->score, naive.score, tree->n * sizeof *tree->score);
}

/* Nodes from first on are the ones that count; a bet is one of them (grow.h). */
static void grow_both(struct se_grow *grow, const struct table *table, uint32_t first)
{
    static uint32_t beam[NODES];
    const struct se_grow_config *c = &grow->config;
    naive_read(&naive, grow->tree);
    for (uint32_t level = 0; level < c->max_beam_len; level++) {
        uint32_t n_beams = naive_beams(&naive, c, grow->root, beam);
        assert_frontier(grow, beam, n_beams, first);
        if (n_beams == 0)
            break;
        bool waited = grow->n_frontier > 0;
        if (waited)
            forward(grow, table, c->max_branch_width);
        uint32_t kept = naive_level(&naive, c, first, beam, n_beams, table);
        if (!waited)
            assert_int_equal(kept, 0); /* what was not forwarded could add nothing */
        assert_same_tree(grow->tree);
        if (kept == 0)
            break;
    }
    assert_int_equal(grow->n_frontier, 0);
    naive_trim(&naive, first, c->max_budget);
    assert_int_equal(se_grow_finish(grow, NULL), 0);
    assert_same_tree(grow->tree);
}

static void assert_is_tree(const struct se_tree *tree, const struct se_grow_config *c)
{
    assert_int_equal(se_tree_check(tree->parent, tree->token, tree->n, TABLE_VOCAB), 0);
    assert_true(tree->n - 1 <= c->max_budget);
    for (uint32_t i = 1; i < tree->n; i++) {
        uint32_t above = (uint32_t)tree->parent[i];
        assert_true(above < i); /* ancestors are there, and before */
        assert_int_equal(tree->depth[i], tree->depth[above] + 1);
        assert_true(tree->depth[i] <= c->max_depth);
        assert_true(tree->score[i] <= tree->score[above]);
        assert_true(tree->row[above] >= 0); /* forwarded, or it had no children */
        for (uint32_t j = 1; j < i; j++)
            assert_false(tree->parent[j] == tree->parent[i] && tree->token[j] == tree->token[i]);
    }
}

static struct se_grow_config draw_config(struct se_rng *rng)
{
    static const double decay[] = { 1, 0.9, 0.9, 0.5 };
    struct se_grow_config c = SE_GROW_CONFIG;
    c.max_budget = 1 + se_rng_below(rng, 64);
    c.max_n_beams = 1 + se_rng_below(rng, se_rng_below(rng, 2) ? 40 : 4);
    c.max_beam_len = se_rng_below(rng, 8);
    c.max_branch_width = 1 + se_rng_below(rng, se_rng_below(rng, 2) ? 20 : 3);
    c.decay = decay[se_rng_below(rng, 4)];
    if (se_rng_below(rng, 4) == 0)
        c.max_depth = se_rng_below(rng, 5);
    return c;
}

static void random_trees_agree_with_the_published_rule(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_rng rng;
    uint32_t full = 0, cut = 0;
    (void)state;
    se_rng_init(&rng, test_seed(), SE_RNG_TEST);
    for (int round = 0; round < ROUNDS; round++) {
        struct se_grow_config c = draw_config(&rng);
        struct table table = { se_rng_u32(&rng), se_rng_below(&rng, 2) ? 6 : 0 };
        assert_int_equal(se_tree_reset(&tree, se_rng_below(&rng, TABLE_VOCAB), 0), 0);
        assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
        grow_both(&grow, &table, 1);
        assert_is_tree(&tree, &c);
        full += tree.n - 1 == c.max_budget;
        cut += tree.n_rows < tree.n;
    }
    assert_true(full > ROUNDS / 10 && cut > ROUNDS / 10); /* or the trees tell nothing */
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

/* Every budget of the round, with all settings else as published. */
static void every_budget_agrees(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    (void)state;
    for (uint32_t budget = 1; budget <= 64; budget++) {
        for (uint32_t steps = 0; steps < 9; steps += 4) {
            struct se_grow_config c = SE_GROW_CONFIG;
            struct table table = { budget, steps };
            c.max_budget = budget;
            assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
            assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
            grow_both(&grow, &table, 1);
            assert_is_tree(&tree, &c);
            assert_int_equal(tree.n, budget + 1);
        }
    }
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

static void width_one_is_a_chain(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_grow_config c = SE_GROW_CONFIG;
    struct table table = { 1, 0 };
    (void)state;
    c.max_branch_width = 1;
    c.max_beam_len = 6;
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
    grow_both(&grow, &table, 1);
    assert_int_equal(tree.n, 7);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(tree.parent[i], (int)i - 1);
    assert_int_equal(tree.n_rows, 6); /* the last node is still a candidate */
    assert_int_equal(tree.row[6], SE_TREE_CANDIDATE);
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

/* Drawn by hand: budget 3, decay 1. Level 1 offers -1 -2 -2 -4: the third best is -2, and both
 * stay. Level 2 forwards all; -1.5 and the four -2 tie with the two at the threshold or beat
 * it, everything from there stays, and the trim takes the best, the earlier of the equals. */
static void ties_stay_until_the_trim(void **state)
{
    const uint32_t id[] = { 10, 11, 12, 13 };
    const float first[] = { -1, -2, -2, -4 };
    const float second[] = { -0.5f, -1, -1, -9, 0, 0, -3, -9, -1, -3, -9, -9 };
    const uint32_t ids[] = { 20, 21, 22, 23, 30, 31, 32, 33, 40, 41, 42, 43 };
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_grow_config c = SE_GROW_CONFIG;
    const int32_t *map;
    (void)state;
    c.max_budget = 3;
    c.max_branch_width = 4;
    c.max_beam_len = 2;
    c.decay = 1;
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
    assert_int_equal(grow.n_frontier, 1);
    assert_int_equal(se_grow_level(&grow, id, first, 4), 0);
    assert_int_equal(tree.n, 4);
    assert_int_equal(grow.n_frontier, 3);
    assert_int_equal(se_grow_level(&grow, ids, second, 4), 0);
    assert_int_equal(grow.n_frontier, 0);
    assert_int_equal(tree.n, 1 + 3 + 3 + 2); /* below 10: -1.5 -2 -2; below 11: -2 -2 */
    assert_int_equal(se_grow_finish(&grow, &map), 0);
    assert_int_equal(tree.n, 4);
    assert_int_equal(tree.token[1], 10);
    assert_int_equal(tree.token[2], 11); /* the first of six -2 */
    assert_int_equal(tree.token[3], 20);
    assert_int_equal(tree.parent[3], 1);
    assert_int_equal(map[3], -1);
    assert_int_equal(map[4], 3);
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

static void a_successor_without_probability_is_not_drafted(void **state)
{
    const uint32_t id[] = { 1, 2, 2, 1 }; /* nor has it an id of its own */
    const float logprob[] = { 0.00001f, -INFINITY, -INFINITY, -INFINITY };
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_grow_config c = SE_GROW_CONFIG;
    (void)state;
    c.decay = 1;
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
    assert_int_equal(se_grow_level(&grow, id, logprob, 4), 0);
    assert_int_equal(tree.n, 2);
    assert_true(tree.score[1] == 0); /* not above its parent */
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

/* Text that the draft has not seen goes ahead of the root, in the same step. */
static void leading_rows_come_first(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_grow_config c = SE_GROW_CONFIG;
    struct table table = { 3, 0 };
    (void)state;
    assert_int_equal(se_tree_reset(&tree, 7, 2), 0);
    assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
    assert_int_equal(grow.n_frontier, 1);
    assert_int_equal(grow.parent[0], 1);
    forward(&grow, &table, 16);
    assert_int_equal(tree.row[0], 2);
    for (uint32_t i = 0; i < grow.n_frontier; i++)
        assert_int_equal(grow.parent[i], 2);
    assert_int_equal(tree.n_rows, 3);
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

static void the_root_alone_when_nothing_may_grow(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_grow_config c = SE_GROW_CONFIG;
    (void)state;
    for (int i = 0; i < 2; i++) {
        c.max_beam_len = i ? 0 : 4;
        c.max_depth = i ? 9 : 0;
        assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
        assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
        assert_int_equal(grow.n_frontier, 0);
        assert_int_equal(se_grow_finish(&grow, NULL), 0);
        assert_int_equal(tree.n, 1);
    }
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

static void included_levels_count(void **state)
{
    (void)state;
    assert_int_equal(se_grow_levels(SE_PROACTIVE_EXCLUDED, 4, true, 3), 4);
    assert_int_equal(se_grow_levels(SE_PROACTIVE_INCLUDED, 4, true, 3), 1);
    assert_int_equal(se_grow_levels(SE_PROACTIVE_INCLUDED, 4, true, 1), 3);
    assert_int_equal(se_grow_levels(SE_PROACTIVE_INCLUDED, 3, true, 4), 0);
    assert_int_equal(se_grow_levels(SE_PROACTIVE_INCLUDED, 4, false, 3), 4);
    assert_int_equal(se_grow_levels(SE_PROACTIVE_DISABLED, 4, false, 0), 4);
}

static void assert_refused(struct se_grow_config c, const char *name)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    assert_int_equal(se_grow_begin(&grow, &c, &tree), -EINVAL);
    assert_non_null(strstr(se_err_text(), name));
    assert_int_equal(grow.n_frontier, 0);
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

static void bad_settings_are_named(void **state)
{
    const struct se_grow_config good = SE_GROW_CONFIG;
    struct se_grow_config c;
    (void)state;
    c = good;
    c.max_n_beams = 0;
    assert_refused(c, "max_n_beams");
    c = good;
    c.max_beam_len = SE_TREE_MAX;
    assert_refused(c, "max_beam_len");
    c = good;
    c.max_branch_width = 0;
    assert_refused(c, "max_branch_width");
    c = good;
    c.max_budget = 0;
    assert_refused(c, "max_budget");
    c = good;
    c.max_budget = SE_TREE_MAX;
    assert_refused(c, "max_budget");
    c = good;
    c.decay = 0;
    assert_refused(c, "decay");
    c = good;
    c.decay = 1.01;
    assert_refused(c, "decay");
    c = good;
    c.decay = NAN;
    assert_refused(c, "decay");
}

static void bad_levels_change_nothing(void **state)
{
    const uint32_t id[] = { 1, 2, 3 }, twice[] = { 1, 2, 1 };
    const float good[] = { -1, -2, -3 }, rising[] = { -2, -1, -3 }, none[] = { -1, NAN, -3 };
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_grow_config c = SE_GROW_CONFIG;
    (void)state;
    c.max_beam_len = 1;
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
    assert_int_equal(se_grow_level(&grow, id, rising, 3), -EINVAL);
    assert_int_equal(se_grow_level(&grow, id, none, 3), -EINVAL);
    assert_int_equal(se_grow_level(&grow, twice, good, 3), -EINVAL);
    assert_int_equal(se_grow_level(&grow, id, good, 0), -EINVAL);
    assert_int_equal(tree.n, 1);
    assert_int_equal(tree.n_rows, 0);
    assert_int_equal(grow.n_frontier, 1);
    assert_int_equal(se_grow_level(&grow, id, good, 3), 0);
    assert_int_equal(tree.n, 4);
    assert_int_equal(se_grow_level(&grow, id, good, 3), -EINVAL); /* it is over */
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

static void trees_that_cannot_grow_are_refused(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_grow_config c = SE_GROW_CONFIG;
    (void)state;
    assert_int_equal(se_grow_begin(&grow, &c, &tree), -EINVAL); /* no root */
    assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
    assert_int_equal(se_tree_add(&tree, 0, 1, 0.5f, NULL), 0);
    tree.row[0] = 0;
    assert_int_equal(se_grow_begin(&grow, &c, &tree), -EINVAL);
    assert_non_null(strstr(se_err_text(), "node 1"));
    tree.score[1] = -0.5f;
    assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
    tree.row[0] = SE_TREE_CANDIDATE;
    assert_int_equal(se_grow_begin(&grow, &c, &tree), -EINVAL);
    assert_int_equal(se_grow_begin_bet(&grow, &c, &tree, 0), -EINVAL);
    assert_int_equal(se_grow_begin_bet(&grow, &c, &tree, 1), -EINVAL);
    tree.row[0] = 0;
    assert_int_equal(se_grow_begin_bet(&grow, &c, &tree, 1), 0);
    assert_int_equal(grow.parent[0], 0);
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

/* Below a bet: the bet counts, the nodes before it stay, and the subtree keeps its budget. */
static void growth_below_a_bet_agrees(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    struct se_grow grow = SE_GROW_NULL;
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, test_seed(), SE_RNG_TEST);
    for (int round = 0; round < ROUNDS; round++) {
        struct se_grow_config c = draw_config(&rng), b = draw_config(&rng);
        struct table table = { se_rng_u32(&rng), se_rng_below(&rng, 2) ? 6 : 0 };
        uint32_t bet;
        c.max_beam_len += c.max_beam_len == 0;
        c.max_depth = b.max_depth = UINT32_MAX;
        assert_int_equal(se_tree_reset(&tree, 7, 0), 0);
        assert_int_equal(se_grow_begin(&grow, &c, &tree), 0);
        grow_both(&grow, &table, 1);
        uint32_t sent = tree.n, leaf = se_rng_below(&rng, sent);
        while (tree.row[leaf] < 0)
            leaf = (uint32_t)tree.parent[leaf];
        assert_int_equal(se_tree_add(&tree, leaf, TABLE_VOCAB, 0, &bet), 0);
        assert_int_equal(se_grow_begin_bet(&grow, &b, &tree, bet), 0);
        grow_both(&grow, &table, bet);
        assert_true(tree.n - sent <= b.max_budget);
        assert_int_equal(tree.parent[bet], (int)leaf);
    }
    se_grow_fini(&grow);
    se_tree_fini(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_trees_agree_with_the_published_rule),
        cmocka_unit_test(every_budget_agrees),
        cmocka_unit_test(growth_below_a_bet_agrees),
        cmocka_unit_test(width_one_is_a_chain),
        cmocka_unit_test(ties_stay_until_the_trim),
        cmocka_unit_test(a_successor_without_probability_is_not_drafted),
        cmocka_unit_test(leading_rows_come_first),
        cmocka_unit_test(the_root_alone_when_nothing_may_grow),
        cmocka_unit_test(included_levels_count),
        cmocka_unit_test(bad_settings_are_named),
        cmocka_unit_test(bad_levels_change_nothing),
        cmocka_unit_test(trees_that_cannot_grow_are_refused),
    };
    return cmocka_run_group_tests_name("grow", tests, NULL, NULL);
}
