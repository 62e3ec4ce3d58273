/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>
#include <zmq.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "tests/transport/link_suite.h"

static char folder[] = "/tmp/specedge-test-zmq-XXXXXX", ipc_url[sizeof(folder) + 16];

static void send_one(struct se_link *link, struct se_frames *frames)
{
    struct se_frame *frame = se_frame_get(frames);
    int r;
    frame->len_b = 1;
    frame->data[0] = 42;
    while ((r = se_link_send(link, SE_LINK_SERVER, frame)) == SE_LINK_AGAIN)
        se_link_wait(link, 1000000);
    assert_int_equal(r, 0);
}

static void addresses_that_cannot_be_had_are_refused(void **state)
{
    struct se_frames *frames;
    struct se_link *link = NULL, *other = NULL;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 4, 100), 0);
    const struct se_link_options options = se_link_options(frames);
    assert_int_equal(se_link_listen(&link, "tcp://127.0.0.1", &options), -EINVAL);
    assert_non_null(strstr(se_err_text(), "tcp://127.0.0.1"));
    assert_true(se_link_connect(&link, "tcp://127.0.0.1:99999", &options) < 0);
    assert_int_equal(se_link_connect(&link, "tcp://:7077", &options), -EINVAL);
    assert_non_null(strstr(se_err_text(), "names no host"));
    /* A name that no name server is asked for. Known ones may have no server: nothing to tell. */
    assert_int_equal(se_link_connect(&link, "tcp://no..host:7077", &options), 0);
    assert_non_null(strstr(se_link_trouble(link), "'no..host' is no host"));
    se_link_fini(link);
    assert_int_equal(se_link_connect(&link, "tcp://[::1]:7077", &options), 0);
    assert_null(se_link_trouble(link));
    se_link_fini(link);
    assert_true(se_link_listen(&link, "ipc:///nowhere/at/all/x", &options) < 0);
    assert_int_equal(se_link_listen(&link, "tcp://127.0.0.1:0,loop://x", &options), -EINVAL);
    assert_int_equal(se_link_listen(&link, ipc_url, &options), 0);
    assert_int_equal(se_link_listen(&other, ipc_url, &options), -EADDRINUSE);
    se_link_fini(link);
    const int file = open(ipc_url + sizeof("ipc://") - 1, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0); /* not ours to remove */
    close(file);
    assert_int_equal(se_link_listen(&other, ipc_url, &options), -ENOTSOCK);
    assert_int_equal(unlink(ipc_url + sizeof("ipc://") - 1), 0);
    se_frames_free(frames);
}

static void a_server_listens_on_several_urls(void **state)
{
    struct se_frames *frames;
    struct se_link *server, *edge[2];
    se_link_peer peer;
    char urls[256], *second;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 8, 100), 0);
    const struct se_link_options options = link_suite_options(frames);
    snprintf(urls, sizeof(urls), "%s,tcp://127.0.0.1:0", ipc_url);
    assert_int_equal(se_link_listen(&server, urls, &options), 0);
    snprintf(urls, sizeof(urls), "%s", se_link_url(server));
    second = strchr(urls, ',');
    assert_non_null(second);
    *second++ = 0;
    assert_ptr_equal(strstr(second, "tcp://127.0.0.1:"), second); /* as people write it */
    const char *url[] = { urls, second };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(se_link_connect(&edge[i], url[i], &options), 0);
        link_suite_expect(edge[i], SE_LINK_JOINED, &peer);
        send_one(edge[i], frames);
        link_suite_expect(server, SE_LINK_JOINED, &peer);
        se_frame_put(link_suite_expect(server, 0, &peer));
    }
    for (int i = 0; i < 2; i++)
        se_link_fini(edge[i]);
    assert_int_equal(access(ipc_url + strlen("ipc://"), F_OK), 0);
    se_link_fini(server);
    assert_int_not_equal(access(ipc_url + strlen("ipc://"), F_OK), 0);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

/* A peer of our making that knows no manners: names of its own, parts, giants, nothing. */
static void a_rude_peer_is_not_heard_and_harms_nobody(void **state)
{
    static char giant[3000];
    struct se_frames *frames;
    struct se_link *server, *edge;
    se_link_peer good, peer;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 8, 1000), 0);
    const struct se_link_options options = link_suite_options(frames);
    assert_int_equal(se_link_listen(&server, "tcp://127.0.0.1:0", &options), 0);
    assert_int_equal(se_link_connect(&edge, se_link_url(server), &options), 0);
    link_suite_expect(edge, SE_LINK_JOINED, &peer);
    send_one(edge, frames);
    link_suite_expect(server, SE_LINK_JOINED, &good);
    se_frame_put(link_suite_expect(server, 0, &peer));

    void *context = zmq_ctx_new();
    const int linger = 1000;
    for (int kind = 0; kind < 4; kind++) {
        void *rude = zmq_socket(context, ZMQ_DEALER);
        zmq_setsockopt(rude, ZMQ_LINGER, &linger, sizeof(linger));
        if (kind == 0)
            zmq_setsockopt(rude, ZMQ_ROUTING_ID, "somebody else", 13);
        assert_int_equal(zmq_connect(rude, se_link_url(server)), 0);
        if (kind == 1)
            zmq_send(rude, "a", 1, ZMQ_SNDMORE);
        if (kind == 2)
            zmq_send(rude, giant, sizeof(giant), 0);
        else
            zmq_send(rude, kind == 3 ? "" : "b", kind == 3 ? 0 : 1, 0);
        zmq_close(rude);
    }
    zmq_ctx_term(context); /* it has all been sent, or thrown out */

    for (int i = 0; i < 20; i++) {
        send_one(edge, frames);
        struct se_frame *frame = link_suite_expect(server, 0, &peer);
        assert_true(peer == good);
        assert_int_equal(frame->data[0], 42);
        assert_int_equal(se_link_send(server, peer, frame), 0);
        se_frame_put(link_suite_expect(edge, 0, &peer));
    }
    se_link_fini(edge);
    link_suite_expect(server, SE_LINK_GONE, &peer);
    assert_true(peer == good);
    se_link_fini(server);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

