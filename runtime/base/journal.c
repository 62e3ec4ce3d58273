/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/journal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ENTRY_B = 8192 }; /* a line of the log is 2 KiB at most, what stands beside it less */

bool se_journal_is(int fd)
{
    unsigned long long device, inode;
    struct stat info;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &info) == 0 &&
           (unsigned long long)info.st_dev == device && (unsigned long long)info.st_ino == inode;
}

int se_journal_open(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof to.sun_path)
        return -ENAMETOOLONG;
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

struct entry {
    char text[ENTRY_B];
    size_t len;
    bool full;
};

static void put(struct entry *e, const void *bytes, size_t len)
{
    if (e->full || len > sizeof e->text - e->len) {
        e->full = true;
        return;
    }
    memcpy(e->text + e->len, bytes, len);
    e->len += len;
}

static void put_field(struct entry *e, const struct se_journal_field *field)
{
    size_t len = strlen(field->value);
    put(e, field->name, strlen(field->name));
    if (memchr(field->value, '\n', len)) {
        unsigned char size[8]; /* little-endian on every machine */
        for (size_t i = 0; i < sizeof size; i++)
            size[i] = (unsigned char)((uint64_t)len >> (8 * i));
        put(e, "\n", 1);
        put(e, size, sizeof size);
    } else {
        put(e, "=", 1);
    }
    put(e, field->value, len);
    put(e, "\n", 1);
}

int se_journal_send(int fd, const struct se_journal_field *field, size_t n)
{
    struct entry e;
    e.len = 0;
    e.full = false;
    for (size_t i = 0; i < n; i++)
        if (field[i].value)
            put_field(&e, &field[i]);
    if (e.full)
        return -EMSGSIZE;
    return send(fd, e.text, e.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
