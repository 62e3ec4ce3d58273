/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"

enum {
    HOST_B = 256,
    PORT_B = 6,
    PORT_MAX = 65535,
    BACKLOG = 64,
    /* A silent peer: asked after IDLE_S without a word, then every ASK_S; given up SILENCE_MS
     * after the first question, or the first word, that it has not acknowledged. */
    IDLE_S = 5,
    ASK_S = 3,
    ASKS = 5,
    SILENCE_MS = 40000 /* longer than a rank may be late, which also leaves words unread */
};
#define MS_NS 1000000u

struct place {
    char host[HOST_B], port[PORT_B];
};

static int no_address(const char *address)
{
    return se_fail(-EINVAL,
                   "'%s' is no address: HOST:PORT, with an IPv6 address in brackets, and PORT from "
                   "0 to %d",
                   address, PORT_MAX);
}

static bool is_port(const char *text)
{
    unsigned port = 0;
    size_t n = 0;
    for (; text[n] >= '0' && text[n] <= '9' && n < PORT_B; n++)
        port = port * 10 + (unsigned)(text[n] - '0');
    return n > 0 && n < PORT_B && text[n] == '\0' && port <= PORT_MAX;
}

static int cut(struct place *place, const char *address)
{
    const char *colon = strrchr(address, ':'), *host = address;
    if (!colon || !is_port(colon + 1))
        return no_address(address);
    size_t len = (size_t)(colon - address);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (strcspn(host, ":[]") < len) {
        return no_address(address);
    }
    if (len == 0 || len >= sizeof place->host)
        return no_address(address);
    memcpy(place->host, host, len);
    place->host[len] = '\0';
    snprintf(place->port, sizeof place->port, "%s", colon + 1);
    return 0;
}

int se_socket_check(const char *address)
{
    struct place place;
    return cut(&place, address);
}

/* What the address may mean. On 0 *found is the caller's, to free. */
static int look_up(struct addrinfo **found, const char *address)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV };
    struct place place;
    int r = cut(&place, address);
    if (r < 0)
        return r;
    r = getaddrinfo(place.host, place.port, &hints, found);
    if (r == 0)
        return 0;
    return se_fail(r == EAI_AGAIN ? -EAGAIN : -EADDRNOTAVAIL, "%s: %s", address,
                   r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
}

static void write_name(const struct sockaddr_storage *at, socklen_t len, char *name)
{
    char host[64], port[PORT_B];
    if (getnameinfo((const struct sockaddr *)at, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(name, SE_SOCKET_NAME_B, "?");
    else if (at->ss_family == AF_INET6)
        snprintf(name, SE_SOCKET_NAME_B, "[%s]:%s", host, port);
    else
        snprintf(name, SE_SOCKET_NAME_B, "%s:%s", host, port);
}

void se_socket_peer(int fd, char name[SE_SOCKET_NAME_B])
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    if (getpeername(fd, (struct sockaddr *)&at, &len) < 0)
        snprintf(name, SE_SOCKET_NAME_B, "?");
    else
        write_name(&at, len, name);
}

static void set(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

/* None of it can fail on a socket of TCP, and none is worth ending for. */
static void settle(int fd)
{
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, ASK_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, ASKS);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_MS);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static int listen_at(const struct addrinfo *at)
{
    const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* A server that is started again finds connections of the one before it. */
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (at->ai_family == AF_INET6)
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    const int error = errno;
    close(fd);
    return -error;
}

int se_socket_listen(int *fd, const char *address, char name[SE_SOCKET_NAME_B])
{
    struct addrinfo *found = NULL;
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    int r = look_up(&found, address);
    if (r < 0)
        return r;
    r = -EADDRNOTAVAIL;
    for (const struct addrinfo *one = found; one && r < 0; one = one->ai_next)
        r = listen_at(one);
    freeaddrinfo(found);
    if (r < 0)
        return se_fail(r, "cannot listen at %s: %s", address, strerror(-r));
    *fd = r;
    if (getsockname(r, (struct sockaddr *)&at, &len) == 0)
        write_name(&at, len, name);
    else
        snprintf(name, SE_SOCKET_NAME_B, "%.*s", SE_SOCKET_NAME_B - 1, address);
    return 0;
}

int se_socket_accept(int *fd, int listener, char name[SE_SOCKET_NAME_B])
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    const int r = accept4(listener, (struct sockaddr *)&at, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (r < 0) /* also one that has left again meanwhile */
        return -EAGAIN;
    write_name(&at, len, name);
    settle(r);
    *fd = r;
    return 0;
}

/* 0, or what the connection that is under way came to. */
static int await_connection(int fd, uint64_t until_ns)
{
    struct pollfd of = { .fd = fd, .events = POLLOUT };
    int error = 0;
    socklen_t len = sizeof error;
    for (;;) {
        const uint64_t now = se_clock_ns();
        const uint64_t ms = now < until_ns ? (until_ns - now) / MS_NS + 1 : 0;
        const int n = poll(&of, 1, ms < 1000 ? (int)ms : 1000);
        if (n > 0)
            return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0 && se_clock_ns() >= until_ns)
            return -ETIMEDOUT;
    }
}

/* Where nobody listens the system may pick that very port as ours, and connect us with ourselves. */
static bool is_own_end(int fd)
{
    struct sockaddr_storage here = { 0 }, there = { 0 };
    socklen_t here_b = sizeof here, there_b = sizeof there;
    return getsockname(fd, (struct sockaddr *)&here, &here_b) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_b) == 0 && here_b == there_b &&
           memcmp(&here, &there, here_b) == 0;
}

static int connect_to(const struct addrinfo *at, uint64_t until_ns)
{
    const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    settle(fd);
    int r = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
    if (r == -EINPROGRESS || r == -EINTR)
        r = await_connection(fd, until_ns);
    if (r == 0 && is_own_end(fd))
        r = -ECONNREFUSED;
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

int se_socket_connect(int *fd, const char *address, uint64_t until_ns)
{
    struct addrinfo *found = NULL;
    int r = look_up(&found, address);
    if (r < 0)
        return r;
    r = -EADDRNOTAVAIL;
    for (const struct addrinfo *one = found; one && r < 0; one = one->ai_next)
        r = connect_to(one, until_ns);
    freeaddrinfo(found);
    if (r < 0)
        return se_fail(-EAGAIN, "nobody answers at %s: %s", address, strerror(-r));
    *fd = r;
    return 0;
}
