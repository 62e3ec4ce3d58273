/* SPDX-License-Identifier: Apache-2.0 */
/* tools/vocabulary.h - a byte-level tokenizer of any size, made from nothing.
 *
 *   0 .. 255              the bytes
 *   256 .. size - 6       pairs of bytes, the commonest of English first, then triples
 *   size - 5 .. size - 1  <|bos|> <|eos|> <|user|> <|assistant|> <|end|>
 *
 * It knows no language, but every text becomes ids below size, and every id is text. */
#ifndef SE_TOOLS_VOCABULARY_H
#define SE_TOOLS_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

enum {
    SE_VOCABULARY_SPECIALS = 5,
    SE_VOCABULARY_MIN = 256 + SE_VOCABULARY_SPECIALS,
    SE_VOCABULARY_MAX = 1 << 24 /* 256 bytes, 2^16 pairs, and not quite all triples */
};

/* Ids of the special tokens. */
struct se_vocabulary_ids {
    uint32_t bos, eos, user, assistant, end;
};
struct se_vocabulary_ids se_vocabulary_ids(uint32_t size);

/* tokenizer.json and tokenizer_config.json as text, to free(). size in [MIN, MAX]. */
int se_vocabulary_tokenizer(uint32_t size, char **text, size_t *len);
int se_vocabulary_config(uint32_t size, uint32_t context, char **text, size_t *len);

#endif
