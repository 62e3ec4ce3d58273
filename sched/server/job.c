/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/job.h"

#include <errno.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

int se_job_init(struct se_job *job, uint32_t max_parts, uint32_t max_rows)
{
    *job = (struct se_job){ .max_parts = max_parts, .max_rows = max_rows };
    job->part = se_mem_new(max_parts, sizeof *job->part);
    job->session = se_mem_new(max_parts, sizeof *job->session);
    job->slot = se_mem_new(max_parts, sizeof *job->slot);
    job->token = se_mem_new(max_rows, sizeof *job->token);
    if (!job->part || !job->session || !job->slot || !job->token ||
        se_mem_grow(&job->chore, &job->chore_cap, max_parts, sizeof *job->chore) < 0) {
        se_job_fini(job);
        return se_trace(-ENOMEM);
    }
    return 0;
}

void se_job_fini(struct se_job *job)
{
    se_mem_free(job->part);
    se_mem_free(job->session);
    se_mem_free(job->slot);
    se_mem_free(job->token);
    se_mem_free(job->chore);
    *job = (struct se_job){ .part = NULL };
}

void se_job_reset(struct se_job *job)
{
    job->n_parts = job->n_tokens = job->n_chores = 0;
    job->rows = job->prefill_rows = 0;
    job->result = 0;
    job->why[0] = '\0';
    job->begun_ns = job->ended_ns = 0;
}

int se_job_chore(struct se_job *job, struct se_seq *seq, uint32_t keep, bool free)
{
    int r =
        se_mem_grow(&job->chore, &job->chore_cap, (size_t)job->n_chores + 1, sizeof *job->chore);
    if (r < 0)
        return se_trace(r);
    job->chore[job->n_chores++] = (struct se_chore){ .seq = seq, .keep = keep, .free = free };
    return 0;
}
