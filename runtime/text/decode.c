/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/decode.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/bpe.h"
#include "runtime/text/parts.h"
#include "runtime/text/utf8.h"

/* --- the table --------------------------------------------------------------------------- */

int se_decode_init(struct se_decode *decode, uint32_t n)
{
    decode->entry = se_mem_zero(n, sizeof *decode->entry);
    decode->n = n;
    return decode->entry ? 0 : se_trace(-ENOMEM);
}

void se_decode_fini(struct se_decode *decode)
{
    for (unsigned i = 0; i < decode->n_replace; i++) {
        se_mem_free(decode->replace[i].from);
        se_mem_free(decode->replace[i].to);
    }
    se_mem_free(decode->entry);
    se_buf_fini(&decode->pool);
    *decode = (struct se_decode){ .n = 0 };
}

/* A text of the byte-level alphabet is its bytes; any other text is itself. */
static int put_bytes(struct se_buf *pool, const char *text, size_t len_b)
{
    size_t begin = pool->n;
    int r = se_buf_reserve(pool, len_b);
    for (size_t at = 0; r == 0 && at < len_b; at += se_utf8_len((unsigned char)text[at])) {
        int byte = se_bpe_byte_of_char(se_utf8_get(text + at));
        if (byte < 0) {
            pool->n = begin;
            return se_buf_add(pool, text, len_b);
        }
        pool->data[pool->n++] = (char)byte;
    }
    return r;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "<0x0A>" names, or -1. The library's reader of numbers takes "+A" too. */
static int byte_named(const char *text, size_t len_b)
{
    if (len_b != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    int high = text[3] == '+' ? 0 : hex(text[3]), low = hex(text[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static int replace(const struct se_decode_replace *what, const char *text, size_t len_b,
                   struct se_buf *to)
{
    int r = 0;
    while (r == 0 && len_b > 0) {
        const char *found = memmem(text, len_b, what->from, what->from_b);
        size_t n = found ? (size_t)(found - text) : len_b;
        r = se_buf_add(to, text, n);
        if (r == 0 && found)
            r = se_buf_add(to, what->to, what->to_b);
        n += found ? what->from_b : 0;
        text += n;
        len_b -= n;
    }
    return r;
}

static int put_parts(struct se_decode *decode, const char *text, size_t len_b)
{
    struct se_buf work[2] = { SE_BUF_NULL, SE_BUF_NULL };
    int r = 0;
    for (unsigned i = 0; r == 0 && i < decode->n_replace; i++) {
        struct se_buf *to = &work[i % 2];
        to->n = 0;
        r = replace(&decode->replace[i], text, len_b, to);
        text = to->data;
        len_b = to->n;
    }
    int byte = decode->fallback ? byte_named(text, len_b) : -1;
    if (r == 0 && byte >= 0)
        r = se_buf_add(&decode->pool, &(char){ (char)byte }, 1);
    else if (r == 0)
        r = se_buf_add(&decode->pool, text, len_b);
    se_buf_fini(&work[0]);
    se_buf_fini(&work[1]);
    return r;
}

int se_decode_add(struct se_decode *decode, uint32_t id, const char *text, size_t len_b)
{
    struct se_decode_entry *entry = &decode->entry[id];
    size_t begin = decode->pool.n;
    if (entry->there)
        return -EEXIST;                       /* the caller knows the file and the token */
    int r = se_buf_reserve(&decode->pool, 1); /* an empty text does not lie at NULL either */
    if (r < 0)
        return r;
    if (decode->kind == SE_DECODE_BYTES)
        r = put_bytes(&decode->pool, text, len_b);
    else if (decode->kind == SE_DECODE_PARTS)
        r = put_parts(decode, text, len_b);
    else
        r = se_buf_add(&decode->pool, text, len_b);
    if (r == 0 && decode->pool.n > UINT32_MAX)
        r = se_fail(-EOVERFLOW, "a vocabulary of more than 4 GiB of text");
    if (r < 0)
        return r;
    entry->at = (uint32_t)begin;
    entry->len = (uint32_t)(decode->pool.n - begin);
    entry->whole = se_utf8_valid(decode->pool.data + begin, entry->len);
    entry->there = true;
    return 0;
}

/* --- the stream --------------------------------------------------------------------------- */

void se_decoder_init(struct se_decoder *decoder, const struct se_tokenizer *tokenizer,
                     bool skip_special)
{
    *decoder = (struct se_decoder){ .tokenizer = tokenizer, .skip_special = skip_special };
}

/* Whole characters; of the text's first, one that is to be dropped is. */
static void put_text(struct se_decoder *decoder, const char *text, size_t len_b, struct se_buf *out)
{
    const struct se_decode *decode = &decoder->tokenizer->decode;
    size_t strip_b = strlen(decode->strip);
    if (len_b == 0)
        return;
    if (!decoder->begun && strip_b > 0 && len_b >= strip_b &&
        memcmp(text, decode->strip, strip_b) == 0) {
        text += strip_b;
        len_b -= strip_b;
    }
    decoder->begun = true;
    memcpy(out->data + out->n, text, len_b);
    out->n += len_b;
}

static void put_replacement(struct se_decoder *decoder, struct se_buf *out)
{
    decoder->n_held = 0;
    put_text(decoder, SE_UTF8_REPLACEMENT, SE_UTF8_REPLACEMENT_B, out);
}

static void put_byte(struct se_decoder *decoder, unsigned char byte, struct se_buf *out)
{
    decoder->held[decoder->n_held] = byte;
    enum se_utf8_state state = se_utf8_state(decoder->held, decoder->n_held + 1u);
    if (state == SE_UTF8_BAD && decoder->n_held > 0) { /* the byte may begin another */
        put_replacement(decoder, out);
        decoder->held[0] = byte;
        state = se_utf8_state(decoder->held, 1);
    }
    decoder->n_held++;
    if (state == SE_UTF8_BAD)
        put_replacement(decoder, out);
    if (state != SE_UTF8_WHOLE)
        return;
    size_t n = decoder->n_held;
    decoder->n_held = 0;
    put_text(decoder, (const char *)decoder->held, n, out);
}

/* A token of SE_DECODE_METASPACE. */
static void put_marked(struct se_decoder *decoder, const char *text, size_t len_b,
                       struct se_buf *out)
{
    const struct se_decode *decode = &decoder->tokenizer->decode;
    size_t mark_b = strlen(decode->mark);
    bool drop = !decoder->begun && decode->mark_in_front;
    for (size_t at = 0, n; at < len_b; at += n) {
        n = se_utf8_len((unsigned char)text[at]);
        if (n != mark_b || memcmp(text + at, decode->mark, n) != 0)
            put_text(decoder, text + at, n, out);
        else if (!drop)
            put_text(decoder, " ", 1, out);
    }
    decoder->begun = true;
}

static void put_token(struct se_decoder *decoder, const struct se_decode_entry *entry,
                      struct se_buf *out)
{
    const struct se_decode *decode = &decoder->tokenizer->decode;
    const char *text = decode->pool.data + entry->at;
    switch (decode->kind) {
    case SE_DECODE_METASPACE:
        put_marked(decoder, text, entry->len, out);
        return;
    case SE_DECODE_JOIN:
        if (decoder->begun)
            put_text(decoder, " ", 1, out);
        put_text(decoder, text, entry->len, out);
        decoder->begun = true;
        return;
    case SE_DECODE_BYTES:
    case SE_DECODE_PARTS:
        break;
    }
    if (entry->whole && decoder->n_held == 0) {
        put_text(decoder, text, entry->len, out);
        return;
    }
    for (uint32_t i = 0; i < entry->len; i++)
        put_byte(decoder, (unsigned char)text[i], out);
}

int se_decoder_add(struct se_decoder *decoder, uint32_t id, char **text, size_t *len, size_t *cap)
{
    const struct se_decode *decode = &decoder->tokenizer->decode;
    struct se_buf out = { *text, *len, *cap };
    if (id >= decode->n || !decode->entry[id].there)
        return se_fail(-ERANGE, "id %lu is not in the vocabulary (ids are below %lu)",
                       (unsigned long)id, (unsigned long)decode->n);
    const struct se_decode_entry *entry = &decode->entry[id];
    if (decoder->skip_special && entry->special)
        return 0;
    /* Room first, so that a failure leaves the stream as it was: every byte may come out as
     * U+FFFD, and so may what is held; a space may come in front. */
    int r = se_buf_reserve(&out, ((size_t)entry->len + 2) * SE_UTF8_REPLACEMENT_B);
    if (r == 0)
        put_token(decoder, entry, &out);
    *text = out.data;
    *len = out.n;
    *cap = out.cap;
    return r;
}

int se_decoder_end(struct se_decoder *decoder, char **text, size_t *len, size_t *cap)
{
    struct se_buf out = { *text, *len, *cap };
    int r = 0;
    if (decoder->n_held > 0) {
        r = se_buf_reserve(&out, SE_UTF8_REPLACEMENT_B);
        if (r == 0)
            put_replacement(decoder, &out);
    }
    *text = out.data;
    *len = out.n;
    *cap = out.cap;
    return r;
}
