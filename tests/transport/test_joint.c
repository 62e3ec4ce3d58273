/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "tests/transport/link_suite.h"
#include "transport/joint.h"

enum { EDGES = 3, FRAMES = 40 };
static char folder[] = "/tmp/specedge-test-joint-XXXXXX", base[sizeof(folder) + 16];
static char urls[256]; /* of different kinds where there are any */
static int n_urls;

static void send_byte(struct se_link *link, se_link_peer to, struct se_frames *frames, int byte)
{
    struct se_frame *frame = se_frame_get(frames);
    assert_non_null(frame);
    frame->len_b = 1;
    frame->data[0] = (unsigned char)byte;
    int r;
    while ((r = se_link_send(link, to, frame)) == SE_LINK_AGAIN)
        se_link_wait(link, 1000000);
    assert_int_equal(r, 0);
}

static int next_byte(struct se_link *link, se_link_peer *peer)
{
    struct se_frame *frame = link_suite_expect(link, 0, peer);
    const int byte = frame->data[0];
    se_frame_put(frame);
    return byte;
}

/* Two links over memory with one name each, which is two members anywhere; wait is the same. */
static struct se_link *twins(const struct se_link_options *options)
{
    char url[sizeof(base) + 8];
    struct se_link *member[2], *joint;
    for (int i = 0; i < 2; i++) {
        snprintf(url, sizeof(url), "shm://%s%d", base, i);
        assert_int_equal(se_link_listen(&member[i], url, options), 0);
    }
    assert_int_equal(se_joint_new(&joint, member, 2, options), 0);
    return joint;
}

/* Edges of each URL; all of them have the same slot in their member, and none the same name. */
static void try_all(struct se_link *server, int n, struct se_frames *frames,
                    const struct se_link_options *options)
{
    struct se_link *edge[EDGES];
    se_link_peer peer[EDGES], from;
    for (int i = 0; i < n; i++) {
        assert_int_equal(se_link_connect(&edge[i], link_suite_url(server, (uint32_t)i), options),
                         0);
        link_suite_expect(edge[i], SE_LINK_JOINED, &from);
        send_byte(edge[i], SE_LINK_SERVER, frames, i);
        link_suite_expect(server, SE_LINK_JOINED, &peer[i]);
        assert_int_equal(next_byte(server, &from), i);
        assert_true(from == peer[i]);
        for (int k = 0; k < i; k++)
            assert_true(peer[k] != peer[i]);
    }
    for (int turn = 0; turn < 10; turn++) {
        for (int i = 0; i < n; i++)
            send_byte(edge[i], SE_LINK_SERVER, frames, i);
        for (int i = 0; i < n; i++) {
            const int byte = next_byte(server, &from);
            assert_true(from == peer[byte]);
            send_byte(server, from, frames, byte);
        }
        for (int i = 0; i < n; i++)
            assert_int_equal(next_byte(edge[i], &from), i);
    }
    for (int i = 0; i < n; i++) {
        se_link_fini(edge[i]);
        link_suite_expect(server, SE_LINK_GONE, &from);
        assert_true(from == peer[i]);
    }
}

