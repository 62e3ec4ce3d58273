/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds with a model of random weights as draft: whatever is accepted, won or lost, it holds
 * afterwards what a fresh pass over the text would give. And what it refuses changes nothing. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <string.h>

#include "kernels/gumbel.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/backend.h"
#include "runtime/model/step.h"
#include "runtime/tree/accept.h"
#include "runtime/tree/bet.h"
#include "runtime/tree/grow.h"
#include "runtime/tree/prune.h"
#include "sched/edge/draft.h"
#include "sched/edge/drafter.h"
#include "tests/model/tiny.h"

enum { SESSIONS = 20, ROUNDS = 12, WIDTH = 6, NODES = 4096, TEXT = 1024, N_PAGES = 120 };

static struct edge {
    char dir[TINY_PATH_MAX_B];
    struct se_model *model;
    struct se_engine *engine;
    struct se_drafter *drafter;
    struct se_rng rng;
    struct se_tree tree;
    struct se_grow grow;
    struct se_bet bet;
    struct se_grow_config main, ahead;
    uint32_t text[TEXT], len; /* the root is its last token */
} edge;

static struct {
    uint32_t hits, misses, unseen, checks;
} seen;

static void good(int r)
{
    if (r != 0)
        fail_msg("%d: %s (%s)", r, se_err_text(), se_err_trail());
}

static void refused(int r, int code, const char *word)
{
    if (r != code || !strstr(se_err_text(), word))
        fail_msg("%d \"%s\", not %d with \"%s\"", r, se_err_text(), code, word);
}

/* A model of the draw, and a draft of it. ops: of the backend, NULL for the usual one. */
static void open_draft(uint64_t draw, enum se_dtype stored, uint32_t max_rows, uint32_t n_pages,
                       const struct se_backend_ops *ops)
{
    struct tiny_spec spec = tiny_draw(draw, stored);
    tiny_write(edge.dir, &spec);
    good(se_model_open(&edge.model, edge.dir, &(struct se_model_options){ 0 }));
    struct se_engine_options options = {
        .ops = ops,
        .max_rows = max_rows,
        .n_pages = n_pages,
        .kv_dtype = se_engine_kv_dtype(edge.model),
    };
    good(se_engine_new(&edge.engine, edge.model, &options));
    good(se_drafter_model(&edge.drafter, edge.engine, spec.vocab, spec.context, max_rows));
    assert_string_equal(edge.drafter->ops->name, "model");
}

static void close_draft(void)
{
    se_drafter_close(edge.drafter);
    assert_int_equal(se_kv_pages_free(se_engine_kv(edge.engine)),
                     se_kv_pages(se_engine_kv(edge.engine)));
    se_engine_free(edge.engine);
    se_model_close(edge.model);
    tiny_remove(edge.dir);
}

static void feed(uint32_t from, uint32_t to)
{
    while (from < to) {
        uint32_t n = 1 + se_rng_below(&edge.rng, edge.drafter->max_rows);
        n = n < to - from ? n : to - from;
        good(edge.drafter->ops->feed(edge.drafter, edge.text + from, n));
        from += n;
    }
}

static uint32_t id[NODES * WIDTH];
static float logprob[NODES * WIDTH];

static void assert_successors(uint32_t n)
{
    for (uint32_t i = 0; i < n * WIDTH; i++) {
        assert_in_range(id[i], 0, edge.drafter->vocab - 1);
        assert_true(logprob[i] <= (i % WIDTH ? logprob[i - 1] : 0));
    }
}

/* Lead rows and all, in calls of max_rows. */
static void forward(const uint32_t *node, const uint32_t *token, const int32_t *parent, uint32_t n)
{
    struct se_drafter *d = edge.drafter;
    if (n > 0 && node[0] == 0) {
        for (uint32_t i = 0; i < edge.tree.n_lead; i++) {
            uint32_t lead = edge.text[edge.len - 1 - edge.tree.n_lead + i];
            int32_t above = (int32_t)i - 1;
            good(d->ops->forward(d, &lead, &above, 1, WIDTH, id, logprob));
        }
    }
    for (uint32_t at = 0; at < n; at += d->max_rows) {
        uint32_t rows = n - at < d->max_rows ? n - at : d->max_rows;
        good(d->ops->forward(d, token + at, parent + at, rows, WIDTH, id + at * WIDTH,
                             logprob + at * WIDTH));
    }
    assert_successors(n);
}

