/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/trace_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/quote.h"

static const char *const what[] = { "step", "round", "feed", "level", "ahead", "dropped", "end" };
enum word { STEP, ROUND, FEED, LEVEL, AHEAD, DROPPED, END, N_WORDS };

/* Beyond these no clock goes, and sums of them are still numbers: 31 years since a start, 126 since
 * 1970. */
#define TIME_MAX_NS INT64_C(1000000000000000000)
#define WALL_MAX_NS INT64_C(4000000000000000000)

struct reading {
    struct se_trace_file *file;
    size_t line;
    size_t spans; /* that belong to no round yet, from here on */
};

static int wrong(const struct reading *r, const char *why)
{
    return se_fail(-EPROTO, "%s:%zu: %s", r->file->path, r->line, why);
}

/* What json_unpack_ex() found missing, or of another kind. */
static int unpacked(const struct reading *r, int result, const json_error_t *error)
{
    return result < 0 ? wrong(r, error->text) : 0;
}

/* Moments that follow each other, 0 and TIME_MAX_NS before and behind them. */
static bool in_order(const json_int_t *moment, int n)
{
    for (int i = 0; i < n; i++)
        if (moment[i] < (i > 0 ? moment[i - 1] : 0))
            return false;
    return moment[n - 1] <= TIME_MAX_NS;
}

static enum word word_of(const char *text)
{
    int i = 0;
    while (i < N_WORDS && strcmp(text, what[i]) != 0)
        i++;
    return (enum word)i;
}

/* ---- the first line */

static int copy(const struct reading *r, char to[SE_TRACE_WORD_B], const char *text)
{
    int n = snprintf(to, SE_TRACE_WORD_B, "%s", text);
    return n < SE_TRACE_WORD_B ? 0 : wrong(r, "a name that is too long");
}

static int read_head(struct reading *r, json_t *object)
{
    struct se_trace_file *f = r->file;
    const char *role = "", *program = "", *host = "";
    json_int_t version = 0, pid, wall;
    json_error_t error;
    if (json_unpack(object, "{s:I}", "trace", &version) < 0)
        return wrong(r,
                     "no trace: its first line is not {\"trace\": 1, ...}; --trace of se-serverd "
                     "and se-run writes one");
    if (version != 1)
        return wrong(r, "a trace of another version than 1: take the se-trace that came with the "
                        "program that wrote it");
    int result = json_unpack_ex(object, &error, 0, "{s:s, s:s, s:s, s:I, s:I}", "role", &role,
                                "program", &program, "host", &host, "pid", &pid, "wall", &wall);
    if (result < 0)
        return unpacked(r, result, &error);
    if (wall < 0 || wall > WALL_MAX_NS)
        return wrong(r, "\"wall\" is no time since 1970");
    if (strcmp(role, "server") != 0 && strcmp(role, "edge") != 0)
        return wrong(r, "its \"role\" is neither \"server\" nor \"edge\"");
    f->role = strcmp(role, "server") == 0 ? SE_TRACE_SERVER : SE_TRACE_EDGE;
    f->pid = pid;
    f->wall_ns = wall;
    result = copy(r, f->program, program);
    return result == 0 ? copy(r, f->host, host) : result;
}

/* ---- events */

static int read_session(const struct reading *r, const char *text, uint64_t *session)
{
    char *end;
    *session = strtoull(text, &end, 16);
    return *end || end == text ? wrong(r, "\"s\" is no session") : 0;
}

static int read_step(struct reading *r, json_t *object)
{
    struct se_trace_file *f = r->file;
    json_int_t number, begun, ended;
    int rounds, rows, prefills, prefill_rows, left;
    json_error_t error;
    int result =
        json_unpack_ex(object, &error, 0, "{s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i}", "n", &number,
                       "begun", &begun, "ended", &ended, "rounds", &rounds, "rows", &rows,
                       "prefills", &prefills, "prefill_rows", &prefill_rows, "left", &left);
    if (result < 0)
        return unpacked(r, result, &error);
    if (!in_order((json_int_t[]){ begun, ended }, 2))
        return wrong(r, "a step that ends before it begins");
    result = se_mem_grow(&f->step, &f->steps_cap, f->n_steps + 1, sizeof *f->step);
    if (result == 0)
        f->step[f->n_steps++] = (struct se_server_step){
            .number = (uint64_t)number,
            .begun_ns = (uint64_t)begun,
            .step_ns = (uint64_t)(ended - begun),
            .rounds = (uint32_t)rounds,
            .prefills = (uint32_t)prefills,
            .rows = (uint32_t)rows,
            .prefill_rows = (uint32_t)prefill_rows,
            .left = (uint32_t)left,
        };
    return result;
}

