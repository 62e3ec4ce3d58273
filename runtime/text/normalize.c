/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/normalize.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"

/* A character decomposes into 18 at most (U+FDFA, compatibility). */
enum { DECOMPOSED_MAX = 32, FIRST_TO_CHANGE = 0xc0, FIRST_TO_CHANGE_NFC = 0x300 };

void se_normalize_fini(struct se_normalize *normalize)
{
    for (unsigned i = 0; i < normalize->n; i++) {
        se_mem_free(normalize->step[i].from);
        se_mem_free(normalize->step[i].to);
    }
    *normalize = (struct se_normalize){ .n = 0 };
}

void se_normalize_work_fini(struct se_normalize_work *work)
{
    se_buf_fini(&work->text[0]);
    se_buf_fini(&work->text[1]);
    se_mem_free(work->character);
    *work = (struct se_normalize_work){ .cap = 0 };
}

/* --- the normal forms ------------------------------------------------------------------- */

/* The bytes at the beginning that the form leaves alone: a run of characters below the
 * first that changes, less the last, which may combine with what follows. */
static size_t same(const char *text, size_t len_b, bool nfc)
{
    unsigned char first = nfc ? 0xcc : 0x80; /* of U+0300; no character but ASCII */
    size_t at = 0, last = 0;
    for (; at < len_b && (unsigned char)text[at] < first;
         at += se_utf8_len((unsigned char)text[at]))
        last = at;
    return at >= len_b ? len_b : last;
}

static unsigned combining(int32_t character)
{
    if (character < FIRST_TO_CHANGE_NFC || se_unicode_inert((uint32_t)character))
        return 0;
    return (unsigned)utf8proc_get_property(character)->combining_class;
}

/* Sorts marks by combining class, equal ones staying in order. Runs are short in any
 * language; a long one is counted out, so that no text takes quadratic time. */
static int sort_marks(int32_t *mark, size_t n)
{
    enum { SHORT = 32 };
    size_t begin[257] = { 0 };
    if (n <= SHORT) {
        for (size_t i = 1; i < n; i++) {
            int32_t one = mark[i];
            size_t at = i;
            for (; at > 0 && combining(mark[at - 1]) > combining(one); at--)
                mark[at] = mark[at - 1];
            mark[at] = one;
        }
        return 0;
    }
    int32_t *sorted = se_mem_new(n, sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        begin[combining(mark[i]) + 1]++;
    for (size_t c = 1; c < 257; c++)
        begin[c] += begin[c - 1];
    for (size_t i = 0; i < n; i++)
        sorted[begin[combining(mark[i])]++] = mark[i];
    memcpy(mark, sorted, n * sizeof *mark);
    se_mem_free(sorted);
    return 0;
}

static int sort_all_marks(int32_t *character, size_t n)
{
    int r = 0;
    for (size_t at = 0, end; r == 0 && at < n; at = end + 1) {
        for (end = at; end < n && combining(character[end]) != 0;)
            end++;
        if (end - at > 1)
            r = sort_marks(character + at, end - at);
    }
    return r;
}

/* Composes between the characters that take no part. Returns how many are left. */
static size_t compose(int32_t *character, size_t n)
{
    size_t out = 0;
    for (size_t at = 0, end; at < n; at = end) {
        for (end = at; end < n && !se_unicode_inert((uint32_t)character[end]);)
            end++;
        if (end == at) {
            character[out++] = character[end++];
            continue;
        }
        utf8proc_ssize_t left = utf8proc_normalize_utf32(
            character + at, (utf8proc_ssize_t)(end - at), UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        memmove(character + out, character + at, (size_t)left * sizeof *character);
        out += (size_t)left;
    }
    return out;
}

static int decompose(struct se_normalize_work *work, const char *text, size_t len_b,
                     utf8proc_option_t options, size_t *n)
{
    *n = 0;
    for (size_t at = 0; at < len_b; at += se_utf8_len((unsigned char)text[at])) {
        int32_t c = (int32_t)se_utf8_get(text + at);
        int r = se_mem_grow(&work->character, &work->cap, *n + DECOMPOSED_MAX, sizeof c);
        if (r < 0)
            return r;
        if (c < FIRST_TO_CHANGE && !(options & UTF8PROC_COMPAT)) {
            work->character[(*n)++] = c;
            continue;
        }
        if (se_unicode_inert((uint32_t)c)) {
            work->character[(*n)++] = c;
            continue;
        }
        int unused = 0;
        utf8proc_ssize_t more =
            utf8proc_decompose_char(c, work->character + *n, DECOMPOSED_MAX, options, &unused);
        if (more < 1 || more > DECOMPOSED_MAX)
            return se_fail(-EINVAL, "cannot normalise U+%04X", (unsigned)c);
        *n += (size_t)more;
    }
    return 0;
}

static int put_form(struct se_normalize_work *work, enum se_normalize_kind kind, const char *text,
                    size_t len_b, struct se_buf *to)
{
    bool composed = kind == SE_NORMALIZE_NFC || kind == SE_NORMALIZE_NFKC;
    bool compatible = kind == SE_NORMALIZE_NFKC || kind == SE_NORMALIZE_NFKD;
    size_t n, skip = same(text, len_b, kind == SE_NORMALIZE_NFC);
    int r = se_buf_add(to, text, skip);
    if (r < 0 || skip == len_b)
        return r;
    r = decompose(work, text + skip, len_b - skip,
                  UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | (compatible ? UTF8PROC_COMPAT : 0), &n);
    if (r == 0)
        r = sort_all_marks(work->character, n);
    if (r < 0)
        return r;
    if (composed)
        n = compose(work->character, n);
    r = se_buf_reserve(to, 4 * n);
    for (size_t i = 0; r == 0 && i < n; i++)
        to->n += se_utf8_put((uint32_t)work->character[i], to->data + to->n);
    return r;
}

/* --- the others ------------------------------------------------------------------------- */

static int put_replaced(const struct se_normalize_step *step, const char *text, size_t len_b,
                        struct se_buf *to)
{
    int r = 0;
    while (r == 0 && len_b > 0) {
        const char *found = memmem(text, len_b, step->from, step->from_b);
        size_t n = found ? (size_t)(found - text) : len_b;
        r = se_buf_add(to, text, n);
        if (r == 0 && found)
            r = se_buf_add(to, step->to, step->to_b);
        n += found ? step->from_b : 0;
        text += n;
        len_b -= n;
    }
    return r;
}

static int put_prepended(const struct se_normalize_step *step, const char *text, size_t len_b,
                         struct se_buf *to)
{
    if (len_b == 0)
        return 0;
    int r = se_buf_add(to, step->to, step->to_b);
    return r < 0 ? r : se_buf_add(to, text, len_b);
}

int se_normalize_run(const struct se_normalize *normalize, struct se_normalize_work *work,
                     const char *text, size_t len_b, const char **out, size_t *out_b)
{
    for (unsigned i = 0; i < normalize->n; i++) {
        const struct se_normalize_step *step = &normalize->step[i];
        struct se_buf *to = &work->text[i % 2];
        int r;
        to->n = 0;
        if (step->kind == SE_NORMALIZE_REPLACE)
            r = put_replaced(step, text, len_b, to);
        else if (step->kind == SE_NORMALIZE_PREPEND)
            r = put_prepended(step, text, len_b, to);
        else
            r = put_form(work, step->kind, text, len_b, to);
        if (r < 0)
            return r;
        text = to->data;
        len_b = to->n;
    }
    *out = text;
    *out_b = len_b;
    return 0;
}
