/* SPDX-License-Identifier: Apache-2.0 */
/* tools/folder.h - a new folder of files that is whole in the end, or not there at all. */
#ifndef SE_TOOLS_FOLDER_H
#define SE_TOOLS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct se_folder {
    const char *path;
    char **file; /* paths of what was begun in it */
    size_t n_files, cap;
    bool made; /* the folder itself is ours too */
};
#define SE_FOLDER_NULL ((struct se_folder){ 0 })

/* Makes the folder, or takes an empty one. -ENOTEMPTY when there is anything in it. */
int se_folder_begin(struct se_folder *folder, const char *path);
/* A new file in it, *fd open for writing, with size_b bytes set aside (0: unknown). */
int se_folder_create(struct se_folder *folder, const char *name, uint64_t size_b, int *fd);
/* Writes all of it and closes; text of len bytes. */
int se_folder_write(struct se_folder *folder, const char *name, const char *text, size_t len);
/* keep: the files stay. Otherwise they go, and the folder with them if it was made. */
void se_folder_end(struct se_folder *folder, bool keep);

/* Writes all len_b bytes; path is for the error text. */
int se_folder_put(int fd, const char *path, const void *data, size_t len_b);

#endif
