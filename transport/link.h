/* SPDX-License-Identifier: Apache-2.0 */
/* transport/link.h - moves frames between a server and its edges.
 *
 *   server: listen ─► recv: JOINED p ─► recv p / send p ... ─► recv: GONE p
 *   edge:   connect ─► recv: JOINED ─► send / recv ... ─► recv: GONE ─► (by itself) JOINED ...
 *
 * A link knows nothing of what is in a frame. It promises that a frame arrives whole or not
 * at all, at most once, and in the order of sending. It may be lost when the connection is: who
 * wants an answer asks again. A connection that is lost comes back by itself, as a new peer
 * on the server's side; the edge reads GONE and JOINED, in that order, though they may be far
 * apart and a frame sent before the cut may be read after them.
 *
 * Every queue is bounded by `queue_frames`, every frame by `frame_max_b`, peers by
 * `peers_max`. What does not fit is refused, and the outcome says so.
 *
 * All calls on one link come from one thread, except se_link_wake(); that thread is also the
 * one that gets from options.frames. Nothing blocks but wait and drain, and both have a
 * limit. The end has three steps: close (no new work), drain (waits), fini (frees). */
#ifndef SE_TRANSPORT_LINK_H
#define SE_TRANSPORT_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/alarm.h"
#include "transport/frame.h"
#include "transport/guard.h"

enum {                    /* outcomes to handle on the spot; < 0 is -errno */
       SE_LINK_AGAIN = 1, /* nothing to receive; no room to send; the time is up */
       SE_LINK_JOINED,    /* recv: *peer is there, before its first frame */
       SE_LINK_GONE,      /* recv: *peer left, after its last frame. send: it is not there */
       SE_LINK_DRY,       /* recv: something arrived, but options.frames has none: put some */
       SE_LINK_CLOSED     /* this end was closed, and nothing is left to receive */
};

/* A peer for as long as one connection lasts. A handle is not used twice, so a late answer
 * cannot reach a newcomer. An edge's only peer is SE_LINK_SERVER. */
typedef uint64_t se_link_peer;
#define SE_LINK_SERVER ((se_link_peer)0)
/* Links leave this byte of a handle zero; where several are joined it says which it is. */
enum { SE_LINK_PEER_TAG_SHIFT = 24 };

struct se_link_options {
    struct se_frames *frames; /* where recv gets frames; outlives the link */
    uint32_t frame_max_b;     /* longer ones are refused, in both directions */
    uint32_t queue_frames;    /* at most so many wait, per peer and direction, beside what
                               * the system holds in its own buffers */
    uint32_t peers_max;       /* server: more are not let in */
    uint64_t heartbeat_ns;    /* between signs of life on an idle connection */
    uint64_t silence_ns;      /* without one so long, the connection is lost */
    uint64_t retry_ns;        /* first pause before connecting again; doubles */
    uint64_t retry_max_ns;    /* up to this */
    uint64_t spin_ns;         /* wait looks for so long before it sleeps */
    struct se_guard *guard;   /* (optional) keys; outlives the link */
};

/* The defaults: frames of the pool's size, 64 to a queue, 1024 peers, a heartbeat each
 * 2 s, lost after 6 s, retries after 50 ms up to 2 s, no spin. A spin keeps a processor busy
 * and saves the time that waking one takes; it pays where the other end spins too, and
 * never beside a library's own thread that has no other processor. */
struct se_link_options se_link_options(struct se_frames *frames);

struct se_link;

/* What a thread is about to sleep on: of[1..n-1], and of[0] is for what wakes it. */
enum { SE_LINK_FDS_MAX = 16 };
struct se_link_sleep {
    struct pollfd of[SE_LINK_FDS_MAX];
    uint32_t n;
    uint64_t ns; /* no longer than this */
};

struct se_link_ops {
    const char *name; /* as in its URLs */

    /* Both give a link of the caller's, for se_link_fini(), or -errno with the URL in the
     * text. connect does not wait for the server, nor need it be there yet. Absent where a
     * link is one that wraps another. */
    int (*listen)(struct se_link **out, const char *url, const struct se_link_options *options);
    int (*connect)(struct se_link **out, const char *url, const struct se_link_options *options);

    /* Takes the frame on 0; on any other return it is still the caller's. AGAIN, GONE,
     * CLOSED. Arrival is not promised. */
    int (*send)(struct se_link *link, se_link_peer peer, struct se_frame *frame);

    /* On 0, *out is the caller's, to return with se_frame_put(), and *peer sent it. JOINED and
     * GONE set *peer and leave *out alone. AGAIN, DRY, CLOSED. */
    int (*recv)(struct se_link *link, se_link_peer *peer, struct se_frame **out);

    /* True when recv may have something now. Sleeps never, and is cheap enough to be called
     * over and over. (optional) Without it nobody spins. */
    bool (*ready)(struct se_link *link);

