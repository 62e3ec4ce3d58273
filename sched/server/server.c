/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/tree/tree.h"
#include "sched/server/parts.h"

enum { FRAMES = 64, SWEEP = 256 };
#define SWEEP_NS UINT64_C(50000000)
#define WAIT_MOST_NS UINT64_C(1000000000)

struct se_server_live se_server_live(void)
{
    return (struct se_server_live){ .policy = SE_POLICY_PIPELINE,
                                    .max_batch = 64,
                                    .wait_ns = UINT64_C(20000000),
                                    .prefill_ns = UINT64_C(10000000),
                                    .park_ns = UINT64_C(120000000000),
                                    .peer_sessions = 64,
                                    .peer_frames = 2000,
                                    .peer_faults = 32 };
}

static int check_live(const struct se_server_live *live)
{
    if (live->max_batch < 1)
        return se_fail(-EINVAL, "a step has at least one round");
    if (live->peer_sessions < 1 || live->peer_frames < 1 || live->peer_faults < 1)
        return se_fail(-EINVAL, "an edge may have at least one session, frame and fault");
    return 0;
}

static int check(const struct se_server_options *o)
{
    if (!o->link || !o->frames || !o->stepper || !o->kv)
        return se_fail(-EINVAL, "a server needs a link, frames, a stepper and pages");
    if (o->max_sessions < 1 || o->max_sessions > 1u << 20)
        return se_fail(-EINVAL, "%u sessions are not from 1 to %u", o->max_sessions, 1u << 20);
    if (o->max_nodes < 1 || o->max_nodes > SE_TREE_MAX || o->max_nodes > o->max_rows)
        return se_fail(-EINVAL, "trees of %u nodes: from 1 to %d, and the %u rows of a step",
                       o->max_nodes, SE_TREE_MAX, o->max_rows);
    if (o->vocab < 1 || o->tokens < 1 || o->tokens > o->vocab || o->context < 1)
        return se_fail(-EINVAL, "a model of %u ids, %u of them with a text, and %u positions",
                       o->vocab, o->tokens, o->context);
    if (se_frames_cap_b(o->frames) < SE_WIRE_FRAME_MAX)
        return se_fail(-EINVAL, "frames of %u bytes are too small for the protocol's %d",
                       se_frames_cap_b(o->frames), SE_WIRE_FRAME_MAX);
    return check_live(&o->live);
}

static void gauges(struct se_server *s)
{
    struct se_stat *stat = s->o.stat;
    if (!stat)
        return;
    for (uint32_t i = 0; s->o.guard && i < SE_GUARD_REFUSALS; i++)
        se_stat_set(stat, SE_COUNT_KEY_UNKNOWN + i, s->o.guard->refused[i]);
    se_stat_set(stat, SE_COUNT_PEERS, s->peers.n);
    se_stat_set(stat, SE_COUNT_SESSIONS, s->sessions.n);
    se_stat_set(stat, SE_COUNT_PARKED, s->sessions.parked);
    se_stat_set(stat, SE_COUNT_AT_WORK, s->pipeline.n_at_work);
    se_stat_set(stat, SE_COUNT_PAGES_FREE, s->pipeline.pages_free);
    se_stat_set(stat, SE_COUNT_PASSED_MAX, s->pipeline.passed_max);
    se_stat_set(stat, SE_COUNT_EVICTIONS, s->sessions.evictions);
}

int se_server_new(struct se_server **out, const struct se_server_options *options)
{
    int r = check(options);
    if (r < 0)
        return r;
    struct se_server *s = se_mem_zero(1, sizeof *s);
    if (!s)
        return se_trace(-ENOMEM);
    s->o = *options;
    s->live = options->live;
    uint64_t slots = (uint64_t)options->pages * SE_PAGE_SLOTS;
    s->context = slots < options->context ? (uint32_t)slots : options->context;
    se_peers_init(&s->peers, options->secret[0]);
    s->parent = se_mem_new(SE_WIRE_NODES_MAX, sizeof *s->parent);
    s->token = se_mem_new(SE_WIRE_IDS_MAX, sizeof *s->token);
    r = s->parent && s->token ? 0 : -ENOMEM;
    if (r == 0 && options->guard)
        r = se_accounts_init(&s->accounts, options->secret[1]);
    if (r == 0)
        r = se_sessions_init(&s->sessions, options->max_sessions, options->secret);
    if (r == 0)
        r = se_pipeline_init(&s->pipeline, options, &s->sessions, &s->live);
    if (r < 0) {
        se_server_free(s);
        return se_trace(r);
    }
    if (options->stat)
        se_stat_set(options->stat, SE_COUNT_PAGES, options->pages);
    gauges(s);
    *out = s;
    return 0;
}

