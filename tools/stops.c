/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/stops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/text/read.h"

int se_stops_add(struct se_stops *stops, uint32_t id)
{
    for (uint32_t i = 0; i < stops->n; i++)
        if (stops->id[i] == id)
            return 0;
    if (stops->n == SE_STOPS_MAX)
        return se_fail(-ENOSPC, "more than %d tokens that end a text", SE_STOPS_MAX);
    stops->id[stops->n++] = id;
    return 0;
}

/* An id or a list of them. */
static int take_ids(struct se_stops *stops, const char *path, const json_t *value)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        json_int_t id = json_integer_value(one);
        if (!json_is_integer(one) || id < 0 || id >= UINT32_MAX)
            return se_fail(-EINVAL, "%s: \"eos_token_id\" is no token id and no list of them",
                           path);
        int r = se_stops_add(stops, (uint32_t)id);
        if (r < 0)
            return se_fail(r, "%s: more than %d values of eos_token_id", path, SE_STOPS_MAX);
    }
    return 0;
}

/* A text, or an object that holds it. */
static int take_token(struct se_stops *stops, const char *path, const json_t *value,
                      const struct se_tokenizer *tokenizer)
{
    const char *text =
        json_string_value(json_is_object(value) ? se_read_get(value, "content") : value);
    uint32_t id;
    if (!text)
        return se_fail(-EINVAL, "%s: \"eos_token\" is no text", path);
    return se_tokenizer_find(tokenizer, text, &id) == 0 ? se_stops_add(stops, id) : 0;
}

/* *root is NULL when there is no such file. */
static int read_file(json_t **root, const char *path)
{
    struct se_file file = SE_FILE_NULL;
    *root = NULL;
    int r = se_file_open(&file, path);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = se_read_document(root, path, file.data, file.len_b);
    se_file_close(&file);
    return r < 0 ? se_trace(r) : 0;
}

static int take_file(struct se_stops *stops, const char *dir, const char *name, const char *key,
                     const struct se_tokenizer *tokenizer)
{
    char *path = NULL;
    json_t *root = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return se_fail(-ENOMEM, "out of memory");
    int r = read_file(&root, path);
    const json_t *value = root ? se_read_get(root, key) : NULL;
    if (r == 0 && value)
        r = strcmp(key, "eos_token") == 0 ? take_token(stops, path, value, tokenizer)
                                          : take_ids(stops, path, value);
    json_decref(root);
    free(path);
    return r;
}

int se_stops_read(struct se_stops *stops, const char *dir, const struct se_tokenizer *tokenizer)
{
    static const char *const sources[][2] = {
        { "generation_config.json", "eos_token_id" },
        { "config.json", "eos_token_id" },
        { "tokenizer_config.json", "eos_token" },
    };
    *stops = SE_STOPS_NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && stops->n == 0 && i < sizeof sources / sizeof sources[0]; i++)
        r = take_file(stops, dir, sources[i][0], sources[i][1], tokenizer);
    return r;
}
