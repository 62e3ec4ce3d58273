/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers with sockets of their own beside honest edges, over tcp and in real time: DEALERs that
 * send so many messages of any bytes, sizes and parts, and headers that are nearly right, and do
 * not read. Honest answers are the target's own, and what the server holds is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>
#include <zmq.h>

#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "sched/edge/edge.h"
#include "sched/server/parts.h"
#include "tests/sched/audit.h"
#include "tests/sched/raw.h"
#include "tests/sched/seed.h"
#include "tests/sched/table_backend.h"

enum { EDGES = 3, STRANGERS = 3, MESSAGES = 3000, AT_ONCE = 16, CONTEXT = 256, PAGES = 100 };
enum { ANSWERS = 6, NEW = 40, FRAMES = 1024, LONG_B = 100000 };
#define DEADLINE_NS UINT64_C(60000000000)

static uint64_t seed;
static struct se_rng rng;
static struct table_model target;

/* ---- the server, turned by hand */

struct host {
    struct se_frames *frames;
    struct se_link *link;
    struct se_engine *engine;
    struct se_stepper *stepper;
    struct se_server *server;
    struct se_stat *stat;
};

static void open_host(struct host *host)
{
    *host = (struct host){ .frames = NULL };
    assert_int_equal(se_frames_new(&host->frames, FRAMES, SE_WIRE_FRAME_MAX), 0);
    const struct se_link_options link = se_link_options(host->frames);
    if (se_link_listen(&host->link, "tcp://127.0.0.1:0", &link) < 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(table_engine_new(&host->engine, &target, 128, PAGES), 0);
    const struct se_stepper_options stepper = { .engine = host->engine };
    assert_int_equal(se_stepper_new(&host->stepper, &stepper), 0);
    assert_int_equal(se_stat_create(&host->stat, NULL, se_counter_labels, SE_COUNT_END), 0);
    const struct se_server_options o = {
        .link = host->link,
        .frames = host->frames,
        .stepper = host->stepper,
        .pages = PAGES,
        .kv = se_engine_kv(host->engine),
        .secret = { seed, ~seed },
        .fingerprint = 4711,
        .tokens = TABLE_MODEL_VOCAB,
        .vocab = TABLE_MODEL_VOCAB,
        .context = CONTEXT,
        .max_rows = 128,
        .max_nodes = 65,
        .max_sessions = 16,
        .live = se_server_live(),
        .stat = host->stat,
    };
    assert_int_equal(se_server_new(&host->server, &o), 0);
}

static void close_host(struct host *host)
{
    se_stepper_free(host->stepper);
    se_server_free(host->server);
    se_link_fini(host->link);
    assert_int_equal(se_frames_out(host->frames), 0);
    se_frames_free(host->frames);
    assert_int_equal(se_kv_pages_free(se_engine_kv(host->engine)), PAGES);
    se_engine_free(host->engine);
    se_stat_free(host->stat);
}

static bool turn_host(struct host *host)
{
    int r = se_server_work(host->server);
    if (r < 0)
        fail_msg("%s", se_err_text());
    const char *what = audit_server(host->server);
    if (what)
        fail_msg("%s", what);
    struct se_job *job = se_stepper_take(host->stepper);
    if (job) {
        se_stepper_run(host->stepper, job);
        se_stepper_give(host->stepper, job);
    }
    assert_true(host->server->sessions.n <= 16);
    assert_true(se_frames_out(host->frames) < FRAMES);
    return r > 0 || job;
}

/* ---- honest edges */

struct user {
    struct se_frames *frames;
    struct se_link *link;
    struct se_edge *edge;
    struct se_edge_options options;
    uint32_t text[CONTEXT + 1], n, answers;
};

static void ask(struct user *u)
{
    for (u->n = 0; u->n < 20; u->n++)
        u->text[u->n] = se_rng_below(&rng, TABLE_MODEL_VOCAB);
    const struct se_edge_ask ask = { .id = u->text, .n = u->n, .max_new = NEW };
    assert_int_equal(se_edge_ask(u->edge, &ask), 0);
}

static void open_user(struct user *u, const char *url, uint32_t number)
{
    *u = (struct user){ .options = se_edge_options() };
    assert_int_equal(se_frames_new(&u->frames, RAW_FRAMES, SE_WIRE_FRAME_MAX), 0);
    const struct se_link_options link = se_link_options(u->frames);
    assert_int_equal(se_link_connect(&u->link, url, &link), 0);
    u->options.link = u->link;
    u->options.frames = u->frames;
    u->options.nonce = (number + 1) * UINT64_C(0x100000000);
    u->options.fingerprint = 4711;
    u->options.tokens = TABLE_MODEL_VOCAB;
    u->options.sampling.temp = 0.7;
    u->options.sampling.seed = number;
    assert_int_equal(se_edge_new(&u->edge, &u->options), 0);
    ask(u);
}

static void close_user(struct user *u)
{
    se_edge_free(u->edge);
    se_link_fini(u->link);
    se_frames_free(u->frames);
}

static bool turn_user(struct user *u)
{
    const uint32_t *id;
    int r = se_edge_work(u->edge);
    if (r == 0 || r == SE_EDGE_WAIT)
        return r == 0;
    assert_int_equal(r, SE_EDGE_DONE);
    assert_int_equal(se_edge_answer(u->edge, &id, NULL), NEW);
    for (uint32_t i = 0; i < NEW; i++, u->n++) {
        u->text[u->n] = table_next(&target, &u->options.sampling, u->text, u->n);
        assert_int_equal(id[i], u->text[u->n]);
    }
    u->answers++;
    ask(u);
    return true;
}

/* ---- strangers */

struct stranger {
    void *socket;
    uint32_t sent;
};

static size_t nearly_right(unsigned char *bytes)
{
    struct se_wire m = raw_hello(se_rng_u32(&rng), 4711, TABLE_MODEL_VOCAB);
    size_t n = 0;
    if (se_rng_below(&rng, 2)) {
        m.session = se_rng_u32(&rng) + UINT64_C(1);
        m.type = SE_WIRE_CANCEL;
        m.cancel = (struct se_wire_cancel){ .round = 1, .base = 1 };
    }
    assert_int_equal(se_wire_encode(&m, bytes, SE_WIRE_FRAME_MAX, &n), 0);
    if (se_rng_below(&rng, 2))
        bytes[se_rng_below(&rng, (uint32_t)n)] ^= 1;
    return n;
}

static void send_one(struct stranger *s)
{
    static unsigned char bytes[LONG_B];
    size_t n = se_rng_below(&rng, 200);
    uint32_t how = se_rng_below(&rng, 16);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)se_rng_u32(&rng);
    if (how < 8)
        n = nearly_right(bytes);
    else if (how == 8 && se_rng_below(&rng, 32) == 0)
        n = sizeof bytes; /* which ends the connection, and the next one begins */
    int more = how > 12 ? ZMQ_SNDMORE : 0;
    if (zmq_send(s->socket, bytes, n, ZMQ_DONTWAIT | more) < 0)
        return; /* its queue is full */
    if (more)
        zmq_send(s->socket, bytes, n, ZMQ_DONTWAIT);
    s->sent++;
}

