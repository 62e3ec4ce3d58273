/* SPDX-License-Identifier: Apache-2.0 */
/* Any three peers beside an honest edge. The bytes are a list of things that happen: frames (any
 * bytes; messages whose fields are right, nearly right or someone else's; frames of others once
 * more), connections that end, time that passes, turns of server and engine. Whatever they are,
 * the server's books agree, the honest edge gets its answers, and in the end nothing is left. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "sched/edge/edge.h"
#include "sched/server/parts.h"
#include "tests/sched/audit.h"
#include "tests/sched/raw.h"
#include "tests/sched/table_backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 3, CONTEXT = 96, PAGES = 14, ROWS = 40, NODES = 17, SESSIONS = 7, VOCAB = 24 };
enum { HAPPENS_MOST = 600, ANSWERS = 3, FINGERPRINT = 4711, DRAFT_ROWS = 32 };
enum { SERVER_FRAMES = 512 }; /* as many as all queues hold, and more */
static const char url[] = "loop://fuzz-desk";
#define MS UINT64_C(1000000)
#define PARK_NS (2000 * MS)
#define PATIENCE_NS (600000 * MS)

struct stand {
    const uint8_t *data;
    size_t left;
    uint64_t now_ns;
    struct table_model model, draft;
    struct se_engine *engine, *drafts;
    struct se_frames *frames, *edge_frames;
    struct se_link *link, *edge_link;
    struct se_stepper *stepper;
    struct se_server *server;
    struct se_job *running;
    uint64_t due_ns;
    struct raw peer[PEERS];
    unsigned char last[SE_WIRE_FRAME_MAX]; /* frame that anybody sent last */
    size_t last_b;
    struct se_edge *edge;
    struct se_edge_options options;
    uint32_t text[CONTEXT + 2], n, max_new, answers;
    bool asking, late; /* late: it comes when the others have had their say */
};

static void broken(const char *what)
{
    fprintf(stderr, "%s (%s)\n", what, se_err_text());
    abort();
}

static void must(int r)
{
    if (r < 0)
        broken("something cannot be made");
}

/* ---- the bytes */

static uint32_t byte(struct stand *s)
{
    if (s->left == 0)
        return 0;
    s->left--;
    return *s->data++;
}

static uint32_t below(struct stand *s, uint32_t n) { return byte(s) % n; }

/* One of a few likely numbers, or any. */
static uint32_t near(struct stand *s, uint32_t right)
{
    switch (below(s, 16)) {
    case 0:
        return right + 1;
    case 1:
        return right - (right > 0);
    case 2:
        return below(s, 128);
    case 3:
        return 0x7fffffff - below(s, 4);
    case 4:
        return 0;
    default:
        return right;
    }
}

/* ---- the stand */

/* Taken once: their memory would be most of the time that an input takes. */
static struct se_frames *pool[PEERS + 2];

static struct se_frames *pool_of(uint32_t number)
{
    if (!pool[number])
        must(se_frames_new(&pool[number], number ? RAW_FRAMES : SERVER_FRAMES, SE_WIRE_FRAME_MAX));
    return pool[number];
}

static void check_pools(void)
{
    for (uint32_t i = 0; i < PEERS + 2; i++)
        if (se_frames_out(pool[i]) != 0)
            broken("frames are lost");
}

static uint64_t now_of(void *context) { return ((struct stand *)context)->now_ns; }

static void open_server(struct stand *s)
{
    table_model_init(&s->model, 1, VOCAB, CONTEXT);
    const struct se_link_options link = se_link_options(s->frames);
    must(se_link_listen(&s->link, url, &link));
    must(table_engine_new(&s->engine, &s->model, ROWS, PAGES));
    const struct se_stepper_options stepper = { .engine = s->engine, .clock = { now_of, s } };
    must(se_stepper_new(&s->stepper, &stepper));
    struct se_server_options o = {
        .link = s->link,
        .frames = s->frames,
        .stepper = s->stepper,
        .pages = PAGES,
        .kv = se_engine_kv(s->engine),
        .clock = { now_of, s },
        .secret = { 3, 5 },
        .fingerprint = FINGERPRINT,
        .tokens = VOCAB,
        .vocab = VOCAB,
        .context = CONTEXT,
        .max_rows = ROWS,
        .max_nodes = NODES,
        .max_sessions = SESSIONS,
        .live = se_server_live(),
    };
    o.live.policy = (enum se_policy)below(s, 3);
    o.live.park_ns = PARK_NS;
    o.live.peer_sessions = 4;
    o.live.max_batch = 1 + below(s, 8);
    must(se_server_new(&s->server, &o));
}

