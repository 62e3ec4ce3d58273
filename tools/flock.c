/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/flock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tools/hollow_server.h"
#include "transport/pack.h"

enum { AWAY = SE_HOLLOW_VOCAB / 2, FRAMES = 32, TAKEN = 4 };

/* The way to one node carries what a hollow engine samples; the others, what it never does. So this
 * way alone is accepted. */
void se_flock_tree_draw(struct se_flock_tree *tree, uint32_t nodes, uint64_t seed)
{
    struct se_rng rng;
    uint32_t low = 0, last = 0, depth[SE_WIRE_NODES_MAX] = { 0 };
    se_rng_init(&rng, seed, SE_RNG_TEST);
    *tree = (struct se_flock_tree){ .nodes = nodes, .parent = { -1 } };
    for (uint32_t i = 1; i < nodes; i++) {
        if (i > 1 && se_rng_below(&rng, 2))
            low += 1 + se_rng_below(&rng, i - low < 4 ? i - low : 4);
        if (low >= i)
            low = i - 1;
        tree->parent[i] = (int32_t)low;
        tree->ahead[i] = AWAY + i;
        depth[i] = depth[low] + 1;
        last = depth[i] <= TAKEN ? i : last;
    }
    for (uint32_t at = last; at > 0; at = (uint32_t)tree->parent[at])
        tree->ahead[at] = depth[at];
    tree->depth = depth[last];
}

/* ---- life */

int se_flock_init(struct se_flock *flock, const char *url, const struct se_flock_tree *tree,
                  uint32_t sessions, uint32_t context, uint64_t nonce)
{
    *flock = (struct se_flock){ .tree = tree, .n = sessions, .context = context, .nonce = nonce };
    flock->by_id = (struct se_map){ .secret = nonce };
    flock->session = se_mem_zero(sessions, sizeof *flock->session);
    if (!flock->session)
        return se_trace(-ENOMEM);
    int r = se_frames_new(&flock->frames, FRAMES + 4 * sessions, SE_WIRE_FRAME_MAX);
    if (r < 0)
        return se_trace(r);
    struct se_link_options link = se_link_options(flock->frames);
    if (link.queue_frames < 2 * sessions)
        link.queue_frames = 2 * sessions;
    r = se_link_connect(&flock->link, url, &link);
    return r < 0 ? se_trace(r) : 0;
}

void se_flock_fini(struct se_flock *flock)
{
    se_link_fini(flock->link);
    se_frames_free(flock->frames);
    se_mem_free(flock->session);
    se_map_fini(&flock->by_id);
    *flock = (struct se_flock){ .n = 0 };
}

/* ---- frames out */

static int say(struct se_flock *flock, const struct se_wire *message)
{
    size_t len_b = 0;
    struct se_frame *frame = se_frame_get(flock->frames);
    if (!frame)
        return se_fail(-ENOBUFS, "no frame is left");
    int fault = se_wire_encode(message, frame->data, frame->cap_b, &len_b);
    frame->len_b = (uint32_t)len_b;
    flock->sent_ns = se_clock_ns();
    int r = fault ? se_fail(-EPROTO, "a message of our own: %s", se_wire_fault_text(fault))
                  : se_link_send(flock->link, SE_LINK_SERVER, frame);
    if (r != 0)
        se_frame_put(frame);
    return r > 0 ? se_fail(-EAGAIN, "the link takes no frame") : r;
}

static int say_hello(struct se_flock *flock, uint32_t session)
{
    struct se_wire m = { .session = 0, .type = SE_WIRE_HELLO };
    m.hello = (struct se_wire_hello){ .nonce = flock->nonce + session,
                                      .fingerprint = SE_HOLLOW_FINGERPRINT,
                                      .top_p = 1,
                                      .tokens = SE_HOLLOW_VOCAB,
                                      .caps = SE_WIRE_CAN_ALL,
                                      .max_nodes = (uint16_t)flock->tree->nodes,
                                      .version_min = SE_WIRE_VERSION,
                                      .version_max = SE_WIRE_VERSION };
    return say(flock, &m);
}

int se_flock_prefill(struct se_flock *flock, uint32_t session, uint32_t ids)
{
    struct se_flock_session *s = &flock->session[session];
    uint32_t id[1024];
    if (ids > 1024 || s->base > 0)
        return se_fail(-EINVAL, "a text of %" PRIu32 " ids does not fit into one message", ids);
    for (uint32_t i = 0; i < ids; i++)
        id[i] = i;
    struct se_wire m = { .session = s->id, .type = SE_WIRE_PREFILL };
    m.prefill = (struct se_wire_prefill){ .total = ids,
                                          .n = (uint16_t)ids,
                                          .id_bits = (uint8_t)se_pack_bits(SE_HOLLOW_VOCAB),
                                          .id = id };
    s->base = ids;
    s->hash = se_wire_hash(s->hash, id, ids);
    return say(flock, &m);
}