/* Sequences that were to be given up, and were not. */
static void free_given_up(const struct se_job *job)
{
    for (uint32_t i = 0; i < job->n_chores; i++)
        if (job->chore[i].free)
            se_seq_free(job->chore[i].seq);
}

/* Nothing runs any more: the sequences are ours now. */
void se_server_free(struct se_server *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->sessions.used; i++)
        if (s->sessions.session[i].id != 0 || s->sessions.session[i].seq)
            se_seq_free(s->sessions.session[i].seq);
    free_given_up(&s->pipeline.chores);
    for (int i = 0; i < SE_PIPELINE_JOBS; i++)
        free_given_up(&s->pipeline.job[i]);
    se_pipeline_fini(&s->pipeline);
    se_sessions_fini(&s->sessions);
    se_peers_fini(&s->peers);
    se_accounts_fini(&s->accounts);
    se_mem_free(s->parent);
    se_mem_free(s->token);
    se_mem_free(s);
}

void se_server_tell(struct se_server *s, enum se_server_note level, const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (!s->o.watch.note)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    s->o.watch.note(s->o.watch.context, level, text);
}

/* ---- duty */

/* Sessions that were parked for too long lose their place. A part of them at a time. True: some
 * did, and what they held is to be given back. */
static bool sweep(struct se_server *s, uint64_t now_ns)
{
    bool some = false;
    if (now_ns < s->swept_ns + SWEEP_NS)
        return false;
    uint32_t most = s->sessions.used < SWEEP ? s->sessions.used : SWEEP;
    for (uint32_t i = 0; i < most; i++) {
        uint32_t at = s->swept = s->swept + 1 < s->sessions.used ? s->swept + 1 : 0;
        struct se_session *session = se_server_session(s, at);
        if (session->id == 0 || session->peer != 0 || session->closing ||
            now_ns - session->heard_ns < s->live.park_ns)
            continue;
        se_server_count(s, SE_COUNT_EXPIRED, 1);
        se_pipeline_close(&s->pipeline, at);
        some = true;
    }
    if (most == s->sessions.used || s->swept + SWEEP >= s->sessions.used)
        s->swept_ns = now_ns;
    s->pipeline.stuck = false;
    return some;
}

static void settle(struct se_server *s, uint64_t now_ns)
{
    struct se_pipeline *p = &s->pipeline;
    while (se_pipeline_settle(p, now_ns)) {
        if (!p->settled)
            continue;
        p->settled = false;
        se_server_count(s, SE_COUNT_STEPS, 1);
        se_server_observe(s, SE_HISTOGRAM_STEP_ROWS, p->last.rows);
        se_server_observe(s, SE_HISTOGRAM_STEP_NS, p->last.step_ns);
        if (s->o.watch.step)
            s->o.watch.step(s->o.watch.context, &p->last);
    }
}

static void measure_cycle(struct se_server *s, uint64_t begun_ns)
{
    uint64_t took = se_clock_read(&s->o.clock) - begun_ns;
    if (took <= s->cycle_max_ns)
        return;
    s->cycle_max_ns = took;
    if (s->o.stat)
        se_stat_set(s->o.stat, SE_COUNT_CYCLE_MAX_NS, took);
}

/* What is done goes out first, then the engine gets its next step, and only then is there time
 * to look at what came. */