static void open_edge(struct stand *s)
{
    const uint32_t kind = byte(s);
    struct se_edge_options *o = &s->options;
    const struct se_link_options link = se_link_options(s->edge_frames);
    must(se_link_connect(&s->edge_link, url, &link));
    *o = se_edge_options();
    o->link = s->edge_link;
    o->frames = s->edge_frames;
    o->clock = (struct se_clock){ now_of, s };
    o->nonce = 1000;
    o->fingerprint = FINGERPRINT;
    o->tokens = VOCAB;
    o->sampling = (struct se_sampling){ .temp = 0.7, .top_p = 1, .seed = 5 };
    o->give_up_ns = 10 * PATIENCE_NS;
    o->speculate = (enum se_wire_speculate)(kind % 3);
    s->late = kind & 16 ? true : false;
    o->depth = kind & 4 ? SE_EDGE_DEPTH_FIXED : SE_EDGE_DEPTH_LEARNED;
    o->grow.max_budget = NODES - 1;
    if (kind & 8) {
        table_model_init(&s->draft, 1, VOCAB, CONTEXT);
        s->draft.stray = 0.1f;
        must(table_engine_new(&s->drafts, &s->draft, DRAFT_ROWS, 160));
        must(se_drafter_model(&o->drafter, s->drafts, VOCAB, CONTEXT, DRAFT_ROWS));
    }
    must(se_edge_new(&s->edge, o));
}

static void ask(struct stand *s)
{
    uint32_t n = s->n > 0 && s->n < 40 ? s->n + 3 : 5;
    for (uint32_t i = s->n < n ? s->n : 0; i < n; i++)
        s->text[i] = (i * 7 + s->answers) % VOCAB;
    s->n = n;
    s->max_new = 12;
    const struct se_edge_ask ask = { .id = s->text, .n = n, .max_new = s->max_new };
    must(se_edge_ask(s->edge, &ask));
    s->asking = true;
}

static void take_answer(struct stand *s)
{
    const uint32_t *id;
    uint32_t n = se_edge_answer(s->edge, &id, NULL);
    if (n != s->max_new)
        broken("an honest edge's answer is not whole");
    for (uint32_t i = 0; i < n; i++) {
        if (id[i] != table_next(&s->model, &s->options.sampling, s->text, s->n))
            broken("an honest edge's answer is another");
        s->text[s->n++] = id[i];
    }
    s->asking = false;
    if (++s->answers < ANSWERS)
        ask(s);
}

/* ---- turns */

static bool turn_edge(struct stand *s)
{
    int r = se_edge_work(s->edge);
    if (r == SE_EDGE_WAIT)
        return false;
    if (r == SE_EDGE_DONE && s->asking)
        take_answer(s);
    else if (r != 0)
        broken("an honest edge fails");
    return true;
}

static bool turn_server(struct stand *s)
{
    int r = se_server_work(s->server);
    const char *what = audit_server(s->server);
    if (r < 0)
        broken("the server fails");
    if (what)
        broken(what);
    return r > 0;
}

static bool turn_engine(struct stand *s)
{
    if (s->running && s->now_ns < s->due_ns)
        return false;
    if (s->running) {
        se_stepper_give(s->stepper, s->running);
        s->running = NULL;
        return true;
    }
    s->running = se_stepper_take(s->stepper);
    if (!s->running)
        return false;
    se_stepper_run(s->stepper, s->running);
    if (s->running->result < 0)
        broken(s->running->why);
    if (s->running->result > 0)
        broken("a step finds no pages");
    s->due_ns = s->now_ns + s->running->rows * MS / 4;
    return true;
}

