/* SPDX-License-Identifier: Apache-2.0 */
/* Pages and sequences beside a plain model: what every slot holds is written down, moves are
 * carried out on that, and after each action the text has to lie where it belongs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "kernels/attend.h"
#include "runtime/base/rng.h"
#include "runtime/model/kv.h"
#include "tests/model/tiny.h"

enum { PAGES = 24, SEQS = 4, TEXT_MAX = PAGES * SE_PAGE_SLOTS };

struct shadow {
    struct se_seq *seq;
    uint32_t text[TEXT_MAX]; /* the marks of the committed text */
    uint32_t mark[TEXT_MAX]; /* of the pending nodes */
};

static uint32_t memory[PAGES][SE_PAGE_SLOTS]; /* a mark per slot, as a backend would hold */
static uint32_t next_mark = 1;

static uint32_t *slot(const struct se_seq *seq, uint32_t number)
{
    return &memory[seq->page[number / SE_PAGE_SLOTS]][number % SE_PAGE_SLOTS];
}

static uint32_t pages_held(const struct shadow *s)
{
    uint32_t n = 0;
    for (int i = 0; i < SEQS; i++)
        n += s[i].seq->n_pages;
    return n;
}

static void check(const struct shadow *s, const struct se_kv *kv)
{
    bool used[PAGES] = { false };
    for (int i = 0; i < SEQS; i++) {
        const struct se_seq *seq = s[i].seq;
        uint32_t slots = seq->len + seq->pending;
        assert_int_equal(seq->n_pages, (slots + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS);
        for (uint32_t p = 0; p < seq->n_pages; p++) {
            assert_in_range(seq->page[p], 0, PAGES - 1);
            assert_false(used[seq->page[p]]);
            used[seq->page[p]] = true;
        }
        for (uint32_t k = 0; k < seq->len; k++)
            assert_int_equal(*slot(seq, k), s[i].text[k]);
        for (uint32_t k = 0; k < seq->pending; k++)
            assert_int_equal(*slot(seq, seq->len + k), s[i].mark[k]);
    }
    assert_int_equal(se_kv_pages_free(kv), PAGES - pages_held(s));
}

static void add(struct shadow *s, const struct se_kv *kv, struct se_rng *rng)
{
    uint32_t n = 1 + se_rng_below(rng, 40), token[40] = { 0 }, pending = s->seq->pending;
    int32_t parent[40];
    bool chain = se_rng_below(rng, 2);
    for (uint32_t i = 0; i < n; i++)
        parent[i] = (int32_t)se_rng_below(rng, pending + i + 1) - 1;
    uint32_t need = (s->seq->len + pending + n + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS;
    bool fits = need - s->seq->n_pages <= se_kv_pages_free(kv);
    int r = se_seq_add(s->seq, token, chain ? NULL : parent, n);
    assert_int_equal(r, fits ? 0 : SE_KV_FULL);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        const struct se_node *node = &s->seq->node[pending + i];
        int32_t above = chain ? (int32_t)(pending + i) - 1 : parent[i];
        assert_int_equal(node->parent, above);
        assert_int_equal(node->depth, above < 0 ? 0 : s->seq->node[above].depth + 1);
        s->mark[pending + i] = *slot(s->seq, s->seq->len + pending + i) = next_mark++;
    }
}

/* Some of what hangs below the last node of the path, each with its parent. */
static uint32_t draw_keep(const struct se_seq *seq, int32_t end, struct se_rng *rng, uint32_t *keep)
{
    static bool kept[TEXT_MAX];
    uint32_t n = 0, odds = se_rng_below(rng, 4);
    for (uint32_t i = 0; i < seq->pending; i++) {
        int32_t parent = seq->node[i].parent;
        bool below = parent == end || (parent >= 0 && kept[parent]);
        kept[i] = below && se_rng_below(rng, 3) < odds;
        if (kept[i])
            keep[n++] = i;
    }
    return n;
}

/* What a node that stays must be: its old self under a new number. */
static void check_kept(const struct se_seq *seq, const struct se_node *old, int32_t end,
                       const uint32_t *keep, uint32_t i, uint32_t lift)
{
    const struct se_node *node = &seq->node[i];
    int32_t parent = old[keep[i]].parent;
    assert_int_equal(node->token, old[keep[i]].token);
    assert_int_equal(node->depth, old[keep[i]].depth - lift);
    if (parent == end)
        assert_int_equal(node->parent, SE_NODE_ROOT);
    else
        assert_int_equal(keep[node->parent], parent);
}

static void commit(struct shadow *s, struct se_rng *rng)
{
    static struct se_kv_move moves[TEXT_MAX];
    static struct se_node old[TEXT_MAX];
    uint32_t path[TEXT_MAX], keep[TEXT_MAX], n = 0, n_moves, at = s->seq->len;
    uint32_t pending = s->seq->pending;
    int32_t node = (int32_t)se_rng_below(rng, pending + 1) - 1;
    for (int32_t up = node; up >= 0; up = s->seq->node[up].parent)
        n++;
    uint32_t i = n;
    for (int32_t up = node; up >= 0; up = s->seq->node[up].parent)
        path[--i] = (uint32_t)up;
    uint32_t n_keep = draw_keep(s->seq, node, rng, keep);
    if (pending > 0)
        memcpy(old, s->seq->node, pending * sizeof old[0]);
    assert_int_equal(se_seq_commit(s->seq, path, n, keep, n_keep, moves, &n_moves), 0);
    for (i = 0; i < n_moves; i++)
        memory[moves[i].to_page][moves[i].to_slot] = memory[moves[i].from_page][moves[i].from_slot];
    uint32_t in_place = 0;
    for (i = 0; i < n; i++) {
        s->text[at + i] = s->mark[path[i]];
        in_place += path[i] == i;
    }
    for (i = 0; i < n_keep; i++) {
        check_kept(s->seq, old, node, keep, i, n);
        s->mark[i] = s->mark[keep[i]];
        in_place += keep[i] == n + i;
    }
    assert_int_equal(n_moves, n + n_keep - in_place);
    assert_int_equal(s->seq->len, at + n);
    assert_int_equal(s->seq->pending, n_keep);
}

static void act(struct shadow *s, const struct se_kv *kv, struct se_rng *rng)
{
    switch (se_rng_below(rng, 6)) {
    case 0:
        commit(s, rng);
        break;
    case 1:
        se_seq_drop(s->seq, se_rng_below(rng, s->seq->pending + 2));
        break;
    case 2:
        se_seq_rewind(s->seq, se_rng_below(rng, s->seq->len + 1));
        break;
    default:
        add(s, kv, rng);
    }
}

static void random_histories_keep_the_text(void **state)
{
    static struct shadow s[SEQS];
    struct se_kv *kv;
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, tiny_seed(), SE_RNG_TEST);
    assert_int_equal(se_kv_new(&kv, PAGES), 0);
    for (int i = 0; i < SEQS; i++)
        assert_int_equal(se_seq_new(&s[i].seq, kv), 0);
    for (int round = 0; round < 20000; round++) {
        act(&s[se_rng_below(&rng, SEQS)], kv, &rng);
        check(s, kv);
    }
    for (int i = 0; i < SEQS; i++)
        se_seq_free(s[i].seq);
    assert_int_equal(se_kv_pages_free(kv), PAGES);
    se_kv_free(kv);
}

