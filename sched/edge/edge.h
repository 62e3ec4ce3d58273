/* SPDX-License-Identifier: Apache-2.0 */
/* sched/edge/edge.h - one user's side: drafts, asks the server, owns the text.
 *
 *   ask ─► prompt ─► ┌─ draft ─► send ─► draft on (the bet) ─► answer ─► accept ─┐ ─► done
 *                    └──────────────────────◄────────────────────────────────────┘
 *
 * An agent: one thread calls, and se_edge_work() is its duty. It never blocks; one call
 * forwards at most one level of a draft tree, so that an answer is seen between levels. The
 * edge owns the text and can continue it after any loss: what it sends may be lost, doubled,
 * late, and the server may start anew. */
#ifndef SE_SCHED_EDGE_EDGE_H
#define SE_SCHED_EDGE_EDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/model/sample.h"
#include "runtime/tree/grow.h"
#include "sched/edge/drafter.h"
#include "transport/link.h"
#include "transport/wire.h"

struct se_edge;
struct se_edge_round;

enum se_edge_shape {
    SE_EDGE_SHAPE_LEARNED,  /* a score is worth what it turned out to be worth */
    SE_EDGE_SHAPE_PUBLISHED /* log-probabilities, with decay, as published */
};
enum se_edge_depth {
    SE_EDGE_DEPTH_LEARNED, /* depth and budget, round by round: what brings the most per second */
    SE_EDGE_DEPTH_MATCHED, /* drafting and the way take as long as the server's part, as published */
    SE_EDGE_DEPTH_FIXED    /* just what grow says */
};
enum se_edge_busy { SE_EDGE_BUSY_WAIT, SE_EDGE_BUSY_FAIL };

/* What the drafter did in one go. */
enum se_edge_work {
    SE_EDGE_FEED,  /* it read text that it had not seen */
    SE_EDGE_LEVEL, /* a level of the tree that is sent next */
    SE_EDGE_AHEAD  /* work on the bet, while the server looks at a tree */
};

struct se_edge_span {
    enum se_edge_work work;
    uint32_t nodes; /* of the tree, afterwards */
    uint64_t begun_ns, ended_ns;
};

struct se_edge_watch {
    void *context;
    /* Once per answer of the server; or NULL. */
    void (*round)(void *context, const struct se_edge_round *round);
    /* Each piece of drafting, for a timeline; or NULL. With it the times of rounds are those of the
     * very moment, for which the clock is read more often. */
    void (*span)(void *context, const struct se_edge_span *span);
    /* Something a person may want to know, "the connection is lost"; or NULL. */
    void (*note)(void *context, const char *text);
};

struct se_edge_options {
    struct se_link *link;       /* connects already; outlives the edge, which alone calls it */
    struct se_frames *frames;   /* of the link */
    struct se_drafter *drafter; /* NULL: none, plain decoding */
    struct se_clock clock;
    uint64_t nonce; /* random: of the first HELLO, counted up from there */

    uint64_t fingerprint; /* of the tokenizer */
    uint32_t tokens;      /* its ids */
    uint32_t context;     /* ids a text may come to, 0: what the server allows */
    struct se_sampling sampling;

    enum se_wire_speculate speculate;
    enum se_edge_shape shape;
    enum se_edge_depth depth;
    struct se_grow_config grow;  /* of a round: limits; max_beam_len is the depth when fixed */
    struct se_grow_config ahead; /* of a bet */
    enum se_proactive proactive;
    float sharpen; /* k of the coupling, 0: none */

    uint64_t retry_ns;   /* first pause before a round is sent again; doubles */
    uint64_t give_up_ns; /* without a sign of the server for so long: UNREACHABLE */
    enum se_edge_busy busy;
    bool check; /* after every round: the draft is what a fresh pass would give. For tests; slow */

    struct se_edge_watch watch;
};
/* The defaults: published limits, coupled with 2, learned, excluded, retries after 2 s,
 * gives up after 30 s, waits when the server is busy. */
