/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, credits, and who is there.
 *
 *   edge                                                       server
 *   connect: hello ────────── connection manager ──────────►  request: hello, a seat
 *   JOINED ◄─────────────────  accept: hello ◄──────────────  JOINED, or when a frame comes first
 *   pieces, credits ═════════════ queue pairs ══════════════  pieces, credits
 *   GONE ◄──────────────── disconnected, or silence ────────► GONE
 *
 * What each of the files is for stands in transport/rdma_inside.h. */
#include "transport/rdma.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/rdma_inside.h"

enum { LOOK_EVERY = 64, LOOK_AT_LAST = 1024, READIES = 16 };
#define LOOK_NS 1000000u /* asking the connection manager is a system call */

static int rdma_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    struct se_rdma *l = (struct se_rdma *)link;
    if (l->closed)
        return SE_LINK_CLOSED;
    const uint32_t at = se_rdma_seat_find(l, peer);
    const bool there = at != SE_RDMA_NONE && l->conn[at].seat == SE_RDMA_SEATED;
    return there ? se_rdma_flow_send(l, at, frame) : SE_LINK_GONE;
}

/* Who came and who went; the last look for completions was after that. */
static int tell_news(struct se_rdma *l, se_link_peer *peer)
{
    while (l->news != SE_RDMA_NONE) {
        const uint32_t at = l->news;
        struct se_rdma_conn *c = &l->conn[at];
        l->news = c->next;
        c->in_news = false;
        *peer = se_rdma_seat_handle(l, at);
        if (c->seat == SE_RDMA_GOING) {
            const bool told = c->known && !c->untold;
            se_rdma_seat_free(l, at);
            /* Being asked for all devices it has opened all, and would hold the next that goes. */
            l->stale |= l->resynced;
            if (!l->listens)
                se_rdma_manager_try_later(l);
            if (told)
                return SE_LINK_GONE;
        } else if (!c->known) {
            c->known = true;
            return SE_LINK_JOINED;
        }
    }
    return SE_LINK_AGAIN;
}

/* ---- the clock
 *
 * Time is counted in ticks, so that no frame has to ask for it, and a process that was stopped
 * does not take its own absence for the others' silence. */

static uint64_t ticks_of(const struct se_rdma *l, uint64_t ns)
{
    return (ns + l->period_ns - 1) / l->period_ns;
}

/* A device that acknowledges is a sign of life, also when the process there has other things to do:
 * a draft model that reads a long prompt. */
static void tick_for(struct se_rdma *l, uint32_t at)
{
    struct se_rdma_conn *c = &l->conn[at];
    const uint64_t since = l->tick - c->heard;
    const bool silent = since > ticks_of(l, l->options.silence_ns);
    if (c->seat == SE_RDMA_ASKED && silent && l->listens) {
        se_rdma_seat_free(l, at);
    } else if (c->seat == SE_RDMA_ASKED && silent) {
        se_rdma_manager_give_up(l);
    } else if (c->seat == SE_RDMA_SEATED && silent) {
        se_rdma_seat_lost(l, "the other end's device acknowledges nothing", true);
        se_rdma_seat_end(l, at);
    } else if (c->seat == SE_RDMA_SEATED && !c->probed && c->room > 0 &&
               since >= ticks_of(l, l->options.heartbeat_ns) &&
               se_verbs_has_room(c->gear, 1, true)) {
        if (se_verbs_probe(c->gear, c->id->qp, se_rdma_seat_tag(l, at)) < 0) {
            se_rdma_seat_end(l, at);
            return;
        }
        c->probed = true;
        c->room--;
    }
}

static void tick(struct se_rdma *l, uint64_t now_ns)
{
    l->next_tick_ns = now_ns + l->period_ns;
    l->tick++;
    for (uint32_t i = 0; i < l->n_conns && l->busy > 0; i++) {
        se_rdma_flow_tend(l, i);
        tick_for(l, i);
    }
    se_rdma_gear_resync(l);
    for (uint32_t i = 0; i < l->n_doors && !l->closed; i++) {
        if (l->door[i].id == NULL && se_rdma_manager_open(l, &l->door[i]) < 0)
            continue; /* by and by */
    }
}

