/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench sched: what scheduler and wire cost beside the model.
 *
 *   code      one thread is everything, the engine too: what the code takes, and nothing else
 *   sleepers  server, engine and edges sleep on threads of their own; a step lasts as long as a
 *             model's: the processor time that the server takes from it
 *   alone     one round at a time: from the link into a step, and from its end back */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/hist.h"
#include "tools/bench_url.h"
#include "tools/figures.h"
#include "tools/flock.h"
#include "tools/hollow_server.h"
#include "tools/se_bench.h"

enum { WARM_UP = 64, WARM_UP_STEPS = 4, CONTEXT = 4096, URL_B = 512 };
#define PATIENCE_NS UINT64_C(10000000000)

struct options {
    uint64_t sessions, nodes, rounds, steps, step_ns, seed;
    const char *link, *trace;
    bool spin;
    struct se_figures_options figures;
};

/* Samples, in microseconds. */
enum path {
    CODE_SERVER,
    CODE_STEP,
    CODE_IN,
    CODE_OUT,
    SLEEP_SERVER,
    SLEEP_ENGINE,
    SLEEP_BETWEEN,
    ALONE_IN,
    ALONE_OUT,
    ALONE_TRIP,
    N_PATHS
};
static const struct se_figure paths[N_PATHS] = {
    { "code_server", "server, per round of a full step", NULL, false },
    { "code_step", "hollow step, per round", NULL, false },
    { "code_in", "one round: link to step", NULL, false },
    { "code_out", "one round: step to answer", NULL, false },
    { "thread_server", "server's thread, per round", NULL, false },
    { "thread_engine", "engine's thread, per round", NULL, false },
    { "between", "between two steps", NULL, false },
    { "in", "one round: link to step", NULL, true },
    { "out", "one round: step to answer", NULL, true },
    { "trip", "one round: there and back", NULL, false },
};

struct bench {
    const struct options *o;
    char url[URL_B];
    struct se_flock_tree tree;
    struct se_hollow_server of;
    struct se_flock flock;
    bool by_hand;                /* the engine's side is called here */
    uint64_t server_ns, step_ns; /* since they were last set to zero */
    double rounds_per_step;
    struct se_hist us[N_PATHS];
    struct se_figure figure[N_PATHS];
    struct se_figures figures;
};

/* ---- turns */

/* The server's calls that did something, and the steps. */
static int turn_of_server(struct bench *b)
{
    uint64_t t0 = se_clock_ns();
    int r = se_server_work(b->of.server);
    uint64_t t1 = se_clock_ns();
    if (r > 0)
        b->server_ns += t1 - t0;
    if (r < 0)
        return se_trace(r);
    struct se_job *job = b->by_hand ? se_stepper_take(b->of.stepper) : NULL;
    if (job) {
        se_stepper_run(b->of.stepper, job);
        se_stepper_give(b->of.stepper, job);
        b->step_ns += se_clock_ns() - t1;
    }
    return 0;
}

/* Until nobody waits for a WELCOME or an answer. */
static int await(struct bench *b)
{
    const uint64_t end_ns = se_clock_ns() + PATIENCE_NS;
    while (b->flock.welcomed < b->flock.n || b->flock.waiting > 0) {
        int r = b->of.runs ? 0 : turn_of_server(b);
        if (r == 0)
            r = se_flock_work(&b->flock);
        if (r == 0 && b->of.runs)
            r = se_link_wait(b->flock.link, PATIENCE_NS);
        if (r < 0)
            return se_trace(r);
        if (se_clock_ns() > end_ns)
            return se_fail(-ETIMEDOUT, "no answer for %d s", (int)(PATIENCE_NS / 1000000000));
    }
    return 0;
}

static int everybody_once(struct bench *b)
{
    int r = 0;
    for (uint32_t i = 0; i < b->flock.n && r == 0; i++)
        r = se_flock_verify(&b->flock, i);
    return r == 0 ? await(b) : se_trace(r);
}

