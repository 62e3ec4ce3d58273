/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/trace_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/scribe.h"

enum { ROOM = 16384, HOST_B = 65 };

enum kind { STEP, SERVER_ROUND, SPAN, EDGE_ROUND };

struct event {
    enum kind kind;
    union {
        struct se_server_step step;
        struct se_server_round server;
        struct se_edge_span span;
        struct {
            struct se_edge_round round;
            uint64_t request;
        } edge;
    };
};

struct se_trace_log {
    struct se_scribe *scribe;
};

/* ---- lines */

static int compose_step(char *line, const struct se_server_step *s)
{
    return snprintf(line, SE_SCRIBE_LINE_B,
                    "{\"e\":\"step\",\"n\":%" PRIu64 ",\"begun\":%" PRIu64 ",\"ended\":%" PRIu64
                    ",\"rounds\":%" PRIu32 ",\"rows\":%" PRIu32 ",\"prefills\":%" PRIu32
                    ",\"prefill_rows\":%" PRIu32 ",\"left\":%" PRIu32 "}\n",
                    s->number, s->begun_ns, s->begun_ns + s->step_ns, s->rounds, s->rows,
                    s->prefills, s->prefill_rows, s->left);
}

static int compose_server_round(char *line, const struct se_server_round *r)
{
    return snprintf(line, SE_SCRIBE_LINE_B,
                    "{\"e\":\"round\",\"s\":\"%016" PRIx64 "\",\"r\":%" PRIu32 ",\"came\":%" PRIu64
                    ",\"ready\":%" PRIu64 ",\"begun\":%" PRIu64 ",\"ended\":%" PRIu64
                    ",\"sent\":%" PRIu64 ",\"step\":%" PRIu64 ",\"base\":%" PRIu32
                    ",\"nodes\":%" PRIu32 ",\"taken\":%" PRIu32 ",\"pushed\":%s}\n",
                    r->session, r->round, r->came_ns, r->ready_ns, r->begun_ns, r->ended_ns,
                    r->sent_ns, r->step, r->base, r->nodes, r->taken, r->pushed ? "true" : "false");
}

static int compose_span(char *line, const struct se_edge_span *s)
{
    static const char *const work[] = {
        [SE_EDGE_FEED] = "feed", [SE_EDGE_LEVEL] = "level", [SE_EDGE_AHEAD] = "ahead"
    };
    return snprintf(line, SE_SCRIBE_LINE_B,
                    "{\"e\":\"%s\",\"begun\":%" PRIu64 ",\"ended\":%" PRIu64 ",\"nodes\":%" PRIu32
                    "}\n",
                    work[s->work], s->begun_ns, s->ended_ns, s->nodes);
}

static int compose_edge_round(char *line, const struct se_edge_round *r, uint64_t request)
{
    static const char *const kind[] = {
        [SE_EDGE_TREE] = "tree", [SE_EDGE_PLAIN] = "plain", [SE_EDGE_PUSHED] = "pushed"
    };
    return snprintf(line, SE_SCRIBE_LINE_B,
                    "{\"e\":\"round\",\"s\":\"%016" PRIx64 "\",\"r\":%" PRIu32 ",\"begun\":%" PRIu64
                    ",\"sent\":%" PRIu64 ",\"heard\":%" PRIu64 ",\"kind\":\"%s\",\"nodes\":%" PRIu32
                    ",\"depth\":%" PRIu32 ",\"accepted\":%" PRIu32 ",\"tokens\":%" PRIu32
                    ",\"bet\":%s,\"times\":%" PRIu32 ",\"request\":%" PRIu64 "}\n",
                    r->session, r->round, r->begun_ns, r->sent_ns, r->heard_ns, kind[r->kind],
                    r->nodes, r->depth, r->accepted, r->tokens, r->was_hit ? "true" : "false",
                    r->sent, request);
}

static int compose(char line[SE_SCRIBE_LINE_B], const void *item)
{
    const struct event *event = item;
    switch (event->kind) {
    case STEP:
        return compose_step(line, &event->step);
    case SERVER_ROUND:
        return compose_server_round(line, &event->server);
    case SPAN:
        return compose_span(line, &event->span);
    case EDGE_ROUND:
        break;
    }
    return compose_edge_round(line, &event->edge.round, event->edge.request);
}

static int count(char line[SE_SCRIBE_LINE_B], uint64_t lines, uint64_t dropped, bool last)
{
    if (last)
        return snprintf(line, SE_SCRIBE_LINE_B,
                        "{\"e\":\"end\",\"events\":%" PRIu64 ",\"dropped\":%" PRIu64 "}\n", lines,
                        dropped);
    return snprintf(line, SE_SCRIBE_LINE_B, "{\"e\":\"dropped\",\"dropped\":%" PRIu64 "}\n",
                    dropped);
}

/* A host's name has no characters that JSON would want marked; one that has is not told. */
static const char *host_name(char name[HOST_B])
{
    name[HOST_B - 1] = '\0';
    if (gethostname(name, HOST_B - 1) < 0)
        return "";
    for (const char *c = name; *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            return "";
    return name;
}

static int64_t ns_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void compose_head(char line[SE_SCRIBE_LINE_B], enum se_trace_role role)
{
    char host[HOST_B];
    snprintf(line, SE_SCRIBE_LINE_B,
             "{\"trace\":1,\"role\":\"%s\",\"program\":\"%s\",\"version\":\"%s\",\"host\":\"%s\","
             "\"pid\":%ld,\"wall\":%" PRId64 "}\n",
             role == SE_TRACE_SERVER ? "server" : "edge", program_invocation_short_name, SE_VERSION,
             host_name(host), (long)getpid(), ns_of(CLOCK_REALTIME) - ns_of(CLOCK_MONOTONIC));
}

/* ---- life */

int se_trace_log_open(struct se_trace_log **out, const char *path, enum se_trace_role role)
{
    char head[SE_SCRIBE_LINE_B];
    struct se_trace_log *log = se_mem_zero(1, sizeof *log);
    if (!log)
        return se_trace(-ENOMEM);
    compose_head(head, role);
    const struct se_scribe_options options = { .path = path,
                                               .head = head,
                                               .item_b = sizeof(struct event),
                                               .room = ROOM,
                                               .compose = compose,
                                               .count = count };
    int r = se_scribe_open(&log->scribe, &options);
    if (r == 0)
        *out = log;
    else
        se_mem_free(log);
    return r < 0 ? se_trace(r) : 0;
}

int se_trace_log_check(struct se_trace_log *log) { return se_scribe_check(log->scribe); }

uint64_t se_trace_log_close(struct se_trace_log *log)
{
    if (!log)
        return 0;
    uint64_t lost = se_scribe_close(log->scribe);
    se_mem_free(log);
    return lost;
}

/* ---- events */

void se_trace_log_step(struct se_trace_log *log, const struct se_server_step *step)
{
    se_scribe_put(log->scribe, &(struct event){ .kind = STEP, .step = *step });
}

void se_trace_log_server_round(struct se_trace_log *log, const struct se_server_round *round)
{
    se_scribe_put(log->scribe, &(struct event){ .kind = SERVER_ROUND, .server = *round });
}

void se_trace_log_span(struct se_trace_log *log, const struct se_edge_span *span)
{
    se_scribe_put(log->scribe, &(struct event){ .kind = SPAN, .span = *span });
}

void se_trace_log_edge_round(struct se_trace_log *log, const struct se_edge_round *round,
                             uint64_t request)
{
    se_scribe_put(log->scribe, &(struct event){ .kind = EDGE_ROUND, .edge = { *round, request } });
}
