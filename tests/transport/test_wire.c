/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/rng.h"
#include "tests/transport/messages.h"
#include "transport/pack.h"
#include "transport/shape.h"
#include "transport/wire.h"

static uint64_t seed;
static struct lists made, read_lists;

/* The bytes of version 2, for the messages of message_fixed(). They never change: whoever
 * changes them makes version 3. */
static const char *const golden[SE_WIRE_TYPE_END] = {
    [SE_WIRE_HELLO] = "53450201650000000000000000000000"
                      "08070605040302011032547698badcfe2a00000000000000000000000000e83f"
                      "000000000000f03f000000000000000032000000805102007550020000100000"
                      "0300000021000202010b74616c65732d6472616674",
    [SE_WIRE_WELCOME] = "534502025d0000008877665544332211"
                        "0807060504030201a8a7a6a5a4a3a2a1b8b7b6b5b4b3b2b1c8c7c6c5c4c3c2c1"
                        "8051020000a00000000000003075000002000000410000040208520000fc5300"
                        "00f0550000a861000060ea0000",
    [SE_WIRE_PREFILL] = "53450203290000008877665544332211"
                        "00010000060100000600125b504600f0172500000100000004",
    [SE_WIRE_VERIFY] = "53450204350000008877665544332211"
                       "0700000006010000060000001201021c3a5d6810005b005b504600f017250000"
                       "0100000004",
    [SE_WIRE_RESULT] = "53450205280000008877665544332211"
                       "07000000060100007f51020003000400dc0500204e000c01",
    [SE_WIRE_CANCEL] = "53450206180000008877665544332211"
                       "0800000009010000",
    [SE_WIRE_BYE] = "53450207150000008877665544332211"
                    "8813000001",
    [SE_WIRE_PING] = "534502081a0000008877665544332211"
                     "15cd5b07000000000103",
    [SE_WIRE_STATS] = "534502092e0000008877665544332211"
                      "d8d7d6d5d4d3d2d1020028000201e8030000000000000700000000000000",
    [SE_WIRE_ERROR] = "5345020a3e0000008877665544332211"
                      "090000000000000009010000000000000e010000000000000000000008040f69"
                      "647320617265206d697373696e67",
    [SE_WIRE_RESUME] = "5345020b380000008877665544332211"
                       "0907060504030201a8a7a6a5a4a3a2a1b8b7b6b5b4b3b2b14023816916753d02"
                       "0901000007000000",
};

static uint8_t *encoded(const struct se_wire *message, size_t *len_b)
{
    uint8_t *frame = malloc(SE_WIRE_FRAME_MAX);
    assert_non_null(frame);
    int r = se_wire_encode(message, frame, SE_WIRE_FRAME_MAX, len_b);
    if (r)
        fail_msg("type %d is not encoded: %s", (int)message->type, se_wire_fault_text(r));
    assert_int_equal(*len_b, se_wire_size(message));
    return frame;
}

/* Decodes from a block of exactly len_b bytes, so that a sanitizer sees a read beyond. */
static int decode(const uint8_t *frame, size_t len_b, struct se_wire *message)
{
    struct se_wire_room room = room_of(&read_lists);
    uint8_t *exact = malloc(len_b ? len_b : 1);
    assert_non_null(exact);
    memcpy(exact, frame, len_b);
    int r = se_wire_decode(exact, len_b, &room, message);
    free(exact);
    return r;
}

static void assert_same_lists(const struct se_wire *a, const struct se_wire *b)
{
    switch (a->type) {
    case SE_WIRE_HELLO:
        assert_memory_equal(a->hello.draft, b->hello.draft, a->hello.n_draft);
        assert_int_equal(b->hello.draft[b->hello.n_draft], 0);
        break;
    case SE_WIRE_PREFILL:
        assert_memory_equal(a->prefill.id, b->prefill.id, 4 * (size_t)a->prefill.n);
        break;
    case SE_WIRE_VERIFY:
        assert_memory_equal(a->verify.token, b->verify.token, 4 * (size_t)a->verify.nodes);
        assert_int_equal(b->verify.parent[0], -1);
        for (uint32_t i = 1; i < a->verify.nodes; i++)
            assert_int_equal(a->verify.parent[i], b->verify.parent[i]);
        break;
    case SE_WIRE_STATS:
        assert_memory_equal(a->stats.value, b->stats.value, 8 * (size_t)a->stats.n);
        break;
    case SE_WIRE_ERROR:
        assert_memory_equal(a->error.text, b->error.text, a->error.n_text);
        assert_int_equal(b->error.text[b->error.n_text], 0);
        break;
    default:
        break;
    }
}

