/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

static int check_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    int r = 0;
    for (struct dirent *entry = readdir(dir); entry && r == 0; entry = readdir(dir))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = se_fail(-ENOTEMPTY, "%s is not empty: nothing was written", path);
    closedir(dir);
    return r;
}

int se_folder_begin(struct se_folder *folder, const char *path)
{
    *folder = (struct se_folder){ .path = path };
    if (mkdir(path, 0777) == 0) {
        folder->made = true;
        return 0;
    }
    if (errno == EEXIST)
        return check_empty(path);
    return se_fail(-errno, "%s: cannot make this folder: %s", path, strerror(errno));
}

int se_folder_create(struct se_folder *folder, const char *name, uint64_t size_b, int *fd)
{
    char *path;
    int r = se_mem_grow(&folder->file, &folder->cap, folder->n_files + 1, sizeof folder->file[0]);
    if (r < 0)
        return r;
    if (asprintf(&path, "%s/%s", folder->path, name) < 0)
        return se_fail(-ENOMEM, "out of memory");
    int made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (made < 0) {
        r = se_fail(-errno, "%s: %s", path, strerror(errno));
        free(path);
        return r;
    }
    folder->file[folder->n_files++] = path;
    /* A full disk shows now, not after minutes. Where a file system cannot set space aside,
     * it shows when it shows. */
    if (size_b > 0 && fallocate(made, 0, 0, (off_t)size_b) < 0 &&
        (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)) {
        r = se_fail(-errno, "%s: %.1f MiB: %s", path, (double)size_b / (1 << 20), strerror(errno));
        close(made);
        return r;
    }
    *fd = made;
    return 0;
}

int se_folder_put(int fd, const char *path, const void *data, size_t len_b)
{
    const char *at = data;
    while (len_b > 0) {
        ssize_t wrote = write(fd, at, len_b);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return se_fail(-errno, "%s: %s", path, strerror(errno));
        at += wrote;
        len_b -= (size_t)wrote;
    }
    return 0;
}

int se_folder_write(struct se_folder *folder, const char *name, const char *text, size_t len)
{
    int fd;
    int r = se_folder_create(folder, name, 0, &fd);
    if (r < 0)
        return r;
    const char *path = folder->file[folder->n_files - 1];
    r = se_folder_put(fd, path, text, len);
    if (close(fd) < 0 && r == 0) /* some file systems find out only now */
        r = se_fail(-errno, "%s: %s", path, strerror(errno));
    return r;
}

void se_folder_end(struct se_folder *folder, bool keep)
{
    for (size_t i = 0; i < folder->n_files; i++) {
        if (!keep)
            unlink(folder->file[i]);
        free(folder->file[i]);
    }
    if (!keep && folder->made)
        rmdir(folder->path);
    se_mem_free(folder->file);
    *folder = SE_FOLDER_NULL;
}
