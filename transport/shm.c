/* SPDX-License-Identifier: Apache-2.0 */
/* A connection is a socket and an area. Frames go through the area's two tubes; the socket
 * carries the area itself, then single bytes that wake who sleeps, and it tells when the other
 * end is gone, also when that was killed. The wake-up goes through the socket and not through an
 * eventfd that both have: whoever shares one can make it block, and a server that rings a
 * hostile edge would hang in the write.
 *
 *   edge                                                   server
 *   connect, area ──────────── socket ────────────► accept, area, JOINED
 *   put ──► up tube ──► next, take      "asleep"? a byte ─► epoll ─► run list
 *   next, take ◄── down tube ◄── put
 *
 * A server with a thousand connections does not look through them all. Who has said something
 * is in the run list and is looked at without a system call. Before the server sleeps it
 * leaves word in each tube of the run list, and the list is empty; from then on the first
 * frame of a connection comes with a byte through the socket, which brings it back. Sockets
 * are looked at after a sleep, now and then between frames, and when nothing was found for a
 * while: so a connection that is not in the list waits for LOOK_NS at most. They are not looked
 * at by the call right after a frame: it only finds out that there are no more, and then the
 * frame is acted on. */
#include "transport/shm.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/area.h"
#include "transport/path.h"

enum { DOORS_MAX = 8, EVENTS_MAX = 32, ACCEPTS_MAX = 16, RINGS_MAX = 16, TURN = 16 };
enum { LOOK_EVERY = 64, LOOK_AT_LAST = 1024, LOOK_NS = 20000 };
#define NONE UINT32_MAX
#define IS_DOOR (UINT64_C(1) << 32)
enum { SCHEME_B = sizeof("shm://") - 1 };

/* One end of a connection. */
struct line {
    int fd; /* -1: the other end is gone */
    struct se_area *area;
    struct se_tube_end in, out;
};

#define SILENT_NS UINT64_C(1000000000)

struct slot {
    struct line line; /* no area: it has not come yet */
    bool known;       /* JOINED was said */
    bool running;
    uint32_t generation, turn;
    uint32_t next; /* free, or in the run list */
    uint64_t seated_ns;
};

/* A socket that listens, and its file. */
struct door {
    int fd;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    dev_t device;
    ino_t file;
};

struct shm {
    struct se_link link;
    struct se_link_options options;
    char *url;
    bool listens, closed, dry;
    bool slept; /* since the last look at the sockets */
    struct se_frame *spare;
    bool hurries;   /* the last call found a frame */
    uint32_t calls; /* since the last look */
    uint64_t looked_ns;
    /* server */
    int epoll;
    struct door door[DOORS_MAX];
    uint32_t n_doors;
    uint64_t deaf_until_ns; /* 0: it is not. Too many descriptors are open to let anybody in */
    struct slot *slot;
    uint32_t n_slots, free, run_first, run_last, n_run;
    /* edge */
    struct line line; /* no area: not connected */
    uint64_t next_try_ns, pause_ns;
};

/* ---- one end of a connection */

/* Nothing more comes or goes. What has come can still be read. */
static void line_hang_up(struct line *line)
{
    if (line->fd >= 0)
        close(line->fd);
    line->fd = -1;
    if (line->area != NULL)
        se_tube_end(&line->in);
}

static void line_close(struct line *line)
{
    if (line->fd >= 0)
        close(line->fd);
    se_area_free(line->area);
    *line = (struct line){ .fd = -1 };
}

/* The other end broke the rules: what it says is not listened to any more. */
static int line_break(struct line *line)
{
    line_hang_up(line);
    line->in.seen_lines = line->in.lines;
    line->in.next_b = 0;
    return SE_LINK_GONE;
}

/* Reads the bytes that woke this end, and finds out whether the other is there. True when
 * there was something. */
