/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/nodes.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/model/socket.h"

enum { LOOK_MS = 50, PAUSE_LOOKS = 5, SAID_B = 512 };
#define GREETING_NS 10000000000u /* to connect, and to be answered */
#define SEAT_NS 60000000000u

int se_nodes_check(const struct se_nodes *nodes, uint32_t size)
{
    if (!nodes->address || !*nodes->address)
        return se_fail(-EINVAL, "%u machines need an address to meet at", nodes->machines);
    if (nodes->machines < 2 || size % nodes->machines || size > SE_COLLECTIVE_RANKS_MAX)
        return se_fail(-EINVAL, "%u ranks cannot be divided among %u machines evenly", size,
                       nodes->machines);
    return se_socket_check(nodes->address);
}

static int check(const struct se_nodes_watch *watch)
{
    return watch->check ? watch->check(watch->context) : 0;
}

/* Until the socket is ready for events. -EAGAIN: not by then. */
static int await(int fd, short events, uint64_t until_ns, const struct se_nodes_watch *watch)
{
    struct pollfd of = { .fd = fd, .events = events };
    for (;;) {
        const int n = poll(&of, 1, LOOK_MS);
        if (n > 0)
            return 0;
        const int r = check(watch);
        if (r < 0)
            return r;
        if (se_clock_ns() >= until_ns)
            return se_fail(-EAGAIN, "rank 0 does not answer");
    }
}

static int send_all(int fd, const void *bytes, size_t n_b, uint64_t until_ns,
                    const struct se_nodes_watch *watch)
{
    const unsigned char *from = bytes;
    while (n_b > 0) {
        const ssize_t n = send(fd, from, n_b, MSG_NOSIGNAL);
        const int r = n < 0 && errno == EAGAIN ? await(fd, POLLOUT, until_ns, watch) : 0;
        if (r < 0)
            return r;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return se_fail(-EAGAIN, "rank 0 has gone: %s", strerror(errno));
        from += n > 0 ? n : 0;
        n_b -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* -EAGAIN: rank 0 went before it had said all. */
static int receive_all(int fd, void *bytes, size_t n_b, uint64_t until_ns,
                       const struct se_nodes_watch *watch)
{
    unsigned char *to = bytes;
    while (n_b > 0) {
        const ssize_t n = recv(fd, to, n_b, 0);
        const int r = n < 0 && errno == EAGAIN ? await(fd, POLLIN, until_ns, watch) : 0;
        if (r < 0)
            return r;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return se_fail(-EAGAIN, "rank 0 has gone%s%s", n ? ": " : "", n ? strerror(errno) : "");
        to += n > 0 ? n : 0;
        n_b -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* The head first: of another version no more may come. */
static int receive_reply(int fd, struct se_reply *reply, uint64_t until_ns,
                         const struct se_nodes_watch *watch)
{
    const size_t head_b = sizeof reply->head;
    struct se_reply known;
    se_reply_init(&known);
    int r = receive_all(fd, reply, head_b, until_ns, watch);
    if (r < 0)
        return r;
    if (memcmp(&reply->head, &known.head, head_b) == 0)
        r = receive_all(fd, (unsigned char *)reply + head_b, sizeof *reply - head_b, until_ns,
                        watch);
    return r < 0 ? r : se_reply_check(reply);
}

/* Says hello and hears the answer. On 0 the connection is the caller's. -EAGAIN: nobody is there. */
static int greet(int *fd, const char *address, const struct se_hello *hello, struct se_reply *reply,
                 const struct se_nodes_watch *watch)
{
    const uint64_t until = se_clock_ns() + GREETING_NS;
    int at = -1;
    int r = se_socket_connect(&at, address, until);
    if (r < 0)
        return r;
    r = send_all(at, hello, sizeof *hello, until, watch);
    if (r == 0 || r == -EAGAIN) /* who refuses need not have read all, and may be gone */
        r = receive_reply(at, reply, until, watch);
    if (r == 0) {
        *fd = at;
        return 0;
    }
    close(at);
    if (r == -EAGAIN)
        return r;
    return se_fail(r, "%s: %s%s", address, r == -EACCES ? "refused: " : "", se_err_text());
}

static int pause_a_little(const struct se_nodes_watch *watch)
{
    int r = 0;
    for (int i = 0; r == 0 && i < PAUSE_LOOKS; i++) {
        poll(NULL, 0, LOOK_MS);
        r = check(watch);
    }
    return r;
}

int se_nodes_join(int *fd, struct se_nodes_terms *terms, const char *address, uint64_t shape,
                  const struct se_nodes_watch *watch)
{
    char text[SAID_B];
    bool said = false;
    struct se_hello hello;
    struct se_reply reply;
    se_hello_init(&hello, SE_HELLO_JOIN, shape);
    int r = se_socket_check(address);
    if (r == 0)
        r = greet(fd, address, &hello, &reply, watch);
    while (r == -EAGAIN) {
        snprintf(text, sizeof text, "%s; waiting for it", se_err_text());
        if (!said && watch->say)
            watch->say(watch->context, text);
        said = true;
        r = pause_a_little(watch);
        if (r == 0)
            r = greet(fd, address, &hello, &reply, watch);
    }
    if (r < 0)
        return se_trace(r);
    r = se_nodes_terms_check(&reply.terms);
    if (r < 0) {
        close(*fd);
        return se_fail(r, "%s: %s", address, se_err_text());
    }
    *terms = reply.terms;
    return 0;
}

int se_nodes_sit(struct se_collective **out, const struct se_nodes_seat *seat,
                 const struct se_collective_options *options)
{
    const struct se_nodes_watch watch = { .check = options->check, .context = options->context };
    struct se_hello hello;
    struct se_reply reply;
    int fd = -1;
    se_hello_init(&hello, SE_HELLO_SIT, seat->identity);
    hello.ticket = seat->ticket;
    hello.rank = seat->rank;
    snprintf(hello.backend, sizeof hello.backend, "%s", seat->backend);
    const uint64_t until = se_clock_ns() + SEAT_NS;
    int r;
    while ((r = greet(&fd, seat->address, &hello, &reply, &watch)) == -EAGAIN &&
           se_clock_ns() < until)
        poll(NULL, 0, LOOK_MS); /* strangers may stand in the door */
    if (r < 0)
        return se_trace(r);
    r = se_collective_tcp_open(out, &fd, seat->rank, seat->size, options);
    if (r < 0)
        close(fd);
    return r;
}
