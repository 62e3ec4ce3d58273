/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/unicode.h - which character is of which kind, where libraries disagree.
 *
 * The tokenizers library splits text by the character tables of Unicode 16; PCRE2 10.42 has
 * those of Unicode 14, and counts U+180E as a space. Before a pattern is matched, every
 * character that the two see differently is replaced by one that both see as the former
 * sees the original, and that has as many bytes: offsets stay what they are. Any thread. */
#ifndef SE_RUNTIME_TEXT_UNICODE_H
#define SE_RUNTIME_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes in text before the first character that has a stand-in; len_b when none has. */
size_t se_unicode_same(const char *text, size_t len_b);
/* Replaces, in place, every character of valid UTF-8 that has a stand-in. */
void se_unicode_stand_in(char *text, size_t len_b);

/* Unicode's White_Space. */
bool se_unicode_space(uint32_t character);

/* A letter, mark, digit or connector: what may not stand next to a single_word token. */
bool se_unicode_word(uint32_t character);

/* The library's normalisation tables are older than utf8proc's: to them, this character
 * decomposes into nothing, composes with nothing and combines with nothing. */
bool se_unicode_inert(uint32_t character);

#endif