static void open_stranger(struct stranger *s, void *context, const char *url)
{
    const int none = 0, few = 100;
    s->sent = 0;
    s->socket = zmq_socket(context, ZMQ_DEALER);
    assert_non_null(s->socket);
    zmq_setsockopt(s->socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(s->socket, ZMQ_SNDHWM, &few, sizeof few);
    assert_int_equal(zmq_connect(s->socket, url), 0);
}

static void strangers_do_no_harm(void **state)
{
    static struct host host;
    static struct user user[EDGES];
    struct stranger stranger[STRANGERS];
    void *context = zmq_ctx_new();
    const uint64_t until_ns = se_clock_ns() + DEADLINE_NS;
    bool over = false;
    (void)state;
    open_host(&host);
    for (uint32_t i = 0; i < EDGES; i++)
        open_user(&user[i], se_link_url(host.link), i);
    for (uint32_t i = 0; i < STRANGERS; i++)
        open_stranger(&stranger[i], context, se_link_url(host.link));
    while (!over) {
        bool some = turn_host(&host);
        over = true;
        for (uint32_t i = 0; i < STRANGERS; i++) {
            for (int k = 0; k < AT_ONCE && stranger[i].sent < MESSAGES; k++)
                send_one(&stranger[i]);
            over &= stranger[i].sent == MESSAGES;
        }
        for (uint32_t i = 0; i < EDGES; i++) {
            some |= turn_user(&user[i]);
            over &= user[i].answers >= ANSWERS;
        }
        if (!some)
            se_link_wait(host.link, 200000);
        if (se_clock_ns() > until_ns)
            fail_msg("a minute has passed");
    }
    print_message("%llu frames, %llu malformed, %llu beyond the rate, cut off %llu times\n",
                  (unsigned long long)se_stat_get(host.stat, SE_COUNT_FRAMES_IN),
                  (unsigned long long)se_stat_get(host.stat, SE_COUNT_MALFORMED),
                  (unsigned long long)se_stat_get(host.stat, SE_COUNT_FLOODED),
                  (unsigned long long)se_stat_get(host.stat, SE_COUNT_CUT));
    assert_true(se_stat_get(host.stat, SE_COUNT_MALFORMED) > 0);
    assert_true(se_stat_get(host.stat, SE_COUNT_CUT) >= STRANGERS);
    for (uint32_t i = 0; i < STRANGERS; i++)
        zmq_close(stranger[i].socket);
    for (uint32_t i = 0; i < EDGES; i++)
        close_user(&user[i]);
    close_host(&host);
    zmq_ctx_term(context);
}

int main(void)
{
    seed = seed_of_test();
    se_rng_init(&rng, seed, SE_RNG_TEST);
    table_model_init(&target, seed, TABLE_MODEL_VOCAB, CONTEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_do_no_harm),
    };
    return cmocka_run_group_tests_name("hostile_zmq", tests, NULL, NULL);
}
