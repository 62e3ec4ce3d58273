/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/cuda/module.h"

#include "kernels/cuda/device.h"
#include "runtime/base/err.h"
#include "runtime/model/cuda/ops.h"

static int count_devices(void)
{
    const int r = se_gpu_devices();
    return r < 0 ? se_fail(r, "%s", se_gpu_error()) : r;
}

extern const struct se_cuda_module se_cuda_module;

__attribute__((visibility("default"))) const struct se_cuda_module se_cuda_module = {
    .abi = SE_CUDA_MODULE_ABI,
    .model_b = sizeof(struct se_model),
    .options_b = sizeof(struct se_engine_options),
    .batch_b = sizeof(struct se_batch),
    .ops = &se_backend_cuda_ops,
    .devices = count_devices,
    .error = se_err_text,
};
