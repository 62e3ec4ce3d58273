/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_record.h - a file with one JSON object for each round of se-run.
 *
 *     {"timestamp": 1764110000.123, "client_idx": 0, "req_idx": 0, "step_idx": 3,
 *      "draft": {"levels": 4, "end_to_end": 5.1},
 *      "target": {"client_wait": 20.3, "end_to_end": 20.3, "prefill": 0,
 *                 "proactive": true, "prev_proactive": false},
 *      "num_accepted_tokens": 5, ...}
 *
 * Times are milliseconds. The keys above are those of the published project; docs/man/se-run.1
 * has them all. Each line is with the system when the call returns. One thread. */
#ifndef SE_TOOLS_SE_RUN_RECORD_H
#define SE_TOOLS_SE_RUN_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/edge/edge.h"

struct se_run_record {
    const char *path;
    int fd;                         /* -1: no records are wanted, or the file failed */
    bool failed;                    /* writing did; what lies there before is whole */
    uint64_t client, request, step; /* of the next line */
    uint64_t whole_b;               /* length of the lines written */
};
#define SE_RUN_RECORD_NULL ((struct se_run_record){ .fd = -1 })

/* A new file, or one that is emptied. path NULL: nothing is ever written. client: who writes, for
 * files of several edges. */
int se_run_record_open(struct se_run_record *record, const char *path, uint64_t client);
void se_run_record_close(struct se_run_record *record);

/* The rounds that follow belong to this request. */
void se_run_record_request(struct se_run_record *record, uint64_t request);

/* One line. -errno with the text naming the file, once; then nothing more is written. */
int se_run_record_round(struct se_run_record *record, const struct se_edge_round *round);

#endif
