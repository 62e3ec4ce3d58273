/* SPDX-License-Identifier: Apache-2.0 */
/* check_gumbel - the noise against logarithms in double, and every usable row of
 * se_gumbel_table against the C reference, bit for bit.
 *
 *   check_gumbel            SE_TEST_SEED=N repeats a run
 *   check_gumbel --bench    times the rows instead */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/gumbel.h"
#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "tests/kernels/check.h"

static struct se_rng rng;

static double noise_in_double(uint32_t word)
{
    if (word < 0x80000000u)
        return -log(-log((word + 0.5) * 0x1p-32));
    return -log(-log1p(-((uint32_t)~word + 0.5) * 0x1p-32));
}

static void check_word(uint32_t word)
{
    double want = noise_in_double(word), got = se_gumbel_of_word(word);
    if (!(fabs(got - want) <= 5e-7 * fmax(1, fabs(want))))
        fail_msg("word %08x: %.9g instead of %.9g", word, got, want);
}

static void noise_is_accurate(void **state)
{
    (void)state;
    for (int32_t near = -5000; near <= 5000; near++) {
        check_word((uint32_t)near);               /* the ends */
        check_word(0x80000000u + (uint32_t)near); /* where the halves meet */
        check_word(0x5e2d58d8u + (uint32_t)near); /* g = 0 */
        check_word(0xb504f333u + (uint32_t)near); /* u = sqrt(1/2), where exponents change */
    }
    for (uint32_t i = 0; i < 400000; i++)
        check_word(se_rng_u32(&rng) >> se_rng_below(&rng, 32));
    for (uint32_t i = 0; i < 400000; i++)
        check_word(~(se_rng_u32(&rng) >> se_rng_below(&rng, 32)));
}

/* Values pinned once for all: a seed must give the same text for ever. */
static void noise_is_pinned(void **state)
{
    static const struct {
        uint32_t word;
        float g;
    } pinned[] = {
        { 0x00000000u, -0x1.90a3aap+1f }, { 0x00000001u, -0x1.8a56ccp+1f },
        { 0x12345678u, -0x1.f1b82cp-1f }, { 0x5e2d58d8u, 0x0p+0f },
        { 0x7fffffffu, 0x1.774f2ap-2f },  { 0x80000000u, 0x1.774f2ap-2f },
        { 0xb504f333u, 0x1.0f45e2p+0f },  { 0xdeadbeefu, 0x1.f8564cp+0f },
        { 0xfffffffeu, 0x1.5c6768p+4f },  { 0xffffffffu, 0x1.6dfb52p+4f },
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof pinned / sizeof *pinned; i++) {
        float g = se_gumbel_of_word(pinned[i].word);
        assert_true(check_same_bits(&g, &pinned[i].g, 1));
    }
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < 100000; i++) { /* FNV-1a over words of all sizes */
        float noise = se_gumbel_of_word(i * 2654435761u);
        uint32_t bits;
        memcpy(&bits, &noise, sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3u;
    }
    assert_true(hash == 0xed8827f2a34953cbu);
    float g = se_gumbel(42, 7, 123);
    const float want = 0x1.4a885p-1f;
    assert_true(check_same_bits(&g, &want, 1));
}

enum fill { FLAT, NORMAL, PEAKED, CUT, ALONE, TIES, SINKING, FILLS };
static const char *const fill_names[FILLS] = { "flat",  "normal", "peaked", "cut",
                                               "alone", "ties",   "sinking" };

static float draw(enum fill fill, uint32_t i)
{
    float value = (float)se_rng_normal(&rng);
    switch (fill) {
    case FLAT:
        return 1.5f;
    case PEAKED:
        return se_rng_below(&rng, 1000) ? 2 * value : 20 + value;
    case CUT:
        return se_rng_below(&rng, 30) ? -INFINITY : value;
    case ALONE: /* one is added by the caller */
        return -INFINITY;
    case TIES: /* too large for the noise to tell them apart */
        return se_rng_below(&rng, 3) ? 1e30f : -1e30f;
    case SINKING: /* the scores of all overflow downwards */
        return i % 3 ? -3e38f : -INFINITY;
    default:
        return 3 * value;
    }
}

static const struct se_gumbel_impl *reference(void)
{
    return &se_gumbel_table[se_gumbel_table_n - 1];
}

