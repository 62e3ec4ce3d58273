/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/job.h - one step on its way: whose rows are in it, and what came of them.
 *
 * Memory is taken once, but for chores, whose list grows. The server fills a job, the engine's
 * side runs it, the server reads it; nobody touches it out of turn. */
#ifndef SE_SCHED_SERVER_JOB_H
#define SE_SCHED_SERVER_JOB_H

#include <stdint.h>

#include "runtime/model/step.h"

/* Something to do to a sequence before the step: pages belong to the engine's side. */
struct se_chore {
    struct se_seq *seq;
    uint32_t keep; /* rewind to so many tokens */
    bool free;     /* or give it up altogether */
};

struct se_job {
    struct se_part *part;
    uint32_t *session; /* per part: whose */
    uint32_t *slot;    /* per part: the round it answers, or SE_JOB_PREFILL */
    uint32_t n_parts, max_parts;
    uint32_t *token; /* of prompts: a copy, for the session's own list may grow meanwhile */
    uint32_t n_tokens;
    uint32_t rows, prefill_rows, max_rows;
    struct se_chore *chore; /* in order, before the step; those that are done leave the list */
    uint32_t n_chores;
    size_t chore_cap;

    /* Results. */
    int result;                  /* of se_step(), SE_KV_FULL as well; 0 when there were no parts */
    char why[160];               /* of a result below 0 */
    uint64_t begun_ns, ended_ns; /* taken, given (stepper.h) */
};
#define SE_JOB_PREFILL UINT32_MAX

/* An empty one: room for max_parts parts and max_rows tokens, both at least 1. 0 or -ENOMEM. */
int se_job_init(struct se_job *job, uint32_t max_parts, uint32_t max_rows);
/* One that is zeroed or was finished already is fine. */
void se_job_fini(struct se_job *job);

/* Empties it: parts, tokens, chores and results. */
void se_job_reset(struct se_job *job);

/* One chore more, behind the others. 0, or -ENOMEM and the job stays as it was. */
int se_job_chore(struct se_job *job, struct se_seq *seq, uint32_t keep, bool free);

#endif
