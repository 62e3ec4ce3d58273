/* SPDX-License-Identifier: Apache-2.0 */
/* bench_policy - one server, many edges, the three policies, under a clock of its own.
 *
 *   bench_policy [--json] [--seconds N] [--seed N] [PART...]
 *
 *   fill      16 edges that always ask: how full steps are, and what a round waits for that.
 *             fill: rounds of a step with rounds, of the 8 that it may have; rows: of all rows
 *             that it may have; busy: time that the engine runs; left: steps that left a round
 *             behind that was ready; passed: most steps that ever left the same round behind
 *   dead      the same, and one edge is gone in the middle of a round: do the others wait?
 *   fair      trees of 1 to 64 nodes, more than the server can do: who is passed over?
 *   prompt    8 edges write, and a ninth brings a prompt of 400 ids
 *
 * Time is simulated (tests/sched/sim.h): a step takes what its rows take, drafting and the way
 * take what the row says, each more or less by chance. A seed gives the same numbers to the
 * last digit. Every text is checked against plain decoding. A round counts from the sending of
 * its tree to its answer; every one is kept. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "tests/sched/sim.h"

#define MS UINT64_C(1000000)
#define SECONDS(n) ((uint64_t)(n)*1000 * MS)

enum { EDGES = 16, BATCH = 8, ROWS = 512, LEVELS = 5, WARM_UP_S = 2, ANSWER = 96 };

/* ---- what there is to choose */

struct speed {
    const char *name;
    uint64_t step_ns, row_ns;
};
static const struct speed speeds[] = {
    { "gpu", 20 * MS, 20000 }, /* the weights are read once, whatever the rows */
    { "cpu", 2 * MS, 500000 }, /* every row costs */
};

/* What drafting takes, and the way there and back; 0: one of the others, edge by edge. */
struct pause {
    const char *name;
    uint64_t draft_ms, trip_ms;
};
static const struct pause pauses[] = {
    { "1 + 1", 1, 1 }, { "15 + 15", 15, 15 }, { "50 + 50", 50, 50 }, { "mixed", 0, 0 }
};
static const uint64_t mixture[] = { 1, 15, 50 };

static const enum se_policy policies[] = { SE_POLICY_STATIC, SE_POLICY_DYNAMIC,
                                           SE_POLICY_PIPELINE };
static const char *const policy_names[] = { [SE_POLICY_STATIC] = "static",
                                            [SE_POLICY_DYNAMIC] = "dynamic",
                                            [SE_POLICY_PIPELINE] = "pipeline" };

struct options {
    uint64_t seed, seconds;
    bool json;
};

/* One run. */
struct run {
    const struct options *o;
    const struct speed *speed;
    const struct pause *pause;
    enum se_policy policy;
    struct sim_options with;
    uint32_t edges, watched; /* rounds of the first so many edges are told */
    uint64_t from_ns, to_ns; /* what is counted */
    bool mixed_trees;        /* 1 to 64 nodes, edge by edge */
    uint32_t rows;           /* of a step; 0: ROWS */
    uint32_t answer;         /* tokens; 0: ANSWER */
    uint64_t prefill_ns;     /* 0: as a server has it */

    /* What was seen. */
    struct se_hist wait_ms, server_ms; /* of rounds: as the edge sees it; queue and step */
    struct se_hist first_ms;           /* of those who are not watched, to their first token */
    double fill, row_fill;             /* sums over steps with rounds, and over all */
    uint64_t tokens, round_steps, steps, busy_ns, left;
};

static bool counts(const struct run *run, uint64_t now_ns)
{
    return now_ns >= run->from_ns && now_ns < run->to_ns;
}

static void on_round(void *context, const struct sim_edge *edge, const struct se_edge_round *round)
{
    struct run *run = context;
    const struct sim *sim = edge->sim;
    if (!counts(run, sim->now_ns))
        return;
    run->tokens += round->tokens;
    if (edge - sim->edge >= run->watched) {
        if (round->base + 1 == edge->n_prompt)
            se_hist_add(&run->first_ms, (double)(round->at_ns - edge->think_ns) * 1e-6);
        return;
    }
    se_hist_add(&run->wait_ms, (double)round->wait_ns * 1e-6);
    se_hist_add(&run->server_ms, (round->queue_us + round->step_us) * 1e-3);
}

