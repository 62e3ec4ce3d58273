/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in the order of the file, and the order of their keys beside it: what a list of others'
 * keys may hold is for others to choose, so nothing is hashed that they could choose to collide. */
#include "transport/keyring.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { WORDS_MAX = 6, LINE_B = 1024, FILE_B = 64 << 20, READ_B = 65536, SESSIONS_MAX = 1 << 20 };
#define TOKENS_MAX 1000000000u

struct se_keyring {
    struct se_keyring_entry *entry;
    uint32_t *by_key, *by_curve; /* sorted */
    uint32_t n;
};

struct word {
    const char *at;
    size_t len;
};

/* ---- one line */

static bool is(const struct word *word, const char *text)
{
    return word->len == strlen(text) && memcmp(word->at, text, word->len) == 0;
}

static int read_name(struct se_keyring_entry *e, const struct word *word)
{
    for (size_t i = 0; i < word->len; i++) {
        const char c = word->at[i];
        if (!isascii(c) || (!isalnum(c) && strchr("._-@", c) == NULL))
            return se_fail(-EINVAL, "the name has a character that is none of A-Z a-z 0-9 . _ - @");
    }
    if (word->len >= SE_KEYRING_NAME_B)
        return se_fail(-EINVAL, "the name '%.*s' is longer than %d characters", (int)word->len,
                       word->at, SE_KEYRING_NAME_B - 1);
    memcpy(e->name, word->at, word->len);
    e->name[word->len] = 0;
    return 0;
}

/* "NAME=N", N from 1 to max. 1: it is another setting. */
static int read_limit(const struct word *word, const char *name, uint32_t max, bool *seen,
                      uint32_t *value)
{
    const size_t name_b = strlen(name);
    uint64_t n = 0;
    if (word->len <= name_b || memcmp(word->at, name, name_b) != 0 || word->at[name_b] != '=')
        return 1;
    const char *digit = word->at + name_b + 1, *end = word->at + word->len;
    bool good = digit < end && *digit != '0' && end - digit <= 10;
    for (; good && digit < end; digit++) {
        good = isdigit((unsigned char)*digit);
        n = n * 10 + (uint64_t)(*digit - '0');
    }
    if (!good || n > max)
        return se_fail(-EINVAL, "'%.*s': %s is a number from 1 to %u, or is not there: no limit",
                       (int)word->len, word->at, name, max);
    if (*seen)
        return se_fail(-EINVAL, "%s is said twice", name);
    *seen = true;
    *value = (uint32_t)n;
    return 0;
}

static int read_flag(const struct word *word, const char *name, bool *value)
{
    if (!is(word, name))
        return 1;
    if (*value)
        return se_fail(-EINVAL, "%s is said twice", name);
    *value = true;
    return 0;
}

static int read_setting(struct se_keyring_entry *e, const struct word *word, bool seen[2])
{
    int r = read_limit(word, "sessions", SESSIONS_MAX, &seen[0], &e->sessions);
    if (r == 1)
        r = read_limit(word, "tokens-per-second", TOKENS_MAX, &seen[1], &e->tokens_per_s);
    if (r == 1)
        r = read_flag(word, "admin", &e->admin);
    if (r == 1)
        r = read_flag(word, "revoked", &e->revoked);
    if (r == 1)
        r = se_fail(-EINVAL, "'%.*s' is none of sessions=N, tokens-per-second=N, admin and revoked",
                    word->len < 64 ? (int)word->len : 64, word->at);
    return r;
}