static void a_server_listens_on_urls_of_all_kinds(void **state)
{
    struct se_frames *frames;
    struct se_link *server;
    (void)state;
    assert_int_equal(se_frames_new(&frames, FRAMES, 100), 0);
    const struct se_link_options options = link_suite_options(frames);
    assert_int_equal(se_link_listen(&server, urls, &options), 0);
    try_all(server, n_urls, frames, &options);
    se_link_fini(server);
    server = twins(&options);
    try_all(server, 2, frames, &options);
    struct se_frame *frame = se_frame_get(frames);
    frame->len_b = 1; /* of members there are two */
    assert_int_equal(se_link_send(server, UINT64_C(1) << 32 | 5 << 24 | 1, frame), SE_LINK_GONE);
    assert_int_equal(se_link_send(server, UINT64_MAX, frame), SE_LINK_GONE);
    se_link_drop(server, UINT64_MAX);
    se_frame_put(frame);
    se_link_fini(server);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

static void peers_are_counted_together(void **state)
{
    struct se_frames *frames;
    struct se_link *edge[3];
    se_link_peer peer[3], from;
    (void)state;
    assert_int_equal(se_frames_new(&frames, FRAMES, 100), 0);
    struct se_link_options options = link_suite_options(frames);
    options.peers_max = 2;
    struct se_link *server = twins(&options);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(se_link_connect(&edge[i], link_suite_url(server, (uint32_t)i), &options),
                         0);
        link_suite_expect(edge[i], SE_LINK_JOINED, &from);
        send_byte(edge[i], SE_LINK_SERVER, frames, i);
        if (i == 2)
            break;
        link_suite_expect(server, SE_LINK_JOINED, &peer[i]);
        assert_int_equal(next_byte(server, &from), i);
    }
    send_byte(edge[0], SE_LINK_SERVER, frames, 9); /* the third is not heard */
    assert_int_equal(next_byte(server, &from), 9);
    assert_true(from == peer[0]);
    struct se_frame *frame;
    int r;
    while ((r = se_link_recv(edge[2], &from, &frame)) == SE_LINK_AGAIN) {
        assert_int_equal(se_link_recv(server, &from, &frame), SE_LINK_AGAIN);
        se_link_wait(server, 1000000);
    }
    assert_int_equal(r, SE_LINK_GONE); /* it tries again by itself */
    se_link_drop(server, peer[1]);
    se_link_drop(server, peer[1]); /* counts once */
    link_suite_expect(edge[2], SE_LINK_JOINED, &from);
    send_byte(edge[2], SE_LINK_SERVER, frames, 2);
    link_suite_expect(server, SE_LINK_JOINED, &peer[2]);
    assert_int_equal(next_byte(server, &from), 2);
    for (int i = 0; i < 3; i++)
        se_link_fini(edge[i]);
    se_link_fini(server);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

static void what_cannot_be_joined_is_refused(void **state)
{
    char both[sizeof(base) + 40];
    struct se_frames *frames;
    struct se_link *link = NULL;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 2, 100), 0);
    const struct se_link_options options = link_suite_options(frames);
    snprintf(both, sizeof(both), "shm://%s,loop://x", base);
    assert_int_equal(se_link_listen(&link, both, &options), -EINVAL);
    assert_non_null(strstr(se_err_text(), "loop"));
    assert_int_equal(access(base, F_OK), -1); /* nobody began to listen */
    assert_int_equal(se_link_connect(&link, urls, &options), n_urls > 1 ? -EINVAL : 0);
    if (n_urls > 1) { /* the second cannot be had: the first is given back */
        snprintf(both, sizeof(both), "shm://%s,tcp://127.0.0.1:x", base);
        assert_true(se_link_listen(&link, both, &options) < 0);
        assert_int_equal(access(base, F_OK), -1);
    }
    se_link_fini(link);
    se_frames_free(frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_listens_on_urls_of_all_kinds),
        cmocka_unit_test(peers_are_counted_together),
        cmocka_unit_test(what_cannot_be_joined_is_refused),
    };
    char there[64];
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(base, sizeof(base), "%s/socket", folder);
    const bool zmq = strstr(se_link_schemes(there, sizeof(there)), "tcp") != NULL;
    n_urls = zmq ? 3 : 1;
    if (zmq)
        snprintf(urls, sizeof(urls), "shm://%s,tcp://127.0.0.1:0,ipc://%s.ipc", base, base);
    else
        snprintf(urls, sizeof(urls), "shm://%s", base);
    const struct link_suite suites[] = {
        { .name = "joint", .url = urls, .room = 2 },
        { .name = "joint, spinning", .url = urls, .room = 2, .spin_ns = 20000 },
    };
    int failed = link_suite_run(&suites[0]) + link_suite_run(&suites[1]);
    failed += cmocka_run_group_tests_name("joint", tests, NULL, NULL);
    snprintf(urls, sizeof(urls), "%s.ipc", base);
    unlink(urls); /* libzmq leaves it */
    rmdir(folder);
    return failed != 0;
}
