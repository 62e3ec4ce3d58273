/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/server.h - many edges' trees in the steps of one engine.
 *
 *   link ─► frame ─► session ─► slot ─► job ─► stepper ─► slot ─► answer ─► link
 *
 * An agent: one thread calls, and se_server_work() is its duty. It never blocks, and what one
 * call does is bounded. Beside the link and the stepper it touches nothing outside: clock and
 * secrets are handed in, so a whole server runs in a simulation as it runs in earnest. */
#ifndef SE_SCHED_SERVER_SERVER_H
#define SE_SCHED_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/base/stat.h"
#include "sched/idle.h"
#include "sched/pace.h"
#include "sched/server/policy.h"
#include "sched/server/stepper.h"
#include "transport/link.h"

struct se_accounts;
struct se_board;
struct se_guard;
struct se_keyring;
struct se_server;

/* What may change while it runs. */
struct se_server_live {
    enum se_policy policy;
    uint32_t max_batch;     /* rounds of a step at most; static: so many are waited for */
    uint64_t wait_ns;       /* no round waits longer for others (static, pipeline) */
    uint64_t prefill_ns;    /* prompts may make a step so much longer while others are at work */
    uint64_t park_ns;       /* a session whose edge is gone is kept for so long */
    uint32_t peer_sessions; /* of one edge at once */
    uint32_t peer_frames;   /* of one edge per second, on the average */
    uint32_t peer_faults;   /* after so many an edge is cut off */
};
/* pipeline; 64 rounds; 20 ms; 10 ms; 120 s; 64 sessions; 2000 frames; 32 faults. */
struct se_server_live se_server_live(void);

/* One step, for the log. */
struct se_server_step {
    uint64_t number; /* from 1 */
    uint64_t begun_ns, step_ns;
    uint64_t idle_ns;          /* the engine had nothing to do for so long before */
    uint32_t rounds, prefills; /* parts */
    uint32_t max_batch;        /* rounds that it might have had */
    uint32_t rows, prefill_rows;
    uint32_t accepted;               /* tokens that became text, bonuses included */
    uint32_t left;                   /* rounds that were ready and found no place */
    uint32_t at_work;                /* sessions that are in the middle of an answer */
    uint64_t queue_ns, queue_max_ns; /* mean and longest wait of its rounds, from arrival */
    uint32_t pages_free;
};

/* One round whose answer has left, for a timeline (docs/trace.md). */
struct se_server_round {
    uint64_t session; /* as on the wire */
    uint64_t step;    /* number of the one that it was in */
    uint64_t came_ns; /* its frame was read; pushed: the answer before it left */
    uint64_t ready_ns, begun_ns, ended_ns; /* nothing but a place in a step was missing; the step */
    uint64_t sent_ns;                      /* just before the link had the answer */
    uint32_t round, base;
    uint32_t nodes, taken; /* of the tree, root included; that became text */
    bool pushed;           /* the server made it itself */
};

enum se_server_note { SE_SERVER_INFO, SE_SERVER_WARN, SE_SERVER_ERROR };

struct se_server_watch {
    void *context;
    void (*step)(void *context, const struct se_server_step *step);           /* or NULL */
    void (*round)(void *context, const struct se_server_round *round);        /* or NULL */
    void (*note)(void *context, enum se_server_note level, const char *text); /* or NULL */
};

struct se_server_options {
    struct se_link *link;       /* it listens already; outlives the server, which alone calls it */
    struct se_frames *frames;   /* where answers come from: those of the link */
    struct se_stepper *stepper; /* its wake should be se_server_wake() */
    uint32_t pages;             /* of the engine's pool, which nobody else uses */
    struct se_kv *kv;
    struct se_clock clock;
    uint64_t secret[2]; /* random: session ids and resume tokens are made from it */

    uint64_t fingerprint; /* of the tokenizer */
    uint64_t model;       /* identity of weights and precision, 0: not told */
    uint32_t tokens;      /* ids of the tokenizer */
    uint32_t vocab;       /* rows of the model's output */
    uint32_t context;     /* ids that a text may come to */

    uint32_t max_rows;     /* of a step: the engine's */
    uint32_t max_nodes;    /* of a tree, root included; at most max_rows and 1024 */
    uint32_t max_sessions; /* open at once */
    struct se_server_live live;
    struct se_pace pace;    /* step times measured beforehand, or SE_PACE_NULL */
    struct se_stat *stat;   /* of se_counter_labels (counter.h), or NULL */
    struct se_board *board; /* of as many sessions (board.h), or NULL: nobody looks in */
    struct se_guard *guard; /* of the link, which asks for keys; or NULL */
    struct se_server_watch watch;
};

/* 0 or -errno, the text names the option. On 0 *out is the caller's. */
int se_server_new(struct se_server **out, const struct se_server_options *options);
/* After the stepper's thread has ended. NULL is fine. */
void se_server_free(struct se_server *server);

/* One round of duty: frames, finished steps, the next step, what is due by time. 1: there was
 * something to do, 0: nothing; < 0: it cannot go on. */
int se_server_work(struct se_server *server);

/* The clock's time at which there is something to do even if nothing comes; UINT64_MAX: never. */
uint64_t se_server_next_ns(const struct se_server *server);

/* Ends a wait of se_server_run(); what is done before it, stop() or the work then sees. Any
 * thread, while there is a server; context is the server. */
void se_server_wake(void *server);

/* Works until stop() says so; sleeps in the link's wait, as idle allows. Who changes what stop()
 * says calls se_server_wake() after it. 0 or what work said. */
int se_server_run(struct se_server *server, struct se_idle_options idle,
                  bool (*stop)(void *context), void *context);

/* 0, or -EINVAL with nothing changed. */
int se_server_set_live(struct se_server *server, const struct se_server_live *live);

/* Another list of who may come, which stays until the next one: it is the guard's from now on. Who
 * may not come any more is told, and its sessions are closed. */
void se_server_set_keys(struct se_server *server, const struct se_keyring *ring);
/* What each key has had; any thread may read it as long as there is a server. NULL: no keys. */
const struct se_accounts *se_server_accounts(const struct se_server *server);

/* Leaves in good order: no new sessions; edges are told; what is under way is finished. */
void se_server_drain(struct se_server *server);
/* Nothing is under way any more. */
bool se_server_drained(const struct se_server *server);

#endif