static int read_words(struct se_keyring_entry *e, const struct word *word, size_t n)
{
    bool seen[2] = { false, false };
    *e = (struct se_keyring_entry){ .sessions = 0 };
    int r = se_key_parse_both(&e->key, &e->curve, word[0].at, word[0].len);
    if (r == 0 && n < 2)
        r = se_fail(-EINVAL, "a key without a name: PUBLIC NAME");
    if (r == 0)
        r = read_name(e, &word[1]);
    for (size_t i = 2; i < n && r == 0; i++)
        r = read_setting(e, &word[i], seen);
    return r;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Words from blank to blank; 0 of a line that says nothing. A '#' begins words for people, where
 * a word could begin. */
static int split(struct word word[WORDS_MAX], size_t *n, const char *line, size_t len)
{
    *n = 0;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    for (size_t at = 0;;) {
        while (at < len && is_blank(line[at]))
            at++;
        if (at == len || line[at] == '#')
            return 0;
        if (*n == WORDS_MAX)
            return se_fail(-EINVAL, "more words than a line can have");
        const size_t from = at;
        while (at < len && !is_blank(line[at])) {
            if (!isascii(line[at]) || !isprint((unsigned char)line[at]))
                return se_fail(-EINVAL, "a character that is no printable ASCII");
            at++;
        }
        word[(*n)++] = (struct word){ line + from, at - from };
    }
}

/* ---- order */

static int compare_keys(const void *a, const void *b, void *of)
{
    const struct se_keyring_entry *entry = of;
    return memcmp(&entry[*(const uint32_t *)a].key, &entry[*(const uint32_t *)b].key, SE_KEY_B);
}

static int compare_curves(const void *a, const void *b, void *of)
{
    const struct se_keyring_entry *entry = of;
    return memcmp(&entry[*(const uint32_t *)a].curve, &entry[*(const uint32_t *)b].curve, SE_KEY_B);
}

static int compare_names(const void *a, const void *b, void *of)
{
    const struct se_keyring_entry *entry = of;
    return strcmp(entry[*(const uint32_t *)a].name, entry[*(const uint32_t *)b].name);
}

/* Sorts, and sees that no two are the same. */
static int sort(const struct se_keyring *ring, uint32_t *order,
                int (*compare)(const void *, const void *, void *), const char *what,
                const char *path)
{
    for (uint32_t i = 0; i < ring->n; i++)
        order[i] = i;
    qsort_r(order, ring->n, sizeof(*order), compare, ring->entry);
    for (uint32_t i = 1; i < ring->n; i++) {
        if (compare(&order[i - 1], &order[i], ring->entry) != 0)
            continue;
        const uint32_t a = ring->entry[order[i - 1]].line, b = ring->entry[order[i]].line;
        return se_fail(-EEXIST, "%s:%u: the %s of line %u again", path, a > b ? a : b, what,
                       a > b ? b : a);
    }
    return 0;
}

/* Two keys that differ in a sign alone are one key of CURVE, and so are refused as one. */
static int put_in_order(struct se_keyring *ring, const char *path)
{
    int r = sort(ring, ring->by_key, compare_names, "name", path);
    if (r == 0)
        r = sort(ring, ring->by_key, compare_keys, "key", path);
    if (r == 0)
        r = sort(ring, ring->by_curve, compare_curves, "key", path);
    return r;
}

/* ---- the file */

struct line {
    const char *at;
    size_t len;
    uint32_t number;
};

static bool next_line(struct line *line, const char *text, size_t len)
{
    const char *from = line->at == NULL ? text : line->at + line->len + 1, *end = text + len;
    if (from >= end)
        return false;
    const char *stop = memchr(from, '\n', (size_t)(end - from));
    *line = (struct line){ from, (size_t)((stop != NULL ? stop : end) - from), line->number + 1 };
    return true;
}

/* What is wrong, with the place before it. */
static int fail_at(int r, const char *path, uint32_t number)
{
    char why[256];
    snprintf(why, sizeof(why), "%s", se_err_text());
    return se_fail(r, "%s:%u: %s", path, number, why);
}

/* How many entries there are at most: a look that costs nothing beside reading keys. */
static int count(uint32_t *n, const char *text, size_t len, const char *path)
{
    struct word word[WORDS_MAX];
    size_t words;
    *n = 0;
    for (struct line line = { .at = NULL }; next_line(&line, text, len);) {
        const int r = line.len > LINE_B ? se_fail(-EINVAL, "longer than %d characters", LINE_B)
                                        : split(word, &words, line.at, line.len);
        if (r < 0)
            return fail_at(r, path, line.number);
        *n += words > 0;
        if (*n > SE_KEYRING_MAX)
            return se_fail(-E2BIG, "%s:%u: more than %d keys", path, line.number, SE_KEYRING_MAX);
    }
    return 0;
}

static int read_entries(struct se_keyring *ring, const char *text, size_t len, const char *path)
{
    struct word word[WORDS_MAX];
    size_t words;
    for (struct line line = { .at = NULL }; next_line(&line, text, len);) {
        struct se_keyring_entry *e = &ring->entry[ring->n];
        int r = split(word, &words, line.at, line.len);
        if (r == 0 && words == 0)
            continue;
        if (r == 0)
            r = read_words(e, word, words);
        if (r < 0)
            return r == -ENOTSUP ? r : fail_at(r, path, line.number);
        e->line = line.number;
        ring->n++;
    }
    return 0;
}

int se_keyring_parse(struct se_keyring **out, const char *text, size_t len, const char *path)
{
    uint32_t n;
    int r = count(&n, text, len, path);
    if (r < 0)
        return r;
    struct se_keyring *ring = se_mem_zero(1, sizeof(*ring));
    if (ring == NULL)
        return se_trace(-ENOMEM);
    ring->entry = se_mem_new(n, sizeof(*ring->entry));
    ring->by_key = se_mem_new(n, sizeof(*ring->by_key));
    ring->by_curve = se_mem_new(n, sizeof(*ring->by_curve));
    if (ring->entry == NULL || ring->by_key == NULL || ring->by_curve == NULL)
        r = -ENOMEM;
    if (r == 0)
        r = read_entries(ring, text, len, path);
    if (r == 0)
        r = put_in_order(ring, path);
    if (r < 0) {
        se_keyring_free(ring);
        return se_trace(r);
    }
    *out = ring;
    return 0;
}

/* Who may write it says who may come. */
static int check_file(int fd, const char *path)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return se_fail(-EINVAL, "%s: not a regular file", path);
    if ((info.st_mode & S_IWOTH) != 0)
        return se_fail(-EACCES,
                       "%s: anybody may write it (mode %04o): chmod o-w it, and look who is in it",
                       path, (unsigned)info.st_mode & 07777);
    return 0;
}

