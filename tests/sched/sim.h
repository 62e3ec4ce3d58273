/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sched/sim.h - a server and its edges in one thread, under a clock that is handed in.
 *
 * Everything is the real thing but for three: time, which jumps from event to event; the engine's
 * speed, which is a formula of the rows; and the model, which is a table (table_backend.h). So
 * hours pass in a second, a seed repeats every bit of it, and nothing sleeps. */
#ifndef SE_TESTS_SCHED_SIM_H
#define SE_TESTS_SCHED_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/hist.h"
#include "runtime/base/rng.h"
#include "sched/edge/edge.h"
#include "sched/server/server.h"
#include "tests/sched/table_backend.h"
#include "transport/faulty.h"

struct sim;

/* One edge, and what it is to do. */
struct sim_edge {
    struct sim *sim;
    struct se_link *link; /* with faults */
    struct se_link *inner;
    struct se_frames *frames;
    struct se_engine *engine;
    struct se_drafter *model; /* the drafter itself */
    struct se_edge *edge;
    struct table_model draft;
    struct se_edge_options options;   /* with which it was made */
    struct se_rng rng;                /* of its prompts and times */
    uint64_t level_ns, row_ns;        /* what drafting costs: per call, and per row */
    double jitter;                    /* and by how much of that more or less, 0 to 1 */
    uint64_t trip_ns, trip_spread_ns; /* its frames take half of this there and half back, each
                                       * so much longer at most; beside the options' delay */
    uint64_t lag_ns;                  /* time that its present call has taken */
    uint64_t ready_ns;                /* busy until then */
    uint64_t next_ns;                 /* something is due then, if nothing comes before */
    uint64_t think_ns;                /* between answers */

    uint32_t *prompt, n_prompt, max_new, stop;
    uint32_t answers_left;                     /* beside the one under way */
    void (*next)(struct sim *sim, uint32_t i); /* in place of more of the same; or NULL */
    bool cut; /* the answer was stopped: what there is of it is right, but it is not whole */
    uint32_t answers; /* whole, and as they should be */
    bool asking, dead;
    int outcome; /* of the last answer */
    uint64_t tokens, rounds, hits, ends_ns;
    uint64_t first_ns; /* of the first token of the first answer */
    uint32_t plain, trees, pushed;
    uint64_t wait_ns, wait_max_ns; /* from sending to answer: of all rounds, and the longest */
};

/* Somebody else who acts at moments of his own, and is given the time. */
struct sim_guest {
    uint64_t (*act)(struct sim *sim, void *context); /* returns when next */
    void *context;
    uint64_t next_ns;
};

enum { SIM_NOTES = 64, SIM_NOTE_B = 160 };

/* For whoever measures; either may be NULL. */
struct sim_watch {
    void *context;
    void (*round)(void *context, const struct sim_edge *edge, const struct se_edge_round *round);
    void (*step)(void *context, const struct se_server_step *step);
};

struct sim_options {
    uint64_t seed;
    uint32_t n_edges;
    uint64_t model; /* its identity, 0: not told */
    uint32_t vocab; /* beyond TABLE_MODEL_VOCAB it is padding, which drafts may name all the same */
    uint32_t unknown; /* of the last ids no draft knows so many; prompts have none of them */
    uint32_t context, pages, max_rows, max_nodes, max_sessions;
    struct se_server_live live;
    /* What a step takes: fixed, and per row. */
    uint64_t step_ns, row_ns;
    uint64_t grain_ns;               /* time passes in multiples of it: the coarser, the faster */
    bool know_costs;                 /* the server has measured its steps beforehand */
    struct se_faulty_options faults; /* seed, clock and frames are filled in */
    struct sim_watch watch;
};

struct sim {
    struct sim_options o;
    uint64_t now_ns;
    struct se_rng rng;
    struct table_model target;
    struct se_engine *engine;
    struct se_frames *frames;
    struct se_link *link;
    struct se_stepper *stepper;
    struct se_server *server;
    struct se_job *running;
    uint64_t due_ns;
    uint32_t restarts;
    struct sim_edge *edge;
    struct sim_guest guest; /* act NULL: there is none */
    struct se_stat *stat;   /* of the servers, all of them */
    char url[64];
    bool quiet;
    uint64_t turns;
    /* What was seen. */
    uint64_t steps, step_rows, step_rounds, prefill_rows, busy_ns, notes;
    char note[SIM_NOTES][SIM_NOTE_B];
    struct se_hist wait_ms; /* of rounds with trees, from sending to answer */
    struct se_hist fill;    /* rounds of a step */
};

/* Defaults: 48 ids, 4 ms a step and 50 us a row, no faults. */
struct sim_options sim_options(uint64_t seed, uint32_t n_edges);

void sim_begin(struct sim *sim, const struct sim_options *options);
void sim_end(struct sim *sim);

/* A drafter for edge i that strays so far from the target, and costs so much; stray below 0: none.
 * Then options may be changed, and sim_join() makes the edge. */
void sim_draft(struct sim *sim, uint32_t i, float stray, uint64_t level_ns, uint64_t row_ns);
void sim_join(struct sim *sim, uint32_t i);
/* A prompt of n ids, of which so many tokens are to follow. */
void sim_ask(struct sim *sim, uint32_t i, uint32_t n, uint32_t max_new);
/* The same of this text. */
void sim_ask_text(struct sim *sim, uint32_t i, const uint32_t *id, uint32_t n, uint32_t max_new);
/* Ends the answer where it stands. */
void sim_stop(struct sim *sim, uint32_t i);
void sim_leave(struct sim *sim, uint32_t i, bool politely);

/* kill -9 of the server and a new one in its place; what it knew is gone. Its limits are those of
 * sim->o, which may have been changed: model, vocab, context (not beyond the first one's),
 * pages, max_rows, max_nodes, max_sessions. */
void sim_restart(struct sim *sim);

/* Most steps that ever left without a round that was ready. */
uint32_t sim_passed_max(const struct sim *sim);

/* Runs until everybody who asked has his answer, or until then. True: they have. */
bool sim_run(struct sim *sim, uint64_t until_ns);

/* The answer of an edge is what plain decoding gives; fails the test otherwise. Whole, unless it
 * was stopped, ended with an error, or for want of a context that was larger before. */
void sim_check(const struct sim *sim, uint32_t i);

#endif
