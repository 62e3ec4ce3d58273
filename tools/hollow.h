/* SPDX-License-Identifier: Apache-2.0 */
/* tools/hollow.h - an engine without a model: what is left of a step when it computes nothing.
 *
 * Pages, sequences, checks, verdicts and commits are the real engine's. The token sampled behind
 * token t is t + 1, so whoever makes a tree knows what is accepted of it. */
#ifndef SE_TOOLS_HOLLOW_H
#define SE_TOOLS_HOLLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "runtime/model/model.h"
#include "runtime/model/step.h"

struct se_hollow {
    struct se_model model; /* first: the backend finds the rest by it */
    uint64_t step_ns;      /* a step sleeps until it has lasted so long; 0: it does not */
    /* Of the last step, by se_clock_ns(): when the backend was called, and when it was done. */
    _Atomic uint64_t begun_ns, ended_ns;
    /* Processor time of the thread that steps; there was a step once is_known. */
    clockid_t thread;
    _Atomic bool is_known;
};

void se_hollow_init(struct se_hollow *hollow, uint32_t vocab, uint32_t context, uint64_t step_ns);

/* The caller's to free, before the hollow goes. 0 or -errno. */
int se_hollow_engine(struct se_engine **out, struct se_hollow *hollow, uint32_t max_rows,
                     uint32_t n_pages);

#endif
