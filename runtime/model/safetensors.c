/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/safetensors.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"

enum { LENGTH_B = 8, HEADER_MAX_B = 100000000 }; /* the format's own limit */

static const struct {
    const char *name;
    uint32_t size_b;
} dtypes[] = {
    { "F64", 8 }, { "F32", 4 }, { "F16", 2 },  { "BF16", 2 },    { "I64", 8 },
    { "I32", 4 }, { "I16", 2 }, { "I8", 1 },   { "U64", 8 },     { "U32", 4 },
    { "U16", 2 }, { "U8", 1 },  { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 },
};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

/* A whole number that no arithmetic below can overflow unnoticed. */
static int read_size(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -EINVAL;
    *out = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_dtype(struct se_tensor *tensor, const char *file, const json_t *entry,
                      uint64_t *size_b)
{
    const char *text = json_string_value(json_object_get(entry, "dtype"));
    if (!text)
        return se_fail(-EINVAL, "%s: %s: no dtype", file, tensor->name);
    for (int i = 0; i < N_DTYPES; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            tensor->dtype = dtypes[i].name;
            *size_b = dtypes[i].size_b;
            return 0;
        }
    }
    return se_fail(-ENOTSUP, "%s: %s: dtype %.40s is not supported", file, tensor->name, text);
}

/* *size_b: of one element before, of the whole tensor after. */
static int read_shape(struct se_tensor *tensor, const char *file, const json_t *entry,
                      uint64_t *size_b)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > SE_TENSOR_DIMS_MAX)
        return se_fail(-EINVAL, "%s: %s: the shape is no list of at most %d sizes", file,
                       tensor->name, SE_TENSOR_DIMS_MAX);
    tensor->n_dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (read_size(json_array_get(shape, i), &tensor->dim[i]) < 0)
            return se_fail(-EINVAL, "%s: %s: size %u of the shape is no size", file, tensor->name,
                           i);
        if (__builtin_mul_overflow(*size_b, tensor->dim[i], size_b))
            return se_fail(-EINVAL, "%s: %s: the shape overflows", file, tensor->name);
    }
    return 0;
}

static int read_place(struct se_tensor *tensor, const char *file, const json_t *entry,
                      uint64_t size_b, const unsigned char *data, size_t data_b)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    uint64_t from, to;
    if (json_array_size(offsets) != 2 || read_size(json_array_get(offsets, 0), &from) < 0 ||
        read_size(json_array_get(offsets, 1), &to) < 0 || from > to)
        return se_fail(-EINVAL, "%s: %s: data_offsets are not a beginning and an end", file,
                       tensor->name);
    if (to > data_b)
        return se_fail(-EINVAL,
                       "%s: %s: ends at byte %llu of %zu: the file is truncated or the "
                       "header lies",
                       file, tensor->name, (unsigned long long)to, data_b);
    if (to - from != size_b)
        return se_fail(-EINVAL, "%s: %s: has %llu bytes, its shape needs %llu", file, tensor->name,
                       (unsigned long long)(to - from), (unsigned long long)size_b);
    tensor->data = data + from;
    tensor->len_b = (size_t)size_b;
    return 0;
}

static int check_alignment(const struct se_tensor *tensor, const char *file, uint64_t element_b)
{
    if ((uintptr_t)tensor->data % element_b)
        return se_fail(-EINVAL, "%s: %s: is not aligned to its elements of %llu bytes", file,
                       tensor->name, (unsigned long long)element_b);
    return 0;
}

static int read_tensor(struct se_tensor *tensor, const char *file, const json_t *entry,
                       const unsigned char *data, size_t data_b)
{
    uint64_t element_b = 0, size_b;
    int r = read_dtype(tensor, file, entry, &element_b);
    if (r < 0)
        return r;
    size_b = element_b;
    r = read_shape(tensor, file, entry, &size_b);
    if (r == 0)
        r = read_place(tensor, file, entry, size_b, data, data_b);
    if (r == 0)
        r = check_alignment(tensor, file, element_b);
    return r;
}

