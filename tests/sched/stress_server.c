/* SPDX-License-Identifier: Apache-2.0 */
/* stress_server loop|shm|tcp - a server as it runs in earnest: its own thread in se_server_run(),
 * the engine's thread of its stepper, and edges on threads of theirs that ask, leave in the middle
 * of an answer and come back. Every answer is what plain decoding gives; the server never sleeps
 * beside a finished job; at the end it drains while all of them still ask. This is the test of
 * [server.sleep], best seen with one edge, where nobody else wakes the server; and over loop and
 * under ThreadSanitizer of what server and engine share. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "sched/edge/edge.h"
#include "sched/server/parts.h"
#include "tests/sched/draw.h"
#include "tests/sched/seed.h"
#include "tests/sched/table_backend.h"

enum { USERS = 8, LIVES = 3, LIVES_ALONE = 24, CONTEXT = 256, DRAFT_ROWS = 48, FRAMES = 96 };
#define DEADLINE_NS UINT64_C(100000000000)
#define FOREVER_NS UINT64_C(900000000) /* a wait that nearly reached the server's longest */

static char folder[] = "/tmp/specedge-stress-XXXXXX", url[96];
static struct table_model target;
static uint64_t deadline;
static _Atomic int faults;

static bool fault(const char *what)
{
    fprintf(stderr, "%s (%s)\n", what, se_err_text());
    atomic_fetch_add(&faults, 1);
    return false;
}

static bool late(void) { return se_clock_ns() > deadline; }

/* ---- the server */

struct host {
    struct se_link link; /* first: watches how the server waits */
    struct se_link *inner;
    struct se_frames *frames;
    struct se_engine *engine;
    struct se_stepper *stepper;
    struct se_server *server;
    struct se_server_live live;
    struct se_idle_options idle;
    struct se_rng rng; /* the server thread's */
    uint32_t pages, turns;
    _Atomic bool leaves;
    bool drains;
    pthread_t thread;
    uint64_t steps, rounds, waits;
};

static struct host *host_of(struct se_link *link) { return (struct host *)link; }

static int host_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    return se_link_send(host_of(link)->inner, peer, frame);
}

static int host_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    return se_link_recv(host_of(link)->inner, peer, out);
}

/* A job that was launched ends within milliseconds, and wakes who waits. */
static int host_wait(struct se_link *link, uint64_t ns)
{
    struct host *host = host_of(link);
    bool under_way = host->server->pipeline.n_spare < SE_PIPELINE_JOBS;
    uint64_t begun_ns = se_clock_ns();
    int r = se_link_wait(host->inner, ns);
    host->waits++;
    if (r == SE_LINK_AGAIN && under_way && se_clock_ns() - begun_ns > FOREVER_NS)
        fault("the server slept beside a finished job");
    return r;
}

static void host_wake(struct se_link *link) { se_link_wake(host_of(link)->inner); }

static bool host_drop(struct se_link *link, se_link_peer peer)
{
    se_link_drop(host_of(link)->inner, peer);
    return true;
}

static const struct se_link_ops host_ops = { .name = "watched",
                                             .send = host_send,
                                             .recv = host_recv,
                                             .wait = host_wait,
                                             .wake = host_wake,
                                             .drop = host_drop };

static void on_job(void *context) { se_server_wake(((struct host *)context)->server); }

static void on_step(void *context, const struct se_server_step *step)
{
    struct host *host = context;
    host->steps++;
    host->rounds += step->rounds;
}

/* The server's clock dawdles now and then, so that much happens between two of its looks. */
static uint64_t slow_now(void *context)
{
    struct host *host = context;
    uint64_t now_ns = se_clock_ns();
    if (se_rng_below(&host->rng, 4))
        return now_ns;
    const uint64_t until_ns = now_ns + se_rng_below(&host->rng, 100000);
    while (now_ns < until_ns)
        now_ns = se_clock_ns();
    return now_ns;
}