static void a_full_pool_changes_nothing(void **state)
{
    struct se_kv *kv;
    struct se_seq *a, *b;
    const uint32_t token[SE_PAGE_SLOTS * 2] = { 0 };
    (void)state;
    assert_int_equal(se_kv_new(&kv, 2), 0);
    assert_int_equal(se_kv_pages(kv), 2);
    assert_int_equal(se_seq_new(&a, kv), 0);
    assert_int_equal(se_seq_new(&b, kv), 0);
    assert_int_equal(se_seq_add(a, token, NULL, SE_PAGE_SLOTS + 1), 0);
    assert_int_equal(se_seq_add(b, token, NULL, 1), SE_KV_FULL);
    assert_int_equal(b->pending, 0);
    assert_int_equal(b->n_pages, 0);
    assert_int_equal(se_seq_add(a, token, NULL, SE_PAGE_SLOTS), SE_KV_FULL);
    assert_int_equal(a->pending, SE_PAGE_SLOTS + 1);
    se_seq_drop(a, SE_PAGE_SLOTS); /* the second page goes back */
    assert_int_equal(se_seq_add(b, token, NULL, 1), 0);
    se_seq_free(a);
    se_seq_free(b);
    se_kv_free(kv);
}

static void assert_keep_refused(struct se_seq *seq, const uint32_t *path, uint32_t n,
                                const uint32_t *keep, uint32_t n_keep)
{
    struct se_kv_move moves[8];
    uint32_t n_moves, pending = seq->pending, len = seq->len;
    assert_int_equal(se_seq_commit(seq, path, n, keep, n_keep, moves, &n_moves), -EINVAL);
    assert_int_equal(seq->pending, pending);
    assert_int_equal(seq->len, len);
}

