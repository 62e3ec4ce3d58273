/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/admin.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "tools/address.h"
#include "transport/pack.h"

enum { FRAMES = 4, PEERS = 16 };
static const char ipc[] = "ipc://", tcp[] = "tcp://";
static const uint64_t wait_ns = 1000000000;
/* Whoever asks, and however often: the processors are the server's. */
static const struct timespec pause_between = { .tv_nsec = 1000000 };
const char se_admin_magic[4] = { 'S', 'E', 'A', 'D' };

struct se_admin {
    struct se_frames *frames;
    struct se_link *link;
    struct se_door *door; /* of the thread, from open to close */
    /* [admin.ring] Another list, which waits for the thread to take it; NULL: none does. */
    _Atomic(struct se_keyring *) ring;
    pthread_t thread;
    bool runs;
    atomic_bool stop;
    /* Held while a question is answered, or what the answers come from is changed. */
    pthread_mutex_t lock;
    const struct se_stat *stat;
    const struct se_board *board;
};

/* ---- where */

int se_admin_check(const char *url)
{
    int r = se_address_check(url);
    if (r < 0)
        return se_trace(r);
    if (strchr(url, ',') ||
        (strncmp(url, ipc, sizeof ipc - 1) != 0 && strncmp(url, tcp, sizeof tcp - 1) != 0))
        return se_fail(-EINVAL, "'%s': one URL, ipc:///PATH or tcp://HOST:PORT", url);
    return 0;
}

const char *se_admin_url(const char *url, const char *page, char *buffer, uint32_t size_b)
{
    if (!url || strcmp(url, "auto") != 0)
        return url && *url ? url : NULL;
    const char *folder = getenv("RUNTIME_DIRECTORY");
    if (!folder || folder[0] != '/' || strchr(folder, ':'))
        return NULL;
    const int len = snprintf(buffer, size_b, "ipc://%s/%s.admin", folder, page);
    return len > 0 && (uint32_t)len < size_b ? buffer : NULL;
}

struct se_link_options se_admin_link_options(struct se_frames *frames)
{
    struct se_link_options options = se_link_options(frames);
    options.peers_max = PEERS;
    options.queue_frames = 2;
    return options;
}

/* ---- the thread */

void se_admin_head(unsigned char *at, uint32_t from)
{
    memcpy(at, se_admin_magic, sizeof se_admin_magic);
    se_pack_put(at + 4, SE_ADMIN_VERSION, 4);
    se_pack_put(at + 8, from, 4);
}

bool se_admin_is(const struct se_frame *frame, uint32_t least_b)
{
    return frame->len_b >= least_b &&
           memcmp(frame->data, se_admin_magic, sizeof se_admin_magic) == 0 &&
           se_pack_get(frame->data + 4, 4) == SE_ADMIN_VERSION;
}

/* Counters do not change but in their values, each by itself: any part of them fits any other. */
static size_t part(const struct se_admin *admin, size_t board_b, size_t from, unsigned char *to,
                   size_t room_b)
{
    const size_t stat_b = se_stat_image_size(admin->stat);
    size_t n = 0;
    if (from < stat_b) {
        unsigned char *whole = se_mem_new(stat_b, 1);
        n = stat_b - from < room_b ? stat_b - from : room_b;
        if (!whole)
            return 0;
        se_stat_image(admin->stat, whole);
        memcpy(to, whole + from, n);
        se_mem_free(whole);
        from += n;
    }
    if (from >= stat_b && admin->board)
        n += se_board_image(admin->board, board_b, from - stat_b, to + n, room_b - n);
    return n;
}

/* False: there is nothing to show yet, or not any more. */
static bool fill(struct se_admin *admin, uint32_t from, struct se_frame *frame)
{
    unsigned char *at = frame->data;
    if (!admin->stat)
        return false;
    const size_t stat_b = se_stat_image_size(admin->stat);
    const size_t board_b = admin->board ? se_board_image_size(admin->board) : 0;
    se_admin_head(at, from);
    se_pack_put(at + 12, stat_b, 4);
    se_pack_put(at + 16, stat_b + board_b, 4);
    se_pack_put(at + 20, se_clock_ns(), 8);
    frame->len_b = SE_ADMIN_HEAD_B + (uint32_t)part(admin, board_b, from, at + SE_ADMIN_HEAD_B,
                                                    frame->cap_b - SE_ADMIN_HEAD_B);
    return true;
}

/* An answer that does not fit now is not sent: who wants one asks again. */
static void answer(struct se_admin *admin, se_link_peer peer, uint32_t from)
{
    struct se_frame *frame = se_frame_get(admin->frames);
    if (frame && fill(admin, from, frame) && se_link_send(admin->link, peer, frame) == 0)
        return;
    if (frame)
        se_frame_put(frame);
}