/* Until nothing happens any more at this time. */
static void settle(struct stand *s)
{
    bool some = true;
    for (int i = 0; some; i++) {
        some = turn_edge(s);
        some |= turn_server(s);
        some |= turn_engine(s);
        for (int k = 0; k < PEERS; k++)
            some |= raw_hear(&s->peer[k]);
        if (i > 5000)
            broken("somebody is busy without end");
    }
}

static uint64_t next_event(struct stand *s)
{
    uint64_t next = se_server_next_ns(s->server), edge = se_edge_next_ns(s->edge);
    next = edge < next ? edge : next;
    return s->running && s->due_ns < next ? s->due_ns : next;
}

/* ---- what happens */

/* A session of this peer's, or somebody's, or one that never was; NULL: there is none. */
static const struct raw_session *pick(struct stand *s, uint32_t peer, uint64_t *id)
{
    static const struct raw_session none;
    const uint32_t how = byte(s);
    const struct raw *of = &s->peer[how < 224 ? peer : how % PEERS];
    *id = how * 0x9e3779b97f4a7c15;
    if (how > 250 || of->n_sessions == 0)
        return how > 240 ? &none : NULL;
    const struct raw_session *session = &of->session[of->n_sessions - 1 - how % 4 % of->n_sessions];
    *id = session->id;
    return session;
}

static const struct se_session *held(const struct stand *s, uint64_t id)
{
    static const struct se_session none;
    uint32_t at = se_session_find(&s->server->sessions, id);
    return at == SE_SESSION_NONE ? &none : &s->server->sessions.session[at];
}

static bool make_hello(struct stand *s, uint32_t peer, struct se_wire *m)
{
    *m = raw_hello(100 * (peer + 1) + below(s, 16), FINGERPRINT, VOCAB);
    uint32_t how = byte(s);
    m->hello.fingerprint += how == 255;
    m->hello.tokens -= how == 254;
    m->hello.temp = how == 253 ? -1 : (int)(how % 2);
    if (how % 4 == 0)
        se_wire_set_draft(&m->hello, &"a draft with a name of forty letters"[how % 32]);
    if (how == 252) /* the honest edge's */
        m->hello.nonce = 1001 + below(s, 3);
    return true;
}

static bool make_prefill(struct stand *s, uint32_t peer, struct se_wire *m)
{
    static uint32_t id[64];
    m->type = SE_WIRE_PREFILL;
    if (!pick(s, peer, &m->session))
        return false;
    const uint32_t n = 1 + below(s, 60), first = byte(s);
    m->prefill.base = near(s, held(s, m->session)->n);
    m->prefill.total = near(s, m->prefill.base + n);
    m->prefill.n = (uint16_t)n;
    m->prefill.id_bits = 5;
    for (uint32_t i = 0; i < n; i++)
        id[i] = (first + i * 5) % (first == 255 ? 32 : VOCAB);
    m->prefill.id = id;
    return true;
}

static bool make_verify(struct stand *s, uint32_t peer, struct se_wire *m)
{
    static int32_t parent[32];
    static uint32_t token[32];
    m->type = SE_WIRE_VERIFY;
    if (!pick(s, peer, &m->session))
        return false;
    const struct se_session *of = held(s, m->session);
    const uint32_t n = 1 + below(s, NODES + 2), how = byte(s);
    m->verify.round = near(s, of->round + 1);
    m->verify.base = near(s, of->n);
    m->verify.nodes = (uint16_t)n;
    m->verify.ahead = how % 4 ? 0 : (uint16_t)below(s, 64);
    m->verify.id_bits = 5;
    m->verify.check = (uint32_t)of->hash + (how == 255);
    m->verify.think_us = how % 3 ? SE_WIRE_U24_MAX : 1000 * how;
    parent[0] = -1;
    token[0] = how % VOCAB;
    for (uint32_t i = 1; i < n; i++) {
        uint32_t lowest = i > 1 ? (uint32_t)parent[i - 1] : 0, step = byte(s);
        parent[i] = (int32_t)(lowest + step % 3 % (i - lowest));
        token[i] = step < 250 ? (i + step / 8) % VOCAB : token[i - 1];
    }
    m->verify.parent = parent;
    m->verify.token = token;
    return true;
}

