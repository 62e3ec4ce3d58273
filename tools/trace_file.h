/* SPDX-License-Identifier: Apache-2.0 */
/* tools/trace_file.h - what a file of --trace holds, read back (docs/trace.md has its lines).
 *
 * Times are those of the clock of the process that wrote it. One thread. */
#ifndef SE_TOOLS_TRACE_FILE_H
#define SE_TOOLS_TRACE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/trace_log.h"

enum { SE_TRACE_WORD_B = 65 };

/* A round of an edge, with the pieces of drafting since the one before. */
struct se_trace_asked {
    struct se_edge_round round;
    uint64_t request;
    size_t first_span, n_spans;
};

struct se_trace_file {
    const char *path;
    enum se_trace_role role;
    char program[SE_TRACE_WORD_B], host[SE_TRACE_WORD_B];
    int64_t pid;
    int64_t wall_ns; /* time since 1970 when its clock shows 0 */

    struct se_server_step *step; /* a server's */
    size_t n_steps, steps_cap;
    struct se_server_round *answered; /* the same */
    size_t n_answered, answered_cap;
    struct se_edge_span *span; /* an edge's */
    size_t n_spans, spans_cap;
    struct se_trace_asked *asked; /* the same */
    size_t n_asked, asked_cap;

    bool whole;       /* its end was written */
    bool cut;         /* its last line was not */
    uint64_t dropped; /* events that are missing, as far as it says */
};
#define SE_TRACE_FILE_NULL ((struct se_trace_file){ 0 })

/* 0, or -errno with file and line. The caller's to fini either way; path outlives it. */
int se_trace_file_read(struct se_trace_file *file, const char *path);
void se_trace_file_fini(struct se_trace_file *file);

#endif