static int threads_now(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;
    assert_non_null(tasks);
    while (readdir(tasks) != NULL)
        n++;
    closedir(tasks);
    return n - 2; /* . and .. */
}

/* As many as the limit of descriptors allows: eight for an edge and its server's end. */
static int edges_allowed(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur > 8 * 1000 + 100 ? 1000 : (int)(limit.rlim_cur - 100) / 8;
}

/* Until somebody else comes: then they are hung up on. Who asks for a seat in vain asks again. */
static void those_who_were_dropped_keep_nobody_out(void **state)
{
    enum { SEATS = 3 };
    struct se_frames *frames;
    struct se_link *server, *bad[SEATS], *good;
    se_link_peer peer;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 16, 100), 0);
    struct se_link_options options = link_suite_options(frames);
    options.peers_max = SEATS;
    assert_int_equal(se_link_listen(&server, "tcp://127.0.0.1:0", &options), 0);
    for (int i = 0; i < SEATS; i++) {
        assert_int_equal(se_link_connect(&bad[i], se_link_url(server), &options), 0);
        link_suite_expect(bad[i], SE_LINK_JOINED, &peer);
        send_one(bad[i], frames);
        link_suite_expect(server, SE_LINK_JOINED, &peer);
        se_frame_put(link_suite_expect(server, 0, &peer));
        se_link_drop(server, peer);
    }
    assert_int_equal(se_link_connect(&good, se_link_url(server), &options), 0);
    link_suite_expect(good, SE_LINK_JOINED, &peer);
    const uint64_t end_ns = se_clock_ns() + UINT64_C(20000000000);
    struct se_frame *frame = NULL;
    int r = SE_LINK_AGAIN;
    while (r == SE_LINK_AGAIN && se_clock_ns() < end_ns) {
        send_one(good, frames);
        se_link_wait(server, 50000000);
        r = se_link_recv(server, &peer, &frame);
    }
    assert_int_equal(r, SE_LINK_JOINED); /* of the dropped ones nothing is heard */
    se_frame_put(link_suite_expect(server, 0, &peer));
    se_link_fini(good);
    for (int i = 0; i < SEATS; i++)
        se_link_fini(bad[i]);
    se_link_fini(server);
    se_frames_free(frames);
}

static void a_thousand_edges_have_two_threads(void **state)
{
    const int n = edges_allowed(), threads = threads_now();
    const uint64_t deadline = se_clock_ns() + 60000000000u;
    struct se_link **edge = calloc((size_t)n, sizeof(*edge)), *server;
    struct se_frames *frames;
    se_link_peer peer;
    (void)state;
    assert_non_null(edge);
    assert_int_equal(se_frames_new(&frames, 8, 100), 0);
    struct se_link_options options = link_suite_options(frames);
    options.peers_max = 1024;
    assert_int_equal(se_link_listen(&server, ipc_url, &options), 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(se_link_connect(&edge[i], ipc_url, &options), 0);
        link_suite_expect(edge[i], SE_LINK_JOINED, &peer);
        send_one(edge[i], frames);
        link_suite_expect(server, SE_LINK_JOINED, &peer);
        se_frame_put(link_suite_expect(server, 0, &peer));
    }
    assert_true(threads_now() <= threads + 4); /* two contexts, two threads each */
    for (int i = 0; i < n; i++)
        se_link_fini(edge[i]);
    for (int i = 0; i < n; i++)
        link_suite_expect(server, SE_LINK_GONE, &peer);
    se_link_fini(server);
    while (threads_now() > threads) /* one that has ended is listed for a moment more */
        assert_true(se_clock_ns() < deadline);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
    free(edge);
}

/* ---- a peer that stops answering, in a process that is stopped */

static struct se_link_options impatient(struct se_frames *frames)
{
    struct se_link_options options = link_suite_options(frames);
    options.heartbeat_ns = 20000000;
    options.silence_ns = 400000000;
    return options;
}

