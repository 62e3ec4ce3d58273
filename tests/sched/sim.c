/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sched/sim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "sched/server/counter.h"
#include "sched/server/parts.h"
#include "tests/sched/audit.h"

enum { FRAMES = 512, EDGE_FRAMES = 96, DRAFT_ROWS = 48, CALLS_MOST = 100, TURNS_MOST = 20000 };

struct sim_options sim_options(uint64_t seed, uint32_t n_edges)
{
    return (struct sim_options){ .seed = seed,
                                 .n_edges = n_edges,
                                 .vocab = TABLE_MODEL_VOCAB,
                                 .context = 512,
                                 .pages = n_edges * 34 + 64,
                                 .max_rows = 512,
                                 .max_nodes = 65,
                                 .max_sessions = n_edges + 8,
                                 .live = se_server_live(),
                                 .step_ns = 4000000,
                                 .row_ns = 50000,
                                 .know_costs = true,
                                 .grain_ns = 1000 };
}

static uint64_t sim_now(void *context) { return ((struct sim *)context)->now_ns; }

static uint64_t edge_now(void *context)
{
    const struct sim_edge *e = context;
    return e->sim->now_ns + e->lag_ns;
}

/* ---- the server */

static uint64_t step_cost(const struct sim *sim, uint32_t rows)
{
    return sim->o.step_ns + rows * sim->o.row_ns;
}

static void on_step(void *context, const struct se_server_step *step)
{
    struct sim *sim = context;
    sim->steps++;
    sim->step_rows += step->rows;
    sim->step_rounds += step->rounds;
    sim->prefill_rows += step->prefill_rows;
    sim->busy_ns += step->step_ns;
    if (step->rounds > 0)
        se_hist_add(&sim->fill, step->rounds);
    if (sim->o.watch.step)
        sim->o.watch.step(sim->o.watch.context, step);
}

/* What a timeline is drawn with: in order, whatever happens. */
static void on_server_round(void *context, const struct se_server_round *round)
{
    const struct sim *sim = context;
    assert_true(round->session != 0 && round->step >= 1 && round->step <= sim->steps);
    assert_true(round->came_ns <= round->ready_ns && round->ready_ns <= round->begun_ns);
    assert_true(round->begun_ns <= round->ended_ns && round->ended_ns <= round->sent_ns);
    assert_true(round->taken >= 1 && round->taken <= round->nodes);
}

static void on_note(void *context, enum se_server_note level, const char *text)
{
    struct sim *sim = context;
    snprintf(sim->note[sim->notes % SIM_NOTES], SIM_NOTE_B, "%s", text);
    sim->notes++;
    if (getenv("SE_TEST_VERBOSE") && !sim->quiet)
        printf("server %d: %s\n", (int)level, text);
}

static void wake(void *context) { (void)context; }

static void start_server(struct sim *sim)
{
    struct se_link_options link = se_link_options(sim->frames);
    link.peers_max = sim->o.n_edges + 64;
    const struct se_stepper_options stepper = { .engine = sim->engine,
                                                .clock = { sim_now, sim },
                                                .wake = wake };
    sim->target.model.config.vocab = sim->o.vocab;
    assert_int_equal(table_engine_new(&sim->engine, &sim->target, sim->o.max_rows, sim->o.pages),
                     0);
    struct se_stepper_options with = stepper;
    with.engine = sim->engine;
    if (se_link_listen(&sim->link, sim->url, &link) < 0 || se_stepper_new(&sim->stepper, &with) < 0)
        fail_msg("%s", se_err_text());
    struct se_server_options o = {
        .link = sim->link,
        .frames = sim->frames,
        .stepper = sim->stepper,
        .pages = sim->o.pages,
        .kv = se_engine_kv(sim->engine),
        .clock = { sim_now, sim },
        .secret = { sim->o.seed ^ sim->restarts * UINT64_C(77777777), ~sim->o.seed },
        .fingerprint = 4711,
        .tokens = TABLE_MODEL_VOCAB,
        .model = sim->o.model,
        .vocab = sim->o.vocab,
        .context = sim->o.context,
        .max_rows = sim->o.max_rows,
        .max_nodes = sim->o.max_nodes,
        .max_sessions = sim->o.max_sessions,
        .live = sim->o.live,
        .stat = sim->stat,
        .watch = { .context = sim, .step = on_step, .round = on_server_round, .note = on_note },
    };
    for (uint32_t rows = 1; sim->o.know_costs && rows <= 256; rows *= 4)
        se_pace_note(&o.pace, rows, step_cost(sim, rows));
    if (se_server_new(&sim->server, &o) < 0)
        fail_msg("%s", se_err_text());
}

