/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/link.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "transport/joint.h"
#include "transport/loop.h"
#include "transport/proof.h"
#include "transport/rdma.h"
#include "transport/shm.h"
#include "transport/zmq.h"

static const struct {
    const char *scheme;
    const struct se_link_ops *ops;
    const char *needs;
} kinds[] = {
    { "loop", &se_loop_ops, "" },
    { "shm", &se_shm_ops, "" },
    { "tcp", &se_zmq_ops, "ZeroMQ (libzmq)" },
    { "ipc", &se_zmq_ops, "ZeroMQ (libzmq)" },
    { "rdma", &se_rdma_ops, "RDMA (librdmacm, libibverbs)" },
};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]), SCHEMES_B = 64, LOOKS = 16 };
static const char after_scheme[] = "://";
_Static_assert(SE_JOINT_MAX >= (int)N_KINDS, "a server may listen on all kinds");

struct se_link_options se_link_options(struct se_frames *frames)
{
    return (struct se_link_options){
        .frames = frames,
        .frame_max_b = se_frames_cap_b(frames),
        .queue_frames = 64,
        .peers_max = 1024,
        .heartbeat_ns = 2000000000,
        .silence_ns = 6000000000,
        .retry_ns = 50000000,
        .retry_max_ns = 2000000000,
    };
}

const char *se_link_schemes(char *buffer, size_t size_b)
{
    size_t at = 0;
    buffer[0] = 0;
    for (size_t i = 0; i < N_KINDS; i++) {
        if (kinds[i].ops->listen == NULL)
            continue; /* not built in */
        const int n = snprintf(buffer + at, size_b - at, "%s%s", at ? ", " : "", kinds[i].scheme);
        if (n < 0 || (size_t)n >= size_b - at)
            break;
        at += (size_t)n;
    }
    return buffer;
}

/* The kind of the URL that begins at url and ends before end. */
static int find_kind(const char *url, const char *end, const struct se_link_ops **out)
{
    char there[SCHEMES_B];
    const int len = (int)(end - url);
    const char *mark = memmem(url, (size_t)len, after_scheme, sizeof(after_scheme) - 1);
    if (mark == NULL || mark == url)
        return se_fail(-EINVAL, "'%.*s' is no URL: SCHEME://ADDRESS, with one of %s", len, url,
                       se_link_schemes(there, sizeof(there)));
    const size_t len_scheme = (size_t)(mark - url);
    for (size_t i = 0; i < N_KINDS; i++) {
        if (strlen(kinds[i].scheme) != len_scheme || memcmp(kinds[i].scheme, url, len_scheme) != 0)
            continue;
        if (kinds[i].ops->listen == NULL)
            return se_fail(-EPROTONOSUPPORT, "'%.*s': this build has no %s; there is %s", len, url,
                           kinds[i].needs, se_link_schemes(there, sizeof(there)));
        if (mark + sizeof(after_scheme) - 1 == end)
            return se_fail(-EINVAL, "'%.*s' has no address", len, url);
        *out = kinds[i].ops;
        return 0;
    }
    return se_fail(-EPROTONOSUPPORT, "'%.*s': unknown scheme '%.*s'; there is %s", len, url,
                   (int)len_scheme, url, se_link_schemes(there, sizeof(there)));
}

static int check_options(const struct se_link_options *o)
{
    if (o->frames == NULL || o->frame_max_b == 0 || o->frame_max_b > se_frames_cap_b(o->frames))
        return se_fail(-EINVAL, "a link's frames of %u bytes do not fit its pool", o->frame_max_b);
    if (o->queue_frames == 0 || o->queue_frames > 65536 || o->peers_max == 0 ||
        o->peers_max > 1u << 20)
        return se_fail(-EINVAL, "a link with %u peers and %u frames in a queue", o->peers_max,
                       o->queue_frames);
    /* A guard that no key.c has made has no keys in it. */
    uint8_t byte;
    return o->guard != NULL ? se_trace(se_key_random(&byte, sizeof(byte))) : 0;
}

