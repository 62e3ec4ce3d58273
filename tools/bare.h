/* SPDX-License-Identifier: Apache-2.0 */
/* tools/bare.h - bytes to another process and back with no link in between: what the kernel's
 * sockets and the machine's memory give, hence the floor of every link over them. */
#ifndef SE_TOOLS_BARE_H
#define SE_TOOLS_BARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum se_bare_kind {
    SE_BARE_TCP,    /* 127.0.0.1, without Nagle's wait */
    SE_BARE_UNIX,   /* a pair of stream sockets */
    SE_BARE_MEMORY, /* shared; both ends look until the other's number is there */
    SE_BARE_KINDS
};

struct se_bare_options {
    enum se_bare_kind kind;
    uint32_t size_b;
    bool spin;     /* sockets: ask over and over in place of sleeping in the kernel */
    int processor; /* of the other process; < 0: any */
};

struct se_bare {
    struct se_bare_options options;
    pid_t process;
    int fd;
    struct se_bare_area *area;
    unsigned char *buffer;
    uint64_t turn;
};

/* Forks the other end: before threads are started. The caller's to close, after this failed too.
 * 0 or -errno. */
int se_bare_open(struct se_bare *bare, const struct se_bare_options *options);
void se_bare_close(struct se_bare *bare);

/* A se_pingpong_trip. */
int se_bare_trip(void *bare, bool check);

#endif