static bool make_cancel(struct stand *s, uint32_t peer, struct se_wire *m)
{
    m->type = SE_WIRE_CANCEL;
    if (!pick(s, peer, &m->session))
        return false;
    const struct se_session *of = held(s, m->session);
    m->cancel.round = near(s, of->round + (of->slot != SE_SLOT_NONE));
    m->cancel.base = near(s, of->n / 2);
    return true;
}

static bool make_resume(struct stand *s, uint32_t peer, struct se_wire *m)
{
    m->type = SE_WIRE_RESUME;
    const struct raw_session *session = pick(s, peer, &m->session);
    if (!session)
        return false;
    const struct se_session *of = held(s, m->session);
    const uint32_t how = byte(s);
    uint32_t base = near(s, of->n - (how % 3 && of->n > 2 ? how % 3 : 0));
    m->resume =
        (struct se_wire_resume){ .nonce = 100 * (peer + 1) + how % 16,
                                 .token = { session->token[0] + (how == 255), session->token[1] },
                                 .base = base,
                                 .round = near(s, of->round) };
    m->resume.hash = se_wire_hash(SE_WIRE_HASH_START, of->text, base < of->n ? base : of->n);
    return true;
}

static bool make_other(struct stand *s, uint32_t peer, struct se_wire *m)
{
    static const enum se_wire_type type[] = { SE_WIRE_BYE,   SE_WIRE_BYE,    SE_WIRE_PING,
                                              SE_WIRE_STATS, SE_WIRE_RESULT, SE_WIRE_ERROR };
    m->type = type[below(s, 6)];
    pick(s, peer, &m->session);
    if (m->type == SE_WIRE_BYE && below(s, 4) == 0)
        m->session = 0;
    if (m->type == SE_WIRE_STATS)
        m->stats.first = (uint16_t)near(s, 3);
    if (m->type == SE_WIRE_ERROR)
        m->error.code = (uint8_t)(1 + below(s, SE_WIRE_E_END - 1));
    if (m->type == SE_WIRE_RESULT)
        m->result = (struct se_wire_result){ .round = 1, .accepted = 1 };
    return true;
}

static void say(struct stand *s, uint32_t peer, const struct se_wire *m)
{
    if (se_wire_encode(m, s->last, sizeof s->last, &s->last_b))
        s->last_b = 0;
    raw_send(&s->peer[peer], s->last, s->last_b);
}

static void damaged(struct stand *s, uint32_t peer)
{
    uint32_t n = byte(s), at = byte(s);
    if (s->last_b == 0)
        return;
    if (n < 128)
        s->last[at % s->last_b] ^= (unsigned char)(1 + n);
    else
        s->last_b = 1 + at % s->last_b;
    raw_send(&s->peer[peer], s->last, s->last_b);
}

static void any_bytes(struct stand *s, uint32_t peer)
{
    size_t n = below(s, 48);
    n = n < s->left ? n : s->left;
    raw_send(&s->peer[peer], s->data, n);
    s->data += n;
    s->left -= n;
}

static void pass_time(struct stand *s)
{
    static const uint64_t ns[] = { 1000, MS, 10 * MS, 60 * MS, 300 * MS, 2500 * MS };
    uint32_t how = below(s, 8);
    uint64_t next = next_event(s);
    if (how < 6)
        s->now_ns += ns[how];
    else if (next > s->now_ns && next < UINT64_MAX)
        s->now_ns = next;
}

static void change_live(struct stand *s)
{
    struct se_server_live live = s->server->live;
    live.policy = (enum se_policy)below(s, 3);
    live.max_batch = 1 + below(s, 8);
    se_server_set_live(s->server, &live);
}

