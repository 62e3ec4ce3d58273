/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/parts.h - what a tokenizer consists of, for the files of this room.
 *
 *   bytes ─► repair ─► added.raw ─► normalize ─► added.normal ─► pretoken ─► bpe ─► ids
 *                          └───────────────────────┴── ids of added tokens ───────► */
#ifndef SE_RUNTIME_TEXT_PARTS_H
#define SE_RUNTIME_TEXT_PARTS_H

#include "runtime/text/added.h"
#include "runtime/text/bpe.h"
#include "runtime/text/decode.h"
#include "runtime/text/normalize.h"
#include "runtime/text/pretoken.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/vocab.h"

enum { SE_TOKENIZER_IDS_MAX = 1 << 22 }; /* ids are below */

struct se_tokenizer {
    struct se_normalize normalize;
    struct se_pretoken pretoken;
    struct se_bpe bpe;
    struct se_added_token *added; /* as many as added_vocab has entries, in its order */
    struct se_vocab added_vocab;
    struct se_added_set raw, normal;
    struct se_decode decode;
    struct se_ids prefix, suffix; /* what the post-processor puts around the ids */
    uint32_t size;                /* largest id + 1 */
};

#endif
