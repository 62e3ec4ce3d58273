/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bare.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/pin.h"
#include "transport/frame.h"

enum { LINE_B = 64, LOOKS = 4096 /* between two looks at the clock */ };
#define PATIENCE_NS UINT64_C(10000000000)

/* One way: its number and the bytes that it announces. */
struct lane {
    alignas(LINE_B) _Atomic uint64_t turn;
    alignas(LINE_B) unsigned char data[SE_FRAME_MAX];
};
struct se_bare_area {
    struct lane there, back;
};

/* ---- memory */

static void say(struct lane *lane, uint64_t turn, const unsigned char *data, uint32_t size_b)
{
    memcpy(lane->data, data, size_b);
    /* [bare.turn] release, pairs with the acquire in hear(): whoever sees the number sees the
     * bytes. They are written again only when the other lane has answered. */
    atomic_store_explicit(&lane->turn, turn, memory_order_release);
}

static int hear(struct lane *lane, uint64_t turn, unsigned char *data, uint32_t size_b)
{
    const uint64_t end_ns = se_clock_ns() + PATIENCE_NS;
    /* [bare.turn] acquire, pairs with the release in say(). */
    for (uint32_t i = 1; atomic_load_explicit(&lane->turn, memory_order_acquire) != turn; i++) {
        if (i % LOOKS == 0 && sched_yield() == 0 && se_clock_ns() > end_ns)
            return se_fail(-ETIMEDOUT, "memory: the other end says nothing");
    }
    memcpy(data, lane->data, size_b);
    return 0;
}

/* ---- sockets */

static int put(struct se_bare *bare)
{
    for (uint32_t done = 0; done < bare->options.size_b;) {
        const ssize_t n =
            send(bare->fd, bare->buffer + done, bare->options.size_b - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return se_fail(-errno, "socket: %s", strerror(errno));
        done += n > 0 ? (uint32_t)n : 0;
    }
    return 0;
}

static int get(struct se_bare *bare)
{
    const int how = bare->options.spin ? MSG_DONTWAIT : 0;
    const uint64_t end_ns = se_clock_ns() + PATIENCE_NS;
    for (uint32_t done = 0; done < bare->options.size_b;) {
        const ssize_t n = recv(bare->fd, bare->buffer + done, bare->options.size_b - done, how);
        if (n == 0)
            return -EPIPE; /* the end of the other one's service */
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return se_fail(-errno, "socket: %s", strerror(errno));
        if (n < 0 && se_clock_ns() > end_ns)
            return se_fail(-ETIMEDOUT, "socket: the other end says nothing");
        done += n > 0 ? (uint32_t)n : 0;
    }
    return 0;
}

static int tcp_pair(int fd[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t at_b = sizeof at;
    const int one = 1, door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (door >= 0 && fd[1] >= 0 && bind(door, (struct sockaddr *)&at, sizeof at) == 0 &&
        listen(door, 1) == 0 && getsockname(door, (struct sockaddr *)&at, &at_b) == 0 &&
        connect(fd[1], (struct sockaddr *)&at, sizeof at) == 0)
        fd[0] = accept(door, NULL, NULL);
    const int r = fd[0] < 0 ? se_fail(-errno, "sockets on 127.0.0.1: %s", strerror(errno)) : 0;
    if (door >= 0)
        close(door);
    for (int i = 0; i < 2 && r == 0; i++)
        setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return r;
}

static int open_pair(enum se_bare_kind kind, int fd[2])
{
    fd[0] = fd[1] = -1;
    if (kind == SE_BARE_TCP)
        return tcp_pair(fd);
    if (kind == SE_BARE_UNIX && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
        return se_fail(-errno, "a pair of sockets: %s", strerror(errno));
    return 0;
}

/* ---- both */

static void child_main(struct se_bare *bare)
{
    int r = se_pin(bare->options.processor);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (bare->area) {
        struct se_bare_area *area = bare->area;
        for (uint64_t turn = 1; r == 0; turn++) {
            do
                r = hear(&area->there, turn, bare->buffer, bare->options.size_b);
            while (r == -ETIMEDOUT && getppid() != 1);
            if (r == 0)
                say(&area->back, turn, bare->buffer, bare->options.size_b);
        }
    }
    while (r == 0 && !bare->area)
        r = get(bare) == 0 ? put(bare) : -1;
    _exit(0);
}

static int fork_other(struct se_bare *bare, int other)
{
    bare->process = fork();
    if (bare->process == 0) {
        if (bare->fd >= 0)
            close(bare->fd);
        bare->fd = other;
        child_main(bare);
    }
    if (other >= 0)
        close(other);
    return bare->process < 0 ? se_fail(-errno, "no process: %s", strerror(errno)) : 0;
}

int se_bare_open(struct se_bare *bare, const struct se_bare_options *options)
{
    int fd[2] = { -1, -1 };
    *bare = (struct se_bare){ .options = *options, .fd = -1 };
    bare->buffer = se_mem_zero(1, options->size_b);
    if (!bare->buffer)
        return se_trace(-ENOMEM);
    if (options->kind == SE_BARE_MEMORY) {
        void *area = mmap(NULL, sizeof *bare->area, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED)
            return se_fail(-errno, "no shared memory: %s", strerror(errno));
        bare->area = area;
    }
    const int r = open_pair(options->kind, fd);
    bare->fd = fd[0];
    return r == 0 ? fork_other(bare, fd[1]) : se_trace(r);
}

void se_bare_close(struct se_bare *bare)
{
    if (bare->fd >= 0)
        close(bare->fd);
    if (bare->process > 0) {
        kill(bare->process, SIGKILL);
        waitpid(bare->process, NULL, 0);
    }
    if (bare->area)
        munmap(bare->area, sizeof *bare->area);
    se_mem_free(bare->buffer);
    *bare = (struct se_bare){ .fd = -1 };
}

int se_bare_trip(void *of, bool check)
{
    struct se_bare *bare = of;
    const uint32_t size_b = bare->options.size_b;
    const unsigned char mark = (unsigned char)(++bare->turn % 251);
    int r = 0;
    if (check)
        memset(bare->buffer, mark, size_b);
    if (bare->area) {
        say(&bare->area->there, bare->turn, bare->buffer, size_b);
        r = hear(&bare->area->back, bare->turn, bare->buffer, size_b);
    } else {
        r = put(bare);
        if (r == 0 && (r = get(bare)) == -EPIPE)
            r = se_fail(-EPIPE, "socket: the other end is gone");
    }
    for (uint32_t i = 0; check && r == 0 && i < size_b; i++)
        if (bare->buffer[i] != mark)
            return se_fail(-EIO, "bytes came back changed");
    return r;
}
