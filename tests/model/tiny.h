/* SPDX-License-Identifier: Apache-2.0 */
/* tests/model/tiny.h - model folders of random weights for tests, in the temporary folder. */
#ifndef SE_TESTS_MODEL_TINY_H
#define SE_TESTS_MODEL_TINY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul.h"
#include "runtime/model/config.h"

struct tiny_spec {
    enum se_arch arch;
    enum se_dtype stored; /* F32, F16 or BF16 */
    uint32_t vocab, hidden, layers, heads, kv_heads, head_dim, mlp, context;
    bool tied;
    uint64_t seed;
};

/* A spec drawn from the seed; sizes stay below a few hundred. */
struct tiny_spec tiny_draw(uint64_t seed, enum se_dtype stored);

/* Makes a new folder "/tmp/...": config.json and model.safetensors. path has room for
 * TINY_PATH_MAX_B. Fails the test when it cannot. */
enum { TINY_PATH_MAX_B = 256 };
void tiny_write(char *path, const struct tiny_spec *spec);
/* An empty one. */
void tiny_folder(char *path);
/* Writes a file into it. */
void tiny_file(const char *dir, const char *name, const void *data, size_t len_b);
/* The folder and all files in it. */
void tiny_remove(const char *dir);

/* SE_TEST_SEED, or one of the clock's; printed, so that a failure can be repeated. */
uint64_t tiny_seed(void);

#endif
