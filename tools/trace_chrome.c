/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/trace_chrome.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

/* Rows stand in this order: those of a server, then those of a session. */
enum row {
    ENGINE,
    WAITING,
    ROUND,
    DRAFT,
    DRAFTER,
    UPLINK,
    QUEUE,
    VERIFY,
    DOWNLINK,
    PROACTIVE,
    N_ROWS
};

static const char *const row_names[N_ROWS] = {
    [ENGINE] = "engine",     [WAITING] = "queue",       [ROUND] = "round", [DRAFT] = "draft",
    [DRAFTER] = "drafter",   [UPLINK] = "uplink",       [QUEUE] = "queue", [VERIFY] = "verify",
    [DOWNLINK] = "downlink", [PROACTIVE] = "proactive",
};

static const enum row row_of[SE_TRACE_PHASES] = {
    [SE_TRACE_DRAFT] = DRAFT,       [SE_TRACE_UPLINK] = UPLINK, [SE_TRACE_PROMPT] = QUEUE,
    [SE_TRACE_QUEUE] = QUEUE,       [SE_TRACE_VERIFY] = VERIFY, [SE_TRACE_REPLY] = VERIFY,
    [SE_TRACE_DOWNLINK] = DOWNLINK, [SE_TRACE_WAIT] = VERIFY,
};

enum { LANES_PER_ROW = 100000 };

/* What overlaps in a row goes into lanes, each free from its end on. */
struct lanes {
    int64_t *free_ns;
    size_t n, cap;
};

struct drawing {
    const struct se_trace_merge *merge;
    FILE *to;
    bool some;
    size_t pid; /* of the process at hand */
    struct lanes lanes[N_ROWS];
    int failed;
};

const char *se_trace_session_name(const struct se_trace_merge *m,
                                  const struct se_trace_session *session,
                                  char name[SE_TRACE_NAME_B])
{
    if (session->edge_file == SE_TRACE_NO_FILE) {
        snprintf(name, SE_TRACE_NAME_B, "session %016" PRIx64, session->id);
        return name;
    }
    const struct se_trace_file *f = &m->file[session->edge_file];
    snprintf(name, SE_TRACE_NAME_B, "%s %" PRId64 "/%016" PRIx64 " (%s)", f->program, f->pid,
             session->id, f->host);
    return name;
}

/* ---- events */

static void next_event(struct drawing *d)
{
    fputs(d->some ? ",\n" : "\n", d->to);
    d->some = true;
}

/* Names come from files: as JSON wants them. */
static void tell_name(struct drawing *d, const char *what, size_t tid, const char *name,
                      json_int_t place)
{
    const char *const sort = tid ? "thread_sort_index" : "process_sort_index";
    json_t *event = json_pack("{s:s, s:s, s:I, s:I, s:{s:s}}", "ph", "M", "name", what, "pid",
                              (json_int_t)d->pid, "tid", (json_int_t)tid, "args", "name", name);
    next_event(d);
    if (!event || json_dumpf(event, d->to, JSON_COMPACT) < 0)
        d->failed = -ENOMEM;
    json_decref(event);
    next_event(d);
    fprintf(
        d->to,
        "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%zu,\"tid\":%zu,\"args\":{\"sort_index\":%" PRId64
        "}}",
        sort, d->pid, tid, (int64_t)place);
}

static void begin_process(struct drawing *d, size_t pid, const char *name)
{
    d->pid = pid;
    for (int i = 0; i < N_ROWS; i++)
        d->lanes[i].n = 0;
    tell_name(d, "process_name", 0, name, (json_int_t)pid);
}

static size_t tid_of(enum row row, size_t lane) { return (size_t)row * LANES_PER_ROW + lane + 1; }

static size_t find_lane(struct drawing *d, enum row row, int64_t begun_ns, int64_t ended_ns)
{
    struct lanes *lanes = &d->lanes[row];
    char name[64];
    size_t i = 0;
    while (i < lanes->n && lanes->free_ns[i] > begun_ns)
        i++;
    if (i == lanes->n) {
        int r = se_mem_grow(&lanes->free_ns, &lanes->cap, i + 1, sizeof *lanes->free_ns);
        if (r < 0) {
            d->failed = r;
            return 0;
        }
        lanes->n++;
        snprintf(name, sizeof name, i ? "%s %zu" : "%s", row_names[row], i + 1);
        tell_name(d, "thread_name", tid_of(row, i), name, (json_int_t)tid_of(row, i));
    }
    lanes->free_ns[i] = ended_ns;
    return i;
}

/* Microseconds, to the nanosecond: no sum is off by a rounding. */
static void put_us(FILE *to, const char *key, int64_t ns)
{
    fprintf(to, ",\"%s\":%" PRId64 ".%03" PRId64, key, ns / 1000, ns % 1000);
}