struct se_edge_options se_edge_options(void);

enum se_edge_kind { SE_EDGE_TREE, SE_EDGE_PLAIN, SE_EDGE_PUSHED };

struct se_edge_round {
    uint32_t round, base; /* as on the wire */
    enum se_edge_kind kind;
    uint64_t at_ns;        /* the answer, since the ask */
    uint32_t nodes;        /* sent, the root apart */
    uint32_t depth;        /* of the deepest */
    uint32_t levels;       /* forwarded for this round, after the answer before */
    uint32_t ahead_levels; /* forwarded on a bet while the server looked */
    uint64_t draft_ns;     /* from the last answer to the sending of this round */
    uint64_t ahead_ns;     /* spent on the bet */
    bool hit;              /* this round's bet came true */
    bool was_hit;          /* the tree began with a bet that had come true */
    uint64_t wait_ns;      /* from the sending to the answer */
    uint64_t trip_ns;      /* of which on the way: without queue and step */
    uint32_t queue_us, step_us, load;
    uint32_t tokens; /* became text: accepted, and the target's own */
    uint32_t up_b, down_b;
    uint32_t sent; /* times: 1 without losses */

    /* For a timeline, by the edge's clock. */
    uint64_t session;  /* as on the wire */
    uint64_t begun_ns; /* the answer before, or the ask */
    uint64_t sent_ns;  /* the first time; 0: pushed, nothing was */
    uint64_t heard_ns; /* the answer was read */
    uint32_t accepted; /* drafted nodes, the root apart */
};

int se_edge_new(struct se_edge **out, const struct se_edge_options *options);
void se_edge_free(struct se_edge *edge); /* NULL is fine; says BYE if it can */

struct se_edge_ask {
    const uint32_t *id; /* the text to go on from, n >= 1 ids: copied */
    uint32_t n;
    uint32_t max_new;     /* at least 1 */
    const uint32_t *stop; /* ids that end it: copied */
    uint32_t n_stops;
};
/* Begins an answer. What the text has in common with the last one's is not sent or computed
 * again. 0; -EINVAL, -ERANGE (no room in the context), -EBUSY (one is under way). */
int se_edge_ask(struct se_edge *edge, const struct se_edge_ask *ask);

enum {
    SE_EDGE_WAIT = 1,    /* nothing to do before the link has something or the time comes */
    SE_EDGE_DONE,        /* the answer is whole: stopped by a stop id, max_new or the context */
    SE_EDGE_UNREACHABLE, /* no sign of the server for give_up_ns */
    SE_EDGE_REFUSED,     /* another tokenizer, vocabulary or version, sampling, not allowed; or
                          * another model than began the answer */
    SE_EDGE_FULL         /* the server is busy, and the edge is not to wait */
};
/* 0: it did something. After anything but 0 and WAIT the answer is over, the text has the
 * sentence where it went wrong, and what there is of the answer can be read. */
int se_edge_work(struct se_edge *edge);
/* When to call again after WAIT, if the link does not wake first; UINT64_MAX: never. */
uint64_t se_edge_next_ns(const struct se_edge *edge);

/* Ends the answer where it stands; se_edge_work() then says DONE. */
void se_edge_stop(struct se_edge *edge);

/* The answer so far: ids, and where each came from. */
enum { SE_EDGE_DRAFTED, SE_EDGE_ADDED };
uint32_t se_edge_answer(const struct se_edge *edge, const uint32_t **id, const uint8_t **from);
/* Whether it ended at a stop id (the last id), and whether the context was the limit. */
bool se_edge_stopped(const struct se_edge *edge);
bool se_edge_context_full(const struct se_edge *edge);

/* What WELCOME said, once a session was opened; NULL before. */
const struct se_wire_welcome *se_edge_welcome(const struct se_edge *edge);

#endif
