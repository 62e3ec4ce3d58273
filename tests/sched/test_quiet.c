/* SPDX-License-Identifier: Apache-2.0 */
/* test_quiet loop|shm - a server that polls, beside edges that do: between a VERIFY that the link
 * hands out and the step that it gets into, neither the server's thread nor the engine's asks for
 * memory, takes a lock or calls the system; not for a trace either, which it writes all along.
 *
 *   server's thread, a turn   │ steps that ended, send ... send, a step, recv ... recv: VERIFY,
 *                             │ recv: nothing more, its step │
 *   engine's thread           │ job given back ... the next one's rows are computed │
 *
 * Quiet is all of it but send, which may have to wake an edge; looks for frames, until there is
 * one; and what is done for later once the step has its job. Counting begins when every answer is under way, for a session that comes gets its place,
 * and a prompt its memory. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "sched/edge/edge.h"
#include "sched/server/parts.h"
#include "tests/sched/quiet.h"
#include "tests/sched/table_backend.h"
#include "tools/trace_log.h"

enum { EDGES = 4, CONTEXT = 1024, PAGES = 512, ROWS = 256, FRAMES = 256, PROMPT = 20 };
enum { DRAFT_ROWS = 48, FIRST_ROUNDS = 4, VERIFIES_LEAST = 100, SKIPPED = 77 };
#define DEADLINE_NS UINT64_C(60000000000)

static char url[128];

struct host {
    struct se_link link; /* first: watches the one below */
    struct se_link *inner;
    struct se_frames *frames;
    struct table_model model;
    struct se_backend_ops backend;
    struct se_engine *engine;
    struct se_stepper *stepper;
    struct se_server *server;
    struct se_trace_log *trace;
    pthread_t thread;
    _Atomic bool counts, counted, leaves;
    bool turn_counts, verify_came; /* the server thread's */
    uint64_t verifies;             /* turns that had one */
    struct quiet_count of_server, of_engine;
};
static struct host host;

/* ---- the engine's thread */

static int forward(struct se_backend *backend, const struct se_batch *batch)
{
    quiet_end();
    return table_backend.forward(backend, batch);
}

static void on_job(void *context)
{
    static bool watched;
    (void)context;
    se_server_wake(host.server);
    if (!watched)
        watched = quiet_watch(&host.of_engine);
    if (atomic_load(&host.counts))
        quiet_begin();
}

/* ---- the server's thread */

int __real_se_stepper_offer(struct se_stepper *stepper, struct se_job *job);
int __wrap_se_stepper_offer(struct se_stepper *stepper, struct se_job *job);

/* The linker puts it in the way. What comes after the step is for later. */
int __wrap_se_stepper_offer(struct se_stepper *stepper, struct se_job *job)
{
    int r = __real_se_stepper_offer(stepper, job);
    quiet_end();
    return r;
}

static int host_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    (void)link;
    quiet_end();
    int r = se_link_send(host.inner, peer, frame);
    if (host.turn_counts)
        quiet_begin();
    return r;
}

static int host_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    enum se_wire_type type;
    uint64_t session;
    (void)link;
    if (!host.verify_came)
        quiet_end();
    int r = se_link_recv(host.inner, peer, out);
    if (r == 0 && se_wire_peek((*out)->data, (*out)->len_b, &type, &session) == 0 &&
        type == SE_WIRE_VERIFY && host.turn_counts) {
        host.verifies += !host.verify_came;
        host.verify_came = true;
    }
    if (host.turn_counts)
        quiet_begin();
    return r;
}

static int host_wait(struct se_link *link, uint64_t ns)
{
    (void)link;
    fail_msg("a server that polls went to sleep");
    return se_link_wait(host.inner, ns);
}

static void host_wake(struct se_link *link) { (void)link; }

static bool host_drop(struct se_link *link, se_link_peer peer)
{
    (void)link;
    se_link_drop(host.inner, peer);
    return true;
}

static const struct se_link_ops host_ops = { .name = "watched",
                                             .send = host_send,
                                             .recv = host_recv,
                                             .wait = host_wait,
                                             .wake = host_wake,
                                             .drop = host_drop };

/* A turn begins. */
static bool is_over(void *context)
{
    (void)context;
    quiet_end();
    host.verify_came = false;
    host.turn_counts = atomic_load(&host.counts);
    if (host.turn_counts)
        quiet_begin();
    return atomic_load(&host.leaves);
}

static void *host_main(void *context)
{
    (void)context;
    assert_true(quiet_watch(&host.of_server));
    assert_int_equal(se_server_run(host.server, SE_IDLE_SPIN, is_over, NULL), 0);
    quiet_end();
    return NULL;
}

