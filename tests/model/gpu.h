/* SPDX-License-Identifier: Apache-2.0 */
/* tests/model/gpu.h - tests of a backend run a second time, over the emulator of a GPU, compiled
 * with TEST_ON_GPU: fewer cases, as a step takes a thousand times as long there. */
#ifndef SE_TESTS_MODEL_GPU_H
#define SE_TESTS_MODEL_GPU_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/model/backend.h"

#ifdef TEST_ON_GPU
#include "runtime/model/cuda/ops.h"
enum { on_gpu = true };
static const struct se_backend_ops *const backend_ops = &se_backend_cuda_ops;
#else
enum { on_gpu = false };
static const struct se_backend_ops *const backend_ops = &se_backend_cpu;
#endif

#endif