/* A slice; then its arguments follow, and end_slice(). */
static void begin_slice(struct drawing *d, enum row row, int64_t begun_ns, int64_t ended_ns,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));
static void begin_slice(struct drawing *d, enum row row, int64_t begun_ns, int64_t ended_ns,
                        const char *format, ...)
{
    const size_t lane = find_lane(d, row, begun_ns, ended_ns);
    va_list arguments;
    next_event(d);
    fprintf(d->to, "{\"ph\":\"X\",\"cat\":\"%s\",\"pid\":%zu,\"tid\":%zu,\"name\":\"",
            row_names[row], d->pid, tid_of(row, lane));
    va_start(arguments, format);
    vfprintf(d->to, format, arguments);
    va_end(arguments);
    fputc('"', d->to);
    put_us(d->to, "ts", begun_ns - d->merge->first_ns);
    put_us(d->to, "dur", ended_ns - begun_ns);
    fputs(",\"args\":{", d->to);
}

static void end_slice(struct drawing *d) { fputs("}}", d->to); }

/* ---- servers */

static void draw_steps(struct drawing *d, size_t file)
{
    const struct se_trace_file *f = &d->merge->file[file];
    for (size_t i = 0; i < f->n_steps; i++) {
        const struct se_server_step *s = &f->step[i];
        begin_slice(d, ENGINE, se_trace_merge_at(d->merge, file, s->begun_ns),
                    se_trace_merge_at(d->merge, file, s->begun_ns + s->step_ns), "step %" PRIu64,
                    s->number);
        fprintf(d->to,
                "\"step\":%" PRIu64 ",\"rounds\":%" PRIu32 ",\"rows\":%" PRIu32
                ",\"prefills\":%" PRIu32 ",\"prefill_rows\":%" PRIu32 ",\"left\":%" PRIu32,
                s->number, s->rounds, s->rows, s->prefills, s->prefill_rows, s->left);
        end_slice(d);
    }
}

static int by_arrival(const void *a, const void *b)
{
    const struct se_trace_round *x = *(const struct se_trace_round *const *)a;
    const struct se_trace_round *y = *(const struct se_trace_round *const *)b;
    return (x->at_server.came > y->at_server.came) - (x->at_server.came < y->at_server.came);
}

static void draw_waiting(struct drawing *d, size_t file)
{
    const struct se_trace_merge *m = d->merge;
    const struct se_trace_round **round = se_mem_new(m->n_rounds + 1, sizeof *round);
    size_t n = 0;
    if (!round) {
        d->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < m->n_rounds; i++)
        if (m->round[i].server && m->round[i].server_file == file)
            round[n++] = &m->round[i];
    qsort(round, n, sizeof *round, by_arrival);
    for (size_t i = 0; i < n; i++) {
        begin_slice(d, WAITING, round[i]->at_server.came, round[i]->at_server.begun,
                    "%016" PRIx64 " #%" PRIu32, round[i]->session, round[i]->round);
        fprintf(d->to, "\"step\":%" PRIu64 ",\"nodes\":%" PRIu32, round[i]->server->step,
                round[i]->server->nodes);
        end_slice(d);
    }
    se_mem_free(round);
}

static void draw_server(struct drawing *d, size_t file)
{
    const struct se_trace_file *f = &d->merge->file[file];
    char name[SE_TRACE_NAME_B];
    snprintf(name, sizeof name, "%s %" PRId64 " (%s)", f->program, f->pid, f->host);
    begin_process(d, file + 1, name);
    draw_steps(d, file);
    draw_waiting(d, file);
}

/* ---- sessions */

static void put_edge(struct drawing *d, const struct se_trace_asked *asked)
{
    const struct se_edge_round *r = &asked->round;
    fprintf(d->to,
            ",\"request\":%" PRIu64 ",\"depth\":%" PRIu32 ",\"accepted\":%" PRIu32
            ",\"tokens\":%" PRIu32 ",\"bet\":%s,\"sent\":%" PRIu32,
            asked->request, r->depth, r->accepted, r->tokens, r->was_hit ? "true" : "false",
            r->sent);
}

