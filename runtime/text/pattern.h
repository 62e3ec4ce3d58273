/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/pattern.h - a regular expression of a tokenizer.json, matched by PCRE2.
 *
 * The tokenizers library reads patterns with Oniguruma. Only what both engines read alike
 * is compiled: literals, classes without nesting, \s \S \d \D, \p{..} of general categories,
 * groups, alternatives, look-around and quantifiers. The rest is -ENOTSUP by name.
 * A pattern is read-only and may be shared; each thread matches with its own se_match. */
#ifndef SE_RUNTIME_TEXT_PATTERN_H
#define SE_RUNTIME_TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct se_pattern;
struct se_match;

/* name is the file's, for the error text. 0, -ENOTSUP, -EINVAL or -ENOMEM. */
int se_pattern_new(struct se_pattern **out, const char *name, const char *text, size_t len_b);
/* The bytes themselves, no syntax in them. */
int se_pattern_new_literal(struct se_pattern **out, const char *name, const char *text,
                           size_t len_b);
void se_pattern_free(struct se_pattern *pattern);

/* The pattern as it was written. */
const char *se_pattern_text(const struct se_pattern *pattern, size_t *len_b);

int se_match_new(struct se_match **out);
void se_match_free(struct se_match *match);

/* The first match at or after from in valid UTF-8 text, never empty: true and its place,
 * *r = 0; or false, with *r < 0 when matching failed. */
bool se_match_next(struct se_match *match, const struct se_pattern *pattern, const char *text,
                   size_t len_b, size_t from, size_t *start, size_t *end, int *r);

#endif
