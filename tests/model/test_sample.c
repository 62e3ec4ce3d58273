/* SPDX-License-Identifier: Apache-2.0 */
/* The kept set beside a plain one made by sorting, and 200,000 draws beside the softmax. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/sample.h"
#include "tests/model/tiny.h"

enum { N_MAX = 3000, DRAWS = 200000 };

static uint64_t seed;

struct entry {
    float x;
    uint32_t index;
};

static int best_first(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->x != y->x)
        return x->x > y->x ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* The cut by the book: sort, then temperature, top-k, top-p, min-p one after the other. */
static void cut_by_sorting(const struct se_sampling *s, const float *x, uint32_t n, bool *kept)
{
    static struct entry entry[N_MAX];
    double mass[N_MAX], whole = 0, before = 0;
    for (uint32_t i = 0; i < n; i++)
        entry[i] = (struct entry){ x[i], i };
    qsort(entry, n, sizeof *entry, best_first);
    uint32_t keep = s->top_k && s->top_k < n ? s->top_k : n;
    for (uint32_t i = 0; i < keep; i++) {
        mass[i] = exp(((double)entry[i].x - (double)entry[0].x) / s->temp);
        whole += mass[i];
    }
    memset(kept, 0, n * sizeof *kept);
    for (uint32_t i = 0; i < keep; i++) {
        bool in_head = s->top_p >= 1 || before / whole < s->top_p;
        kept[entry[i].index] = in_head && mass[i] >= s->min_p && entry[i].x > -INFINITY;
        before += mass[i];
    }
}

static void fill(struct se_rng *rng, float *x, uint32_t n, uint32_t kind)
{
    for (uint32_t i = 0; i < n; i++) {
        double value = se_rng_normal(rng);
        switch (kind) {
        case 0: /* as models give them */
            x[i] = (float)(3 * value);
            break;
        case 1: /* flat */
            x[i] = (float)(1e-3 * value);
            break;
        case 2: /* many ties, both signs, both zeros */
            x[i] = (float)(rint(value * 2) / 2) * (se_rng_below(rng, 2) ? 1.0f : -1.0f);
            break;
        case 3: /* far apart, and some cut before */
            x[i] = se_rng_below(rng, 5) ? (float)(300 * value) : -INFINITY;
            break;
        default: /* all the same */
            x[i] = -1.5f;
        }
    }
    x[se_rng_below(rng, n)] += kind == 3 ? 0.0f : 0.25f;
    if (kind == 3)
        x[se_rng_below(rng, n)] = 1;
}

static struct se_sampling draw_sampling(struct se_rng *rng)
{
    static const double temps[] = { 0.7, 1.0, 1.5, 0.01, 20 }, head[] = { 0.9, 0.5, 0.02, 0.999 };
    return (struct se_sampling){
        .temp = temps[se_rng_below(rng, 5)],
        .top_k = se_rng_below(rng, 2) ? 1 + se_rng_below(rng, 200) : 0,
        .top_p = se_rng_below(rng, 3) ? head[se_rng_below(rng, 4)] : 1,
        .min_p = se_rng_below(rng, 3) ? 0 : 0.05 + 0.5 * se_rng_unit(rng),
    };
}

static void the_kept_set_is_that_of_a_sort(void **state)
{
    static float x[N_MAX], cut[N_MAX];
    static bool kept[N_MAX];
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int round = 0; round < 600; round++) {
        uint32_t n = 1 + se_rng_below(&rng, se_rng_below(&rng, 2) ? N_MAX : 50);
        struct se_sampling s = draw_sampling(&rng);
        fill(&rng, x, n, (uint32_t)round % 5);
        memcpy(cut, x, n * sizeof *x);
        assert_int_equal(se_sample_cut(&s, cut, n), 0);
        cut_by_sorting(&s, x, n, kept);
        for (uint32_t i = 0; i < n; i++) {
            if (kept[i] ? cut[i] != x[i] : cut[i] != -INFINITY)
                fail_msg("round %d: n %u, temp %g, top_k %u, top_p %g, min_p %g: entry %u (%g) "
                         "should %s",
                         round, n, s.temp, s.top_k, s.top_p, s.min_p, i, (double)x[i],
                         kept[i] ? "stay" : "go");
        }
    }
}

/* A flat distribution once lost its head to a nucleus filter that was the wrong way round. */
static void top_p_keeps_the_head_and_cuts_the_tail(void **state)
{
    static const double temps[] = { 0.7, 1.0, 1.5 };
    (void)state;
    for (int t = 0; t < 3; t++) {
        float x[100];
        struct se_sampling s = { .temp = temps[t], .top_p = 0.8 };
        for (int i = 0; i < 100; i++)
            x[i] = (float)(-0.01 * i); /* the likeliest first, each about a hundredth */
        assert_int_equal(se_sample_cut(&s, x, 100), 0);
        assert_true(x[0] == 0);
        int n = 0;
        while (n < 100 && x[n] > -INFINITY)
            n++;
        assert_in_range(n, 60, 85);
        for (int i = n; i < 100; i++)
            assert_true(x[i] == -INFINITY);
    }
}

/* The value that chi-square with so many degrees of freedom exceeds once in 100,000 tests
 * (Wilson and Hilferty's approximation). */
static double chi_square_limit(uint32_t degrees)
{
    double z = 4.265, a = 2.0 / (9.0 * degrees);
    return degrees * pow(1 - a + z * sqrt(a), 3);
}

