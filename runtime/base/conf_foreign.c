/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/conf_foreign.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/conf_value.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/near.h"
#include "runtime/base/quote.h"

const struct se_conf_foreign *se_conf_foreign_find(const struct se_conf_foreign *table, size_t n,
                                                   const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (se_conf_same_name(table[i].path, strlen(table[i].path), path, strlen(path)))
            return &table[i];
    return NULL;
}

/* What of the row's path lies behind section, or NULL when it lies elsewhere. section "" is
 * the top. */
static const char *inside(const struct se_conf_foreign *row, const char *section, size_t len)
{
    if (len == 0)
        return row->path;
    if (strlen(row->path) <= len || row->path[len] != '.' ||
        !se_conf_same_name(row->path, len, section, len))
        return NULL;
    return row->path + len + 1;
}

bool se_conf_foreign_is_section(const struct se_conf_foreign *table, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (inside(&table[i], path, strlen(path)))
            return true;
    return false;
}

/* The keys of a section, "a, b, c": each once, in the table's order. */
static void list_keys(const struct se_conf_foreign *table, size_t n, const char *section,
                      size_t len, char *text, size_t room)
{
    const char *last = "";
    size_t at = 0, last_len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char *key = inside(&table[i], section, len);
        size_t key_len = key ? strcspn(key, ".") : 0;
        if (!key || (key_len == last_len && !memcmp(key, last, key_len)))
            continue;
        if (at + key_len + sizeof ", , ..." > room) {
            snprintf(text + at, room - at, ", ...");
            return;
        }
        at += (size_t)snprintf(text + at, room - at, "%s%.*s", at ? ", " : "", (int)key_len, key);
        last = key;
        last_len = key_len;
    }
}

int se_conf_foreign_refuse(const struct se_conf_foreign *table, size_t n, const char *path,
                           const char *where)
{
    const char *dot = strrchr(path, '.');
    const char *name = dot ? dot + 1 : path;
    int section_len = dot ? (int)(dot - path) : 0;
    unsigned least = SE_NEAR_FAR;
    char nearest[80] = "", keys[400];
    for (size_t i = 0; i < n; i++) { /* within the section: a long path must not hide a slip */
        char key[sizeof nearest];
        const char *rest = inside(&table[i], path, (size_t)section_len);
        if (!rest)
            continue;
        snprintf(key, sizeof key, "%.*s", (int)strcspn(rest, "."), rest);
        unsigned distance = se_near(name, strlen(name), key);
        if (distance < least) {
            least = distance;
            memcpy(nearest, key, sizeof nearest);
        }
    }
    if (nearest[0])
        return se_fail(-EINVAL, "%s: no such key; did you mean %.*s%s%s?", where, section_len, path,
                       dot ? "." : "", nearest);
    list_keys(table, n, path, (size_t)section_len, keys, sizeof keys);
    if (!dot)
        return se_fail(-EINVAL, "%s: no such key; there are %s", where, keys);
    return se_fail(-EINVAL, "%s: no such key; %.*s has %s", where, section_len, path, keys);
}

/* ---- words ---- */

/* One "from=to" of a row's words. */
struct pair {
    const char *from, *to;
    size_t from_len, to_len;
};

/* Reads the pair at words; returns what follows it, or NULL behind the last one. */
static const char *read_pair(const char *words, struct pair *pair)
{
    size_t len = strcspn(words, "|");
    size_t equals = strcspn(words, "=");
    pair->from = pair->to = words;
    pair->from_len = equals < len ? equals : len;
    pair->to_len = pair->from_len;
    if (equals < len) {
        pair->to = words + equals + 1;
        pair->to_len = len - equals - 1;
    }
    return words[len] ? words + len + 1 : NULL;
}

static bool is_any(const struct pair *pair) { return pair->from_len == 1 && *pair->from == '*'; }

/* "a=x|b" as "a|b" */
static void list_words(const char *words, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    while (words && at < room) {
        struct pair pair;
        words = read_pair(words, &pair);
        at += (size_t)snprintf(text + at, room - at, "%s%.*s", at ? "|" : "", (int)pair.from_len,
                               pair.from);
    }
}

/* to with theirs in the place of its star, which ends it. */
static int fill_star(const struct pair *pair, struct se_arena *arena, const char *theirs,
                     const char **out)
{
    size_t len = strlen(theirs);
    if (pair->to_len == 1) {
        *out = theirs;
        return 0;
    }
    char *text = se_arena_take(arena, pair->to_len + len, 1);
    if (!text)
        return se_trace(-ENOMEM);
    memcpy(text, pair->to, pair->to_len - 1);
    memcpy(text + pair->to_len - 1, theirs, len + 1);
    *out = text;
    return 0;
}

int se_conf_foreign_word(const struct se_conf_foreign *row, struct se_arena *arena,
                         const char *theirs, const char **out, const char *where)
{
    char known[200], quoted[SE_QUOTE_B];
    size_t len = strlen(theirs);
    *out = theirs;
    if (!row->words)
        return 0;
    for (const char *words = row->words; words;) {
        struct pair pair;
        words = read_pair(words, &pair);
        if (is_any(&pair))
            return fill_star(&pair, arena, theirs, out);
        if (pair.from_len != len || memcmp(pair.from, theirs, len) != 0)
            continue;
        *out = se_arena_text(arena, pair.to, pair.to_len);
        return *out ? 0 : se_trace(-ENOMEM);
    }
    list_words(row->words, known, sizeof known);
    return se_fail(-EINVAL, "%s: '%s' is not one of %s", where, se_quote(theirs, len, quoted),
                   known);
}

/* ---- the table itself ---- */

/* Every word of ours is one that the row takes. */
static int check_words(const struct se_conf_foreign *from, const struct se_conf_row *row,
                       void *values)
{
    for (const char *words = from->words; words;) {
        struct pair pair;
        char word[80];
        words = read_pair(words, &pair);
        if (is_any(&pair))
            continue;
        snprintf(word, sizeof word, "%.*s", (int)pair.to_len, pair.to);
        int r = se_conf_value_set(row, values, word, from->path);
        if (r < 0)
            return se_trace(r);
    }
    return 0;
}

static int check_row(const struct se_conf_foreign *table, size_t at, const struct se_conf_row *rows,
                     size_t n_rows, void *values)
{
    const struct se_conf_foreign *from = &table[at];
    for (size_t i = 0; i < at; i++) {
        if (se_conf_foreign_find(&table[i], 1, from->path))
            return se_fail(-EINVAL, "%s: stands in the table twice", from->path);
        if (from->row && table[i].row && !strcmp(from->row, table[i].row))
            return se_fail(-EINVAL, "%s: %s sets %s already", from->path, table[i].path, from->row);
    }
    if (!from->row)
        return 0;
    const struct se_conf_row *row = se_conf_row_named(rows, n_rows, from->row, strlen(from->row));
    if (!row)
        return se_fail(-EINVAL, "%s: there is no row %s", from->path, from->row);
    if (!se_conf_in_file(row))
        return se_fail(-EINVAL, "%s: no file may set %s", from->path, from->row);
    return check_words(from, row, values);
}

int se_conf_foreign_check(const struct se_conf_foreign *table, size_t n,
                          const struct se_conf_row *rows, size_t n_rows)
{
    int r = 0;
    void *values = se_mem_zero(1, se_conf_value_span(rows, n_rows));
    if (!values)
        return se_trace(-ENOMEM);
    for (size_t i = 0; i < n && r == 0; i++)
        r = check_row(table, i, rows, n_rows, values);
    se_mem_free(values);
    return r < 0 ? se_trace(r) : 0;
}
