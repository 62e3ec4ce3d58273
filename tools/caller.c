/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/caller.h"

#include <errno.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "sched/server/counter.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"

enum { FRAMES = 64, HELLOS = 4 };
#define PATIENCE_NS UINT64_C(60000000000) /* a prompt on a slow processor */
#define REACH_NS UINT64_C(5000000000)     /* a server that is there lets us in by then */

int se_caller_say(struct se_caller *c, const struct se_wire *message, size_t *len_b)
{
    size_t own_b;
    struct se_frame *frame = se_frame_get(c->frames);
    if (!len_b)
        len_b = &own_b;
    if (!frame)
        return se_fail(-ENOBUFS, "no frame is left");
    const int fault = se_wire_encode(message, frame->data, frame->cap_b, len_b);
    frame->len_b = (uint32_t)*len_b;
    const int r = fault ? se_fail(-EPROTO, "a message of our own: %s", se_wire_fault_text(fault))
                        : se_link_send(c->link, SE_LINK_SERVER, frame);
    if (r != 0)
        se_frame_put(frame);
    return r > 0 ? se_fail(-EAGAIN, "'%s': the link takes no frame", c->url) : r;
}

/* What comes next: *event is 0 with a message, or SE_LINK_JOINED. */
static int hear(struct se_caller *c, int *event, struct se_wire *message)
{
    const uint64_t patience_ns = c->joined ? PATIENCE_NS : REACH_NS;
    const uint64_t end_ns = se_clock_ns() + patience_ns;
    struct se_frame *frame;
    se_link_peer peer;
    while ((*event = se_link_recv(c->link, &peer, &frame)) == SE_LINK_AGAIN) {
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
        if (se_clock_ns() > end_ns || se_link_wait(c->link, patience_ns) == SE_LINK_AGAIN)
            return se_fail(-ETIMEDOUT, "'%s': %s", c->url,
                           c->joined ? "nothing comes" : "there is no server for 5 s");
    }
    if (*event < 0)
        return se_trace(*event);
    if (*event == SE_LINK_JOINED) {
        c->joined = true;
        return 0;
    }
    if (*event != 0)
        return se_fail(-ECONNRESET, "'%s': the connection was lost", c->url);
    const int fault = se_wire_decode(frame->data, frame->len_b, NULL, message);
    se_frame_put(frame);
    return fault ? se_fail(-EPROTO, "a frame of the server's: %s", se_wire_fault_text(fault)) : 0;
}

int se_caller_await(struct se_caller *c, enum se_wire_type type, bool no_is_fine,
                    struct se_wire *message)
{
    for (;;) {
        int event;
        const int r = hear(c, &event, message);
        if (r != 0)
            return r;
        if (event != 0)
            continue;
        if (message->type == type || (no_is_fine && message->type == SE_WIRE_ERROR))
            return 0;
        if (message->type == SE_WIRE_ERROR)
            return se_fail(-EPROTO, "the server says no: %s", message->error.text);
        if (message->type == SE_WIRE_BYE)
            return se_fail(-ECONNRESET, "the server ends the session");
    }
}

int se_caller_connect(struct se_caller *c, const char *url, uint64_t spin_ns)
{
    struct se_wire none;
    int event = 0;
    *c = (struct se_caller){ .url = url };
    int r = se_frames_new(&c->frames, FRAMES, SE_WIRE_FRAME_MAX);
    if (r < 0)
        return se_trace(r);
    struct se_link_options options = se_link_options(c->frames);
    options.spin_ns = spin_ns;
    r = se_link_connect(&c->link, url, &options);
    while (r == 0 && event != SE_LINK_JOINED)
        r = hear(c, &event, &none);
    return r;
}

