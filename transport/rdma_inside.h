/* SPDX-License-Identifier: Apache-2.0 */
/* transport/rdma_inside.h - what the files of the link over RDMA know of it.
 *
 *   rdma.c          the operations of a link, and its clock
 *   rdma_manager.c  the connection manager: who asks, who is asked, what became of it
 *   rdma_flow.c     frames in pieces, and credits for them
 *   rdma_seat.c     a connection, from the question to the end
 *   rdma_gear.c     a device
 *
 * A connection is known by its number, `at`. One thread. */
#ifndef SE_TRANSPORT_RDMA_INSIDE_H
#define SE_TRANSPORT_RDMA_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/link.h"
#include "transport/rdma_url.h"
#include "transport/verbs.h"

struct rdma_cm_id;
struct rdma_event_channel;

enum {
    SE_RDMA_DOORS_MAX = 8,
    SE_RDMA_GEARS_MAX = 4,
    SE_RDMA_URLS_B = 1024,
    SE_RDMA_TROUBLE_B = 512,
    SE_RDMA_BASE = 3 /* chunks that each peer is granted for certain */
};
#define SE_RDMA_NONE UINT32_MAX

enum se_rdma_state {
    SE_RDMA_FREE,
    SE_RDMA_ASKED,  /* a connection is being made */
    SE_RDMA_SEATED, /* it is there */
    SE_RDMA_GOING   /* it is not any more, and what came by it is told first */
};

struct se_rdma_conn {
    enum se_rdma_state seat;
    bool known;  /* JOINED was said */
    bool deaf;   /* what it sends is dropped */
    bool untold; /* its end is not told */
    bool in_news;
    uint32_t generation;
    uint32_t next; /* free, or in the news */
    uint32_t next_of_bucket;
    struct rdma_cm_id *id;
    struct se_verbs *gear;
    uint32_t qp_num;
    /* to send */
    uint32_t piece_b, window, credits, room, small_b;
    /* An edge's pieces go into slots of the server, one after the other; 0: they are sent. The
     * server knows them by the number of the first, the edge by an address. */
    uint32_t n_slots, slot, first_slot, slot_key, slot_b;
    uint64_t slots_at;
    bool wants;               /* it has asked for what the other end owes */
    struct se_frame *pending; /* at_b of it have left */
    uint32_t at_b;
    /* to receive */
    uint32_t granted, may, owed; /* pieces: at most, still to come, to be given back */
    bool wanted;                 /* the other end asked */
    unsigned char *part;         /* the pieces of a frame whose last has not come */
    uint32_t part_b;
    size_t cap_part;
    bool probed;
    uint64_t heard; /* tick */
};

/* A device, and the chunks that nobody has been granted. */
struct se_rdma_gear {
    struct se_verbs *verbs;
    uint32_t more, users;
    bool *taken; /* slot by slot; NULL: there are none */
    bool dead;   /* the device was taken away */
};

struct se_rdma_door {
    struct rdma_cm_id *id; /* NULL: its device is not there */
    struct se_rdma_url url;
};

struct se_rdma {
    struct se_link link;
    struct se_link_options options;
    struct se_verbs_shape shape; /* of what each device has for us */
    uint32_t depth;              /* messages of one connection that are under way at once */
    char url[SE_RDMA_URLS_B];
    bool listens, closed, drained, dry, slept;
    bool stale, resynced; /* librdmacm is to look what devices there are; it has, once */
    struct se_frame *spare;
    struct rdma_event_channel *channel;
    struct se_rdma_gear gear[SE_RDMA_GEARS_MAX];
    bool hurries;     /* the last recv found a frame */
    uint32_t calls;   /* of recv, since the last look */
    uint32_t readies; /* calls of ready */
    uint32_t n_gears, n_pending;
    uint64_t looked_ns, next_tick_ns, period_ns, tick;
    struct se_rdma_conn *conn; /* an edge has one */
    uint32_t n_conns, max_conns, free, news, last_news, busy;
    uint32_t *bucket, bucket_mask;
    /* server */
    struct se_rdma_door door[SE_RDMA_DOORS_MAX];
    uint32_t n_doors;
    /* edge */
    struct se_rdma_url to;
    uint64_t next_try_ns, pause_ns;
    char trouble[SE_RDMA_TROUBLE_B]; /* why the last try failed, "": it did not */
};

/* ---- seats */

