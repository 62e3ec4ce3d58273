/* SPDX-License-Identifier: Apache-2.0 */
/* The n-gram drafter against one that looks through the whole text, and on texts that are made to
 * be slow. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "sched/edge/drafter.h"
#include "tests/model/tiny.h"

enum { TEXT = 40000, ROWS = 300, K_MAX = 100, WALK = 32, MOST = 64 };

/* What the drafter is to know, kept in the plainest way. */
static struct plain {
    uint32_t text[TEXT], len;
    uint32_t token[ROWS];
    int32_t parent[ROWS];
    uint32_t n, longest, vocab;
} plain;

static struct se_drafter *drafter;
static struct se_rng rng;

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

struct successor {
    uint32_t token, count;
    double logprob;
};

/* Stable: of equals the one found first stays first. */
static void order(struct successor *s, uint32_t from, uint32_t n, bool by_count)
{
    for (uint32_t pass = from; pass < n; pass++)
        for (uint32_t i = from; i + 1 < n; i++)
            if (by_count ? s[i].count < s[i + 1].count : s[i].logprob < s[i + 1].logprob) {
                struct successor other = s[i];
                s[i] = s[i + 1];
                s[i + 1] = other;
            }
}

/* The whole context of a row, at the end of a copy of the text. */
static uint32_t context_of(uint32_t row, uint32_t *context)
{
    uint32_t depth = 0;
    for (int32_t at = (int32_t)row; at >= 0; at = plain.parent[at])
        depth++;
    memcpy(context, plain.text, plain.len * sizeof *context);
    uint32_t len = plain.len + depth, end = len;
    for (int32_t at = (int32_t)row; at >= 0; at = plain.parent[at])
        context[--end] = plain.token[at];
    return len;
}

static uint32_t expected(uint32_t row, uint32_t k, struct successor *s)
{
    static uint32_t context[TEXT + ROWS];
    uint32_t len = context_of(row, context), n = 0;
    double left = 1;
    k = k < MOST ? k : MOST;
    for (uint32_t m = plain.longest < len ? plain.longest : len; m > 0 && n < k; m--) {
        uint32_t old = n, total = 0, walked = 0;
        for (uint32_t next = plain.len; next-- > m && walked < WALK;) {
            if (memcmp(plain.text + next - m, context + len - m, m * sizeof *context) != 0)
                continue;
            uint32_t at = 0;
            while (at < n && s[at].token != plain.text[next])
                at++;
            if (at == n)
                s[n++] = (struct successor){ .token = plain.text[next] };
            if (at >= old) {
                s[at].count++;
                total++;
            }
            walked++;
        }
        double escape = (double)(n - old) / m;
        for (uint32_t i = old; i < n; i++)
            s[i].logprob = log(left * s[i].count / (total + escape));
        order(s, old, n, true);
        left *= n > old ? escape / (total + escape) : 1;
    }
    order(s, 0, n, false);
    return n;
}

/* By probability: where two are as good as equal, rounding may choose. */
static void assert_answer(uint32_t row, uint32_t k, const uint32_t *id, const float *logprob)
{
    struct successor s[MOST + WALK];
    uint32_t n = expected(row, k, s);
    for (uint32_t i = 0; i < k; i++) {
        assert_true(logprob[i] <= (i > 0 ? logprob[i - 1] : 0));
        if (i >= n) {
            assert_true(logprob[i] == -INFINITY && id[i] == 0);
            continue;
        }
        if (fabs((double)logprob[i] - s[i].logprob) > 1e-5)
            fail_msg("row %u, successor %u: %g, not %g", row, i, (double)logprob[i], s[i].logprob);
        uint32_t at = 0;
        while (at < n && s[at].token != id[i])
            at++;
        if (at == n || fabs(s[at].logprob - (double)logprob[i]) > 1e-5)
            fail_msg("row %u, successor %u: token %u has %g", row, i, id[i], (double)logprob[i]);
        for (uint32_t j = 0; j < i; j++)
            assert_int_not_equal(id[i], id[j]);
    }
}

static uint32_t id[ROWS * K_MAX];
static float logprob[ROWS * K_MAX];

static void feed(void)
{
    uint32_t n = se_rng_below(&rng, 40);
    uint32_t *from = plain.text + plain.len;
    for (uint32_t i = 0; i < n; i++) {
        bool copies = plain.len + i > 20 && se_rng_below(&rng, 3) > 0;
        from[i] = copies ? *(from + i - 17) : se_rng_below(&rng, plain.vocab);
    }
    good(drafter->ops->feed(drafter, from, n));
    plain.len += n;
}

