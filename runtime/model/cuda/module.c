/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/cuda/module.h"

#include "runtime/base/err.h"
#include "runtime/model/cuda/ops.h"

extern const struct se_cuda_module se_cuda_module;

__attribute__((visibility("default"))) const struct se_cuda_module se_cuda_module = {
    .abi = SE_CUDA_MODULE_ABI,
    .model_b = sizeof(struct se_model),
    .options_b = sizeof(struct se_engine_options),
    .batch_b = sizeof(struct se_batch),
    .ops = &se_backend_cuda_ops,
    .error = se_err_text,
};