static void on_step(void *context, const struct se_server_step *step)
{
    (void)context;
    se_trace_log_step(host.trace, step);
    assert_int_equal(se_trace_log_check(host.trace), 0);
}

static void on_server_round(void *context, const struct se_server_round *round)
{
    (void)context;
    se_trace_log_server_round(host.trace, round);
}

static void begin(void)
{
    host.link = (struct se_link){ .ops = &host_ops, .frame_max_b = SE_WIRE_FRAME_MAX };
    table_model_init(&host.model, 5, TABLE_MODEL_VOCAB, CONTEXT);
    host.backend = table_backend;
    host.backend.forward = forward;
    const struct se_engine_options engine = {
        .ops = &host.backend, .max_rows = ROWS, .n_pages = PAGES, .kv_dtype = SE_DTYPE_F32
    };
    assert_int_equal(se_engine_new(&host.engine, &host.model.model, &engine), 0);
    assert_int_equal(se_frames_new(&host.frames, FRAMES, SE_WIRE_FRAME_MAX), 0);
    const struct se_link_options link = se_link_options(host.frames);
    const struct se_stepper_options stepper = { .engine = host.engine,
                                                .idle = SE_IDLE_SPIN,
                                                .wake = on_job };
    assert_int_equal(se_link_listen(&host.inner, url, &link), 0);
    snprintf(url, sizeof url, "%s", se_link_url(host.inner));
    assert_int_equal(se_stepper_new(&host.stepper, &stepper), 0);
    const struct se_server_options o = {
        .link = &host.link,
        .frames = host.frames,
        .stepper = host.stepper,
        .pages = PAGES,
        .kv = se_engine_kv(host.engine),
        .clock = { NULL, NULL },
        .secret = { 3, 4 },
        .fingerprint = 4711,
        .tokens = TABLE_MODEL_VOCAB,
        .vocab = TABLE_MODEL_VOCAB,
        .context = CONTEXT,
        .max_rows = ROWS,
        .max_nodes = 65,
        .max_sessions = EDGES,
        .live = se_server_live(),
        .watch = { .step = on_step, .round = on_server_round },
    };
    assert_int_equal(se_trace_log_open(&host.trace, "/dev/null", SE_TRACE_SERVER), 0);
    assert_int_equal(se_server_new(&host.server, &o), 0);
    assert_int_equal(se_stepper_start(host.stepper), 0);
    assert_int_equal(pthread_create(&host.thread, NULL, host_main, NULL), 0);
}

static void end(void)
{
    atomic_store(&host.leaves, true);
    pthread_join(host.thread, NULL);
    se_stepper_free(host.stepper);
    se_server_free(host.server);
    assert_int_equal(se_trace_log_close(host.trace), 0);
    se_link_fini(host.inner);
    se_engine_free(host.engine);
    se_frames_free(host.frames);
}

/* ---- the edges, all on one thread */

struct user {
    struct se_frames *frames;
    struct se_link *link;
    struct table_model draft;
    struct se_engine *engine;
    struct se_edge_options options;
    struct se_edge *edge;
    uint32_t rounds;
};
static struct user user[EDGES];

static void on_round(void *context, const struct se_edge_round *round)
{
    struct user *u = context;
    (void)round;
    u->rounds++;
}

static void join(struct user *u, uint32_t number)
{
    struct se_edge_options *o = &u->options;
    *o = se_edge_options();
    table_model_init(&u->draft, host.model.seed, TABLE_MODEL_VOCAB, CONTEXT);
    u->draft.stray = 0.3f;
    u->draft.stray_seed = number;
    assert_int_equal(table_engine_new(&u->engine, &u->draft, DRAFT_ROWS, PAGES), 0);
    assert_int_equal(
        se_drafter_model(&o->drafter, u->engine, TABLE_MODEL_VOCAB, CONTEXT, DRAFT_ROWS), 0);
    assert_int_equal(se_frames_new(&u->frames, FRAMES, SE_WIRE_FRAME_MAX), 0);
    const struct se_link_options link = se_link_options(u->frames);
    assert_int_equal(se_link_connect(&u->link, url, &link), 0);
    o->link = u->link;
    o->frames = u->frames;
    o->nonce = number + 1;
    o->fingerprint = 4711;
    o->tokens = TABLE_MODEL_VOCAB;
    o->speculate = SE_WIRE_SPECULATE_ON;
    o->shape = SE_EDGE_SHAPE_PUBLISHED; /* its trees are as large as they may be, all of them: */
    o->depth = SE_EDGE_DEPTH_FIXED;     /* what a larger one takes was taken by the first */
    o->sampling.temp = number % 2 ? 0.7 : 0;
    o->watch = (struct se_edge_watch){ .context = u, .round = on_round };
    assert_int_equal(se_edge_new(&u->edge, o), 0);
}

