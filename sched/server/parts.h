/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/parts.h - what the files of the server share.
 *
 *   server.c   life, duty, time        desk.c   frames in        say.c   frames out
 *   show.c     what others see of sessions                 keys.c   who may come, with which key */
#ifndef SE_SCHED_SERVER_PARTS_H
#define SE_SCHED_SERVER_PARTS_H

#include <stdatomic.h>

#include "sched/server/account.h"
#include "sched/server/counter.h"
#include "sched/server/histogram.h"
#include "sched/server/peers.h"
#include "sched/server/pipeline.h"
#include "sched/server/server.h"
#include "sched/server/session.h"
#include "transport/wire.h"

enum { SE_SERVER_IDS = 1024 }; /* of a PREFILL */

struct se_server {
    struct se_server_options o;
    struct se_server_live live;
    struct se_peers peers;
    struct se_accounts accounts; /* empty where nobody asks for keys */
    struct se_sessions sessions;
    struct se_pipeline pipeline;
    uint32_t context; /* ids that a text may come to */
    bool draining;
    uint64_t swept_ns; /* when sessions were last looked through */
    uint32_t swept;    /* up to which */
    uint64_t turned_away;
    uint64_t noted; /* kinds of faults a note was made of, a bit each */
    uint64_t cycle_ns, cycle_max_ns;
    _Atomic uint32_t asleep; /* se_server_wake() must ring the link */

    /* Where frames are read to. */
    int32_t *parent;
    uint32_t *token;
};

static inline struct se_session *se_server_session(struct se_server *s, uint32_t at)
{
    return &s->sessions.session[at];
}

static inline void se_server_count(struct se_server *s, enum se_counter number, uint64_t amount)
{
    if (s->o.stat)
        se_stat_add(s->o.stat, number, amount);
}

/* One more value of a distribution. */
static inline void se_server_observe(struct se_server *s, enum se_histogram which, uint64_t value)
{
    se_server_count(s, se_histogram_bucket(which, value), 1);
    se_server_count(s, se_histograms[which].sum, value);
}

/* A moment of a timeline: arrival and answer of a round must not lie before the frame was there, or
 * behind the moment at which the edge had it, as the beginning of a round of duty may. */
static inline uint64_t se_server_moment(const struct se_server *s, uint64_t now_ns)
{
    return s->o.watch.round ? se_clock_read(&s->o.clock) : now_ns;
}

void se_server_tell(struct se_server *s, enum se_server_note level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* desk.c */

/* Reads what came, at most so many frames. 1: something came, 0: nothing; < 0: the link broke. */
int se_desk_read(struct se_server *s, uint32_t frames, uint64_t now_ns);
/* A session's edge is gone, or it has another one now (0: none). */
void se_desk_attach(struct se_server *s, uint32_t session, se_link_peer peer, uint64_t now_ns);

/* A session loses its place, and its edge is told. */
void se_desk_evict(struct se_server *s, uint32_t session, uint64_t now_ns);
/* Has no more to do with an edge: its sessions are closed, it is told why and heard no more. */
void se_desk_part(struct se_server *s, se_link_peer peer, uint64_t now_ns, const char *why);

/* keys.c */

/* Somebody has joined: whose key it is. False: it may not stay, and is gone. */
bool se_keys_joined(struct se_server *s, uint32_t peer, uint64_t now_ns);
/* Whether the link has turned somebody away since this was asked last. */
bool se_keys_turned_away(struct se_server *s);
/* A peer is about to leave the table. */
void se_keys_left(struct se_server *s, uint32_t peer);
/* "alice", or "" where nobody asks for keys. */
const char *se_keys_name(const struct se_account *account);

/* say.c */

enum se_said { SE_SAID, SE_SAID_LATER, SE_SAID_NOT };
/* LATER: no room now; NOT: the peer is gone, or nothing can be sent at all. */
enum se_said se_say(struct se_server *s, se_link_peer peer, const struct se_wire *message);
/* An ERROR; a, b and retry_ms are 0 where they say nothing. */
struct se_wire_error se_say_error(enum se_wire_code code, enum se_wire_type about, uint64_t ref);
void se_say_no(struct se_server *s, se_link_peer peer, uint64_t session,
               const struct se_wire_error *error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void se_say_welcome(struct se_server *s, uint32_t session, uint64_t now_ns);
/* The stored answer of a session, once more. */
void se_say_again(struct se_server *s, uint32_t session);
/* Answers of rounds that are done, as far as there is room for them. True if one left. */
bool se_say_answers(struct se_server *s, uint64_t now_ns);
/* The key of a session has had its tokens: this round may come in so many ms. */
void se_say_throttled(struct se_server *s, uint32_t session, uint32_t round, uint32_t wait_ms);
/* How long somebody who finds no place should stay away. */
uint32_t se_say_retry_ms(const struct se_server *s);

/* show.c */

/* A session was opened, is asked to verify, has answered. */
void se_show_opened(struct se_server *s, uint32_t session, const struct se_wire_hello *hello,
                    uint64_t now_ns);
void se_show_asked(struct se_server *s, uint32_t session, const struct se_wire_verify *verify,
                   uint64_t now_ns);
void se_show_answered(struct se_server *s, const struct se_slot *slot);
/* The answer of a round has left: tells whoever draws a timeline. */
void se_show_round(struct se_server *s, const struct se_slot *slot, uint64_t sent_ns);
/* Writes those that have changed, if there is a board. */
void se_show_touched(struct se_server *s);

#endif
