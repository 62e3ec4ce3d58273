/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/quote.h"

static void test_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        { "", "" },
        { "plain", "plain" },
        { "two\nlines\t", "two\\nlines\\x09" },
        { "\x1b[2J", "\\x1b[2J" },
        { "\x7f", "\\x7f" },
        { "caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80" },
        { "\xc2\x9b"
          "2J",
          "\\xc2\\x9b2J" }, /* a control sequence in one character */
        { "\xc2\xa0", "\xc2\xa0" },
        { "\xff\xc3", "\xff\xc3" }, /* no UTF-8, and cut */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[SE_QUOTE_B];
        assert_string_equal(se_quote(cases[i].text, strlen(cases[i].text), out), cases[i].shown);
    }
    char out[SE_QUOTE_B];
    assert_string_equal(se_quote("a\0b", 3, out), "a\\x00b");
}

/* Whatever is repeated fills the room, ends in dots, and is not cut within a character. */
static void test_long_texts(void **state)
{
    (void)state;
    static const char *const units[] = { "a",       "\x01", "\n", "\xc3\xa9", "\xf0\x9f\x98\x80",
                                         "\xc2\x9b" };
    static const size_t shown_b[] = { 1, 4, 2, 2, 4, 8 };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        char text[2000], out[SE_QUOTE_B];
        size_t len = 0;
        while (len + strlen(units[i]) < sizeof text) {
            memcpy(text + len, units[i], strlen(units[i]));
            len += strlen(units[i]);
        }
        se_quote(text, len, out);
        size_t out_len = strlen(out);
        assert_true(out_len < SE_QUOTE_B && out_len > SE_QUOTE_B - 24);
        assert_string_equal(out + out_len - 3, "...");
        assert_int_equal((out_len - 3) % shown_b[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