static bool line_look(struct line *line)
{
    char ring;
    for (int i = 0; line->fd >= 0 && i < RINGS_MAX; i++) {
        const ssize_t r = recv(line->fd, &ring, sizeof(ring), MSG_DONTWAIT);
        if (r < 0 && (errno == EAGAIN || errno == EINTR))
            return i > 0;
        if (r <= 0)
            line_hang_up(line);
    }
    return true;
}

/* True when recv has something to say about it. */
static bool line_has(const struct line *line) { return line->fd < 0 || se_tube_has(&line->in); }

/* No room for the byte: others are there, which wake as well. Nobody there: it will be seen. */
static void line_ring(const struct line *line)
{
    if (send(line->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return;
}

static int line_send(struct line *line, struct se_frame *frame, uint32_t queue_frames)
{
    if (line->fd < 0)
        return SE_LINK_GONE;
    const int r = se_tube_put(&line->out, frame->data, frame->len_b, queue_frames);
    if (r == SE_TUBE_FULL)
        return SE_LINK_AGAIN;
    if (r == SE_TUBE_BROKEN)
        return line_break(line);
    if (r == SE_TUBE_ASLEEP)
        line_ring(line);
    se_frame_put(frame);
    return 0;
}

static struct se_frame *frame_for(struct shm *shm)
{
    struct se_frame *frame = shm->spare ? shm->spare : se_frame_get(shm->options.frames);
    shm->spare = NULL;
    shm->dry = frame == NULL;
    return frame;
}

/* True when there is still none; then only a frame that is put helps. */
static bool is_dry(struct shm *shm)
{
    if (shm->dry && shm->spare == NULL)
        shm->spare = se_frame_get(shm->options.frames);
    return shm->dry && shm->spare == NULL;
}

static int line_recv(struct shm *shm, struct line *line, struct se_frame **out)
{
    uint32_t len_b;
    const int r = se_tube_next(&line->in, shm->options.frame_max_b, &len_b);
    if (r == SE_TUBE_BROKEN)
        return line_break(line);
    if (r == SE_TUBE_EMPTY)
        return line->fd < 0 ? SE_LINK_GONE : SE_LINK_AGAIN;
    struct se_frame *frame = frame_for(shm);
    if (frame == NULL)
        return SE_LINK_DRY;
    se_tube_take(&line->in, frame->data);
    frame->len_b = len_b;
    *out = frame;
    return 0;
}

/* ---- who is there: slots and the run list */

static se_link_peer handle(const struct shm *s, uint32_t at)
{
    return (se_link_peer)s->slot[at].generation << 32 | (at + 1);
}

/* NONE when there is no such peer, or no longer. */
static uint32_t find_peer(const struct shm *s, se_link_peer peer)
{
    const uint32_t at = (uint32_t)peer - 1;
    const bool there =
        (uint32_t)peer != 0 && at < s->n_slots && s->slot[at].known && handle(s, at) == peer;
    return there ? at : NONE;
}

static uint32_t seat(struct shm *s, int fd)
{
    uint32_t at = s->free;
    if (at != NONE)
        s->free = s->slot[at].next;
    else if (s->n_slots < s->options.peers_max)
        at = s->n_slots++;
    else
        return NONE;
    s->slot[at] = (struct slot){ .line = { .fd = fd },
                                 .generation = s->slot[at].generation + 1,
                                 .seated_ns = se_clock_ns() };
    return at;
}

static void unseat(struct shm *s, uint32_t at)
{
    line_close(&s->slot[at].line);
    s->slot[at].known = false;
    s->slot[at].next = s->free;
    s->free = at;
}

static void run_append(struct shm *s, uint32_t at)
{
    if (s->slot[at].running)
        return;
    s->slot[at].running = true;
    s->slot[at].next = NONE;
    if (s->n_run++ > 0)
        s->slot[s->run_last].next = at;
    else
        s->run_first = at;
    s->run_last = at;
}

static uint32_t run_shift(struct shm *s)
{
    const uint32_t at = s->run_first;
    s->run_first = s->slot[at].next;
    s->slot[at].running = false;
    s->n_run--;
    return at;
}

/* Off the list, wherever in it; only for who is dropped. */
static void run_remove(struct shm *s, uint32_t at)
{
    for (uint32_t n = s->slot[at].running ? s->n_run : 0; n > 0; n--) {
        const uint32_t first = run_shift(s);
        if (first != at)
            run_append(s, first);
    }
}

/* ---- the server's look at its sockets */

static void listen_to(struct shm *s, uint32_t events)
{
    for (uint32_t i = 0; i < s->n_doors; i++) {
        struct epoll_event event = { .events = events, .data.u64 = IS_DOOR | i };
        epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->door[i].fd, &event);
    }
}

/* The area of a connection, when it has come. It comes with the connection, and almost always
 * at once. */
static void greet(struct shm *s, uint32_t at)
{
    struct line *line = &s->slot[at].line;
    if (line->fd < 0)
        return; /* it had to make room just now */
    const int r = se_area_recv(line->fd, &line->area);
    if (r == SE_AREA_AGAIN)
        return;
    if (r != 0) {
        unseat(s, at);
        return;
    }
    line->in.tube = &line->area->up;
    line->out.tube = &line->area->down;
    run_append(s, at);
}

/* Who has a seat and has brought no memory for it, when others want one. */
static void unseat_the_silent(struct shm *s)
{
    const uint64_t now_ns = se_clock_ns();
    for (uint32_t at = 0; at < s->n_slots; at++) {
        const struct slot *slot = &s->slot[at];
        if (slot->line.fd >= 0 && slot->line.area == NULL && now_ns - slot->seated_ns >= SILENT_NS)
            unseat(s, at);
    }
}

static void let_in(struct shm *s, int fd)
{
    uint32_t at = seat(s, fd);
    if (at == NONE) {
        unseat_the_silent(s);
        at = seat(s, fd);
    }
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.u64 = at };
    if (at == NONE)
        close(fd);
    else if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        unseat(s, at);
    else
        greet(s, at);
}