static void leave(struct user *u)
{
    se_edge_free(u->edge);
    se_link_fini(u->link);
    se_drafter_close(u->options.drafter);
    se_engine_free(u->engine);
    se_frames_free(u->frames);
}

static void ask(struct user *u, uint32_t max_new)
{
    uint32_t id[PROMPT];
    for (uint32_t i = 0; i < PROMPT; i++)
        id[i] = (uint32_t)((u - user) * 7 + i) % TABLE_MODEL_VOCAB;
    const struct se_edge_ask ask = { .id = id, .n = PROMPT, .max_new = max_new };
    assert_int_equal(se_edge_ask(u->edge, &ask), 0);
}

/* Goes on until one of the answers is whole, and says whose. */
static struct user *write_on(void)
{
    const uint64_t deadline_ns = se_clock_ns() + DEADLINE_NS;
    for (;;) {
        uint32_t under_way = 0;
        bool some = false;
        for (uint32_t i = 0; i < EDGES; i++) {
            int r = se_edge_work(user[i].edge);
            if (r == SE_EDGE_DONE)
                return &user[i];
            assert_true(r == 0 || r == SE_EDGE_WAIT);
            some |= r == 0;
            under_way += user[i].rounds >= FIRST_ROUNDS;
        }
        if (under_way == EDGES && !atomic_load(&host.counted))
            atomic_store(&host.counts, true);
        if (!some)
            sched_yield();
        assert_true(se_clock_ns() < deadline_ns);
    }
}

/* ---- tests */

static void expect_quiet(const char *who, const struct quiet_count *count)
{
    print_message("%s, %llu times: memory %llu, locks %llu, system calls %llu\n", who,
                  (unsigned long long)count->spans, (unsigned long long)count->n[QUIET_MEMORY],
                  (unsigned long long)count->n[QUIET_LOCK],
                  (unsigned long long)count->n[QUIET_SYSTEM]);
    for (int kind = 0; kind < QUIET_KINDS; kind++)
        if (count->n[kind] > 0) {
            quiet_tell();
            fail_msg("%s is not quiet", who);
        }
}

static void from_a_frame_to_its_step_nothing_is_asked_for(void **state)
{
    (void)state;
    begin();
    for (uint32_t i = 0; i < EDGES; i++) {
        join(&user[i], i);
        ask(&user[i], CONTEXT - 2 * PROMPT);
    }
    struct user *first = write_on();
    atomic_store(&host.counted, true);
    atomic_store(&host.counts, false);
    ask(first, 2); /* another job ends the engine's quiet; others' answers may end before it */
    while (write_on() != first)
        ;
    end();
    for (uint32_t i = 0; i < EDGES; i++)
        leave(&user[i]);
    assert_true(host.verifies >= VERIFIES_LEAST && host.of_engine.spans >= VERIFIES_LEAST);
    expect_quiet("the server's thread", &host.of_server);
    expect_quiet("the engine's thread", &host.of_engine);
}

/* Each is seen, and only while it is looked for. */
static void *be_loud(void *context)
{
    struct quiet_count *count = context;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    void *volatile block;
    assert_true(quiet_watch(count));
    for (int round = 0; round < 2; round++) {
        if (round > 0)
            quiet_begin();
        block = malloc(1000);
        free(block);
        pthread_mutex_lock(&lock);
        pthread_mutex_unlock(&lock);
        se_clock_ns();
        count->n[QUIET_SYSTEM] += round > 0 && getppid() <= 0;
        quiet_end();
    }
    return NULL;
}

static void what_is_not_quiet_is_counted(void **state)
{
    pthread_t thread;
    struct quiet_count count = { .spans = 0 };
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, be_loud, &count), 0);
    pthread_join(thread, NULL);
    assert_int_equal(count.spans, 1);
    assert_int_equal(count.n[QUIET_MEMORY], 2);
    assert_int_equal(count.n[QUIET_LOCK], 1);
    assert_int_equal(count.n[QUIET_SYSTEM], 1);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/specedge-quiet-XXXXXX";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_a_frame_to_its_step_nothing_is_asked_for),
        cmocka_unit_test(what_is_not_quiet_is_counted),
    };
    const char *why = quiet_cannot();
    if (why) {
        printf("skipped: %s\n", why);
        return SKIPPED;
    }
    if (!mkdtemp(folder))
        return 1;
    if (argc == 2 && strcmp(argv[1], "loop") == 0)
        snprintf(url, sizeof url, "loop://quiet");
    else
        snprintf(url, sizeof url, "shm://%s/socket", folder);
    int r = cmocka_run_group_tests_name("quiet", tests, NULL, NULL);
    rmdir(folder);
    return r;
}