static void stop_server(struct sim *sim)
{
    const uint32_t pages = sim->server->o.pages; /* the next one may have others */
    sim->running = NULL;
    se_stepper_free(sim->stepper);
    se_server_free(sim->server);
    se_link_fini(sim->link);
    assert_int_equal(se_kv_pages_free(se_engine_kv(sim->engine)), pages);
    se_engine_free(sim->engine);
}

void sim_restart(struct sim *sim)
{
    sim->restarts++;
    stop_server(sim);
    start_server(sim);
}

void sim_begin(struct sim *sim, const struct sim_options *options)
{
    static uint32_t number;
    memset(sim, 0, sizeof *sim);
    sim->o = *options;
    sim->now_ns = 1000000000;
    se_rng_init(&sim->rng, options->seed, SE_RNG_TEST);
    snprintf(sim->url, sizeof sim->url, "loop://sim-%u", number++);
    table_model_init(&sim->target, options->seed, options->vocab, options->context);
    sim->target.tokens = TABLE_MODEL_VOCAB;
    assert_int_equal(se_frames_new(&sim->frames, FRAMES, SE_WIRE_FRAME_MAX), 0);
    assert_int_equal(se_stat_create(&sim->stat, NULL, se_counter_labels, SE_COUNT_END), 0);
    sim->edge = calloc(options->n_edges, sizeof *sim->edge);
    assert_non_null(sim->edge);
    for (uint32_t i = 0; i < options->n_edges; i++) {
        struct sim_edge *e = &sim->edge[i];
        e->sim = sim;
        e->options = se_edge_options();
        e->options.fingerprint = 4711;
        e->options.tokens = TABLE_MODEL_VOCAB;
        e->options.nonce = options->seed * 1000003 + (uint64_t)i * 1000000;
        e->options.sampling.seed = options->seed + i;
        e->stop = UINT32_MAX;
        se_rng_init(&e->rng, options->seed * 7919 + i, SE_RNG_TEST);
    }
    start_server(sim);
}

void sim_end(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->o.n_edges; i++)
        sim_leave(sim, i, true);
    stop_server(sim);
    for (uint32_t i = 0; i < sim->o.n_edges; i++) {
        struct sim_edge *e = &sim->edge[i];
        se_frames_free(e->frames);
        free(e->prompt);
    }
    se_frames_free(sim->frames);
    se_stat_free(sim->stat);
    se_hist_fini(&sim->wait_ms);
    se_hist_fini(&sim->fill);
    free(sim->edge);
}

/* ---- edges */

/* The drafter of an edge takes the time that it is said to take. */
struct slow {
    struct se_drafter drafter;
    struct sim_edge *of;
};

static struct slow *slow_of(struct se_drafter *drafter) { return (struct slow *)drafter; }

static void sync_slow(struct slow *s)
{
    s->drafter.len = s->of->model->len;
    s->drafter.rows = s->of->model->rows;
}

static void take_time(struct slow *s, uint32_t rows)
{
    struct sim_edge *e = s->of;
    const double more = e->jitter > 0 ? e->jitter * (2 * se_rng_unit(&e->rng) - 1) : 0;
    const uint64_t ns = e->level_ns + rows * e->row_ns;
    e->lag_ns += (uint64_t)((double)ns * (1 + more));
}

static int slow_feed(struct se_drafter *drafter, const uint32_t *id, uint32_t n)
{
    struct slow *s = slow_of(drafter);
    int r = s->of->model->ops->feed(s->of->model, id, n);
    take_time(s, n);
    sync_slow(s);
    return r;
}

static int slow_forward(struct se_drafter *drafter, const uint32_t *token, const int32_t *parent,
                        uint32_t n, uint32_t k, uint32_t *topk_id, float *topk_logprob)
{
    struct slow *s = slow_of(drafter);
    s->of->model->sampling = drafter->sampling;
    s->of->model->sharpen = drafter->sharpen;
    int r = s->of->model->ops->forward(s->of->model, token, parent, n, k, topk_id, topk_logprob);
    take_time(s, n);
    sync_slow(s);
    return r;
}

static int slow_commit(struct se_drafter *drafter, const uint32_t *path, uint32_t n,
                       const uint32_t *keep, uint32_t n_keep)
{
    struct slow *s = slow_of(drafter);
    int r = s->of->model->ops->commit(s->of->model, path, n, keep, n_keep);
    sync_slow(s);
    return r;
}

