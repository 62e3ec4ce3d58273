/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cross/cmocka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FAILED = 1, SKIPPED };

static jmp_buf end_of_test;

void se_mini_print(const char *format, ...)
{
    va_list words;

    va_start(words, format);
    vfprintf(stderr, format, words);
    va_end(words);
}

void se_mini_fail(const char *file, int line, const char *format, ...)
{
    va_list words;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(words, format);
    vfprintf(stderr, format, words);
    va_end(words);
    fputc('\n', stderr);
    longjmp(end_of_test, FAILED);
}

void se_mini_skip(void) { longjmp(end_of_test, SKIPPED); }

void se_mini_check(const char *file, int line, int holds, const char *what)
{
    if (!holds)
        se_mini_fail(file, line, "does not hold: %s", what);
}

void se_mini_compare(const char *file, int line, intmax_t a, intmax_t b, int equal,
                     const char *what)
{
    if ((a == b) != equal)
        se_mini_fail(file, line, "does not hold: %s: %jd (0x%jx), %jd (0x%jx)", what, a,
                     (uintmax_t)a, b, (uintmax_t)b);
}

void se_mini_strings(const char *file, int line, const char *a, const char *b)
{
    if (strcmp(a, b) != 0)
        se_mini_fail(file, line, "not the same: \"%s\", \"%s\"", a, b);
}

void se_mini_bytes(const char *file, int line, const void *a, const void *b, size_t len_b)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < len_b; i++)
        if (x[i] != y[i])
            se_mini_fail(file, line, "byte %zu of %zu: 0x%02x, 0x%02x", i, len_b, x[i], y[i]);
}

/* One stride of a test: a failed assertion comes back here. */
static int stride(int (*prepare)(void **state), void (*run)(void **state), void **state)
{
    int ended = setjmp(end_of_test);

    if (ended)
        return ended;
    if (prepare && prepare(state) != 0)
        return FAILED;
    if (run)
        run(state);
    return 0;
}

/* 0, FAILED or SKIPPED. */
static int run_test(const struct CMUnitTest *test, void *group_state)
{
    void *state = test->first_state ? test->first_state : group_state;
    int result = stride(test->set_up, test->run, &state);

    if (stride(test->tear_down, NULL, &state) != 0)
        result = FAILED;
    printf("%s  %s\n", result == FAILED ? "FAILED " : result ? "skipped" : "ok     ", test->name);
    return result;
}

int se_mini_run(const char *group, const struct CMUnitTest *tests, size_t n,
                int (*set_up)(void **state), int (*tear_down)(void **state))
{
    void *state = NULL;
    int failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0); /* in order with standard error */
    if (stride(set_up, NULL, &state) != 0) {
        printf("FAILED   setting up %s\n", group);
        return 1;
    }
    for (size_t i = 0; i < n; i++)
        failed += run_test(&tests[i], state) == FAILED;
    if (stride(tear_down, NULL, &state) != 0)
        failed++;
    printf("%s: %zu tests, %d failed\n", group, n, failed);
    return failed;
}