int se_server_work(struct se_server *s)
{
    uint64_t now_ns = se_clock_read(&s->o.clock);
    bool some = false;
    settle(s, now_ns);
    /* Nobody is told: edges go on with whoever serves next, as after a crash. */
    if (s->pipeline.gone)
        return se_fail(-EIO, "nothing computes any more: %s", s->pipeline.why);
    if (s->pipeline.slots.done.n > 0)
        some |= se_say_answers(s, now_ns);
    some |= se_pipeline_launch(&s->pipeline, now_ns);
    int r = se_desk_read(s, FRAMES, now_ns);
    if (r < 0)
        return se_trace(r);
    if (r > 0) {
        some = true;
        s->pipeline.stuck = false;
        se_pipeline_launch(&s->pipeline, now_ns);
    }
    some |= sweep(s, now_ns);
    se_show_touched(s);
    if (some || se_keys_turned_away(s)) {
        gauges(s);
        measure_cycle(s, now_ns);
    }
    return some;
}

uint64_t se_server_next_ns(const struct se_server *s)
{
    uint64_t next = se_pipeline_next_ns(&s->pipeline);
    if (s->sessions.parked > 0 && s->swept_ns + SWEEP_NS < next)
        next = s->swept_ns + SWEEP_NS;
    /* An answer that found no room is tried again soon: nobody tells when there is some. */
    uint64_t soon = se_clock_read(&s->o.clock) + 1000000;
    return s->pipeline.slots.done.n > 0 && soon < next ? soon : next;
}

/* [server.sleep] acquire and release, pairs with the exchanges in se_server_run(): either the
 * server sees what this wake is for before it sleeps, or this sees that it sleeps and rings. */
void se_server_wake(void *server)
{
    struct se_server *s = server;
    if (atomic_exchange_explicit(&s->asleep, 0, memory_order_acq_rel))
        se_link_wake(s->o.link);
}

static int park(struct se_server *s, bool (*stop)(void *context), void *context)
{
    /* [server.sleep] acquire and release: what a wake before this is for is seen by stop() and
     * the work below, and so is what stop() itself does; a wake after it rings the link. */
    atomic_exchange_explicit(&s->asleep, 1, memory_order_acq_rel);
    bool stops = stop(context);
    int r = stops ? 0 : se_server_work(s);
    if (r == 0 && !stops) {
        uint64_t now_ns = se_clock_read(&s->o.clock), next_ns = se_server_next_ns(s);
        uint64_t ns = next_ns > now_ns ? next_ns - now_ns : 0;
        r = se_link_wait(s->o.link, ns < WAIT_MOST_NS ? ns : WAIT_MOST_NS);
        r = r > 0 ? 0 : r;
    }
    atomic_exchange_explicit(&s->asleep, 0, memory_order_acq_rel);
    return r;
}

int se_server_run(struct se_server *s, struct se_idle_options options, bool (*stop)(void *context),
                  void *context)
{
    struct se_idle idle;
    se_idle_init(&idle, options);
    while (!stop(context)) {
        int r = se_server_work(s);
        if (r > 0)
            se_idle_reset(&idle);
        else if (r == 0 && se_idle_pause(&idle, se_clock_read(&s->o.clock)))
            r = park(s, stop, context);
        if (r < 0)
            return se_trace(r);
    }
    return 0;
}

int se_server_set_live(struct se_server *s, const struct se_server_live *live)
{
    int r = check_live(live);
    if (r == 0)
        s->live = *live;
    return r;
}

void se_server_drain(struct se_server *s)
{
    if (s->draining)
        return;
    s->draining = true;
    struct se_wire message = { .session = 0,
                               .type = SE_WIRE_BYE,
                               .bye = { .retry_ms = 1000, .reason = SE_WIRE_BYE_DRAIN } };
    for (uint32_t i = 0; i < s->peers.used; i++)
        if (s->peers.peer[i].handle != 0)
            se_say(s, s->peers.peer[i].handle, &message);
    for (uint32_t i = 0; i < s->sessions.used; i++)
        s->sessions.session[i].ahead = 0;
}

bool se_server_drained(const struct se_server *s)
{
    return s->draining && se_pipeline_idle(&s->pipeline);
}
