/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of links with keys: who gets in, and peers that say what they should not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "tests/transport/keys.h"
#include "tests/transport/link_suite.h"
#include "transport/proof.h"
#include "transport/proof_words.h"
#include "transport/wire.h"

#define DEADLINE_NS 20000000000u

static char folder[] = "/tmp/specedge-test-proof-XXXXXX", shm_url[sizeof(folder) + 16];
static const char *url;
static struct keys keys;
static struct se_frames *frames;
static struct se_link *server;

static struct se_link_options options_with(struct se_guard *guard)
{
    struct se_link_options options = link_suite_options(frames);
    options.guard = guard;
    return options;
}

static void listen_with(struct se_guard *guard, uint64_t silence_ns)
{
    struct se_link_options options = options_with(guard);
    options.silence_ns = silence_ns;
    if (se_link_listen(&server, url, &options) < 0)
        fail_msg("%s", se_err_text());
}

static struct se_link *connecting(struct se_guard *guard)
{
    const struct se_link_options options = options_with(guard);
    struct se_link *link = NULL;
    if (se_link_connect(&link, url, &options) < 0)
        fail_msg("%s", se_err_text());
    return link;
}

static int begin(void **state)
{
    (void)state;
    keys_init(&keys);
    if (se_frames_new(&frames, 64, 1000) < 0)
        return -1;
    listen_with(&keys.server, 6000000000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    se_link_fini(server);
    server = NULL;
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
    keys_fini(&keys);
    return 0;
}

static void listen_again(struct se_guard *guard, uint64_t silence_ns)
{
    se_link_fini(server);
    listen_with(guard, silence_ns);
}

static struct se_frame *framed(const void *bytes, size_t len_b)
{
    struct se_frame *frame = se_frame_get(frames);
    assert_non_null(frame);
    memcpy(frame->data, bytes, len_b);
    frame->len_b = (uint32_t)len_b;
    return frame;
}

static void send_byte(struct se_link *link, se_link_peer to, char byte)
{
    assert_int_equal(se_link_send(link, to, framed(&byte, 1)), 0);
}

static void expect_byte(struct se_link *link, se_link_peer from, char byte)
{
    se_link_peer peer;
    struct se_frame *frame = link_suite_expect(link, 0, &peer);
    assert_true(peer == from);
    assert_int_equal(frame->data[0], byte);
    se_frame_put(frame);
}

static se_link_peer joins(struct se_link *edge)
{
    se_link_peer peer;
    link_suite_await_joined(edge, server);
    send_byte(edge, SE_LINK_SERVER, 7);
    link_suite_expect(server, SE_LINK_JOINED, &peer);
    expect_byte(server, peer, 7);
    return peer;
}

/* What the other one, which has no guard, hears next; nobody is heard of at the one with a guard. */
static int hears(struct se_link *raw, struct se_link *guarded, se_link_peer *from,
                 struct se_frame **frame)
{
    const uint64_t limit = se_clock_ns() + DEADLINE_NS;
    struct se_frame *none;
    se_link_peer peer;
    int r;
    while ((r = se_link_recv(raw, from, frame)) == SE_LINK_AGAIN) {
        assert_int_equal(se_link_recv(guarded, &peer, &none), SE_LINK_AGAIN);
        se_link_wait(raw, 1000000);
        assert_true(se_clock_ns() < limit);
    }
    return r;
}

static struct se_frame *heard(struct se_link *raw, enum se_proof_word word)
{
    struct se_frame *frame = NULL;
    se_link_peer from;
    assert_int_equal(hears(raw, server, &from, &frame), 0);
    assert_int_equal(se_proof_word_of(frame), word);
    return frame;
}

static void ends(struct se_link *raw)
{
    struct se_frame *frame;
    se_link_peer from;
    assert_int_equal(hears(raw, server, &from, &frame), SE_LINK_GONE);
}

/* A peer of our making that has got its CHALLENGE. */
static struct se_link *challenged(struct se_proof_talk *talk)
{
    struct se_link *raw = connecting(NULL);
    struct se_frame *frame;
    se_link_peer from;
    assert_int_equal(hears(raw, server, &from, &frame), SE_LINK_JOINED);
    frame = heard(raw, SE_PROOF_CHALLENGE);
    talk->server = keys.pair[KEYS_SERVER].open;
    se_proof_challenged(frame, talk);
    se_frame_put(frame);
    return raw;
}

static void is_told(struct se_link *edge, const char *why)
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

/* ---- edges as they should be */

static void who_is_in_the_list_comes_in_with_his_key(void **state)
{
    struct se_link *edge = connecting(&keys.edge[KEYS_ANN]);
    struct se_link *other = connecting(&keys.edge[KEYS_SERVER]);
    se_link_peer gone;
    (void)state;
    const se_link_peer peer = joins(edge), second = joins(other);
    assert_true(se_key_equal(se_link_key(server, peer), &keys.pair[KEYS_ANN].open));
    assert_true(se_key_equal(se_link_key(server, second), &keys.pair[KEYS_SERVER].open));
    assert_null(se_link_key(server, peer + 1000));
    send_byte(server, peer, 9);
    expect_byte(edge, SE_LINK_SERVER, 9);
    se_link_fini(edge);
    link_suite_expect(server, SE_LINK_GONE, &gone);
    assert_true(gone == peer);
    assert_null(se_link_key(server, peer));
    se_link_drop(server, second);
    assert_null(se_link_key(server, second));
    for (int i = 0; i < SE_GUARD_REFUSALS; i++)
        assert_int_equal(keys.server.refused[i], 0);
    link_suite_expect(other, SE_LINK_GONE, &gone);
    joins(other); /* by itself, and proves its key again */
    se_link_fini(other);
}

static void who_is_not_is_told_so(void **state)
{
    struct se_link *edge = connecting(&keys.edge[KEYS_STRANGER]);
    (void)state;
    is_told(edge, "refuses this key");
    assert_non_null(strstr(se_link_trouble(edge), "not in the list of keys"));
    assert_true(keys.server.refused[SE_GUARD_UNKNOWN] >= 1);
    se_link_fini(edge);
    edge = connecting(&keys.edge[KEYS_BOB]);
    is_told(edge, "it is revoked");
    assert_true(keys.server.refused[SE_GUARD_REVOKED] >= 1);
    se_link_fini(edge);
    keys.server.admins_only = true;
    edge = connecting(&keys.edge[KEYS_ANN]);
    is_told(edge, "no admin");
    assert_true(keys.server.refused[SE_GUARD_ADMIN] >= 1);
    se_link_fini(edge);
    edge = connecting(&keys.edge[KEYS_SERVER]);
    joins(edge);
    se_link_fini(edge);
}

static void another_server_than_the_expected_one_is_no_server(void **state)
{
    (void)state;
    keys.edge[KEYS_ANN].server = keys.pair[KEYS_OTHER_SERVER].open;
    struct se_link *edge = connecting(&keys.edge[KEYS_ANN]);
    is_told(edge, "is the server's key");
    assert_true(keys.server.refused[SE_GUARD_FORGED] >= 1);
    se_link_fini(edge);
}

static void another_list_counts_for_who_comes_then(void **state)
{
    struct se_link *edge = connecting(&keys.edge[KEYS_BOB]);
    se_link_peer peer;
    (void)state;
    is_told(edge, "revoked");
    keys_ring(&keys, "bob bob\n");
    peer = joins(edge);
    assert_null(se_link_trouble(edge));
    keys_ring(&keys, "ann ann\n");
    send_byte(edge, SE_LINK_SERVER, 8); /* who is in stays in */
    expect_byte(server, peer, 8);
    se_link_drop(server, peer);
    link_suite_expect(edge, SE_LINK_GONE, &peer);
    is_told(edge, "not in the list");
    se_link_fini(edge);
}

static void the_refused_knock_no_oftener_than_they_may(void **state)
{
    struct se_link_options options = options_with(&keys.edge[KEYS_STRANGER]);
    const uint64_t from = se_clock_ns();
    struct se_link *edge = NULL;
    struct se_frame *frame;
    se_link_peer peer;
    (void)state;
    options.retry_ns = 1000000;
    options.retry_max_ns = 50000000;
    assert_int_equal(se_link_connect(&edge, url, &options), 0);
    while (se_clock_ns() - from < 220000000) {
        assert_int_equal(se_link_recv(server, &peer, &frame), SE_LINK_AGAIN);
        assert_int_equal(se_link_recv(edge, &peer, &frame), SE_LINK_AGAIN);
        se_link_wait(edge, 1000000);
    }
    const uint64_t most = (se_clock_ns() - from) / 50000000 + 1;
    assert_in_range(keys.server.refused[SE_GUARD_UNKNOWN], 2, most);
    se_link_wake(edge); /* wherever it is */
    assert_int_equal(se_link_wait(edge, DEADLINE_NS), 0);
    se_link_fini(edge);
}

/* ---- peers of our making */

static void a_forged_signature_is_refused(void **state)
{
    struct se_proof_talk talk;
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct se_link *raw = challenged(&talk);
        struct se_frame *frame = se_frame_get(frames);
        /* Another's key with a signature of one's own; a bit that flipped; another server's. */
        if (kind == 2)
            talk.server = keys.pair[KEYS_OTHER_SERVER].open;
        assert_int_equal(se_proof_prove(frame, &talk, &keys.pair[KEYS_STRANGER]), 0);
        if (kind == 0)
            memcpy(frame->data + 36, keys.pair[KEYS_ANN].open.b, SE_KEY_B);
        if (kind == 1)
            frame->data[100] ^= 4;
        assert_int_equal(se_link_send(raw, SE_LINK_SERVER, frame), 0);
        frame = heard(raw, SE_PROOF_REFUSE);
        assert_int_equal(se_proof_refused(frame), SE_GUARD_FORGED);
        se_frame_put(frame);
        assert_int_equal(keys.server.refused[SE_GUARD_FORGED], kind + 1);
        assert_int_equal(keys.server.refused[SE_GUARD_UNKNOWN], 0);
        se_link_fini(raw);
    }
}

