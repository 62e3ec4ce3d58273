/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_model.h - the verbs of se-model: one table row each, and what they have in common. */
#ifndef SE_TOOLS_SE_MODEL_H
#define SE_TOOLS_SE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/verb.h"

/* Options that every verb takes: the first member of each verb's own struct. */
struct se_common {
    uint64_t threads; /* 0: as many as it may run on */
    int weights;      /* enum se_weights */
    bool preload;     /* copy what could stay mapped */
    int backend;      /* enum se_backend_kind */
};

#define SE_COMMON_ROWS \
    { "threads", \
      't', \
      SE_CONF_UINT, \
      offsetof(struct se_common, threads), \
      "0", \
      0, \
      1024, \
      "N", \
      "threads that compute; 0: one for every processor it may run on" }, \
        { "weights", \
          'w', \
          SE_CONF_CHOICE, \
          offsetof(struct se_common, weights), \
          "stored", \
          0, \
          0, \
          "stored|f32|bf16|q8", \
          "precision of the weights; other than stored: converted at load" }, \
        { "preload", \
          0, \
          SE_CONF_FLAG, \
          offsetof(struct se_common, preload), \
          NULL, \
          0, \
          0, \
          NULL, \
          "copy weights that could stay mapped into huge pages: slower to load, faster to read" }, \
    { \
        "backend", 0, SE_CONF_CHOICE, offsetof(struct se_common, backend), "auto", 0, 0, \
            "auto|cpu", "what computes" \
    }

extern const struct se_verb se_verb_info;
extern const struct se_verb se_verb_tokenize;
extern const struct se_verb se_verb_detokenize;
extern const struct se_verb se_verb_generate;
extern const struct se_verb se_verb_logits;
extern const struct se_verb se_verb_perplexity;
extern const struct se_verb se_verb_random;
extern const struct se_verb se_verb_bench;

#endif