static void on_step(void *context, const struct se_server_step *step)
{
    struct run *run = context;
    if (!counts(run, step->begun_ns))
        return;
    run->steps++;
    run->row_fill += (double)step->rows / run->with.max_rows;
    run->busy_ns += step->step_ns;
    run->left += step->left > 0;
    if (step->rounds == 0)
        return;
    run->round_steps++;
    run->fill += (double)step->rounds / BATCH;
}

/* ---- a run */

static void begin(struct run *run, struct sim *sim, const struct options *o)
{
    run->o = o;
    run->with = sim_options(o->seed, run->edges);
    run->with.step_ns = run->speed->step_ns;
    run->with.row_ns = run->speed->row_ns;
    run->with.max_rows = run->rows ? run->rows : ROWS;
    run->with.live.policy = run->policy;
    run->with.live.max_batch = BATCH;
    if (run->prefill_ns)
        run->with.live.prefill_ns = run->prefill_ns;
    run->with.watch = (struct sim_watch){ run, on_round, on_step };
    run->from_ns = SECONDS(1 + WARM_UP_S);
    run->to_ns = run->from_ns + SECONDS(o->seconds);
    run->watched = run->watched ? run->watched : run->edges;
    sim_begin(sim, &run->with);
    sim->quiet = true;
}

/* An edge with trees of one size and depth, which does nothing on its own while it waits: every
 * policy gets the same work from it. */
static void add_edge(struct run *run, struct sim *sim, uint32_t i, uint32_t n_prompt)
{
    struct sim_edge *e = &sim->edge[i];
    struct se_rng rng;
    se_rng_init(&rng, run->o->seed * 31 + i, SE_RNG_TEST);
    uint64_t draft_ms = run->pause->draft_ms, trip_ms = run->pause->trip_ms;
    draft_ms = draft_ms ? draft_ms : mixture[se_rng_below(&rng, 3)];
    trip_ms = trip_ms ? trip_ms : mixture[se_rng_below(&rng, 3)];
    e->options.speculate = SE_WIRE_SPECULATE_ON;
    e->options.depth = SE_EDGE_DEPTH_FIXED;
    e->options.proactive = SE_PROACTIVE_DISABLED;
    e->options.sampling.temp = 0.7;
    e->options.retry_ns = SECONDS(60);
    e->options.give_up_ns = SECONDS(600);
    e->options.grow.max_beam_len = LEVELS;
    e->options.grow.max_n_beams = 8;
    e->options.grow.max_budget = run->mixed_trees ? 1 + se_rng_below(&rng, 64) : 32;
    e->trip_ns = trip_ms * MS;
    e->trip_spread_ns = e->trip_ns / 10;
    e->jitter = 0.2;
    sim_draft(sim, i, 0.1f, draft_ms * MS / LEVELS, 0);
    sim_join(sim, i);
    e->answers_left = UINT32_MAX;
    sim_ask(sim, i, n_prompt, run->answer ? run->answer : ANSWER);
}

static void add_edges(struct run *run, struct sim *sim, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        add_edge(run, sim, i, 40 + 8 * i % 100);
}

static void end(struct run *run, struct sim *sim)
{
    sim_end(sim);
    se_hist_fini(&run->wait_ms);
    se_hist_fini(&run->server_ms);
    se_hist_fini(&run->first_ms);
}

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

static void print_waits(const struct run *run, struct se_hist *ms, const char *name)
{
    const double p50 = se_hist_at(ms, 0.5), p95 = se_hist_at(ms, 0.95), max = se_hist_at(ms, 1);
    if (ms->n == 0)
        return;
    if (run->o->json)
        printf(", \"%s\": {\"n\": %zu, \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"max\": %.3f}",
               name, ms->n, p50, p95, se_hist_at(ms, 0.99), max);
    else
        printf(" %7.1f %7.1f %7.1f", p50, p95, max);
}