static void assert_same(const struct se_wire *a, const struct se_wire *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->session, b->session);
    const struct se_wire_layout *layout = se_wire_layout(a->type);
    for (uint32_t i = 0; i < layout->n_fields; i++) {
        uint64_t left = se_wire_field_get(a, &layout->field[i]);
        uint64_t right = se_wire_field_get(b, &layout->field[i]);
        if (left != right)
            fail_msg("%s %s: %" PRIu64 " became %" PRIu64, layout->name, layout->field[i].name,
                     left, right);
    }
    assert_same_lists(a, b);
}

/* Refused, or a message that encodes to the very same bytes. Returns what decoding said. */
static int check_bytes(const uint8_t *frame, size_t len_b)
{
    struct se_wire message;
    int r = decode(frame, len_b, &message);
    if (r) {
        assert_true(r > 0 && r < SE_WIRE_FAULT_END);
        return r;
    }
    size_t again_b = 0;
    uint8_t *again = encoded(&message, &again_b);
    assert_int_equal(again_b, len_b);
    assert_memory_equal(again, frame, len_b);
    free(again);
    return 0;
}

static void test_table(void **state)
{
    (void)state;
    assert_null(se_wire_layout(0));
    assert_null(se_wire_layout(SE_WIRE_TYPE_END));
    for (uint32_t type = 1; type < SE_WIRE_TYPE_END; type++) {
        const struct se_wire_layout *layout = se_wire_layout(type);
        uint32_t sum_b = 0;
        for (uint32_t i = 0; i < layout->n_fields; i++) {
            assert_true(layout->field[i].size_b <= layout->field[i].host_b);
            sum_b += layout->field[i].size_b;
        }
        assert_int_equal(sum_b, layout->fixed_b);
    }
    for (int fault = 0; fault < SE_WIRE_FAULT_END; fault++)
        assert_non_null(se_wire_fault_text(fault));
    assert_string_equal(se_wire_fault_text(-1), se_wire_fault_text(1000));
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int turn = 0; turn < 3000; turn++) {
        struct se_wire message, back;
        enum se_wire_type type = SE_WIRE_HELLO + turn % (SE_WIRE_TYPE_END - 1);
        bool large = turn % 40 < SE_WIRE_TYPE_END;
        size_t len_b = 0;
        message_any(&rng, type, large ? SE_WIRE_NODES_MAX : 40, large ? SE_WIRE_IDS_MAX : 40, &made,
                    &message);
        uint8_t *frame = encoded(&message, &len_b);
        assert_true(len_b <= SE_WIRE_FRAME_MAX);
        int r = decode(frame, len_b, &back);
        if (r)
            fail_msg("turn %d: %s", turn, se_wire_fault_text(r));
        assert_same(&message, &back);
        enum se_wire_type peeked;
        uint64_t session;
        assert_int_equal(se_wire_peek(frame, len_b, &peeked, &session), 0);
        assert_int_equal(peeked, type);
        assert_int_equal(session, message.session);
        /* A buffer of exactly that size is enough, one byte less is not. */
        assert_int_equal(se_wire_encode(&message, frame, len_b, &len_b), 0);
        assert_int_equal(se_wire_encode(&message, frame, len_b - 1, &len_b), SE_WIRE_ROOM);
        free(frame);
    }
}

