/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/trace_summary.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/base/err.h"
#include "runtime/base/hist.h"
#include "runtime/base/mem.h"
#include "tools/trace_chrome.h"

/* A time in the engine, of one session's round. */
struct verify {
    uint64_t session;
    int64_t begun_ns, ended_ns;
};

struct all_verify {
    struct verify *verify; /* by their beginnings */
    size_t n;
};

static int by_begin(const void *a, const void *b)
{
    const struct verify *x = a, *y = b;
    return (x->begun_ns > y->begun_ns) - (x->begun_ns < y->begun_ns);
}

static int collect(struct all_verify *all, const struct se_trace_merge *m)
{
    all->n = 0;
    all->verify = se_mem_new(m->n_rounds + 1, sizeof *all->verify);
    if (!all->verify)
        return se_trace(-ENOMEM);
    for (size_t i = 0; i < m->n_rounds; i++)
        if (m->round[i].server)
            all->verify[all->n++] =
                (struct verify){ m->round[i].session, m->round[i].at_server.begun,
                                 m->round[i].at_server.ended };
    qsort(all->verify, all->n, sizeof *all->verify, by_begin);
    return 0;
}

/* ---- drafting while others are verified */

/* A walk along the times at which others are in the engine; drafting comes in order. */
struct walk {
    const struct all_verify *all;
    uint64_t session; /* not this one */
    size_t next;      /* the first that may reach beyond what was walked */
    int64_t drafted_ns, shared_ns;
};

static int64_t shared_with(struct walk *w, int64_t begun_ns, int64_t ended_ns)
{
    const struct all_verify *all = w->all;
    int64_t shared_ns = 0, from_ns = begun_ns;
    while (w->next < all->n && all->verify[w->next].ended_ns <= begun_ns)
        w->next++;
    for (size_t i = w->next; i < all->n && all->verify[i].begun_ns < ended_ns; i++) {
        const struct verify *v = &all->verify[i];
        const int64_t first = v->begun_ns > from_ns ? v->begun_ns : from_ns;
        const int64_t last = v->ended_ns < ended_ns ? v->ended_ns : ended_ns;
        if (v->session == w->session || last <= first)
            continue;
        shared_ns += last - first;
        from_ns = last; /* several rounds of one step count once */
    }
    return shared_ns;
}

static void walk_round(struct walk *w, const struct se_trace_merge *m,
                       const struct se_trace_round *round)
{
    const struct se_edge_span *span = m->file[round->edge_file].span + round->edge->first_span;
    for (size_t i = 0; i < round->edge->n_spans; i++) {
        const int64_t begun_ns = se_trace_merge_at(m, round->edge_file, span[i].begun_ns);
        const int64_t ended_ns = se_trace_merge_at(m, round->edge_file, span[i].ended_ns);
        w->drafted_ns += ended_ns - begun_ns;
        w->shared_ns += shared_with(w, begun_ns, ended_ns);
    }
}

/* ---- a session */

struct line {
    struct se_hist phase[SE_TRACE_PHASES];
    struct walk walk;
    bool has_edge; /* its trace is there */
    uint64_t tokens;
    int64_t begun_ns, ended_ns;
};

static int add_round(struct line *line, const struct se_trace_merge *m,
                     const struct se_trace_round *round)
{
    struct se_trace_part part[SE_TRACE_PHASES];
    const size_t n = se_trace_round_parts(round, part);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = se_hist_add(&line->phase[part[i].phase],
                        (double)(part[i].ended_ns - part[i].begun_ns) * 1e-6);
    if (round->edge)
        line->tokens += round->edge->round.tokens;
    else if (!line->has_edge) /* otherwise the answer was lost, and asked for again */
        line->tokens += round->server->taken;
    line->begun_ns = part[0].begun_ns < line->begun_ns ? part[0].begun_ns : line->begun_ns;
    line->ended_ns = part[n - 1].ended_ns > line->ended_ns ? part[n - 1].ended_ns : line->ended_ns;
    if (round->edge)
        walk_round(&line->walk, m, round);
    return r;
}