static void cut(struct stand *s, uint32_t peer) { must(raw_again(&s->peer[peer], url)); }
static void turn_deaf(struct stand *s, uint32_t peer) { s->peer[peer].deaf = !s->peer[peer].deaf; }
static void hear(struct stand *s, uint32_t peer) { raw_hear(&s->peer[peer]); }

static void again(struct stand *s, uint32_t peer) { raw_send(&s->peer[peer], s->last, s->last_b); }

/* What a byte means, by shares of 64. */
static const struct {
    uint32_t share;
    bool (*make)(struct stand *s, uint32_t peer, struct se_wire *m);
    void (*act)(struct stand *s, uint32_t peer);
    bool (*turn)(struct stand *s);
    void (*pass)(struct stand *s);
} happenings[] = {
    { 4, .make = make_hello },  { 9, .make = make_prefill }, { 15, .make = make_verify },
    { 3, .make = make_cancel }, { 2, .make = make_resume },  { 2, .make = make_other },
    { 1, .act = any_bytes },    { 1, .act = damaged },       { 2, .act = again },
    { 1, .act = turn_deaf },    { 1, .act = cut },           { 1, .act = hear },
    { 1, .pass = change_live }, { 5, .pass = pass_time },    { 7, .pass = settle },
    { 3, .turn = turn_server }, { 3, .turn = turn_engine },  { 3, .turn = turn_edge },
};

static void happen(struct stand *s)
{
    struct se_wire m = { .session = 0 };
    uint32_t share = below(s, 64), peer = below(s, PEERS), what = 0;
    while (share >= happenings[what].share)
        share -= happenings[what++].share;
    if (happenings[what].make && happenings[what].make(s, peer, &m))
        say(s, peer, &m);
    if (happenings[what].act)
        happenings[what].act(s, peer);
    if (happenings[what].turn)
        happenings[what].turn(s);
    if (happenings[what].pass)
        happenings[what].pass(s);
}

/* The others say no more, but they stay where they are. */
static void await_answers(struct stand *s)
{
    uint64_t until_ns = s->now_ns + PATIENCE_NS;
    while (true) {
        settle(s);
        if (!s->asking)
            return;
        uint64_t next = next_event(s);
        if (s->now_ns >= until_ns || next == UINT64_MAX)
            broken("an honest edge waits for ever");
        s->now_ns = next > s->now_ns ? next : s->now_ns + 1000;
    }
}

static void end(struct stand *s)
{
    const char *what;
    se_edge_free(s->edge);
    se_drafter_close(s->options.drafter);
    se_engine_free(s->drafts);
    se_link_fini(s->edge_link);
    for (int i = 0; i < PEERS; i++)
        raw_end(&s->peer[i]);
    for (int i = 0; i < 100; i++) {
        bool some = true;
        while (some) {
            some = turn_server(s);
            some |= turn_engine(s);
        }
        s->now_ns += 100 * MS;
    }
    what = audit_empty(s->server);
    if (what)
        broken(what);
    se_stepper_free(s->stepper);
    se_server_free(s->server);
    se_link_fini(s->link);
    se_engine_free(s->engine);
    check_pools();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stand s;
    memset(&s, 0, sizeof s);
    s.data = data;
    s.left = size;
    s.now_ns = 1000 * MS;
    s.frames = pool_of(0);
    s.edge_frames = pool_of(1);
    open_server(&s);
    for (int i = 0; i < PEERS; i++)
        must(raw_begin(&s.peer[i], url, pool_of(2 + (uint32_t)i)));
    open_edge(&s);
    if (!s.late)
        ask(&s);
    for (uint32_t i = 0; i < PEERS; i++) {
        const struct se_wire hello = raw_hello(100 * (i + 1), FINGERPRINT, VOCAB);
        raw_hear(&s.peer[i]);
        say(&s, i, &hello);
    }
    settle(&s);
    for (int i = 0; i < HAPPENS_MOST && s.left > 0; i++)
        happen(&s);
    if (s.late)
        ask(&s);
    await_answers(&s);
    end(&s);
    return 0;
}
