/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/quote.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { CHAR_B = 4 }; /* the longest character, and "\x1b" */

/* A character that acts instead of showing: C0, DEL, and C1 as UTF-8 writes it. */
static bool is_control(const unsigned char *at, size_t left)
{
    return at[0] < 0x20 || at[0] == 0x7f ||
           (at[0] == 0xc2 && left > 1 && at[1] >= 0x80 && at[1] < 0xa0);
}

/* Bytes of the character at the front of at[0..left-1]; 1 for what is no UTF-8. */
static size_t char_len(const unsigned char *at, size_t left)
{
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc0 ? 2 : 1;
    for (size_t i = 1; i < len; i++)
        if (i >= left || (at[i] & 0xc0) != 0x80)
            return 1;
    return len;
}

const char *se_quote(const char *text, size_t len, char out[SE_QUOTE_B])
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        size_t step = char_len(at + i, len - i);
        if (n + CHAR_B * step + sizeof "..." > SE_QUOTE_B) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        if (!is_control(at + i, len - i)) {
            memcpy(out + n, at + i, step);
            n += step;
        } else if (at[i] == '\n') {
            out[n++] = '\\';
            out[n++] = 'n';
        } else {
            for (size_t k = 0; k < step; k++)
                n += (size_t)snprintf(out + n, SE_QUOTE_B - n, "\\x%02x", at[i + k]);
        }
        i += step;
    }
    out[n] = '\0';
    return out;
}
