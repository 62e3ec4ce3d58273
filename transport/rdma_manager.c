/* SPDX-License-Identifier: Apache-2.0 */
/* A connection is made by three events at the edge, and by one question to the server.
 *
 *   hello   bytes
 *   0       8   a name with a version
 *   8       4   the size of the chunks that the other end may fill
 *   12      4   their number
 *   16      4   slots that it may write into in place of them; an edge: 1, it would. 0: none
 *   20      4   their key
 *   24      8   their address
 *
 * Everything from 16 on may be missing. */
#include <errno.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "transport/rdma_inside.h"

enum {
    HELLO_B = 32,
    HELLO_LEAST_B = 16,
    CHUNK_LEAST_B = 64,
    WINDOW_MOST = 4096,
    RESOLVE_MS = 2000,
    BACKLOG = 128
};
static const unsigned char greeting[8] = { 's', 'e', '-', 'r', 'd', 'm', 'a', 1 };
static const char full[] = "full", foreign[] = "foreign";

void se_rdma_manager_try_later(struct se_rdma *e)
{
    const struct se_link_options *o = &e->options;
    e->next_try_ns = se_clock_ns() + e->pause_ns;
    e->pause_ns = e->pause_ns < o->retry_max_ns / 2 ? e->pause_ns * 2 : o->retry_max_ns;
}

/* What an event says; it is acknowledged before it is acted on, because an id waits for that
 * before it goes. */
struct event {
    enum rdma_cm_event_type type;
    struct rdma_cm_id *id, *door;
    int status;
    unsigned char words[HELLO_B];
    uint32_t n_words;
};

struct hello {
    uint32_t chunk_b, n, slots, slot_key;
    uint64_t slots_at;
};

static void write_number(unsigned char *to, uint64_t number, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        to[i] = (unsigned char)(number >> 8 * i);
}

static uint64_t read_number(const unsigned char *from, int n_bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < n_bytes; i++)
        number |= (uint64_t)from[i] << 8 * i;
    return number;
}

static void write_hello(unsigned char words[HELLO_B], const struct hello *hello)
{
    memcpy(words, greeting, sizeof(greeting));
    write_number(words + 8, hello->chunk_b, 4);
    write_number(words + 12, hello->n, 4);
    write_number(words + 16, hello->slots, 4);
    write_number(words + 20, hello->slot_key, 4);
    write_number(words + 24, hello->slots_at, 8);
}

/* False when it is none, or asks for what cannot be. */
static bool read_hello(const struct event *event, struct hello *hello)
{
    const unsigned char *words = event->words;
    if (event->n_words < HELLO_LEAST_B || memcmp(words, greeting, sizeof(greeting)) != 0)
        return false;
    *hello = (struct hello){ .chunk_b = (uint32_t)read_number(words + 8, 4),
                             .n = (uint32_t)read_number(words + 12, 4) };
    if (event->n_words >= HELLO_B) {
        hello->slots = (uint32_t)read_number(words + 16, 4);
        hello->slot_key = (uint32_t)read_number(words + 20, 4);
        hello->slots_at = read_number(words + 24, 8);
    }
    return hello->chunk_b >= CHUNK_LEAST_B && hello->chunk_b <= SE_FRAME_MAX &&
           hello->n >= SE_RDMA_BASE && hello->n <= WINDOW_MOST;
}

/* What the other end can take. */
static void set_window(struct se_rdma *l, struct se_rdma_conn *c, const struct hello *hello)
{
    c->piece_b = hello->chunk_b < l->shape.out_b ? hello->chunk_b : l->shape.out_b;
    c->window = c->credits = hello->n;
}

static const struct se_rdma_door *door_of(const struct se_rdma *l, const struct rdma_cm_id *id)
{
    for (uint32_t i = 0; i < l->n_doors; i++) {
        if (l->door[i].id == id)
            return &l->door[i];
    }
    return NULL;
}

static void turn_away(struct rdma_cm_id *id, const char *why, size_t size_b)
{
    rdma_reject(id, why, (uint8_t)size_b);
    rdma_destroy_id(id);
}

