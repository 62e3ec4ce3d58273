/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/safetensors.h - the tensors of one file: a header of JSON, then bytes.
 *
 *   | length of header, 8 bytes | header: name -> dtype, shape, data_offsets | data ...... |
 *
 * The header is not believed: it has to fit the file, every tensor has to be as long as its
 * shape says, to lie on a multiple of its element, and all of them have to fill the data
 * without a gap or an overlap. A parsed file is read-only. */
#ifndef SE_RUNTIME_MODEL_SAFETENSORS_H
#define SE_RUNTIME_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/mem.h"

enum { SE_TENSOR_DIMS_MAX = 8 };

struct se_tensor {
    const char *name;
    const char *dtype; /* as the file writes it: "BF16" */
    uint32_t n_dims;
    uint64_t dim[SE_TENSOR_DIMS_MAX];
    const unsigned char *data;
    size_t len_b;
};

struct se_safetensors {
    struct se_tensor *tensor; /* by name */
    size_t n;
    struct se_arena arena; /* the names */
};
#define SE_SAFETENSORS_NULL ((struct se_safetensors){ 0 })

/* data must outlive the result, which points into it; name is used in errors. 0, -EINVAL,
 * or -ENOTSUP for a dtype that is not known. */
int se_safetensors_parse(struct se_safetensors *file, const char *name, const void *data,
                         size_t len_b);
void se_safetensors_fini(struct se_safetensors *file);

/* NULL when there is none. */
const struct se_tensor *se_safetensors_find(const struct se_safetensors *file, const char *tensor);

#endif
