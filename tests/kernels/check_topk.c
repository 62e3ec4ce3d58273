/* SPDX-License-Identifier: Apache-2.0 */
/* check_topk - every usable row of se_topk_table, the C reference among them, against a
 * sorted row.
 *
 *   check_topk            SE_TEST_SEED=N repeats a run
 *   check_topk --bench    times the rows instead */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/topk.h"
#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "tests/kernels/check.h"

static struct se_rng rng;

enum fill { NORMAL, TIES, ZEROS, CUT, ASCENDING, DESCENDING, SAW, EXTREME, FILLS };
static const char *const fill_names[FILLS] = { "normal",    "ties",       "zeros", "cut",
                                               "ascending", "descending", "saw",   "extreme" };

static float draw(enum fill fill, uint32_t i)
{
    static const float extremes[] = { INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 1e-45f, -1e-45f };
    switch (fill) {
    case TIES:
        return (float)se_rng_below(&rng, 5) - 2;
    case ZEROS: /* both zeros are one value */
        return se_rng_below(&rng, 2) ? 0.0f : -0.0f;
    case CUT:
        return se_rng_below(&rng, 20) ? -INFINITY : (float)se_rng_normal(&rng);
    case ASCENDING:
        return (float)i;
    case DESCENDING:
        return -(float)i;
    case SAW:
        return (float)(i % 97 * (i % 89));
    case EXTREME:
        return extremes[se_rng_below(&rng, 6)];
    default:
        return (float)se_rng_normal(&rng);
    }
}

static const float *sorted_by;

static int before(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (sorted_by[i] > sorted_by[j] || sorted_by[i] < sorted_by[j])
        return sorted_by[i] > sorted_by[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

static void check_k(const struct se_topk_impl *impl, const float *x, uint32_t n, uint32_t k,
                    const uint32_t *order)
{
    struct check_area index_area, value_area;
    uint32_t most = k < n ? k : n;
    uint32_t *index = check_area_init(&index_area, most * sizeof *index);
    float *value = check_area_init(&value_area, most * sizeof *value);
    assert_int_equal(impl->run(x, n, k, index, value), most);
    for (uint32_t i = 0; i < most; i++) {
        if (index[i] != order[i])
            printf("k %u, place %u: index %u instead of %u\n", k, i, index[i], order[i]);
        assert_int_equal(index[i], order[i]);
        assert_memory_equal(&value[i], &x[order[i]], sizeof *x);
    }
    assert_true(check_area_fini(&index_area) && check_area_fini(&value_area));
}

static void check_case(const struct se_topk_impl *impl, uint32_t n, enum fill fill)
{
    static const uint32_t ks[] = { 1, 2, 3, 7, 16, 31, 64, 200, 1000, 1024, 1025, 3000 };
    struct check_area area;
    float *x = check_area_init(&area, n * sizeof *x);
    uint32_t *order = se_mem_new(n, sizeof *order);
    for (uint32_t i = 0; i < n; i++) {
        x[i] = draw(fill, i);
        order[i] = i;
    }
    sorted_by = x;
    qsort(order, n, sizeof *order, before);
    for (uint32_t i = 0; i < sizeof ks / sizeof *ks; i++)
        check_k(impl, x, n, ks[i], order);
    check_k(impl, x, n, n, order);
    check_k(impl, x, n, 1 + se_rng_below(&rng, n), order);
    assert_true(check_area_fini(&area));
    se_mem_free(order);
}

static void rows_match(void **state)
{
    static const uint32_t sizes[] = { 100, 127, 128, 129, 1023, 1500, 2500, 32001 };
    (void)state;
    for (uint32_t t = 0; t < se_topk_table_n; t++) {
        const struct se_topk_impl *impl = &se_topk_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        for (uint32_t i = 1; i < 40 + sizeof sizes / sizeof *sizes; i++) {
            uint32_t n = i < 40 ? i : sizes[i - 40];
            for (enum fill fill = 0; fill < FILLS; fill++) {
                printf("case %s: n %u, %s\n", impl->name, n, fill_names[fill]);
                check_case(impl, n, fill);
            }
        }
    }
}

struct timing {
    const struct se_topk_impl *impl;
    float *x, *value;
    uint32_t *index, n, k;
};

static void call(void *context)
{
    struct timing *t = context;
    t->impl->run(t->x, t->n, t->k, t->index, t->value);
}

static void bench_one(const struct se_topk_impl *impl, uint32_t n, uint32_t k, enum fill fill)
{
    struct timing t = { impl, se_mem_new(n, 4), se_mem_new(k, 4), se_mem_new(k, 4), n, k };
    for (uint32_t i = 0; i < n; i++)
        t.x[i] = draw(fill, i);
    double ns = check_time(call, &t);
    printf("topk %-7s n %6u  k %4u  %-9s  %9.2f us  %5.1f GB/s\n", impl->name, n, k,
           fill_names[fill], ns / 1e3, 4 * n / ns);
    se_mem_free(t.x);
    se_mem_free(t.value);
    se_mem_free(t.index);
}

static int bench(void)
{
    for (uint32_t t = 0; t < se_topk_table_n; t++) {
        const struct se_topk_impl *impl = &se_topk_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        bench_one(impl, 32000, 16, NORMAL);
        bench_one(impl, 151936, 16, NORMAL);
        bench_one(impl, 151936, 16, ASCENDING);
        bench_one(impl, 151936, 64, NORMAL);
        bench_one(impl, 151936, 1024, NORMAL);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows_match) };
    check_begin(&rng);
    if (argc > 1 && !strcmp(argv[1], "--bench"))
        return bench();
    for (uint32_t t = 0; t < se_topk_table_n; t++)
        check_usable(se_topk_table[t].name, se_topk_table[t].cpu);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? 1 : check_nothing();
}