/* Of whoever sits there. */
se_link_peer se_rdma_seat_handle(const struct se_rdma *l, uint32_t at);
uint64_t se_rdma_seat_tag(const struct se_rdma *l, uint32_t at);

/* SE_RDMA_NONE when there is no such peer, or no longer. */
uint32_t se_rdma_seat_find(const struct se_rdma *l, se_link_peer peer);
uint32_t se_rdma_seat_find_pair(struct se_rdma *l, const struct se_verbs *gear, uint32_t qp_num);

/* A free one, for a connection that is being made, which is the seat's from then on; SE_RDMA_NONE:
 * there is none. */
uint32_t se_rdma_seat_take(struct se_rdma *l, struct rdma_cm_id *id);

/* A queue pair for a seat, and what its other end may send. 0 or -errno. */
int se_rdma_seat_join(struct se_rdma *l, uint32_t at, struct se_rdma_gear *gear,
                      const struct se_rdma_url *url);

/* The connection is there. */
void se_rdma_seat_fill(struct se_rdma *l, uint32_t at);

/* Why it is about to be over, for the user. sending: what we sent did not get there. */
void se_rdma_seat_lost(struct se_rdma *l, const char *why, bool sending);

/* It is over. What arrived by it is told, then its end, and then the seat is freed. */
void se_rdma_seat_end(struct se_rdma *l, uint32_t at);

/* The same; the other end broke the rules, and what it says is not listened to any more. */
void se_rdma_seat_cut(struct se_rdma *l, uint32_t at);

/* Its queue pair goes, and everything that it held is free. */
void se_rdma_seat_free(struct se_rdma *l, uint32_t at);

/* The frame that waits is lost. */
void se_rdma_seat_drop_pending(struct se_rdma *l, struct se_rdma_conn *c);

/* ---- gears */

/* What each device is to have for this link, and slots to write into beside it. */
void se_rdma_gear_plan(struct se_rdma *l);
void se_rdma_gear_plan_slots(struct se_rdma *l);

/* The device's, made when it is not there yet. 0, or -errno, with a sentence where memory or the
 * device is at fault. */
int se_rdma_gear_for(struct se_rdma *l, struct ibv_context *device, struct se_rdma_gear **out);

struct se_rdma_gear *se_rdma_gear_of(struct se_rdma *l, const struct se_verbs *verbs);

/* So many slots in a row, for the connection of a peer that wants to write; false:
 * there are none, and it sends. */
bool se_rdma_gear_take_slots(struct se_rdma *l, struct se_rdma_conn *c, uint32_t n);
void se_rdma_gear_give_slots(struct se_rdma *l, struct se_rdma_conn *c);

/* A device that was taken away, and those of them that nobody uses any more. */
void se_rdma_gear_die(struct se_rdma *l, const struct ibv_context *device);
void se_rdma_gear_free_dead(struct se_rdma *l);

/* Has librdmacm let go of devices that are gone, when there is a reason and nobody uses them. */
void se_rdma_gear_resync(struct se_rdma *l);
void se_rdma_gear_free(struct se_rdma_gear *gear);

/* ---- flow */

/* As the operation of a link, to a peer that is there. */
int se_rdma_flow_send(struct se_rdma *l, uint32_t at, struct se_frame *frame);

/* Looks at what has been completed. 0 and a frame, JOINED, DRY; AGAIN: nothing is left. */
int se_rdma_flow_look(struct se_rdma *l, se_link_peer *peer, struct se_frame **out);

/* Sends what has waited for a credit or for room. */
void se_rdma_flow_tend(struct se_rdma *l, uint32_t at);

/* After DRY: true when there is still no frame to receive into; then only one that is put helps. */
bool se_rdma_flow_is_dry(struct se_rdma *l);

/* ---- the connection manager */

/* Everything that it has to say. True when there was something. */
bool se_rdma_manager_look(struct se_rdma *l);

/* Server: listens where the door's URL says. 0 or -errno. */
int se_rdma_manager_open(struct se_rdma *s, struct se_rdma_door *door);

/* Edge: begins to connect, when it is time. */
void se_rdma_manager_begin(struct se_rdma *e);

/* Edge: the connection has come to nothing, or to an end; the next try is after a pause. */
void se_rdma_manager_give_up(struct se_rdma *e);
void se_rdma_manager_try_later(struct se_rdma *e);

#endif
