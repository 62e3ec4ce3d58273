/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/random_model.h - a model of random bf16 weights in memory, without a folder. */
#ifndef SE_TESTS_GPU_RANDOM_MODEL_H
#define SE_TESTS_GPU_RANDOM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/mem.h"
#include "runtime/model/model.h"

struct random_model {
    struct se_model model;
    struct se_arena arena;
};

/* Normal values, of a deviation with which activations neither vanish nor grow; of a large matrix
 * they repeat, as a normal value takes longer to draw than to read. same_layers: there is one
 * layer's worth of weights, and every layer has them: what a backend copies, it copies each time.
 * 0 or -ENOMEM; either way it is to be freed. */
int random_model_init(struct random_model *m, const struct se_config *config, uint64_t seed,
                      bool same_layers);
void random_model_fini(struct random_model *m);

/* n bf16 values as above. */
void random_bf16(uint16_t *to, size_t n, double deviation, uint64_t seed);

/* A weight that is not a number, in the last matrix of the last layer. */
void random_model_spoil(struct random_model *m);

#endif
