/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/file.h - a whole file as bytes, mapped read-only.
 *
 * The file must not shrink while it is mapped. */
#ifndef SE_RUNTIME_BASE_FILE_H
#define SE_RUNTIME_BASE_FILE_H

#include <stddef.h>

struct se_file {
    const unsigned char *data; /* len_b bytes; never NULL after open, even when empty */
    size_t len_b;
};
#define SE_FILE_NULL ((struct se_file){ 0 })

/* 0, or -errno with the path in the error text. Only regular files. -ENOTDIR: the text names the
 * part of the path that is no folder, and the folder it lies in. */
int se_file_open(struct se_file *file, const char *path);
void se_file_close(struct se_file *file);

#endif
