/* SPDX-License-Identifier: Apache-2.0 */
/* Modules that are not to be used: of another build, half a table, none at all. */
#include <stddef.h>

#include "runtime/model/cuda/module.h"

#if WRONG_KIND < 3
static const char *nothing(void) { return ""; }

static const struct se_backend_ops half = { .name = "half" };

extern const struct se_cuda_module se_cuda_module;

__attribute__((visibility("default"))) const struct se_cuda_module se_cuda_module = {
    .abi = SE_CUDA_MODULE_ABI + (WRONG_KIND == 1),
    .model_b = sizeof(struct se_model),
    .options_b = sizeof(struct se_engine_options),
    .batch_b = sizeof(struct se_batch),
    .ops = &half,
    .error = nothing,
};
#else
extern const int se_stranger;
__attribute__((visibility("default"))) const int se_stranger = 1;
#endif
