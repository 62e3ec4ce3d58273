/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/path.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int se_path_address(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address->sun_path))
        return -ENAMETOOLONG;
    memcpy(address->sun_path, path, strlen(path) + 1);
    return 0;
}

int se_path_knock(const char *path, int type)
{
    struct sockaddr_un address;
    int r = se_path_address(path, &address);
    if (r < 0)
        return r;
    const int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* Somebody who listens for another type of socket says EPROTOTYPE, and one with a full queue
 * EAGAIN. A file that is no socket says ECONNREFUSED, as a socket does that nobody has any more. */
int se_path_clear(const char *path, int type)
{
    struct stat stat;
    const int fd = se_path_knock(path, type);
    if (fd == -ENOENT)
        return 0;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || fd == -EAGAIN || fd == -EPROTOTYPE)
        return -EADDRINUSE;
    if (fd != -ECONNREFUSED)
        return fd;
    if (lstat(path, &stat) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(stat.st_mode))
        return -ENOTSOCK;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

const char *se_path_error(int code)
{
    return code == -ENOTSOCK ? "there is a file that is no socket; remove it, or take another path"
                             : strerror(-code);
}
