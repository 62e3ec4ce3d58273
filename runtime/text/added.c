/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/added.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"

#define NONE UINT32_MAX

struct se_added_node {
    uint32_t child, sibling; /* NONE or a node */
    uint32_t token;          /* that ends here, or NONE */
    unsigned char byte;
};

void se_added_init(struct se_added_set *set, const struct se_added_token *token)
{
    *set = (struct se_added_set){ .token = token };
    memset(set->of_byte, 0xff, sizeof set->of_byte);
}

void se_added_fini(struct se_added_set *set)
{
    se_mem_free(set->node);
    *set = (struct se_added_set){ .n = 0 };
}

static uint32_t child(const struct se_added_set *set, uint32_t of, unsigned char byte)
{
    uint32_t at = set->node[of].child;
    while (at != NONE && set->node[at].byte != byte)
        at = set->node[at].sibling;
    return at;
}

static int new_node(struct se_added_set *set, unsigned char byte, uint32_t sibling, uint32_t *at)
{
    size_t cap = set->cap;
    if (set->n == NONE)
        return se_fail(-EOVERFLOW, "more than 4 GiB of added tokens");
    int r = se_mem_grow(&set->node, &cap, (size_t)set->n + 1, sizeof *set->node);
    if (r < 0)
        return r;
    set->cap = (uint32_t)cap;
    *at = set->n++;
    set->node[*at] = (struct se_added_node){ NONE, sibling, NONE, byte };
    return 0;
}

int se_added_add(struct se_added_set *set, const char *text, size_t len_b, uint32_t number)
{
    const unsigned char *byte = (const unsigned char *)text;
    uint32_t at = set->of_byte[byte[0]];
    int r = 0;
    if (at == NONE)
        r = new_node(set, byte[0], NONE, &at);
    if (r < 0)
        return r;
    set->of_byte[byte[0]] = at;
    for (size_t i = 1; i < len_b; i++) {
        uint32_t next = child(set, at, byte[i]);
        if (next == NONE) {
            r = new_node(set, byte[i], set->node[at].child, &next);
            if (r < 0)
                return r;
            set->node[at].child = next;
        }
        at = next;
    }
    if (set->node[at].token == NONE)
        set->node[at].token = number;
    return 0;
}

/* The longest token that begins at text, or NONE; its bytes in *n. */
static uint32_t longest(const struct se_added_set *set, const char *text, size_t len_b, size_t *n)
{
    uint32_t found = NONE, at = set->of_byte[(unsigned char)text[0]];
    for (size_t i = 1; at != NONE; at = child(set, at, (unsigned char)text[i++])) {
        if (set->node[at].token != NONE) {
            found = set->node[at].token;
            *n = i;
        }
        if (i == len_b)
            break;
    }
    return found;
}

/* The place of the character that ends before at. */
static size_t before(const char *text, size_t at)
{
    do
        at--;
    while (((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}

static bool within_word(const char *text, size_t len_b, size_t start, size_t end)
{
    if (start > 0 && se_unicode_word(se_utf8_get(text + before(text, start))))
        return true;
    return end < len_b && se_unicode_word(se_utf8_get(text + end));
}

static size_t spaces_before(const char *text, size_t start, size_t covered)
{
    while (start > covered && se_unicode_space(se_utf8_get(text + before(text, start))))
        start = before(text, start);
    return start;
}

static size_t spaces_after(const char *text, size_t len_b, size_t end)
{
    while (end < len_b && se_unicode_space(se_utf8_get(text + end)))
        end += se_utf8_len((unsigned char)text[end]);
    return end;
}

int se_added_next(const struct se_added_set *set, struct se_added_search *search, const char *text,
                  size_t len_b, bool plain, size_t *start, size_t *end)
{
    size_t at = search->from, n = 0;
    if (set->n == 0)
        return -1;
    for (; at < len_b; at++) {
        uint32_t number = longest(set, text + at, len_b - at, &n);
        if (number == NONE)
            continue;
        const struct se_added_token *token = &set->token[number];
        *start = at;
        *end = at + n;
        at = *end - 1; /* found or not, the search goes on behind it */
        if ((plain && token->special) ||
            (token->single_word && within_word(text, len_b, *start, *end)))
            continue;
        search->from = *end;
        if (token->lstrip)
            *start = spaces_before(text, *start, search->covered);
        if (token->rstrip)
            *end = spaces_after(text, len_b, *end);
        return (int)number;
    }
    search->from = len_b;
    return -1;
}
