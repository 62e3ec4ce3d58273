/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/trace_merge.h"

#include <errno.h>
#include <stdlib.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

const char *const se_trace_phase_names[SE_TRACE_PHASES] = {
    [SE_TRACE_DRAFT] = "draft",       [SE_TRACE_UPLINK] = "uplink", [SE_TRACE_PROMPT] = "prompt",
    [SE_TRACE_QUEUE] = "queue",       [SE_TRACE_VERIFY] = "verify", [SE_TRACE_REPLY] = "reply",
    [SE_TRACE_DOWNLINK] = "downlink", [SE_TRACE_WAIT] = "wait",
};

/* The server's half of a round, to be found by session and number. */
struct half {
    const struct se_server_round *round;
    size_t file;
    bool used;
};

struct halves {
    struct half *half;
    size_t n;
};

int64_t se_trace_merge_at(const struct se_trace_merge *m, size_t file, uint64_t ns)
{
    const struct se_trace_clock *clock = &m->clock[file];
    return clock->by_rounds ? se_offset_at(&clock->offset, ns) : (int64_t)ns + clock->shift_ns;
}

/* ---- halves */

static int compare(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

static int compare_keys(const struct se_server_round *a, uint64_t session, uint32_t round)
{
    return a->session != session ? compare(a->session, session) : compare(a->round, round);
}

/* Of the same round the later one last: when an answer was lost with its connection, that is the one
 * which arrived. */
static int by_key(const void *a, const void *b)
{
    const struct half *x = a, *y = b;
    const int r = compare_keys(x->round, y->round->session, y->round->round);
    return r != 0 ? r : compare(x->round->sent_ns, y->round->sent_ns);
}

static int collect(struct halves *halves, const struct se_trace_merge *m)
{
    size_t n = 0;
    for (size_t f = 0; f < m->n_files; f++)
        n += m->file[f].n_answered;
    halves->half = se_mem_new(n + 1, sizeof *halves->half);
    if (!halves->half)
        return se_trace(-ENOMEM);
    for (size_t f = 0; f < m->n_files; f++)
        for (size_t i = 0; i < m->file[f].n_answered; i++)
            halves->half[halves->n++] = (struct half){ &m->file[f].answered[i], f, false };
    qsort(halves->half, halves->n, sizeof *halves->half, by_key);
    return 0;
}

/* The last of those with that key, or NULL. *alone: there is one only. */
static struct half *find(const struct halves *halves, uint64_t session, uint32_t round, bool *alone)
{
    size_t low = 0, high = halves->n; /* the first one behind the key */
    while (low < high) {
        const size_t half = low + (high - low) / 2;
        if (compare_keys(halves->half[half].round, session, round) <= 0)
            low = half + 1;
        else
            high = half;
    }
    if (low == 0 || compare_keys(halves->half[low - 1].round, session, round) != 0)
        return NULL;
    *alone = low == 1 || compare_keys(halves->half[low - 2].round, session, round) != 0;
    return &halves->half[low - 1];
}

/* ---- clocks */

static int add_bounds(struct se_trace_merge *m, size_t file, const struct se_edge_round *edge,
                      const struct half *half)
{
    struct se_offset *offset = &m->clock[file].offset;
    const uint64_t shift = (uint64_t)m->clock[half->file].shift_ns;
    int r = 0;
    if (edge->sent_ns != 0 && !half->round->pushed)
        r = se_offset_up(offset, edge->sent_ns, half->round->came_ns + shift);
    if (r == 0)
        r = se_offset_down(offset, edge->heard_ns, half->round->sent_ns + shift);
    return r;
}

/* A round that two halves claim says nothing of a clock: which of them was answered? */
static int place_edge(struct se_trace_merge *m, size_t file, const struct halves *halves)
{
    const struct se_trace_file *f = &m->file[file];
    struct se_trace_clock *clock = &m->clock[file];
    int r = 0;
    for (size_t i = 0; i < f->n_asked && r == 0; i++) {
        const struct se_edge_round *edge = &f->asked[i].round;
        bool alone = false;
        const struct half *half = find(halves, edge->session, edge->round, &alone);
        if (half && alone)
            r = add_bounds(m, file, edge, half);
    }
    if (r == 0)
        r = se_offset_fit(&clock->offset);
    clock->by_rounds = r == 0;
    return r == -ENODATA ? 0 : r;
}

static int place_clocks(struct se_trace_merge *m, const struct halves *halves)
{
    int r = 0;
    m->reference = 0;
    while (m->reference < m->n_files && m->file[m->reference].role != SE_TRACE_SERVER)
        m->reference++;
    if (m->reference == m->n_files)
        m->reference = 0;
    for (size_t f = 0; f < m->n_files; f++)
        m->clock[f] = (struct se_trace_clock){
            .offset = SE_OFFSET_NULL, .shift_ns = m->file[f].wall_ns - m->file[m->reference].wall_ns
        };
    for (size_t f = 0; f < m->n_files && r == 0; f++)
        if (m->file[f].role == SE_TRACE_EDGE)
            r = place_edge(m, f, halves);
    return r < 0 ? se_trace(r) : 0;
}

/* ---- rounds */

static int append(struct se_trace_merge *m, const struct se_trace_round *round)
{
    int r = se_mem_grow(&m->round, &m->rounds_cap, m->n_rounds + 1, sizeof *m->round);
    if (r == 0)
        m->round[m->n_rounds++] = *round;
    return se_trace(r);
}

static void set_edge(const struct se_trace_merge *m, struct se_trace_round *round, size_t file,
                     const struct se_trace_asked *asked)
{
    round->edge = asked;
    round->edge_file = file;
    round->at_edge.begun = se_trace_merge_at(m, file, asked->round.begun_ns);
    round->at_edge.sent =
        asked->round.sent_ns ? se_trace_merge_at(m, file, asked->round.sent_ns) : 0;
    round->at_edge.heard = se_trace_merge_at(m, file, asked->round.heard_ns);
}

static void set_server(const struct se_trace_merge *m, struct se_trace_round *round,
                       const struct half *half)
{
    const struct se_server_round *server = half->round;
    round->server = server;
    round->server_file = half->file;
    round->at_server.came = se_trace_merge_at(m, half->file, server->came_ns);
    round->at_server.ready = se_trace_merge_at(m, half->file, server->ready_ns);
    round->at_server.begun = se_trace_merge_at(m, half->file, server->begun_ns);
    round->at_server.ended = se_trace_merge_at(m, half->file, server->ended_ns);
    round->at_server.sent = se_trace_merge_at(m, half->file, server->sent_ns);
}

/* Not pushed by the server; nor pushed, lost on the way, and then asked for: what the edge sent came
 * behind the answer. */
static bool was_asked(const struct se_trace_round *round)
{
    return round->edge && round->edge->round.sent_ns != 0 &&
           !(round->server && round->server->pushed);
}

/* By how much a frame would have arrived before it was sent; 0: it did not. */
static int64_t back_in_time(const struct se_trace_round *round)
{
    const int64_t up = was_asked(round) ? round->at_edge.sent - round->at_server.came : 0;
    const int64_t down = round->at_server.sent - round->at_edge.heard;
    const int64_t most = up > down ? up : down;
    return most > 0 ? most : 0;
}

static int add_asked(struct se_trace_merge *m, size_t file, const struct se_trace_asked *asked,
                     const struct halves *halves)
{
    struct se_trace_clock *clock = &m->clock[file];
    struct se_trace_round round = { .session = asked->round.session, .round = asked->round.round };
    bool alone;
    struct half *half = find(halves, round.session, round.round, &alone);
    set_edge(m, &round, file, asked);
    if (half) {
        half->used = true;
        set_server(m, &round, half);
        clock->matched++;
        const int64_t back_ns = back_in_time(&round);
        clock->out_max_ns = back_ns > clock->out_max_ns ? back_ns : clock->out_max_ns;
        clock->out += back_ns > 0;
        if (back_ns > 0)
            return 0;
    }
    return append(m, &round);
}

static int64_t begun_at(const struct se_trace_round *round)
{
    return was_asked(round) ? round->at_edge.begun
           : round->server  ? round->at_server.came
                            : round->at_edge.begun;
}

static int by_session(const void *a, const void *b)
{
    const struct se_trace_round *x = a, *y = b;
    const int64_t at = begun_at(x), other = begun_at(y);
    return x->session != y->session ? compare(x->session, y->session) : (at > other) - (at < other);
}

static int join(struct se_trace_merge *m, struct halves *halves)
{
    int r = 0;
    for (size_t f = 0; f < m->n_files; f++)
        for (size_t i = 0; i < m->file[f].n_asked && r == 0; i++)
            r = add_asked(m, f, &m->file[f].asked[i], halves);
    for (size_t i = 0; i < halves->n && r == 0; i++) {
        const struct half *half = &halves->half[i];
        struct se_trace_round round = { .session = half->round->session,
                                        .round = half->round->round };
        set_server(m, &round, half);
        if (!half->used)
            r = append(m, &round);
    }
    if (r == 0 && m->n_rounds > 0)
        qsort(m->round, m->n_rounds, sizeof *m->round, by_session);
    return r;
}

/* ---- sessions */

static int by_first_round(const void *a, const void *b, void *all)
{
    const struct se_trace_session *x = a, *y = b;
    const struct se_trace_round *rounds = all;
    const int64_t at = begun_at(&rounds[x->first]), other = begun_at(&rounds[y->first]);
    return at != other ? (at > other) - (at < other) : compare(x->id, y->id);
}

static int list_sessions(struct se_trace_merge *m)
{
    struct se_trace_session *s = NULL;
    for (size_t i = 0; i < m->n_rounds; i++) {
        const struct se_trace_round *round = &m->round[i];
        if (!s || s->id != round->session) {
            int r = se_mem_grow(&m->session, &m->sessions_cap, m->n_sessions + 1, sizeof *s);
            if (r < 0)
                return se_trace(r);
            s = &m->session[m->n_sessions++];
            *s = (struct se_trace_session){ round->session, SE_TRACE_NO_FILE, i, 0 };
        }
        s->n++;
        if (round->edge)
            s->edge_file = round->edge_file;
    }
    if (m->n_sessions > 0)
        qsort_r(m->session, m->n_sessions, sizeof *m->session, by_first_round, m->round);
    return 0;
}

/* ---- all of it */

static void note_first(struct se_trace_merge *m, int64_t ns)
{
    m->first_ns = ns < m->first_ns ? ns : m->first_ns;
}

/* In a file things stand in the order of their ends: the first may have begun after the second. */
static void find_first(struct se_trace_merge *m)
{
    m->first_ns = INT64_MAX;
    for (size_t i = 0; i < m->n_rounds; i++)
        note_first(m, begun_at(&m->round[i]));
    for (size_t f = 0; f < m->n_files; f++) {
        for (size_t i = 0; i < m->file[f].n_steps; i++)
            note_first(m, se_trace_merge_at(m, f, m->file[f].step[i].begun_ns));
        for (size_t i = 0; i < m->file[f].n_spans; i++)
            note_first(m, se_trace_merge_at(m, f, m->file[f].span[i].begun_ns));
    }
    if (m->first_ns == INT64_MAX)
        m->first_ns = 0;
}

int se_trace_merge_make(struct se_trace_merge *m, const struct se_trace_file *file, size_t n)
{
    struct halves halves = { .n = 0 };
    *m = (struct se_trace_merge){ .file = file, .n_files = n };
    m->clock = se_mem_zero(n, sizeof *m->clock);
    int r = m->clock ? collect(&halves, m) : -ENOMEM;
    if (r == 0)
        r = place_clocks(m, &halves);
    if (r == 0)
        r = join(m, &halves);
    if (r == 0)
        r = list_sessions(m);
    if (r == 0)
        find_first(m);
    se_mem_free(halves.half);
    return r < 0 ? se_trace(r) : 0;
}

void se_trace_merge_fini(struct se_trace_merge *m)
{
    for (size_t f = 0; m->clock && f < m->n_files; f++)
        se_offset_fini(&m->clock[f].offset);
    se_mem_free(m->clock);
    se_mem_free(m->round);
    se_mem_free(m->session);
    *m = (struct se_trace_merge){ .n_files = 0 };
}

size_t se_trace_round_parts(const struct se_trace_round *round,
                            struct se_trace_part part[SE_TRACE_PHASES])
{
    size_t n = 0;
    if (was_asked(round))
        part[n++] =
            (struct se_trace_part){ SE_TRACE_DRAFT, round->at_edge.begun, round->at_edge.sent };
    if (!round->server) {
        part[n] =
            (struct se_trace_part){ SE_TRACE_WAIT, round->at_edge.begun, round->at_edge.heard };
        if (n > 0)
            part[n].begun_ns = round->at_edge.sent;
        return n + 1;
    }
    if (was_asked(round))
        part[n++] =
            (struct se_trace_part){ SE_TRACE_UPLINK, round->at_edge.sent, round->at_server.came };
    if (round->at_server.ready > round->at_server.came)
        part[n++] = (struct se_trace_part){ SE_TRACE_PROMPT, round->at_server.came,
                                            round->at_server.ready };
    part[n++] =
        (struct se_trace_part){ SE_TRACE_QUEUE, round->at_server.ready, round->at_server.begun };
    part[n++] =
        (struct se_trace_part){ SE_TRACE_VERIFY, round->at_server.begun, round->at_server.ended };
    part[n++] =
        (struct se_trace_part){ SE_TRACE_REPLY, round->at_server.ended, round->at_server.sent };
    if (round->edge)
        part[n++] = (struct se_trace_part){ SE_TRACE_DOWNLINK, round->at_server.sent,
                                            round->at_edge.heard };
    return n;
}
