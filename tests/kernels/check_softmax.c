/* SPDX-License-Identifier: Apache-2.0 */
/* check_softmax - every usable row of se_softmax_table against the C reference.
 *
 *   check_softmax            SE_TEST_SEED=N repeats a run
 *   check_softmax --bench    times the rows instead */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/softmax.h"
#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "tests/kernels/check.h"

static struct se_rng rng;

enum fill { NORMAL, FLAT, WIDE, CUT, LARGE, LOW, INFINITE, FILLS };
static const char *const fill_names[FILLS] = { "normal", "flat", "wide",    "cut",
                                               "large",  "low",  "infinite" };

static float draw(enum fill fill, uint32_t i)
{
    float value = (float)se_rng_normal(&rng);
    switch (fill) {
    case FLAT: /* every term counts alike: the sum is as long as it gets */
        return -7.25f;
    case WIDE:
        return 40 * value;
    case CUT: /* all but a few, the first among the few */
        return i && se_rng_below(&rng, 50) ? -INFINITY : value;
    case LARGE:
        return 1e38f * (value > 3 ? 3 : value);
    case LOW: /* whatever fills a last vector up must not count */
        return value - 1000;
    case INFINITE:
        return i % 7 == 0 ? INFINITY : value;
    default:
        return 3 * value;
    }
}

static void check_case(const struct se_softmax_impl *impl, uint32_t n, enum fill fill)
{
    struct check_area area, again_area;
    float *x = check_area_init(&area, n * sizeof(float));
    /* The same row at another alignment. */
    float *again = (float *)check_area_init(&again_area, (n + 3) * sizeof(float));
    for (uint32_t i = 0; i < n; i++)
        again[i] = x[i] = draw(fill, i);
    float want = se_softmax_table[se_softmax_table_n - 1].logsumexp(x, n);
    float got = impl->logsumexp(x, n), other = impl->logsumexp(again, n);
    assert_true(check_close(&got, &want, 1, 2e-7, 2e-7));
    assert_true(check_same_bits(&other, &got, 1));
    assert_true(check_area_fini(&area) && check_area_fini(&again_area));
}

static void rows_match(void **state)
{
    static const uint32_t sizes[] = { 511, 512, 513, 1000, 2049, 32000, 151936, 262143 };
    (void)state;
    for (uint32_t t = 0; t < se_softmax_table_n; t++) {
        const struct se_softmax_impl *impl = &se_softmax_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        for (uint32_t i = 1; i < 140 + sizeof sizes / sizeof *sizes; i++) {
            uint32_t n = i < 140 ? i : sizes[i - 140];
            for (enum fill fill = 0; fill < FILLS; fill++) {
                printf("case %s: n %u, %s\n", impl->name, n, fill_names[fill]);
                check_case(impl, n, fill);
            }
        }
    }
}

struct timing {
    const struct se_softmax_impl *impl;
    float *x;
    uint32_t n;
    volatile float sum;
};

static void call(void *context)
{
    struct timing *t = context;
    t->sum += t->impl->logsumexp(t->x, t->n);
}

static int bench(void)
{
    static const uint32_t sizes[] = { 1024, 32000, 151936 };
    for (uint32_t t = 0; t < se_softmax_table_n; t++) {
        const struct se_softmax_impl *impl = &se_softmax_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct timing timing = { impl, se_mem_zero(sizes[i], 4), sizes[i], 0 };
            double ns = check_time(call, &timing);
            printf("softmax %-7s n %6u  %9.2f us  %5.2f elements/ns\n", impl->name, sizes[i],
                   ns / 1e3, sizes[i] / ns);
            se_mem_free(timing.x);
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
    for (uint32_t t = 0; t < se_softmax_table_n; t++)
        check_usable(se_softmax_table[t].name, se_softmax_table[t].cpu);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? 1 : check_nothing();
}
