/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/pipeline.h - keeps the engine busy with full steps.
 *
 *   rounds  FILLING ─► READY list ─┐                              ┌─► DONE list
 *                                  ├─ form ─► job ─► stepper ─► settle
 *   prompts ─► queue of sessions ──┘    pages, policy             └─► text, computed
 *
 * A step is formed while one runs, and may grow until the engine takes it. The oldest rounds
 * go first; one that does not fit is first in the next step. Prompts fill what is left, as far
 * as they do not keep rounds waiting. Pages are counted here ahead of the engine's side, so
 * that a step never meets a full pool; sessions that can spare theirs lose them in time.
 *
 * Belongs to the server's thread. */
#ifndef SE_SCHED_SERVER_PIPELINE_H
#define SE_SCHED_SERVER_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/server/server.h"
#include "sched/server/session.h"
#include "sched/server/slot.h"

enum { SE_PIPELINE_JOBS = 3 }; /* one runs, one is on the seat, one comes back */

struct se_pipeline {
    struct se_sessions *sessions;
    struct se_slots slots;
    struct se_stepper *stepper;
    struct se_kv *kv;
    const struct se_server_live *live;
    uint32_t max_rows;
    uint32_t pages, pages_free; /* by our own count */

    struct se_job job[SE_PIPELINE_JOBS];
    struct se_job *spare[SE_PIPELINE_JOBS];
    uint32_t n_spare;
    struct se_job *seated;                   /* offered; it may run already */
    struct se_job chores;                    /* what the next job has to do first */
    uint32_t want_first, want_last, n_wants; /* sessions with prompts to compute */
    uint32_t work_first, work_last, n_at_work;

    struct se_pace pace;
    uint64_t ended_ns; /* the last step */
    uint64_t free_ns;  /* from when on the engine has had what it runs now, or nothing */
    uint64_t look_ns;  /* when to ask the policy again */
    float busy;        /* share of time the engine ran lately */
    bool stuck;        /* nothing that is ready finds pages */

    bool gone;     /* what computes has failed for good */
    char why[160]; /* the last step failed, if it did */
    uint64_t steps;
    uint32_t passed_max;
    struct se_server_step last; /* the step that was settled last */
    bool settled;               /* there was one since this was cleared */
};

int se_pipeline_init(struct se_pipeline *p, const struct se_server_options *options,
                     struct se_sessions *sessions, const struct se_server_live *live);
void se_pipeline_fini(struct se_pipeline *p);

/* A round that was claimed and filled; its session's text is complete up to its base. It goes
 * when the prompt is computed. */
void se_pipeline_round(struct se_pipeline *p, uint32_t slot, uint64_t now_ns);
/* The session's round under way, if there is one, is wanted no more. */
void se_pipeline_drop(struct se_pipeline *p, uint32_t session);
/* The session's text grew: there is something to compute. */
void se_pipeline_want(struct se_pipeline *p, uint32_t session, uint64_t now_ns);
/* Cuts a session's text to n ids, keys and values with it. */
void se_pipeline_cut(struct se_pipeline *p, uint32_t session, uint32_t n);
/* The session is over: its round, its keys and values, then itself. */
void se_pipeline_close(struct se_pipeline *p, uint32_t session);
/* The answer of a DONE slot has left: its session asks again one day. */
void se_pipeline_answered(struct se_pipeline *p, uint32_t session, uint64_t now_ns);

/* Settles what is done: true if there was something. Then DONE slots are in slots.done. */
bool se_pipeline_settle(struct se_pipeline *p, uint64_t now_ns);
/* Forms and launches: true if it did something. */
bool se_pipeline_launch(struct se_pipeline *p, uint64_t now_ns);
/* When launch may have something to do though nothing came. */
uint64_t se_pipeline_next_ns(const struct se_pipeline *p);
/* No round under way. */
bool se_pipeline_idle(const struct se_pipeline *p);

#endif