static int add(struct bench *b, enum path path, double ns)
{
    return se_hist_add(&b->us[path], ns * 1e-3);
}

/* ---- parts */

static void end(struct bench *b)
{
    se_flock_fini(&b->flock);
    se_hollow_server_close(&b->of);
}

static int begin(struct bench *b, uint32_t sessions, const struct se_hollow_options *more)
{
    struct se_hollow_options o = *more;
    o.url = b->url;
    o.sessions = sessions;
    o.nodes = b->tree.nodes;
    o.peers = 1;
    o.peer_sessions = sessions;
    o.context = CONTEXT;
    o.trace = b->o->trace;
    b->by_hand = !o.engine_thread;
    memset(&b->flock, 0, sizeof b->flock);
    int r = se_hollow_server_open(&b->of, &o);
    if (r == 0)
        r = se_flock_init(&b->flock, se_link_url(b->of.link), &b->tree, sessions, CONTEXT, 1 << 20);
    return r < 0 ? se_trace(r) : 0;
}

static int measure_code(struct bench *b)
{
    const struct se_hollow_options by_hand = { .engine_thread = false };
    int r = begin(b, (uint32_t)b->o->sessions, &by_hand);
    if (r == 0)
        r = await(b);
    for (uint64_t i = 0; i < WARM_UP + b->o->rounds && r == 0; i++) {
        b->server_ns = b->step_ns = 0;
        r = everybody_once(b);
        if (r == 0 && i >= WARM_UP)
            r = add(b, CODE_SERVER, (double)b->server_ns / b->flock.n);
        if (r == 0 && i >= WARM_UP)
            r = add(b, CODE_STEP, (double)b->step_ns / b->flock.n);
    }
    end(b);
    return r < 0 ? se_trace(r) : 0;
}

/* One session alone, samples to in and out; trip N_PATHS: nowhere. */
static int measure_rounds(struct bench *b, enum path in, enum path out, enum path trip)
{
    int r = await(b);
    for (uint64_t i = 0; i < WARM_UP + b->o->rounds && r == 0; i++) {
        r = everybody_once(b);
        if (r < 0 || i < WARM_UP)
            continue;
        const uint64_t sent_ns = b->flock.session[0].sent_ns, heard_ns = b->flock.heard_ns;
        /* relaxed: the answer came behind it. */
        r = add(
            b, in,
            (double)(atomic_load_explicit(&b->of.hollow.begun_ns, memory_order_relaxed) - sent_ns));
        if (r == 0)
            r = add(b, out,
                    (double)(heard_ns -
                             atomic_load_explicit(&b->of.hollow.ended_ns, memory_order_relaxed)));
        if (r == 0 && trip < N_PATHS)
            r = add(b, trip, (double)(heard_ns - sent_ns));
    }
    return r < 0 ? se_trace(r) : 0;
}

static int measure_code_alone(struct bench *b)
{
    const struct se_hollow_options by_hand = { .engine_thread = false };
    int r = begin(b, 1, &by_hand);
    if (r == 0)
        r = measure_rounds(b, CODE_IN, CODE_OUT, N_PATHS);
    end(b);
    return r < 0 ? se_trace(r) : 0;
}

/* Spinning: this thread is edge and server in turn, so that two processors are enough. */
static int measure_alone(struct bench *b)
{
    const struct se_hollow_options o = { .engine_thread = true,
                                         .idle = b->o->spin ? SE_IDLE_SPIN : SE_IDLE_PARK };
    int r = begin(b, 1, &o);
    if (r == 0 && !b->o->spin)
        r = se_hollow_server_start(&b->of);
    if (r == 0)
        r = measure_rounds(b, ALONE_IN, ALONE_OUT, ALONE_TRIP);
    end(b);
    return r < 0 ? se_trace(r) : 0;
}