static void check_draws(const struct se_sampling *s, const float *x, uint32_t n)
{
    static bool kept[N_MAX];
    static uint32_t count[N_MAX];
    static float scratch[N_MAX];
    double whole = 0, chi = 0, rest_wanted = 0, rest = 0;
    uint32_t bins = 0;
    cut_by_sorting(s, x, n, kept);
    memset(count, 0, sizeof count);
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t token;
        memcpy(scratch, x, n * sizeof *x);
        assert_int_equal(se_sample(s, scratch, n, i, &token), 0);
        assert_in_range(token, 0, n - 1);
        assert_true(kept[token]);
        count[token]++;
    }
    for (uint32_t i = 0; i < n; i++)
        whole += kept[i] ? exp((double)x[i] / s->temp) : 0;
    for (uint32_t i = 0; i < n; i++) {
        double wanted = kept[i] ? DRAWS * exp((double)x[i] / s->temp) / whole : 0;
        if (wanted < 20) { /* too few for a bin of its own */
            rest_wanted += wanted;
            rest += count[i];
            continue;
        }
        chi += (count[i] - wanted) * (count[i] - wanted) / wanted;
        bins++;
    }
    if (rest_wanted > 5) {
        chi += (rest - rest_wanted) * (rest - rest_wanted) / rest_wanted;
        bins++;
    }
    print_message("temp %.1f top_k %u top_p %.2f min_p %.2f: %u bins, chi-square %.1f of %.1f\n",
                  s->temp, s->top_k, s->top_p, s->min_p, bins, chi, chi_square_limit(bins - 1));
    assert_in_range(bins, 3, N_MAX);
    assert_true(chi < chi_square_limit(bins - 1));
}

static void draws_follow_the_softmax(void **state)
{
    static const struct se_sampling sampling[] = {
        { .temp = 0.7, .top_p = 1 },
        { .temp = 1.0, .top_p = 0.9 },
        { .temp = 1.5, .top_k = 20, .top_p = 0.95, .min_p = 0.02 },
    };
    float x[64];
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int i = 0; i < 64; i++)
        x[i] = (float)(1.5 * se_rng_normal(&rng));
    for (size_t i = 0; i < sizeof sampling / sizeof *sampling; i++) {
        struct se_sampling s = sampling[i];
        s.seed = seed + i;
        check_draws(&s, x, 64);
    }
}

static void greedy_takes_the_first_of_the_largest(void **state)
{
    const struct se_sampling s = SE_SAMPLING_GREEDY;
    float x[] = { -1, 3, -INFINITY, 3, 2 };
    uint32_t token = 99;
    (void)state;
    assert_int_equal(se_sample(&s, x, 5, 0, &token), 0);
    assert_int_equal(token, 1);
    assert_int_equal(se_sample_cut(&s, x, 5), 0);
    assert_true(x[1] == 3 && x[0] == -INFINITY && x[3] == -INFINITY && x[4] == -INFINITY);
}

static void the_same_place_gives_the_same_token(void **state)
{
    struct se_sampling s = { .temp = 1.5, .top_p = 0.95, .seed = 5 };
    uint32_t first[200], differ = 0;
    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        s.seed = turn == 2 ? 6 : 5;
        for (uint32_t i = 0; i < 200; i++) {
            float x[50];
            uint32_t token;
            for (int k = 0; k < 50; k++)
                x[k] = (float)k * 0.05f;
            assert_int_equal(se_sample(&s, x, 50, i, &token), 0);
            if (turn == 0)
                first[i] = token;
            else
                differ += first[i] != token;
        }
        assert_true(turn == 2 ? differ > 100 : differ == 0);
    }
}

static void broken_logits_are_refused(void **state)
{
    const struct se_sampling s[] = { SE_SAMPLING_GREEDY, { .temp = 1, .top_p = 0.9 } };
    uint32_t token;
    (void)state;
    for (int i = 0; i < 2; i++) {
        float not_a_number[] = { 1, NAN, 0 }, none[] = { -INFINITY, -INFINITY };
        float infinite[] = { 0, INFINITY }, first[] = { NAN, 1 };
        assert_int_equal(se_sample(&s[i], not_a_number, 3, 0, &token), -EDOM);
        assert_int_equal(se_sample(&s[i], none, 2, 0, &token), -EDOM);
        assert_int_equal(se_sample(&s[i], infinite, 2, 0, &token), -EDOM);
        assert_int_equal(se_sample(&s[i], first, 2, 0, &token), -EDOM);
    }
}

static void settings_out_of_range_are_named(void **state)
{
    static const struct {
        struct se_sampling s;
        const char *names;
    } bad[] = {
        { { .temp = -1, .top_p = 1 }, "temperature" },
        { { .temp = NAN, .top_p = 1 }, "temperature" },
        { { .temp = 1e9, .top_p = 1 }, "temperature" },
        { { .temp = 1, .top_p = 0 }, "top-p" },
        { { .temp = 1, .top_p = 1.01 }, "top-p" },
        { { .temp = 1, .top_p = 1, .min_p = 1 }, "min-p" },
        { { .temp = 1, .top_p = 1, .min_p = -0.1 }, "min-p" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(se_sampling_check(&bad[i].s), -EINVAL);
        assert_non_null(strstr(se_err_text(), bad[i].names));
    }
    assert_int_equal(se_sampling_check(&SE_SAMPLING_GREEDY), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kept_set_is_that_of_a_sort),
        cmocka_unit_test(top_p_keeps_the_head_and_cuts_the_tail),
        cmocka_unit_test(draws_follow_the_softmax),
        cmocka_unit_test(greedy_takes_the_first_of_the_largest),
        cmocka_unit_test(the_same_place_gives_the_same_token),
        cmocka_unit_test(broken_logits_are_refused),
        cmocka_unit_test(settings_out_of_range_are_named),
    };
    seed = tiny_seed();
    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
