/* SPDX-License-Identifier: Apache-2.0 */
/* Whole rounds as an edge runs them: draft, verify, bet, draft on, answer. The draft's keys and
 * values are played by a list of contexts, one per row, that takes part in every move: after
 * every round, hit or miss, it must be what a fresh pass over the text would give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/tree/accept.h"
#include "runtime/tree/bet.h"
#include "runtime/tree/grow.h"
#include "runtime/tree/prune.h"
#include "tests/tree/table.h"

enum { SESSIONS = 60, ROUNDS = 25, WIDTH = 8, NODES = 4096, TEXT = 8192 };

static struct edge {
    struct se_tree tree;
    struct se_grow grow;
    struct se_bet bet;
    struct se_rng rng;
    struct table draft;
    struct se_grow_config main, ahead;
    enum se_proactive proactive;
    uint32_t text[TEXT], len;      /* the root is its last token */
    uint64_t kv[TEXT], row[NODES]; /* contexts: of the committed text, of the open rows */
    uint32_t kv_len, n_rows;
} edge;

static struct {
    uint32_t hits, misses, unseen, deeper;
} seen;

static uint64_t text_context(uint32_t len)
{
    uint64_t context = 0;
    for (uint32_t i = 0; i < len; i++)
        context = table_context(context, edge.text[i]);
    return context;
}

static uint64_t node_context(uint32_t node)
{
    return table_context_of(&edge.tree, node, text_context(edge.len - 1));
}

/* What an engine does: a row stands on the row it hangs on, or on the committed text. */
static void forward(const uint32_t *node, const uint32_t *token, const int32_t *parent, uint32_t n,
                    uint32_t *id, float *logprob)
{
    uint64_t text = edge.kv_len ? edge.kv[edge.kv_len - 1] : 0;
    if (n > 0 && node[0] == 0) {
        assert_int_equal(n, 1);
        for (uint32_t i = 0; i < edge.tree.n_lead; i++) {
            uint64_t before = i ? edge.row[i - 1] : text;
            edge.row[edge.n_rows++] =
                table_context(before, edge.text[edge.len - 1 - edge.tree.n_lead + i]);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        assert_true(parent[i] < (int32_t)edge.n_rows);
        uint64_t context = table_context(parent[i] < 0 ? text : edge.row[parent[i]], token[i]);
        assert_true(context == node_context(node[i]));
        table_row(&edge.draft, context, WIDTH, id + i * WIDTH, logprob + i * WIDTH);
        edge.row[edge.n_rows++] = context;
    }
}

static uint32_t id[NODES * WIDTH];
static float logprob[NODES * WIDTH];

/* Grows for so many levels at most, as if the answer came then. Returns the levels grown. */
static uint32_t grow(uint32_t patience)
{
    struct se_grow *g = &edge.grow;
    for (; g->n_frontier > 0 && g->n_levels < patience;) {
        forward(g->node, g->token, g->parent, g->n_frontier, id, logprob);
        assert_int_equal(se_grow_level(g, id, logprob, WIDTH), 0);
        assert_int_equal(edge.tree.n_rows, edge.n_rows);
    }
    assert_int_equal(se_grow_finish(g, NULL), 0);
    return g->n_levels;
}

/* Returns the levels drafted on a bet. */
static uint32_t draft_ahead(uint32_t patience)
{
    struct se_bet *bet = &edge.bet;
    uint32_t node, sent = edge.tree.n;
    if (edge.proactive == SE_PROACTIVE_DISABLED || patience == 0 ||
        se_bet_leaves(bet, &edge.ahead, &edge.tree) == SE_BET_NONE)
        return 0;
    forward(bet->node, bet->token, bet->parent, bet->n_leaves, id, logprob);
    if (bet->n_leaves > 0)
        assert_int_equal(se_bet_seen(bet, id, logprob, WIDTH), 0);
    if (se_bet_choose(bet, &node) == SE_BET_NONE)
        return 0;
    assert_int_equal(node, sent);
    assert_int_equal(se_grow_begin_bet(&edge.grow, &edge.ahead, &edge.tree, node), 0);
    uint32_t levels = grow(patience - 1);
    assert_true(edge.tree.n - sent <= edge.ahead.max_budget);
    return levels;
}

/* A target that mostly agrees with the draft. */
static void sample(uint32_t n, uint32_t *sampled)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t top[2];
        float unused[2];
        table_row(&edge.draft, node_context(i), 2, top, unused);
        sampled[i] = top[se_rng_below(&edge.rng, 8) == 0];
    }
}

/* The moves that prune.h asks for, on the list of contexts. */
static void move_rows(const struct se_reroot *reroot)
{
    for (uint32_t i = 0; i < reroot->n_commit; i++) {
        assert_true(reroot->commit[i] < edge.n_rows);
        edge.kv[edge.kv_len++] = edge.row[reroot->commit[i]];
    }
    for (uint32_t i = 0; i < reroot->n_keep; i++) {
        assert_true(i == 0 || reroot->keep[i] > reroot->keep[i - 1]);
        edge.row[i] = edge.row[reroot->keep[i]];
    }
    edge.n_rows = reroot->n_keep;
}

