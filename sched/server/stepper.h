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
 * simulation calls it by hand and lets a job take as long as it likes. Sequences and pages
 * belong to the engine's side, from the first job to the last. */
#ifndef SE_SCHED_SERVER_STEPPER_H
#define SE_SCHED_SERVER_STEPPER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/clock.h"
#include "runtime/model/step.h"
#include "sched/idle.h"
#include "sched/server/job.h"

struct se_stepper;

struct se_stepper_options {
    struct se_engine *engine; /* outlives the stepper */
    struct se_clock clock;
    struct se_idle_options idle;
    /* Called by the engine's side behind each give(), to wake the server if it sleeps. */
    void (*wake)(void *context);
    void *wake_context;
};

int se_stepper_new(struct se_stepper **out, const struct se_stepper_options *options);
/* Waits for a job that is running. NULL is fine. Jobs that were not done come back no more. */
void se_stepper_free(struct se_stepper *stepper);

/* The engine's side gets a thread. 0 or -errno. */
int se_stepper_start(struct se_stepper *stepper);

/* The server's side. */
void se_stepper_offer(struct se_stepper *stepper, struct se_job *job); /* the seat is free */
/* The job on the seat, the server's again; NULL: there is none, or it runs already. */
struct se_job *se_stepper_recall(struct se_stepper *stepper);
/* The next finished job, or NULL. */
struct se_job *se_stepper_done(struct se_stepper *stepper);

/* The engine's side. */
struct se_job *se_stepper_take(struct se_stepper *stepper); /* or NULL */
void se_stepper_run(struct se_stepper *stepper, struct se_job *job);
void se_stepper_give(struct se_stepper *stepper, struct se_job *job);

#endif
