/* SPDX-License-Identifier: Apache-2.0 */
/* Links over ZeroMQ with keys: who gets in, what the others are told, and what goes over the wire. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "tests/transport/keys.h"
#include "tests/transport/link_suite.h"
#include "tests/transport/relay.h"
#include "transport/wire.h"

#define DEADLINE_NS 20000000000u

static struct keys keys;
static struct se_frames *frames;

static int begin(void **state)
{
    (void)state;
    keys_init(&keys);
    return se_frames_new(&frames, 64, 1000);
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
    keys_fini(&keys);
    return 0;
}

static struct se_link *listening(struct se_guard *guard)
{
    struct se_link_options options = link_suite_options(frames);
    struct se_link *link = NULL;
    options.guard = guard;
    if (se_link_listen(&link, "tcp://127.0.0.1:0", &options) < 0)
        fail_msg("%s", se_err_text());
    return link;
}

static struct se_link *connecting(const char *url, struct se_guard *guard)
{
    struct se_link_options options = link_suite_options(frames);
    struct se_link *link = NULL;
    options.guard = guard;
    if (se_link_connect(&link, url, &options) < 0)
        fail_msg("%s", se_err_text());
    return link;
}

static void send_byte(struct se_link *link, se_link_peer to, int byte)
{
    struct se_frame *frame = se_frame_get(frames);
    int r;
    assert_non_null(frame);
    frame->len_b = 1;
    frame->data[0] = (unsigned char)byte;
    while ((r = se_link_send(link, to, frame)) == SE_LINK_AGAIN)
        se_link_wait(link, 1000000);
    assert_int_equal(r, 0);
}

static void expect_byte(struct se_link *link, se_link_peer from, int byte)
{
    se_link_peer peer;
    struct se_frame *frame = link_suite_expect(link, 0, &peer);
    assert_true(peer == from);
    assert_int_equal(frame->data[0], byte);
    se_frame_put(frame);
}

static se_link_peer joins(struct se_link *server, struct se_link *edge)
{
    se_link_peer peer;
    link_suite_await_joined(edge, server);
    send_byte(edge, SE_LINK_SERVER, 7);
    link_suite_expect(server, SE_LINK_JOINED, &peer);
    expect_byte(server, peer, 7);
    return peer;
}

/* Neither hears of the other, and the edge says why. */
static void is_told(struct se_link *server, struct se_link *edge, const char *why)
{
    const uint64_t limit = se_clock_ns() + DEADLINE_NS;
    struct se_frame *frame;
    se_link_peer peer;
    for (;;) {
        assert_int_equal(se_link_recv(server, &peer, &frame), SE_LINK_AGAIN);
        assert_int_equal(se_link_recv(edge, &peer, &frame), SE_LINK_AGAIN);
        const char *trouble = se_link_trouble(edge);
        if (trouble != NULL && strstr(trouble, why) != NULL)
            return;
        if (se_clock_ns() > limit)
            fail_msg("'%s' is not '%s'", trouble ? trouble : "", why);
        se_link_wait(server, 1000000);
        se_link_wait(edge, 1000000);
    }
}

static void who_is_in_the_list_comes_in_with_his_key(void **state)
{
    struct se_link *server = listening(&keys.server);
    struct se_link *edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    se_link_peer gone;
    (void)state;
    const se_link_peer peer = joins(server, edge);
    assert_true(se_key_equal(se_link_key(server, peer), &keys.pair[KEYS_ANN].open));
    assert_null(se_link_key(server, peer + 1));
    assert_null(se_link_key(edge, SE_LINK_SERVER));
    send_byte(server, peer, 9);
    expect_byte(edge, SE_LINK_SERVER, 9);
    se_link_fini(edge);
    link_suite_expect(server, SE_LINK_GONE, &gone);
    assert_true(gone == peer);
    assert_null(se_link_key(server, peer));
    for (int i = 0; i < SE_GUARD_REFUSALS; i++)
        assert_int_equal(keys.server.refused[i], 0);
    se_link_fini(server);
}

