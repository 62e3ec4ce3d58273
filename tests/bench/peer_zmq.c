/* SPDX-License-Identifier: Apache-2.0 */
/* peer_zmq - libzmq's own round trip, as its local_lat and remote_lat measure it: REQ and REP in
 * two processes, one message at a time, both ends blocked in zmq_recv().
 *
 *   peer_zmq [--wakeable] URL [BYTES [ROUNDS]]      "tcp://127.0.0.1:0", "ipc:///tmp/peer"
 *
 * --wakeable: what a link has to be, with nothing else. ROUTER and DEALER with a heartbeat and a
 * monitor, and both ends sleep in ppoll(), where a message, a lost connection and, by an eventfd,
 * another thread could wake them.
 *
 * Prints what "se-bench link --compare" reads. Every sample is kept but the first thousand. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <zmq.h>

#include "runtime/base/clock.h"
#include "runtime/base/hist.h"

enum { WARM_UP = 1000, URL_B = 256, BYTES_MAX = 65536, NAME_B = 5 };
static char buffer[BYTES_MAX], name[NAME_B];
static bool wakeable;
static struct pollfd sleeps_on[3] = { { .events = POLLIN },
                                      { .events = POLLIN },
                                      { .events = POLLIN } };

static void fail(const char *what)
{
    fprintf(stderr, "peer_zmq: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static int fd_of(void *socket)
{
    int fd = -1;
    size_t fd_b = sizeof fd;
    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &fd_b) < 0)
        fail("ZMQ_FD");
    return fd;
}

static void *open_socket(int plain, int other)
{
    static const int beat_ms = 2000, lost_ms = 6000;
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, wakeable ? other : plain);
    if (!wakeable)
        return socket;
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    if (zmq_setsockopt(socket, ZMQ_HEARTBEAT_IVL, &beat_ms, sizeof beat_ms) < 0 ||
        zmq_setsockopt(socket, ZMQ_HEARTBEAT_TIMEOUT, &lost_ms, sizeof lost_ms) < 0 ||
        zmq_socket_monitor(socket, "inproc://monitor", ZMQ_EVENT_DISCONNECTED) < 0 ||
        zmq_connect(monitor, "inproc://monitor") < 0)
        fail("a socket");
    sleeps_on[0].fd = fd_of(socket);
    sleeps_on[1].fd = fd_of(monitor);
    sleeps_on[2].fd = eventfd(0, EFD_NONBLOCK);
    return socket;
}

/* ROUTER: who sent it stands before the message. */
static int take(void *socket, bool router)
{
    static const struct timespec limit = { .tv_sec = 10 };
    const int flags = wakeable ? ZMQ_DONTWAIT : 0;
    for (;;) {
        if (!wakeable || !router || zmq_recv(socket, name, sizeof name, flags) >= 0) {
            const int n = zmq_recv(socket, buffer, sizeof buffer, flags);
            if (n >= 0 || !wakeable)
                return n;
        }
        if (zmq_errno() != EAGAIN || ppoll(sleeps_on, 3, &limit, NULL) < 0)
            return -1;
    }
}

static int give(void *socket, bool router, size_t n)
{
    if (wakeable && router && zmq_send(socket, name, sizeof name, ZMQ_SNDMORE) < 0)
        return -1;
    return zmq_send(socket, buffer, n, 0);
}

static void echo(const char *url, int out)
{
    char at[URL_B];
    size_t at_b = sizeof at;
    void *socket = open_socket(ZMQ_REP, ZMQ_ROUTER);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (zmq_bind(socket, url) < 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, at, &at_b) < 0 ||
        write(out, at, at_b) < 0)
        fail(url);
    for (int n; (n = take(socket, true)) >= 0;)
        if (give(socket, true, (size_t)n) < 0)
            fail("zmq_send");
    fail("zmq_recv");
}

int main(int argc, char **argv)
{
    wakeable = argc > 1 && strcmp(argv[1], "--wakeable") == 0;
    argc -= wakeable;
    argv += wakeable;
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:0";
    const unsigned long bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 132;
    const unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 10000;
    struct se_hist us = SE_HIST_NULL;
    char at[URL_B] = "";
    int ends[2];
    if (bytes < 1 || bytes > BYTES_MAX || rounds < 1 || pipe(ends) < 0)
        return 2;
    const pid_t child = fork();
    if (child == 0)
        echo(url, ends[1]);
    close(ends[1]);
    if (child < 0 || read(ends[0], at, sizeof at - 1) <= 0)
        return 1;
    void *socket = open_socket(ZMQ_REQ, ZMQ_DEALER);
    if (zmq_connect(socket, at) < 0)
        fail(at);
    for (unsigned long i = 0; i < WARM_UP + rounds; i++) {
        const uint64_t start_ns = se_clock_ns();
        if (give(socket, false, bytes) < 0 || take(socket, false) != (int)bytes)
            fail("round trip");
        if (i >= WARM_UP && se_hist_add(&us, (double)(se_clock_ns() - start_ns) * 1e-3) < 0)
            return 1;
    }
    printf("{\"url\": \"%s\", \"way\": \"round trip\", \"bytes\": %lu, \"back_to_back_us\": "
           "{\"n\": %zu, "
           "\"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f}}\n",
           at, bytes, us.n, se_hist_at(&us, 0.5), se_hist_at(&us, 0.99), se_hist_at(&us, 0.999),
           se_hist_at(&us, 1));
    se_hist_fini(&us);
    kill(child, SIGKILL);
    if (strncmp(at, "ipc://", 6) == 0)
        unlink(at + 6);
    return 0;
}