static void slow_rewind(struct se_drafter *drafter, uint32_t len)
{
    struct slow *s = slow_of(drafter);
    s->of->model->ops->rewind(s->of->model, len);
    sync_slow(s);
}

static int slow_check(struct se_drafter *drafter)
{
    return se_drafter_check(slow_of(drafter)->of->model);
}

static void slow_close(struct se_drafter *drafter)
{
    se_drafter_close(slow_of(drafter)->of->model);
    free(drafter);
}

static const struct se_drafter_ops slow_ops = { "slow",      slow_feed,  slow_forward, slow_commit,
                                                slow_rewind, slow_check, slow_close };

void sim_draft(struct sim *sim, uint32_t i, float stray, uint64_t level_ns, uint64_t row_ns)
{
    struct sim_edge *e = &sim->edge[i];
    uint32_t pages = 2 * (sim->o.context + 1024) / 16 + 4;
    if (stray < 0)
        return;
    table_model_init(&e->draft, sim->o.seed, sim->o.vocab, sim->o.context);
    e->draft.stray = stray;
    e->draft.stray_seed = sim->o.seed + 99 + i;
    assert_int_equal(table_engine_new(&e->engine, &e->draft, DRAFT_ROWS, pages), 0);
    assert_int_equal(se_drafter_model(&e->model, e->engine, sim->o.vocab - sim->o.unknown,
                                      sim->o.context, DRAFT_ROWS),
                     0);
    struct slow *slow = calloc(1, sizeof *slow);
    assert_non_null(slow);
    slow->of = e;
    slow->drafter = *e->model;
    slow->drafter.ops = &slow_ops;
    e->options.drafter = &slow->drafter;
    e->level_ns = level_ns;
    e->row_ns = row_ns;
}

static void on_span(void *context, const struct se_edge_span *span)
{
    (void)context;
    assert_true(span->begun_ns <= span->ended_ns);
}

static void on_round(void *context, const struct se_edge_round *round)
{
    struct sim_edge *e = context;
    const bool pushed = round->kind == SE_EDGE_PUSHED;
    assert_true(round->session != 0 && pushed == (round->sent_ns == 0));
    assert_true(pushed || (round->begun_ns <= round->sent_ns && round->sent_ns <= round->heard_ns));
    assert_true(round->begun_ns <= round->heard_ns);
    e->rounds++;
    e->hits += round->hit;
    if (e->first_ns == 0)
        e->first_ns = round->at_ns;
    e->plain += round->kind == SE_EDGE_PLAIN;
    e->trees += round->kind == SE_EDGE_TREE;
    e->pushed += round->kind == SE_EDGE_PUSHED;
    e->wait_ns += round->wait_ns;
    e->wait_max_ns = round->wait_ns > e->wait_max_ns ? round->wait_ns : e->wait_max_ns;
    if (round->kind != SE_EDGE_PUSHED)
        se_hist_add(&e->sim->wait_ms, (double)round->wait_ns * 1e-6);
    if (e->sim->o.watch.round)
        e->sim->o.watch.round(e->sim->o.watch.context, e, round);
}

static void on_edge_note(void *context, const char *text)
{
    const struct sim_edge *e = context;
    if (getenv("SE_TEST_VERBOSE") && !e->sim->quiet)
        printf("%.3f ms, edge %d: %s\n", (double)e->sim->now_ns * 1e-6, (int)(e - e->sim->edge),
               text);
}

void sim_join(struct sim *sim, uint32_t i)
{
    struct sim_edge *e = &sim->edge[i];
    if (!e->frames)
        assert_int_equal(se_frames_new(&e->frames, EDGE_FRAMES, SE_WIRE_FRAME_MAX), 0);
    struct se_link_options link = se_link_options(e->frames);
    struct se_faulty_options faults = sim->o.faults;
    struct se_link *inner;
    faults.seed = sim->o.seed * 31 + i;
    faults.now_ns = sim_now;
    faults.clock = sim;
    faults.frames = e->frames;
    faults.delay_min_ns += e->trip_ns / 2;
    faults.delay_max_ns += e->trip_ns / 2 + e->trip_spread_ns;
    if (se_link_connect(&inner, sim->url, &link) < 0 ||
        se_faulty_wrap(&e->link, inner, &faults) < 0)
        fail_msg("%s", se_err_text());
    e->inner = inner;
    e->next_ns = 0;
    e->options.link = e->link;
    e->options.frames = e->frames;
    e->options.clock = (struct se_clock){ edge_now, e };
    e->options.watch = (struct se_edge_watch){
        .context = e, .round = on_round, .span = on_span, .note = on_edge_note
    };
    if (se_edge_new(&e->edge, &e->options) < 0)
        fail_msg("%s", se_err_text());
    e->dead = false;
}