/* Every message cut short anywhere, made longer, or with one bit the other way. */
static void test_damage(void **state)
{
    (void)state;
    struct se_rng rng;
    se_rng_init(&rng, seed + 1, SE_RNG_TEST);
    uint64_t refused = 0, taken = 0;
    for (int turn = 0; turn < 40 * (SE_WIRE_TYPE_END - 1); turn++) {
        struct se_wire message;
        enum se_wire_type type = SE_WIRE_HELLO + turn % (SE_WIRE_TYPE_END - 1);
        size_t len_b = 0;
        message_any(&rng, type, 40, 40, &made, &message);
        uint8_t *frame = encoded(&message, &len_b);
        for (size_t cut = 0; cut < len_b; cut++) {
            assert_int_equal(check_bytes(frame, cut), SE_WIRE_SHORT);
            if (cut < SE_WIRE_HEADER_B)
                continue;
            /* The same with a header that tells the new length. */
            uint8_t *copy = malloc(len_b);
            assert_non_null(copy);
            memcpy(copy, frame, len_b);
            se_pack_put(copy + 4, cut, 4);
            assert_int_equal(check_bytes(copy, cut), SE_WIRE_SHORT);
            free(copy);
        }
        frame[len_b] = 0;
        assert_int_equal(check_bytes(frame, len_b + 1), SE_WIRE_TRAILING);
        se_pack_put(frame + 4, len_b + 1, 4);
        assert_int_equal(check_bytes(frame, len_b + 1), SE_WIRE_TRAILING);
        se_pack_put(frame + 4, len_b, 4);
        for (size_t bit = 0; bit < 8 * len_b; bit++) {
            frame[bit / 8] = (uint8_t)(frame[bit / 8] ^ 1u << bit % 8);
            if (check_bytes(frame, len_b))
                refused++;
            else
                taken++;
            if (bit < 64) /* magic, version, type, length: never another message */
                assert_int_not_equal(bit >= 24 && bit < 32 ? 1 : check_bytes(frame, len_b), 0);
            frame[bit / 8] = (uint8_t)(frame[bit / 8] ^ 1u << bit % 8);
        }
        free(frame);
    }
    assert_true(refused > 0 && taken > 0);
}