static void print_head(const struct options *o, const char *title)
{
    if (!o->json)
        printf("\n%s\n%-4s %-8s %-9s %6s %6s %23s %23s %8s %6s %6s %6s\n", title, "step", "pauses",
               "policy", "fill", "rows", "round p50, p95, max", "server p50, p95, max", "tokens/s",
               "busy", "left", "passed");
}

static void print_run(struct run *run, const struct sim *sim, const char *part, const char *what)
{
    const double fill = percent(run->fill, (double)run->round_steps);
    const double rows = percent(run->row_fill, (double)run->steps);
    const double seconds = (double)(run->to_ns - run->from_ns) * 1e-9;
    const double rate = (double)run->tokens / seconds;
    const double busy = percent((double)run->busy_ns * 1e-9, seconds);
    const double left = percent((double)run->left, (double)run->steps);
    const uint32_t passed = sim_passed_max(sim);
    const char *format = run->o->json
                             ? "{\"part\": \"%s\", \"what\": \"%s\", \"step\": \"%s\", "
                               "\"pauses\": \"%s\", \"policy\": \"%s\", \"fill_rounds\": %.2f, "
                               "\"fill_rows\": %.2f"
                             : "%.0s%.0s%-4s %-8s %-9s %6.1f %6.1f";
    printf(format, part, what, run->speed->name, run->pause->name, policy_names[run->policy], fill,
           rows);
    print_waits(run, &run->wait_ms, "round_ms");
    print_waits(run, &run->server_ms, "server_ms");
    format = run->o->json ? ", \"tokens_s\": %.1f, \"busy\": %.2f, \"left\": %.2f, "
                            "\"passed_max\": %" PRIu32 ", \"steps\": %" PRIu64
                          : " %8.1f %6.1f %6.1f %6" PRIu32;
    printf(format, rate, busy, left, passed, run->steps);
    if (!run->o->json)
        printf("%s%s%s", *what ? "  " : "", what, run->first_ms.n ? ", first" : "");
    print_waits(run, &run->first_ms, "first_ms");
    puts(run->o->json ? "}" : "");
}

/* ---- parts */

static void part_fill(const struct options *o, const struct speed *speed)
{
    print_head(o, "16 edges that always ask");
    for (size_t p = 0; p < sizeof pauses / sizeof pauses[0]; p++) {
        for (size_t k = 0; k < sizeof policies / sizeof policies[0]; k++) {
            struct run run = { .speed = speed, .pause = &pauses[p], .policy = policies[k] };
            struct sim sim;
            run.edges = EDGES;
            begin(&run, &sim, o);
            add_edges(&run, &sim, EDGES);
            sim_run(&sim, run.to_ns);
            print_run(&run, &sim, "fill", "");
            end(&run, &sim);
        }
    }
}

/* The last edge's cable is pulled every second, in the middle of a round of its own, for longer
 * than the server expects it; then it is there again. */
static void pull_cables(const struct run *run, struct sim *sim)
{
    const uint64_t second = SECONDS(1);
    struct sim_edge *e = &sim->edge[run->edges - 1];
    e->options.retry_ns = 100 * MS;
    while (sim->now_ns < run->to_ns) {
        const uint64_t rounds = e->rounds, until_ns = sim->now_ns + second;
        while (e->rounds == rounds && sim->now_ns < until_ns)
            sim_run(sim, sim->now_ns + MS);
        sim_run(sim, sim->now_ns + e->trip_ns / 2 + MS);
        se_faulty_cut(e->link, sim->now_ns + second / 2);
        sim_run(sim, until_ns);
    }
}