void sim_leave(struct sim *sim, uint32_t i, bool politely)
{
    struct sim_edge *e = &sim->edge[i];
    if (!e->edge)
        return;
    if (!politely)
        se_faulty_cut(e->link, UINT64_MAX);
    se_edge_free(e->edge);
    se_link_fini(e->link);
    se_drafter_close(e->options.drafter);
    se_engine_free(e->engine);
    e->options.drafter = NULL;
    e->edge = NULL;
    e->engine = NULL;
    e->dead = true;
    e->asking = false;
}

void sim_ask_text(struct sim *sim, uint32_t i, const uint32_t *id, uint32_t n, uint32_t max_new)
{
    struct sim_edge *e = &sim->edge[i];
    uint32_t *prompt = malloc(n * sizeof *prompt);
    assert_non_null(prompt);
    memcpy(prompt, id, n * sizeof *prompt);
    free(e->prompt);
    e->prompt = prompt;
    e->n_prompt = n;
    e->max_new = max_new;
    const struct se_edge_ask ask = {
        .id = prompt, .n = n, .max_new = max_new, .stop = &e->stop, .n_stops = 1
    };
    e->lag_ns = 0;
    if (se_edge_ask(e->edge, &ask) < 0)
        fail_msg("edge %u: %s", i, se_err_text());
    e->asking = true;
    e->cut = false;
    e->next_ns = 0;
}

void sim_ask(struct sim *sim, uint32_t i, uint32_t n, uint32_t max_new)
{
    uint32_t *id = malloc(n * sizeof *id);
    assert_non_null(id);
    for (uint32_t k = 0; k < n; k++)
        id[k] = se_rng_below(&sim->edge[i].rng, TABLE_MODEL_VOCAB - sim->o.unknown);
    sim_ask_text(sim, i, id, n, max_new);
    free(id);
}

void sim_stop(struct sim *sim, uint32_t i)
{
    struct sim_edge *e = &sim->edge[i];
    if (!e->edge || !e->asking)
        return;
    se_edge_stop(e->edge);
    e->cut = true;
    e->next_ns = 0;
}

void sim_check(const struct sim *sim, uint32_t i)
{
    const struct sim_edge *e = &sim->edge[i];
    const uint32_t *id;
    uint32_t n = se_edge_answer(e->edge, &id, NULL), len = e->n_prompt, made = 0;
    bool shrank = sim->o.context < sim->target.model.config.context; /* since we know not when */
    bool cut = e->cut || e->outcome != SE_EDGE_DONE || (shrank && se_edge_context_full(e->edge));
    uint32_t most = cut ? n : e->max_new, room = shrank ? UINT32_MAX : sim->o.context;
    uint32_t *text = malloc((len + most) * sizeof *text);
    assert_non_null(text);
    memcpy(text, e->prompt, len * sizeof *text);
    bool stopped = false;
    for (; made < most && !stopped && len <= room; made++) {
        text[len] = table_next(&sim->target, &e->options.sampling, text, len);
        if (made >= n || id[made] != text[len])
            fail_msg("edge %u: token %u of %u is %d, not %u", i, made, n,
                     made < n ? (int)id[made] : -1, text[len]);
        stopped = text[len++] == e->stop;
    }
    free(text);
    assert_int_equal(n, made);
}

/* ---- time */

static bool engine_turn(struct sim *sim)
{
    bool some = false;
    if (sim->running && sim->now_ns >= sim->due_ns) {
        se_stepper_give(sim->stepper, sim->running);
        sim->running = NULL;
        some = true;
    }
    if (!sim->running && (sim->running = se_stepper_take(sim->stepper)) != NULL) {
        se_stepper_run(sim->stepper, sim->running);
        sim->due_ns = sim->now_ns + (sim->running->rows ? step_cost(sim, sim->running->rows) : 0);
        some = true;
    }
    return some;
}

