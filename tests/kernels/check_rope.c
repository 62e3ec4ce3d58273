/* SPDX-License-Identifier: Apache-2.0 */
/* check_rope - every usable row of se_rope_table gives the bits of the C reference, and that
 * one the rotation.
 *
 *   check_rope            SE_TEST_SEED=N repeats a run
 *   check_rope --bench    times the rows instead */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/rope.h"
#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "tests/kernels/check.h"

static struct se_rng rng;

static void check_case(const struct se_rope_impl *impl, uint32_t n_heads, uint32_t dim)
{
    struct check_area x_area, cos_area, sin_area;
    uint32_t n = n_heads * dim, half = dim / 2;
    float *x = check_area_init(&x_area, n * sizeof(float));
    float *cosine = check_area_init(&cos_area, half * sizeof(float));
    float *sine = check_area_init(&sin_area, half * sizeof(float));
    float *want = se_mem_new(n, sizeof(float)), *exact = se_mem_new(n, sizeof(float));
    for (uint32_t i = 0; i < half; i++) {
        double angle = 1e4 * se_rng_unit(&rng);
        cosine[i] = (float)cos(angle);
        sine[i] = (float)sin(angle);
    }
    for (uint32_t i = 0; i < n; i++)
        want[i] = x[i] = (float)(se_rng_normal(&rng) * exp2((double)se_rng_below(&rng, 40) - 20));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t in = i % dim, pair = in % half;
        double c = cosine[pair], s = sine[pair];
        exact[i] = (float)(in < half ? x[i] * c - x[i + half] * s : x[i] * c + x[i - half] * s);
    }
    se_rope_table[se_rope_table_n - 1].run(want, n_heads, dim, cosine, sine);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t other = i % dim < half ? i + half : i - half;
        double size = fabs((double)x[i]) + fabs((double)x[other]);
        assert_true(fabs((double)want[i] - (double)exact[i]) <= 2e-7 * size);
    }
    impl->run(x, n_heads, dim, cosine, sine);
    assert_true(check_same_bits(x, want, n));
    assert_true(check_area_fini(&x_area) && check_area_fini(&cos_area) &&
                check_area_fini(&sin_area));
    se_mem_free(want);
    se_mem_free(exact);
}

static void rows_match(void **state)
{
    (void)state;
    for (uint32_t t = 0; t < se_rope_table_n; t++) {
        const struct se_rope_impl *impl = &se_rope_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        for (uint32_t dim = 2; dim <= 132; dim += 2) {
            uint32_t n_heads = 1 + se_rng_below(&rng, 9);
            printf("case %s: %u heads of %u\n", impl->name, n_heads, dim);
            check_case(impl, n_heads, dim);
        }
        check_case(impl, 2, 256);
        check_case(impl, 3, 512);
    }
}

struct timing {
    const struct se_rope_impl *impl;
    float *x, *cos, *sin;
};

static void call(void *context)
{
    struct timing *t = context;
    t->impl->run(t->x, 32, 64, t->cos, t->sin);
}

static int bench(void)
{
    for (uint32_t t = 0; t < se_rope_table_n; t++) {
        const struct se_rope_impl *impl = &se_rope_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        struct timing timing = { impl, se_mem_zero(2048, 4), se_mem_zero(32, 4),
                                 se_mem_zero(32, 4) };
        double ns = check_time(call, &timing);
        printf("rope %-7s 32 heads of 64  %8.1f ns  %5.2f elements/ns\n", impl->name, ns,
               2048 / ns);
        se_mem_free(timing.x);
        se_mem_free(timing.cos);
        se_mem_free(timing.sin);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows_match) };
    check_begin(&rng);
    if (argc > 1 && !strcmp(argv[1], "--bench"))
        return bench();
    for (uint32_t t = 0; t < se_rope_table_n; t++)
        check_usable(se_rope_table[t].name, se_rope_table[t].cpu);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? 1 : check_nothing();
}
