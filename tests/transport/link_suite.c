/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/transport/link_suite.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"

enum { EDGES_MAX = 50, SERVER_FRAMES = 256, EDGE_FRAMES = 192, TEXT_B = 256 };
#define DEADLINE_NS 30000000000u

struct edge {
    struct se_link *link;
    struct se_frames *frames;
    se_link_peer peer; /* as the server calls it */
};

struct rig {
    struct se_link *server;
    struct se_frames *frames;
    char url[TEXT_B];
    struct edge edge[EDGES_MAX];
};

static const struct link_suite *suite; /* cmocka's tests take no argument of ours */

struct se_link_options link_suite_options(struct se_frames *frames)
{
    struct se_link_options options = se_link_options(frames);
    options.queue_frames = 32;
    options.peers_max = 64;
    options.retry_ns = 5000000;
    options.retry_max_ns = 20000000;
    options.spin_ns = suite ? suite->spin_ns : 0;
    options.guard = suite ? suite->guard : NULL;
    return options;
}

const char *link_suite_url(const struct se_link *server, uint32_t i)
{
    static char copy[TEXT_B];
    char *at = copy;
    uint32_t n = 1;
    snprintf(copy, sizeof(copy), "%s", se_link_url(server));
    for (const char *c = copy; *c; c++)
        n += *c == ',';
    for (i %= n; i > 0; i--)
        at = strchr(at, ',') + 1;
    at[strcspn(at, ",")] = 0;
    return at;
}

static struct se_link *wrapped(struct se_link *link)
{
    return suite->wrap == NULL ? link : suite->wrap(link);
}

static void listen_again(struct rig *rig, const char *url)
{
    const struct se_link_options options = link_suite_options(rig->frames);
    const uint64_t end = se_clock_ns() + DEADLINE_NS;
    int r;
    do /* an address may be taken for a moment after its last owner left */
        r = se_link_listen(&rig->server, url, &options);
    while (r == -EADDRINUSE && se_clock_ns() < end);
    if (r < 0)
        fail_msg("%s", se_err_text());
    rig->server = wrapped(rig->server);
    snprintf(rig->url, sizeof(rig->url), "%s", se_link_url(rig->server));
}

static struct rig *rig_new(uint32_t server_frames)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    assert_int_equal(se_frames_new(&rig->frames, server_frames, SE_FRAME_MAX), 0);
    listen_again(rig, suite->url);
    return rig;
}

/* Every frame is back when all links are gone. */
static void rig_free(struct rig *rig)
{
    for (int i = 0; i < EDGES_MAX; i++)
        se_link_fini(rig->edge[i].link);
    se_link_fini(rig->server);
    for (int i = 0; i < EDGES_MAX; i++) {
        if (rig->edge[i].frames != NULL)
            assert_int_equal(se_frames_out(rig->edge[i].frames), 0);
        se_frames_free(rig->edge[i].frames);
    }
    assert_int_equal(se_frames_out(rig->frames), 0);
    se_frames_free(rig->frames);
    free(rig);
}

struct se_frame *link_suite_expect(struct se_link *link, int outcome, se_link_peer *peer)
{
    const uint64_t end = se_clock_ns() + DEADLINE_NS;
    struct se_frame *frame = NULL;
    for (;;) {
        const int r = se_link_recv(link, peer, &frame);
        if (r == outcome)
            return frame;
        if (r != SE_LINK_AGAIN)
            fail_msg("%s: outcome %d, not %d", suite ? suite->name : "", r, outcome);
        const uint64_t now = se_clock_ns();
        /* Not one more look after a wait that took so long: who is not woken must not be
         * saved by the limit. */
        if (now >= end || se_link_wait(link, end - now) == SE_LINK_AGAIN)
            fail_msg("%s: outcome %d does not come", suite ? suite->name : "", outcome);
    }
}

