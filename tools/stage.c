/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/stage.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "sched/server/counter.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"

#define GONE_NS UINT64_C(2000000000) /* for the server to forget the sessions of a stage */
static const double nearly_all = 0.85, late_share = 0.25;

/* ---- readings, before and behind what is measured */

struct reading {
    uint64_t counter[SE_COUNT_END];
    bool known;         /* the counters are */
    uint64_t at_ns;     /* of the counters */
    uint64_t server_ns; /* processor time of its thread */
    uint64_t own_ns, own_thread_ns;
};

static uint64_t processor_ns(clockid_t clock)
{
    struct timespec t = { 0 };
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int take(struct reading *reading, struct se_model_server *server)
{
    int r = se_caller_counters(server->url, reading->counter, SE_COUNT_END, &reading->known);
    reading->at_ns = se_clock_ns();
    if (r == 0 && se_model_server_is_ours(server))
        r = se_model_server_thread_ns(server, &reading->server_ns);
    reading->own_ns = processor_ns(CLOCK_PROCESS_CPUTIME_ID);
    reading->own_thread_ns = processor_ns(CLOCK_THREAD_CPUTIME_ID);
    return r;
}

/* What became more. */
static double more(const struct reading *from, const struct reading *to, enum se_counter what)
{
    return from->known && to->known ? (double)(to->counter[what] - from->counter[what]) : NAN;
}

static void conclude(struct se_stage *stage, const struct reading *from, const struct reading *to,
                     bool server_known)
{
    const double ns = (double)(to->at_ns - from->at_ns), steps = more(from, to, SE_COUNT_STEPS);
    stage->engine = more(from, to, SE_COUNT_STEP_NS) / ns;
    stage->server = server_known ? (double)(to->server_ns - from->server_ns) / ns : NAN;
    stage->own = (double)(to->own_ns - from->own_ns) / ns;
    stage->own_thread = (double)(to->own_thread_ns - from->own_thread_ns) / ns;
    stage->step_rounds = more(from, to, SE_COUNT_ROUNDS) / steps;
    stage->step_rows = more(from, to, SE_COUNT_STEP_ROWS) / steps;
    stage->evictions = more(from, to, SE_COUNT_EVICTIONS);
    stage->busy = more(from, to, SE_COUNT_BUSY);
}

/* ---- who had no more to give */

static enum se_stage_bound longest_part(struct se_stage *stage, const struct se_stage_options *o)
{
    const double step = se_stage_at(stage, SE_LOAD_STEP, 0.5),
                 queue = se_stage_at(stage, SE_LOAD_QUEUE, 0.5),
                 way = se_stage_at(stage, SE_LOAD_WAY, 0.5),
                 away = (double)(o->load.draft_ns + o->load.trip_ns) * 1e-6;
    if (o->judge != SE_LOAD_ROUND && away > step + queue + way)
        return SE_STAGE_AWAY;
    return step >= queue && step >= way ? SE_STAGE_STEP
           : queue >= way               ? SE_STAGE_QUEUE
                                        : SE_STAGE_WAY;
}

static enum se_stage_bound bound_of(struct se_stage *stage, const struct se_stage_options *o)
{
    if (stage->full)
        return SE_STAGE_SESSIONS;
    if (se_stage_at(stage, o->judge, 0.95) <= o->limit_ms)
        return SE_STAGE_NONE;
    if (stage->own_thread > nearly_all ||
        se_stage_at(stage, SE_LOAD_LATE, 0.95) > late_share * o->limit_ms)
        return SE_STAGE_GENERATOR;
    if (stage->evictions > 0 || stage->busy > 0 || stage->held_up > 0)
        return SE_STAGE_PAGES;
    if (stage->engine > nearly_all)
        return SE_STAGE_ENGINE;
    if (stage->server > nearly_all)
        return SE_STAGE_SERVER;
    return longest_part(stage, o);
}

const char *se_stage_bound_key(enum se_stage_bound bound)
{
    static const char *const keys[SE_STAGE_BOUNDS] = { "none",   "sessions", "generator", "pages",
                                                       "engine", "server",   "step",      "queue",
                                                       "way",    "away" };
    return keys[bound];
}

const char *se_stage_bound_text(struct se_stage *s, char *text, size_t size_b)
{
    switch (s->bound) {
    case SE_STAGE_SESSIONS:
        snprintf(text, size_b, "sessions: the server lets no more in (--max-sessions)");
        break;
    case SE_STAGE_GENERATOR:
        snprintf(text, size_b,
                 "this program, so the server may be able to do more: its thread is at work %.0f "
                 "%% of the time, and p95 of its delay is %.1f ms",
                 100 * s->own_thread, se_stage_at(s, SE_LOAD_LATE, 0.95));
        break;
    case SE_STAGE_PAGES:
        snprintf(text, size_b,
                 "memory for keys and values: sessions lost theirs %.0f times, and were sent away "
                 "for a while %" PRIu32 " times",
                 isnan(s->evictions) ? 0 : s->evictions, s->held_up);
        break;
    case SE_STAGE_ENGINE:
        snprintf(text, size_b,
                 "the engine: it computes %.0f %% of the time, %.1f rounds and %.0f rows a step",
                 100 * s->engine, s->step_rounds, s->step_rows);
        break;
    case SE_STAGE_SERVER:
        snprintf(text, size_b, "the server's thread: it is at work %.0f %% of the time",
                 100 * s->server);
        break;
    case SE_STAGE_STEP:
        snprintf(text, size_b,
                 "the time of a step: p50 is %.1f ms, and the engine is not at work all the time",
                 se_stage_at(s, SE_LOAD_STEP, 0.5));
        break;
    case SE_STAGE_QUEUE:
        snprintf(text, size_b,
                 "the wait for a step: p50 is %.1f ms, and the engine is not at work all the time",
                 se_stage_at(s, SE_LOAD_QUEUE, 0.5));
        break;
    case SE_STAGE_WAY:
        snprintf(text, size_b,
                 "the link, or whoever takes the processors away: p50 of all but wait and step is "
                 "%.1f ms",
                 se_stage_at(s, SE_LOAD_WAY, 0.5));
        break;
    case SE_STAGE_AWAY:
        snprintf(text, size_b, "drafting and the way, which take longer than the server");
        break;
    default:
        snprintf(text, size_b, "nothing");
    }
    return text;
}

/* ---- a stage */

double se_stage_at(struct se_stage *stage, enum se_load_time what, double share)
{
    return se_hist_at(&stage->seen.ms[what], share);
}

/* A goodbye is heard when it is: those of the next stage shall not find the server full of us. */
static int await_gone(struct se_model_server *server, const struct reading *before)
{
    const uint64_t end_ns = se_clock_ns() + GONE_NS;
    struct reading now = *before;
    int r = 0;
    while (r == 0 && before->known && se_clock_ns() < end_ns) {
        r = take(&now, server);
        if (now.counter[SE_COUNT_SESSIONS] <= before->counter[SE_COUNT_SESSIONS])
            break;
    }
    return r;
}

static int run(struct se_stage *stage, const struct se_stage_options *o, struct se_load *load)
{
    struct reading from, to;
    int r = se_load_run(load, o->warm_up_ns, NULL);
    if (r == 0)
        r = take(&from, o->server);
    const uint64_t begun_ns = se_clock_ns();
    if (r == 0)
        r = se_load_run(load, o->ns, &stage->seen);
    stage->seconds = (double)(se_clock_ns() - begun_ns) * 1e-9;
    if (r == 0)
        r = take(&to, o->server);
    if (r != 0)
        return r;
    stage->full = load->full;
    stage->held_up = load->held_up;
    conclude(stage, &from, &to, se_model_server_is_ours(o->server));
    stage->bound = bound_of(stage, o);
    return 0;
}

int se_stage_measure(struct se_stage *stage, const struct se_stage_options *o, uint32_t edges)
{
    struct se_load load = { .full = false };
    struct se_load_options options = o->load;
    struct reading before;
    *stage = (struct se_stage){ .edges = edges };
    options.edges = edges;
    options.url = o->server->url;
    int r = take(&before, o->server);
    if (r == 0)
        r = se_load_open(&load, &options);
    if (r == 0)
        r = run(stage, o, &load);
    se_load_close(&load);
    return r == 0 ? await_gone(o->server, &before) : r;
}

void se_stage_fini(struct se_stage *stage)
{
    for (int i = 0; i < SE_LOAD_TIMES; i++)
        se_hist_fini(&stage->seen.ms[i]);
    *stage = SE_STAGE_NULL;
}
