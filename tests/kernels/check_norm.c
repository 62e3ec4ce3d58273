/* SPDX-License-Identifier: Apache-2.0 */
/* check_norm - every usable row of se_norm_table against the C reference.
 *
 *   check_norm            SE_TEST_SEED=N repeats a run
 *   check_norm --bench    times the rows instead */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "kernels/norm.h"
#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "tests/kernels/check.h"

static struct se_rng rng;

enum fill { NORMAL, OUTLIER, LARGE, SMALL, ZERO, FILLS };
static const char *const fill_names[FILLS] = { "normal", "outlier", "large", "small", "zero" };

static float draw(enum fill fill)
{
    float value = (float)se_rng_normal(&rng);
    switch (fill) {
    case OUTLIER: /* as some channels of language models are */
        return se_rng_below(&rng, 100) ? value : 3000 * value;
    case LARGE: /* squares beyond float32 */
        return value * 1e30f;
    case SMALL: /* squares below float32: eps decides */
        return value * 1e-30f;
    case ZERO:
        return se_rng_below(&rng, 2) ? 0.0f : -0.0f;
    default:
        return value;
    }
}

static void check_case(const struct se_norm_impl *impl, uint32_t n, enum fill fill)
{
    struct check_area x_area, weight_area, out_area;
    float *x = check_area_init(&x_area, n * sizeof(float));
    float *weight = check_area_init(&weight_area, n * sizeof(float));
    float *out = check_area_init(&out_area, n * sizeof(float));
    float *want = se_mem_new(n, sizeof(float));
    for (uint32_t i = 0; i < n; i++) {
        x[i] = draw(fill);
        weight[i] = (float)se_rng_normal(&rng);
    }
    se_norm_table[se_norm_table_n - 1].run(x, weight, 1e-6f, n, want);
    impl->run(x, weight, 1e-6f, n, out);
    assert_true(check_close(out, want, n, 4e-7, 1e-44));
    memcpy(want, out, n * sizeof(float));
    impl->run(x, weight, 1e-6f, n, x); /* in place */
    assert_true(check_same_bits(x, want, n));
    assert_true(check_area_fini(&x_area) && check_area_fini(&weight_area) &&
                check_area_fini(&out_area));
    se_mem_free(want);
}

static void rows_match(void **state)
{
    static const uint32_t sizes[] = { 96, 127, 128, 129, 576, 1000, 2048, 4096, 5120, 8191 };
    (void)state;
    for (uint32_t t = 0; t < se_norm_table_n; t++) {
        const struct se_norm_impl *impl = &se_norm_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        for (uint32_t i = 1; i < 80 + sizeof sizes / sizeof *sizes; i++) {
            uint32_t n = i < 80 ? i : sizes[i - 80];
            for (enum fill fill = 0; fill < FILLS; fill++) {
                printf("case %s: n %u, %s\n", impl->name, n, fill_names[fill]);
                check_case(impl, n, fill);
            }
        }
    }
}

struct timing {
    const struct se_norm_impl *impl;
    float *x, *weight, *out;
    uint32_t n;
};

static void call(void *context)
{
    struct timing *t = context;
    t->impl->run(t->x, t->weight, 1e-6f, t->n, t->out);
}

static int bench(void)
{
    static const uint32_t sizes[] = { 64, 128, 1024, 2048, 5120 };
    for (uint32_t t = 0; t < se_norm_table_n; t++) {
        const struct se_norm_impl *impl = &se_norm_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            uint32_t n = sizes[i];
            struct timing timing = { impl, se_mem_zero(n, 4), se_mem_zero(n, 4), se_mem_zero(n, 4),
                                     n };
            double ns = check_time(call, &timing);
            printf("norm %-7s n %5u  %8.1f ns  %5.2f elements/ns\n", impl->name, n, ns, n / ns);
            se_mem_free(timing.x);
            se_mem_free(timing.weight);
            se_mem_free(timing.out);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows_match) };
    check_begin(&rng);
    if (argc > 1 && !strcmp(argv[1], "--bench"))
        return bench();
    for (uint32_t t = 0; t < se_norm_table_n; t++)
        check_usable(se_norm_table[t].name, se_norm_table[t].cpu);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? 1 : check_nothing();
}
