/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/joint.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { TURN = 16, TAG_SHIFT = SE_LINK_PEER_TAG_SHIFT };
#define TAG_MASK ((se_link_peer)0xff << TAG_SHIFT)

struct joint {
    struct se_link link;
    struct se_link *member[SE_JOINT_MAX];
    uint32_t n, at, turn; /* at: who is asked first */
    uint32_t peers, peers_max;
    char *url;
};

static se_link_peer outside(uint32_t member, se_link_peer peer)
{
    return peer | (se_link_peer)member << TAG_SHIFT;
}

/* The member of a peer, and what it calls it. NULL: there never was such a peer. */
static struct se_link *inside(const struct joint *j, se_link_peer *peer)
{
    const uint32_t at = (uint32_t)((*peer & TAG_MASK) >> TAG_SHIFT);
    *peer &= ~TAG_MASK;
    return at < j->n ? j->member[at] : NULL;
}

static int joint_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    struct se_link *member = inside((struct joint *)link, &peer);
    return member != NULL ? member->ops->send(member, peer, frame) : SE_LINK_GONE;
}

/* What a member has to say. A peer too many is dropped before anybody hears of it. */
static int recv_from(struct joint *j, uint32_t at, se_link_peer *peer, struct se_frame **out)
{
    struct se_link *member = j->member[at];
    const int r = se_link_recv(member, peer, out);
    if (r == SE_LINK_JOINED && j->peers == j->peers_max) {
        member->ops->drop(member, *peer);
        return SE_LINK_AGAIN;
    }
    j->peers += r == SE_LINK_JOINED;
    j->peers -= r == SE_LINK_GONE;
    if (r == 0 || r == SE_LINK_JOINED || r == SE_LINK_GONE)
        *peer = outside(at, *peer);
    return r;
}

static int joint_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    struct joint *j = (struct joint *)link;
    uint32_t dry = 0, closed = 0;
    for (uint32_t i = 0; i < j->n; i++) {
        const int r = recv_from(j, (j->at + i) % j->n, peer, out);
        dry += r == SE_LINK_DRY;
        closed += r == SE_LINK_CLOSED;
        if (r == SE_LINK_AGAIN || r == SE_LINK_DRY || r == SE_LINK_CLOSED)
            continue;
        if (++j->turn % TURN == 0) /* others have frames too */
            j->at = (j->at + 1) % j->n;
        return r;
    }
    return dry > 0 ? SE_LINK_DRY : closed == j->n ? SE_LINK_CLOSED : SE_LINK_AGAIN;
}

static bool joint_ready(struct se_link *link)
{
    const struct joint *j = (struct joint *)link;
    for (uint32_t i = 0; i < j->n; i++) {
        if (j->member[i]->ops->ready(j->member[i]))
            return true;
    }
    return false;
}

static bool joint_arm(struct se_link *link, struct se_link_sleep *sleep)
{
    const struct joint *j = (struct joint *)link;
    for (uint32_t i = 0; i < j->n; i++) {
        if (j->member[i]->ops->arm(j->member[i], sleep))
            return true;
    }
    return false;
}

static bool joint_drop(struct se_link *link, se_link_peer peer)
{
    struct joint *j = (struct joint *)link;
    struct se_link *member = inside(j, &peer);
    const bool there = member != NULL && member->ops->drop(member, peer);
    j->peers -= there;
    return there;
}

static void joint_close(struct se_link *link)
{
    struct joint *j = (struct joint *)link;
    for (uint32_t i = 0; i < j->n; i++)
        se_link_close(j->member[i]);
}

static int joint_drain(struct se_link *link, uint64_t ns)
{
    struct joint *j = (struct joint *)link;
    const uint64_t start = se_clock_ns();
    int r = 0;
    for (uint32_t i = 0; i < j->n; i++) {
        const uint64_t past = se_clock_ns() - start;
        const int one = se_link_drain(j->member[i], past < ns ? ns - past : 0);
        r = r < 0 || one == 0 ? r : one;
    }
    return r;
}

static void joint_fini(struct se_link *link)
{
    struct joint *j = (struct joint *)link;
    for (uint32_t i = 0; i < j->n; i++)
        se_link_fini(j->member[i]);
    se_link_base_fini(link);
    free(j->url);
    se_mem_free(j);
}

static const char *joint_url(const struct se_link *link)
{
    return ((const struct joint *)link)->url;
}

static const struct se_key *joint_key(const struct se_link *link, se_link_peer peer)
{
    const struct se_link *member = inside((const struct joint *)link, &peer);
    return member != NULL ? se_link_key(member, peer) : NULL;
}

static const struct se_link_ops joint_ops = {
    .name = "joint",
    .send = joint_send,
    .recv = joint_recv,
    .ready = joint_ready,
    .arm = joint_arm,
    .drop = joint_drop,
    .close = joint_close,
    .drain = joint_drain,
    .fini = joint_fini,
    .url = joint_url,
    .key = joint_key,
};

static char *join_urls(struct se_link *const *member, uint32_t n)
{
    size_t size_b = 1;
    for (uint32_t i = 0; i < n; i++)
        size_b += strlen(se_link_url(member[i])) + 1;
    char *url = calloc(1, size_b);
    for (uint32_t i = 0; url != NULL && i < n; i++) {
        if (i > 0)
            strcat(url, ",");
        strcat(url, se_link_url(member[i]));
    }
    return url;
}

int se_joint_new(struct se_link **out, struct se_link *const *member, uint32_t n,
                 const struct se_link_options *options)
{
    assert(n >= 1 && n <= SE_JOINT_MAX);
    struct joint *j = se_mem_zero(1, sizeof(*j));
    if (j == NULL)
        return se_trace(-ENOMEM);
    int r = se_link_base_init(&j->link, &joint_ops, options);
    j->peers_max = options->peers_max;
    j->url = join_urls(member, n);
    if (r == 0 && j->url == NULL)
        r = -ENOMEM;
    if (r < 0) {
        joint_fini(&j->link); /* without members as yet */
        return se_fail(r, "cannot join links: %s", strerror(-r));
    }
    memcpy(j->member, member, n * sizeof(*member));
    j->n = n;
    *out = &j->link;
    return 0;
}
