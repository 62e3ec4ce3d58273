/* SPDX-License-Identifier: Apache-2.0 */
/* tests/model/gpu.h - tests of a backend run again on a GPU. Compiled with TEST_ON_GPU: over the
 * emulator, with fewer cases, as a step takes a thousand times as long there. With TEST_ON_CARD:
 * through the module, on a real one; 77 when there is none. */
#ifndef SE_TESTS_MODEL_GPU_H
#define SE_TESTS_MODEL_GPU_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/model/backend.h"

#if defined(TEST_ON_GPU)
#include "runtime/model/cuda/ops.h"
enum { on_gpu = true, emulated = true };
static const struct se_backend_ops *const backend_ops = &se_backend_cuda_ops;
#elif defined(TEST_ON_CARD)
#include "tests/model/card.h"
enum { on_gpu = true, emulated = false };
static const struct se_backend_ops *const backend_ops = &card_ops;
#else
enum { on_gpu = false, emulated = false };
static const struct se_backend_ops *const backend_ops = &se_backend_cpu;
#endif

#endif
