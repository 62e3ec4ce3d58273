/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/rank.h - the best tokens of a row, for backends that have its logits in memory. */
#ifndef SE_RUNTIME_MODEL_RANK_H
#define SE_RUNTIME_MODEL_RANK_H

#include <stdint.h>

#include "runtime/model/step.h"

/* Writes the k best of a row of the part, and their log_softmax, as struct se_part says. logits:
 * vocab of them, used as scratch. 0, or -EDOM as se_sample(). */
int se_rank(const struct se_part *ask, float *logits, uint32_t vocab, uint32_t position,
            uint32_t row);

#endif