static void what_was_said_once_is_not_taken_again(void **state)
{
    struct se_proof_talk talk;
    unsigned char kept[SE_PROOF_FRAME_B];
    se_link_peer peer;
    (void)state;
    struct se_link *raw = challenged(&talk);
    struct se_frame *frame = se_frame_get(frames);
    assert_int_equal(se_proof_prove(frame, &talk, &keys.pair[KEYS_ANN]), 0);
    memcpy(kept, frame->data, sizeof(kept));
    assert_int_equal(se_link_send(raw, SE_LINK_SERVER, frame), 0);
    link_suite_expect(server, SE_LINK_JOINED, &peer); /* it was good */
    frame = heard(raw, SE_PROOF_ACCEPT);
    assert_true(se_proof_accepted(frame, &talk));
    se_frame_put(frame);
    struct se_link *again = challenged(&talk);
    assert_int_equal(se_link_send(again, SE_LINK_SERVER, framed(kept, sizeof(kept))), 0);
    frame = heard(again, SE_PROOF_REFUSE);
    assert_int_equal(se_proof_refused(frame), SE_GUARD_FORGED);
    se_frame_put(frame);
    /* Who was refused has had his say. */
    assert_int_equal(se_link_send(again, SE_LINK_SERVER, framed(kept, sizeof(kept))), 0);
    ends(again);
    se_link_fini(again);
    /* And behind a proof it is a frame like any other. */
    assert_int_equal(se_link_send(raw, SE_LINK_SERVER, framed(kept, sizeof(kept))), 0);
    frame = link_suite_expect(server, 0, &peer);
    assert_int_equal(frame->len_b, sizeof(kept));
    se_frame_put(frame);
    se_link_fini(raw);
    link_suite_expect(server, SE_LINK_GONE, &peer);
}