static void finish(struct sim *sim, uint32_t i, int outcome)
{
    struct sim_edge *e = &sim->edge[i];
    e->asking = false;
    e->outcome = outcome;
    e->tokens += se_edge_answer(e->edge, NULL, NULL);
    e->ends_ns = sim->now_ns + e->lag_ns;
    if (outcome != SE_EDGE_DONE)
        return;
    sim_check(sim, i);
    e->answers++;
    if (e->next)
        e->next(sim, i);
    if (e->next || e->answers_left == 0)
        return;
    e->answers_left--;
    e->ready_ns = sim->now_ns + e->think_ns;
    sim_ask(sim, i, e->n_prompt, e->max_new);
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static bool edge_turn(struct sim *sim, uint32_t i)
{
    struct sim_edge *e = &sim->edge[i];
    e->lag_ns = 0;
    int r = se_edge_work(e->edge);
    if (r < 0 && !sim->quiet)
        printf("edge %u: %s (%s)\n", i, se_err_text(), se_err_trail());
    if (e->lag_ns > 0)
        e->ready_ns = sim->now_ns + e->lag_ns;
    if (r != 0 && r != SE_EDGE_WAIT && e->asking)
        finish(sim, i, r);
    e->lag_ns = 0;
    e->next_ns = r != SE_EDGE_WAIT ? 0 : se_faulty_next_ns(e->link);
    if (r == SE_EDGE_WAIT && e->asking)
        e->next_ns = earlier(e->next_ns, se_edge_next_ns(e->edge));
    return r != SE_EDGE_WAIT;
}

/* Now and then, and not of a crowd: it looks at everything. */
static void audit(struct sim *sim)
{
    if (sim->o.n_edges > 32 || ++sim->turns % 32 != 0)
        return;
    const char *what = audit_server(sim->server);
    if (what)
        fail_msg("%s", what);
}

/* Edges first: a frame that leaves its link's delay with no more ado finds the server awake. */
static bool turn(struct sim *sim)
{
    bool some = false;
    int r = 0;
    for (uint32_t i = 0; i < sim->o.n_edges; i++) {
        const struct sim_edge *e = &sim->edge[i];
        /* Of one that is busy, what it sent goes on its way all the same. */
        if (e->edge && e->ready_ns > sim->now_ns && se_faulty_next_ns(e->link) <= sim->now_ns)
            se_link_wait(e->link, 0);
        if (e->edge && e->ready_ns <= sim->now_ns &&
            (e->next_ns <= sim->now_ns || se_link_wait(e->inner, 0) == 0))
            some |= edge_turn(sim, i);
    }
    if (sim->guest.act && sim->guest.next_ns <= sim->now_ns)
        sim->guest.next_ns = sim->guest.act(sim, sim->guest.context);
    for (int k = 0; k < CALLS_MOST && (r = se_server_work(sim->server)) > 0; k++)
        some = true;
    if (r < 0)
        fail_msg("the server: %s", se_err_text());
    audit(sim);
    return engine_turn(sim) || some;
}

static uint64_t next_event(struct sim *sim)
{
    uint64_t next = se_server_next_ns(sim->server);
    if (sim->running)
        next = earlier(next, sim->due_ns);
    if (sim->guest.act)
        next = earlier(next, sim->guest.next_ns);
    for (uint32_t i = 0; i < sim->o.n_edges; i++) {
        const struct sim_edge *e = &sim->edge[i];
        if (!e->edge)
            continue;
        bool busy = e->ready_ns > sim->now_ns;
        next = earlier(next, busy ? e->ready_ns : e->next_ns);
        uint64_t due = busy ? se_faulty_next_ns(e->link) : 0;
        if (due > sim->now_ns)
            next = earlier(next, due);
    }
    return next;
}

static bool anybody_asks(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->o.n_edges; i++)
        if (sim->edge[i].asking)
            return true;
    return false;
}

uint32_t sim_passed_max(const struct sim *sim) { return sim->server->pipeline.passed_max; }

bool sim_run(struct sim *sim, uint64_t until_ns)
{
    uint32_t turns = 0;
    while (anybody_asks(sim) && sim->now_ns < until_ns) {
        if (turn(sim)) {
            if (++turns > TURNS_MOST)
                fail_msg("at %.3f ms: somebody is busy without end", (double)sim->now_ns * 1e-6);
            continue;
        }
        turns = 0;
        uint64_t next = next_event(sim);
        if (next == UINT64_MAX)
            fail_msg("at %.3f ms everybody waits and nothing will come",
                     (double)sim->now_ns * 1e-6);
        next = next > sim->now_ns ? next : sim->now_ns + 1;
        next = (next + sim->o.grain_ns - 1) / sim->o.grain_ns * sim->o.grain_ns;
        sim->now_ns = earlier(next, until_ns);
    }
    return !anybody_asks(sim);
}