static void who_is_not_is_told_so(void **state)
{
    char own[SE_KEY_TEXT_B];
    struct se_link *server = listening(&keys.server);
    struct se_link *edge = connecting(se_link_url(server), &keys.edge[KEYS_STRANGER]);
    (void)state;
    is_told(server, edge, "not in its list of keys");
    assert_non_null(
        strstr(se_link_trouble(edge), se_key_text(&keys.pair[KEYS_STRANGER].open, own)));
    assert_true(keys.server.refused[SE_GUARD_UNKNOWN] >= 1);
    se_link_fini(edge);
    edge = connecting(se_link_url(server), &keys.edge[KEYS_BOB]);
    is_told(server, edge, "the server refuses this key");
    assert_true(keys.server.refused[SE_GUARD_REVOKED] >= 1);
    se_link_fini(edge);
    keys.server.admins_only = true;
    edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    is_told(server, edge, "the server refuses this key");
    assert_true(keys.server.refused[SE_GUARD_ADMIN] >= 1);
    se_link_fini(edge);
    edge = connecting(se_link_url(server), &keys.edge[KEYS_SERVER]);
    joins(server, edge);
    se_link_fini(edge);
    se_link_fini(server);
}

static void another_server_than_the_expected_one_is_no_server(void **state)
{
    struct se_link *server = listening(&keys.server);
    (void)state;
    keys.edge[KEYS_ANN].server = keys.pair[KEYS_OTHER_SERVER].open;
    struct se_link *edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    is_told(server, edge, "is the server's key right");
    while (keys.server.refused[SE_GUARD_FORGED] == 0)
        is_told(server, edge, "is the server's key right");
    se_link_fini(edge);
    se_link_fini(server);
}

static void keys_on_one_side_alone_do_not_hang(void **state)
{
    struct se_link *server = listening(&keys.server);
    struct se_link *edge = connecting(se_link_url(server), NULL);
    (void)state;
    is_told(server, edge, "this edge has none");
    while (keys.server.refused[SE_GUARD_FORGED] == 0)
        is_told(server, edge, "this edge has none");
    se_link_fini(edge);
    se_link_fini(server);
    server = listening(NULL);
    edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    is_told(server, edge, "does the server have keys?");
    se_link_fini(edge);
    se_link_fini(server);
}

static void who_is_let_in_later_gets_in(void **state)
{
    struct se_link *server = listening(&keys.server);
    struct se_link *edge = connecting(se_link_url(server), &keys.edge[KEYS_BOB]);
    se_link_peer peer;
    (void)state;
    is_told(server, edge, "revoked");
    keys_ring(&keys, "bob bob\n");
    peer = joins(server, edge);
    assert_true(se_key_equal(se_link_key(server, peer), &keys.pair[KEYS_BOB].open));
    assert_null(se_link_trouble(edge));
    /* Who is in stays in, until it leaves. */
    keys_ring(&keys, "ann ann\n");
    send_byte(edge, SE_LINK_SERVER, 8);
    expect_byte(server, peer, 8);
    se_link_fini(edge);
    link_suite_expect(server, SE_LINK_GONE, &peer);
    edge = connecting(se_link_url(server), &keys.edge[KEYS_BOB]);
    is_told(server, edge, "not in its list");
    se_link_fini(edge);
    se_link_fini(server);
}

