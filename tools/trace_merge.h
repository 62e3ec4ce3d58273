/* SPDX-License-Identifier: Apache-2.0 */
/* tools/trace_merge.h - traces of servers and edges on one clock, that of the first server.
 *
 *   edge    begun ── draft ──► sent                                            heard
 *                                 uplink                              downlink ┘
 *   server                        └► came ─► ready ─► begun ─► ended ─► sent ──┘
 *                                     prompt   queue   verify    reply
 *
 * Session and number of a round tie its two halves together, and all of an edge's rounds say how its
 * clock goes (offset.h). Clocks of other servers, and of edges whose rounds no server here has, are
 * placed by the time of day. One thread. */
#ifndef SE_TOOLS_TRACE_MERGE_H
#define SE_TOOLS_TRACE_MERGE_H

#include "tools/offset.h"
#include "tools/trace_file.h"

enum se_trace_phase {
    SE_TRACE_DRAFT, /* since the answer before, or the ask, whatever it was spent on */
    SE_TRACE_UPLINK,
    SE_TRACE_PROMPT, /* text before the round is computed */
    SE_TRACE_QUEUE,
    SE_TRACE_VERIFY,
    SE_TRACE_REPLY, /* from the end of the step until the link has the answer */
    SE_TRACE_DOWNLINK,
    SE_TRACE_WAIT, /* in place of all behind the draft, when the server's half is not there */
    SE_TRACE_PHASES
};
extern const char *const se_trace_phase_names[SE_TRACE_PHASES];

struct se_trace_part {
    enum se_trace_phase phase;
    int64_t begun_ns, ended_ns;
};

/* Moments that do not apply are 0, their halves NULL. */
struct se_trace_round {
    uint64_t session;
    uint32_t round;
    const struct se_trace_asked *edge;    /* or NULL */
    const struct se_server_round *server; /* or NULL */
    size_t edge_file, server_file;
    struct {
        int64_t begun, sent, heard;
    } at_edge;
    struct {
        int64_t came, ready, begun, ended, sent;
    } at_server;
};

struct se_trace_session {
    uint64_t id;
    size_t edge_file; /* SE_TRACE_NO_FILE: its edge's trace is not there */
    size_t first, n;  /* rounds */
};
#define SE_TRACE_NO_FILE SIZE_MAX

/* How a file's clock is placed. */
struct se_trace_clock {
    struct se_offset offset;
    bool by_rounds;     /* by these; otherwise by the time of day, which puts it shift_ns off */
    int64_t shift_ns;   /* the server's, or without rounds */
    size_t matched;     /* rounds with both halves */
    size_t out;         /* of them, how many are left out: they would have gone back in time */
    int64_t out_max_ns; /* by so much at most */
};

struct se_trace_merge {
    const struct se_trace_file *file;
    struct se_trace_clock *clock; /* of each */
    size_t n_files, reference;
    struct se_trace_round *round; /* by session, and as they went */
    size_t n_rounds, rounds_cap;
    struct se_trace_session *session; /* in the order of their first rounds */
    size_t n_sessions, sessions_cap;
    int64_t first_ns; /* of all that happened */
};

/* 0 or -errno; the caller's to fini either way. The files outlive it. */
int se_trace_merge_make(struct se_trace_merge *merge, const struct se_trace_file *file, size_t n);
void se_trace_merge_fini(struct se_trace_merge *merge);

/* A moment of a file, on the one clock. */
int64_t se_trace_merge_at(const struct se_trace_merge *merge, size_t file, uint64_t ns);

/* The parts of a round, one behind the other without a gap; returns their number. */
size_t se_trace_round_parts(const struct se_trace_round *round,
                            struct se_trace_part part[SE_TRACE_PHASES]);

#endif
