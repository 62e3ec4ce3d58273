/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/near.h"

static void test_distances(void **state)
{
    (void)state;
    static const struct {
        const char *word, *known;
        unsigned distance;
    } cases[] = {
        { "threads", "threads", 0 },
        { "Max_Sessions", "max-sessions", 0 },
        { "thread", "threads", 1 },
        { "threadss", "threads", 1 },
        { "thraeds", "threads", 1 }, /* neighbours swapped */
        { "tHreeds", "threads", 1 },
        { "max-sesions", "max-sessions", 1 },
        { "maxsession", "max-sessions", 2 },
        { "max-seeeions", "max-sessions", 2 },
        { "polcy", "policy", 1 },
        { "tmp", "temp", 1 },
        { "listen", "model", SE_NEAR_FAR },
        { "n", "m", SE_NEAR_FAR }, /* a word of one letter is no slip of another */
        { "", "n", SE_NEAR_FAR },
        { "abcd", "acbe", SE_NEAR_FAR },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (se_near(cases[i].word, strlen(cases[i].word), cases[i].known) != cases[i].distance)
            fail_msg("%s, %s: %u", cases[i].word, cases[i].known,
                     se_near(cases[i].word, strlen(cases[i].word), cases[i].known));
}

/* Only the letters given are read, and any number may be. */
static void test_lengths(void **state)
{
    (void)state;
    char longer[100];
    memset(longer, 'a', sizeof longer);
    assert_int_equal(se_near("threads: 2", 7, "threads"), 0);
    assert_int_equal(se_near(longer, sizeof longer, "threads"), SE_NEAR_FAR);
    assert_int_equal(se_near(longer, 64, "threads"), SE_NEAR_FAR);
    longer[64] = '\0';
    assert_int_equal(se_near(longer, 64, longer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