static void grow(uint32_t patience)
{
    struct se_grow *g = &edge.grow;
    while (g->n_frontier > 0 && g->n_levels < patience) {
        forward(g->node, g->token, g->parent, g->n_frontier);
        good(se_grow_level(g, id, logprob, WIDTH));
        assert_int_equal(edge.tree.n_rows, edge.drafter->rows);
    }
    good(se_grow_finish(g, NULL));
}

/* Returns the bet's node, or 0. */
static uint32_t draft_ahead(uint32_t patience)
{
    struct se_bet *bet = &edge.bet;
    uint32_t node;
    if (patience == 0 || se_bet_leaves(bet, &edge.ahead, &edge.tree) == SE_BET_NONE)
        return 0;
    forward(bet->node, bet->token, bet->parent, bet->n_leaves);
    if (bet->n_leaves > 0)
        good(se_bet_seen(bet, id, logprob, WIDTH));
    if (se_bet_choose(bet, &node) == SE_BET_NONE)
        return 0;
    good(se_grow_begin_bet(&edge.grow, &edge.ahead, &edge.tree, node));
    grow(patience - 1);
    return node;
}

/* A target that mostly says what the draft thinks, where the draft has thought; and every other
 * time, that the bet was right. */
static void sample(uint32_t n, uint32_t bet, uint32_t *sampled)
{
    const struct se_tree *tree = &edge.tree;
    for (uint32_t i = 0; i < n; i++) {
        bool agrees = tree->row[i] != SE_TREE_CANDIDATE && se_rng_below(&edge.rng, 8) > 0;
        sampled[i] = agrees ? tree->next_token[i] : se_rng_below(&edge.rng, edge.drafter->vocab);
    }
    if (se_rng_below(&edge.rng, 2))
        for (uint32_t i = bet; i > 0; i = (uint32_t)tree->parent[i])
            sampled[tree->parent[i]] = tree->token[i];
}

static void check(void)
{
    good(se_drafter_check(edge.drafter));
    seen.checks++;
}

static void play_round(void)
{
    static uint32_t sampled[NODES], path[NODES], commit[2 * NODES], keep[NODES];
    static int32_t map[NODES];
    struct se_reroot reroot = { .map = map, .commit = commit, .keep = keep };
    struct se_drafter *d = edge.drafter;
    uint32_t bonus, n_path, n, bet;
    good(se_grow_begin(&edge.grow, &edge.main, &edge.tree));
    grow(UINT32_MAX);
    n = edge.tree.n; /* these are with the target */
    bet = draft_ahead(se_rng_below(&edge.rng, 6));
    check(); /* with everything open */
    sample(n, bet, sampled);
    n_path = se_accept_walk(edge.tree.parent, edge.tree.token, sampled, n, path, &bonus);
    seen.unseen += edge.tree.row[path[n_path - 1]] == SE_TREE_CANDIDATE;
    for (uint32_t i = 1; i < n_path; i++)
        edge.text[edge.len++] = edge.tree.token[path[i]];
    edge.text[edge.len++] = bonus;
    good(se_prune_reroot(&edge.tree, path, n_path, bonus, &reroot));
    good(d->ops->commit(d, commit, reroot.n_commit, keep, reroot.n_keep));
    assert_int_equal(d->len + edge.tree.n_lead + 1, edge.len);
    assert_int_equal(d->rows, reroot.n_keep);
    check();
    seen.hits += reroot.hit;
    seen.misses += !reroot.hit;
}

/* A text of len ids, all but the last of which the draft sees. */
static void begin_text(uint32_t len)
{
    edge.len = len;
    for (uint32_t i = 0; i < len; i++)
        edge.text[i] = se_rng_below(&edge.rng, edge.drafter->vocab);
    feed(0, len - 1);
    good(se_tree_reset(&edge.tree, edge.text[len - 1], 0));
}

