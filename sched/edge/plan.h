/* SPDX-License-Identifier: Apache-2.0 */
/* sched/edge/plan.h - how much to draft, and whether: what brings the most tokens per second.
 *
 *   time of a round  =  drafting  +  the way there and back  +  queue  +  step
 *   step             =  the server's own time for (sessions at work) x (rows of a round)
 *
 * Everybody at work is taken to do as this edge does: a row of mine is a row of each, so that on
 * a busy server a row costs what it costs all. Plain decoding is the same sum without drafting
 * and without the way: the server writes on and pushes. Times are measured, costs are told by
 * WELCOME, likelihoods come from worth.h. Pure arithmetic; one thread at a time. */
#ifndef SE_SCHED_EDGE_PLAN_H
#define SE_SCHED_EDGE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/wire.h"

struct se_plan {
    float cost_ns[SE_WIRE_COSTS]; /* of a step of 1, 4, 16, 64, 256 rows */
    float scale;                  /* what a step really takes, over what that says */
    float trip_ns, queue_ns;      /* running means; trip 0: not known yet */
    float verify_ns;              /* of queue and step together, of trees; 0: not seen yet */
    float level_ns;               /* of a level of drafting; 0: not known yet */
    float gain;      /* of a level: likelihood that its tokens add, over that of what it hangs on */
    float plain_ns;  /* from push to push; 0: not seen yet */
    float tree_rate; /* tokens per ns with trees, as it turned out; 0: not seen */
    uint32_t load;   /* sessions at work, at least 1 */
    uint32_t rounds, pushes; /* seen */
};

void se_plan_init(struct se_plan *plan);
void se_plan_welcome(struct se_plan *plan, const struct se_wire_welcome *welcome, uint64_t trip_ns);

/* What was measured. rows: of our own part of the step; prompt: it waited for one as well. */
void se_plan_note_level(struct se_plan *plan, uint64_t ns);
void se_plan_note_gain(struct se_plan *plan, float before, float added);
void se_plan_note_answer(struct se_plan *plan, const struct se_wire_result *result, uint32_t rows,
                         uint64_t trip_ns, bool prompt);
void se_plan_note_push(struct se_plan *plan, uint64_t ns);
void se_plan_note_round(struct se_plan *plan, uint32_t tokens, uint64_t ns);

/* Of a step in which everybody at work has so many rows. */
float se_plan_step_ns(const struct se_plan *plan, uint32_t rows);

/* How many of n nodes, the likeliest first (likelihood of being accepted, falling), to send after
 * drafting for drafted_ns, and with *rate the tokens per ns to expect. */
uint32_t se_plan_budget(const struct se_plan *plan, const float *likely, uint32_t n,
                        uint64_t drafted_ns, float *rate);
/* Whether one more level pays: rate as above; frontier: likelihood of the nodes it hangs on. */
bool se_plan_deeper(const struct se_plan *plan, const float *likely, uint32_t n,
                    uint64_t drafted_ns, float frontier);
/* The published rule: levels to draft, at least 1, so that drafting and the way there and back
 * take as long as what the server does meanwhile. */
uint32_t se_plan_matched(const struct se_plan *plan);
/* Tokens per ns when the server writes on by itself. */
float se_plan_plain_rate(const struct se_plan *plan);

#endif