/* All but completions. True when something may have changed. */
static bool look(struct se_rdma *l)
{
    const uint64_t now_ns = se_clock_ns();
    bool any = se_rdma_manager_look(l);
    if (l->slept) {
        for (uint32_t i = 0; i < l->n_gears; i++)
            se_verbs_heard(l->gear[i].verbs);
    }
    l->slept = false;
    l->calls = 0;
    l->looked_ns = now_ns;
    se_rdma_gear_free_dead(l);
    if (now_ns >= l->next_tick_ns) {
        tick(l, now_ns);
        any = true;
    }
    if (!l->listens)
        se_rdma_manager_begin(l);
    return any;
}

static bool is_due(const struct se_rdma *l)
{
    return l->slept || l->closed || se_clock_ns() - l->looked_ns >= LOOK_NS;
}

static int rdma_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    struct se_rdma *l = (struct se_rdma *)link;
    if (l->drained)
        return SE_LINK_CLOSED;
    /* Right after a frame a call only finds out that there are no more; then it is acted on. */
    const bool hurries = l->hurries && !l->closed;
    if (++l->calls >= (hurries ? LOOK_AT_LAST : LOOK_EVERY))
        look(l);
    for (;;) {
        int r = se_rdma_flow_look(l, peer, out);
        l->hurries = r == 0;
        if (r == SE_LINK_AGAIN)
            r = tell_news(l, peer);
        if (r != SE_LINK_AGAIN)
            return r;
        if (hurries || !is_due(l) || !look(l))
            return l->closed ? SE_LINK_CLOSED : SE_LINK_AGAIN;
    }
}

static bool has_work(struct se_rdma *l)
{
    struct se_verbs_done done;
    for (uint32_t i = 0; i < l->n_gears; i++) {
        if (!l->gear[i].dead && se_verbs_peek(l->gear[i].verbs, &done))
            return true;
    }
    return l->news != SE_RDMA_NONE;
}

static bool rdma_ready(struct se_link *link)
{
    struct se_rdma *l = (struct se_rdma *)link;
    if (l->drained)
        return false;
    if (l->dry)
        return !se_rdma_flow_is_dry(l);
    /* A look now and then also when there is work that nobody does. The clock is read now and then
     * as well: it costs more than to see that nothing has come. */
    const bool work = has_work(l);
    return (++l->readies % READIES == 0 && is_due(l) && look(l)) || work;
}

static void no_later_than(struct se_link_sleep *sleep, uint64_t then_ns)
{
    const uint64_t now_ns = se_clock_ns(), left = then_ns > now_ns ? then_ns - now_ns : 0;
    sleep->ns = left < sleep->ns ? left : sleep->ns;
}

static bool rdma_arm(struct se_link *link, struct se_link_sleep *sleep)
{
    struct se_rdma *l = (struct se_rdma *)link;
    if (l->drained)
        return false;
    if (l->dry)
        return !se_rdma_flow_is_dry(l);
    if (l->slept)
        look(l); /* who only waits lets others in all the same */
    for (uint32_t i = 0; i < l->n_gears; i++) {
        if (l->gear[i].dead)
            continue;
        se_verbs_arm(l->gear[i].verbs, l->n_pending > 0);
        se_link_watch(sleep, se_verbs_fd(l->gear[i].verbs));
    }
    l->slept = true;
    /* [dma.arm] the look after the request for an event. */
    if (has_work(l))
        return true;
    se_link_watch(sleep, l->channel->fd);
    if (l->busy > 0 || l->stale)
        no_later_than(sleep, l->next_tick_ns);
    else if (!l->listens && !l->closed)
        no_later_than(sleep, l->next_try_ns);
    return false;
}

static bool rdma_drop(struct se_link *link, se_link_peer peer)
{
    struct se_rdma *l = (struct se_rdma *)link;
    const uint32_t at = l->listens ? se_rdma_seat_find(l, peer) : SE_RDMA_NONE;
    if (at == SE_RDMA_NONE)
        return false;
    l->conn[at].untold = true;
    se_rdma_seat_cut(l, at);
    return true;
}