static void begin_session(void)
{
    struct se_rng *rng = &edge.rng;
    edge.main = SE_GROW_CONFIG;
    edge.ahead = SE_GROW_CONFIG_BET;
    edge.main.max_budget = 1 + se_rng_below(rng, 20);
    edge.main.max_beam_len = se_rng_below(rng, 5);
    edge.main.max_n_beams = 1 + se_rng_below(rng, 12);
    edge.main.max_branch_width = 1 + se_rng_below(rng, WIDTH);
    edge.ahead.max_budget = 1 + se_rng_below(rng, 12);
    edge.ahead.max_n_beams = 1 + se_rng_below(rng, 12);
    edge.drafter->sampling.temp = se_rng_below(rng, 2);
    edge.drafter->sampling.seed = se_rng_u32(rng);
    edge.drafter->sharpen = (float)se_rng_below(rng, 3);
    begin_text(1 + se_rng_below(rng, 40));
}

static void rounds_leave_the_draft_as_recomputed(void **state)
{
    static const enum se_dtype stored[] = { SE_DTYPE_F32, SE_DTYPE_BF16, SE_DTYPE_F16 };
    (void)state;
    for (uint32_t session = 0; session < SESSIONS; session++) {
        open_draft(se_rng_u32(&edge.rng), stored[session % 3], 1 + se_rng_below(&edge.rng, 40),
                   N_PAGES, NULL);
        begin_session();
        for (int round = 0; round < ROUNDS; round++)
            play_round();
        /* The text is taken back and goes on otherwise. */
        uint32_t left = se_rng_below(&edge.rng, edge.drafter->len + 1);
        edge.drafter->ops->rewind(edge.drafter, left);
        assert_int_equal(edge.drafter->len, left);
        assert_int_equal(edge.drafter->rows, 0);
        feed(left, edge.len - 1);
        check();
        close_draft();
    }
    print_message("%u hits, %u misses, %u ends never forwarded, %u checks\n", seen.hits,
                  seen.misses, seen.unseen, seen.checks);
    assert_true(seen.hits > 20 && seen.misses > 20 && seen.unseen > 10);
}

/* A backend that forgets the last copy of every commit, as an edge that gathers its rows by the
 * wrong list would. */
static uint32_t n_forgotten;
static void forgetful_move(struct se_backend *backend, const struct se_kv_move *move, uint32_t n)
{
    n_forgotten += n > 0;
    se_backend_cpu.move(backend, move, n > 0 ? n - 1 : 0);
}

static void the_check_finds_what_was_lost(void **state)
{
    static const uint32_t token[] = { 3, 5, 7, 9, 11 };
    static const int32_t parent[] = { -1, 0, 0, 2, 3 };
    const uint32_t path[] = { 0, 2 }, keep[] = { 3, 4 };
    struct se_backend_ops ops = se_backend_cpu;
    (void)state;
    ops.move = forgetful_move;
    for (int kept = 0; kept < 2; kept++) {
        open_draft(se_rng_u32(&edge.rng), SE_DTYPE_F32, 16, N_PAGES, &ops);
        struct se_drafter *d = edge.drafter;
        begin_text(20);
        good(d->ops->forward(d, token, parent, 5, WIDTH, id, logprob));
        check();
        good(d->ops->commit(d, path, 2, keep, kept ? 2 : 0));
        assert_int_equal(n_forgotten, kept + 1);
        refused(se_drafter_check(d), -EBADMSG, "fresh pass");
        d->ops->rewind(d, 20); /* one id of the path, which lay in its place */
        check();
        close_draft();
    }
}

