/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_model.h - the verbs of se-model. */
#ifndef SE_TOOLS_SE_MODEL_H
#define SE_TOOLS_SE_MODEL_H

#include "tools/verb.h"

extern const struct se_verb se_verb_info;
extern const struct se_verb se_verb_tokenize;
extern const struct se_verb se_verb_detokenize;
extern const struct se_verb se_verb_generate;
extern const struct se_verb se_verb_logits;
extern const struct se_verb se_verb_perplexity;
extern const struct se_verb se_verb_random;
extern const struct se_verb se_verb_bench;

#endif
