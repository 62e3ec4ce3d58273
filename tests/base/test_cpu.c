/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/cpu.h"
#include "runtime/base/err.h"

static int init_with(const char *word)
{
    if (word)
        setenv("SE_CPU", word, 1);
    else
        unsetenv("SE_CPU");
    return se_cpu_init();
}

static void test_words(void **state)
{
    (void)state;
    char text[128];
    assert_int_equal(init_with(NULL), 0);
    uint32_t all = se_cpu_flags();
    printf("this processor: %s\n", se_cpu_text(all, text, sizeof text));
    assert_int_equal(init_with("auto"), 0);
    assert_int_equal(se_cpu_flags(), all);
    assert_int_equal(init_with(""), 0);
    assert_int_equal(se_cpu_flags(), all);
    assert_int_equal(init_with("c"), 0);
    assert_int_equal(se_cpu_flags(), 0);
    static const struct {
        const char *word;
        uint32_t needed, allowed;
    } cases[] = {
        { "avx2", SE_CPU_AVX2, SE_CPU_AVX2 },
        { "avx512", SE_CPU_AVX512, SE_CPU_AVX2 | SE_CPU_AVX512 },
        { "neon", SE_CPU_NEON, SE_CPU_NEON },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int r = init_with(cases[i].word);
        if (all & cases[i].needed) {
            assert_int_equal(r, 0);
            assert_int_equal(se_cpu_flags(), all & cases[i].allowed);
        } else {
            assert_int_equal(r, -EINVAL);
            assert_non_null(strstr(se_err_text(), cases[i].word));
        }
    }
    assert_int_equal(init_with("avx3"), -EINVAL);
    assert_non_null(strstr(se_err_text(), "avx3"));
    assert_int_equal(init_with(NULL), 0);
}

/* What stands on something else is not there without it: kernels rely on that. */
static void test_implications(void **state)
{
    (void)state;
    assert_int_equal(init_with(NULL), 0);
    uint32_t flags = se_cpu_flags();
    if (flags & (SE_CPU_VNNI | SE_CPU_BF16))
        assert_true(flags & SE_CPU_AVX512);
    if (flags & SE_CPU_AVX512)
        assert_true(flags & SE_CPU_AVX2);
}

static void test_narrow(void **state)
{
    (void)state;
    assert_int_equal(init_with(NULL), 0);
    uint32_t all = se_cpu_flags();
    assert_int_equal(se_cpu_narrow(0), all);
    assert_int_equal(se_cpu_flags(), 0);
    assert_int_equal(se_cpu_narrow(UINT32_MAX), 0);
    assert_int_equal(se_cpu_flags(), all);
}

static void test_text(void **state)
{
    (void)state;
    char text[64], tiny[6];
    assert_string_equal(se_cpu_text(0, text, sizeof text), "c");
    assert_string_equal(se_cpu_text(SE_CPU_AVX512 | SE_CPU_BF16, text, sizeof text), "avx512 bf16");
    assert_string_equal(se_cpu_text(SE_CPU_NEON, text, sizeof text), "neon");
    se_cpu_text(UINT32_MAX, tiny, sizeof tiny);
    assert_true(strlen(tiny) < sizeof tiny);
}

static void test_count(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_equal(se_cpu_count(), CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(se_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),  cmocka_unit_test(test_implications),
        cmocka_unit_test(test_narrow), cmocka_unit_test(test_text),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