/* Into memory first: who writes the list meanwhile may make it shorter. The text is the caller's. */
static int read_file(char **out, size_t *len, const char *path)
{
    char *text = NULL;
    size_t cap = 0, n = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    int r = check_file(fd, path);
    while (r == 0) {
        r = se_mem_grow(&text, &cap, n + READ_B, 1);
        const ssize_t got = r == 0 ? read(fd, text + n, READ_B) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            r = se_fail(-errno, "%s: %s", path, strerror(errno));
        n += got > 0 ? (size_t)got : 0;
        if (n > FILE_B)
            r = se_fail(-EFBIG, "%s: a list of keys has %d bytes at most", path, FILE_B);
        if (got <= 0)
            break;
    }
    close(fd);
    *out = text;
    *len = n;
    return r;
}

int se_keyring_load(struct se_keyring **out, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    int r = read_file(&text, &len, path);
    if (r == 0)
        r = se_keyring_parse(out, text, len, path);
    se_mem_free(text);
    return r;
}

void se_keyring_free(struct se_keyring *ring)
{
    if (ring == NULL)
        return;
    se_mem_free(ring->entry);
    se_mem_free(ring->by_key);
    se_mem_free(ring->by_curve);
    se_mem_free(ring);
}

/* ---- finding */

uint32_t se_keyring_n(const struct se_keyring *ring) { return ring->n; }

const struct se_keyring_entry *se_keyring_at(const struct se_keyring *ring, uint32_t i)
{
    return i < ring->n ? &ring->entry[i] : NULL;
}

/* By halves; offset: of the key in the entries that the order is of. */
static const struct se_keyring_entry *find(const struct se_keyring *ring, const uint32_t *order,
                                           size_t offset, const struct se_key *key)
{
    uint32_t from = 0, to = ring->n;
    while (from < to) {
        const uint32_t at = from + (to - from) / 2;
        const struct se_keyring_entry *entry = &ring->entry[order[at]];
        const int side = memcmp(key, (const char *)entry + offset, sizeof(*key));
        if (side == 0)
            return entry;
        if (side < 0)
            to = at;
        else
            from = at + 1;
    }
    return NULL;
}

const struct se_keyring_entry *se_keyring_find(const struct se_keyring *ring,
                                               const struct se_key *key)
{
    return find(ring, ring->by_key, offsetof(struct se_keyring_entry, key), key);
}

const struct se_keyring_entry *se_keyring_find_curve(const struct se_keyring *ring,
                                                     const struct se_key *curve)
{
    return find(ring, ring->by_curve, offsetof(struct se_keyring_entry, curve), curve);
}