static void forward(void)
{
    uint32_t room = ROWS - plain.n, n = se_rng_below(&rng, 33), first = plain.n;
    uint32_t k = 1 + se_rng_below(&rng, se_rng_below(&rng, 4) ? 20 : K_MAX);
    n = n < room ? n : room;
    for (uint32_t i = 0; i < n; i++) {
        bool on_text = first + i == 0 || se_rng_below(&rng, 4) == 0;
        bool copies = plain.len > 0 && se_rng_below(&rng, 2);
        plain.parent[first + i] = on_text ? -1 : (int32_t)se_rng_below(&rng, first + i);
        plain.token[first + i] =
            copies ? plain.text[se_rng_below(&rng, plain.len)] : se_rng_below(&rng, plain.vocab);
    }
    good(drafter->ops->forward(drafter, plain.token + first, plain.parent + first, n, k, id,
                               logprob));
    plain.n += n;
    for (uint32_t i = 0; i < n; i++)
        assert_answer(first + i, k, id + i * k, logprob + i * k);
}

/* A way down from the text to some row, and of what is below it all that stays together. */
static void commit(void)
{
    static uint32_t path[ROWS], keep[ROWS];
    uint32_t n = 0, n_keep = 0;
    int32_t number[ROWS], end = plain.n > 0 ? (int32_t)se_rng_below(&rng, plain.n + 1) - 1 : -1;
    for (int32_t at = end; at >= 0; at = plain.parent[at])
        n++;
    uint32_t depth = n;
    for (int32_t at = end; at >= 0; at = plain.parent[at])
        path[--depth] = (uint32_t)at;
    for (uint32_t i = 0; i < plain.n; i++) {
        int32_t above = plain.parent[i];
        number[i] = -2;
        if ((int32_t)i == end || se_rng_below(&rng, 4) == 0)
            continue;
        if (above == end || (above >= 0 && number[above] >= 0)) {
            number[i] = (int32_t)n_keep;
            keep[n_keep++] = i;
        }
    }
    good(drafter->ops->commit(drafter, path, n, keep, n_keep));
    for (uint32_t i = 0; i < n; i++)
        plain.text[plain.len++] = plain.token[path[i]];
    for (uint32_t i = 0; i < n_keep; i++) {
        int32_t above = plain.parent[keep[i]];
        plain.token[i] = plain.token[keep[i]];
        plain.parent[i] = above == end ? -1 : number[above];
    }
    plain.n = n_keep;
}

static void rewind_some(void)
{
    uint32_t len = se_rng_below(&rng, plain.len + 3); /* beyond the end: nothing goes but rows */
    drafter->ops->rewind(drafter, len);
    plain.len = len < plain.len ? len : plain.len;
    plain.n = 0;
}

static void begin(uint32_t vocab, uint32_t longest)
{
    plain.len = plain.n = 0;
    plain.vocab = vocab;
    plain.longest = longest;
    good(se_drafter_ngram(&drafter, vocab, longest));
    assert_string_equal(drafter->ops->name, "ngram");
}

static void histories_are_as_if_looked_through(void **state)
{
    (void)state;
    for (int session = 0; session < 30; session++) {
        begin(2 + se_rng_below(&rng, se_rng_below(&rng, 2) ? 6 : 200), 1 + se_rng_below(&rng, 8));
        for (int turn = 0; turn < 60 && plain.len < TEXT - ROWS; turn++) {
            if (plain.n == 0)
                feed();
            forward();
            if (se_rng_below(&rng, 12) == 0)
                rewind_some();
            else if (se_rng_below(&rng, 2))
                commit();
            assert_int_equal(drafter->len, plain.len);
            assert_int_equal(drafter->rows, plain.n);
            good(se_drafter_check(drafter));
        }
        se_drafter_close(drafter);
    }
}