static void check_case(const struct se_gumbel_impl *impl, uint32_t n, enum fill fill)
{
    static const float inv_ts[] = { 1.0f, 1.0f / 0.7f, 1.0f / 0.05f, 1.0f / 1.5f, 0.0f, 4.0f };
    struct check_area x_area, out_area;
    float *x = check_area_init(&x_area, n * sizeof(float));
    float *out = check_area_init(&out_area, n * sizeof(float));
    float *want = se_mem_new(n, sizeof(float));
    uint64_t seed = (uint64_t)se_rng_u32(&rng) << 32 | se_rng_u32(&rng);
    uint32_t position = se_rng_u32(&rng) >> se_rng_below(&rng, 32);
    float inv_t = inv_ts[se_rng_below(&rng, sizeof inv_ts / sizeof *inv_ts)];
    for (uint32_t i = 0; i < n; i++)
        x[i] = draw(fill, i);
    uint32_t one = se_rng_below(&rng, n); /* one at least is finite */
    x[one] = fill == SINKING ? -3e38f : (float)se_rng_normal(&rng);
    printf("case %s: n %u, %s, 1/T %g, seed %#llx, position %u\n", impl->name, n, fill_names[fill],
           (double)inv_t, (unsigned long long)seed, position);
    uint32_t winner = reference()->argmax(x, n, inv_t, seed, position);
    assert_true(isfinite(x[winner]));
    assert_int_equal(impl->argmax(x, n, inv_t, seed, position), winner);
    if (inv_t == 0.0f)
        inv_t = 1; /* nothing sensible comes of 0 times infinity */
    reference()->add(x, n, inv_t, seed, position, want);
    impl->add(x, n, inv_t, seed, position, out);
    assert_true(check_same_bits(out, want, n));
    impl->add(x, n, inv_t, seed, position, x);
    assert_true(check_same_bits(x, want, n));
    assert_true(check_area_fini(&x_area) && check_area_fini(&out_area));
    se_mem_free(want);
}

static void rows_match(void **state)
{
    static const uint32_t sizes[] = { 127, 128, 129, 1000, 4096, 32000, 151936 };
    (void)state;
    for (uint32_t t = 0; t < se_gumbel_table_n; t++) {
        const struct se_gumbel_impl *impl = &se_gumbel_table[t];
        if (!impl->cpu || (impl->cpu & ~se_cpu_flags()))
            continue;
        for (uint32_t i = 1; i < 70 + sizeof sizes / sizeof *sizes; i++) {
            uint32_t n = i < 70 ? i : sizes[i - 70];
            for (enum fill fill = 0; fill < FILLS; fill++)
                for (uint32_t again = n < 1000 ? 3 : 1; again > 0; again--)
                    check_case(impl, n, fill);
        }
    }
}

/* The reference itself: the largest of the scores as they are defined. */
static void reference_is_the_definition(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        enum { N = 300 };
        float x[N], out[N];
        uint64_t seed = se_rng_u32(&rng);
        uint32_t best = UINT32_MAX;
        for (uint32_t j = 0; j < N; j++)
            x[j] = j % 5 == i % 5 ? -INFINITY : draw(NORMAL, j);
        reference()->add(x, N, 1.25f, seed, i, out);
        for (uint32_t j = 0; j < N; j++) {
            float score = x[j] * 1.25f + se_gumbel(seed, i, j);
            assert_true(check_same_bits(&out[j], &score, 1));
            if (isfinite(x[j]) && (best == UINT32_MAX || out[j] > out[best]))
                best = j;
        }
        assert_int_equal(reference()->argmax(x, N, 1.25f, seed, i), best);
    }
}

/* Words next to the ends are rare: look for some, so that vectors meet them too. */
static void extremes_match(void **state)
{
    enum { N = 1 << 18 };
    (void)state;
    float *x = se_mem_zero(N, sizeof *x), *out = se_mem_new(N, sizeof *out);
    for (uint32_t t = 0; t < se_gumbel_table_n; t++) {
        const struct se_gumbel_impl *impl = &se_gumbel_table[t];
        if (!impl->cpu || (impl->cpu & ~se_cpu_flags()))
            continue;
        uint32_t n_extreme = 0;
        for (uint32_t position = 0; position < 4; position++) {
            impl->add(x, N, 1, 1, position, out);
            for (uint32_t i = 0; i < N; i++) {
                uint32_t word = se_rng_token_word(1, position, i);
                uint32_t low = word < ~word ? word : ~word;
                if (low > 20000 && low < 0x7fff0000u)
                    continue;
                float want = se_gumbel_of_word(word);
                n_extreme++;
                assert_true(check_same_bits(&out[i], &want, 1));
            }
        }
        printf("%s: %u words next to 0, 2^31 and 2^32\n", impl->name, n_extreme);
        assert_true(n_extreme > 10);
    }
    se_mem_free(x);
    se_mem_free(out);
}