static void assert_as_recomputed(void)
{
    uint64_t context = 0;
    const struct se_tree *tree = &edge.tree;
    bool known = tree->row[0] != SE_TREE_CANDIDATE;
    assert_int_equal(edge.kv_len + tree->n_lead + 1, edge.len);
    assert_int_equal(tree->token[0], edge.text[edge.len - 1]);
    for (uint32_t i = 0; i < edge.kv_len; i++) {
        context = table_context(context, edge.text[i]);
        assert_true(edge.kv[i] == context);
    }
    assert_int_equal(tree->n_rows, edge.n_rows + (known ? 0 : tree->n_lead));
    for (uint32_t i = 0; i < tree->n; i++) {
        if (tree->row[i] == SE_TREE_CANDIDATE)
            continue;
        assert_true((uint32_t)tree->row[i] < edge.n_rows);
        assert_true(edge.row[tree->row[i]] == node_context(i));
    }
}

/* Returns whether the bet was won. */
static bool play_round(bool hit, uint32_t *n_ahead)
{
    static uint32_t sampled[NODES], path[NODES], commit[2 * NODES], keep[NODES];
    static int32_t map[NODES];
    struct se_reroot reroot = { .map = map, .commit = commit, .keep = keep };
    struct se_grow_config config = edge.main;
    uint32_t bonus, n_path, levels;
    config.max_beam_len = se_grow_levels(edge.proactive, config.max_beam_len, hit, *n_ahead);
    assert_int_equal(se_grow_begin(&edge.grow, &config, &edge.tree), 0);
    levels = grow(UINT32_MAX);
    assert_true(levels <= config.max_beam_len);
    uint32_t n = edge.tree.n;
    assert_true(n <= edge.main.max_budget + 1);
    assert_int_equal(se_tree_check(edge.tree.parent, edge.tree.token, n, TABLE_VOCAB), 0);
    uint32_t deepest = 0, ahead = hit ? *n_ahead : 0, most = edge.main.max_beam_len;
    for (uint32_t i = 0; i < n; i++)
        deepest = edge.tree.depth[i] > deepest ? edge.tree.depth[i] : deepest;
    if (edge.proactive == SE_PROACTIVE_INCLUDED)
        assert_true(deepest <= (most > ahead ? most : ahead));
    assert_true(deepest <= most + ahead);
    seen.deeper += deepest > most;
    sample(n, sampled);
    n_path = se_accept_walk(edge.tree.parent, edge.tree.token, sampled, n, path, &bonus);
    *n_ahead = draft_ahead(se_rng_below(&edge.rng, 9));
    seen.unseen += edge.tree.row[path[n_path - 1]] == SE_TREE_CANDIDATE;
    for (uint32_t i = 1; i < n_path; i++)
        edge.text[edge.len++] = edge.tree.token[path[i]];
    edge.text[edge.len++] = bonus;
    assert_int_equal(se_prune_reroot(&edge.tree, path, n_path, bonus, &reroot), 0);
    move_rows(&reroot);
    assert_as_recomputed();
    assert_true(reroot.hit || edge.tree.n == 1);
    seen.hits += reroot.hit;
    seen.misses += !reroot.hit;
    return reroot.hit;
}

static void begin_session(void)
{
    edge.draft = (struct table){ se_rng_u32(&edge.rng), se_rng_below(&edge.rng, 3) ? 0 : 6 };
    edge.main = SE_GROW_CONFIG;
    edge.ahead = SE_GROW_CONFIG_BET;
    edge.main.max_budget = 1 + se_rng_below(&edge.rng, 40);
    edge.main.max_beam_len = se_rng_below(&edge.rng, 7);
    edge.main.max_n_beams = 1 + se_rng_below(&edge.rng, 12);
    edge.main.max_branch_width = 1 + se_rng_below(&edge.rng, WIDTH);
    edge.ahead.max_budget = 1 + se_rng_below(&edge.rng, 20);
    edge.ahead.max_beam_len = 1 + se_rng_below(&edge.rng, 7);
    edge.ahead.max_n_beams = 1 + se_rng_below(&edge.rng, 12);
    edge.proactive = (enum se_proactive)se_rng_below(&edge.rng, 3);
    edge.kv_len = edge.n_rows = 0;
    edge.len = 1 + se_rng_below(&edge.rng, 9);
    for (uint32_t i = 0; i < edge.len; i++)
        edge.text[i] = se_rng_below(&edge.rng, TABLE_VOCAB);
    assert_int_equal(se_tree_reset(&edge.tree, edge.text[edge.len - 1], edge.len - 1), 0);
}

static void rounds_leave_the_draft_as_recomputed(void **state)
{
    (void)state;
    se_rng_init(&edge.rng, test_seed(), SE_RNG_TEST);
    for (int session = 0; session < SESSIONS; session++) {
        bool hit = false;
        uint32_t n_ahead = 0;
        begin_session();
        for (int round = 0; round < ROUNDS; round++)
            hit = play_round(hit, &n_ahead);
    }
    print_message("%u hits, %u misses, %u ends never forwarded, %u deeper for a bet\n", seen.hits,
                  seen.misses, seen.unseen, seen.deeper);
    assert_true(seen.hits > 40 && seen.misses > 40 && seen.unseen > 40 && seen.deeper > 20);
    se_bet_fini(&edge.bet);
    se_grow_fini(&edge.grow);
    se_tree_fini(&edge.tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_leave_the_draft_as_recomputed),
    };
    return cmocka_run_group_tests_name("round", tests, NULL, NULL);
}