static uint64_t processor_ns(clockid_t thread)
{
    struct timespec t = { 0 };
    clock_gettime(thread, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int add_step(struct bench *b, clockid_t server, uint64_t before_ns[3])
{
    /* [hollow.thread] acquire, pairs with the release in the step: its clock is there. */
    if (!atomic_load_explicit(&b->of.hollow.is_known, memory_order_acquire))
        return se_fail(-EPROTO, "answers, and there was no step");
    const uint64_t now_ns[2] = { processor_ns(server), processor_ns(b->of.hollow.thread) };
    const uint64_t begun_ns = atomic_load_explicit(&b->of.hollow.begun_ns, memory_order_relaxed);
    int r = 0;
    if (before_ns[2] > 0) {
        r = add(b, SLEEP_SERVER, (double)(now_ns[0] - before_ns[0]) / b->flock.n);
        if (r == 0)
            r = add(b, SLEEP_ENGINE, (double)(now_ns[1] - before_ns[1]) / b->flock.n);
        if (r == 0 && begun_ns > before_ns[2])
            r = add(b, SLEEP_BETWEEN, (double)(begun_ns - before_ns[2]));
    }
    before_ns[0] = now_ns[0];
    before_ns[1] = now_ns[1];
    before_ns[2] = atomic_load_explicit(&b->of.hollow.ended_ns, memory_order_relaxed);
    return r;
}

static int measure_sleepers(struct bench *b)
{
    const struct se_hollow_options o = { .engine_thread = true,
                                         .idle = SE_IDLE_PARK,
                                         .step_ns = b->o->step_ns };
    uint64_t before_ns[3] = { 0 };
    clockid_t server;
    int r = begin(b, (uint32_t)b->o->sessions, &o);
    if (r == 0)
        r = se_hollow_server_start(&b->of);
    if (r == 0)
        r = await(b);
    if (r == 0)
        r = -pthread_getcpuclockid(b->of.thread, &server);
    for (uint64_t i = 0; i < WARM_UP_STEPS + b->o->steps && r == 0; i++) {
        r = everybody_once(b);
        if (r == 0 && i + 1 >= WARM_UP_STEPS)
            r = add_step(b, server, before_ns);
    }
    int ended = se_hollow_server_stop(&b->of);
    r = r == 0 ? ended : r;
    if (r == 0)
        b->rounds_per_step = (double)b->of.rounds / (double)b->of.steps;
    end(b);
    return r < 0 ? se_trace(r) : 0;
}

/* ---- what it says */

static double at(struct bench *b, enum path path, double share)
{
    return se_hist_at(&b->us[path], share);
}

/* Of a step, in percent: everybody's rounds, at the median. */
static double percent(struct bench *b, enum path path)
{
    return at(b, path, 0.5) * 1e3 * (double)b->o->sessions / (double)b->o->step_ns * 100;
}

static void print_json(void *of)
{
    struct bench *b = of;
    printf("{\"sessions\": %" PRIu64 ", \"nodes\": %" PRIu64 ", \"accepted\": %" PRIu32
           ", \"link\": \"%s\", \"spin\": %s,\n  \"step_ms\": %.3f, \"rounds_per_step\": %.2f,\n"
           "  \"code_percent\": %.3f, \"thread_percent\": %.3f",
           b->o->sessions, b->o->nodes, b->tree.depth + 1, b->o->link,
           b->o->spin ? "true" : "false", (double)b->o->step_ns * 1e-6, b->rounds_per_step,
           percent(b, CODE_SERVER), percent(b, SLEEP_SERVER));
    se_figures_json(&b->figures);
}

static void print_table(void *of)
{
    struct bench *b = of;
    printf("%" PRIu64 " sessions over %s, %" PRIu64 " drafted nodes and the root, %" PRIu32
           " of them accepted\n",
           b->o->sessions, b->o->link, b->o->nodes, b->tree.depth + 1);
    se_figures_table(&b->figures, "code alone, one thread", CODE_SERVER, SLEEP_SERVER);
    se_figures_table(&b->figures, "steps that last, all sleep", SLEEP_SERVER, ALONE_IN);
    se_figures_table(&b->figures,
                     b->o->spin ? "engine on its thread, both spin" : "three threads, all sleep",
                     ALONE_IN, N_PATHS);
    printf("\nof a step of %.3g ms for all: the code %.2f %%, the server's thread %.2f %%; %.1f "
           "rounds "
           "in a step\n",
           (double)b->o->step_ns * 1e-6, percent(b, CODE_SERVER), percent(b, SLEEP_SERVER),
           b->rounds_per_step);
}

static int run(const void *values, char **argument)
{
    static struct bench b;
    (void)argument;
    memset(&b, 0, sizeof b);
    b.o = values;
    b.figures = (struct se_figures){
        .figure = b.figure, .n = N_PATHS, .unit_ns = 1e3, .unit = "us", .suffix = "_us", .digits = 3
    };
    se_figures_take(&b.figures, paths, b.us);
    se_flock_tree_draw(&b.tree, (uint32_t)b.o->nodes + 1, b.o->seed);
    int r = se_bench_url(b.o->link, b.url, sizeof b.url);
    if (r == 0)
        r = se_figures_open(&b.figures, &b.o->figures);
    if (r == 0)
        r = measure_code(&b);
    if (r == 0)
        r = measure_code_alone(&b);
    if (r == 0)
        r = measure_sleepers(&b);
    if (r == 0)
        r = measure_alone(&b);
    return se_figures_end(&b.figures, r, print_table, print_json, &b);
}

static const struct se_conf_row rows[] = {
    { "sessions", 'S', SE_CONF_UINT, offsetof(struct options, sessions), "64", 1, 1024, "N",
      "that ask at once, of one connection" },
    { "nodes", 'n', SE_CONF_UINT, offsetof(struct options, nodes), "32", 0, SE_WIRE_NODES_MAX - 1,
      "N", "drafted nodes of a tree; the root comes on top" },
    { "rounds", 'r', SE_CONF_UINT, offsetof(struct options, rounds), "2000", 1, 10000000, "N",
      "samples of each kind but that of sleepers" },
    { "steps", 0, SE_CONF_UINT, offsetof(struct options, steps), "100", 1, 1000000, "N",
      "samples of sleepers: steps that last" },
    { "step", 't', SE_CONF_TIME, offsetof(struct options, step_ns), "20ms", 1000, 1e10, "TIME",
      "so long such a step lasts, and costs nothing" },
    { "link", 'l', SE_CONF_TEXT, offsetof(struct options, link), "loop", 0, 0,
      "loop|shm|tcp|ipc|URL", "between edges and server" },
    { "spin", 0, SE_CONF_FLAG, offsetof(struct options, spin), NULL, 0, 0, NULL,
      "one round at a time: spin in place of sleeping" },
    { "trace", 0, SE_CONF_TEXT, offsetof(struct options, trace), NULL, 0, 0, "FILE",
      "the server traces into it, as --trace of se-serverd has it: what that costs; each part "
      "begins "
      "the file anew" },
    { "seed", 's', SE_CONF_UINT, offsetof(struct options, seed), "1", 0, 0x1p64, "N",
      "of the tree" },
    SE_FIGURES_OPTION_ROWS(struct options, figures),
};
static struct options chosen;

const struct se_verb se_bench_sched = {
    .name = "sched",
    .summary = "what scheduler and wire cost beside the model",
    .more = "A real server steps a hollow engine, which computes nothing. \"Link to step\" is from "
            "the moment before the frame is handed to the link to the call of the backend; \"step "
            "to answer\" from the backend's end to the RESULT in the edge's hands. A round's share "
            "of the server's time is everything from taking its frame to handing over its answer.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