/* All that is known of it stands with the round; its parts say which one they are of. */
static void draw_round(struct drawing *d, const struct se_trace_round *round)
{
    struct se_trace_part part[SE_TRACE_PHASES];
    const size_t n = se_trace_round_parts(round, part);
    const struct se_server_round *server = round->server;
    uint32_t nodes = server ? server->nodes - 1 : 0;
    if (!server && round->edge)
        nodes = round->edge->round.nodes;
    begin_slice(d, ROUND, part[0].begun_ns, part[n - 1].ended_ns, "round %" PRIu32, round->round);
    fprintf(d->to, "\"round\":%" PRIu32 ",\"nodes\":%" PRIu32, round->round, nodes);
    if (server)
        fprintf(d->to, ",\"step\":%" PRIu64 ",\"taken\":%" PRIu32 ",\"pushed\":%s", server->step,
                server->taken, server->pushed ? "true" : "false");
    if (round->edge)
        put_edge(d, round->edge);
    end_slice(d);
    for (size_t i = 0; i < n; i++) {
        begin_slice(d, row_of[part[i].phase], part[i].begun_ns, part[i].ended_ns, "%s",
                    se_trace_phase_names[part[i].phase]);
        fprintf(d->to, "\"round\":%" PRIu32, round->round);
        end_slice(d);
    }
}

static void draw_spans(struct drawing *d, const struct se_trace_round *round)
{
    static const char *const work[] = {
        [SE_EDGE_FEED] = "feed", [SE_EDGE_LEVEL] = "level", [SE_EDGE_AHEAD] = "ahead"
    };
    const size_t file = round->edge_file;
    const struct se_edge_span *span = d->merge->file[file].span + round->edge->first_span;
    for (size_t i = 0; i < round->edge->n_spans; i++) {
        begin_slice(d, span[i].work == SE_EDGE_AHEAD ? PROACTIVE : DRAFTER,
                    se_trace_merge_at(d->merge, file, span[i].begun_ns),
                    se_trace_merge_at(d->merge, file, span[i].ended_ns), "%s", work[span[i].work]);
        fprintf(d->to, "\"round\":%" PRIu32 ",\"nodes\":%" PRIu32, round->round, span[i].nodes);
        end_slice(d);
    }
}

static void draw_session(struct drawing *d, size_t number)
{
    const struct se_trace_merge *m = d->merge;
    const struct se_trace_session *s = &m->session[number];
    char name[SE_TRACE_NAME_B];
    begin_process(d, m->n_files + 1 + number, se_trace_session_name(m, s, name));
    for (size_t i = s->first; i < s->first + s->n; i++) {
        draw_round(d, &m->round[i]);
        if (m->round[i].edge)
            draw_spans(d, &m->round[i]);
    }
}

/* ---- clocks */

static json_t *clock_object(const struct se_trace_merge *m, size_t file)
{
    const struct se_trace_file *f = &m->file[file];
    const struct se_trace_clock *c = &m->clock[file];
    const double uncertainty = c->offset.uncertainty_ns;
    const int64_t offset_ns = c->by_rounds ? c->offset.ns + llround(c->offset.shift) : c->shift_ns;
    const char *by = file == m->reference ? "itself" : c->by_rounds ? "rounds" : "time of day";
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:b}", "file", f->path, "program", f->program,
        "pid", (json_int_t)f->pid, "host", f->host, "by", by, "offset_ns", (json_int_t)offset_ns,
        "rounds", (json_int_t)c->matched, "left_out", (json_int_t)c->out, "whole", f->whole);
    if (c->by_rounds && isfinite(uncertainty))
        json_object_set_new(object, "uncertainty_ns", json_real(uncertainty));
    if (c->by_rounds)
        json_object_set_new(object, "drift_ppm", json_real(c->offset.drift * 1e6));
    if (f->dropped > 0)
        json_object_set_new(object, "dropped", json_integer((json_int_t)f->dropped));
    return object;
}

static void draw_clocks(struct drawing *d)
{
    json_t *clocks = json_array();
    for (size_t i = 0; i < d->merge->n_files; i++)
        if (json_array_append_new(clocks, clock_object(d->merge, i)) < 0)
            d->failed = -ENOMEM;
    fputs("\"otherData\":{\"clocks\":", d->to);
    json_dumpf(clocks, d->to, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fputs("},\n", d->to);
    json_decref(clocks);
}

int se_trace_chrome_write(const struct se_trace_merge *merge, FILE *to)
{
    struct drawing d = { .merge = merge, .to = to };
    fputs("{\"displayTimeUnit\":\"ms\",\n", to);
    draw_clocks(&d);
    fputs("\"traceEvents\":[", to);
    for (size_t i = 0; i < merge->n_files; i++)
        if (merge->file[i].role == SE_TRACE_SERVER)
            draw_server(&d, i);
    for (size_t i = 0; i < merge->n_sessions; i++)
        draw_session(&d, i);
    fputs("\n]}\n", to);
    for (int i = 0; i < N_ROWS; i++)
        se_mem_free(d.lanes[i].free_ns);
    return d.failed < 0 ? se_trace(d.failed) : 0;
}