static void test_noise(void **state)
{
    (void)state;
    struct se_rng rng;
    se_rng_init(&rng, seed + 2, SE_RNG_TEST);
    for (int turn = 0; turn < 20000; turn++) {
        uint8_t frame[120];
        size_t len_b = se_rng_below(&rng, sizeof frame + 1);
        for (size_t i = 0; i < len_b; i++)
            frame[i] = (uint8_t)(se_rng_below(&rng, 3) ? se_rng_u32(&rng) : 0);
        if (len_b >= SE_WIRE_HEADER_B && turn % 8) {
            memcpy(frame, "SE\001", 3);
            frame[3] = (uint8_t)(1 + se_rng_below(&rng, SE_WIRE_TYPE_END));
            se_pack_put(frame + 4, len_b, 4);
        }
        check_bytes(frame, len_b);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    const uint32_t bits = se_pack_bits(151936);
    struct se_wire message;
    size_t len_b = 0;
    assert_int_equal(bits, 18);
    /* 32 drafted nodes and the root. */
    message_fixed(SE_WIRE_VERIFY, &made, &message);
    message.verify.nodes = 33;
    for (uint32_t i = 0; i < 33; i++) {
        made.parent[i] = (int32_t)i / 2 - (i % 2 == 0);
        made.id[i] = 151935;
    }
    free(encoded(&message, &len_b));
    assert_int_equal(len_b, 120);
    assert_true(len_b <= 128);
    assert_int_equal(se_wire_verify_size(33, bits), len_b);
    assert_int_equal(se_wire_prefill_size(1024, bits), 16 + 11 + 2304);
    for (uint32_t nodes = 1; nodes <= SE_WIRE_NODES_MAX; nodes++) {
        message.verify.nodes = (uint16_t)nodes;
        assert_int_equal(se_wire_verify_size(nodes, bits), se_wire_size(&message));
    }
    message_fixed(SE_WIRE_RESULT, &made, &message);
    assert_int_equal(se_wire_size(&message), 40);
    message.type = SE_WIRE_TYPE_END;
    assert_int_equal(se_wire_size(&message), 0);
    assert_int_equal(se_wire_encode(&message, &message, sizeof message, &len_b), SE_WIRE_UNKNOWN);
}

static void test_golden(void **state)
{
    (void)state;
    const char *print = getenv("SE_TEST_PRINT"); /* shows the bytes, to make golden.inc of */
    for (uint32_t type = 1; type < SE_WIRE_TYPE_END; type++) {
        struct se_wire message, back;
        char hex[1024] = "";
        size_t len_b = 0;
        message_fixed(type, &made, &message);
        uint8_t *frame = encoded(&message, &len_b);
        assert_true(2 * len_b < sizeof hex);
        for (size_t i = 0; i < len_b; i++)
            snprintf(hex + 2 * i, 3, "%02x", frame[i]);
        if (print)
            printf("[%u] = \"%s\",\n", type, hex);
        else
            assert_string_equal(hex, golden[type]);
        assert_int_equal(decode(frame, len_b, &back), 0);
        assert_same(&message, &back);
        free(frame);
    }
}

/* Puts a value at a place of a fixed message's bytes and says what becomes of it. */
static int with(enum se_wire_type type, size_t at, uint64_t value, uint32_t len_b)
{
    struct se_wire message;
    size_t frame_b = 0;
    message_fixed(type, &made, &message);
    uint8_t *frame = encoded(&message, &frame_b);
    se_pack_put(frame + at, value, len_b);
    int r = check_bytes(frame, frame_b);
    free(frame);
    return r;
}

static void test_refused_bytes(void **state)
{
    (void)state;
    static const struct {
        enum se_wire_type type;
        size_t at;
        uint64_t value;
        uint32_t len_b;
        int fault;
    } cases[] = {
        { SE_WIRE_VERIFY, 0, 'T', 1, SE_WIRE_MAGIC },
        { SE_WIRE_VERIFY, 2, 3, 1, SE_WIRE_NEWER },
        { SE_WIRE_VERIFY, 2, 1, 1, SE_WIRE_NEWER },
        { SE_WIRE_VERIFY, 2, 0, 1, SE_WIRE_NEWER },
        { SE_WIRE_VERIFY, 3, 0, 1, SE_WIRE_UNKNOWN },
        { SE_WIRE_VERIFY, 3, SE_WIRE_TYPE_END, 1, SE_WIRE_UNKNOWN },
        { SE_WIRE_VERIFY, 4, 0xffffffff, 4, SE_WIRE_SHORT },
        { SE_WIRE_VERIFY, 4, 0, 4, SE_WIRE_TRAILING },
        { SE_WIRE_VERIFY, 8, 0, 8, SE_WIRE_OWNER },
        { SE_WIRE_HELLO, 8, 1, 8, SE_WIRE_OWNER },
        { SE_WIRE_VERIFY, 16, 0, 4, SE_WIRE_RANGE },          /* round 0 */
        { SE_WIRE_VERIFY, 20, 0x80000000, 4, SE_WIRE_RANGE }, /* base */
        { SE_WIRE_VERIFY, 20, 0x7ffffffe, 4, SE_WIRE_RANGE }, /* and nodes */
        { SE_WIRE_VERIFY, 24, 0, 2, SE_WIRE_RANGE },
        { SE_WIRE_VERIFY, 24, 1025, 2, SE_WIRE_RANGE },
        { SE_WIRE_VERIFY, 24, 1024, 2, SE_WIRE_SHORT },
        { SE_WIRE_VERIFY, 28, 0, 1, SE_WIRE_RANGE },
        { SE_WIRE_VERIFY, 28, 33, 1, SE_WIRE_RANGE },
        { SE_WIRE_VERIFY, 29, 2, 1, SE_WIRE_FLAGS },
        { SE_WIRE_VERIFY, 37, 0, 2, SE_WIRE_SHAPE },
        { SE_WIRE_VERIFY, 37, 0xffff, 2, SE_WIRE_SHAPE },
        { SE_WIRE_VERIFY, 37, 0x5a, 1, SE_WIRE_SHAPE },
        { SE_WIRE_VERIFY, 38, 0x80, 1, SE_WIRE_SHAPE },
        { SE_WIRE_VERIFY, 52, 0x10, 1, SE_WIRE_PADDING },
        { SE_WIRE_PREFILL, 20, 261, 4, SE_WIRE_RANGE }, /* more ids than in total */
        { SE_WIRE_PREFILL, 24, 0, 2, SE_WIRE_RANGE },
        { SE_WIRE_RESULT, 28, 0, 2, SE_WIRE_RANGE },
        { SE_WIRE_RESULT, 28, 1, 2, SE_WIRE_RANGE }, /* the root alone, and last is not 0 */
        { SE_WIRE_RESULT, 30, 1, 2, SE_WIRE_RANGE }, /* node 1 is not two steps away */
        { SE_WIRE_RESULT, 39, 16, 1, SE_WIRE_FLAGS },
        { SE_WIRE_STATS, 24, 39, 2, SE_WIRE_RANGE },
        { SE_WIRE_STATS, 29, 0, 1, SE_WIRE_RANGE },
        { SE_WIRE_STATS, 28, 1, 1, SE_WIRE_TRAILING },
        { SE_WIRE_STATS, 28, 65, 1, SE_WIRE_RANGE },
        { SE_WIRE_ERROR, 44, 0, 1, SE_WIRE_RANGE },
        { SE_WIRE_ERROR, 44, SE_WIRE_E_END, 1, SE_WIRE_RANGE },
        { SE_WIRE_ERROR, 46, 161, 1, SE_WIRE_RANGE },
        { SE_WIRE_ERROR, 47, '\n', 1, SE_WIRE_SENTENCE },
        { SE_WIRE_ERROR, 47, 0x1b, 1, SE_WIRE_SENTENCE },
        { SE_WIRE_ERROR, 47, 0x7f, 1, SE_WIRE_SENTENCE },
        { SE_WIRE_ERROR, 47, 0xc3, 1, SE_WIRE_SENTENCE },
        { SE_WIRE_BYE, 20, SE_WIRE_BYE_END, 1, SE_WIRE_RANGE },
        { SE_WIRE_PING, 24, 2, 1, SE_WIRE_RANGE },
        { SE_WIRE_HELLO, 86, 3, 1, SE_WIRE_RANGE }, /* version_min above version_max */
        { SE_WIRE_HELLO, 88, 3, 1, SE_WIRE_RANGE },
        { SE_WIRE_HELLO, 80, 4, 4, SE_WIRE_FLAGS },
        { SE_WIRE_HELLO, 89, 33, 1, SE_WIRE_RANGE },
        { SE_WIRE_HELLO, 89, 12, 1, SE_WIRE_SHORT },
        { SE_WIRE_HELLO, 89, 10, 1, SE_WIRE_TRAILING },
        { SE_WIRE_HELLO, 90, 0x1f, 1, SE_WIRE_SENTENCE },
        { SE_WIRE_HELLO, 90, 0x7f, 1, SE_WIRE_SENTENCE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = with(cases[i].type, cases[i].at, cases[i].value, cases[i].len_b);
        if (r != cases[i].fault)
            fail_msg("case %zu: %s, not %s", i, se_wire_fault_text(r),
                     se_wire_fault_text(cases[i].fault));
    }
    /* A newer HELLO still tells who asks, so that it can be answered. */
    struct se_wire message;
    enum se_wire_type type = 0;
    uint64_t session = 1;
    size_t len_b = 0;
    message_fixed(SE_WIRE_HELLO, &made, &message);
    uint8_t *frame = encoded(&message, &len_b);
    frame[2] = 9;
    assert_int_equal(se_wire_peek(frame, len_b, &type, &session), SE_WIRE_NEWER);
    assert_int_equal(type, SE_WIRE_HELLO);
    assert_int_equal(session, 0);
    free(frame);
}

/* What decoding would refuse is not sent either. */
static void test_refused_messages(void **state)
{
    (void)state;
    struct se_wire m;
    uint8_t frame[256];
    size_t len_b = 0;
    message_fixed(SE_WIRE_VERIFY, &made, &m);
    made.parent[3] = 2; /* 0 0 2 1 2: a tree, in another order */
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_SHAPE);
    message_fixed(SE_WIRE_VERIFY, &made, &m);
    made.parent[5] = 5;
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_SHAPE);
    message_fixed(SE_WIRE_VERIFY, &made, &m);
    made.id[2] = 1 << 18;
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_TOKEN);
    message_fixed(SE_WIRE_VERIFY, &made, &m);
    m.session = 0;
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_OWNER);
    message_fixed(SE_WIRE_PREFILL, &made, &m);
    made.id[5] = UINT32_MAX;
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_TOKEN);
    message_fixed(SE_WIRE_RESULT, &made, &m);
    m.result.queue_us = SE_WIRE_U24_MAX + 1;
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_RANGE);
    message_fixed(SE_WIRE_ERROR, &made, &m);
    m.error.text[3] = '\t';
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_SENTENCE);
    message_fixed(SE_WIRE_HELLO, &made, &m);
    m.hello.draft[0] = '\n';
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_SENTENCE);
    se_wire_set_draft(&m.hello, "caf\xc3\xa9, with a name that is longer than 32 bytes");
    assert_string_equal(m.hello.draft, "caf??, with a name that is longe");
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), 0);
    message_fixed(SE_WIRE_VERIFY, &made, &m);
    m.verify.think_us = SE_WIRE_U24_MAX + 1;
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), SE_WIRE_RANGE);
}

