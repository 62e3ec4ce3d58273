/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/vocab.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

/* Token texts are short, so eight bytes a step and one multiplication each will do. */
static uint64_t hash(const char *text, size_t len)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ len, word;
    for (; len >= sizeof word; len -= sizeof word, text += sizeof word) {
        memcpy(&word, text, sizeof word);
        h = mix(h, word);
    }
    word = 0;
    if (len > 0)
        memcpy(&word, text, len);
    return mix(h, word);
}

int se_vocab_init(struct se_vocab *vocab, uint32_t cap)
{
    uint32_t slots = 16;
    while (slots / 2 < cap)
        slots *= 2;
    *vocab = SE_VOCAB_NULL;
    vocab->entry = se_mem_new(cap, sizeof *vocab->entry);
    vocab->slot = se_mem_zero(slots, sizeof *vocab->slot);
    vocab->cap = cap;
    vocab->mask = slots - 1;
    if (vocab->entry && vocab->slot)
        return 0;
    se_vocab_fini(vocab);
    return se_trace(-ENOMEM);
}

void se_vocab_fini(struct se_vocab *vocab)
{
    se_mem_free(vocab->entry);
    se_mem_free(vocab->slot);
    se_buf_fini(&vocab->pool);
    *vocab = SE_VOCAB_NULL;
}

/* The slot where the text is, or the free one where it would be. */
static uint32_t *slot_of(const struct se_vocab *vocab, const char *text, size_t len)
{
    uint64_t at = hash(text, len);
    for (;; at++) {
        uint32_t *slot = &vocab->slot[at & vocab->mask];
        if (*slot == 0)
            return slot;
        const struct se_vocab_entry *entry = &vocab->entry[*slot - 1];
        if (entry->len == len && memcmp(vocab->pool.data + entry->at, text, len) == 0)
            return slot;
    }
}

int se_vocab_add(struct se_vocab *vocab, const char *text, size_t len, uint32_t id)
{
    if (vocab->n == vocab->cap || len > UINT32_MAX - vocab->pool.n)
        return se_fail(-EOVERFLOW, "a vocabulary of more than 4 GiB of text");
    int r = se_buf_reserve(&vocab->pool, len + 1); /* the texts never lie at NULL */
    if (r < 0)
        return r;
    uint32_t *slot = slot_of(vocab, text, len);
    if (*slot != 0)
        return -EEXIST; /* the caller knows the file and the token */
    vocab->entry[vocab->n] = (struct se_vocab_entry){ id, (uint32_t)vocab->pool.n, (uint32_t)len };
    *slot = ++vocab->n;
    if (len > vocab->longest)
        vocab->longest = (uint32_t)len;
    return se_buf_add(&vocab->pool, text, len);
}

bool se_vocab_find(const struct se_vocab *vocab, const char *text, size_t len, uint32_t *id)
{
    if (vocab->n == 0 || len > vocab->longest)
        return false;
    uint32_t slot = *slot_of(vocab, text, len);
    if (slot != 0)
        *id = vocab->entry[slot - 1].id;
    return slot != 0;
}