/* Listens and tells where, or is told where and connects; and then lives until it is killed. */
static void live(bool listens, int in, int out)
{
    char url[256] = "";
    struct se_frames *frames;
    struct se_link *link;
    struct se_frame *frame;
    se_link_peer peer;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (se_frames_new(&frames, 8, 100) < 0)
        _exit(1);
    const struct se_link_options options = impatient(frames);
    if (listens) {
        if (se_link_listen(&link, "tcp://127.0.0.1:0", &options) < 0 ||
            write(out, se_link_url(link), strlen(se_link_url(link)) + 1) < 0)
            _exit(1);
    } else if (read(in, url, sizeof(url) - 1) <= 0 || se_link_connect(&link, url, &options) < 0) {
        _exit(1);
    }
    for (;;) {
        const int r = se_link_recv(link, &peer, &frame);
        if (r == 0)
            se_frame_put(frame);
        else if (r == SE_LINK_JOINED && !listens)
            send_one(link, frames);
        else
            se_link_wait(link, 1000000000);
    }
}

static pid_t start(bool listens, int *in, int *out)
{
    int to[2], from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    const pid_t child = fork(); /* there is no other thread now */
    assert_true(child >= 0);
    if (child == 0)
        live(listens, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    *in = to[1];
    *out = from[0];
    return child;
}

static void stop(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
}

static void end(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void an_edge_that_stops_answering_is_gone(void **state)
{
    struct se_frames *frames;
    struct se_link *server;
    se_link_peer first, peer;
    int in, out;
    (void)state;
    const pid_t child = start(false, &in, &out);
    assert_int_equal(se_frames_new(&frames, 8, 100), 0);
    const struct se_link_options options = impatient(frames);
    assert_int_equal(se_link_listen(&server, "tcp://127.0.0.1:0", &options), 0);
    assert_true(write(in, se_link_url(server), strlen(se_link_url(server)) + 1) > 0);
    link_suite_expect(server, SE_LINK_JOINED, &first);
    se_frame_put(link_suite_expect(server, 0, &peer));
    stop(child);
    link_suite_expect(server, SE_LINK_GONE, &peer);
    assert_true(peer == first);
    assert_int_equal(kill(child, SIGCONT), 0);
    link_suite_expect(server, SE_LINK_JOINED, &peer);
    assert_true(peer != first);
    end(child);
    close(in);
    close(out);
    se_link_fini(server);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

static void a_server_that_stops_answering_is_gone(void **state)
{
    char url[256] = "";
    struct se_frames *frames;
    struct se_link *edge;
    se_link_peer peer;
    int in, out;
    (void)state;
    const pid_t child = start(true, &in, &out);
    assert_true(read(out, url, sizeof(url) - 1) > 0);
    assert_int_equal(se_frames_new(&frames, 8, 100), 0);
    const struct se_link_options options = impatient(frames);
    assert_int_equal(se_link_connect(&edge, url, &options), 0);
    link_suite_expect(edge, SE_LINK_JOINED, &peer);
    stop(child);
    link_suite_expect(edge, SE_LINK_GONE, &peer);
    assert_int_equal(kill(child, SIGCONT), 0);
    link_suite_expect(edge, SE_LINK_JOINED, &peer);
    end(child);
    close(in);
    close(out);
    se_link_fini(edge);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

static bool there_is(const char *url)
{
    struct se_frames *frames;
    struct se_link *link = NULL;
    if (se_frames_new(&frames, 1, 10) < 0)
        return false;
    const struct se_link_options options = se_link_options(frames);
    const bool there = se_link_listen(&link, url, &options) == 0;
    se_link_fini(link);
    se_frames_free(frames);
    return there;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_cannot_be_had_are_refused),
        cmocka_unit_test(a_server_listens_on_several_urls),
        cmocka_unit_test(a_rude_peer_is_not_heard_and_harms_nobody),
        cmocka_unit_test(those_who_were_dropped_keep_nobody_out),
        cmocka_unit_test(a_thousand_edges_have_two_threads),
        cmocka_unit_test(an_edge_that_stops_answering_is_gone),
        cmocka_unit_test(a_server_that_stops_answering_is_gone),
    };
    const struct link_suite suites[] = {
        { .name = "zmq over tcp", .url = "tcp://127.0.0.1:0" },
        { .name = "zmq over ipc", .url = ipc_url },
        { .name = "zmq over tcp, IPv6", .url = "tcp://[::1]:0" },
        { .name = "zmq over ipc, spinning", .url = ipc_url, .spin_ns = 20000 },
    };
    int failed = 0;
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(ipc_url, sizeof(ipc_url), "ipc://%s/socket", folder);
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        if (there_is(suites[i].url))
            failed += link_suite_run(&suites[i]);
        else if (i == 2)
            printf("skipped: %s: this machine has no IPv6\n", suites[i].name);
        else
            failed++;
    }
    failed += cmocka_run_group_tests_name("zmq", tests, NULL, NULL);
    unlink(ipc_url + strlen("ipc://"));
    rmdir(folder);
    return failed != 0;
}
