/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/added.h - the tokens that are found in the text before it is cut.
 *
 * At each place the longest wins; the search goes on behind it. Two sets: those matched in
 * the text as it came, and those matched after normalisation, by their normalised text.
 * Filled once by one thread, then read by any. */
#ifndef SE_RUNTIME_TEXT_ADDED_H
#define SE_RUNTIME_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SE_ADDED_MAX_B = 4096 }; /* bytes of one token's text */

struct se_added_token {
    uint32_t id;
    bool special;        /* control, not text: left out where only text is wanted */
    bool single_word;    /* not within a word */
    bool lstrip, rstrip; /* takes the spaces before, after it along */
    bool normalized;
};

struct se_added_set {
    const struct se_added_token *token;
    struct se_added_node *node; /* a tree of bytes, the root first */
    uint32_t n, cap;
    uint32_t of_byte[256]; /* the root's children */
};

/* token is the caller's, and lives as long. */
void se_added_init(struct se_added_set *set, const struct se_added_token *token);
/* text finds token[number]; of two with the same text the first stays. 0 or -ENOMEM. */
int se_added_add(struct se_added_set *set, const char *text, size_t len_b, uint32_t number);
void se_added_fini(struct se_added_set *set);

/* Where a search is. Zeroed at the beginning of a text. */
struct se_added_search {
    size_t from;    /* the search goes on here */
    size_t covered; /* what is before belongs to a token or a piece */
};

/* The next token: its number and the place it takes, spaces included; what lies between the
 * former covered and *start is text. -1 when there is none. plain: special tokens are not
 * found. The caller sets covered to *end. */
int se_added_next(const struct se_added_set *set, struct se_added_search *search, const char *text,
                  size_t len_b, bool plain, size_t *start, size_t *end);

#endif