static void who_says_anything_else_is_dropped(void **state)
{
    static const char *const words[] = {
        "x", "SE", "KY\1\2", "KY\1\1", "KY\2\2", "GET / HTTP/1.1"
    };
    struct se_proof_talk talk;
    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct se_link *raw = challenged(&talk);
        assert_int_equal(se_link_send(raw, SE_LINK_SERVER, framed(words[i], strlen(words[i]))), 0);
        ends(raw);
        assert_int_equal(keys.server.refused[SE_GUARD_FORGED], i + 1);
        se_link_fini(raw);
    }
}

/* It does not know what it was asked. */
static void an_edge_without_a_key_is_told_in_its_own_words(void **state)
{
    struct se_proof_talk talk;
    struct se_wire message = { .type = SE_WIRE_PING, .session = 3 };
    size_t len_b;
    (void)state;
    struct se_link *raw = challenged(&talk);
    struct se_frame *frame = se_frame_get(frames);
    assert_int_equal(se_wire_encode(&message, frame->data, frame->cap_b, &len_b), 0);
    frame->len_b = (uint32_t)len_b;
    assert_int_equal(se_link_send(raw, SE_LINK_SERVER, frame), 0);
    frame = heard(raw, SE_PROOF_NONE);
    assert_int_equal(se_wire_decode(frame->data, frame->len_b, NULL, &message), 0);
    assert_int_equal(message.type, SE_WIRE_ERROR);
    assert_int_equal(message.error.code, SE_WIRE_E_DENIED);
    assert_int_equal(message.error.about, SE_WIRE_PING);
    assert_non_null(strstr(message.error.text, "key"));
    se_frame_put(frame);
    se_link_fini(raw);
}

