/* SPDX-License-Identifier: Apache-2.0 */
/* Seats are taken again, and a queue pair's number is found by a table of buckets. */
#include <errno.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>

#include "runtime/base/mem.h"
#include "transport/rdma_inside.h"

/* Of the chunks that are there beyond everybody's own: one in so many, and at most so many. */
enum { SHARE = 32, MORE_MAX = 64 };

se_link_peer se_rdma_seat_handle(const struct se_rdma *l, uint32_t at)
{
    return l->listens ? (se_link_peer)l->conn[at].generation << 32 | (at + 1) : SE_LINK_SERVER;
}

uint32_t se_rdma_seat_find(const struct se_rdma *l, se_link_peer peer)
{
    const uint32_t at = l->listens ? (uint32_t)peer - 1 : 0;
    const bool there = at < l->n_conns && l->conn[at].known && l->conn[at].seat != SE_RDMA_FREE &&
                       !l->conn[at].deaf && se_rdma_seat_handle(l, at) == peer;
    return there ? at : SE_RDMA_NONE;
}

uint64_t se_rdma_seat_tag(const struct se_rdma *l, uint32_t at)
{
    return (uint64_t)(l->conn[at].generation & 0x7ffffff) << 20 | at;
}

static uint32_t *bucket_of(struct se_rdma *l, uint32_t qp_num)
{
    return &l->bucket[(qp_num * 2654435761u >> 7) & l->bucket_mask];
}

uint32_t se_rdma_seat_find_pair(struct se_rdma *l, const struct se_verbs *gear, uint32_t qp_num)
{
    uint32_t at = *bucket_of(l, qp_num);
    while (at != SE_RDMA_NONE && (l->conn[at].qp_num != qp_num || l->conn[at].gear != gear))
        at = l->conn[at].next_of_bucket;
    return at;
}

uint32_t se_rdma_seat_take(struct se_rdma *l, struct rdma_cm_id *id)
{
    uint32_t at = l->free;
    if (at != SE_RDMA_NONE)
        l->free = l->conn[at].next;
    else if (l->n_conns < l->max_conns)
        at = l->n_conns++;
    else
        return SE_RDMA_NONE;
    l->conn[at] = (struct se_rdma_conn){
        .seat = SE_RDMA_ASKED, .generation = l->conn[at].generation + 1, .id = id, .heard = l->tick
    };
    id->context = (void *)(uintptr_t)(at + 1);
    l->busy++;
    return at;
}

int se_rdma_seat_join(struct se_rdma *l, uint32_t at, struct se_rdma_gear *gear,
                      const struct se_rdma_url *url)
{
    struct se_rdma_conn *c = &l->conn[at];
    uint8_t ack_timeout = (uint8_t)url->ack_timeout;
    if (url->ack_timeout >= 0 && rdma_set_option(c->id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT,
                                                 &ack_timeout, sizeof(ack_timeout)) < 0)
        return -errno;
    const int r = se_verbs_join(gear->verbs, c->id, l->depth, (uint32_t)url->small_b, &c->small_b);
    if (r < 0)
        return r;
    uint32_t share = l->listens ? gear->more / SHARE : gear->more;
    if (l->listens && share > MORE_MAX)
        share = MORE_MAX;
    gear->more -= share;
    gear->users++;
    c->gear = gear->verbs;
    c->qp_num = c->id->qp->qp_num;
    c->next_of_bucket = *bucket_of(l, c->qp_num);
    *bucket_of(l, c->qp_num) = at;
    c->room = l->depth;
    c->granted = c->may = SE_RDMA_BASE + share;
    return 0;
}

void se_rdma_seat_drop_pending(struct se_rdma *l, struct se_rdma_conn *c)
{
    l->n_pending -= c->pending != NULL;
    se_frame_put(c->pending);
    c->pending = NULL;
}

void se_rdma_seat_free(struct se_rdma *l, uint32_t at)
{
    struct se_rdma_conn *c = &l->conn[at];
    se_rdma_seat_drop_pending(l, c);
    se_mem_free(c->part);
    if (c->id->qp != NULL) {
        uint32_t *link = bucket_of(l, c->qp_num);
        while (*link != at)
            link = &l->conn[*link].next_of_bucket;
        *link = c->next_of_bucket;
        /* [dma.keep] from here on the device reads nothing of what it sent. */
        rdma_destroy_qp(c->id);
        se_verbs_part(c->gear, se_rdma_seat_tag(l, at), l->depth - c->room);
        se_rdma_gear_of(l, c->gear)->more += c->granted - SE_RDMA_BASE;
        se_rdma_gear_of(l, c->gear)->users--;
        se_rdma_gear_give_slots(l, c);
    }
    rdma_destroy_id(c->id);
    c->seat = SE_RDMA_FREE;
    c->known = false;
    c->id = NULL;
    c->next = l->free;
    l->free = at;
    l->busy--;
}

static void news_append(struct se_rdma *l, uint32_t at)
{
    if (l->conn[at].in_news)
        return;
    l->conn[at].in_news = true;
    l->conn[at].next = SE_RDMA_NONE;
    if (l->news == SE_RDMA_NONE)
        l->news = at;
    else
        l->conn[l->last_news].next = at;
    l->last_news = at;
}

void se_rdma_seat_lost(struct se_rdma *l, const char *why, bool sending)
{
    snprintf(l->trouble, sizeof(l->trouble), "the connection was lost: %s%s", why,
             sending ? "; if only long frames are, compare the MTU of both ends (ibv_devinfo, ip "
                       "link) and of what is between them"
                     : "");
}

void se_rdma_seat_end(struct se_rdma *l, uint32_t at)
{
    struct se_rdma_conn *c = &l->conn[at];
    if (c->seat == SE_RDMA_FREE || c->seat == SE_RDMA_GOING)
        return;
    se_rdma_seat_drop_pending(l, c);
    if (c->id->qp != NULL) {
        /* [dma.end] nothing arrives behind this, and what did is found by the next look. */
        struct ibv_qp_attr error = { .qp_state = IBV_QPS_ERR };
        rdma_disconnect(c->id);
        ibv_modify_qp(c->id->qp, &error, IBV_QP_STATE);
    }
    c->seat = SE_RDMA_GOING;
    news_append(l, at);
}

void se_rdma_seat_cut(struct se_rdma *l, uint32_t at)
{
    l->conn[at].deaf = true;
    se_rdma_seat_end(l, at);
}

void se_rdma_seat_fill(struct se_rdma *l, uint32_t at)
{
    if (l->conn[at].seat != SE_RDMA_ASKED)
        return;
    l->conn[at].seat = SE_RDMA_SEATED;
    l->conn[at].heard = l->tick;
    news_append(l, at);
}
