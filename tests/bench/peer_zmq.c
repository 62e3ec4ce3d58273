/* SPDX-License-Identifier: Apache-2.0 */
/* peer_zmq - libzmq's own round trip, as its local_lat and remote_lat measure it: REQ and REP in
 * two processes, one message at a time, both ends blocked in zmq_recv().
 *
 *   peer_zmq URL [BYTES [ROUNDS]]      "tcp://127.0.0.1:0", "ipc:///tmp/peer"
 *
 * Prints what "se-bench link --compare" reads. Every sample is kept but the first thousand. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <zmq.h>

#include "runtime/base/clock.h"
#include "runtime/base/hist.h"

enum { WARM_UP = 1000, URL_B = 256, BYTES_MAX = 65536 };
static char buffer[BYTES_MAX];

static void fail(const char *what)
{
    fprintf(stderr, "peer_zmq: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void echo(const char *url, int out)
{
    char at[URL_B];
    size_t at_b = sizeof at;
    void *socket = zmq_socket(zmq_ctx_new(), ZMQ_REP);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (zmq_bind(socket, url) < 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, at, &at_b) < 0 ||
        write(out, at, at_b) < 0)
        fail(url);
    for (int n; (n = zmq_recv(socket, buffer, sizeof buffer, 0)) >= 0;)
        if (zmq_send(socket, buffer, (size_t)n, 0) < 0)
            fail("zmq_send");
    fail("zmq_recv");
}

int main(int argc, char **argv)
{
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
    void *socket = zmq_socket(zmq_ctx_new(), ZMQ_REQ);
    if (zmq_connect(socket, at) < 0)
        fail(at);
    for (unsigned long i = 0; i < WARM_UP + rounds; i++) {
        const uint64_t start_ns = se_clock_ns();
        if (zmq_send(socket, buffer, bytes, 0) < 0 ||
            zmq_recv(socket, buffer, sizeof buffer, 0) != (int)bytes)
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