static void the_example_holds(void **state)
{
    enum { THE = 1, CAT, SAT, RAN, DOT, DOG };
    static const uint32_t text[] = { THE, CAT, SAT, DOT, THE, CAT, RAN, DOT, THE };
    static const uint32_t token[] = { CAT, DOG };
    static const int32_t parent[] = { -1, -1 };
    (void)state;
    begin(10, 2);
    good(drafter->ops->feed(drafter, text, 9));
    good(drafter->ops->forward(drafter, token, parent, 2, 4, id, logprob));
    assert_int_equal(id[0], RAN); /* the newer one */
    assert_int_equal(id[1], SAT);
    assert_true(fabsf(logprob[0] - logf(1 / 3.0f)) < 1e-6f && logprob[1] == logprob[0]);
    for (int i = 2; i < 8; i++) /* nobody knows what a dog does */
        assert_true(logprob[i] == -INFINITY);
    se_drafter_close(drafter);
}

static void refusals_change_nothing(void **state)
{
    static const uint32_t token[] = { 1, 2 }, beyond[] = { 1, 5 };
    static const int32_t parent[] = { -1, 0 }, later[] = { 1, -1 };
    const uint32_t up[] = { 1 };
    (void)state;
    refused(se_drafter_ngram(&drafter, 0, 3), -EINVAL, "0 ids");
    refused(se_drafter_ngram(&drafter, 5, 0), -EINVAL, "not 0");
    refused(se_drafter_ngram(&drafter, 5, 17), -EINVAL, "not 17");
    begin(5, 3);
    good(drafter->ops->feed(drafter, token, 2));
    refused(drafter->ops->feed(drafter, beyond, 2), -EINVAL, "vocabulary of 5");
    refused(drafter->ops->feed(drafter, plain.text, drafter->max_rows + 1), -EINVAL, "at most");
    refused(drafter->ops->forward(drafter, beyond, parent, 2, 1, id, logprob), -EINVAL, "5");
    refused(drafter->ops->forward(drafter, token, later, 2, 1, id, logprob), -EINVAL, "parent");
    refused(drafter->ops->forward(drafter, token, parent, 2, 0, id, logprob), -EINVAL, "top 0");
    assert_int_equal(drafter->rows, 0);
    good(drafter->ops->forward(drafter, token, parent, 2, 1, id, logprob));
    refused(drafter->ops->feed(drafter, token, 1), -EINVAL, "open");
    refused(drafter->ops->commit(drafter, up, 1, NULL, 0), -EINVAL, "follow");
    assert_int_equal(drafter->len, 2);
    assert_int_equal(drafter->rows, 2);
    se_drafter_close(drafter);
}

/* 32,768 ids: one over and over, two in turn, and few at random. A look through the text for each
 * of the rows would be a thousand million comparisons. */
static void long_texts_are_fast(void **state)
{
    enum { LONG = 32768, CALLS = 100, BATCH = 32 };
    static uint32_t token[BATCH];
    static int32_t parent[BATCH];
    (void)state;
    for (uint32_t kind = 0; kind < 4; kind++) {
        begin(5000, 8);
        for (uint32_t i = 0; i < LONG; i++)
            plain.text[i] = kind < 2 ? i % (kind + 1) : se_rng_below(&rng, kind == 2 ? 3 : 5000);
        uint64_t begun = se_clock_ns();
        for (uint32_t at = 0; at < LONG; at += drafter->max_rows) {
            uint32_t n = LONG - at < drafter->max_rows ? LONG - at : drafter->max_rows;
            good(drafter->ops->feed(drafter, plain.text + at, n));
        }
        uint64_t fed = se_clock_ns();
        for (uint32_t call = 0; call < CALLS; call++) {
            for (uint32_t i = 0; i < BATCH; i++) {
                token[i] = plain.text[se_rng_below(&rng, LONG)];
                parent[i] = (int32_t)i - 1;
            }
            good(drafter->ops->forward(drafter, token, parent, BATCH, 16, id, logprob));
            drafter->ops->rewind(drafter, LONG);
        }
        uint64_t done = se_clock_ns();
        print_message("text %u: %.1f ms to feed, %.1f us a call of %d rows\n", kind,
                      (double)(fed - begun) * 1e-6, (double)(done - fed) * 1e-3 / CALLS, BATCH);
        assert_true(done - begun < UINT64_C(20000000000)); /* even under an emulator */
        drafter->ops->rewind(drafter, 0);
        assert_int_equal(drafter->len, 0);
        se_drafter_close(drafter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories_are_as_if_looked_through),
        cmocka_unit_test(the_example_holds),
        cmocka_unit_test(refusals_change_nothing),
        cmocka_unit_test(long_texts_are_fast),
    };
    se_rng_init(&rng, tiny_seed(), SE_RNG_TEST);
    return cmocka_run_group_tests_name("draft_ngram", tests, NULL, NULL);
}
