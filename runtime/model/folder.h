/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/folder.h - the weight files of a model folder as one set of tensors.
 *
 * model.safetensors, or else the files that model.safetensors.index.json lists. Files are
 * mapped, not read. */
#ifndef SE_RUNTIME_MODEL_FOLDER_H
#define SE_RUNTIME_MODEL_FOLDER_H

#include "runtime/base/file.h"
#include "runtime/model/safetensors.h"

struct se_shard {
    const char *path; /* for errors */
    struct se_file file;
    struct se_safetensors content;
};

struct se_folder {
    struct se_shard *shard;
    size_t n, cap;
    struct se_arena arena; /* the paths */
};
#define SE_FOLDER_NULL ((struct se_folder){ 0 })

/* 0 or -errno; a shard that is not there, a tensor that is not where the index says, or one
 * that two files have, is named. */
int se_folder_open(struct se_folder *folder, const char *dir);
void se_folder_close(struct se_folder *folder);

/* The tensor and, in *shard, where it is; NULL when no file has it. */
const struct se_tensor *se_folder_find(const struct se_folder *folder, const char *tensor,
                                       const struct se_shard **shard);

#endif