/* Noise near its bound is rarer than any random case meets: three tokens that have it, with
 * logits so low that they just win, and just do not, and no neighbour with a better one. */
static void rarest_noise_wins(void **state)
{
    static const struct {
        uint32_t position, token;
    } rare[] = { { 444, 137536 }, { 2070, 69355 }, { 3722, 151052 } }; /* g 19.4, 20.0, 21.8 */
    enum { N = 151936, SEED = 5 };
    (void)state;
    float *x = se_mem_new(N, sizeof *x), *sum = se_mem_new(N, sizeof *sum);
    for (uint32_t i = 0; i < sizeof rare / sizeof *rare; i++) {
        uint32_t position = rare[i].position, token = rare[i].token;
        for (uint32_t j = 0; j < N; j++)
            x[j] = j / 64 == token / 64 ? -INFINITY : 30 + (float)se_rng_normal(&rng);
        uint32_t second = reference()->argmax(x, N, 1, SEED, position);
        reference()->add(x, N, 1, SEED, position, sum);
        float level = sum[second] - se_gumbel(SEED, position, token);
        for (uint32_t t = 0; t < se_gumbel_table_n; t++) {
            if (se_gumbel_table[t].cpu & ~se_cpu_flags())
                continue;
            x[token] = level + 1e-4f;
            assert_int_equal(se_gumbel_table[t].argmax(x, N, 1, SEED, position), token);
            x[token] = level - 1e-4f;
            assert_int_equal(se_gumbel_table[t].argmax(x, N, 1, SEED, position), second);
        }
    }
    se_mem_free(x);
    se_mem_free(sum);
}

struct timing {
    const struct se_gumbel_impl *impl;
    float *x, *out;
    uint32_t n;
    volatile uint32_t winner;
};

static void call_argmax(void *context)
{
    struct timing *t = context;
    t->winner = t->impl->argmax(t->x, t->n, 1.0f, 1, 2);
}

static void call_add(void *context)
{
    struct timing *t = context;
    t->impl->add(t->x, t->n, 1.0f, 1, 2, t->out);
}

static int bench(void)
{
    enum { N = 151936 };
    static const enum fill fills[] = { FLAT, NORMAL, PEAKED, CUT };
    for (uint32_t t = 0; t < se_gumbel_table_n; t++) {
        const struct se_gumbel_impl *impl = &se_gumbel_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        struct timing timing = { impl, se_mem_new(N, 4), se_mem_new(N, 4), N, 0 };
        for (uint32_t f = 0; f < sizeof fills / sizeof *fills; f++) {
            for (uint32_t i = 0; i < N; i++)
                timing.x[i] = draw(fills[f], i);
            double ns = check_time(call_argmax, &timing);
            printf("gumbel argmax %-7s n %u  %-6s  %9.2f us  %6.3f ns/token\n", impl->name, N,
                   fill_names[fills[f]], ns / 1e3, ns / N);
        }
        double ns = check_time(call_add, &timing);
        printf("gumbel add    %-7s n %u          %9.2f us  %6.3f ns/token\n", impl->name, N,
               ns / 1e3, ns / N);
        se_mem_free(timing.x);
        se_mem_free(timing.out);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_is_accurate),
        cmocka_unit_test(noise_is_pinned),
        cmocka_unit_test(reference_is_the_definition),
        cmocka_unit_test(rows_match),
        cmocka_unit_test(extremes_match),
        cmocka_unit_test(rarest_noise_wins),
    };
    check_begin(&rng);
    if (argc > 1 && !strcmp(argv[1], "--bench"))
        return bench();
    for (uint32_t t = 0; t < se_gumbel_table_n; t++)
        check_usable(se_gumbel_table[t].name, se_gumbel_table[t].cpu);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? 1 : check_nothing();
}
