/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_tally.h - what answers of se-run took: rounds, tokens, times, bytes.
 *
 * Times between tokens: a round that brings n tokens counts n times, each with the n-th part of
 * the time since the round before. The first round of an answer holds the prompt and counts as
 * the time to the first token instead. One thread. */
#ifndef SE_TOOLS_SE_RUN_TALLY_H
#define SE_TOOLS_SE_RUN_TALLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/hist.h"
#include "sched/edge/edge.h"

struct se_run_tally {
    uint64_t answers;
    uint64_t tokens;    /* that answers hold */
    uint64_t rounds;    /* of the target */
    uint64_t accepted;  /* tokens they brought; an answer that ends within a round has less */
    uint64_t bets, won; /* drafts on the answer that was still to come */
    uint64_t up_b, down_b;
    uint64_t resent;        /* rounds sent again */
    uint64_t ns;            /* from ask to end, of all answers */
    struct se_hist first;   /* seconds to the first token, one an answer */
    struct se_hist between; /* seconds */
    uint64_t last_ns;       /* of the answer that goes on: its last round */
};
#define SE_RUN_TALLY_NULL ((struct se_run_tally){ 0 })

void se_run_tally_fini(struct se_run_tally *tally);

/* Each round of an answer, then its end. 0 or -ENOMEM. */
int se_run_tally_round(struct se_run_tally *tally, const struct se_edge_round *round);
void se_run_tally_answer(struct se_run_tally *tally, uint64_t tokens, uint64_t ns);

/* Two or three lines for people; label stands before them. */
void se_run_tally_print(struct se_run_tally *tally, FILE *to);
/* One line: of a category of a dataset. */
void se_run_tally_line(struct se_run_tally *tally, const char *name, FILE *to);
/* The same numbers as a new object, or NULL. */
json_t *se_run_tally_json(struct se_run_tally *tally);

#endif
