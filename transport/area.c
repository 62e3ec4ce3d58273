/* SPDX-License-Identifier: Apache-2.0 */
/* The edge makes the memory and not the server: so it is there as soon as the kernel has
 * connected the two, whether the server has time or not, and a stranger who knocks costs the
 * server none.
 *
 * The server maps what a stranger made, and would be killed by SIGBUS for touching a page that
 * is taken away. Hence it must be a memfd that is sealed against shrinking, and one of plain
 * memory: huge pages may run out under a hole. A hole in plain memory reads as zeros. */
#include "transport/area.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };
/* With the layout of struct se_area. Who changes that changes the number. */
static const char greeting[] = "se-shm 1";

/* Room for one descriptor; by its alignment there may be room for two. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static int map(int fd, struct se_area **out)
{
    void *area = mmap(NULL, sizeof(**out), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (area == MAP_FAILED)
        return -errno;
    *out = area;
    return 0;
}

static int send_fd(int socket, int fd)
{
    union control control = { .bytes = { 0 } };
    struct iovec text = { (void *)(uintptr_t)greeting, sizeof(greeting) };
    struct msghdr message = { .msg_iov = &text,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int se_area_send(int socket, struct se_area **out)
{
    struct se_area *area = NULL;
    const int fd = memfd_create("specedge-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = fd < 0 ? -errno : 0;
    if (r == 0 && (ftruncate(fd, sizeof(*area)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0))
        r = -errno;
    if (r == 0)
        r = map(fd, &area);
    if (r == 0)
        r = send_fd(socket, fd);
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        se_area_free(area);
        return r;
    }
    *out = area;
    return 0;
}

/* The descriptor of a message that has exactly one; -1, and whatever came is closed. */
static int only_fd(struct msghdr *message)
{
    int fd = -1, n = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof(fd)) <= head->cmsg_len; at += sizeof(fd)) {
            if (n++ > 0)
                close(fd);
            memcpy(&fd, CMSG_DATA(head) + at, sizeof(fd));
        }
    }
    if (fd >= 0 && (n != 1 || (message->msg_flags & MSG_CTRUNC))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool is_area(int fd)
{
    struct stat stat;
    struct statfs system;
    const int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &stat) == 0 &&
           stat.st_size == (off_t)sizeof(struct se_area) && fstatfs(fd, &system) == 0 &&
           system.f_type == TMPFS_MAGIC;
}

int se_area_recv(int socket, struct se_area **out)
{
    char words[sizeof(greeting) + 1];
    union control control;
    struct iovec text = { words, sizeof(words) };
    struct msghdr message = { .msg_iov = &text,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    const ssize_t len = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR ? SE_AREA_AGAIN : SE_AREA_BAD;
    const int fd = only_fd(&message);
    if (fd < 0)
        return SE_AREA_BAD;
    const bool good = len == (ssize_t)sizeof(greeting) &&
                      memcmp(words, greeting, sizeof(greeting)) == 0 && is_area(fd) &&
                      map(fd, out) == 0;
    close(fd);
    return good ? 0 : SE_AREA_BAD;
}

void se_area_free(struct se_area *area)
{
    if (area != NULL)
        munmap(area, sizeof(*area));
}
