/* SPDX-License-Identifier: Apache-2.0 */
/* tests/model/bits.h - the bits of a row do not depend on its company: alone, in a batch, in a
 * prompt chunk of any size, in decode, or as a node of a tree whose ancestors are committed later,
 * with other branches between.
 *
 * A text is computed token by token, one row a step: that is the truth. Then the same text is gone
 * through in random ways, beside other sequences, and every row that lies on it has to give the
 * same hidden state and the same logits, bit for bit. No test runner is needed here: a check that
 * is built without one asks the same. */
#ifndef SE_TESTS_MODEL_BITS_H
#define SE_TESTS_MODEL_BITS_H

#include <stdint.h>

#include "runtime/base/rng.h"
#include "runtime/model/backend.h"

struct bits_case {
    const struct se_model *model; /* a context of 512 at least, and of text + 64 */
    const struct se_backend_ops *ops;
    struct se_pool *pool;  /* of the engine that goes through the text; the truth has one thread */
    uint32_t ranks;        /* that share the model: 0 and 1: it is not shared */
    uint32_t rank_threads; /* of each, while the text is gone through */
    uint32_t text;         /* tokens */
    uint32_t chunk;        /* rows of the text in one step, at most */
    uint32_t batch;        /* rows of a step, company included, where the text's are fewer */
};

/* 0, with the rows that were compared added to *checked; or < 0 with the sentence, -EILSEQ when
 * bits differ. */
int bits_check(const struct bits_case *of, struct se_rng *rng, uint32_t *checked);

#endif
