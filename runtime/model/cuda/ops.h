/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/cuda/ops.h - the backend as the module has it. */
#ifndef SE_RUNTIME_MODEL_CUDA_OPS_H
#define SE_RUNTIME_MODEL_CUDA_OPS_H

#include "runtime/model/backend.h"

extern const struct se_backend_ops se_backend_cuda_ops;

#endif
