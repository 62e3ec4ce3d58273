/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/decode.h - what each id stands for in text.
 *
 * The decoders of a tokenizer.json work on lists of token texts; all that can be done to a
 * single token is done here at load, once, and the rest is a rule for the beginning:
 *
 *   Sequence[Replace, ByteFallback, Fuse, Strip]  "▁the" -> " the", "<0x0A>" -> a byte
 *
 * Filled once by one thread, then read by any. */
#ifndef SE_RUNTIME_TEXT_DECODE_H
#define SE_RUNTIME_TEXT_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/buf.h"

enum se_decode_kind {
    SE_DECODE_JOIN,     /* no decoder: the texts with a space between */
    SE_DECODE_BYTES,    /* ByteLevel: the characters are bytes */
    SE_DECODE_PARTS,    /* Replace, ByteFallback, Fuse, Strip: any of them, in this order */
    SE_DECODE_METASPACE /* the replacement is a space, or nothing in the first token */
};

enum { SE_DECODE_REPLACES_MAX = 8 };

struct se_decode_replace {
    char *from, *to;
    size_t from_b, to_b;
};

struct se_decode_entry {
    uint32_t at, len; /* in pool */
    bool there;       /* the id exists */
    bool special;
    bool whole; /* the bytes are whole characters, so that nothing is held back */
};

struct se_decode {
    enum se_decode_kind kind;
    struct se_decode_replace replace[SE_DECODE_REPLACES_MAX]; /* PARTS */
    unsigned n_replace;
    bool fallback;      /* PARTS: "<0x0A>" is a byte */
    bool fused;         /* PARTS: Fuse was there; a Strip after it is for the whole text */
    char strip[5];      /* PARTS: one character that is dropped where the text begins, or "" */
    char mark[5];       /* METASPACE: the replacement */
    bool mark_in_front; /* METASPACE: it was put in front, so drop it there */
    struct se_decode_entry *entry; /* by id */
    uint32_t n;
    struct se_buf pool;
};

/* Room for ids below n. 0 or -ENOMEM. */
int se_decode_init(struct se_decode *decode, uint32_t n);
/* The kind must be known by now. -EEXIST when the id has a text already. */
int se_decode_add(struct se_decode *decode, uint32_t id, const char *text, size_t len_b);
void se_decode_fini(struct se_decode *decode);

#endif