/* Whether the edge joins before then. */
static bool joins(struct se_link *edge, struct se_link *server, uint64_t end_ns)
{
    struct se_frame *frame;
    se_link_peer peer;
    int r;
    while ((r = se_link_recv(edge, &peer, &frame)) == SE_LINK_AGAIN && se_clock_ns() < end_ns) {
        se_link_wait(edge, 1000000);
        se_link_wait(server, 0);
    }
    if (r != SE_LINK_JOINED && r != SE_LINK_AGAIN)
        fail_msg("%s: outcome %d, not %d", suite ? suite->name : "", r, SE_LINK_JOINED);
    assert_true(r == SE_LINK_AGAIN || peer == SE_LINK_SERVER);
    return r == SE_LINK_JOINED;
}

void link_suite_await_joined(struct se_link *edge, struct se_link *server)
{
    if (!joins(edge, server, se_clock_ns() + DEADLINE_NS))
        fail_msg("%s: an edge does not join", suite ? suite->name : "");
}

/* Bytes that tell where in which frame they are. */
static unsigned char byte_of(uint32_t number, uint32_t at)
{
    return (unsigned char)((number * 2654435761u >> 16) + at * 31 + (at >> 8));
}

static struct se_frame *written(struct se_frames *frames, uint32_t number, uint32_t len_b)
{
    struct se_frame *frame = se_frame_get(frames);
    assert_non_null(frame);
    frame->len_b = len_b;
    for (uint32_t i = 0; i < len_b; i++)
        frame->data[i] = byte_of(number, i);
    return frame;
}

static void check(struct se_frame *frame, uint32_t number, uint32_t len_b)
{
    assert_int_equal(frame->len_b, len_b);
    for (uint32_t i = 0; i < len_b; i++) {
        if (frame->data[i] != byte_of(number, i))
            fail_msg("frame %u of %u bytes is wrong at %u", number, len_b, i);
    }
    se_frame_put(frame);
}

/* Sends, and tries again while there is no room. */
static void send_in_time(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    const uint64_t end = se_clock_ns() + DEADLINE_NS;
    int r;
    while ((r = se_link_send(link, peer, frame)) == SE_LINK_AGAIN) {
        if (se_clock_ns() > end)
            fail_msg("%s: no room for a frame", suite->name);
        se_link_wait(link, 1000000);
    }
    assert_int_equal(r, 0);
}

static void join(struct rig *rig, int i)
{
    struct edge *e = &rig->edge[i];
    se_link_peer peer = 99;
    if (e->frames == NULL)
        assert_int_equal(se_frames_new(&e->frames, EDGE_FRAMES, SE_FRAME_MAX), 0);
    if (e->link == NULL) {
        const struct se_link_options options = link_suite_options(e->frames);
        if (se_link_connect(&e->link, link_suite_url(rig->server, (uint32_t)i), &options) < 0)
            fail_msg("%s", se_err_text());
        e->link = wrapped(e->link);
    }
    link_suite_await_joined(e->link, rig->server);
    send_in_time(e->link, SE_LINK_SERVER, written(e->frames, 7, 7));
    link_suite_expect(rig->server, SE_LINK_JOINED, &e->peer);
    assert_true(e->peer != SE_LINK_SERVER);
    struct se_frame *frame = link_suite_expect(rig->server, 0, &peer);
    assert_true(peer == e->peer);
    check(frame, 7, 7);
}

static void frames_come_in_order_both_ways(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct edge *e = &rig->edge[0];
    se_link_peer peer;
    (void)state;
    join(rig, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        send_in_time(e->link, SE_LINK_SERVER, written(e->frames, i, 132));
        if (i % 20 != 19)
            continue;
        for (uint32_t j = i - 19; j <= i; j++) {
            struct se_frame *frame = link_suite_expect(rig->server, 0, &peer);
            assert_true(peer == e->peer);
            frame->data[0] ^= 1; /* the answer differs from the question */
            send_in_time(rig->server, peer, frame);
        }
        for (uint32_t j = i - 19; j <= i; j++) {
            struct se_frame *frame = link_suite_expect(e->link, 0, &peer);
            assert_true(peer == SE_LINK_SERVER);
            frame->data[0] ^= 1;
            check(frame, j, 132);
        }
    }
    rig_free(rig);
}

