/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tools/hand.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"

enum { ID_BITS = 32, FRAMES = 64, PIECE = 256 };
static const uint64_t patience_ns = 20000000000;

static int say(struct hand *h, const struct se_wire *message)
{
    size_t len_b = 0;
    struct se_frame *frame = se_frame_get(h->frames);
    if (!frame)
        return se_fail(-ENOBUFS, "no frame is left");
    int r = se_wire_encode(message, frame->data, frame->cap_b, &len_b);
    if (r != 0) {
        se_frame_put(frame);
        return se_fail(-EINVAL, "%s", se_wire_fault_text(r));
    }
    frame->len_b = (uint32_t)len_b;
    r = se_link_send(h->link, SE_LINK_SERVER, frame);
    if (r == 0)
        return 0;
    se_frame_put(frame);
    return r < 0 ? r : se_fail(-EAGAIN, "the link does not take a message: %d", r);
}

/* The next message of this type, or JOINED with type 0. */
static int await(struct hand *h, int type, struct se_wire *message)
{
    uint64_t until_ns = se_clock_ns() + patience_ns;
    while (se_clock_ns() < until_ns) {
        se_link_peer peer;
        struct se_frame *frame = NULL;
        int r = se_link_recv(h->link, &peer, &frame);
        if (r < 0)
            return r;
        if (r == SE_LINK_JOINED && type == 0)
            return 0;
        if (r == SE_LINK_AGAIN)
            se_link_wait(h->link, 100000000);
        if (r != 0)
            continue;
        r = se_wire_decode(frame->data, frame->len_b, NULL, message);
        se_frame_put(frame);
        if (r != 0)
            return se_fail(-EPROTO, "%s", se_wire_fault_text(r));
        if (message->type == (enum se_wire_type)type)
            return 0;
        if (message->type == SE_WIRE_ERROR)
            return se_fail(-EPROTO, "%s", message->error.text);
    }
    return se_fail(-ETIMEDOUT, "no message of type %d came", type);
}

int hand_open(struct hand *h, const char *url, uint64_t fingerprint, uint32_t tokens)
{
    *h = HAND_NULL;
    struct se_wire message = { .type = SE_WIRE_HELLO,
                               .hello = { .nonce = se_clock_ns(),
                                          .fingerprint = fingerprint,
                                          .top_p = 1,
                                          .tokens = tokens,
                                          .max_nodes = 1,
                                          .version_min = SE_WIRE_VERSION,
                                          .version_max = SE_WIRE_VERSION } };
    int r = se_frames_new(&h->frames, FRAMES, SE_WIRE_FRAME_MAX);
    if (r < 0)
        return r;
    struct se_link_options options = se_link_options(h->frames);
    struct se_wire answer;
    r = se_link_connect(&h->link, url, &options);
    if (r == 0)
        r = await(h, 0, &answer);
    if (r == 0)
        r = say(h, &message);
    if (r == 0)
        r = await(h, SE_WIRE_WELCOME, &answer);
    if (r != 0)
        return r;
    h->session = answer.session;
    h->welcome = answer.welcome;
    return 0;
}

static int bring(struct hand *h, const uint32_t *id, uint32_t n)
{
    int r = 0;
    for (uint32_t at = 0; r == 0 && at < n; at += PIECE) {
        struct se_wire message = { .session = h->session,
                                   .type = SE_WIRE_PREFILL,
                                   .prefill = { .base = at,
                                                .total = n,
                                                .n = (uint16_t)(n - at < PIECE ? n - at : PIECE),
                                                .id_bits = ID_BITS,
                                                .id = id + at } };
        r = say(h, &message);
    }
    return r;
}

int hand_write(struct hand *h, const uint32_t *id, uint32_t n, uint32_t wanted, uint32_t *out)
{
    static const int32_t none = -1;
    uint32_t root = id[n - 1], base = n - 1;
    uint64_t hash = se_wire_hash(SE_WIRE_HASH_START, id, base);
    int r = bring(h, id, base);
    for (uint32_t i = 0; r == 0 && i < wanted; i++) {
        struct se_wire answer = { 0 };
        struct se_wire message = { .session = h->session,
                                   .type = SE_WIRE_VERIFY,
                                   .verify = { .round = ++h->round,
                                               .base = base,
                                               .nodes = 1,
                                               .id_bits = ID_BITS,
                                               .check = (uint32_t)hash,
                                               .think_us = SE_WIRE_U24_MAX,
                                               .parent = &none,
                                               .token = &root } };
        r = say(h, &message);
        if (r == 0)
            r = await(h, SE_WIRE_RESULT, &answer);
        if (r == 0 && (answer.result.round != h->round || answer.result.accepted != 1))
            r = se_fail(-EPROTO, "an answer to another round");
        hash = se_wire_hash(hash, &root, 1);
        base++;
        root = out[i] = answer.result.bonus;
    }
    return r;
}

int hand_await_bye(struct hand *h, uint8_t *reason)
{
    struct se_wire message = { 0 };
    int r = await(h, SE_WIRE_BYE, &message);
    *reason = message.bye.reason;
    return r;
}

void hand_close(struct hand *h)
{
    struct se_wire bye = { .session = h->session, .type = SE_WIRE_BYE };
    if (h->session)
        say(h, &bye);
    if (h->link) {
        se_link_close(h->link);
        se_link_drain(h->link, patience_ns / 10);
    }
    se_link_fini(h->link);
    se_frames_free(h->frames);
    *h = HAND_NULL;
}
