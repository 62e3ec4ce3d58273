/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/near.h - how far a mistyped name is from a known one. */
#ifndef SE_RUNTIME_BASE_NEAR_H
#define SE_RUNTIME_BASE_NEAR_H

#include <stddef.h>

enum { SE_NEAR_FAR = 1000 }; /* too far to be meant */

/* How many letters to add, drop, change or swap with their neighbour to make known out of
 * word[0..len-1], or SE_NEAR_FAR when that is more than a slip. '-' and '_' are the same, and
 * so are 'A' and 'a'. */
unsigned se_near(const char *word, size_t len, const char *known);

#endif
