/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/bpe.h - byte pair encoding: a piece of text into ids.
 *
 * A piece begins as one symbol per character (or byte). Of all neighbours that may merge,
 * those of the lowest rank do, the leftmost first, until none may. The ids of a merge's
 * two sides lead to its rank and the id of both together.
 * Filled once by one thread, then read by any; each thread encodes with its own work. */
#ifndef SE_RUNTIME_TEXT_BPE_H
#define SE_RUNTIME_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/tokenizer.h"
#include "runtime/text/vocab.h"

#define SE_BPE_NONE UINT32_MAX /* no such id, no such merge */

struct se_bpe_merge {
    uint32_t left, right; /* left is SE_BPE_NONE in a free place */
    uint32_t rank, id;
};

struct se_bpe {
    struct se_vocab vocab;
    struct se_bpe_merge *merge; /* hashed by (left, right): mask + 1 places */
    uint32_t n, mask;
    uint64_t *joint;        /* pairs of characters' ids that some merge brings together, hashed */
    bool cuts;              /* where no joint is, a piece may be cut before it is merged */
    uint32_t of_byte[256];  /* id of a byte's character in the byte-level alphabet */
    uint32_t of_ascii[128]; /* id of the character itself */
    uint32_t of_fallback[256]; /* id of "<0x0A>", when byte_fallback */
    uint32_t unknown;          /* id for what has no id; unknown_named: unk_token is set */
    bool unknown_named;
    bool fuse_unknown;  /* a run of unknown characters is one */
    bool byte_fallback; /* a character without an id becomes its bytes, if they all have one */
    bool whole_first;   /* ignore_merges: a piece in the vocabulary is that token */
};

/* The byte's character in the byte-level alphabet: printable ones stand for themselves. */
uint32_t se_bpe_char_of_byte(unsigned char byte);
/* The byte a character stands for, or -1. */
int se_bpe_byte_of_char(uint32_t character);

/* Room for n merges, after vocab is filled. 0 or -ENOMEM. */
int se_bpe_init(struct se_bpe *bpe, uint32_t n);
struct se_bpe_side {
    const char *text; /* not empty */
    size_t len_b;
    uint32_t id;
};
/* side[0] and side[1] merge to id. A later one of the same pair replaces the earlier. */
void se_bpe_add(struct se_bpe *bpe, const struct se_bpe_side side[2], uint32_t rank, uint32_t id);
/* Looks up the ids of single bytes and characters, when vocab is complete. */
void se_bpe_ready(struct se_bpe *bpe);
void se_bpe_fini(struct se_bpe *bpe);

struct se_bpe_work {
    struct se_bpe_symbol *symbol;
    size_t n, cap;
    uint64_t *heap; /* rank and place of a symbol that may merge with the next */
    size_t n_heap, cap_heap;
    struct se_buf text; /* a piece in the byte-level alphabet */
};
/* Zeroed work is ready for use. */
void se_bpe_work_fini(struct se_bpe_work *work);

/* Appends the ids of a piece of valid UTF-8; bytes: it is merged as bytes. 0, -ENOENT when
 * unk_token is needed but not in the vocabulary, -EFBIG, -ENOMEM. */
int se_bpe_encode(const struct se_bpe *bpe, struct se_bpe_work *work, const char *piece,
                  size_t len_b, bool bytes, struct se_ids *ids);

#endif
