/* SPDX-License-Identifier: Apache-2.0 */
/* sched/edge/talk.h - the edge's half of a session: what is said, heard, and said again.
 *
 *             JOINED            WELCOME               VERIFY           RESULT
 *   CLOSED ──HELLO──► OPENING ─────────► OPEN (idle) ───────► (round) ───────► (idle)
 *      ▲ ERROR session   ▲                  │ GONE, ERROR hash, round, gap
 *      └─────────────────┴──RESUME──────────┘
 *
 * Owns the text, as far as the server may know it: ids, the last of which is the root. Whatever
 * is lost on the way is sent again, and whatever no longer fits is put right by RESUME, or from
 * nothing by HELLO; the text is the same either way. Knows nothing of drafting. One thread. */
#ifndef SE_SCHED_EDGE_TALK_H
#define SE_SCHED_EDGE_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/edge/edge.h"
#include "transport/wire.h"

enum se_talk_state { SE_TALK_CLOSED, SE_TALK_OPENING, SE_TALK_OPEN };

struct se_talk {
    const struct se_edge_options *o;
    uint32_t *text;
    uint32_t n; /* ids, the root included; 0: nothing was asked yet */
    size_t cap;
    uint64_t hash; /* of text[0..n-2] */

    enum se_talk_state state;
    bool joined, resuming;
    uint64_t session, token[2], nonce;
    struct se_wire_welcome welcome; /* the last: what may be sent from then on */
    bool welcomed;
    uint64_t model; /* that wrote on this text, 0: none yet, or not told */

    uint32_t common; /* ids that the server had for sure, and has if it lost nothing */
    uint32_t sent;   /* ids that it was sent, or had */
    uint32_t round;  /* the last that was sent or pushed */
    uint16_t pushes; /* rounds that the server may still push */
    bool cancels;    /* a CANCEL has to go first */

    /* The round under way. */
    bool open, said; /* said: sent at least once since it was last to be sent */
    uint32_t nodes;
    int32_t parent[SE_WIRE_NODES_MAX];
    uint32_t id[SE_WIRE_NODES_MAX];
    uint16_t given[SE_WIRE_NODES_MAX]; /* number of a node in the tree as it was given */
    uint16_t ahead;
    uint8_t flags;
    uint32_t times; /* it was sent */
    uint64_t said_ns;

    uint64_t due_ns;      /* when to say again what was not answered */
    uint64_t pause_ns;    /* and how long after that */
    uint64_t hold_ns;     /* the server asked to be left alone until then */
    uint64_t heard_ns;    /* the last sign of it */
    uint32_t troubles;    /* in a row, without an answer */
    uint64_t answered_ns; /* the last answer to a round, or the ask */
    bool answered_last;   /* that answer is the last thing that happened between the two */
    uint32_t lost;        /* connections since then */
    char why[256];        /* the last of many */
    bool wanted;          /* an answer is: somebody has to be there */
    bool told_down;
    bool told_busy; /* that its rounds have to wait, since the text was wanted */

    uint32_t up_b, down_b; /* since the last result */
    uint64_t trip_ns;      /* of HELLO and WELCOME, 0: not known */
    uint64_t asked_ns;     /* HELLO or RESUME was sent */
};

void se_talk_init(struct se_talk *talk, const struct se_edge_options *options);
void se_talk_fini(struct se_talk *talk);

/* The text to go on from: n >= 1 ids. What it has in common with the text before is kept at the
 * server, the rest is cut and sent. No round is under way afterwards. 0 or -ENOMEM. */
int se_talk_set(struct se_talk *talk, const uint32_t *id, uint32_t n, uint64_t now_ns);

/* Opens a round: a tree in level order whose root is the last id of the text, and how many
 * rounds the server may push behind it. Ends pushes that go on. Of a tree that is beyond what the
 * server takes, which may be another one when it is sent, only so much is sent. */
void se_talk_verify(struct se_talk *talk, const int32_t *parent, const uint32_t *id, uint32_t nodes,
                    uint16_t ahead, uint8_t flags);

/* Nothing more of this text is wanted now: no round, no pushes, and no session anew. */
void se_talk_quiet(struct se_talk *talk);

/* Says BYE if somebody is there to hear it. */
void se_talk_bye(struct se_talk *talk);

struct se_talk_result {
    struct se_wire_result wire;
    uint32_t path[SE_WIRE_NODES_MAX]; /* as the tree was given, wire.accepted of them */
    uint32_t nodes;                   /* that were sent, root included */
    bool pushed;                      /* of a round of the server's own */
    uint64_t sent_ns, heard_ns;       /* 0: a push; the moment at which the answer was read */
    uint64_t wait_ns;                 /* since the round was sent, or the last push came */
    uint32_t times, up_b, down_b;
};

enum {
    SE_TALK_NOTHING = 100, /* nothing came, and nothing could be sent */
    SE_TALK_RESULT         /* *result is the answer; the text has grown */
};
/* Whether a server that has let us in has room for the text; nothing is sent to one that has not.
 * It may have come back with less. */
bool se_talk_fits(const struct se_talk *talk);

/* Reads what came and sends what is due, up to the first answer. 0: it did something. Also the
 * outcomes of edge.h from UNREACHABLE on, and < 0: the server's trouble, or ours. */
int se_talk_work(struct se_talk *talk, uint64_t now_ns, struct se_talk_result *result);
uint64_t se_talk_next_ns(const struct se_talk *talk);

/* Something is awaited: a round's answer, or a push. */
bool se_talk_waits(const struct se_talk *talk);

#endif
