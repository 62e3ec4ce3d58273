/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/bpe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/ids.h"
#include "runtime/text/utf8.h"

/* Below this many symbols, looking at all of them beats keeping a heap. */
enum { FEW = 64 };

struct se_bpe_symbol {
    uint32_t id;
    uint32_t rank;       /* of the merge with the next symbol, or SE_BPE_NONE */
    uint32_t merged;     /* id after that merge */
    uint32_t prev, next; /* places; SE_BPE_NONE at the ends. A heap user's only */
};

/* --- the byte-level alphabet ------------------------------------------------------------ */

static bool stands_for_itself(unsigned char byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

uint32_t se_bpe_char_of_byte(unsigned char byte)
{
    if (stands_for_itself(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xad ? 0x143 : 0x121u + (byte - 0x7fu); /* 0x7f..0xa0, then 0xad */
}

int se_bpe_byte_of_char(uint32_t character)
{
    if (character < 0x100)
        return stands_for_itself((unsigned char)character) ? (int)character : -1;
    if (character <= 0x120)
        return (int)(character - 0x100);
    if (character <= 0x142)
        return (int)(character - 0x121 + 0x7f);
    return character == 0x143 ? 0xad : -1;
}

/* --- merges ----------------------------------------------------------------------------- */

int se_bpe_init(struct se_bpe *bpe, uint32_t n)
{
    uint32_t places = 16;
    while (places / 2 < n)
        places *= 2;
    bpe->merge = se_mem_new(places, sizeof *bpe->merge);
    if (!bpe->merge)
        return se_trace(-ENOMEM);
    memset(bpe->merge, 0xff, places * sizeof *bpe->merge); /* every left is SE_BPE_NONE */
    bpe->joint = se_mem_new(places, sizeof *bpe->joint);
    if (!bpe->joint)
        return se_trace(-ENOMEM);
    memset(bpe->joint, 0xff, places * sizeof *bpe->joint); /* no pair */
    bpe->mask = places - 1;
    return 0;
}

void se_bpe_fini(struct se_bpe *bpe)
{
    se_vocab_fini(&bpe->vocab);
    se_mem_free(bpe->merge);
    se_mem_free(bpe->joint);
    bpe->merge = NULL;
    bpe->joint = NULL;
}

static uint32_t find(const struct se_bpe *bpe, const char *text, size_t len)
{
    uint32_t id;
    return se_vocab_find(&bpe->vocab, text, len, &id) ? id : SE_BPE_NONE;
}

static uint64_t pair_of(uint32_t left, uint32_t right) { return (uint64_t)left << 32 | right; }

static uint32_t hash(uint64_t pair) { return (uint32_t)(pair * 0x9e3779b97f4a7c15u >> 32); }

/* The place of a pair, or the free one where it would be. */
static struct se_bpe_merge *place_of(const struct se_bpe *bpe, uint32_t left, uint32_t right)
{
    for (uint32_t at = hash(pair_of(left, right));; at++) {
        struct se_bpe_merge *merge = &bpe->merge[at & bpe->mask];
        if ((merge->left == left && merge->right == right) || merge->left == SE_BPE_NONE)
            return merge;
    }
}

static uint64_t *joint_of(const struct se_bpe *bpe, uint64_t pair)
{
    for (uint32_t at = hash(pair);; at++) {
        uint64_t *joint = &bpe->joint[at & bpe->mask];
        if (*joint == pair || *joint == UINT64_MAX)
            return joint;
    }
}

static size_t last_character(const char *text, size_t len_b)
{
    do
        len_b--;
    while (((unsigned char)text[len_b] & 0xc0) == 0x80);
    return len_b;
}

/* A side whose character has no id never comes about, and joins nothing. */
static void add_joint(struct se_bpe *bpe, const struct se_bpe_side side[2])
{
    size_t at = last_character(side[0].text, side[0].len_b);
    uint32_t left = find(bpe, side[0].text + at, side[0].len_b - at);
    uint32_t right = find(bpe, side[1].text, se_utf8_len((unsigned char)side[1].text[0]));
    if (left != SE_BPE_NONE && right != SE_BPE_NONE)
        *joint_of(bpe, pair_of(left, right)) = pair_of(left, right);
}

void se_bpe_add(struct se_bpe *bpe, const struct se_bpe_side side[2], uint32_t rank, uint32_t id)
{
    struct se_bpe_merge *merge = place_of(bpe, side[0].id, side[1].id);
    bpe->n += merge->left == SE_BPE_NONE;
    *merge = (struct se_bpe_merge){ side[0].id, side[1].id, rank, id };
    add_joint(bpe, side);
}

/* Symbols that are no character ("<unk>", "<0x0A>") are cut off from their neighbours, which
 * holds unless a merge takes them. */
static bool merges_characters_only(const struct se_bpe *bpe)
{
    uint32_t low = bpe->unknown, high = low == SE_BPE_NONE ? 0 : low;
    for (unsigned b = 0; b < 256; b++) {
        uint32_t id = bpe->of_fallback[b];
        low = id < low ? id : low;
        high = id != SE_BPE_NONE && id > high ? id : high;
    }
    for (uint64_t i = 0; i <= bpe->mask; i++) {
        const struct se_bpe_merge *merge = &bpe->merge[i];
        if (merge->left == SE_BPE_NONE)
            continue;
        if ((merge->left >= low && merge->left <= high) ||
            (merge->right >= low && merge->right <= high))
            return false; /* or one of those between them: no harm, only slower */
    }
    return true;
}

void se_bpe_ready(struct se_bpe *bpe)
{
    for (unsigned b = 0; b < 256; b++) {
        char text[8];
        unsigned n = se_utf8_put(se_bpe_char_of_byte((unsigned char)b), text);
        bpe->of_byte[b] = find(bpe, text, n);
        snprintf(text, sizeof text, "<0x%02X>", b);
        bpe->of_fallback[b] = bpe->byte_fallback ? find(bpe, text, 6) : SE_BPE_NONE;
    }
    for (unsigned c = 0; c < 128; c++)
        bpe->of_ascii[c] = find(bpe, &(char){ (char)c }, 1);
    bpe->cuts = merges_characters_only(bpe);
}

/* --- symbols of a piece ----------------------------------------------------------------- */

void se_bpe_work_fini(struct se_bpe_work *work)
{
    se_mem_free(work->symbol);
    se_mem_free(work->heap);
    se_buf_fini(&work->text);
    *work = (struct se_bpe_work){ .n = 0 };
}

static void push(struct se_bpe_work *work, uint32_t id) { work->symbol[work->n++].id = id; }

/* Unknown characters on their way to becoming a symbol. */
struct unknown {
    bool waiting;
};

static void push_unknown(const struct se_bpe *bpe, struct se_bpe_work *work,
                         struct unknown *unknown)
{
    if (unknown->waiting)
        push(work, bpe->unknown);
    unknown->waiting = false;
}

static bool push_fallback(const struct se_bpe *bpe, struct se_bpe_work *work, const char *text,
                          size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bpe->of_fallback[(unsigned char)text[i]] == SE_BPE_NONE)
            return false;
    for (size_t i = 0; i < len; i++)
        push(work, bpe->of_fallback[(unsigned char)text[i]]);
    return true;
}

/* A character that has no id: its bytes, the unknown token, or nothing. What waits is not
 * pushed before the bytes: the library keeps it for after them, and so do we. */
static int push_without_id(const struct se_bpe *bpe, struct se_bpe_work *work, const char *text,
                           size_t len, struct unknown *unknown)
{
    if (bpe->byte_fallback && push_fallback(bpe, work, text, len))
        return 0;
    if (!bpe->unknown_named)
        return 0;
    if (bpe->unknown == SE_BPE_NONE)
        return se_fail(-ENOENT, "the text needs unk_token, which is not in the vocabulary");
    if (!bpe->fuse_unknown)
        push_unknown(bpe, work, unknown);
    unknown->waiting = true;
    return 0;
}

/* One symbol for each character of the piece, or of the characters that its bytes stand for. */
static int symbols(const struct se_bpe *bpe, struct se_bpe_work *work, const char *piece,
                   size_t len_b, bool bytes)
{
    struct unknown unknown = { false };
    if (len_b > INT32_MAX / 2)
        return se_fail(-EFBIG, "a piece of %zu bytes of text is too long", len_b);
    /* A byte whose character has no id may become the two bytes of that character. */
    size_t most = bytes && bpe->byte_fallback ? 2 * len_b : len_b;
    int r = se_mem_grow(&work->symbol, &work->cap, most, sizeof *work->symbol);
    work->n = 0;
    for (size_t at = 0, n; r == 0 && at < len_b; at += n) {
        unsigned char first = (unsigned char)piece[at];
        const char *text = piece + at;
        char mapped[4];
        size_t len = n = bytes ? 1 : se_utf8_len(first);
        uint32_t id = bytes    ? bpe->of_byte[first]
                      : n == 1 ? bpe->of_ascii[first]
                               : find(bpe, text, n);
        if (id != SE_BPE_NONE) {
            push_unknown(bpe, work, &unknown);
            push(work, id);
            continue;
        }
        if (bytes) {
            len = se_utf8_put(se_bpe_char_of_byte(first), mapped);
            text = mapped;
        }
        r = push_without_id(bpe, work, text, len, &unknown);
    }
    if (r == 0)
        push_unknown(bpe, work, &unknown);
    return r;
}

/* Looks up the merge of a symbol with one that follows it. */
static void look_up(const struct se_bpe *bpe, struct se_bpe_symbol *symbol, uint32_t right)
{
    const struct se_bpe_merge *merge = place_of(bpe, symbol->id, right);
    symbol->rank = merge->left == SE_BPE_NONE ? SE_BPE_NONE : merge->rank;
    symbol->merged = merge->id;
}

/* --- few symbols: look at all of them --------------------------------------------------- */

static void merge_few(const struct se_bpe *bpe, struct se_bpe_symbol *s, size_t *n)
{
    for (size_t i = 0; i + 1 < *n; i++)
        look_up(bpe, &s[i], s[i + 1].id);
    while (*n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < *n; i++)
            if (s[i].rank < s[best].rank)
                best = i;
        if (s[best].rank == SE_BPE_NONE)
            return;
        s[best].id = s[best].merged;
        memmove(&s[best + 1], &s[best + 2], (*n - best - 2) * sizeof *s);
        --*n;
        if (best > 0)
            look_up(bpe, &s[best - 1], s[best].id);
        if (best + 1 < *n)
            look_up(bpe, &s[best], s[best + 1].id);
    }
}

/* --- many: a heap of what may merge ------------------------------------------------------ */

/* A symbol merges with another text only after it grew, and a grown text has another rank:
 * so an entry whose rank is no longer its symbol's is stale. */

static int heap_push(struct se_bpe_work *work, uint32_t rank, uint32_t place)
{
    if (rank == SE_BPE_NONE)
        return 0;
    int r = se_mem_grow(&work->heap, &work->cap_heap, work->n_heap + 1, sizeof *work->heap);
    if (r < 0)
        return r;
    uint64_t entry = (uint64_t)rank << 32 | place;
    size_t at = work->n_heap++;
    for (size_t up; at > 0 && work->heap[up = (at - 1) / 2] > entry; at = up)
        work->heap[at] = work->heap[up];
    work->heap[at] = entry;
    return 0;
}

static uint64_t heap_pop(struct se_bpe_work *work)
{
    uint64_t top = work->heap[0], entry = work->heap[--work->n_heap];
    size_t at = 0;
    for (size_t down; (down = 2 * at + 1) < work->n_heap; at = down) {
        if (down + 1 < work->n_heap && work->heap[down + 1] < work->heap[down])
            down++;
        if (work->heap[down] >= entry)
            break;
        work->heap[at] = work->heap[down];
    }
    work->heap[at] = entry;
    return top;
}

static int look_up_and_push(const struct se_bpe *bpe, struct se_bpe_work *work,
                            struct se_bpe_symbol *s, uint32_t place)
{
    if (s[place].next == SE_BPE_NONE) {
        s[place].rank = SE_BPE_NONE;
        return 0;
    }
    look_up(bpe, &s[place], s[s[place].next].id);
    return heap_push(work, s[place].rank, place);
}

static int link_up(const struct se_bpe *bpe, struct se_bpe_work *work, struct se_bpe_symbol *s,
                   size_t n)
{
    int r = 0;
    work->n_heap = 0;
    for (size_t i = 0; i < n; i++) {
        s[i].prev = i == 0 ? SE_BPE_NONE : (uint32_t)(i - 1);
        s[i].next = i + 1 == n ? SE_BPE_NONE : (uint32_t)(i + 1);
    }
    for (size_t i = 0; r == 0 && i < n; i++)
        r = look_up_and_push(bpe, work, s, (uint32_t)i);
    return r;
}

static int merge_many(const struct se_bpe *bpe, struct se_bpe_work *work, struct se_bpe_symbol *s,
                      size_t *n)
{
    int r = link_up(bpe, work, s, *n);
    while (r == 0 && work->n_heap > 0) {
        uint64_t entry = heap_pop(work);
        uint32_t place = (uint32_t)entry;
        if (s[place].rank != entry >> 32)
            continue;
        uint32_t gone = s[place].next;
        s[place].id = s[place].merged;
        s[place].next = s[gone].next;
        s[gone].rank = SE_BPE_NONE;
        if (s[place].next != SE_BPE_NONE)
            s[s[place].next].prev = place;
        if (s[place].prev != SE_BPE_NONE)
            r = look_up_and_push(bpe, work, s, s[place].prev);
        if (r == 0)
            r = look_up_and_push(bpe, work, s, place);
    }
    *n = 0;
    for (uint32_t place = 0; place != SE_BPE_NONE; place = s[place].next)
        s[(*n)++].id = s[place].id; /* *n never passes place */
    return r;
}

/* --- a piece ----------------------------------------------------------------------------- */

/* The symbols from s on, n at most, that have to be merged together. */
static size_t until_cut(const struct se_bpe *bpe, const struct se_bpe_symbol *s, size_t n)
{
    size_t end = 1;
    if (!bpe->cuts || n <= FEW)
        return n;
    while (end < n && *joint_of(bpe, pair_of(s[end - 1].id, s[end].id)) != UINT64_MAX)
        end++;
    return end;
}

static int merge(const struct se_bpe *bpe, struct se_bpe_work *work, struct se_ids *ids)
{
    int r = 0;
    for (size_t at = 0, part; r == 0 && at < work->n; at += part) {
        struct se_bpe_symbol *s = work->symbol + at;
        size_t n = part = until_cut(bpe, s, work->n - at);
        if (n > FEW)
            r = merge_many(bpe, work, s, &n);
        else
            merge_few(bpe, s, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
            r = se_ids_add(ids, &s[i].id, 1);
    }
    return r;
}

/* The token that a piece is as a whole: outcome 1 and its id, 0 when it is none. */
static int whole(const struct se_bpe *bpe, struct se_bpe_work *work, const char *piece,
                 size_t len_b, bool bytes, uint32_t *id)
{
    struct se_buf *text = &work->text;
    if (len_b > bpe->vocab.longest)
        return 0; /* and a byte's character is never shorter than the byte */
    if (!bytes)
        return se_vocab_find(&bpe->vocab, piece, len_b, id);
    text->n = 0;
    int r = se_buf_reserve(text, 2 * len_b);
    if (r < 0)
        return r;
    for (size_t i = 0; i < len_b; i++)
        text->n += se_utf8_put(se_bpe_char_of_byte((unsigned char)piece[i]), text->data + text->n);
    return se_vocab_find(&bpe->vocab, text->data, text->n, id);
}

int se_bpe_encode(const struct se_bpe *bpe, struct se_bpe_work *work, const char *piece,
                  size_t len_b, bool bytes, struct se_ids *ids)
{
    uint32_t id;
    int r = bpe->whole_first ? whole(bpe, work, piece, len_b, bytes, &id) : 0;
    if (r != 0)
        return r < 0 ? r : se_ids_add(ids, &id, 1);
    r = symbols(bpe, work, piece, len_b, bytes);
    return r == 0 ? merge(bpe, work, ids) : r;
}
