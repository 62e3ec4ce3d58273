/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/cuda/module.h - what libse_cuda.so shows: one table.
 *
 * The module is opened at run time, so that one program serves with a GPU and without one. It has
 * the CUDA runtime, the kernels and the backend in it, and its own copy of runtime/base, whose
 * sentences the loader passes on. Both come from the same sources: the numbers at the beginning
 * say whether they do. */
#ifndef SE_RUNTIME_MODEL_CUDA_MODULE_H
#define SE_RUNTIME_MODEL_CUDA_MODULE_H

#include <stdint.h>

#include "runtime/model/backend.h"

#define SE_CUDA_MODULE_FILE "libse_cuda.so"
#define SE_CUDA_MODULE_SYMBOL "se_cuda_module"
enum { SE_CUDA_MODULE_ABI = 2 };

struct se_cuda_module {
    uint32_t abi;                         /* SE_CUDA_MODULE_ABI */
    uint32_t model_b, options_b, batch_b; /* sizes of the structs that cross over */
    const struct se_backend_ops *ops;     /* every one of them is there */
    int (*devices)(void);                 /* how many; -ENODEV: none */
    const char *(*error)(void);           /* of the last call that failed, in this thread */
};

#endif
