/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/near.h"

#include <string.h>

enum { NAME_B = 64 }; /* longer names are not compared */

static char folded(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '_' ? '-' : c;
}

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

unsigned se_near(const char *word, size_t len, const char *known)
{
    /* Rows of the table of distances between beginnings of the two: this one, and two back. */
    unsigned row[3][NAME_B + 1];
    size_t known_len = strlen(known);
    if (len > NAME_B || known_len > NAME_B)
        return SE_NEAR_FAR;
    for (size_t k = 0; k <= known_len; k++)
        row[0][k] = (unsigned)k;
    for (size_t i = 1; i <= len; i++) {
        unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t k = 1; k <= known_len; k++) {
            char a = folded(word[i - 1]), b = folded(known[k - 1]);
            now[k] = least(last[k - 1] + (a != b), least(last[k], now[k - 1]) + 1);
            if (i > 1 && k > 1 && a == folded(known[k - 2]) && b == folded(word[i - 2]))
                now[k] = least(now[k], before[k - 2] + 1);
        }
    }
    unsigned distance = row[len % 3][known_len];
    size_t shorter = len < known_len ? len : known_len;
    return distance <= 3 && distance * 3 <= shorter ? distance : SE_NEAR_FAR;
}