static void every_size_arrives_whole(void **state)
{
    static const uint32_t around[] = { 1, 32, 64, 128, 256, 4096, 8192, 65535 };
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct edge *e = &rig->edge[0];
    se_link_peer peer;
    (void)state;
    join(rig, 0);
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        for (uint32_t len = around[i]; len < around[i] + 3 && len <= SE_FRAME_MAX; len++) {
            send_in_time(e->link, SE_LINK_SERVER, written(e->frames, len, len));
            check(link_suite_expect(rig->server, 0, &peer), len, len);
            send_in_time(rig->server, e->peer, written(rig->frames, len + 1, len));
            check(link_suite_expect(e->link, 0, &peer), len + 1, len);
        }
    }
    rig_free(rig);
}

static void a_frame_too_long_or_empty_is_refused(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct se_frames *frames;
    struct se_link *link;
    se_link_peer peer;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 4, 2000), 0);
    struct se_link_options options = link_suite_options(frames);
    options.frame_max_b = 1000;
    assert_int_equal(se_link_connect(&link, link_suite_url(rig->server, 0), &options), 0);
    link = wrapped(link);
    link_suite_await_joined(link, rig->server);
    struct se_frame *frame = written(frames, 5, 1001);
    assert_int_equal(se_link_send(link, SE_LINK_SERVER, frame), -EMSGSIZE);
    assert_non_null(strstr(se_err_text(), "1001"));
    frame->len_b = 0;
    assert_int_equal(se_link_send(link, SE_LINK_SERVER, frame), -EINVAL);
    frame->len_b = 1000;
    send_in_time(link, SE_LINK_SERVER, frame); /* it was still ours */
    link_suite_expect(rig->server, SE_LINK_JOINED, &peer);
    check(link_suite_expect(rig->server, 0, &peer), 5, 1000);
    se_link_fini(link);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
    rig_free(rig);
}

/* Until there is no room; then what was sent arrives, and there is room again. */
static void fill(struct se_link *from, se_link_peer to, struct se_frames *frames,
                 struct se_link *other)
{
    enum { LEN_B = 60000, MUCH = 1000 };
    uint32_t sent = 0;
    se_link_peer peer;
    struct se_frame *frame;
    for (;; sent++) {
        assert_true(sent < MUCH);
        frame = written(frames, sent, LEN_B);
        const int r = se_link_send(from, to, frame);
        if (r == SE_LINK_AGAIN)
            break;
        assert_int_equal(r, 0);
    }
    assert_true(sent >= (suite->room ? suite->room : 16));
    check(frame, sent, LEN_B); /* ours, as it was */
    for (uint32_t i = 0; i < sent; i++)
        check(link_suite_expect(other, 0, &peer), i, LEN_B);
    send_in_time(from, to, written(frames, 1, 1));
    check(link_suite_expect(other, 0, &peer), 1, 1);
}

static void a_full_queue_says_so_and_drains(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct edge *e = &rig->edge[0];
    (void)state;
    join(rig, 0);
    fill(e->link, SE_LINK_SERVER, e->frames, rig->server);
    fill(rig->server, e->peer, rig->frames, e->link);
    rig_free(rig);
}

static void an_edge_closes_with_frames_under_way(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct edge *e = &rig->edge[0];
    se_link_peer peer;
    (void)state;
    join(rig, 0);
    for (uint32_t i = 0; i < 10; i++)
        send_in_time(e->link, SE_LINK_SERVER, written(e->frames, i, 5000));
    se_link_close(e->link);
    struct se_frame *frame = written(e->frames, 1, 1);
    assert_int_equal(se_link_send(e->link, SE_LINK_SERVER, frame), SE_LINK_CLOSED);
    se_frame_put(frame);
    assert_int_equal(se_link_drain(e->link, DEADLINE_NS), 0);
    se_link_fini(e->link);
    e->link = NULL;
    for (uint32_t i = 0; i < 10; i++)
        check(link_suite_expect(rig->server, 0, &peer), i, 5000);
    link_suite_expect(rig->server, SE_LINK_GONE, &peer);
    assert_true(peer == e->peer);
    rig_free(rig);
}

