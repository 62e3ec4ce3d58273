/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_edge.h - se-run's edge with all it stands on: server, link, draft.
 *
 * One thread, beside those that compute. */
#ifndef SE_TOOLS_SE_RUN_EDGE_H
#define SE_TOOLS_SE_RUN_EDGE_H

#include "runtime/model/sample.h"
#include "sched/edge/edge.h"
#include "tools/pass.h"
#include "tools/se_run_drafter.h"
#include "tools/se_run_options.h"
#include "tools/se_run_server.h"
#include "tools/se_run_words.h"

struct se_run_edge {
    const struct se_run_options *o;
    const struct se_run_words *words;
    struct se_edge_watch watch;
    struct se_run_server *server;
    struct se_run_drafter drafter;
    struct se_frames *frames;
    struct se_guard pass, *guard; /* guard: NULL, or the pass */
    struct se_link *link;
    struct se_edge *edge;
};
#define SE_RUN_EDGE_NULL ((struct se_run_edge){ 0 })

/* Loads what has to be loaded; the server need not be there yet. 0, an outcome of
 * se_run_drafter.h, or -errno. */
int se_run_edge_open(struct se_run_edge *edge, const struct se_run_options *options,
                     const struct se_run_words *words, const struct se_sampling *sampling,
                     const struct se_edge_watch *watch);
/* Another session, for what is sampled otherwise. On failure there is no edge; close it. */
int se_run_edge_renew(struct se_run_edge *edge, const struct se_sampling *sampling);
void se_run_edge_close(struct se_run_edge *edge);

#endif
