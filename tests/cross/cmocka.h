/* SPDX-License-Identifier: Apache-2.0 */
/* tests/cross/cmocka.h - as much of cmocka as our tests use, for a target it was not built for.
 *
 * A cross build has no cmocka of the target's. The tests of what can be built there run all
 * the same, against these few calls, which behave as cmocka's do: a test ends at its first
 * failed assertion, the others go on, and the program's exit status is the number that
 * failed. One thread asserts. */
#ifndef SE_TESTS_CROSS_CMOCKA_H
#define SE_TESTS_CROSS_CMOCKA_H

#include <stddef.h>
#include <stdint.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*set_up)(void **state);
    int (*tear_down)(void **state);
    void *first_state;
};

/* clang-format off */
#define cmocka_unit_test(f) { .name = #f, .run = f }
#define cmocka_unit_test_setup(f, up) { .name = #f, .run = f, .set_up = up }
#define cmocka_unit_test_teardown(f, down) { .name = #f, .run = f, .tear_down = down }
#define cmocka_unit_test_setup_teardown(f, up, down) \
    { .name = #f, .run = f, .set_up = up, .tear_down = down }
#define cmocka_unit_test_prestate(f, state) { .name = #f, .run = f, .first_state = state }
/* clang-format on */

#define cmocka_run_group_tests(tests, up, down) \
    se_mini_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]), up, down)
#define cmocka_run_group_tests_name(name, tests, up, down) \
    se_mini_run(name, tests, sizeof(tests) / sizeof((tests)[0]), up, down)

#define SE_MINI_HERE __FILE__, __LINE__
#define SE_MINI_INT(x) ((intmax_t)(x))
#define SE_MINI_PTR(x) ((intmax_t)(uintptr_t)(x))

#define fail() se_mini_fail(SE_MINI_HERE, "failed")
#define fail_msg(...) se_mini_fail(SE_MINI_HERE, __VA_ARGS__)
#define skip() se_mini_skip()
#define print_message(...) se_mini_print(__VA_ARGS__)
#define print_error(...) se_mini_print(__VA_ARGS__)

#define assert_true(x) se_mini_check(SE_MINI_HERE, !!(x), #x)
#define assert_false(x) se_mini_check(SE_MINI_HERE, !(x), "not " #x)
#define assert_null(x) se_mini_check(SE_MINI_HERE, (x) == NULL, #x " is NULL")
#define assert_non_null(x) se_mini_check(SE_MINI_HERE, (x) != NULL, #x " is not NULL")
#define assert_int_equal(a, b) \
    se_mini_compare(SE_MINI_HERE, SE_MINI_INT(a), SE_MINI_INT(b), 1, #a " == " #b)
#define assert_int_not_equal(a, b) \
    se_mini_compare(SE_MINI_HERE, SE_MINI_INT(a), SE_MINI_INT(b), 0, #a " != " #b)
#define assert_ptr_equal(a, b) \
    se_mini_compare(SE_MINI_HERE, SE_MINI_PTR(a), SE_MINI_PTR(b), 1, #a " == " #b)
#define assert_ptr_not_equal(a, b) \
    se_mini_compare(SE_MINI_HERE, SE_MINI_PTR(a), SE_MINI_PTR(b), 0, #a " != " #b)
#define assert_in_range(x, low, high) \
    se_mini_check(SE_MINI_HERE, \
                  (uintmax_t)(x) >= (uintmax_t)(low) && (uintmax_t)(x) <= (uintmax_t)(high), \
                  #x " within " #low " and " #high)
#define assert_string_equal(a, b) se_mini_strings(SE_MINI_HERE, a, b)
#define assert_memory_equal(a, b, len) se_mini_bytes(SE_MINI_HERE, a, b, len)

int se_mini_run(const char *group, const struct CMUnitTest *tests, size_t n,
                int (*set_up)(void **state), int (*tear_down)(void **state));
void se_mini_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void se_mini_skip(void) __attribute__((noreturn));
void se_mini_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void se_mini_check(const char *file, int line, int holds, const char *what);
void se_mini_compare(const char *file, int line, intmax_t a, intmax_t b, int equal,
                     const char *what);
void se_mini_strings(const char *file, int line, const char *a, const char *b);
void se_mini_bytes(const char *file, int line, const void *a, const void *b, size_t len_b);

#endif
