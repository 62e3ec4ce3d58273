/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/err.h"

static int deep(void) { return se_fail(-ENOENT, "%s: %s", "a/file", "gone"); }

static int shallow(void)
{
    int r = deep();
    return r < 0 ? se_trace(r) : 0;
}

static void test_sentence_and_trail(void **state)
{
    (void)state;
    assert_int_equal(shallow(), -ENOENT);
    assert_string_equal(se_err_text(), "a/file: gone");
    const char *first = strstr(se_err_trail(), "test_err.c:");
    assert_non_null(first);
    assert_non_null(strstr(first, " < "));
    assert_non_null(strstr(strstr(first, " < "), "test_err.c:"));
    assert_int_equal(se_fail(-EINVAL, "another"), -EINVAL);
    assert_string_equal(se_err_text(), "another");
    assert_null(strstr(se_err_trail(), " < ")); /* a new error has a new way */
    se_err_clear();
    assert_string_equal(se_err_text(), "");
    assert_string_equal(se_err_trail(), "");
}

static void test_own_text_as_argument(void **state)
{
    (void)state;
    se_fail(-EIO, "cause");
    se_fail(-EIO, "while reading: %s", se_err_text());
    assert_string_equal(se_err_text(), "while reading: cause");
}

static void test_too_long(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(se_fail(-EINVAL, "%s", text), -EINVAL);
    assert_true(strlen(se_err_text()) < sizeof text - 1);
    assert_true(strlen(se_err_text()) > 500);
    for (int i = 0; i < 200; i++)
        se_trace(-EINVAL);
    assert_true(strlen(se_err_trail()) < 5000);
}

static void *other_thread(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)(se_err_text()[0] == '\0' && deep() == -ENOENT);
}

static void test_one_per_thread(void **state)
{
    (void)state;
    pthread_t thread;
    void *clean = NULL;
    se_fail(-EIO, "mine");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &clean), 0);
    assert_non_null(clean);
    assert_string_equal(se_err_text(), "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentence_and_trail),
        cmocka_unit_test(test_own_text_as_argument),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_one_per_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