/* The server thread's own turn: settings change while it runs. */
static bool is_over(void *context)
{
    struct host *host = context;
    if (++host->turns % 64 == 0) {
        host->live.policy = (enum se_policy)se_rng_below(&host->rng, 3);
        host->live.max_batch = 1 + se_rng_below(&host->rng, 2 * USERS);
        host->live.wait_ns = se_rng_below(&host->rng, 2000000);
        se_server_set_live(host->server, &host->live);
    }
    if (atomic_load(&host->leaves) && !host->drains) {
        host->drains = true;
        se_server_drain(host->server);
    }
    if (late())
        fault("the server does not come to an end");
    return late() || (host->drains && se_server_drained(host->server));
}

static void *host_main(void *context)
{
    struct host *host = context;
    if (se_server_run(host->server, host->idle, is_over, host) < 0)
        fault("the server ends");
    return NULL;
}

static bool begin(struct host *host, uint64_t seed, struct se_idle_options idle)
{
    *host = (struct host){ .link = { .ops = &host_ops, .frame_max_b = SE_WIRE_FRAME_MAX },
                           .idle = idle,
                           .live = se_server_live() };
    se_rng_init(&host->rng, seed, SE_RNG_TEST);
    uint32_t max_rows = 65 + se_rng_below(&host->rng, 200);
    host->pages = 64 + se_rng_below(&host->rng, USERS * 24);
    host->live.park_ns = se_rng_below(&host->rng, 2) ? 50000000 : host->live.park_ns;
    if (se_frames_new(&host->frames, 1024, SE_WIRE_FRAME_MAX) < 0 ||
        table_engine_new(&host->engine, &target, max_rows, host->pages) < 0)
        return fault("cannot begin");
    const struct se_link_options link = se_link_options(host->frames);
    const struct se_stepper_options stepper = {
        .engine = host->engine, .idle = idle, .wake = on_job, .wake_context = host
    };
    if (se_link_listen(&host->inner, url, &link) < 0 ||
        se_stepper_new(&host->stepper, &stepper) < 0)
        return fault("cannot begin");
    const struct se_server_options o = {
        .link = &host->link,
        .frames = host->frames,
        .stepper = host->stepper,
        .pages = host->pages,
        .kv = se_engine_kv(host->engine),
        .clock = { slow_now, host },
        .secret = { seed, ~seed },
        .fingerprint = 4711,
        .tokens = TABLE_MODEL_VOCAB,
        .vocab = TABLE_MODEL_VOCAB,
        .context = CONTEXT,
        .max_rows = max_rows,
        .max_nodes = 65,
        .max_sessions = USERS + 4,
        .live = host->live,
        .watch = { .context = host, .step = on_step },
    };
    if (se_server_new(&host->server, &o) < 0 || se_stepper_start(host->stepper) < 0)
        return fault("cannot begin");
    return pthread_create(&host->thread, NULL, host_main, host) == 0;
}

static void end(struct host *host)
{
    se_stepper_free(host->stepper);
    se_server_free(host->server);
    se_link_fini(host->inner);
    if (se_kv_pages_free(se_engine_kv(host->engine)) != host->pages)
        fault("pages are lost");
    se_engine_free(host->engine);
}

/* ---- the edges */

struct user {
    uint32_t number, lives;
    struct se_rng rng;
    struct se_frames *frames;
    struct se_link *link;
    struct table_model draft;
    struct se_engine *engine;
    struct se_edge_options options;
    struct se_edge *edge;
    uint32_t text[CONTEXT + 2], n, max_new, stop;
    uint32_t rounds, leave_at; /* of the answer that it does not wait for */
    bool last, counted;
    uint32_t answers;
    pthread_t thread;
};