static const enum se_trace_phase columns[] = { SE_TRACE_DRAFT,   SE_TRACE_UPLINK, SE_TRACE_PROMPT,
                                               SE_TRACE_QUEUE,   SE_TRACE_VERIFY, SE_TRACE_REPLY,
                                               SE_TRACE_DOWNLINK };
enum { N_COLUMNS = sizeof columns / sizeof columns[0], CELL_B = 64 };

static void print_times(struct se_hist *hist, FILE *to)
{
    char cell[CELL_B] = "-";
    if (hist->n > 0)
        snprintf(cell, sizeof cell, "%.2f %.2f", se_hist_at(hist, 0.5), se_hist_at(hist, 0.95));
    fprintf(to, "  %13s", cell);
}

/* Of the edge's clock over the server's: what has to be taken from it. */
static void print_offset(const struct se_trace_merge *m, size_t file, FILE *to)
{
    if (file == SE_TRACE_NO_FILE) {
        fprintf(to, "  no trace of its edge");
        return;
    }
    const struct se_trace_clock *c = &m->clock[file];
    if (!c->by_rounds)
        fprintf(to, "  by the time of day");
    else if (isinf(c->offset.uncertainty_ns))
        fprintf(to, "  %+.3f ms, one way only", -((double)c->offset.ns + c->offset.shift) * 1e-6);
    else
        fprintf(to, "  %+.3f ms +- %.3f", -((double)c->offset.ns + c->offset.shift) * 1e-6,
                c->offset.uncertainty_ns * 1e-6);
    if (c->by_rounds && c->offset.drift != 0)
        fprintf(to, ", %+.1f ppm", -c->offset.drift * 1e6);
}

static void print_line(struct line *line, const struct se_trace_merge *m,
                       const struct se_trace_session *s, FILE *to)
{
    char name[SE_TRACE_NAME_B], share[CELL_B] = "-";
    const double seconds = (double)(line->ended_ns - line->begun_ns) * 1e-9;
    fprintf(to, "%-44s  %6zu  %6" PRIu64 "  %8.1f", se_trace_session_name(m, s, name), s->n,
            line->tokens, seconds > 0 ? (double)line->tokens / seconds : 0.0);
    for (size_t i = 0; i < N_COLUMNS; i++)
        print_times(&line->phase[columns[i]], to);
    if (line->walk.drafted_ns > 0)
        snprintf(share, sizeof share, "%.0f %%",
                 100.0 * (double)line->walk.shared_ns / (double)line->walk.drafted_ns);
    fprintf(to, "  %7s", share);
    print_offset(m, s->edge_file, to);
    fputc('\n', to);
}

static int print_session(const struct se_trace_merge *m, const struct all_verify *all,
                         const struct se_trace_session *s, FILE *to)
{
    struct line line = { .has_edge = s->edge_file != SE_TRACE_NO_FILE,
                         .walk = { .all = all, .session = s->id },
                         .begun_ns = INT64_MAX,
                         .ended_ns = INT64_MIN };
    int r = 0;
    for (size_t i = s->first; i < s->first + s->n && r == 0; i++)
        r = add_round(&line, m, &m->round[i]);
    if (r == 0)
        print_line(&line, m, s, to);
    for (int i = 0; i < SE_TRACE_PHASES; i++)
        se_hist_fini(&line.phase[i]);
    return r;
}

static void print_heading(FILE *to)
{
    fprintf(to, "%-44s  %6s  %6s  %8s", "session (times: median, p95; ms)", "rounds", "tokens",
            "tokens/s");
    for (size_t i = 0; i < N_COLUMNS; i++)
        fprintf(to, "  %13s", se_trace_phase_names[columns[i]]);
    fprintf(to, "  %7s  %s\n", "overlap", "clock ahead of the server's");
}

int se_trace_summary_print(const struct se_trace_merge *m, FILE *to)
{
    struct all_verify all;
    int r = collect(&all, m);
    if (r == 0)
        print_heading(to);
    for (size_t i = 0; i < m->n_sessions && r == 0; i++)
        r = print_session(m, &all, &m->session[i], to);
    se_mem_free(all.verify);
    return r < 0 ? se_trace(r) : 0;
}