static void part_dead(const struct options *o, const struct speed *speed)
{
    static const char *const ways[] = { "15 edges", "15 and one that is cut off every second",
                                        "15 and one that is killed" };
    print_head(o, "15 edges are counted; the sixteenth is gone in the middle of a round");
    for (size_t k = 0; k < sizeof policies / sizeof policies[0]; k++) {
        for (int way = 0; way < 3; way++) {
            struct run run = { .speed = speed, .pause = &pauses[1], .policy = policies[k] };
            struct sim sim;
            run.edges = EDGES;
            run.watched = EDGES - 1;
            begin(&run, &sim, o);
            add_edges(&run, &sim, way == 0 ? EDGES - 1 : EDGES);
            if (way == 1)
                pull_cables(&run, &sim);
            sim_run(&sim, run.from_ns);
            if (way == 2)
                sim_leave(&sim, EDGES - 1, false);
            sim_run(&sim, run.to_ns);
            print_run(&run, &sim, "dead", ways[way]);
            end(&run, &sim);
        }
    }
}

static void part_fair(const struct options *o, const struct speed *speed)
{
    print_head(o, "48 edges with trees of 1 to 64 nodes and a root, more than the server can do");
    for (size_t k = 0; k < sizeof policies / sizeof policies[0]; k++) {
        struct run run = { .speed = speed, .pause = &pauses[0], .policy = policies[k] };
        struct sim sim;
        run.edges = 3 * EDGES;
        run.mixed_trees = true;
        run.rows = 160; /* two trees of the largest and a few small ones */
        begin(&run, &sim, o);
        add_edges(&run, &sim, run.edges);
        sim_run(&sim, run.to_ns);
        print_run(&run, &sim, "fair", "");
        end(&run, &sim);
    }
}

/* Eight write; a ninth asks with a new prompt of 400 ids, again and again, for a short answer. */
static void part_prompt(const struct options *o, const struct speed *speed)
{
    static const struct {
        const char *what;
        uint64_t prefill_ns;
        bool ninth;
    } ways[] = { { "8 edges", 10 * MS, false },
                 { "and prompts, prefill 10 ms", 10 * MS, true },
                 { "and prompts, prefill 50 ms", 50 * MS, true },
                 { "and prompts, unlimited", UINT64_C(1) << 60, true } };
    print_head(o,
               "8 edges write, and a ninth brings prompts of 400 ids; first: its first token, ms");
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        struct run run = { .speed = speed, .pause = &pauses[1], .policy = SE_POLICY_PIPELINE };
        struct sim sim;
        run.edges = EDGES / 2 + 1;
        run.watched = EDGES / 2;
        run.prefill_ns = ways[way].prefill_ns;
        begin(&run, &sim, o);
        add_edges(&run, &sim, EDGES / 2);
        if (ways[way].ninth) {
            run.answer = 8;
            add_edge(&run, &sim, EDGES / 2, 400);
            sim.edge[EDGES / 2].think_ns = 500 * MS;
        }
        sim_run(&sim, run.to_ns);
        print_run(&run, &sim, "prompt", ways[way].what);
        end(&run, &sim);
    }
}

static const struct {
    const char *name;
    void (*run)(const struct options *o, const struct speed *speed);
} parts[] = {
    { "fill", part_fill }, { "dead", part_dead }, { "fair", part_fair }, { "prompt", part_prompt }
};

static bool is_wanted(const char *name, char **names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return n == 0;
}

/* A whole number, or an end with 2. */
static uint64_t number_of(const char *text, uint64_t most)
{
    char *end;
    const unsigned long long number = strtoull(text, &end, 10);
    if (*text < '1' || *text > '9' || *end != 0 || number > most) {
        fprintf(stderr, "bench_policy: '%s' is no number from 1 to %" PRIu64 "\n", text, most);
        exit(2);
    }
    return number;
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1, .seconds = 30 };
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--json") == 0) {
            o.json = true;
        } else if (at + 1 < argc && strcmp(argv[at], "--seconds") == 0) {
            o.seconds = number_of(argv[++at], 100000);
        } else if (at + 1 < argc && strcmp(argv[at], "--seed") == 0) {
            o.seed = number_of(argv[++at], UINT32_MAX);
        } else {
            fprintf(stderr, "usage: bench_policy [--json] [--seconds N] [--seed N] [PART...]\n");
            return 2;
        }
    }
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
        for (size_t s = 0; s < sizeof speeds / sizeof speeds[0]; s++)
            if (is_wanted(parts[p].name, argv + at, argc - at))
                parts[p].run(&o, &speeds[s]);
    return 0;
}
