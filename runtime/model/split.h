/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/split.h - the part of a model that one rank of several computes.
 *
 *               rank 0    rank 1
 *   q, k, v     heads     heads      rows of the matrices, by key-value head: keys and values
 *                                    of a head never leave their rank
 *   o           columns   columns    for those heads: the sums of all ranks make the row
 *   gate, up    rows      rows
 *   down        columns   columns
 *   output      rows      rows       by token: its bits are those of the whole
 *   embed, norms, biases of o and down: whole
 *
 * Rows are looked at where they lie; columns, and rows that lie across the panels of packed
 * 8-bit weights, are copied. Groups of such weights stay whole. */
#ifndef SE_RUNTIME_MODEL_SPLIT_H
#define SE_RUNTIME_MODEL_SPLIT_H

#include <stdint.h>

#include "runtime/model/model.h"

/* Whether a model with matrices of a dtype (all but SE_DTYPE_Q8 are alike) can be split among so
 * many ranks. 0, or -EINVAL with a sentence that names what cannot, and the numbers that could. */
int se_split_check(const struct se_config *config, enum se_dtype dtype, uint32_t size);

/* The part of a rank, as a model of its own: config says its heads, kv_heads and mlp, and
 * output.n_out its tokens (some ranks of a small vocabulary have none); all else, config.vocab
 * too, is as in the whole, which must outlive it. On 0 *out is the caller's, to free. */
int se_split_new(struct se_model **out, const struct se_model *whole, uint32_t rank, uint32_t size);
void se_split_free(struct se_model *part); /* NULL is fine */

/* Tokens of every rank but the last ones, which have what is left. */
uint32_t se_split_tokens(const struct se_config *config, uint32_t size);

#endif