static int read_answered(struct reading *r, json_t *object)
{
    struct se_trace_file *f = r->file;
    const char *session;
    json_int_t came, ready, begun, ended, sent, step, round, base;
    int nodes, taken, pushed;
    json_error_t error;
    int result = json_unpack_ex(object, &error, 0,
                                "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:b}", "s",
                                &session, "r", &round, "came", &came, "ready", &ready, "begun",
                                &begun, "ended", &ended, "sent", &sent, "step", &step, "base",
                                &base, "nodes", &nodes, "taken", &taken, "pushed", &pushed);
    if (result < 0)
        return unpacked(r, result, &error);
    if (!in_order((json_int_t[]){ came, ready, begun, ended, sent }, 5))
        return wrong(r, "\"came\", \"ready\", \"begun\", \"ended\" and \"sent\" are not in order");
    result = se_mem_grow(&f->answered, &f->answered_cap, f->n_answered + 1, sizeof *f->answered);
    if (result < 0)
        return result;
    struct se_server_round *to = &f->answered[f->n_answered++];
    *to = (struct se_server_round){ .step = (uint64_t)step,
                                    .came_ns = (uint64_t)came,
                                    .ready_ns = (uint64_t)ready,
                                    .begun_ns = (uint64_t)begun,
                                    .ended_ns = (uint64_t)ended,
                                    .sent_ns = (uint64_t)sent,
                                    .round = (uint32_t)round,
                                    .base = (uint32_t)base,
                                    .nodes = (uint32_t)nodes,
                                    .taken = (uint32_t)taken,
                                    .pushed = pushed };
    return read_session(r, session, &to->session);
}

static int read_kind(const struct reading *r, const char *text, enum se_edge_kind *kind)
{
    static const char *const kinds[] = {
        [SE_EDGE_TREE] = "tree", [SE_EDGE_PLAIN] = "plain", [SE_EDGE_PUSHED] = "pushed"
    };
    for (int i = 0; i < 3; i++)
        if (strcmp(text, kinds[i]) == 0) {
            *kind = (enum se_edge_kind)i;
            return 0;
        }
    return wrong(r, "its \"kind\" is neither \"tree\", \"plain\" nor \"pushed\"");
}

static int read_asked(struct reading *r, json_t *object)
{
    struct se_trace_file *f = r->file;
    const char *session, *kind;
    json_int_t begun, sent, heard, request, round;
    int nodes, depth, accepted, tokens, bet, times;
    json_error_t error;
    int result = json_unpack_ex(
        object, &error, 0, "{s:s, s:I, s:I, s:I, s:I, s:s, s:i, s:i, s:i, s:i, s:b, s:i, s:I}", "s",
        &session, "r", &round, "begun", &begun, "sent", &sent, "heard", &heard, "kind", &kind,
        "nodes", &nodes, "depth", &depth, "accepted", &accepted, "tokens", &tokens, "bet", &bet,
        "times", &times, "request", &request);
    if (result < 0)
        return unpacked(r, result, &error);
    if (!in_order((json_int_t[]){ begun, sent != 0 ? sent : begun, heard }, 3))
        return wrong(r, "\"begun\", \"sent\" and \"heard\" are not in order");
    result = se_mem_grow(&f->asked, &f->asked_cap, f->n_asked + 1, sizeof *f->asked);
    if (result < 0)
        return result;
    struct se_trace_asked *to = &f->asked[f->n_asked++];
    *to = (struct se_trace_asked){ .round = { .round = (uint32_t)round,
                                              .nodes = (uint32_t)nodes,
                                              .depth = (uint32_t)depth,
                                              .was_hit = bet,
                                              .tokens = (uint32_t)tokens,
                                              .sent = (uint32_t)times,
                                              .begun_ns = (uint64_t)begun,
                                              .sent_ns = (uint64_t)sent,
                                              .heard_ns = (uint64_t)heard,
                                              .accepted = (uint32_t)accepted },
                                   .request = (uint64_t)request,
                                   .first_span = r->spans,
                                   .n_spans = f->n_spans - r->spans };
    r->spans = f->n_spans;
    result = read_kind(r, kind, &to->round.kind);
    return result == 0 ? read_session(r, session, &to->round.session) : result;
}

