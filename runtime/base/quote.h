/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/quote.h - text from outside, made fit for one line of an error.
 *
 * Control characters are shown as \n or \x1b, so that a file cannot steer the terminal of
 * whoever reads what is wrong with it; what is too long ends in "...". */
#ifndef SE_RUNTIME_BASE_QUOTE_H
#define SE_RUNTIME_BASE_QUOTE_H

#include <stddef.h>

enum { SE_QUOTE_B = 208 }; /* room for the longest result */

/* Writes text[0..len-1] to out and returns out. */
const char *se_quote(const char *text, size_t len, char out[SE_QUOTE_B]);

#endif