/* The list may have changed since it came. */
static bool may_look(const struct se_admin *admin, se_link_peer peer)
{
    if (!admin->door)
        return true;
    const struct se_key *key = se_link_key(admin->link, peer);
    const struct se_keyring_entry *entry = key ? se_keyring_find(admin->door->ring, key) : NULL;
    return entry && !entry->revoked && entry->admin;
}

/* One thing that came. False: nothing did. */
static bool turn(struct se_admin *admin)
{
    struct se_frame *frame = NULL;
    se_link_peer peer = 0;
    const int r = se_link_recv(admin->link, &peer, &frame);
    if (r == SE_LINK_JOINED || r == SE_LINK_GONE)
        return true;
    if (r != 0)
        return false;
    const bool good = se_admin_is(frame, SE_ADMIN_QUESTION_B) && may_look(admin, peer);
    const uint32_t from = good ? (uint32_t)se_pack_get(frame->data + 8, 4) : 0;
    se_frame_put(frame);
    if (good)
        answer(admin, peer, from);
    else
        se_link_drop(admin->link, peer);
    return true;
}

/* Between two calls on the link, whose guard reads the list. */
static void take_ring(struct se_admin *admin)
{
    /* [admin.ring] acquire, pairs with the release in se_admin_set_ring(): the list is whole. */
    struct se_keyring *ring = atomic_exchange_explicit(&admin->ring, NULL, memory_order_acquire);
    if (!ring)
        return;
    se_keyring_free(admin->door->ring);
    admin->door->ring = ring;
    admin->door->guard.ring = ring;
}

static void *serve(void *context)
{
    struct se_admin *admin = context;
    /* relaxed: nothing else is read because of it, and the wake sees to it that it is seen. */
    while (!atomic_load_explicit(&admin->stop, memory_order_relaxed)) {
        take_ring(admin);
        pthread_mutex_lock(&admin->lock);
        const bool some = turn(admin);
        pthread_mutex_unlock(&admin->lock);
        if (some)
            nanosleep(&pause_between, NULL);
        else if (se_link_wait(admin->link, wait_ns) < 0)
            break;
    }
    return NULL;
}

/* ---- life */

/* libzmq makes the file with what the umask leaves; the group may use it too. */
static int permit(const char *url)
{
    if (strncmp(url, ipc, sizeof ipc - 1) != 0)
        return 0;
    const char *path = url + sizeof ipc - 1;
    return chmod(path, 0660) == 0 ? 0 : se_fail(-errno, "%s: %s", path, strerror(errno));
}

static int start(struct se_admin *admin)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int r = pthread_create(&admin->thread, NULL, serve, admin);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    admin->runs = r == 0;
    return r == 0 ? 0 : se_fail(-r, "no thread for the admin endpoint: %s", strerror(r));
}

int se_admin_open(struct se_admin **out, const char *url, struct se_door *door)
{
    struct se_admin *admin = se_mem_zero(1, sizeof *admin);
    if (!admin)
        return se_trace(-ENOMEM);
    pthread_mutex_init(&admin->lock, NULL);
    admin->door = door;
    int r = se_frames_new(&admin->frames, FRAMES, SE_ADMIN_FRAME_B);
    if (r == 0) {
        struct se_link_options options = se_admin_link_options(admin->frames);
        options.guard = door ? &door->guard : NULL;
        r = se_link_listen(&admin->link, url, &options);
    }
    if (r == 0)
        r = permit(url);
    if (r == 0)
        r = start(admin);
    if (r < 0) {
        se_admin_close(admin);
        return se_trace(r);
    }
    *out = admin;
    return 0;
}

const char *se_admin_where(const struct se_admin *admin) { return se_link_url(admin->link); }

void se_admin_show(struct se_admin *admin, const struct se_stat *stat, const struct se_board *board)
{
    if (!admin)
        return;
    pthread_mutex_lock(&admin->lock);
    admin->stat = stat;
    admin->board = board;
    pthread_mutex_unlock(&admin->lock);
}

bool se_admin_asks(const struct se_admin *admin) { return admin->door != NULL; }

void se_admin_set_ring(struct se_admin *admin, struct se_keyring *ring)
{
    /* [admin.ring] release, pairs with the acquire in take_ring(); acquire for the one that it did
     * not take, which another call has put there. */
    se_keyring_free(atomic_exchange_explicit(&admin->ring, ring, memory_order_acq_rel));
    se_link_wake(admin->link);
}

void se_admin_close(struct se_admin *admin)
{
    if (!admin)
        return;
    if (admin->runs) {
        atomic_store_explicit(&admin->stop, true, memory_order_relaxed);
        se_link_wake(admin->link);
        pthread_join(admin->thread, NULL);
    }
    se_link_fini(admin->link);
    se_frames_free(admin->frames);
    se_keyring_free(atomic_load_explicit(&admin->ring, memory_order_acquire));
    pthread_mutex_destroy(&admin->lock);
    se_mem_free(admin);
}