static int read_span(struct reading *r, json_t *object, enum se_edge_work work)
{
    struct se_trace_file *f = r->file;
    json_int_t begun, ended;
    int nodes;
    json_error_t error;
    int result = json_unpack_ex(object, &error, 0, "{s:I, s:I, s:i}", "begun", &begun, "ended",
                                &ended, "nodes", &nodes);
    if (result < 0)
        return unpacked(r, result, &error);
    if (!in_order((json_int_t[]){ begun, ended }, 2))
        return wrong(r, "drafting that ends before it begins");
    result = se_mem_grow(&f->span, &f->spans_cap, f->n_spans + 1, sizeof *f->span);
    if (result == 0)
        f->span[f->n_spans++] = (struct se_edge_span){ .work = work,
                                                       .nodes = (uint32_t)nodes,
                                                       .begun_ns = (uint64_t)begun,
                                                       .ended_ns = (uint64_t)ended };
    return result;
}

static int read_dropped(struct reading *r, json_t *object, bool last)
{
    json_int_t n;
    json_error_t error;
    int result = json_unpack_ex(object, &error, 0, "{s:I}", "dropped", &n);
    if (result == 0) {
        r->file->dropped = (uint64_t)n;
        r->file->whole = last;
    }
    return unpacked(r, result, &error);
}

/* What a later version may tell beside is passed over. */
static int read_event(struct reading *r, json_t *object)
{
    static const enum se_edge_work work[] = {
        [FEED] = SE_EDGE_FEED, [LEVEL] = SE_EDGE_LEVEL, [AHEAD] = SE_EDGE_AHEAD
    };
    const char *name;
    const bool server = r->file->role == SE_TRACE_SERVER;
    if (json_unpack(object, "{s:s}", "e", &name) < 0)
        return wrong(r, "no event: it has no \"e\"");
    const enum word word = word_of(name);
    if (word == ROUND)
        return server ? read_answered(r, object) : read_asked(r, object);
    if (word == STEP && server)
        return read_step(r, object);
    if ((word == FEED || word == LEVEL || word == AHEAD) && !server)
        return read_span(r, object, work[word]);
    if (word == DROPPED || word == END)
        return read_dropped(r, object, word == END);
    return 0;
}

/* ---- lines */

static int read_line(struct reading *r, const char *text, size_t len)
{
    char shown[SE_QUOTE_B];
    json_error_t error;
    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!object && r->line > 1)
        return se_fail(-EPROTO, "%s:%zu: no JSON: %s in '%s'", r->file->path, r->line, error.text,
                       se_quote(text, len, shown));
    int result = r->line == 1 ? read_head(r, object) : read_event(r, object);
    json_decref(object);
    return result;
}

/* A program that was killed may have left half a line, and nothing after it. */
static int read_lines(struct reading *r, FILE *from)
{
    char *text = NULL;
    size_t cap = 0;
    ssize_t len;
    int result = 0;
    while (result == 0 && (len = getline(&text, &cap, from)) > 0) {
        r->line++;
        r->file->cut = text[len - 1] != '\n';
        if (!r->file->cut)
            result = read_line(r, text, (size_t)len - 1);
    }
    if (result == 0 && ferror(from))
        result = se_fail(-EIO, "%s: cannot be read", r->file->path);
    if (result == 0 && (r->line == 0 || (r->line == 1 && r->file->cut))) {
        r->line = 1;
        result = read_head(r, NULL);
    }
    free(text);
    return result;
}

int se_trace_file_read(struct se_trace_file *file, const char *path)
{
    *file = SE_TRACE_FILE_NULL;
    file->path = path;
    FILE *from = fopen(path, "re");
    if (!from)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    struct reading r = { .file = file };
    int result = read_lines(&r, from);
    fclose(from);
    return result < 0 ? se_trace(result) : 0;
}

void se_trace_file_fini(struct se_trace_file *file)
{
    se_mem_free(file->step);
    se_mem_free(file->answered);
    se_mem_free(file->span);
    se_mem_free(file->asked);
    *file = SE_TRACE_FILE_NULL;
}
