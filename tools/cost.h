/* SPDX-License-Identifier: Apache-2.0 */
/* tools/cost.h - what one step must at least read and compute, counted from the model's shape. */
#ifndef SE_TOOLS_COST_H
#define SE_TOOLS_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/model/model.h"

struct se_cost {
    double bytes; /* every weight matrix once, and the keys and values of every sequence once */
    double ops;   /* multiplies and adds of matrices and attention */
};

/* n_rows rows spread over n_seqs sequences that hold context tokens each; logits: of every
 * row, or of none. */
struct se_cost se_cost_of(const struct se_model *model, enum se_dtype kv_dtype, uint32_t n_rows,
                          uint32_t n_seqs, uint32_t context, bool logits);

#endif