    /* Either this, where a link can be slept on by descriptors: true when recv may have
     * something now; else adds with se_link_watch() what to sleep on, lowers sleep->ns to when
     * recv has something to do by itself, and sees to it that what comes after this look is
     * seen by the descriptors. Only such links can be joined, and se_link_wait() is written
     * once for all of them. */
    bool (*arm)(struct se_link *link, struct se_link_sleep *sleep);

    /* Or these two, where it has a way of its own; se_link_wait() and se_link_wake(). */
    int (*wait)(struct se_link *link, uint64_t ns);
    void (*wake)(struct se_link *link);

    /* Server: has no more to do with this peer. What it sent or sends is dropped, it is not
     * reported again, send says GONE. Where the link can, it is disconnected. False when
     * there was no such peer. */
    bool (*drop)(struct se_link *link, se_link_peer peer);

    /* No new peers, and no new frames to send. What has arrived can still be received. */
    void (*close)(struct se_link *link);

    /* After close: hands over what was sent before, for at most ns. 0, or AGAIN when time was
     * up and something may be lost. A server gets all of it; an edge over a network loses what
     * it has not received when the connection ends. Receive before: after it there is nothing more. */
    int (*drain)(struct se_link *link, uint64_t ns);

    /* At any moment; what is under way is lost, and its frames are put. */
    void (*fini)(struct se_link *link);

    /* The URL to connect to, with the port that was chosen for port 0 ("tcp://...:0"); of a
     * server that listens on several, all of them. */
    const char *(*url)(const struct se_link *link);

    /* (optional) Edge: why there is no connection, in words for the user; NULL: nobody knows. */
    const char *(*trouble)(struct se_link *link);

    /* (optional) Edge: the server was there and turned this edge away, as it will the next time
     * unless somebody changes something; trouble says why. */
    bool (*refused)(const struct se_link *link);

    /* (optional) Server: the key that a peer has shown; NULL: none, or there is no such peer. */
    const struct se_key *(*key)(const struct se_link *link, se_link_peer peer);
};

/* Each link begins with this. */
struct se_link {
    const struct se_link_ops *ops;
    uint32_t frame_max_b;
    uint64_t spin_ns;
    struct se_alarm alarm; /* of links with arm */
};

/* For links with arm: the beginning that each has, and its end. 0 or -errno, and
 * se_link_base_fini() is right after either. */
int se_link_base_init(struct se_link *link, const struct se_link_ops *ops,
                      const struct se_link_options *options);
void se_link_base_fini(struct se_link *link);

/* For listen: opens each of the URLs, with commas between them. 0, and *out is the link; or -errno,
 * and it is gone. */
int se_link_open_each(struct se_link **out, struct se_link *link, const char *urls,
                      int (*open)(struct se_link *link, const char *url));

/* For arm: sleep on this descriptor too, until there is something to read or it hangs up. */
void se_link_watch(struct se_link_sleep *sleep, int fd);

/* By URL: "loop://NAME", in one process; "shm:///PATH", in one machine; "tcp://HOST:PORT", HOST
 * a name, an IPv4 address, an IPv6 address in brackets, or, to listen, "*"; "ipc:///PATH";
 * "rdma://HOST:PORT", see transport/rdma_url.h. A server may listen on several URLs, separated by commas, and of all kinds but loop.
 * -EPROTONOSUPPORT for a scheme that nobody knows or that is not built in, -EINVAL for a URL
 * that cannot be read. */
int se_link_listen(struct se_link **out, const char *url, const struct se_link_options *options);
int se_link_connect(struct se_link **out, const char *url, const struct se_link_options *options);

/* The schemes there are, "loop, shm, tcp, ipc, rdma". */
const char *se_link_schemes(char *buffer, size_t size_b);

/* The operations, after what is common to all has been checked: an empty frame is -EINVAL, one
 * longer than frame_max_b is -EMSGSIZE, and both are still the caller's. */
int se_link_send(struct se_link *link, se_link_peer peer, struct se_frame *frame);
int se_link_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out);

/* Looks for options.spin_ns and then sleeps until recv may have something, se_link_wake() or a
 * signal (all 0), or until ns have passed (AGAIN). May return 0 for nothing, but not twice for
 * the same nothing. It does not wait for room: who was told AGAIN by send tries on its next
 * turn. */
int se_link_wait(struct se_link *link, uint64_t ns);

/* Ends the wait that goes on, or the next one. Any thread, until fini. */
void se_link_wake(struct se_link *link);

void se_link_drop(struct se_link *link, se_link_peer peer);
void se_link_close(struct se_link *link);
int se_link_drain(struct se_link *link, uint64_t ns);
void se_link_fini(struct se_link *link); /* NULL is fine */
const char *se_link_url(const struct se_link *link);
const char *se_link_trouble(struct se_link *link);
bool se_link_refused(const struct se_link *link);
/* From JOINED to GONE, of links with a guard: whom the peer has proved to be. */
const struct se_key *se_link_key(const struct se_link *link, se_link_peer peer);

#endif
