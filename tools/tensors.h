/* SPDX-License-Identifier: Apache-2.0 */
/* tools/tensors.h - the tensors that a model of some shape has, in the order of its files. */
#ifndef SE_TOOLS_TENSORS_H
#define SE_TOOLS_TENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/model/config.h"

enum { SE_TENSOR_NAME_B = 96 };

struct se_tensor {
    char name[SE_TENSOR_NAME_B];
    uint32_t n_out, n_in;   /* n_in 0: a vector of n_out */
    double mean, deviation; /* of random values that keep a deep model alive */
};

static inline uint64_t se_tensor_count(const struct se_tensor *tensor)
{
    return (uint64_t)tensor->n_out * (tensor->n_in ? tensor->n_in : 1);
}

/* *list belongs to the caller (se_mem_free). */
int se_tensors_of(const struct se_config *config, struct se_tensor **list, size_t *n);

#endif
