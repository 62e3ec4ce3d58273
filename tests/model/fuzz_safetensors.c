/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a safetensors file: refused, or every tensor lies inside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sink; /* so that the reading is not left out */

/* A tensor's bytes are read to its end, for the sanitizer to judge. */
static unsigned sum_of(const struct se_tensor *tensor)
{
    unsigned sum = 0;
    for (size_t i = 0; i < tensor->len_b; i++)
        sum += tensor->data[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct se_safetensors file;
    unsigned char *copy = se_mem_new(size, 1); /* aligned, as a mapped file is */
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    if (se_safetensors_parse(&file, "fuzz", copy, size) == 0) {
        for (size_t i = 0; i < file.n; i++) {
            if (se_safetensors_find(&file, file.tensor[i].name) != &file.tensor[i])
                abort();
            sink += sum_of(&file.tensor[i]);
        }
        se_safetensors_fini(&file);
    }
    se_mem_free(copy);
    return 0;
}