static void a_server_closes_with_frames_under_way(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct edge *e = &rig->edge[0];
    se_link_peer peer;
    (void)state;
    join(rig, 0);
    for (uint32_t i = 0; i < 10; i++)
        send_in_time(rig->server, e->peer, written(rig->frames, i, 5000));
    se_link_close(rig->server);
    struct se_frame *frame = written(rig->frames, 1, 1);
    assert_int_equal(se_link_send(rig->server, e->peer, frame), SE_LINK_CLOSED);
    se_frame_put(frame);
    assert_int_equal(se_link_drain(rig->server, DEADLINE_NS), 0);
    se_link_fini(rig->server);
    rig->server = NULL;
    /* What comes is the beginning of what was sent, and GONE comes last. */
    const uint64_t end = se_clock_ns() + DEADLINE_NS;
    uint32_t n = 0;
    int r;
    while ((r = se_link_recv(e->link, &peer, &frame)) != SE_LINK_GONE && se_clock_ns() < end) {
        if (r == 0)
            check(frame, n++, 5000);
        else
            assert_int_equal(r, SE_LINK_AGAIN);
        if (r != 0)
            se_link_wait(e->link, DEADLINE_NS);
    }
    assert_int_equal(r, SE_LINK_GONE);
    assert_true(n == 10 || (n < 10 && !suite->farewell));
    rig_free(rig);
}

static void everything_ends_with_frames_under_way(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    (void)state;
    join(rig, 0);
    join(rig, 1);
    for (uint32_t i = 0; i < 10; i++) {
        send_in_time(rig->edge[0].link, SE_LINK_SERVER, written(rig->edge[0].frames, i, 5000));
        send_in_time(rig->server, rig->edge[1].peer, written(rig->frames, i, 5000));
    }
    rig_free(rig);
}

static void an_edge_leaves_and_another_comes(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct edge *e = &rig->edge[0];
    se_link_peer peer;
    (void)state;
    join(rig, 0);
    const se_link_peer old = e->peer;
    se_link_fini(e->link);
    e->link = NULL;
    link_suite_expect(rig->server, SE_LINK_GONE, &peer);
    assert_true(peer == old);
    struct se_frame *frame = written(rig->frames, 1, 1);
    assert_int_equal(se_link_send(rig->server, old, frame), SE_LINK_GONE);
    join(rig, 0);
    assert_true(e->peer != old);
    assert_int_equal(se_link_send(rig->server, old, frame), SE_LINK_GONE);
    send_in_time(rig->server, e->peer, frame);
    check(link_suite_expect(e->link, 0, &peer), 1, 1);
    rig_free(rig);
}

static void an_edge_finds_the_server_that_came_back(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct edge *e = &rig->edge[0];
    char url[TEXT_B];
    se_link_peer peer;
    (void)state;
    join(rig, 0);
    snprintf(url, sizeof(url), "%s", rig->url);
    for (int i = 0; i < 2; i++) {
        se_link_fini(rig->server);
        link_suite_expect(e->link, SE_LINK_GONE, &peer);
        struct se_frame *frame = written(e->frames, 1, 1);
        assert_int_equal(se_link_send(e->link, SE_LINK_SERVER, frame), SE_LINK_GONE);
        se_frame_put(frame);
        listen_again(rig, url);
        join(rig, 0);
        send_in_time(rig->server, e->peer, written(rig->frames, 2, 2));
        check(link_suite_expect(e->link, 0, &peer), 2, 2);
    }
    rig_free(rig);
}

