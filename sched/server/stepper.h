/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/stepper.h - runs jobs on the engine, one after another, beside the server.
 *
 *   server: offer ─► [seat] ─take─► engine: run ─give─► (ring) ─► server: done
 *              ◄─recall─┘
 *
 * There is one seat. A job on it starts the moment the engine is free; until then the server
 * may take it back and put more into it. So the next step is formed while one runs, and the
 * engine never waits for a server that looks elsewhere.
 *
 * The engine's side (take, run, give) is a thread of the stepper's own, or whoever calls: a
 * simulation calls it by hand and lets a job take as long as it likes between take and give,
 * whose times by the clock are the job's. Sequences and pages belong to the engine's side, from
 * the first job to the last.
 *
 * A job is the stepper's from a successful offer to recall() or done(); there are at most
 * SE_STEPPER_JOBS at once. */
#ifndef SE_SCHED_SERVER_STEPPER_H
#define SE_SCHED_SERVER_STEPPER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/model/step.h"
#include "sched/idle.h"
#include "sched/server/job.h"

struct se_stepper;

enum { SE_STEPPER_JOBS = 8 }; /* on the seat, running, or finished and not asked for */

struct se_stepper_options {
    struct se_engine *engine;    /* outlives the stepper */
    struct se_clock clock;       /* of the jobs' times */
    struct se_idle_options idle; /* of the thread */
    /* Called by the engine's side behind each give(), to wake the server if it sleeps. NULL:
     * nobody sleeps. */
    void (*wake)(void *context);
    void *wake_context;
};

int se_stepper_new(struct se_stepper **out, const struct se_stepper_options *options);
/* Waits for a job that is running. NULL is fine. Jobs that were not done come back no more;
 * what is left of their chores was not done either. */
void se_stepper_free(struct se_stepper *stepper);

/* The engine's side gets a thread, "se-engine". Once; 0 or -errno. */
int se_stepper_start(struct se_stepper *stepper);

/* The server's side. */

/* 0; -EBUSY: there is a job on the seat; -ENOSPC: SE_STEPPER_JOBS are under way. A seat that
 * recall() found empty is free. */
int se_stepper_offer(struct se_stepper *stepper, struct se_job *job);
/* The job on the seat, the server's again; NULL: there is none, or it runs already. */
struct se_job *se_stepper_recall(struct se_stepper *stepper);
/* The next finished job, in the order in which they ran, or NULL. */
struct se_job *se_stepper_done(struct se_stepper *stepper);

/* The engine's side: take, run and give, then the next. */

struct se_job *se_stepper_take(struct se_stepper *stepper); /* or NULL */
/* Does the chores, then the step if there are parts. Never fails: the job holds what came. */
void se_stepper_run(struct se_stepper *stepper, struct se_job *job);
void se_stepper_give(struct se_stepper *stepper, struct se_job *job);

#endif