/* The formula, from all logits. */
static void successors_are_ranked_as_told(void **state)
{
    static const struct {
        double temp;
        float sharpen;
    } row[] = { { 0, 0 }, { 0, 2 }, { 0.1, 0 }, { 0.1, 2 }, { 0.7, 0 }, { 0.7, 2 }, { 1.3, 1 } };
    static float logits[512], score[512], all[512];
    static uint32_t all_id[512];
    const int32_t on_text = -1;
    (void)state;
    open_draft(se_rng_u32(&edge.rng), SE_DTYPE_F32, 16, N_PAGES, NULL);
    struct se_drafter *d = edge.drafter;
    uint32_t vocab = d->vocab, k = vocab + 3;
    begin_text(12);
    struct se_seq *seq;
    good(se_seq_new(&seq, se_engine_kv(edge.engine)));
    struct se_part part = { .seq = seq, .token = edge.text, .n_rows = 11, .want = SE_WANT_NOTHING };
    good(se_step(edge.engine, &part, 1));
    part = (struct se_part){
        .seq = seq, .token = edge.text + 11, .n_rows = 1, .want = SE_WANT_LOGITS, .logits = logits
    };
    good(se_step(edge.engine, &part, 1));
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        d->sampling.temp = row[i].temp;
        d->sampling.seed = 77;
        d->sharpen = row[i].sharpen;
        good(d->ops->forward(d, edge.text + 11, &on_text, 1, k, all_id, all));
        d->ops->rewind(d, 11);
        double whole = 0, temp = row[i].temp, sharpen = (double)row[i].sharpen;
        if (sharpen > 0 && temp < 0.4) { /* trust has an end */
            sharpen *= temp > 0 ? temp / 0.4 : 1;
            temp = temp > 0 ? temp : 0.4 / sharpen;
        }
        for (uint32_t t = 0; t < vocab; t++) {
            bool noised = row[i].temp > 0 && sharpen > 0;
            double x = (double)logits[t] / (temp > 0 ? temp : 1);
            score[t] = (float)(noised ? sharpen * (x + (double)se_gumbel(77, 12, t)) : x);
            whole += exp((double)score[t]);
        }
        for (uint32_t t = 0; t < vocab; t++)
            assert_true(fabs((double)all[t] - ((double)score[all_id[t]] - log(whole))) < 1e-3);
        for (uint32_t t = vocab; t < k; t++)
            assert_true(all[t] == -INFINITY && all_id[t] == 0);
    }
    se_seq_free(seq);
    close_draft();
}

static void assert_as_before(uint32_t len, uint32_t rows)
{
    assert_int_equal(edge.drafter->len, len);
    assert_int_equal(edge.drafter->rows, rows);
    check();
}

static void refusals_change_nothing(void **state)
{
    static const uint32_t token[] = { 1, 2, 3, 4 }, twice[] = { 2, 2 }, down[] = { 2, 1 };
    static const int32_t parent[] = { -1, 0, 0, 1 }, later[] = { -1, 3, 1, 2 };
    static const uint32_t beyond[] = { 1, UINT32_MAX };
    uint32_t root[] = { 0, 2 }, orphan[] = { 3 };
    (void)state;
    open_draft(se_rng_u32(&edge.rng), SE_DTYPE_BF16, 8, N_PAGES, NULL);
    struct se_drafter *d = edge.drafter;
    begin_text(30);
    refused(d->ops->feed(d, beyond, 2), -EINVAL, "4294967295");
    refused(d->ops->feed(d, edge.text, 9), -EINVAL, "at most 8");
    refused(d->ops->forward(d, beyond, parent, 2, 2, id, logprob), -EINVAL, "vocabulary");
    refused(d->ops->forward(d, token, later, 4, 2, id, logprob), -EINVAL, "parent");
    refused(d->ops->forward(d, token, parent, 4, 0, id, logprob), -EINVAL, "top 0");
    assert_as_before(29, 0);
    good(d->ops->forward(d, token, parent, 4, 2, id, logprob));
    refused(d->ops->feed(d, token, 1), -EINVAL, "open");
    refused(d->ops->commit(d, down, 2, NULL, 0), -EINVAL, "follow");
    refused(d->ops->commit(d, root, 1, twice, 2), -EINVAL, "ascend");
    refused(d->ops->commit(d, root, 1, orphan, 1), -EINVAL, "stay");
    refused(d->ops->commit(d, root, 2, root + 1, 1), -EINVAL, "stay");
    assert_as_before(29, 4);
    good(d->ops->commit(d, root, 2, NULL, 0));
    assert_as_before(31, 0);
    close_draft();
    refused(se_drafter_model(&d, NULL, 0, 1, 1), -EINVAL, "0 ids");
    se_drafter_close(NULL);
}

