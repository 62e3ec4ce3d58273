/* SPDX-License-Identifier: Apache-2.0 */
/* tools/load.h - synthetic edges at work on a server, as many as one thread can drive.
 *
 *   ask ─► draft ─► VERIFY ─► RESULT ─► draft ... ─► last token ─► think ─► ask ...
 *
 * What is said and heard is the real edge's (sched/edge/talk.h), each on a connection of its own.
 * Drafting is a pause and what an oracle makes (oracle.h), and the way there and back is made
 * longer by holding frames here. Every token is held against what plain decoding gave. */
#ifndef SE_TOOLS_LOAD_H
#define SE_TOOLS_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/hist.h"
#include "runtime/model/sample.h"
#include "tools/caller.h"
#include "tools/lookout.h"
#include "tools/oracle.h"

struct se_load_options {
    const char *url;
    const struct se_wire_hello *hello; /* that this server takes: its tokenizer */
    struct se_sampling sampling;
    uint32_t edges, tokens; /* of an answer */
    uint64_t draft_ns;      /* of a tree */
    uint64_t trip_ns;       /* added to the way there and back */
    uint64_t think_ns;      /* from an answer's end to the next ask, on the average; */
    double rate;            /* or, above 0: answers that come to each edge in a second */
    const struct se_oracle *oracle;
    struct se_oracle_text *text; /* that are not whole are decoded plainly */
    uint32_t n_texts;
    uint64_t seed;
};

/* What was seen, times in milliseconds. */
enum se_load_time {
    SE_LOAD_ROUND, /* VERIFY to RESULT, less the way that was added, but for an answer's first; */
    SE_LOAD_QUEUE, /* of it: until its step begins, as the server tells, */
    SE_LOAD_STEP,  /* the step, the same, */
    SE_LOAD_WAY,   /* and all else */
    SE_LOAD_TOKEN, /* of an answer, from ask to end, a token */
    SE_LOAD_FIRST, /* ask to first RESULT, for which the prompt is computed */
    SE_LOAD_LATE,  /* what was due here was done so much later */
    SE_LOAD_TIMES
};
struct se_load_seen {
    struct se_hist ms[SE_LOAD_TIMES];
    uint64_t rounds, tokens, answers;
};

struct se_load_edge;

struct se_load {
    struct se_load_options o;
    struct se_frames *frames;
    struct se_load_edge *edge;
    struct se_lookout lookout;
    struct se_load_seen *seen; /* or NULL */
    bool full;                 /* the server lets no more in: nothing goes on */
    uint32_t held_up;          /* times that it sent somebody away for a while */
};

/* Connects all; they begin with run. The caller's to close, after this failed too. 0 or -errno. */
int se_load_open(struct se_load *load, const struct se_load_options *options);
/* All say goodbye. */
void se_load_close(struct se_load *load);

/* For so long. What is seen is added to seen, unless that is NULL. 0, also when the server is
 * full; -errno, or SE_OUTCOME_INTERRUPTED. */
int se_load_run(struct se_load *load, uint64_t ns, struct se_load_seen *seen);

#endif