/* ---- the end */

static void rdma_close(struct se_link *link)
{
    struct se_rdma *l = (struct se_rdma *)link;
    l->closed = true;
    for (uint32_t i = 0; i < l->n_doors; i++) {
        if (l->door[i].id != NULL)
            rdma_destroy_id(l->door[i].id);
        l->door[i].id = NULL;
    }
}

static bool is_under_way(const struct se_rdma *l)
{
    for (uint32_t i = 0; i < l->n_conns; i++) {
        const struct se_rdma_conn *c = &l->conn[i];
        if (c->seat == SE_RDMA_SEATED && (c->pending != NULL || c->room < l->depth))
            return true;
    }
    return false;
}

/* What the device has acknowledged lies in the other end's memory. */
static int rdma_drain(struct se_link *link, uint64_t ns)
{
    static const struct timespec pause = { .tv_nsec = 50000 };
    struct se_rdma *l = (struct se_rdma *)link;
    const uint64_t end_ns = se_clock_ns() + ns;
    struct se_frame *frame;
    se_link_peer peer;
    l->drained = true;
    for (;;) {
        se_rdma_flow_look(l, &peer, &frame);
        se_rdma_manager_look(l);
        if (!is_under_way(l))
            return 0;
        if (se_clock_ns() >= end_ns)
            return SE_LINK_AGAIN;
        nanosleep(&pause, NULL);
    }
}

static void rdma_fini(struct se_link *link)
{
    struct se_rdma *l = (struct se_rdma *)link;
    rdma_close(link);
    for (uint32_t i = 0; i < l->n_conns; i++) {
        if (l->conn[i].seat == SE_RDMA_FREE)
            continue;
        rdma_disconnect(l->conn[i].id);
        se_rdma_seat_free(l, i);
    }
    for (uint32_t i = 0; i < l->n_gears; i++)
        se_rdma_gear_free(&l->gear[i]);
    if (l->channel != NULL)
        rdma_destroy_event_channel(l->channel);
    se_link_base_fini(link);
    se_frame_put(l->spare);
    se_mem_free(l->conn);
    se_mem_free(l->bucket);
    se_mem_free(l);
}

static const char *rdma_url(const struct se_link *link)
{
    return ((const struct se_rdma *)link)->url;
}

static const char *rdma_trouble(struct se_link *link)
{
    const struct se_rdma *l = (const struct se_rdma *)link;
    return l->trouble[0] != 0 ? l->trouble : NULL;
}

/* ---- the beginning */

static int new_seats(struct se_rdma *l)
{
    uint32_t n = 1;
    l->max_conns = l->listens ? l->options.peers_max : 1;
    while (n < l->max_conns)
        n *= 2;
    l->conn = se_mem_zero(l->max_conns, sizeof(*l->conn));
    l->bucket = se_mem_new(n, sizeof(*l->bucket));
    if (l->conn == NULL || l->bucket == NULL)
        return -ENOMEM;
    memset(l->bucket, 0xff, n * sizeof(*l->bucket)); /* SE_RDMA_NONE */
    l->bucket_mask = n - 1;
    return 0;
}

static int rdma_new(struct se_rdma **out, const char *url, const struct se_link_options *options,
                    bool listens)
{
    struct se_rdma *l = se_mem_zero(1, sizeof(*l));
    if (l == NULL)
        return se_trace(-ENOMEM);
    int r = se_link_base_init(&l->link, &se_rdma_ops, options);
    l->options = *options;
    l->listens = listens;
    se_rdma_gear_plan(l);
    l->free = l->news = SE_RDMA_NONE;
    l->pause_ns = options->retry_ns;
    l->period_ns = options->heartbeat_ns / 2 > 1000000 ? options->heartbeat_ns / 2 : 1000000;
    l->next_tick_ns = se_clock_ns() + l->period_ns;
    if (r == 0)
        r = new_seats(l);
    if (r == 0 && (l->channel = rdma_create_event_channel()) == NULL)
        r = -errno;
    if (r == 0 && fcntl(l->channel->fd, F_SETFL, O_NONBLOCK) < 0)
        r = -errno;
    if (r < 0) {
        rdma_fini(&l->link);
        return se_fail(r, "'%s': cannot make a link: %s", url, strerror(-r));
    }
    *out = l;
    return 0;
}