static void test_room(void **state)
{
    (void)state;
    struct se_wire m, back;
    struct se_wire_room room = room_of(&read_lists);
    uint8_t frame[256];
    size_t len_b = 0;
    message_fixed(SE_WIRE_VERIFY, &made, &m);
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), 0);
    assert_int_equal(se_wire_decode(frame, len_b, NULL, &back), SE_WIRE_ROOM);
    room.nodes_max = 5;
    assert_int_equal(se_wire_decode(frame, len_b, &room, &back), SE_WIRE_ROOM);
    room.nodes_max = 6;
    assert_int_equal(se_wire_decode(frame, len_b, &room, &back), 0);
    room.vocab = 151936;
    assert_int_equal(se_wire_decode(frame, len_b, &room, &back), 0);
    room.vocab = 151935;
    assert_int_equal(se_wire_decode(frame, len_b, &room, &back), SE_WIRE_TOKEN);
    message_fixed(SE_WIRE_RESULT, &made, &m);
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), 0);
    assert_int_equal(se_wire_decode(frame, len_b, &room, &back), SE_WIRE_TOKEN);
    assert_int_equal(se_wire_decode(frame, len_b, NULL, &back), 0);
    message_fixed(SE_WIRE_PREFILL, &made, &m);
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), 0);
    room.vocab = 0;
    room.ids_max = 5;
    assert_int_equal(se_wire_decode(frame, len_b, &room, &back), SE_WIRE_ROOM);
}

