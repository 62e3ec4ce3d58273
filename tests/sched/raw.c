/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sched/raw.h"

#include <string.h>

int raw_again(struct raw *raw, const char *url)
{
    const struct se_link_options link = se_link_options(raw->frames);
    se_link_fini(raw->link);
    raw->link = NULL;
    raw->joined = false;
    return se_link_connect(&raw->link, url, &link);
}

int raw_begin(struct raw *raw, const char *url, struct se_frames *frames)
{
    memset(raw, 0, sizeof *raw);
    raw->frames = frames;
    return raw_again(raw, url);
}

void raw_end(struct raw *raw)
{
    se_link_fini(raw->link);
    memset(raw, 0, sizeof *raw);
}

static void on_message(struct raw *raw, const struct se_wire *m)
{
    raw->heard[m->type]++;
    if (m->type == SE_WIRE_ERROR && m->error.code < SE_WIRE_E_END)
        raw->no[m->error.code]++;
    if (m->type == SE_WIRE_WELCOME) {
        uint32_t i = 0;
        while (i < raw->n_sessions && raw->session[i].id != m->session)
            i++;
        if (i == RAW_SESSIONS)
            return;
        raw->n_sessions += i == raw->n_sessions;
        raw->session[i].id = m->session;
        memcpy(raw->session[i].token, m->welcome.token, sizeof raw->session[i].token);
        raw->session[i].base = m->welcome.held;
    }
    for (uint32_t i = 0; m->type == SE_WIRE_RESULT && i < raw->n_sessions; i++) {
        struct raw_session *session = &raw->session[i];
        if (session->id != m->session)
            continue;
        session->round = m->result.round;
        session->base = m->result.base + m->result.accepted;
        session->root = m->result.bonus;
    }
}

bool raw_hear(struct raw *raw)
{
    bool some = false;
    while (raw->link) {
        struct se_frame *frame = NULL;
        struct se_wire message;
        se_link_peer peer;
        if (raw->deaf && raw->joined)
            return some;
        int r = se_link_recv(raw->link, &peer, &frame);
        if (r != 0 && r != SE_LINK_JOINED && r != SE_LINK_GONE)
            return some;
        some = true;
        if (r != 0)
            raw->joined = r == SE_LINK_JOINED;
        if (r == SE_LINK_GONE)
            raw->lost++;
        if (r == 0 && !se_wire_decode(frame->data, frame->len_b, NULL, &message))
            on_message(raw, &message);
        se_frame_put(frame);
    }
    return some;
}

bool raw_send(struct raw *raw, const void *bytes, size_t n)
{
    struct se_frame *frame = se_frame_get(raw->frames);
    bool sent = false;
    if (frame && n > 0 && n <= frame->cap_b && raw->link) {
        memcpy(frame->data, bytes, n);
        frame->len_b = (uint32_t)n;
        sent = se_link_send(raw->link, SE_LINK_SERVER, frame) == 0;
    }
    if (!sent)
        se_frame_put(frame);
    raw->said += sent;
    raw->refused += !sent;
    return sent;
}

bool raw_say(struct raw *raw, const struct se_wire *message)
{
    static _Thread_local unsigned char bytes[SE_WIRE_FRAME_MAX];
    size_t n = 0;
    return se_wire_encode(message, bytes, sizeof bytes, &n) == 0 && raw_send(raw, bytes, n);
}

struct se_wire raw_hello(uint64_t nonce, uint64_t fingerprint, uint32_t tokens)
{
    struct se_wire m = { .session = 0, .type = SE_WIRE_HELLO };
    m.hello = (struct se_wire_hello){ .nonce = nonce,
                                      .fingerprint = fingerprint,
                                      .temp = 0.7,
                                      .top_p = 1,
                                      .tokens = tokens,
                                      .caps = SE_WIRE_CAN_ALL,
                                      .max_nodes = SE_WIRE_NODES_MAX,
                                      .version_min = SE_WIRE_VERSION,
                                      .version_max = SE_WIRE_VERSION };
    return m;
}
