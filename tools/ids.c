/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

static bool parts(char c) { return c == ' ' || c == ',' || c == '\n' || c == '\t' || c == '\r'; }

/* One word of digits alone, below 2^32 - 1. */
static int parse_word(const char *word, size_t len, uint32_t *id)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (word[i] < '0' || word[i] > '9')
            return se_fail(-EINVAL, "\"%.*s\" is no token id", len < 40 ? (int)len : 40, word);
        value = value * 10 + (uint64_t)(word[i] - '0');
        if (value >= UINT32_MAX)
            return se_fail(-EINVAL, "\"%.*s\" is too large for a token id",
                           len < 40 ? (int)len : 40, word);
    }
    *id = (uint32_t)value;
    return 0;
}

int se_ids_parse(struct se_ids *ids, const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        if (parts(text[at])) {
            at++;
            continue;
        }
        size_t end = at;
        while (end < len && !parts(text[end]))
            end++;
        uint32_t id = 0;
        int r = parse_word(text + at, end - at, &id);
        if (r < 0)
            return r;
        r = se_mem_grow(&ids->id, &ids->cap, ids->n + 1, sizeof ids->id[0]);
        if (r < 0)
            return r;
        ids->id[ids->n++] = id;
        at = end;
    }
    return 0;
}

int se_ids_check(const struct se_ids *ids, uint32_t vocab, const char *dir)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->id[i] >= vocab)
            return se_fail(-ERANGE,
                           "token id %" PRIu32 " (number %zu) is beyond the vocabulary of "
                           "%s: its ids end at %" PRIu32,
                           ids->id[i], i + 1, dir, vocab - 1);
    return 0;
}

void se_ids_print(const uint32_t *id, size_t n, FILE *to)
{
    for (size_t i = 0; i < n; i++)
        fprintf(to, i ? " %" PRIu32 : "%" PRIu32, id[i]);
    fputc('\n', to);
}
