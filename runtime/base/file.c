/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"

static const unsigned char nothing[1];

/* Length of the part of path that is there and no folder, which makes the rest of it nonsense;
 * 0 when that is not what is wrong. */
static size_t find_file_within(const char *path)
{
    char part[PATH_MAX];
    struct stat info;
    for (size_t len = strlen(path); len < sizeof part;) {
        const char *slash = memrchr(path, '/', len);
        if (!slash || slash == path)
            break;
        len = (size_t)(slash - path);
        memcpy(part, path, len);
        part[len] = '\0';
        if (stat(part, &info) == 0)
            return S_ISDIR(info.st_mode) ? 0 : len;
    }
    return 0;
}

/* Who names a file where a folder is wanted mostly means the folder that it lies in. */
static int fail_open(const char *path, int error)
{
    size_t len = error == ENOTDIR ? find_file_within(path) : 0;
    if (len == 0)
        return se_fail(-error, "%s: %s", path, strerror(error));
    const char *slash = memrchr(path, '/', len);
    int folder_len = slash && slash > path ? (int)(slash - path) : 1; /* or "/", or "." */
    return se_fail(-error, "%.*s is no folder; the folder it lies in is %.*s", (int)len, path,
                   folder_len, slash ? path : ".");
}

int se_file_open(struct se_file *file, const char *path)
{
    int r = 0;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (fd < 0)
        return fail_open(path, errno);
    if (fstat(fd, &info) < 0) {
        r = se_fail(-errno, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        r = se_fail(S_ISDIR(info.st_mode) ? -EISDIR : -EINVAL, "%s: not a regular file", path);
        goto out;
    }
    if (info.st_size == 0) {
        *file = (struct se_file){ nothing, 0 };
        goto out;
    }
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        r = se_fail(-errno, "%s: cannot map: %s", path, strerror(errno));
        goto out;
    }
    *file = (struct se_file){ data, (size_t)info.st_size };
out:
    close(fd);
    return r;
}

void se_file_close(struct se_file *file)
{
    if (file->data && file->data != nothing)
        munmap((void *)(size_t)file->data, file->len_b);
    *file = SE_FILE_NULL;
}