static void the_context_ends(void **state)
{
    static const uint32_t token[] = { 1, 2, 3 };
    static const int32_t side[] = { -1, -1, -1 }, chain[] = { -1, 0, 1 };
    (void)state;
    open_draft(se_rng_u32(&edge.rng), SE_DTYPE_BF16, 32, N_PAGES, NULL);
    struct se_drafter *d = edge.drafter;
    uint32_t room = d->context = 100;
    begin_text(99); /* sees 98: two positions are left */
    refused(d->ops->forward(d, token, chain, 3, 2, id, logprob), -ERANGE, "context of 100");
    refused(d->ops->feed(d, token, 3), -ERANGE, "context of 100");
    assert_as_before(98, 0);
    good(d->ops->forward(d, token, side, 3, 2, id, logprob));
    good(d->ops->forward(d, token, (const int32_t[]){ 2, 1 }, 2, 2, id, logprob));
    refused(d->ops->forward(d, token, (const int32_t[]){ 4 }, 1, 2, id, logprob), -ERANGE, "100");
    assert_as_before(98, 5);
    good(d->ops->commit(d, (const uint32_t[]){ 1, 4 }, 2, NULL, 0));
    assert_as_before(room, 0);
    refused(d->ops->feed(d, token, 1), -ERANGE, "context");
    close_draft();
}

static void a_full_pool_is_said(void **state)
{
    static const uint32_t token[] = { 1, 2, 3 };
    static const int32_t side[] = { -1, -1, -1 };
    (void)state;
    open_draft(se_rng_u32(&edge.rng), SE_DTYPE_F16, 16, 4, NULL);
    struct se_drafter *d = edge.drafter;
    begin_text(63); /* sees 62 of 64 slots */
    refused(d->ops->forward(d, token, side, 3, 2, id, logprob), -ENOMEM, "no page is left");
    refused(d->ops->feed(d, token, 3), -ENOMEM, "no page is left");
    refused(se_drafter_check(d), -ENOMEM, "no page is left");
    assert_int_equal(d->len, 62);
    good(d->ops->forward(d, token, side, 2, 2, id, logprob));
    d->ops->rewind(d, 14);
    feed(14, 16);
    check();
    close_draft();
}

/* Padded rows of an embedding beyond the tokenizer's ids. */
static void what_lies_beyond_is_never_named(void **state)
{
    static const int32_t on_text = -1;
    struct se_drafter *less;
    uint32_t whole[512];
    (void)state;
    open_draft(se_rng_u32(&edge.rng), SE_DTYPE_F32, 16, N_PAGES, NULL);
    uint32_t vocab = edge.drafter->vocab, cut = vocab / 2;
    good(se_drafter_model(&less, edge.engine, cut, 100, 16));
    good(less->ops->feed(less, (const uint32_t[]){ 1, 2 }, 2));
    good(less->ops->forward(less, (const uint32_t[]){ 3 }, &on_text, 1, vocab, whole, logprob));
    uint32_t n = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        assert_in_range(whole[i], 0, cut - 1);
        n += logprob[i] > -INFINITY;
    }
    assert_in_range(n, 1, cut);
    good(se_drafter_check(less));
    se_drafter_close(less);
    close_draft();
}

/* Under the sanitizers: before the first tree there is no array to put in order. */
static void of_no_tree_nothing_is_likely(void **state)
{
    struct se_draft draft = { .drafter = NULL };
    uint32_t n = 1;
    (void)state;
    se_draft_likely(&draft, &n);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_no_tree_nothing_is_likely),
        cmocka_unit_test(rounds_leave_the_draft_as_recomputed),
        cmocka_unit_test(the_check_finds_what_was_lost),
        cmocka_unit_test(successors_are_ranked_as_told),
        cmocka_unit_test(refusals_change_nothing),
        cmocka_unit_test(the_context_ends),
        cmocka_unit_test(a_full_pool_is_said),
        cmocka_unit_test(what_lies_beyond_is_never_named),
    };
    se_rng_init(&edge.rng, tiny_seed(), SE_RNG_TEST);
    int failed = cmocka_run_group_tests_name("draft_model", tests, NULL, NULL);
    se_bet_fini(&edge.bet);
    se_grow_fini(&edge.grow);
    se_tree_fini(&edge.tree);
    return failed;
}
