/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sched/table_backend.h - a model that is a formula, behind the engine's real books.
 *
 * What the target thinks of a context is a pure function of a seed and a hash of the context's
 * ids in order. In place of keys and values a slot holds the hash of the context that ends
 * there; a row finds its parent's through pages and slots as attention would, so a wrong page,
 * slot or commit gives another text. Steps are real: se_step() with all its checks, pages,
 * verdicts and commits. A row costs half a microsecond, one with noise twice that. */
#ifndef SE_TESTS_SCHED_TABLE_BACKEND_H
#define SE_TESTS_SCHED_TABLE_BACKEND_H

#include <stdint.h>

#include "runtime/model/backend.h"
#include "runtime/model/model.h"
#include "runtime/model/sample.h"
#include "runtime/model/step.h"

enum { TABLE_MODEL_VOCAB = 48, TABLE_MODEL_VOCAB_MAX = 1024 };

struct table_model {
    struct se_model model; /* first: the backend finds the rest by it */
    uint64_t seed;
    /* A draft of the model of the same seed: so much of its logits are those of another. 0: the
     * model itself; 0.1 mostly agrees with it; 1: knows nothing of it. */
    float stray;
    uint64_t stray_seed;
    uint32_t tokens; /* ids from here on are padding, which it never picks; 0: there is none */
};

/* vocab 2 to TABLE_MODEL_VOCAB_MAX. Change the fields afterwards for a draft. */
void table_model_init(struct table_model *model, uint64_t seed, uint32_t vocab, uint32_t context);

/* For se_engine_options.ops, with the model of a table_model. -EIO, text set: a row found
 * something at its parent's slot that is not of the position before its own. */
extern const struct se_backend_ops table_backend;

/* An engine on it. The caller's to free, before the model goes. */
int table_engine_new(struct se_engine **out, const struct table_model *model, uint32_t max_rows,
                     uint32_t n_pages);

/* The oracle, which shares nothing with the backend but the formula: the token that plain
 * decoding chooses after ids[0..n-1]. n >= 1. */
uint32_t table_next(const struct table_model *model, const struct se_sampling *sampling,
                    const uint32_t *ids, uint32_t n);

/* The formula. A context begins as 0. */
uint64_t table_model_follow(uint64_t context, uint32_t token);
void table_model_logits(const struct table_model *model, uint64_t context, float *logits);

#endif