/* The memory is pinned here, where it can still be said that it cannot be. */
static int prepare_devices(struct se_rdma *s, struct ibv_context *only)
{
    struct se_rdma_gear *gear;
    int n = 0, r = 0;
    if (only != NULL)
        return se_rdma_gear_for(s, only, &gear);
    struct ibv_context **list = rdma_get_devices(&n);
    if (list == NULL)
        return se_fail(-errno, "the RDMA devices cannot be opened: %s (ls -l /dev/infiniband)",
                       strerror(errno));
    for (int i = 0; r == 0 && i < n && i < SE_RDMA_GEARS_MAX; i++)
        r = se_rdma_gear_for(s, list[i], &gear);
    rdma_free_devices(list);
    return r;
}

static int listen_at(struct se_link *link, const char *url)
{
    struct se_rdma *s = (struct se_rdma *)link;
    struct se_rdma_door *door = &s->door[s->n_doors];
    if (s->n_doors == SE_RDMA_DOORS_MAX)
        return se_fail(-EINVAL, "'%s': more than %d URLs", url, SE_RDMA_DOORS_MAX);
    int r = se_rdma_url_read(&door->url, url, true);
    if (r < 0)
        return r;
    if (door->url.write)
        se_rdma_gear_plan_slots(s);
    r = se_rdma_manager_open(s, door);
    if (r == -ENODEV || r == -EADDRNOTAVAIL)
        return se_fail(
            r, "cannot listen on '%s': no RDMA device has this address (rdma link; ip addr)", url);
    if (r < 0)
        return se_fail(r, "cannot listen on '%s': %s", url, strerror(-r));
    s->n_doors++;
    door->url.port = ntohs(rdma_get_src_port(door->id));
    if (door->url.address.any.sa_family == AF_INET6)
        door->url.address.v6.sin6_port = htons((uint16_t)door->url.port);
    else
        door->url.address.v4.sin_port = htons((uint16_t)door->url.port);
    const size_t at = strlen(s->url);
    if (at > 0 && at + 1 < sizeof(s->url))
        strcat(s->url, ",");
    se_rdma_url_write(&door->url, door->url.port, s->url + strlen(s->url),
                      sizeof(s->url) - strlen(s->url));
    return 0;
}

static int rdma_listen_on(struct se_link **out, const char *urls,
                          const struct se_link_options *options)
{
    struct se_rdma *s = NULL;
    struct se_link *link;
    int r = se_rdma_check_devices(urls);
    if (r == 0)
        r = rdma_new(&s, urls, options, true);
    if (r < 0)
        return r;
    r = se_link_open_each(&link, &s->link, urls, listen_at);
    if (r < 0)
        return r;
    for (uint32_t i = 0; r == 0 && i < s->n_doors; i++)
        r = prepare_devices(s, s->door[i].id->verbs);
    if (r < 0)
        rdma_fini(link);
    else
        *out = link;
    return r;
}

static int rdma_connect_to(struct se_link **out, const char *url,
                           const struct se_link_options *options)
{
    struct se_rdma_url to;
    struct se_rdma *e = NULL;
    int r = se_rdma_url_read(&to, url, false);
    if (r == 0)
        r = rdma_new(&e, url, options, false);
    if (r < 0)
        return r;
    e->to = to;
    snprintf(e->url, sizeof(e->url), "%s", url);
    *out = &e->link;
    return 0;
}

const struct se_link_ops se_rdma_ops = {
    .name = "rdma",
    .listen = rdma_listen_on,
    .connect = rdma_connect_to,
    .send = rdma_send,
    .recv = rdma_recv,
    .ready = rdma_ready,
    .arm = rdma_arm,
    .drop = rdma_drop,
    .close = rdma_close,
    .drain = rdma_drain,
    .fini = rdma_fini,
    .url = rdma_url,
    .trouble = rdma_trouble,
};
