/* SPDX-License-Identifier: Apache-2.0 */
/* check_glu - every usable row of se_glu_table against the C reference, and the bits of an
 * element against its bits in any other place.
 *
 *   check_glu            SE_TEST_SEED=N repeats a run
 *   check_glu --bench    times the rows instead */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/glu.h"
#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "tests/kernels/check.h"

static struct se_rng rng;

static const float edges[] = { 0.0f,   -0.0f,   1e-30f, -1e-30f, 1e-8f,  -1e-8f, 86.0f,
                               -86.0f, 87.4f,   -87.4f, 88.0f,   -88.0f, 88.8f,  -88.8f,
                               104.0f, -104.0f, 1e9f,   -1e9f,   3e38f,  -3e38f, NAN };
enum { N_EDGES = sizeof edges / sizeof *edges };

static float draw(void)
{
    switch (se_rng_below(&rng, 4)) {
    case 0:
        return edges[se_rng_below(&rng, N_EDGES)];
    case 1:
        return (float)(120 * (2 * se_rng_unit(&rng) - 1));
    default:
        return (float)se_rng_normal(&rng) * 3;
    }
}

static void check_case(const struct se_glu_impl *impl, uint32_t n)
{
    struct check_area gate_area, up_area, out_area;
    float *gate = check_area_init(&gate_area, n * sizeof(float));
    float *up = check_area_init(&up_area, n * sizeof(float));
    float *out = check_area_init(&out_area, n * sizeof(float));
    float *want = se_mem_new(n, sizeof(float));
    for (uint32_t i = 0; i < n; i++) {
        gate[i] = i < N_EDGES ? edges[i] : draw();
        up[i] = (float)se_rng_normal(&rng);
    }
    se_glu_table[se_glu_table_n - 1].run(gate, up, n, want);
    impl->run(gate, up, n, out);
    /* Where exp() leaves float32, what is left of the product does not matter. */
    assert_true(check_close(out, want, n, 3.2e-7, 1e-35));
    memcpy(want, out, n * sizeof(float));
    for (uint32_t from = 0, to; from < n; from = to) { /* in pieces, in place */
        to = from + 1 + se_rng_below(&rng, 40);
        to = to < n ? to : n;
        if (from % 2)
            impl->run(gate + from, up + from, to - from, gate + from);
        else
            impl->run(gate + from, up + from, to - from, up + from);
        assert_true(check_same_bits((from % 2 ? gate : up) + from, want + from, to - from));
    }
    assert_true(check_area_fini(&gate_area) && check_area_fini(&up_area) &&
                check_area_fini(&out_area));
    se_mem_free(want);
}

static void rows_match(void **state)
{
    (void)state;
    for (uint32_t t = 0; t < se_glu_table_n; t++) {
        const struct se_glu_impl *impl = &se_glu_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        for (uint32_t n = 0; n < 100; n++) {
            printf("case %s: n %u\n", impl->name, n);
            check_case(impl, n);
        }
        check_case(impl, 5632);
        check_case(impl, 30001);
    }
}

struct timing {
    const struct se_glu_impl *impl;
    float *gate, *up;
};

static void call(void *context)
{
    struct timing *t = context;
    t->impl->run(t->gate, t->up, 5632, t->gate);
}

static int bench(void)
{
    for (uint32_t t = 0; t < se_glu_table_n; t++) {
        const struct se_glu_impl *impl = &se_glu_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        struct timing timing = { impl, se_mem_zero(5632, 4), se_mem_zero(5632, 4) };
        double ns = check_time(call, &timing);
        printf("glu %-7s n 5632  %8.1f ns  %5.2f elements/ns\n", impl->name, ns, 5632 / ns);
        se_mem_free(timing.gate);
        se_mem_free(timing.up);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows_match) };
    check_begin(&rng);
    if (argc > 1 && !strcmp(argv[1], "--bench"))
        return bench();
    for (uint32_t t = 0; t < se_glu_table_n; t++)
        check_usable(se_glu_table[t].name, se_glu_table[t].cpu);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? 1 : check_nothing();
}
