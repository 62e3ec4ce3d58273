/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/tokenizer.h - text to token ids and back, from a model folder's own files.
 *
 * Reads tokenizer.json (and tokenizer_config.json for the chat family) as Hugging Face
 * writes it and gives the ids that its library gives. A loaded tokenizer is read-only and
 * may be shared by threads; each thread encodes with its own se_tokenizer_encode() call.
 *
 * Input is bytes. Valid UTF-8 is tokenized as the library does; each byte of an invalid
 * sequence is first replaced as docs/tokenizer.md says. */
#ifndef SE_RUNTIME_TEXT_TOKENIZER_H
#define SE_RUNTIME_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct se_tokenizer;

/* dir is a model folder. -ENOTSUP names a kind that is not supported; the error text always
 * names the file. */
int se_tokenizer_open(struct se_tokenizer **out, const char *dir);
/* The same from bytes (name is used in errors): for fuzzing and tests. */
int se_tokenizer_parse(struct se_tokenizer **out, const char *name, const void *json, size_t len_b);
void se_tokenizer_close(struct se_tokenizer *tokenizer);

/* Largest id + 1. */
uint32_t se_tokenizer_size(const struct se_tokenizer *tokenizer);

/* Identity of the mapping between text and ids (not of the file's layout), to compare an
 * edge's tokenizer with a server's. */
uint64_t se_tokenizer_fingerprint(const struct se_tokenizer *tokenizer);

/* Ids of a token by its exact text ("<|eos|>"); -ENOENT. */
int se_tokenizer_find(const struct se_tokenizer *tokenizer, const char *token, uint32_t *id);

struct se_ids {
    uint32_t *id;
    size_t n, cap;
};
#define SE_IDS_NULL ((struct se_ids){ 0 })
void se_ids_fini(struct se_ids *ids);

enum {
    SE_ENCODE_SPECIAL = 1, /* add what the post-processor adds (BOS) */
    SE_ENCODE_PLAIN = 2,   /* special tokens' text in the input is text like any other */
    SE_ENCODE_INSIDE = 4   /* something stands before this text: it is not the beginning */
};

/* Appends to ids. 0 or -errno. */
int se_tokenizer_encode(const struct se_tokenizer *tokenizer, const char *text, size_t len_b,
                        unsigned flags, struct se_ids *ids);

/* Streaming decoder: holds back the bytes of a split UTF-8 character, and nothing else. */
struct se_decoder {
    const struct se_tokenizer *tokenizer;
    unsigned char held[8]; /* the beginning of a character */
    uint8_t n_held;
    bool begun; /* something was decoded: a leading space is no longer dropped */
    bool skip_special;
};
void se_decoder_init(struct se_decoder *decoder, const struct se_tokenizer *tokenizer,
                     bool skip_special);
/* Text that this id completes, appended to the growing block *text (*cap bytes, *len used).
 * -ERANGE for an id the tokenizer does not have. Bytes that can never become UTF-8 come out
 * as U+FFFD, one per maximal invalid part. */
int se_decoder_add(struct se_decoder *decoder, uint32_t id, char **text, size_t *len, size_t *cap);
/* What is still held at the end (as U+FFFD). */
int se_decoder_end(struct se_decoder *decoder, char **text, size_t *len, size_t *cap);

#endif