static void accept_some(struct shm *s, int door)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        const int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            let_in(s, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* Who knocks goes on knocking, and the server would never sleep again. */
            listen_to(s, 0);
            s->deaf_until_ns = se_clock_ns() + s->options.retry_max_ns;
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void looked(struct shm *shm)
{
    shm->slept = false;
    shm->calls = 0;
    shm->looked_ns = se_clock_ns();
}

/* Accepts, finds out who hung up, and puts into the run list whoever rang. */
static bool server_look(struct shm *s)
{
    struct epoll_event event[EVENTS_MAX];
    looked(s);
    if (s->deaf_until_ns != 0 && s->looked_ns >= s->deaf_until_ns) {
        s->deaf_until_ns = 0;
        listen_to(s, EPOLLIN);
    }
    const int n = epoll_wait(s->epoll, event, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        const uint32_t at = (uint32_t)event[i].data.u64;
        if (event[i].data.u64 & IS_DOOR) {
            accept_some(s, s->door[at].fd);
        } else if (s->slot[at].line.area == NULL) {
            greet(s, at);
        } else {
            line_look(&s->slot[at].line);
            run_append(s, at);
        }
    }
    return n > 0;
}

static bool is_due(const struct shm *shm)
{
    return shm->closed || se_clock_ns() - shm->looked_ns >= LOOK_NS;
}

/* Whether a call looks before it looks for frames. */
static bool is_overdue(struct shm *shm)
{
    const uint32_t most = shm->hurries ? LOOK_AT_LAST : LOOK_EVERY;
    return ++shm->calls >= most || shm->slept;
}

/* ---- the server */

/* What the first of the run list has to say. AGAIN: nothing. */
static int serve(struct shm *s, uint32_t at, se_link_peer *peer, struct se_frame **out)
{
    struct slot *slot = &s->slot[at];
    *peer = handle(s, at);
    if (!slot->known) {
        slot->known = true;
        return SE_LINK_JOINED;
    }
    return line_recv(s, &slot->line, out);
}

static int run(struct shm *s, se_link_peer *peer, struct se_frame **out)
{
    for (uint32_t n = s->n_run; n > 0; n--) {
        const uint32_t at = s->run_first;
        const int r = serve(s, at, peer, out);
        if (r == SE_LINK_GONE)
            unseat(s, run_shift(s));
        else if (r == SE_LINK_AGAIN || (r != SE_LINK_DRY && ++s->slot[at].turn % TURN == 0))
            run_append(s, run_shift(s)); /* others have frames too */
        if (r != SE_LINK_AGAIN)
            return r;
    }
    return SE_LINK_AGAIN;
}

static int server_recv(struct shm *s, se_link_peer *peer, struct se_frame **out)
{
    if (is_overdue(s))
        server_look(s);
    int r = run(s, peer, out);
    if (r == SE_LINK_AGAIN && (!s->hurries || s->closed) && is_due(s)) {
        server_look(s);
        r = run(s, peer, out);
    }
    s->hurries = r == 0;
    return r == SE_LINK_AGAIN && s->closed ? SE_LINK_CLOSED : r;
}

static int server_send(struct shm *s, se_link_peer peer, struct se_frame *frame)
{
    const uint32_t at = find_peer(s, peer);
    if (at == NONE)
        return SE_LINK_GONE;
    const int r = line_send(&s->slot[at].line, frame, s->options.queue_frames);
    if (r == SE_LINK_GONE)
        run_append(s, at); /* it may have broken the rules just now */
    return r;
}

static bool server_ready(struct shm *s)
{
    uint32_t at = s->run_first;
    for (uint32_t n = s->n_run; n > 0; n--) {
        if (!s->slot[at].known || line_has(&s->slot[at].line))
            return true;
        at = s->slot[at].next;
    }
    return is_due(s) && server_look(s);
}

static bool server_arm(struct shm *s, struct se_link_sleep *sleep)
{
    while (s->n_run > 0) {
        const struct slot *slot = &s->slot[s->run_first];
        if (!slot->known || slot->line.fd < 0)
            return true;
        if (!se_tube_sleep(&s->slot[s->run_first].line.in))
            return true;
        run_shift(s);
    }
    if (s->deaf_until_ns != 0) {
        const uint64_t now = se_clock_ns();
        const uint64_t left = s->deaf_until_ns > now ? s->deaf_until_ns - now : 0;
        sleep->ns = left < sleep->ns ? left : sleep->ns;
    }
    se_link_watch(sleep, s->epoll);
    return false;
}

static bool shm_drop(struct se_link *link, se_link_peer peer)
{
    struct shm *s = (struct shm *)link;
    const uint32_t at = s->listens ? find_peer(s, peer) : NONE;
    if (at == NONE)
        return false;
    run_remove(s, at);
    unseat(s, at);
    return true;
}

/* ---- the edge */

static void try_later(struct shm *e)
{
    const struct se_link_options *o = &e->options;
    e->next_try_ns = se_clock_ns() + e->pause_ns;
    e->pause_ns = e->pause_ns < o->retry_max_ns / 2 ? e->pause_ns * 2 : o->retry_max_ns;
}

static int edge_connect(struct shm *e)
{
    if (se_clock_ns() < e->next_try_ns)
        return SE_LINK_AGAIN;
    e->line.fd = se_path_knock(e->url + SCHEME_B, SOCK_SEQPACKET);
    if (e->line.fd < 0 || se_area_send(e->line.fd, &e->line.area) < 0) {
        line_close(&e->line);
        try_later(e);
        return SE_LINK_AGAIN;
    }
    e->line.out.tube = &e->line.area->up;
    e->line.in.tube = &e->line.area->down;
    return SE_LINK_JOINED;
}

static bool edge_look(struct shm *e)
{
    looked(e);
    return line_look(&e->line);
}

static int edge_recv(struct shm *e, se_link_peer *peer, struct se_frame **out)
{
    *peer = SE_LINK_SERVER;
    if (e->line.area == NULL)
        return e->closed ? SE_LINK_CLOSED : edge_connect(e);
    if (is_overdue(e))
        edge_look(e);
    int r = line_recv(e, &e->line, out);
    if (r == SE_LINK_AGAIN && (!e->hurries || e->closed) && is_due(e)) {
        edge_look(e);
        r = line_recv(e, &e->line, out);
    }
    e->hurries = r == 0;
    if (r == 0)
        e->pause_ns = e->options.retry_ns; /* a server that does more than let it in */
    if (r == SE_LINK_GONE) {
        line_close(&e->line);
        try_later(e);
    }
    return r == SE_LINK_AGAIN && e->closed ? SE_LINK_CLOSED : r;
}

static bool edge_ready(struct shm *e)
{
    if (e->line.area == NULL)
        return !e->closed && se_clock_ns() >= e->next_try_ns;
    return line_has(&e->line) || (is_due(e) && edge_look(e));
}

static bool edge_arm(struct shm *e, struct se_link_sleep *sleep)
{
    if (e->line.area == NULL) {
        const uint64_t now = se_clock_ns();
        if (e->closed)
            return false;
        if (now >= e->next_try_ns)
            return true;
        if (e->next_try_ns - now < sleep->ns)
            sleep->ns = e->next_try_ns - now;
        return false;
    }
    if (e->line.fd < 0 || !se_tube_sleep(&e->line.in))
        return true;
    se_link_watch(sleep, e->line.fd);
    return false;
}

/* ---- by end */

static int shm_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    struct shm *shm = (struct shm *)link;
    if (shm->closed)
        return SE_LINK_CLOSED;
    if (shm->listens)
        return server_send(shm, peer, frame);
    return shm->line.area == NULL ? SE_LINK_GONE
                                  : line_send(&shm->line, frame, shm->options.queue_frames);
}