static int by_place(const void *a, const void *b)
{
    const struct se_tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->len_b > y->len_b) - (x->len_b < y->len_b); /* the empty ones first */
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct se_tensor *)a)->name, ((const struct se_tensor *)b)->name);
}

static int check_places(struct se_safetensors *file, const char *name, const unsigned char *data,
                        size_t data_b)
{
    const unsigned char *end = data;
    qsort(file->tensor, file->n, sizeof *file->tensor, by_place);
    for (size_t i = 0; i < file->n; i++) {
        const struct se_tensor *tensor = &file->tensor[i];
        if (tensor->data < end)
            return se_fail(-EINVAL, "%s: %s overlaps %s", name, tensor->name,
                           file->tensor[i - 1].name);
        if (tensor->data > end)
            return se_fail(-EINVAL, "%s: %td bytes before %s belong to no tensor", name,
                           tensor->data - end, tensor->name);
        end = tensor->data + tensor->len_b;
    }
    if (end != data + data_b)
        return se_fail(-EINVAL, "%s: the last %td bytes belong to no tensor", name,
                       data + data_b - end);
    return 0;
}

static int read_header(struct se_safetensors *file, const char *name, json_t *header,
                       const unsigned char *data, size_t data_b)
{
    const char *key;
    json_t *entry;
    file->tensor = se_mem_zero(json_object_size(header), sizeof *file->tensor);
    if (!file->tensor)
        return -ENOMEM;
    json_object_foreach(header, key, entry) {
        if (strcmp(key, "__metadata__") == 0)
            continue;
        struct se_tensor *tensor = &file->tensor[file->n];
        tensor->name = se_arena_text(&file->arena, key, strlen(key));
        if (!tensor->name)
            return -ENOMEM;
        int r = read_tensor(tensor, name, entry, data, data_b);
        if (r < 0)
            return r;
        file->n++;
    }
    return 0;
}

static int header_length(const char *name, const unsigned char *data, size_t len_b, size_t *out)
{
    uint64_t header_b = 0;
    if (len_b < LENGTH_B)
        return se_fail(-EINVAL, "%s: %zu bytes are too short for a safetensors file", name, len_b);
    for (int i = 0; i < LENGTH_B; i++)
        header_b |= (uint64_t)data[i] << 8 * i;
    if (header_b > HEADER_MAX_B || header_b > len_b - LENGTH_B)
        return se_fail(-EINVAL, "%s: a header of %llu bytes does not fit (the file has %zu)", name,
                       (unsigned long long)header_b, len_b);
    *out = (size_t)header_b;
    return 0;
}

int se_safetensors_parse(struct se_safetensors *file, const char *name, const void *bytes,
                         size_t len_b)
{
    const unsigned char *data = bytes;
    struct se_safetensors local = SE_SAFETENSORS_NULL;
    size_t header_b = 0;
    int r = header_length(name, data, len_b, &header_b);
    if (r < 0)
        return r;
    json_error_t error;
    const char *text = (const char *)data + LENGTH_B;
    json_t *header = json_loadb(text, header_b, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(header)) {
        r = se_fail(-EINVAL, "%s: header: %s", name, header ? "not a JSON object" : error.text);
        goto out;
    }
    data += LENGTH_B + header_b;
    len_b -= LENGTH_B + header_b;
    r = read_header(&local, name, header, data, len_b);
    if (r == 0)
        r = check_places(&local, name, data, len_b);
    if (r < 0)
        goto out;
    qsort(local.tensor, local.n, sizeof *local.tensor, by_name);
    *file = local;
    local = SE_SAFETENSORS_NULL;
out:
    se_safetensors_fini(&local);
    json_decref(header);
    return r < 0 ? se_trace(r) : 0;
}

void se_safetensors_fini(struct se_safetensors *file)
{
    se_mem_free(file->tensor);
    se_arena_fini(&file->arena);
    *file = SE_SAFETENSORS_NULL;
}

const struct se_tensor *se_safetensors_find(const struct se_safetensors *file, const char *tensor)
{
    const struct se_tensor key = { .name = tensor };
    if (file->n == 0)
        return NULL;
    return bsearch(&key, file->tensor, file->n, sizeof *file->tensor, by_name);
}