/* How many are in the middle of their last answer. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int in_last;

static void count_in(struct user *u)
{
    if (u->counted)
        return;
    u->counted = true;
    pthread_mutex_lock(&lock);
    in_last++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_round(void *context, const struct se_edge_round *round)
{
    struct user *u = context;
    (void)round;
    u->rounds++;
    if (u->last)
        count_in(u);
}

static bool join(struct user *u, uint32_t life)
{
    struct se_edge_options *o = &u->options;
    *o = se_edge_options();
    draw_edge_options(&u->rng, o);
    float stray = draw_stray(&u->rng);
    u->engine = NULL;
    if (stray >= 0) {
        table_model_init(&u->draft, target.seed, TABLE_MODEL_VOCAB, CONTEXT);
        u->draft.stray = stray;
        u->draft.stray_seed = target.seed + u->number;
        if (table_engine_new(&u->engine, &u->draft, DRAFT_ROWS, 2 * (CONTEXT + 1024) / 16 + 4) <
                0 ||
            se_drafter_model(&o->drafter, u->engine, TABLE_MODEL_VOCAB, CONTEXT, DRAFT_ROWS) < 0)
            return fault("no drafter");
    }
    const struct se_link_options link = se_link_options(u->frames);
    if (se_link_connect(&u->link, url, &link) < 0)
        return fault("no link");
    o->link = u->link;
    o->frames = u->frames;
    o->nonce = (uint64_t)(u->number + 1) << 40 | life << 20;
    o->fingerprint = 4711;
    o->tokens = TABLE_MODEL_VOCAB;
    o->sampling.seed = u->number * 100 + life;
    o->watch = (struct se_edge_watch){ .context = u, .round = on_round };
    if (u->last) /* it will not be answered whole */
        o->give_up_ns = 300000000;
    return se_edge_new(&u->edge, o) == 0 || fault("no edge");
}

static void leave(struct user *u, bool politely)
{
    if (!politely)
        se_link_close(u->link); /* no BYE */
    se_edge_free(u->edge);
    se_link_fini(u->link);
    se_drafter_close(u->options.drafter);
    se_engine_free(u->engine);
    u->edge = NULL;
}

/* A new text, or the last one with something behind it, or with its end changed. */
static bool ask(struct user *u, uint32_t max_new)
{
    uint32_t keep = se_rng_below(&u->rng, 3) ? u->n : se_rng_below(&u->rng, u->n + 1);
    uint32_t add = 1 + se_rng_below(&u->rng, 60);
    if (keep + add > CONTEXT - 60)
        keep = 0;
    for (u->n = keep; u->n < keep + add; u->n++)
        u->text[u->n] = se_rng_below(&u->rng, TABLE_MODEL_VOCAB);
    u->max_new = max_new;
    u->rounds = 0;
    u->stop = se_rng_below(&u->rng, 4) ? UINT32_MAX : se_rng_below(&u->rng, TABLE_MODEL_VOCAB);
    const struct se_edge_ask ask = {
        .id = u->text, .n = u->n, .max_new = max_new, .stop = &u->stop, .n_stops = 1
    };
    return se_edge_ask(u->edge, &ask) == 0 || fault("it may not ask");
}

/* What there is of the answer is as plain decoding would have it, and so is its end. */
static bool check(struct user *u, bool whole)
{
    const uint32_t *id;
    uint32_t n = se_edge_answer(u->edge, &id, NULL), made = 0;
    bool ended = false;
    for (; made < n && !ended; made++) {
        uint32_t next = table_next(&target, &u->options.sampling, u->text, u->n);
        if (id[made] != next)
            return fault("an answer is not the target's own");
        u->text[u->n++] = next;
        ended = next == u->stop || u->n > CONTEXT;
    }
    if (made != n)
        return fault("an answer goes on behind its end");
    if (whole && made < u->max_new && !ended)
        return fault("an answer is too short");
    u->answers += whole;
    return true;
}

/* 0: it left in the middle. */
static int await(struct user *u)
{
    while (!late()) {
        int r = se_edge_work(u->edge);
        if (u->leave_at > 0 && u->rounds >= u->leave_at)
            return 0;
        if (r == 0)
            continue;
        if (r != SE_EDGE_WAIT)
            return r;
        uint64_t now_ns = se_clock_ns(), next_ns = se_edge_next_ns(u->edge);
        if (next_ns > deadline)
            next_ns = deadline;
        if (next_ns > now_ns)
            se_link_wait(u->link, next_ns - now_ns);
    }
    fault("an answer does not come");
    return -1;
}