void se_caller_close(struct se_caller *c)
{
    const struct se_wire bye = { .session = c->session,
                                 .type = SE_WIRE_BYE,
                                 .bye = { .reason = SE_WIRE_BYE_DONE } };
    const struct se_wire ping = { .type = SE_WIRE_PING };
    struct se_wire answer;
    /* Its answer comes behind the goodbye: whoever is let in next finds the place free. */
    if (c->session != 0 && se_caller_say(c, &bye, NULL) == 0 && se_caller_say(c, &ping, NULL) == 0)
        se_caller_await(c, SE_WIRE_PING, true, &answer);
    se_link_fini(c->link);
    se_frames_free(c->frames);
    *c = (struct se_caller){ .session = 0 };
}

/* The server's tokenizer is what it says it is. 0: the next HELLO may fit. */
static int learn(struct se_caller *c, const struct se_wire_error *no)
{
    if (no->code == SE_WIRE_E_VOCAB && no->a > 0 && no->a <= SE_WIRE_LENGTH_MAX)
        c->hello.tokens = (uint32_t)no->a;
    else if (no->code == SE_WIRE_E_TOKENIZER)
        c->hello.fingerprint = no->a;
    else
        return se_fail(-EPROTO, "the server says no: %s", no->text);
    return 0;
}

int se_caller_open(struct se_caller *c, uint32_t max_nodes)
{
    struct se_wire m = { .type = SE_WIRE_ERROR };
    int r = 0;
    c->hello = (struct se_wire_hello){ .nonce = se_clock_ns() ^ (uint64_t)getpid() << 40,
                                       .top_p = 1,
                                       .tokens = 1,
                                       .caps = SE_WIRE_CAN_ALL,
                                       .max_nodes = (uint16_t)max_nodes,
                                       .version_min = SE_WIRE_VERSION,
                                       .version_max = SE_WIRE_VERSION,
                                       .speculate = SE_WIRE_SPECULATE_OFF };
    uint64_t start_ns = 0;
    for (int i = 0; i < HELLOS && r == 0 && m.type == SE_WIRE_ERROR; i++) {
        const struct se_wire hello = { .type = SE_WIRE_HELLO, .hello = c->hello };
        start_ns = se_clock_ns();
        r = se_caller_say(c, &hello, NULL);
        if (r == 0)
            r = se_caller_await(c, SE_WIRE_WELCOME, true, &m);
        if (r == 0 && m.type == SE_WIRE_ERROR)
            r = learn(c, &m.error);
        c->hello.nonce++;
    }
    if (r == 0 && m.type == SE_WIRE_ERROR)
        r = se_fail(-EPROTO, "the server says no: %s", m.error.text);
    if (r != 0)
        return r;
    c->welcome_ns = se_clock_ns() - start_ns;
    c->session = m.session;
    c->welcome = m.welcome;
    if (max_nodes > c->welcome.max_nodes)
        return se_fail(-E2BIG, "the server takes trees of %d drafted nodes, not of %d",
                       c->welcome.max_nodes - 1, (int)max_nodes - 1);
    if (max_nodes > se_caller_ids(c))
        return se_fail(-E2BIG, "the server's vocabulary has too few ids for such a tree");
    return 0;
}

uint32_t se_caller_ids(const struct se_caller *c)
{
    return c->welcome.vocab < c->hello.tokens ? c->welcome.vocab : c->hello.tokens;
}

int se_caller_counters(const char *url, uint64_t value[], uint32_t n, bool *known)
{
    struct se_caller c;
    struct se_wire m = { .type = SE_WIRE_STATS };
    uint32_t first = 0;
    int r = se_caller_connect(&c, url, 0);
    do {
        const struct se_wire question = { .type = SE_WIRE_STATS,
                                          .stats = { .first = (uint16_t)first } };
        if (r == 0)
            r = se_caller_say(&c, &question, NULL);
        if (r == 0)
            r = se_caller_await(&c, SE_WIRE_STATS, false, &m);
        if (r != 0)
            break;
        for (uint32_t i = 0; i < m.stats.n && first < n; i++)
            value[first++] = m.stats.value[i];
    } while (m.stats.n > 0 && first < n);
    *known = r == 0 && first == n && m.stats.schema == se_counter_schema();
    se_caller_close(&c);
    return r;
}