static void test_hash_and_text(void **state)
{
    (void)state;
    static const uint32_t id[] = { 1, 2, 3, 0 }, other[] = { 2, 1, 3, 0 };
    uint64_t whole = se_wire_hash(SE_WIRE_HASH_START, id, 4);
    assert_int_equal(se_wire_hash(se_wire_hash(SE_WIRE_HASH_START, id, 2), id + 2, 2), whole);
    assert_int_not_equal(se_wire_hash(SE_WIRE_HASH_START, id, 3), whole);
    assert_int_not_equal(se_wire_hash(SE_WIRE_HASH_START, other, 4), whole);
    assert_int_equal(se_wire_hash(SE_WIRE_HASH_START, id, 0), SE_WIRE_HASH_START);
    struct se_wire_error error;
    char sentence[400];
    memset(sentence, 'x', sizeof sentence);
    sentence[sizeof sentence - 1] = '\0';
    memcpy(sentence, "a\nb\x1b\xc3\xa9", 6);
    se_wire_set_text(&error, sentence);
    assert_int_equal(error.n_text, SE_WIRE_TEXT_MAX);
    assert_memory_equal(error.text, "a?b???x", 7);
    assert_int_equal(error.text[SE_WIRE_TEXT_MAX], 0);
    se_wire_set_text(&error, "");
    assert_int_equal(error.n_text, 0);
}

int main(void)
{
    const char *given = getenv("SE_TEST_SEED");
    seed = given ? strtoull(given, NULL, 0) : 1;
    print_message("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),         cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_damage),        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_sizes),         cmocka_unit_test(test_golden),
        cmocka_unit_test(test_refused_bytes), cmocka_unit_test(test_refused_messages),
        cmocka_unit_test(test_room),          cmocka_unit_test(test_hash_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