static void a_dropped_peer_is_not_heard_of_again(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    se_link_peer peer;
    (void)state;
    join(rig, 0);
    join(rig, 1);
    struct edge *bad = &rig->edge[0], *good = &rig->edge[1];
    send_in_time(bad->link, SE_LINK_SERVER, written(bad->frames, 1, 1));
    se_link_drop(rig->server, bad->peer);
    se_link_drop(rig->server, bad->peer);
    struct se_frame *frame = written(rig->frames, 1, 1);
    assert_int_equal(se_link_send(rig->server, bad->peer, frame), SE_LINK_GONE);
    se_frame_put(frame);
    frame = written(bad->frames, 3, 3);
    if (se_link_send(bad->link, SE_LINK_SERVER, frame) != 0)
        se_frame_put(frame);
    se_link_fini(bad->link);
    bad->link = NULL;
    send_in_time(good->link, SE_LINK_SERVER, written(good->frames, 4, 4));
    check(link_suite_expect(rig->server, 0, &peer), 4, 4);
    assert_true(peer == good->peer);
    rig_free(rig);
}

static void fifty_edges_each_get_their_own(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    se_link_peer peer;
    (void)state;
    for (int i = 0; i < EDGES_MAX; i++)
        join(rig, i);
    for (uint32_t turn = 0; turn < 5; turn++) {
        for (uint32_t i = 0; i < EDGES_MAX; i++)
            send_in_time(rig->edge[i].link, SE_LINK_SERVER,
                         written(rig->edge[i].frames, i * 10 + turn, 40 + i));
    }
    for (uint32_t n = 0; n < 5 * EDGES_MAX; n++) {
        struct se_frame *frame = link_suite_expect(rig->server, 0, &peer);
        send_in_time(rig->server, peer, frame);
    }
    for (uint32_t i = 0; i < EDGES_MAX; i++) {
        for (uint32_t turn = 0; turn < 5; turn++)
            check(link_suite_expect(rig->edge[i].link, 0, &peer), i * 10 + turn, 40 + i);
    }
    rig_free(rig);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *wake(void *link)
{
    se_link_wake(link);
    return NULL;
}

/* Waits until nothing is left to look at and the time is up; what the last wait computed. */
static uint64_t idle_cpu_ns(struct se_link *link)
{
    const uint64_t end = se_clock_ns() + DEADLINE_NS;
    struct se_frame *frame;
    se_link_peer peer;
    while (se_clock_ns() < end) {
        assert_int_equal(se_link_recv(link, &peer, &frame), SE_LINK_AGAIN);
        const uint64_t before = cpu_ns();
        if (se_link_wait(link, 200000000 + suite->spin_ns) == SE_LINK_AGAIN)
            return cpu_ns() - before;
    }
    fail_msg("%s: wakes for nothing, again and again", suite->name);
    return 0;
}

static void waiting_is_idle_and_can_be_ended(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    pthread_t thread;
    (void)state;
    join(rig, 0);
    struct se_link *end[] = { rig->server, rig->edge[0].link };
    for (int i = 0; i < 2; i++) {
        assert_true(idle_cpu_ns(end[i]) < 50000000);
        se_link_wake(end[i]); /* before the wait */
        assert_int_equal(se_link_wait(end[i], DEADLINE_NS), 0);
        assert_int_equal(pthread_create(&thread, NULL, wake, end[i]), 0);
        assert_int_equal(se_link_wait(end[i], DEADLINE_NS), 0); /* during, or again before */
        pthread_join(thread, NULL);
    }
    rig_free(rig);
}

/* With two frames to receive into: the link says that it has none, and loses nothing. */
static void a_pool_run_dry_loses_nothing(void **state)
{
    struct rig *rig = rig_new(2);
    struct edge *e = &rig->edge[0];
    struct se_frame *held[2] = { NULL, NULL }, *frame = NULL;
    const uint64_t end = se_clock_ns() + DEADLINE_NS;
    se_link_peer peer;
    (void)state;
    join(rig, 0);
    for (uint32_t i = 0; i < 6; i++)
        send_in_time(e->link, SE_LINK_SERVER, written(e->frames, i, 100));
    for (uint32_t i = 0; i < 6;) {
        const int r = se_link_recv(rig->server, &peer, &frame);
        assert_true(se_clock_ns() < end);
        if (r == SE_LINK_AGAIN) {
            se_link_wait(rig->server, 1000000);
            continue;
        }
        if (r == SE_LINK_DRY) {
            assert_non_null(held[i % 2]);
            check(held[i % 2], i - 2, 100);
            held[i % 2] = NULL;
            continue;
        }
        assert_int_equal(r, 0);
        if (held[i % 2] != NULL)
            check(held[i % 2], i - 2, 100);
        held[i++ % 2] = frame;
    }
    check(held[0], 4, 100);
    check(held[1], 5, 100);
    rig_free(rig);
}

static void a_server_lets_in_no_more_than_it_has_room_for(void **state)
{
    struct rig *rig = rig_new(SERVER_FRAMES);
    struct se_frames *frames[2];
    struct se_link *server, *edge[2];
    se_link_peer peer;
    (void)state;
    se_link_fini(rig->server);
    struct se_link_options options = link_suite_options(rig->frames);
    options.peers_max = 1;
    assert_int_equal(se_link_listen(&server, suite->url, &options), 0);
    rig->server = server = wrapped(server);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(se_frames_new(&frames[i], 4, SE_FRAME_MAX), 0);
        options = link_suite_options(frames[i]);
        assert_int_equal(se_link_connect(&edge[i], link_suite_url(server, (uint32_t)i), &options),
                         0);
        edge[i] = wrapped(edge[i]);
        if (i == 1 && suite->refuses) {
            assert_false(joins(edge[1], server, se_clock_ns() + 100000000));
            continue;
        }
        link_suite_await_joined(edge[i], server);
        send_in_time(edge[i], SE_LINK_SERVER, written(frames[i], 9, 9));
        if (i == 0) {
            link_suite_expect(server, SE_LINK_JOINED, &peer);
            check(link_suite_expect(server, 0, &peer), 9, 9);
        }
    }
    send_in_time(edge[0], SE_LINK_SERVER, written(frames[0], 3, 3));
    check(link_suite_expect(server, 0, &peer), 3, 3);
    for (int i = 0; i < 2; i++)
        se_link_fini(edge[i]);
    link_suite_expect(server, SE_LINK_GONE, &peer);
    rig_free(rig);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(se_frames_out(frames[i]), 0);
        se_frames_free(frames[i]);
    }
}

int link_suite_run(const struct link_suite *of)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_in_order_both_ways),
        cmocka_unit_test(every_size_arrives_whole),
        cmocka_unit_test(a_frame_too_long_or_empty_is_refused),
        cmocka_unit_test(a_full_queue_says_so_and_drains),
        cmocka_unit_test(an_edge_closes_with_frames_under_way),
        cmocka_unit_test(a_server_closes_with_frames_under_way),
        cmocka_unit_test(everything_ends_with_frames_under_way),
        cmocka_unit_test(an_edge_leaves_and_another_comes),
        cmocka_unit_test(an_edge_finds_the_server_that_came_back),
        cmocka_unit_test(a_dropped_peer_is_not_heard_of_again),
        cmocka_unit_test(fifty_edges_each_get_their_own),
        cmocka_unit_test(waiting_is_idle_and_can_be_ended),
        cmocka_unit_test(a_pool_run_dry_loses_nothing),
        cmocka_unit_test(a_server_lets_in_no_more_than_it_has_room_for),
    };
    suite = of;
    const int failed = cmocka_run_group_tests_name(of->name, tests, NULL, NULL);
    suite = NULL;
    return failed;
}