static void who_says_nothing_is_dropped_in_time(void **state)
{
    struct se_proof_talk talk;
    (void)state;
    listen_again(&keys.server, 60000000);
    struct se_link *raw = challenged(&talk);
    const uint64_t from = se_clock_ns();
    ends(raw);
    assert_true(se_clock_ns() - from > 30000000);
    se_link_fini(raw);
}

/* The wait of a server that nobody else speaks to ends when a silent one's time is up. */
static void a_wait_does_not_miss_the_time(void **state)
{
    struct se_proof_talk talk;
    (void)state;
    listen_again(&keys.server, 60000000);
    struct se_link *raw = challenged(&talk);
    const uint64_t from = se_clock_ns();
    while (se_clock_ns() - from < 60000000)
        assert_int_equal(se_link_wait(server, DEADLINE_NS), 0);
    assert_true(se_clock_ns() - from < DEADLINE_NS / 2);
    assert_int_equal(se_link_wait(server, 0), SE_LINK_AGAIN); /* for who only waits that is all */
    ends(raw);
    se_link_fini(raw);
}

static void who_leaves_in_the_middle_was_never_there(void **state)
{
    struct se_proof_talk talk;
    struct se_frame *frame;
    se_link_peer peer;
    (void)state;
    struct se_link *raw = connecting(NULL);
    assert_int_equal(hears(raw, server, &peer, &frame), SE_LINK_JOINED);
    se_link_fini(raw);
    raw = challenged(&talk);
    se_link_fini(raw);
    raw = challenged(&talk);
    frame = se_frame_get(frames);
    assert_int_equal(se_proof_prove(frame, &talk, &keys.pair[KEYS_STRANGER]), 0);
    assert_int_equal(se_link_send(raw, SE_LINK_SERVER, frame), 0);
    se_link_fini(raw);
    raw = challenged(&talk); /* a good one that leaves before it is answered */
    frame = se_frame_get(frames);
    assert_int_equal(se_proof_prove(frame, &talk, &keys.pair[KEYS_ANN]), 0);
    assert_int_equal(se_link_send(raw, SE_LINK_SERVER, frame), 0);
    se_link_fini(raw);
    struct se_link *edge = connecting(&keys.edge[KEYS_ANN]);
    int r, n = 0;
    const uint64_t limit = se_clock_ns() + DEADLINE_NS;
    while ((r = se_link_recv(server, &peer, &frame)) != 0 && se_clock_ns() < limit) {
        n += r == SE_LINK_JOINED ? 1 : r == SE_LINK_GONE ? -1 : 0;
        assert_true(n >= 0 && n <= 2);
        if (se_link_recv(edge, &peer, &frame) == SE_LINK_JOINED)
            send_byte(edge, SE_LINK_SERVER, 5);
    }
    assert_int_equal(r, 0);
    assert_int_equal(frame->data[0], 5);
    se_frame_put(frame);
    se_link_fini(edge);
}

static void the_silent_do_not_fill_the_server_for_ever(void **state)
{
    struct se_link *raw[4], *edge;
    struct se_link_options options = options_with(&keys.server);
    struct se_proof_talk talk;
    (void)state;
    se_link_fini(server);
    options.peers_max = 4;
    options.silence_ns = 50000000;
    assert_int_equal(se_link_listen(&server, url, &options), 0);
    for (int i = 0; i < 4; i++)
        raw[i] = challenged(&talk);
    edge = connecting(&keys.edge[KEYS_ANN]);
    joins(edge);
    for (int i = 0; i < 4; i++)
        se_link_fini(raw[i]);
    se_link_fini(edge);
}

/* ---- servers of our making */

static void a_server_that_asks_for_nothing_is_told_nothing(void **state)
{
    struct se_frame *frame;
    se_link_peer peer;
    (void)state;
    listen_again(NULL, 6000000000);
    struct se_link_options options = options_with(&keys.edge[KEYS_ANN]);
    options.silence_ns = 40000000;
    struct se_link *edge = NULL;
    assert_int_equal(se_link_connect(&edge, url, &options), 0);
    assert_int_equal(hears(server, edge, &peer, &frame), SE_LINK_JOINED);
    assert_int_equal(hears(server, edge, &peer, &frame), SE_LINK_GONE); /* without a frame */
    assert_non_null(strstr(se_link_trouble(edge), "does it have keys?"));
    se_link_fini(edge);
}