/* A server without keys is there first, and then one with them, and the other way about. */
static void an_edge_outlives_a_server_that_was_wrong(void **state)
{
    char url[128];
    struct se_link *server = listening(NULL);
    struct se_link *edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    struct se_link_options options = link_suite_options(frames);
    (void)state;
    snprintf(url, sizeof(url), "%s", se_link_url(server));
    is_told(server, edge, "does the server have keys?");
    se_link_fini(server);
    options.guard = &keys.server;
    assert_int_equal(se_link_listen(&server, url, &options), 0);
    joins(server, edge);
    se_link_fini(edge);
    edge = connecting(url, NULL);
    se_link_peer peer;
    link_suite_expect(server, SE_LINK_GONE, &peer);
    is_told(server, edge, "this edge has none");
    se_link_fini(server);
    options.guard = NULL;
    assert_int_equal(se_link_listen(&server, url, &options), 0);
    joins(server, edge);
    se_link_fini(edge);
    se_link_fini(server);
}

/* It has shaken hands, and no more: nobody hears of it. */
static void who_says_nothing_is_not_heard_of(void **state)
{
    struct se_link *server = listening(&keys.server);
    struct se_link *edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    struct se_frame *frame;
    se_link_peer peer;
    (void)state;
    link_suite_await_joined(edge, server);
    assert_int_equal(se_link_recv(server, &peer, &frame), SE_LINK_AGAIN);
    se_link_fini(edge);
    edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    joins(server, edge);
    se_link_fini(edge);
    se_link_fini(server);
}

static void the_refused_do_not_hinder_the_good(void **state)
{
    enum { MANY = 30, TURNS = 200 };
    struct se_link *server = listening(&keys.server), *bad[MANY];
    struct se_link *edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    struct se_frame *frame;
    se_link_peer any;
    (void)state;
    const se_link_peer peer = joins(server, edge);
    for (int i = 0; i < MANY; i++)
        bad[i] = connecting(se_link_url(server), i % 3 == 0   ? NULL
                                                 : i % 3 == 1 ? &keys.edge[KEYS_BOB]
                                                              : &keys.edge[KEYS_STRANGER]);
    for (int i = 0; i < TURNS || keys.server.refused[SE_GUARD_UNKNOWN] < 2 * MANY; i++) {
        send_byte(edge, SE_LINK_SERVER, i);
        expect_byte(server, peer, i & 255);
        send_byte(server, peer, i);
        expect_byte(edge, SE_LINK_SERVER, i & 255);
        for (int k = 0; k < MANY; k++)
            assert_int_equal(se_link_recv(bad[k], &any, &frame), SE_LINK_AGAIN);
        assert_true(i < 100000);
    }
    /* Who comes now gets in all the same. */
    struct se_link *late = connecting(se_link_url(server), &keys.edge[KEYS_SERVER]);
    joins(server, late);
    se_link_fini(late);
    for (int i = 0; i < MANY; i++)
        se_link_fini(bad[i]);
    se_link_fini(edge);
    se_link_fini(server);
}

/* As much as there is room for. */
static void fill(struct se_link *edge)
{
    struct se_frame *frame;
    int r = 0;
    while (r == 0 && (frame = se_frame_get(frames)) != NULL) {
        frame->len_b = frame->cap_b;
        memset(frame->data, 42, frame->len_b);
        if ((r = se_link_send(edge, SE_LINK_SERVER, frame)) != 0)
            se_frame_put(frame);
    }
}

/* A newcomer comes in although the server never finds that there is nothing to do. */
static void a_busy_server_lets_others_in(void **state)
{
    const uint64_t limit = se_clock_ns() + DEADLINE_NS;
    struct se_link *server = listening(&keys.server), *late = NULL;
    struct se_link *edge = connecting(se_link_url(server), &keys.edge[KEYS_ANN]);
    struct se_frame *frame;
    se_link_peer peer, any;
    (void)state;
    joins(server, edge);
    fill(edge);
    for (int r = SE_LINK_AGAIN; r != SE_LINK_JOINED;) {
        fill(edge);
        se_frame_put(link_suite_expect(server, 0, &peer));
        if (late == NULL)
            late = connecting(se_link_url(server), &keys.edge[KEYS_SERVER]);
        r = se_link_recv(late, &any, &frame);
        assert_true(se_clock_ns() < limit);
    }
    se_link_fini(late);
    se_link_fini(edge);
    se_link_fini(server);
}

