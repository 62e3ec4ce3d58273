/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/text/parts.h"

/* Everything that takes part in the mapping is hashed, and nothing else: not the order of
 * keys in the file, nor how merges are written. Tokens and merges come in any order, so
 * their hashes are summed. */

struct print {
    uint64_t state;
};

static void put(struct print *print, const void *bytes, size_t n)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < n; i++)
        print->state = (print->state ^ byte[i]) * 0x100000001b3u; /* FNV-1a */
}

static void put_number(struct print *print, uint64_t number)
{
    unsigned char byte[8];
    for (unsigned i = 0; i < sizeof byte; i++)
        byte[i] = (unsigned char)(number >> 8 * i);
    put(print, byte, sizeof byte);
}

static void put_text(struct print *print, const char *text, size_t len_b)
{
    put_number(print, len_b);
    put(print, text, len_b);
}

/* The hash so far, its bits mixed well enough to be summed. */
static uint64_t end(const struct print *print)
{
    uint64_t h = print->state;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static struct print begin(uint64_t kind)
{
    struct print print = { 0xcbf29ce484222325u };
    put_number(&print, kind);
    return print;
}

enum { VOCAB = 1, MERGES, ADDED, DECODE };

static void put_vocab(struct print *print, const struct se_vocab *vocab)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < vocab->n; i++) {
        struct print one = begin(VOCAB);
        put_number(&one, vocab->entry[i].id);
        put_text(&one, se_vocab_text(vocab, i), vocab->entry[i].len);
        sum += end(&one);
    }
    put_number(print, sum);
}

static void put_bpe(struct print *print, const struct se_bpe *bpe)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i <= bpe->mask; i++) {
        const struct se_bpe_merge *merge = &bpe->merge[i];
        if (merge->left == SE_BPE_NONE)
            continue;
        struct print one = begin(MERGES);
        put_number(&one, (uint64_t)merge->left << 32 | merge->right);
        put_number(&one, merge->rank);
        sum += end(&one);
    }
    put_number(print, sum);
    put_number(print, bpe->unknown_named);
    put_number(print, bpe->unknown);
    put_number(print,
               (uint64_t)bpe->fuse_unknown << 2 | bpe->byte_fallback << 1 | bpe->whole_first);
}

static void put_added(struct print *print, const struct se_tokenizer *tokenizer)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < tokenizer->added_vocab.n; i++) {
        const struct se_added_token *token = &tokenizer->added[i];
        struct print one = begin(ADDED);
        put_number(&one, token->id);
        put_text(&one, se_vocab_text(&tokenizer->added_vocab, i),
                 tokenizer->added_vocab.entry[i].len);
        put_number(&one, (uint64_t)token->special << 4 | token->single_word << 3 |
                             token->lstrip << 2 | token->rstrip << 1 | token->normalized);
        sum += end(&one);
    }
    put_number(print, sum);
}

static void put_normalize(struct print *print, const struct se_normalize *normalize)
{
    put_number(print, normalize->n);
    for (unsigned i = 0; i < normalize->n; i++) {
        const struct se_normalize_step *step = &normalize->step[i];
        put_number(print, step->kind);
        put_text(print, step->from, step->from_b);
        put_text(print, step->to, step->to_b);
    }
}

static void put_pretoken(struct print *print, const struct se_pretoken *pretoken)
{
    put_number(print, (uint64_t)pretoken->n << 1 | pretoken->byte_level);
    for (unsigned i = 0; i < pretoken->n; i++) {
        const struct se_pretoken_step *step = &pretoken->step[i];
        size_t len_b = 0;
        const char *text = step->pattern ? se_pattern_text(step->pattern, &len_b) : "";
        put_number(print, (uint64_t)step->kind << 24 | (uint64_t)step->keep << 16 |
                              (uint64_t)step->scheme << 8 | step->invert);
        put_text(print, text, len_b);
        put_text(print, step->replacement, strlen(step->replacement));
    }
}

static void put_decode(struct print *print, const struct se_decode *decode)
{
    uint64_t sum = 0;
    put_number(print, decode->kind);
    put_number(print, decode->mark_in_front);
    put_text(print, decode->strip, strlen(decode->strip));
    put_text(print, decode->mark, strlen(decode->mark));
    for (uint32_t id = 0; id < decode->n; id++) {
        const struct se_decode_entry *entry = &decode->entry[id];
        if (!entry->there)
            continue;
        struct print one = begin(DECODE);
        put_number(&one, (uint64_t)id << 1 | entry->special);
        put_text(&one, decode->pool.data + entry->at, entry->len);
        sum += end(&one);
    }
    put_number(print, sum);
}

static void put_ids(struct print *print, const struct se_ids *ids)
{
    put_number(print, ids->n);
    for (size_t i = 0; i < ids->n; i++)
        put_number(print, ids->id[i]);
}

uint64_t se_tokenizer_fingerprint(const struct se_tokenizer *tokenizer)
{
    struct print print = begin(0);
    put_vocab(&print, &tokenizer->bpe.vocab);
    put_bpe(&print, &tokenizer->bpe);
    put_added(&print, tokenizer);
    put_normalize(&print, &tokenizer->normalize);
    put_pretoken(&print, &tokenizer->pretoken);
    put_decode(&print, &tokenizer->decode);
    put_ids(&print, &tokenizer->prefix);
    put_ids(&print, &tokenizer->suffix);
    return end(&print);
}
