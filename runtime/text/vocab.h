/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/vocab.h - token texts and their ids, both ways distinct.
 *
 *   slot[hash] -> entry { id, at, len } -> pool "…Ġthe…"
 *
 * Filled once by one thread, then read by any. Texts are byte strings. */
#ifndef SE_RUNTIME_TEXT_VOCAB_H
#define SE_RUNTIME_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/buf.h"

struct se_vocab_entry {
    uint32_t id;
    uint32_t at, len; /* in pool */
};

struct se_vocab {
    struct se_vocab_entry *entry; /* in the order they came */
    uint32_t n, cap;
    uint32_t *slot; /* index of an entry + 1, or 0; mask + 1 of them, more than n */
    uint32_t mask;
    uint32_t longest; /* bytes of the longest text */
    struct se_buf pool;
};
#define SE_VOCAB_NULL ((struct se_vocab){ 0 })

/* Room for cap entries. 0 or -ENOMEM. */
int se_vocab_init(struct se_vocab *vocab, uint32_t cap);
void se_vocab_fini(struct se_vocab *vocab);

/* -EEXIST when the text is there already; at most cap times. */
int se_vocab_add(struct se_vocab *vocab, const char *text, size_t len, uint32_t id);
bool se_vocab_find(const struct se_vocab *vocab, const char *text, size_t len, uint32_t *id);

static inline const char *se_vocab_text(const struct se_vocab *vocab, uint32_t index)
{
    return vocab->pool.data + vocab->entry[index].at;
}

#endif