/* The URLs of one kind, with commas between them. */
struct group {
    const struct se_link_ops *ops;
    char *urls;
};

static int add_to_group(struct group *group, const char *url, const char *end)
{
    char *urls = NULL;
    const int len = (int)(end - url);
    if (asprintf(&urls, "%s%s%.*s", group->urls ? group->urls : "", group->urls ? "," : "", len,
                 url) < 0)
        return se_trace(-ENOMEM);
    free(group->urls);
    group->urls = urls;
    return 0;
}

/* Sorts the URLs by kind; how many there are, or -errno. Kinds that were found first come
 * first. */
static int find_groups(const char *url, struct group *group)
{
    const struct se_link_ops *ops;
    int n = 0;
    for (const char *at = url;; at++) {
        const char *end = strchrnul(at, ',');
        int i = 0, r = find_kind(at, end, &ops);
        while (i < n && r == 0 && group[i].ops != ops)
            i++;
        if (i == n && r == 0)
            group[n++].ops = ops;
        if (r == 0)
            r = add_to_group(&group[i], at, end);
        if (r < 0)
            return r;
        at = end;
        if (*end == 0)
            return n;
    }
}

static int check_groups(const char *url, const struct group *group, int n)
{
    for (int i = 0; n > 1 && i < n; i++) {
        if (group[i].ops->arm == NULL)
            return se_fail(-EINVAL, "'%s': nobody can listen on %s and on another kind at once",
                           url, group[i].ops->name);
    }
    return 0;
}

/* Links over ZeroMQ look after keys themselves; before all others stands one that does. */
static bool needs_proof(const struct se_link_ops *ops, const struct se_link_options *options)
{
    return options->guard != NULL && ops != &se_zmq_ops;
}

static int listen_on_group(struct se_link **out, const struct group *group,
                           const struct se_link_options *options)
{
    return needs_proof(group->ops, options) ? se_proof_listen(out, group->ops, group->urls, options)
                                            : group->ops->listen(out, group->urls, options);
}

static int listen_on(struct se_link **out, const struct group *group, int n,
                     const struct se_link_options *options)
{
    struct se_link *member[N_KINDS];
    int r = 0, opened = 0;
    if (n == 1)
        return listen_on_group(out, &group[0], options);
    while (opened < n && r == 0) {
        r = listen_on_group(&member[opened], &group[opened], options);
        opened += r == 0;
    }
    if (r == 0)
        r = se_joint_new(out, member, (uint32_t)n, options);
    while (r < 0 && opened > 0)
        se_link_fini(member[--opened]);
    return r;
}

int se_link_listen(struct se_link **out, const char *url, const struct se_link_options *options)
{
    struct group group[N_KINDS] = { { NULL, NULL } };
    int r = check_options(options);
    const int n = r < 0 ? r : find_groups(url, group);
    r = n < 0 ? n : check_groups(url, group, n);
    r = r < 0 ? se_trace(r) : listen_on(out, group, n, options);
    for (int i = 0; i < N_KINDS; i++)
        free(group[i].urls);
    return r;
}

static int check_server(const char *url, const struct se_guard *guard)
{
    struct se_key curve;
    return guard == NULL || se_key_curve(&curve, &guard->server) == 0
               ? 0
               : se_fail(-EINVAL,
                         "'%s': an edge with a key must know its server's, and this is none", url);
}

int se_link_connect(struct se_link **out, const char *url, const struct se_link_options *options)
{
    const struct se_link_ops *ops;
    int r = check_options(options);
    if (r == 0 && url[strcspn(url, ",")] != 0)
        r = se_fail(-EINVAL, "'%s': an edge connects to one URL", url);
    if (r == 0)
        r = find_kind(url, url + strlen(url), &ops);
    if (r == 0)
        r = check_server(url, options->guard);
    if (r < 0)
        return se_trace(r);
    return needs_proof(ops, options) ? se_proof_connect(out, ops, url, options)
                                     : ops->connect(out, url, options);
}

