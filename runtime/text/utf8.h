/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/utf8.h - characters in bytes: read, write, check, repair. Any thread. */
#ifndef SE_RUNTIME_TEXT_UTF8_H
#define SE_RUNTIME_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/buf.h"

#define SE_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
enum { SE_UTF8_REPLACEMENT_B = 3 };

/* The bytes of a character of valid UTF-8, by its first byte: 1..4. */
static inline unsigned se_utf8_len(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The character at text, which must be valid UTF-8. */
uint32_t se_utf8_get(const char *text);
/* Writes character to out and returns its bytes, 1..4. */
unsigned se_utf8_put(uint32_t character, char out[4]);

enum se_utf8_state {
    SE_UTF8_BAD,  /* no character begins like this */
    SE_UTF8_PART, /* the beginning of a character */
    SE_UTF8_WHOLE /* one character */
};
/* What bytes[0..n-1] are, 1 <= n <= 4; all but the last must be SE_UTF8_PART already. */
enum se_utf8_state se_utf8_state(const unsigned char *bytes, size_t n);

bool se_utf8_valid(const char *text, size_t len_b);

/* Appends text with U+FFFD for each maximal part that is the beginning of no character:
 * the rule of the Unicode standard (3.9, "substitution of maximal subparts"). */
int se_utf8_repair(const char *text, size_t len_b, struct se_buf *out);

/* text in double quotes for an error: one line, control characters as \\xHH, cut when long.
 * Returns out. */
enum { SE_UTF8_QUOTE_B = 128 };
const char *se_utf8_quote(char out[SE_UTF8_QUOTE_B], const char *text, size_t len_b);

#endif
