/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run.h - what the files of se-run share: one run, and one answer in it.
 *
 *   se-run.c            settings to sources, main
 *   se_run_answer.c     one answer, from the ids of a prompt to its last token
 *   se_run_batch.c      answers to the prompts of a dataset
 *   se_run_chat.c       answers to a user, turn by turn
 *   se_run_<noun>.h     what these are made of, each told by its own header
 *
 * One thread. */
#ifndef SE_TOOLS_SE_RUN_H
#define SE_TOOLS_SE_RUN_H

#include <jansson.h>
#include <stdbool.h>

#include "tools/outcome.h"
#include "tools/se_run_dataset.h"
#include "tools/se_run_edge.h"
#include "tools/se_run_options.h"
#include "tools/se_run_record.h"
#include "tools/se_run_tally.h"
#include "tools/se_run_words.h"
#include "tools/se_run_writer.h"
#include "tools/trace_log.h"

enum {                                      /* how it may end, beside tools/outcome.h */
       SE_RUN_UNREACHABLE = SE_OUTCOME_OWN, /* there is no server */
       SE_RUN_REFUSED,                      /* it will have nothing to do with us, nor ever will */
       SE_RUN_FULL,                         /* it has no room, and we are not to wait */
       SE_RUN_PARTIAL                       /* not all of what was asked for: records, prompts */
};

struct se_run {
    const struct se_run_options *o;
    struct se_sampling sampling;
    struct se_run_words words;
    struct se_run_edge edge;
    struct se_run_writer writer;
    struct se_run_record record;
    struct se_trace_log *trace; /* or NULL */
    struct se_run_tally all;    /* of every answer */
    struct se_run_tally one;    /* of the last one */
    struct se_run_tally *part;  /* of some; NULL: of none */
    bool stopped, full;         /* the last one ended by a token, by the context's limit */
    int watched;                /* what went wrong in the middle of a round, below 0 */
    char broken[512];           /* why records are no longer written, or "" */
};

/* One answer to a prompt, shown as it comes. about: what stands first in its JSON object, or
 * NULL. 0, INTERRUPTED, one of the above or -errno; what came of the answer is then in
 * writer.text and was shown. */
int se_run_answer(struct se_run *run, const struct se_ids *prompt, const json_t *about);

/* The watch of the edge, whose context is the run. */
struct se_edge_watch se_run_watch(struct se_run *run);

/* 0, or PARTIAL with the sentence when records are no longer written. */
int se_run_records_whole(const struct se_run *run);

/* Whether something may be told on standard error: it was asked for, or a person reads it. */
bool se_run_tells(const struct se_run *run);

int se_run_batch(struct se_run *run, struct se_run_dataset *set);
int se_run_chat(struct se_run *run);

#endif