/* Somebody asks for a connection. */
static void greet(struct se_rdma *s, const struct event *event)
{
    const struct se_rdma_door *door = door_of(s, event->door);
    unsigned char words[HELLO_B];
    struct hello theirs;
    struct se_rdma_gear *gear;
    if (s->closed || door == NULL || !read_hello(event, &theirs)) {
        turn_away(event->id, foreign, sizeof(foreign));
        return;
    }
    const uint32_t at = se_rdma_seat_take(s, event->id);
    if (at == SE_RDMA_NONE || se_rdma_gear_for(s, event->id->verbs, &gear) < 0 ||
        se_rdma_seat_join(s, at, gear, &door->url) < 0) {
        rdma_reject(event->id, full, sizeof(full));
        if (at == SE_RDMA_NONE)
            rdma_destroy_id(event->id);
        else
            se_rdma_seat_free(s, at);
        return;
    }
    struct se_rdma_conn *c = &s->conn[at];
    set_window(s, c, &theirs);
    struct hello ours = { .chunk_b = s->shape.in_b, .n = c->granted };
    if (door->url.write && theirs.slots > 0 && se_rdma_gear_take_slots(s, c, c->granted)) {
        ours.slots = c->n_slots;
        ours.slots_at = (uintptr_t)se_verbs_slot(c->gear, c->first_slot);
        ours.slot_key = se_verbs_slot_key(c->gear);
    }
    write_hello(words, &ours);
    struct rdma_conn_param answer = { .private_data = words,
                                      .private_data_len = HELLO_B,
                                      .rnr_retry_count = (uint8_t)door->url.rnr_retry };
    if (rdma_accept(event->id, &answer) < 0)
        se_rdma_seat_free(s, at);
}

/* The edge's connection in its steps: an address of ours and a device, a route, a queue pair. */
static int edge_step(struct se_rdma *e, const struct event *event)
{
    unsigned char words[HELLO_B];
    struct se_rdma_gear *gear;
    struct se_rdma_conn *c = &e->conn[0];
    if (event->type == RDMA_CM_EVENT_ADDR_RESOLVED)
        return rdma_resolve_route(c->id, RESOLVE_MS) < 0 ? -errno : 0;
    int r = se_rdma_gear_for(e, c->id->verbs, &gear);
    if (r == 0)
        r = se_rdma_seat_join(e, 0, gear, &e->to);
    if (r < 0)
        return r;
    const struct hello ours = { .chunk_b = e->shape.in_b,
                                .n = c->granted,
                                .slots = (uint32_t)e->to.write };
    write_hello(words, &ours);
    struct rdma_conn_param asked = { .private_data = words,
                                     .private_data_len = HELLO_B,
                                     .retry_count = (uint8_t)e->to.retry,
                                     .rnr_retry_count = (uint8_t)e->to.rnr_retry };
    return rdma_connect(c->id, &asked) < 0 ? -errno : 0;
}

static void edge_fail(struct se_rdma *e, const char *why)
{
    snprintf(e->trouble, sizeof(e->trouble), "%s", why);
    se_rdma_seat_free(e, 0);
    se_rdma_manager_try_later(e);
}

static const char no_answer[] =
    "nobody answers over RDMA there: is the server's device up (rdma link), and UDP port 4791 open "
    "on the way?";

void se_rdma_manager_give_up(struct se_rdma *e) { edge_fail(e, no_answer); }

/* What an end before the beginning means, and what helps. */
static const char *why_not(const struct event *event)
{
    enum { NOBODY = 8, BY_SERVER = 28 }; /* reasons of the InfiniBand specification */
    if (event->type == RDMA_CM_EVENT_ADDR_ERROR || event->type == RDMA_CM_EVENT_ROUTE_ERROR)
        return "nobody has that address, or no RDMA device of this machine has a way there (ip "
               "neigh; "
               "rdma link; ip route get HOST)";
    if (event->type == RDMA_CM_EVENT_DEVICE_REMOVAL)
        return "the RDMA device was taken away";
    if (event->type != RDMA_CM_EVENT_REJECTED)
        return no_answer;
    if (event->status == BY_SERVER && event->n_words >= sizeof(full) &&
        memcmp(event->words, full, sizeof(full)) == 0)
        return "the server has no room for more peers";
    if (event->status == BY_SERVER)
        return "it speaks another version of this link, or something else";
    return event->status == NOBODY ? "no server listens on that port (ss does not list it: rdma "
                                     "resource show cm_id)"
                                   : "it turned the connection down";
}

