/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/faulty.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"

enum { HELD_MAX = 256 };

struct held {
    uint64_t due_ns;
    se_link_peer peer;
    struct se_frame *frame; /* or NULL: an outcome */
    int outcome;
};

/* Earliest first; of two due at once, the one that came first. */
struct way {
    struct held held[HELD_MAX];
    uint32_t n;
    uint64_t last_ns; /* when the latest in order is due */
};

struct faulty {
    struct se_link link;
    struct se_link *inner;
    struct se_faulty_options options;
    struct se_rng rng;
    uint64_t cut_until_ns;
    struct way in, out;
};

static void hold(struct way *way, const struct held *item)
{
    uint32_t at = way->n++;
    for (; at > 0 && way->held[at - 1].due_ns > item->due_ns; at--)
        way->held[at] = way->held[at - 1];
    way->held[at] = *item;
}

static void shift(struct way *way)
{
    memmove(way->held, way->held + 1, --way->n * sizeof(way->held[0]));
}

static bool chance(struct faulty *f, double share)
{
    return share > 0 && se_rng_unit(&f->rng) < share;
}

static uint64_t now_of(const struct faulty *f) { return f->options.now_ns(f->options.clock); }

static uint64_t due(struct faulty *f, struct way *way)
{
    const struct se_faulty_options *o = &f->options;
    uint64_t at = now_of(f) + o->delay_min_ns;
    if (o->delay_max_ns > o->delay_min_ns)
        at += (uint64_t)(se_rng_unit(&f->rng) * (double)(o->delay_max_ns - o->delay_min_ns));
    if (chance(f, o->late))
        return at + o->delay_max_ns + 1;
    way->last_ns = at > way->last_ns ? at : way->last_ns;
    return way->last_ns;
}

static struct se_frame *copy_of(struct faulty *f, const struct se_frame *frame)
{
    struct se_frame *copy = se_frame_get(f->options.frames);
    if (copy != NULL && copy->cap_b >= frame->len_b) {
        memcpy(copy->data, frame->data, frame->len_b);
        copy->len_b = frame->len_b;
        return copy;
    }
    se_frame_put(copy);
    return NULL;
}

/* Puts a frame on its way, once, twice or not at all. There is room for two. */
static void mishandle(struct faulty *f, struct way *way, se_link_peer peer, struct se_frame *frame)
{
    if (now_of(f) < f->cut_until_ns || chance(f, f->options.drop)) {
        se_frame_put(frame);
        return;
    }
    struct se_frame *copy = chance(f, f->options.twice) ? copy_of(f, frame) : NULL;
    hold(way, &(struct held){ due(f, way), peer, frame, 0 });
    if (copy != NULL)
        hold(way, &(struct held){ due(f, way), peer, copy, 0 });
}

static bool has_room(const struct way *way) { return way->n + 2 <= HELD_MAX; }

/* Sends what is due at until_ns, as far as there is room. */
static void pump(struct faulty *f, uint64_t until_ns)
{
    while (f->out.n > 0 && f->out.held[0].due_ns <= until_ns) {
        const struct held *first = &f->out.held[0];
        const int r = se_link_send(f->inner, first->peer, first->frame);
        if (r == SE_LINK_AGAIN)
            return;
        if (r != 0)
            se_frame_put(first->frame);
        shift(&f->out);
    }
}

static bool is_faultless(const struct faulty *f)
{
    const struct se_faulty_options *o = &f->options;
    return o->delay_max_ns == 0 && o->delay_min_ns == 0 && o->drop <= 0 && o->twice <= 0 &&
           o->late <= 0 && f->cut_until_ns == 0;
}

static int faulty_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    struct faulty *f = (struct faulty *)link;
    if (is_faultless(f))
        return se_link_send(f->inner, peer, frame);
    pump(f, now_of(f));
    if (!has_room(&f->out))
        return SE_LINK_AGAIN;
    mishandle(f, &f->out, peer, frame);
    pump(f, now_of(f));
    return 0;
}