int se_link_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    if (frame->len_b == 0)
        return se_fail(-EINVAL, "an empty frame cannot be sent");
    if (frame->len_b > link->frame_max_b)
        return se_fail(-EMSGSIZE, "a frame of %u bytes is too long for a link of %u", frame->len_b,
                       link->frame_max_b);
    return link->ops->send(link, peer, frame);
}

int se_link_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    return link->ops->recv(link, peer, out);
}

int se_link_base_init(struct se_link *link, const struct se_link_ops *ops,
                      const struct se_link_options *options)
{
    link->ops = ops;
    link->frame_max_b = options->frame_max_b;
    link->spin_ns = options->spin_ns;
    return se_alarm_init(&link->alarm);
}

void se_link_base_fini(struct se_link *link) { se_alarm_fini(&link->alarm); }

int se_link_open_each(struct se_link **out, struct se_link *link, const char *urls,
                      int (*open)(struct se_link *link, const char *url))
{
    char *copy = strdup(urls), *rest = NULL;
    int r = copy ? 0 : se_fail(-ENOMEM, "no memory to listen on '%s'", urls);
    for (char *url = copy ? strtok_r(copy, ",", &rest) : NULL; url != NULL && r == 0;
         url = strtok_r(NULL, ",", &rest))
        r = open(link, url);
    free(copy);
    if (r < 0)
        link->ops->fini(link);
    else
        *out = link;
    return r;
}

void se_link_watch(struct se_link_sleep *sleep, int fd)
{
    assert(sleep->n < SE_LINK_FDS_MAX);
    sleep->of[sleep->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

/* Tells the processor that this is a spin. */
static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* True when there was something before ns have passed. The clock is read now and then: it
 * costs more than a look. */
static bool spin(struct se_link *link, uint64_t ns)
{
    const uint64_t start = se_clock_ns();
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (link->ops->ready(link) || (link->ops->arm && se_alarm_heard(&link->alarm)))
                return true;
            relax();
        }
    } while (se_clock_ns() - start < ns);
    return false;
}

/* Asleep on descriptors. */
static int sleep_on(struct se_link *link, uint64_t ns)
{
    struct se_link_sleep sleep = { .n = 1, .ns = ns };
    if (link->ops->arm(link, &sleep))
        return 0;
    const int r = se_alarm_wait(&link->alarm, sleep.of, sleep.n, sleep.ns);
    if (r < 0)
        return se_fail(r, "'%s': cannot wait: %s", se_link_url(link), strerror(-r));
    return r > 0 || sleep.ns < ns ? 0 : SE_LINK_AGAIN;
}

int se_link_wait(struct se_link *link, uint64_t ns)
{
    if (link->spin_ns > 0 && link->ops->ready != NULL) {
        const uint64_t first = link->spin_ns < ns ? link->spin_ns : ns;
        if (spin(link, first))
            return 0;
        ns -= first;
    }
    return link->ops->arm != NULL ? sleep_on(link, ns) : link->ops->wait(link, ns);
}

void se_link_wake(struct se_link *link)
{
    if (link->ops->arm != NULL)
        se_alarm_ring(&link->alarm);
    else
        link->ops->wake(link);
}

void se_link_drop(struct se_link *link, se_link_peer peer) { link->ops->drop(link, peer); }

void se_link_close(struct se_link *link) { link->ops->close(link); }

int se_link_drain(struct se_link *link, uint64_t ns) { return link->ops->drain(link, ns); }

void se_link_fini(struct se_link *link)
{
    if (link != NULL)
        link->ops->fini(link);
}

const char *se_link_url(const struct se_link *link) { return link->ops->url(link); }

const char *se_link_trouble(struct se_link *link)
{
    return link->ops->trouble != NULL ? link->ops->trouble(link) : NULL;
}

bool se_link_refused(const struct se_link *link)
{
    return link->ops->refused != NULL && link->ops->refused(link);
}

const struct se_key *se_link_key(const struct se_link *link, se_link_peer peer)
{
    return link->ops->key != NULL ? link->ops->key(link, peer) : NULL;
}