static void a_server_that_cannot_sign_is_left(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct se_proof_talk talk = { .server = keys.pair[KEYS_SERVER].open };
        struct se_frame *frame = NULL;
        se_link_peer peer, gone;
        listen_again(NULL, 6000000000);
        struct se_link *edge = connecting(&keys.edge[KEYS_ANN]);
        assert_int_equal(hears(server, edge, &peer, &frame), SE_LINK_JOINED);
        frame = se_frame_get(frames);
        assert_int_equal(se_proof_challenge(frame, &talk), 0);
        if (kind == 0)
            frame->len_b--; /* no CHALLENGE at all */
        assert_int_equal(se_link_send(server, peer, frame), 0);
        if (kind > 0) {
            assert_int_equal(hears(server, edge, &gone, &frame), 0);
            assert_int_equal(se_proof_word_of(frame), SE_PROOF_PROOF);
            assert_true(se_proof_proved(frame, &talk));
            assert_int_equal(
                se_proof_accept(frame, &talk,
                                &keys.pair[kind == 1 ? KEYS_OTHER_SERVER : KEYS_SERVER]),
                0);
            if (kind == 2)
                frame->data[20] ^= 1;
            if (kind == 3)
                memcpy(frame->data, "SE", 2);
            assert_int_equal(se_link_send(server, peer, frame), 0);
        }
        assert_int_equal(hears(server, edge, &gone, &frame), SE_LINK_GONE);
        assert_true(gone == peer);
        assert_non_null(strstr(se_link_trouble(edge),
                               kind == 0 ? "does it have keys?" : "not the server with the key"));
        se_link_fini(edge);
    }
}

static void a_frame_with_no_room_for_a_proof_is_refused(void **state)
{
    struct se_link_options options = options_with(&keys.server);
    struct se_link *link = NULL;
    (void)state;
    options.frame_max_b = SE_PROOF_FRAME_B - 1;
    assert_int_equal(se_link_listen(&link, "loop://other", &options), -EINVAL);
    assert_non_null(strstr(se_err_text(), "132"));
    options.guard = &keys.edge[KEYS_ANN];
    assert_int_equal(se_link_connect(&link, "loop://other", &options), -EINVAL);
    assert_non_null(strstr(se_err_text(), "132"));
    options = options_with(&keys.edge[KEYS_ANN]);
    memset(&keys.edge[KEYS_ANN].server, 0, SE_KEY_B);
    assert_int_equal(se_link_connect(&link, "loop://other", &options), -EINVAL);
    assert_non_null(strstr(se_err_text(), "must know its server's"));
}

int main(void)
{
#define PROVED(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        PROVED(who_is_in_the_list_comes_in_with_his_key),
        PROVED(who_is_not_is_told_so),
        PROVED(another_server_than_the_expected_one_is_no_server),
        PROVED(another_list_counts_for_who_comes_then),
        PROVED(the_refused_knock_no_oftener_than_they_may),
        PROVED(a_forged_signature_is_refused),
        PROVED(what_was_said_once_is_not_taken_again),
        PROVED(who_says_anything_else_is_dropped),
        PROVED(an_edge_without_a_key_is_told_in_its_own_words),
        PROVED(who_says_nothing_is_dropped_in_time),
        PROVED(a_wait_does_not_miss_the_time),
        PROVED(who_leaves_in_the_middle_was_never_there),
        PROVED(the_silent_do_not_fill_the_server_for_ever),
        PROVED(a_server_that_asks_for_nothing_is_told_nothing),
        PROVED(a_server_that_cannot_sign_is_left),
        PROVED(a_frame_with_no_room_for_a_proof_is_refused),
    };
    keys_init(&keys); /* or the end, with words */
    keys_fini(&keys);
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(shm_url, sizeof(shm_url), "shm://%s/socket", folder);
    url = "loop://proof";
    int failed = cmocka_run_group_tests_name("proof over loop", tests, NULL, NULL);
    url = shm_url;
    failed += cmocka_run_group_tests_name("proof over shm", tests, NULL, NULL);
    rmdir(folder);
    return failed != 0;
}
