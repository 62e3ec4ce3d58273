/* SPDX-License-Identifier: Apache-2.0 */
/* tools/stage.h - one stage of a load: so many edges for so long, what a server made of it, and
 * what kept it from more. */
#ifndef SE_TOOLS_STAGE_H
#define SE_TOOLS_STAGE_H

#include "tools/load.h"
#include "tools/model_server.h"

struct se_stage_options {
    struct se_load_options load; /* but for edges */
    struct se_model_server *server;
    uint64_t warm_up_ns, ns;
    double limit_ms;         /* of p95 of */
    enum se_load_time judge; /* this */
};

/* Who had no more to give, the likeliest first. */
enum se_stage_bound {
    SE_STAGE_NONE,      /* p95 is within the limit */
    SE_STAGE_SESSIONS,  /* the server lets no more in */
    SE_STAGE_GENERATOR, /* this program */
    SE_STAGE_PAGES,     /* keys and values */
    SE_STAGE_ENGINE,    /* it computes without a break */
    SE_STAGE_SERVER,    /* its thread that has link and books */
    SE_STAGE_STEP,      /* a single step takes the most of what was waited */
    SE_STAGE_QUEUE,     /* so does the time until it begins */
    SE_STAGE_WAY,       /* so does all else: link, coding, whoever takes processors away */
    SE_STAGE_AWAY,      /* what is waited for lies in the edges: drafting and the way */
    SE_STAGE_BOUNDS
};

/* Shares are of one processor, or of the engine's time; NaN: not known. */
struct se_stage {
    uint32_t edges;
    double seconds;
    struct se_load_seen seen;
    double engine, server, own, own_thread;
    double step_rounds, step_rows; /* of a step */
    double evictions, busy;
    uint32_t held_up; /* edges were sent away for a while */
    bool full;        /* and for good: then there are no samples */
    enum se_stage_bound bound;
};
#define SE_STAGE_NULL ((struct se_stage){ .edges = 0 })

/* The caller's to fini, after this failed too. 0, -errno or SE_OUTCOME_INTERRUPTED. */
int se_stage_measure(struct se_stage *stage, const struct se_stage_options *options,
                     uint32_t edges);
void se_stage_fini(struct se_stage *stage);

/* In milliseconds; NaN: no sample. */
double se_stage_at(struct se_stage *stage, enum se_load_time what, double share);

/* "engine" for programs; a sentence with its figures for people. */
const char *se_stage_bound_key(enum se_stage_bound bound);
const char *se_stage_bound_text(struct se_stage *stage, char *text, size_t size_b);

#endif
