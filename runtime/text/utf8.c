/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/utf8.h"

#include <stdio.h>
#include <string.h>

uint32_t se_utf8_get(const char *text)
{
    const unsigned char *b = (const unsigned char *)text;
    switch (se_utf8_len(b[0])) {
    case 1:
        return b[0];
    case 2:
        return (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
    case 3:
        return (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
    default:
        return (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
    }
}

unsigned se_utf8_put(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The second byte's range depends on the first: it keeps out overlong forms, surrogates
 * and what lies above U+10FFFF. */
static bool second_fits(unsigned char first, unsigned char second)
{
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

enum se_utf8_state se_utf8_state(const unsigned char *bytes, size_t n)
{
    unsigned char first = bytes[0];
    if (first < 0x80)
        return n == 1 ? SE_UTF8_WHOLE : SE_UTF8_BAD;
    if (first < 0xc2 || first > 0xf4)
        return SE_UTF8_BAD;
    if (n == 2 && !second_fits(first, bytes[1]))
        return SE_UTF8_BAD;
    if (n > 2 && (bytes[n - 1] & 0xc0) != 0x80)
        return SE_UTF8_BAD;
    size_t whole = se_utf8_len(first);
    return n < whole ? SE_UTF8_PART : n == whole ? SE_UTF8_WHOLE : SE_UTF8_BAD;
}

/* Bytes of the character at text, or 0; *part: bytes of the maximal invalid part then. */
static size_t character(const unsigned char *text, size_t len_b, size_t *part)
{
    for (size_t n = 1; n <= len_b; n++) {
        enum se_utf8_state state = se_utf8_state(text, n);
        if (state == SE_UTF8_WHOLE)
            return n;
        if (state == SE_UTF8_BAD) {
            *part = n > 1 ? n - 1 : 1;
            return 0;
        }
    }
    *part = len_b;
    return 0;
}

/* The bytes at the beginning that are ASCII. */
static size_t ascii(const unsigned char *text, size_t len_b)
{
    size_t n = 0;
    for (uint64_t eight; n + sizeof eight <= len_b; n += sizeof eight) {
        memcpy(&eight, text + n, sizeof eight);
        if (eight & 0x8080808080808080u)
            break;
    }
    while (n < len_b && text[n] < 0x80)
        n++;
    return n;
}

/* The bytes at the beginning that are valid; *part: those of the invalid part after them. */
static size_t valid(const unsigned char *text, size_t len_b, size_t *part)
{
    size_t n = ascii(text, len_b);
    *part = 0;
    while (n < len_b) {
        size_t one = character(text + n, len_b - n, part);
        if (one == 0)
            break;
        n += one;
        n += ascii(text + n, len_b - n);
    }
    return n;
}

bool se_utf8_valid(const char *text, size_t len_b)
{
    size_t part;
    return valid((const unsigned char *)text, len_b, &part) == len_b;
}

int se_utf8_repair(const char *text, size_t len_b, struct se_buf *out)
{
    while (len_b > 0) {
        size_t part, n = valid((const unsigned char *)text, len_b, &part);
        int r = se_buf_add(out, text, n);
        if (r == 0 && part > 0)
            r = se_buf_add(out, SE_UTF8_REPLACEMENT, SE_UTF8_REPLACEMENT_B);
        if (r < 0)
            return r;
        text += n + part;
        len_b -= n + part;
    }
    return 0;
}

const char *se_utf8_quote(char out[SE_UTF8_QUOTE_B], const char *text, size_t len_b)
{
    size_t n = 0, part;
    out[n++] = '"';
    for (size_t at = 0, one; at < len_b; at += one ? one : 1) {
        const unsigned char *byte = (const unsigned char *)text + at;
        if (n + 10 > SE_UTF8_QUOTE_B) {
            n += (size_t)sprintf(out + n, "...");
            break;
        }
        one = character(byte, len_b - at, &part);
        if (one == 0 || *byte < 0x20 || *byte == 0x7f)
            n += (size_t)sprintf(out + n, "\\x%02X", *byte);
        else
            n += (size_t)sprintf(out + n, "%.*s", (int)one, (const char *)byte);
    }
    out[n++] = '"';
    out[n] = '\0';
    return out;
}