static int faulty_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    struct faulty *f = (struct faulty *)link;
    int r = 0;
    pump(f, now_of(f));
    while (r >= 0 && r != SE_LINK_AGAIN && r != SE_LINK_DRY && r != SE_LINK_CLOSED &&
           has_room(&f->in)) {
        struct held item = { .due_ns = 0 };
        r = se_link_recv(f->inner, &item.peer, &item.frame);
        item.outcome = r;
        if (r == 0 && !is_faultless(f)) {
            mishandle(f, &f->in, item.peer, item.frame);
        } else if (r == 0 || r == SE_LINK_JOINED || r == SE_LINK_GONE) {
            item.due_ns = f->in.last_ns;
            if (r != 0)
                item.frame = NULL;
            hold(&f->in, &item);
        }
        if (f->in.n > 0 && f->in.held[0].due_ns <= now_of(f))
            break;
    }
    if (f->in.n == 0 || f->in.held[0].due_ns > now_of(f))
        return r == SE_LINK_CLOSED && f->in.n > 0 ? SE_LINK_AGAIN : r == 0 ? SE_LINK_AGAIN : r;
    const struct held first = f->in.held[0];
    shift(&f->in);
    *peer = first.peer;
    if (first.frame != NULL)
        *out = first.frame;
    return first.outcome;
}

static int faulty_wait(struct se_link *link, uint64_t ns)
{
    struct faulty *f = (struct faulty *)link;
    pump(f, now_of(f));
    const uint64_t now = now_of(f), next = se_faulty_next_ns(link);
    const bool sooner = next != UINT64_MAX && (next <= now || next - now < ns);
    if (f->in.n > 0 && f->in.held[0].due_ns <= now)
        return 0;
    /* A frame that is due and has no room is tried again each millisecond. */
    const uint64_t until = !sooner ? ns : next > now ? next - now : ns < 1000000 ? ns : 1000000;
    const int r = se_link_wait(f->inner, until);
    return r == SE_LINK_AGAIN && until < ns ? 0 : r;
}

static void faulty_wake(struct se_link *link) { se_link_wake(((struct faulty *)link)->inner); }

static bool faulty_drop(struct se_link *link, se_link_peer peer)
{
    struct faulty *f = (struct faulty *)link;
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->in.n; i++) {
        if (f->in.held[i].peer == peer)
            se_frame_put(f->in.held[i].frame);
        else
            f->in.held[n++] = f->in.held[i];
    }
    f->in.n = n;
    return f->inner->ops->drop(f->inner, peer);
}

/* What is held is sent now, before the link behind takes no more. */
static void faulty_close(struct se_link *link)
{
    struct faulty *f = (struct faulty *)link;
    pump(f, UINT64_MAX);
    se_link_close(f->inner);
}

static int faulty_drain(struct se_link *link, uint64_t ns)
{
    return se_link_drain(((struct faulty *)link)->inner, ns);
}

static void empty(struct way *way)
{
    for (uint32_t i = 0; i < way->n; i++)
        se_frame_put(way->held[i].frame);
}

static void faulty_fini(struct se_link *link)
{
    struct faulty *f = (struct faulty *)link;
    empty(&f->in);
    empty(&f->out);
    se_link_fini(f->inner);
    se_mem_free(f);
}

static const char *faulty_url(const struct se_link *link)
{
    return se_link_url(((const struct faulty *)link)->inner);
}

static const struct se_link_ops faulty_ops = {
    .name = "faulty",
    .send = faulty_send,
    .recv = faulty_recv,
    .wait = faulty_wait,
    .wake = faulty_wake,
    .drop = faulty_drop,
    .close = faulty_close,
    .drain = faulty_drain,
    .fini = faulty_fini,
    .url = faulty_url,
};

int se_faulty_wrap(struct se_link **out, struct se_link *inner,
                   const struct se_faulty_options *options)
{
    struct faulty *f = se_mem_zero(1, sizeof(*f));
    if (f == NULL)
        return se_trace(-ENOMEM);
    f->link.ops = &faulty_ops;
    f->link.frame_max_b = inner->frame_max_b;
    f->inner = inner;
    f->options = *options;
    se_rng_init(&f->rng, options->seed, SE_RNG_TEST);
    *out = &f->link;
    return 0;
}

void se_faulty_cut(struct se_link *link, uint64_t until_ns)
{
    ((struct faulty *)link)->cut_until_ns = until_ns;
}

uint64_t se_faulty_next_ns(const struct se_link *link)
{
    const struct faulty *f = (const struct faulty *)link;
    const uint64_t in = f->in.n > 0 ? f->in.held[0].due_ns : UINT64_MAX;
    const uint64_t out = f->out.n > 0 ? f->out.held[0].due_ns : UINT64_MAX;
    return in < out ? in : out;
}