static int shm_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    struct shm *shm = (struct shm *)link;
    return shm->listens ? server_recv(shm, peer, out) : edge_recv(shm, peer, out);
}

static bool shm_ready(struct se_link *link)
{
    struct shm *shm = (struct shm *)link;
    if (shm->dry)
        return !is_dry(shm);
    return shm->listens ? server_ready(shm) : edge_ready(shm);
}

static bool shm_arm(struct se_link *link, struct se_link_sleep *sleep)
{
    struct shm *shm = (struct shm *)link;
    if (shm->dry)
        return !is_dry(shm);
    shm->slept = true;
    return shm->listens ? server_arm(shm, sleep) : edge_arm(shm, sleep);
}

/* ---- the end */

/* The file goes first: while the socket listens nobody else can have taken its place. */
static void shut(struct door *door)
{
    struct stat stat;
    if (lstat(door->path, &stat) == 0 && stat.st_dev == door->device && stat.st_ino == door->file)
        unlink(door->path);
    close(door->fd);
}

static void shm_close(struct se_link *link)
{
    struct shm *shm = (struct shm *)link;
    shm->closed = true;
    while (shm->n_doors > 0)
        shut(&shm->door[--shm->n_doors]);
}

/* What was sent lies in the tube, and the other end keeps that. */
static int shm_drain(struct se_link *link, uint64_t ns)
{
    (void)link;
    (void)ns;
    return 0;
}