static void established(struct se_rdma *l, uint32_t at, const struct event *event)
{
    struct se_rdma_conn *c = &l->conn[at];
    struct hello theirs;
    if (l->listens) {
        se_rdma_seat_fill(l, at);
    } else if (!read_hello(event, &theirs) || (theirs.slots > 0 && theirs.slots < theirs.n)) {
        edge_fail(l, "it speaks another version of this link");
    } else {
        set_window(l, c, &theirs);
        if (l->to.write) {
            c->n_slots = theirs.slots;
            c->slots_at = theirs.slots_at;
            c->slot_key = theirs.slot_key;
            c->slot_b = theirs.chunk_b;
        }
        se_rdma_seat_fill(l, at);
        l->trouble[0] = 0;
    }
}

static void ended(struct se_rdma *l, uint32_t at, const struct event *event)
{
    if (l->conn[at].seat != SE_RDMA_ASKED)
        se_rdma_seat_end(l, at);
    else if (l->listens)
        se_rdma_seat_free(l, at);
    else
        edge_fail(l, why_not(event));
}

/* A device goes, and waits until everything on it has gone. */
static void device_gone(struct se_rdma *l, const struct event *event)
{
    const uintptr_t number = (uintptr_t)event->id->context;
    se_rdma_gear_die(l, event->id->verbs);
    for (uint32_t i = 0; i < l->n_doors && number == 0; i++) {
        if (l->door[i].id == event->id) {
            rdma_destroy_id(event->id);
            l->door[i].id = NULL; /* it is opened again by and by */
        }
    }
    if (number != 0)
        ended(l, (uint32_t)number - 1, event);
}

static void act_on(struct se_rdma *l, const struct event *event)
{
    const uint32_t at = (uint32_t)(uintptr_t)event->id->context - 1;
    if (event->type == RDMA_CM_EVENT_CONNECT_REQUEST) {
        greet(l, event);
        return;
    }
    if (event->type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
        device_gone(l, event);
        return;
    }
    if (at >= l->n_conns || l->conn[at].id != event->id)
        return;
    switch (event->type) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
        se_err_clear();
        if (edge_step(l, event) < 0)
            edge_fail(l, se_err_text());
        break;
    case RDMA_CM_EVENT_ESTABLISHED:
        established(l, at, event);
        break;
    case RDMA_CM_EVENT_TIMEWAIT_EXIT:
        break;
    default:
        ended(l, at, event);
    }
}

bool se_rdma_manager_look(struct se_rdma *l)
{
    struct rdma_cm_event *raw;
    bool any = false;
    while (l->channel != NULL && rdma_get_cm_event(l->channel, &raw) == 0) {
        struct event event = {
            .type = raw->event, .id = raw->id, .door = raw->listen_id, .status = raw->status
        };
        const uint32_t len = raw->param.conn.private_data_len;
        if ((raw->event == RDMA_CM_EVENT_CONNECT_REQUEST ||
             raw->event == RDMA_CM_EVENT_ESTABLISHED || raw->event == RDMA_CM_EVENT_REJECTED) &&
            raw->param.conn.private_data != NULL) {
            event.n_words = len < HELLO_B ? len : HELLO_B;
            memcpy(event.words, raw->param.conn.private_data, event.n_words);
        }
        rdma_ack_cm_event(raw);
        act_on(l, &event);
        any = true;
    }
    return any;
}

int se_rdma_manager_open(struct se_rdma *s, struct se_rdma_door *door)
{
    struct rdma_cm_id *id;
    if (rdma_create_id(s->channel, &id, NULL, RDMA_PS_TCP) < 0)
        return -errno;
    if (rdma_bind_addr(id, &door->url.address.any) < 0 || rdma_listen(id, BACKLOG) < 0) {
        const int r = -errno;
        rdma_destroy_id(id);
        return r;
    }
    door->id = id;
    return 0;
}

void se_rdma_manager_begin(struct se_rdma *e)
{
    struct rdma_cm_id *id;
    if (e->closed || e->busy > 0 || se_clock_ns() < e->next_try_ns)
        return;
    if (rdma_create_id(e->channel, &id, NULL, RDMA_PS_TCP) < 0) {
        se_rdma_manager_try_later(e);
        return;
    }
    se_rdma_seat_take(e, id);
    struct sockaddr *own = e->to.own.any.sa_family != 0 ? &e->to.own.any : NULL;
    if (rdma_resolve_addr(id, own, &e->to.address.any, RESOLVE_MS) < 0)
        edge_fail(e, strerror(errno));
}
