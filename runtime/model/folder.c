/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/folder.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/err.h"

static const char whole[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

static char *join(struct se_folder *folder, const char *dir, const char *name)
{
    size_t len = strlen(dir) + 1 + strlen(name);
    char *path = se_arena_take(&folder->arena, len + 1, 1);
    if (path)
        snprintf(path, len + 1, "%s/%s", dir, name);
    return path;
}

static int add_shard(struct se_folder *folder, const char *path)
{
    int r = se_mem_grow(&folder->shard, &folder->cap, folder->n + 1, sizeof *folder->shard);
    if (r < 0)
        return r;
    struct se_shard *shard = &folder->shard[folder->n];
    *shard = (struct se_shard){ .path = path };
    r = se_file_open(&shard->file, path);
    if (r < 0)
        return r;
    r = se_safetensors_parse(&shard->content, path, shard->file.data, shard->file.len_b);
    if (r < 0) {
        se_file_close(&shard->file);
        return r;
    }
    folder->n++;
    /* A wish: what is not in memory yet is read ahead while we go on. */
    madvise((void *)(size_t)shard->file.data, shard->file.len_b, MADV_WILLNEED);
    return 0;
}

static struct se_shard *find_shard(struct se_folder *folder, const char *dir, const char *name)
{
    size_t skip = strlen(dir) + 1;
    for (size_t i = 0; i < folder->n; i++) {
        if (strcmp(folder->shard[i].path + skip, name) == 0)
            return &folder->shard[i];
    }
    return NULL;
}

/* One entry of the weight map: its file is opened when it is new, and has to have it. */
static int add_entry(struct se_folder *folder, const char *dir, const char *index_path,
                     const char *tensor, const json_t *value)
{
    const char *name = json_string_value(value);
    if (!name || !*name || name[0] == '.' || strchr(name, '/'))
        return se_fail(-EINVAL, "%s: %s: not the name of a file in this folder", index_path,
                       tensor);
    struct se_shard *shard = find_shard(folder, dir, name);
    if (!shard) {
        const char *path = join(folder, dir, name);
        int r = path ? add_shard(folder, path) : -ENOMEM;
        if (r < 0)
            return r;
        shard = &folder->shard[folder->n - 1];
    }
    if (!se_safetensors_find(&shard->content, tensor))
        return se_fail(-EINVAL, "%s: %s is not in %s", index_path, tensor, name);
    return 0;
}

static int check_unique(const struct se_folder *folder)
{
    for (size_t i = 0; i + 1 < folder->n; i++) {
        const struct se_safetensors *content = &folder->shard[i].content;
        for (size_t t = 0; t < content->n; t++) {
            for (size_t j = i + 1; j < folder->n; j++) {
                if (se_safetensors_find(&folder->shard[j].content, content->tensor[t].name))
                    return se_fail(-EINVAL, "%s: %s is also in %s", folder->shard[j].path,
                                   content->tensor[t].name, folder->shard[i].path);
            }
        }
    }
    return 0;
}

static int open_shards(struct se_folder *folder, const char *dir, const char *index_path)
{
    struct se_file file;
    json_error_t error;
    const char *tensor;
    json_t *value;
    int r = se_file_open(&file, index_path);
    if (r == -ENOENT)
        return se_fail(-ENOENT, "%s: there is neither %s nor %s", dir, whole, index_name);
    if (r < 0)
        return r;
    json_t *root = json_loadb((const char *)file.data, file.len_b, JSON_REJECT_DUPLICATES, &error);
    json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map)) {
        r = se_fail(-EINVAL, "%s: %s", index_path, root ? "there is no weight_map" : error.text);
        goto out;
    }
    json_object_foreach(map, tensor, value) {
        r = add_entry(folder, dir, index_path, tensor, value);
        if (r < 0)
            goto out;
    }
    r = check_unique(folder);
out:
    json_decref(root);
    se_file_close(&file);
    return r;
}

int se_folder_open(struct se_folder *folder, const char *dir)
{
    struct se_folder local = SE_FOLDER_NULL;
    int r = -ENOMEM;
    const char *path = join(&local, dir, whole);
    const char *index_path = join(&local, dir, index_name);
    if (!path || !index_path)
        goto out;
    r = access(path, F_OK) == 0 ? add_shard(&local, path) : open_shards(&local, dir, index_path);
    if (r < 0)
        goto out;
    *folder = local;
    local = SE_FOLDER_NULL;
out:
    se_folder_close(&local);
    return r < 0 ? se_trace(r) : 0;
}

void se_folder_close(struct se_folder *folder)
{
    for (size_t i = 0; i < folder->n; i++) {
        se_safetensors_fini(&folder->shard[i].content);
        se_file_close(&folder->shard[i].file);
    }
    se_mem_free(folder->shard);
    se_arena_fini(&folder->arena);
    *folder = SE_FOLDER_NULL;
}

const struct se_tensor *se_folder_find(const struct se_folder *folder, const char *tensor,
                                       const struct se_shard **shard)
{
    for (size_t i = 0; i < folder->n; i++) {
        const struct se_tensor *found = se_safetensors_find(&folder->shard[i].content, tensor);
        if (found) {
            *shard = &folder->shard[i];
            return found;
        }
    }
    return NULL;
}