static int begin_anew(struct se_flock *flock, struct se_flock_session *s)
{
    struct se_wire m = { .session = s->id, .type = SE_WIRE_CANCEL };
    m.cancel = (struct se_wire_cancel){ .round = s->round };
    s->base = 0;
    s->hash = SE_WIRE_HASH_START;
    return say(flock, &m);
}

int se_flock_verify(struct se_flock *flock, uint32_t session)
{
    const struct se_flock_tree *tree = flock->tree;
    struct se_flock_session *s = &flock->session[session];
    uint32_t token[SE_WIRE_NODES_MAX];
    int r = s->base + tree->nodes > flock->context ? begin_anew(flock, s) : 0;
    if (r < 0)
        return se_trace(r);
    for (uint32_t i = 0; i < tree->nodes; i++)
        token[i] = (s->root + tree->ahead[i]) % SE_HOLLOW_VOCAB;
    struct se_wire m = { .session = s->id, .type = SE_WIRE_VERIFY };
    m.verify = (struct se_wire_verify){ .round = ++s->round,
                                        .base = s->base,
                                        .nodes = (uint16_t)tree->nodes,
                                        .id_bits = (uint8_t)se_pack_bits(SE_HOLLOW_VOCAB),
                                        .check = (uint32_t)s->hash,
                                        .think_us = SE_WIRE_U24_MAX,
                                        .parent = tree->parent,
                                        .token = token };
    flock->waiting += !s->waits;
    s->waits = true;
    r = say(flock, &m);
    s->sent_ns = flock->sent_ns;
    return r;
}

/* ---- frames in */

static int on_welcome(struct se_flock *flock, const struct se_wire *m)
{
    const uint64_t number = m->welcome.nonce - flock->nonce;
    if (number >= flock->n || flock->session[number].id != 0)
        return se_fail(-EPROTO, "a WELCOME that nobody asked for");
    flock->session[number] = (struct se_flock_session){ .id = m->session,
                                                        .hash = SE_WIRE_HASH_START,
                                                        .root = (uint32_t)number };
    flock->welcomed++;
    return se_map_set(&flock->by_id, m->session, (uint32_t)number);
}

/* What a hollow engine says to the tree is known. */
static int on_result(struct se_flock *flock, const struct se_wire *m)
{
    uint32_t number;
    if (!se_map_get(&flock->by_id, m->session, &number))
        return se_fail(-EPROTO, "an answer to a session that is not ours");
    struct se_flock_session *s = &flock->session[number];
    const uint32_t accepted = flock->tree->depth + 1;
    if (!s->waits || m->result.round != s->round || m->result.base != s->base ||
        m->result.accepted != accepted || m->result.bonus != (s->root + accepted) % SE_HOLLOW_VOCAB)
        return se_fail(-EPROTO, "round %" PRIu32 " of session %" PRIu32 ": the answer is wrong",
                       s->round, number);
    for (uint32_t i = 0; i < accepted; i++) {
        const uint32_t id = (s->root + i) % SE_HOLLOW_VOCAB;
        s->hash = se_wire_hash(s->hash, &id, 1);
    }
    s->base += accepted;
    s->root = m->result.bonus;
    s->waits = false;
    flock->waiting--;
    return flock->answered ? flock->answered(flock, number) : 0;
}

static int on_message(struct se_flock *flock, const struct se_wire *m)
{
    if (m->type == SE_WIRE_WELCOME)
        return on_welcome(flock, m);
    if (m->type == SE_WIRE_RESULT)
        return on_result(flock, m);
    if (m->type == SE_WIRE_ERROR)
        return se_fail(-EPROTO, "the server says no: %s", m->error.text);
    return 0;
}

static int on_event(struct se_flock *flock, int event)
{
    if (event == SE_LINK_GONE)
        return se_fail(-ECONNRESET, "the connection was lost");
    for (uint32_t i = 0; i < flock->n && !flock->joined; i++) {
        int r = say_hello(flock, i);
        if (r < 0)
            return se_trace(r);
    }
    flock->joined = true;
    return 0;
}

int se_flock_work(struct se_flock *flock)
{
    int some = 0;
    for (;;) {
        struct se_frame *frame = NULL;
        struct se_wire message;
        se_link_peer peer;
        int r = se_link_recv(flock->link, &peer, &frame);
        if (r < 0)
            return se_trace(r);
        if (r != 0 && r != SE_LINK_JOINED && r != SE_LINK_GONE)
            return some;
        some = 1;
        flock->heard_ns = se_clock_ns();
        if (r != 0) {
            r = on_event(flock, r);
        } else {
            r = se_wire_decode(frame->data, frame->len_b, NULL, &message);
            r = r ? se_fail(-EPROTO, "a frame of the server's: %s", se_wire_fault_text(r))
                  : on_message(flock, &message);
            se_frame_put(frame);
        }
        if (r < 0)
            return se_trace(r);
    }
}