static void shm_fini(struct se_link *link)
{
    struct shm *shm = (struct shm *)link;
    shm_close(link);
    for (uint32_t i = 0; i < shm->n_slots; i++)
        line_close(&shm->slot[i].line);
    line_close(&shm->line);
    if (shm->epoll >= 0)
        close(shm->epoll);
    se_link_base_fini(link);
    se_frame_put(shm->spare);
    se_mem_free(shm->slot);
    free(shm->url);
    se_mem_free(shm);
}

static const char *shm_url(const struct se_link *link) { return ((const struct shm *)link)->url; }

/* ---- the beginning */

static int shm_new(struct shm **out, const char *url, const struct se_link_options *options,
                   bool listens)
{
    struct shm *shm = se_mem_zero(1, sizeof(*shm));
    if (shm == NULL)
        return se_trace(-ENOMEM);
    int r = se_link_base_init(&shm->link, &se_shm_ops, options);
    shm->options = *options;
    shm->listens = listens;
    shm->line.fd = shm->epoll = -1;
    shm->free = NONE;
    shm->pause_ns = options->retry_ns;
    shm->url = strdup(url);
    if (listens)
        shm->slot = se_mem_zero(options->peers_max, sizeof(*shm->slot));
    if (r == 0 && (shm->url == NULL || (listens && shm->slot == NULL)))
        r = -ENOMEM;
    if (r == 0 && listens && (shm->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        r = -errno;
    if (r < 0) {
        shm_fini(&shm->link);
        return se_fail(r, "'%s': cannot make a link: %s", url, strerror(-r));
    }
    *out = shm;
    return 0;
}

static int open_door(struct shm *s, const char *path)
{
    struct sockaddr_un address;
    struct stat stat;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = IS_DOOR | s->n_doors };
    struct door *door = &s->door[s->n_doors];
    int r = se_path_address(path, &address);
    if (r == 0)
        r = se_path_clear(path, SOCK_SEQPACKET);
    if (r < 0)
        return r;
    door->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door->fd < 0)
        return -errno;
    if (bind(door->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        close(door->fd);
        return r;
    }
    memcpy(door->path, path, strlen(path) + 1);
    s->n_doors++; /* from here on it is shut by the fini */
    if (lstat(path, &stat) < 0)
        return -errno;
    door->device = stat.st_dev;
    door->file = stat.st_ino;
    if (listen(door->fd, SOMAXCONN) < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, door->fd, &event) < 0)
        return -errno;
    return 0;
}