/* The tree is 0 <- 1 <- 2, 0 <- 3. */
static void only_what_hangs_on_the_path_can_stay(void **state)
{
    struct se_kv *kv;
    struct se_seq *seq;
    struct se_kv_move moves[8];
    const uint32_t token[4] = { 0 }, path[] = { 0 };
    uint32_t n_moves;
    (void)state;
    assert_int_equal(se_kv_new(&kv, 4), 0);
    assert_int_equal(se_seq_new(&seq, kv), 0);
    assert_int_equal(se_seq_add(seq, token, (const int32_t[]){ -1, 0, 1, 0 }, 4), 0);
    assert_keep_refused(seq, path, 1, (const uint32_t[]){ 2 }, 1);
    assert_keep_refused(seq, path, 1, (const uint32_t[]){ 2, 1 }, 2);
    assert_keep_refused(seq, path, 1, (const uint32_t[]){ 1, 1 }, 2);
    assert_keep_refused(seq, path, 1, (const uint32_t[]){ 1, 4 }, 2);
    assert_keep_refused(seq, path, 1, (const uint32_t[]){ 0, 1 }, 2);
    assert_keep_refused(seq, NULL, 0, (const uint32_t[]){ 1 }, 1);
    assert_int_equal(se_seq_commit(seq, path, 1, (const uint32_t[]){ 1, 2 }, 2, moves, &n_moves),
                     0);
    assert_int_equal(n_moves, 0);
    assert_int_equal(seq->pending, 2);
    assert_int_equal(seq->node[1].parent, 0);
    assert_int_equal(seq->node[1].depth, 1);
    se_seq_free(seq);
    se_kv_free(kv);
}

static void wrong_trees_and_paths_are_refused(void **state)
{
    struct se_kv *kv;
    struct se_seq *seq;
    const uint32_t token[3] = { 0 };
    struct se_kv_move moves[3];
    uint32_t n_moves;
    (void)state;
    assert_int_equal(se_kv_new(&kv, 4), 0);
    assert_int_equal(se_seq_new(&seq, kv), 0);
    assert_int_equal(se_seq_add(seq, token, (const int32_t[]){ -1, 1, 0 }, 3), -EINVAL);
    assert_int_equal(se_seq_add(seq, token, (const int32_t[]){ -2, 0, 0 }, 3), -EINVAL);
    assert_int_equal(seq->pending, 0);
    assert_int_equal(se_seq_add(seq, token, (const int32_t[]){ -1, 0, 0 }, 3), 0);
    assert_int_equal(se_seq_commit(seq, (const uint32_t[]){ 1 }, 1, NULL, 0, moves, &n_moves),
                     -EINVAL);
    assert_int_equal(se_seq_commit(seq, (const uint32_t[]){ 0, 3 }, 2, NULL, 0, moves, &n_moves),
                     -EINVAL);
    assert_int_equal(se_seq_commit(seq, (const uint32_t[]){ 0, 1, 2 }, 3, NULL, 0, moves, &n_moves),
                     -EINVAL);
    assert_int_equal(seq->pending, 3);
    assert_int_equal(seq->len, 0);
    assert_int_equal(se_seq_commit(seq, (const uint32_t[]){ 0, 2 }, 2, NULL, 0, moves, &n_moves),
                     0);
    assert_int_equal(n_moves, 1);
    assert_int_equal(moves[0].from_slot, 2);
    assert_int_equal(moves[0].to_slot, 1);
    se_seq_free(seq);
    se_kv_free(kv);
}

/* What a long prompt took is not held for as long as the sequence rests. */
static void a_sequence_at_rest_is_small(void **state)
{
    uint32_t token[300] = { 0 };
    struct se_kv *kv;
    struct se_seq *seq;
    (void)state;
    assert_int_equal(se_kv_new(&kv, PAGES), 0);
    assert_int_equal(se_seq_new(&seq, kv), 0);
    assert_int_equal(se_seq_add(seq, token, NULL, 300), 0);
    se_seq_settle(seq);
    assert_int_equal(seq->len, 300);
    assert_int_equal(seq->pending, 0);
    assert_true(seq->node_cap <= 128);
    assert_int_equal(se_seq_add(seq, token, NULL, 20), 0);
    se_seq_drop(seq, 0);
    assert_true(seq->node_cap >= 20); /* trees come and go */
    assert_int_equal(seq->len, 300);
    se_seq_free(seq);
    se_kv_free(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories_keep_the_text),
        cmocka_unit_test(a_full_pool_changes_nothing),
        cmocka_unit_test(wrong_trees_and_paths_are_refused),
        cmocka_unit_test(only_what_hangs_on_the_path_can_stay),
        cmocka_unit_test(a_sequence_at_rest_is_small),
    };
    return cmocka_run_group_tests_name("kv", tests, NULL, NULL);
}