/* ---- what goes over the wire */

static bool is_in(const unsigned char *all, size_t len_b, const void *part, size_t part_b)
{
    return memmem(all, len_b, part, part_b) != NULL;
}

/* 24 ids, there and back through a relay that keeps all. True when the ids are in it. */
static bool are_ids_seen(struct se_guard *of_server, struct se_guard *of_edge)
{
    enum { N = 24, BITS = 24 };
    uint32_t id[N];
    char url[64];
    uint16_t port;
    struct se_link *server = listening(of_server);
    struct relay *relay = relay_new((uint16_t)atoi(strrchr(se_link_url(server), ':') + 1), &port);
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", port);
    struct se_link *edge = connecting(url, of_edge);
    const se_link_peer peer = joins(server, edge);
    for (uint32_t i = 0; i < N; i++)
        id[i] = 0x5a0000 + i * 37;
    const struct se_wire message = {
        .type = SE_WIRE_PREFILL,
        .session = 5,
        .prefill = { .base = 0, .total = N, .n = N, .id_bits = BITS, .id = id },
    };
    size_t len_b;
    struct se_frame *frame = se_frame_get(frames);
    assert_int_equal(se_wire_encode(&message, frame->data, frame->cap_b, &len_b), 0);
    frame->len_b = (uint32_t)len_b;
    unsigned char kept[1000];
    memcpy(kept, frame->data, len_b);
    assert_int_equal(se_link_send(edge, SE_LINK_SERVER, frame), 0);
    se_link_peer from;
    frame = link_suite_expect(server, 0, &from);
    assert_true(from == peer);
    assert_int_equal(frame->len_b, len_b);
    assert_memory_equal(frame->data, kept, len_b);
    assert_int_equal(se_link_send(server, peer, frame), 0);
    se_frame_put(link_suite_expect(edge, 0, &from));
    se_link_fini(edge);
    se_link_fini(server);
    size_t all_b;
    unsigned char *all = relay_free(relay, &all_b);
    assert_true(all_b > 2 * len_b);
    const size_t ids_b = N * BITS / 8, at = len_b - ids_b;
    const bool whole = is_in(all, all_b, kept, len_b);
    int parts = 0;
    for (size_t i = 0; i + 6 <= ids_b; i += 3) /* any two ids beside each other */
        parts += is_in(all, all_b, kept + at + i, 6);
    assert_true(whole ? parts == N - 1 : parts == 0);
    free(all);
    return whole;
}

static void ids_are_not_seen_on_the_wire(void **state)
{
    (void)state;
    assert_true(are_ids_seen(NULL, NULL));
    assert_false(are_ids_seen(&keys.server, &keys.edge[KEYS_ANN]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_in_the_list_comes_in_with_his_key, begin, end),
        cmocka_unit_test_setup_teardown(who_is_not_is_told_so, begin, end),
        cmocka_unit_test_setup_teardown(another_server_than_the_expected_one_is_no_server, begin,
                                        end),
        cmocka_unit_test_setup_teardown(keys_on_one_side_alone_do_not_hang, begin, end),
        cmocka_unit_test_setup_teardown(who_is_let_in_later_gets_in, begin, end),
        cmocka_unit_test_setup_teardown(an_edge_outlives_a_server_that_was_wrong, begin, end),
        cmocka_unit_test_setup_teardown(who_says_nothing_is_not_heard_of, begin, end),
        cmocka_unit_test_setup_teardown(the_refused_do_not_hinder_the_good, begin, end),
        cmocka_unit_test_setup_teardown(a_busy_server_lets_others_in, begin, end),
        cmocka_unit_test_setup_teardown(ids_are_not_seen_on_the_wire, begin, end),
    };
    keys_init(&keys); /* or the end, with words */
    keys_fini(&keys);
    return cmocka_run_group_tests_name("zmq with keys", tests, NULL, NULL) != 0;
}