static int check_url(const char *url)
{
    const char *path = url + SCHEME_B; /* link.c has seen the scheme */
    return path[0] == '/' && path[1] != 0 ? 0
                                          : se_fail(-EINVAL, "'%s' has no path: shm:///PATH", url);
}

static int listen_at(struct se_link *link, const char *url)
{
    struct shm *s = (struct shm *)link;
    int r = check_url(url);
    if (r < 0)
        return r;
    if (s->n_doors == DOORS_MAX)
        return se_fail(-EINVAL, "'%s': more than %d URLs", url, DOORS_MAX);
    r = open_door(s, url + SCHEME_B);
    return r < 0 ? se_fail(r, "cannot listen on '%s': %s", url, se_path_error(r)) : 0;
}

static int shm_listen(struct se_link **out, const char *urls, const struct se_link_options *options)
{
    struct shm *s = NULL;
    int r = shm_new(&s, urls, options, true);
    if (r < 0)
        return r;
    return se_link_open_each(out, &s->link, urls, listen_at);
}

static int shm_connect(struct se_link **out, const char *url, const struct se_link_options *options)
{
    struct sockaddr_un address;
    struct shm *e = NULL;
    int r = check_url(url);
    if (r == 0 && (r = se_path_address(url + SCHEME_B, &address)) < 0)
        return se_fail(r, "cannot connect to '%s': %s", url, strerror(-r));
    if (r == 0)
        r = shm_new(&e, url, options, false);
    if (r < 0)
        return r;
    *out = &e->link;
    return 0;
}

const struct se_link_ops se_shm_ops = {
    .name = "shm",
    .listen = shm_listen,
    .connect = shm_connect,
    .send = shm_send,
    .recv = shm_recv,
    .ready = shm_ready,
    .arm = shm_arm,
    .drop = shm_drop,
    .close = shm_close,
    .drain = shm_drain,
    .fini = shm_fini,
    .url = shm_url,
};