static bool live(struct user *u, uint32_t life)
{
    uint32_t asks = u->last ? 1 : 1 + se_rng_below(&u->rng, 3);
    bool good = join(u, life), leaves = !u->last && se_rng_below(&u->rng, 2);
    if (!good)
        return false;
    for (uint32_t i = 0; good && i < asks; i++) {
        u->leave_at = leaves && i + 1 == asks ? 1 + se_rng_below(&u->rng, 10) : 0;
        good = ask(u, u->last ? CONTEXT : 1 + se_rng_below(&u->rng, 60));
        int r = good ? await(u) : -1;
        if (good && r != 0 && r != SE_EDGE_DONE && !(u->last && r == SE_EDGE_UNREACHABLE))
            good = fault("an answer is not whole");
        good = good && check(u, r == SE_EDGE_DONE);
    }
    leave(u, se_rng_below(&u->rng, 2));
    return good;
}

static void *user_main(void *context)
{
    struct user *u = context;
    bool good = se_frames_new(&u->frames, FRAMES, SE_WIRE_FRAME_MAX) == 0;
    for (uint32_t life = 0; good && life <= u->lives; life++) {
        u->last = life == u->lives;
        good = live(u, life);
    }
    count_in(u);
    se_frames_free(u->frames);
    return NULL;
}

static bool run(uint64_t seed, uint32_t users, struct se_idle_options idle)
{
    static struct host host;
    static struct user user[USERS];
    uint32_t answers = 0;
    memset(user, 0, sizeof user);
    deadline = se_clock_ns() + DEADLINE_NS;
    in_last = 0;
    table_model_init(&target, seed, TABLE_MODEL_VOCAB, CONTEXT);
    if (!begin(&host, seed, idle))
        return false;
    snprintf(url, sizeof url, "%s", se_link_url(host.inner));
    for (uint32_t i = 0; i < users; i++) {
        user[i].number = i;
        user[i].lives = users > 1 ? LIVES : LIVES_ALONE;
        se_rng_init(&user[i].rng, seed * 31 + i, SE_RNG_TEST);
        pthread_create(&user[i].thread, NULL, user_main, &user[i]);
    }
    pthread_mutex_lock(&lock);
    while (in_last < (int)users)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    atomic_store(&host.leaves, true);
    se_server_wake(host.server);
    pthread_join(host.thread, NULL);
    end(&host);
    for (uint32_t i = 0; i < users; i++) {
        pthread_join(user[i].thread, NULL);
        answers += user[i].answers;
    }
    se_frames_free(host.frames);
    printf("%u answers, %llu steps, %llu rounds, slept %llu times\n", answers,
           (unsigned long long)host.steps, (unsigned long long)host.rounds,
           (unsigned long long)host.waits);
    return atomic_load(&faults) == 0;
}

int main(int argc, char **argv)
{
    static const struct {
        uint32_t users;
        struct se_idle_options idle;
    } runs[] = {
        { USERS, { .spin_ns = 0, .yield_ns = 0 } },
        { USERS, { .spin_ns = 20000, .yield_ns = 0 } },
        { USERS, { .spin_ns = 0, .yield_ns = 1000000 } },
        { 1, { .spin_ns = 0, .yield_ns = 0 } },
        { 1, { .spin_ns = 5000, .yield_ns = 0 } },
    };
    const char *kind = argc == 2 ? argv[1] : "loop";
    const uint64_t seed = seed_of_test();
    int status = 0;
    if (strcmp(kind, "shm") == 0 && mkdtemp(folder) == NULL)
        return 1;
    for (uint32_t i = 0; status == 0 && i < sizeof runs / sizeof *runs; i++) {
        snprintf(url, sizeof url, "loop://stress-server");
        if (strcmp(kind, "shm") == 0)
            snprintf(url, sizeof url, "shm://%s/socket", folder);
        if (strcmp(kind, "tcp") == 0)
            snprintf(url, sizeof url, "tcp://127.0.0.1:0");
        status = run(seed + i, runs[i].users, runs[i].idle) ? 0 : 1;
    }
    if (strcmp(kind, "shm") == 0)
        rmdir(folder);
    return status;
}
