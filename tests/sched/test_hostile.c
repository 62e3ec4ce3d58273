/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile peer beside honest edges, attack by attack, in virtual time. Honest answers are the
 * same bits; their rounds take no longer at all where an attack has nothing computed, and no more
 * than a stated amount where it has; what the server keeps for the peer is bounded; counters count
 * what it did, notes tell of it once, and it is cut off at the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "sched/server/parts.h"
#include "tests/sched/audit.h"
#include "tests/sched/raw.h"
#include "tests/sched/seed.h"
#include "tests/sched/sim.h"
#include "transport/pack.h"

enum { HONEST = 4, CONTEXT = 256, NODES = 33, SESSIONS = 24, PER_EDGE = 8, IDS = 16 };
enum { PLENTY = 120, FEW = 44 }; /* pages: honest edges need 4 times 10 */
#define MS UINT64_C(1000000)

static uint64_t seed;

struct attack;

struct hostile {
    struct raw raw;
    const struct attack *of;
    struct sim *sim;
    struct se_rng rng;
    uint32_t turn, step; /* acts; what is next where there is an order */
    uint32_t cuts;       /* connections that the server ended */
    uint32_t frames_most, sessions_most;
    uint64_t nonce;
};

struct attack {
    const char *name;
    void (*act)(struct hostile *h);
    uint32_t frames; /* acts per turn; a turn is a millisecond */
    enum se_counter counter;
    uint32_t at_least;  /* it comes to */
    bool cut;           /* the peer is cut off, again and again */
    uint64_t slower_ns; /* a round may take so much longer, on the average; 0: not at all */
};

static uint32_t below(struct hostile *h, uint32_t n) { return se_rng_below(&h->rng, n); }

static uint64_t word(struct hostile *h)
{
    uint64_t high = se_rng_u32(&h->rng);
    return high << 32 | se_rng_u32(&h->rng);
}

/* ---- what the server knows: the attacker is lucky, or has listened */

static const struct se_session *session_of(const struct hostile *h, bool honest, uint32_t number)
{
    const struct se_sessions *all = &h->sim->server->sessions;
    const struct se_session *found = NULL;
    for (uint32_t i = 0, n = 0; i < all->used; i++) {
        const struct se_session *session = &all->session[i];
        bool ours = false;
        for (uint32_t k = 0; k < h->raw.n_sessions; k++)
            ours |= h->raw.session[k].id == session->id;
        if (session->id == 0 || session->closing || ours == honest)
            continue;
        found = session;
        if (n++ == number)
            break;
    }
    return found;
}

static const struct se_session *own(const struct hostile *h)
{
    return session_of(h, false, h->step % PER_EDGE);
}

/* ---- messages that are right */

static struct se_wire any_message(struct hostile *h, enum se_wire_type type,
                                  const struct se_session *of)
{
    static const struct se_session nobody = { .id = 1 };
    static int32_t parent[NODES];
    static uint32_t id[CONTEXT];
    of = of ? of : &nobody;
    struct se_wire m = { .session = of->id, .type = type };
    for (uint32_t i = 0; i < CONTEXT; i++)
        id[i] = below(h, TABLE_MODEL_VOCAB);
    for (uint32_t i = 0; i < NODES; i++)
        parent[i] = (int32_t)i - 1;
    switch (type) {
    case SE_WIRE_HELLO:
        m = raw_hello(++h->nonce, 4711, TABLE_MODEL_VOCAB);
        break;
    case SE_WIRE_PREFILL:
        m.prefill = (struct se_wire_prefill){
            .base = of->n, .total = of->n + IDS, .n = IDS, .id_bits = 6, .id = id
        };
        break;
    case SE_WIRE_VERIFY:
        m.verify = (struct se_wire_verify){ .round = of->round + 1,
                                            .base = of->n,
                                            .nodes = 9,
                                            .id_bits = 6,
                                            .check = (uint32_t)of->hash,
                                            .think_us = SE_WIRE_U24_MAX,
                                            .parent = parent,
                                            .token = id };
        break;
    case SE_WIRE_CANCEL:
        m.cancel = (struct se_wire_cancel){ .round = of->round + 1, .base = of->n / 2 };
        break;
    case SE_WIRE_RESUME:
        m.resume = (struct se_wire_resume){ .nonce = ++h->nonce,
                                            .token = { of->token[0] ^ 1, of->token[1] },
                                            .base = of->n,
                                            .round = of->round,
                                            .hash = of->hash };
        break;
    default:
        break;
    }
    return m;
}

static const enum se_wire_type edge_types[] = { SE_WIRE_HELLO,  SE_WIRE_PREFILL, SE_WIRE_VERIFY,
                                                SE_WIRE_CANCEL, SE_WIRE_BYE,     SE_WIRE_PING,
                                                SE_WIRE_STATS,  SE_WIRE_RESUME };
enum { TYPES = sizeof edge_types / sizeof *edge_types };

static size_t bytes_of(struct hostile *h, enum se_wire_type type, unsigned char *bytes)
{
    const struct se_wire m = any_message(h, type, session_of(h, true, below(h, HONEST)));
    size_t n = 0;
    assert_int_equal(se_wire_encode(&m, bytes, SE_WIRE_FRAME_MAX, &n), 0);
    return n;
}

/* ---- attacks: frames that are none */

static void any_bytes(struct hostile *h)
{
    unsigned char bytes[256];
    uint32_t n = 1 + below(h, sizeof bytes);
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)below(h, 256);
    raw_send(&h->raw, bytes, n);
}

/* Each type, each length; with the length that it should have, and with that which it has. */
static void truncated(struct hostile *h)
{
    static unsigned char bytes[SE_WIRE_FRAME_MAX];
    size_t whole = bytes_of(h, edge_types[h->step % TYPES], bytes);
    size_t n = 1 + h->step / TYPES / 2 % (whole - 1);
    if (h->step / TYPES % 2 && n >= 8)
        se_pack_put(bytes + 4, n, 4);
    raw_send(&h->raw, bytes, n);
}

static void giant(struct hostile *h)
{
    static const uint64_t length[] = { UINT32_MAX, 0x80000000, SE_WIRE_FRAME_MAX + 1, 65536 };
    static unsigned char bytes[SE_WIRE_FRAME_MAX];
    size_t n = bytes_of(h, edge_types[below(h, TYPES)], bytes);
    se_pack_put(bytes + 4, length[below(h, 4)], 4);
    raw_send(&h->raw, bytes, below(h, 2) ? n : sizeof bytes);
}

static void strange(struct hostile *h)
{
    static unsigned char bytes[SE_WIRE_FRAME_MAX];
    size_t n = bytes_of(h, edge_types[below(h, TYPES)], bytes);
    bytes[below(h, 3)] ^= (unsigned char)(1 + below(h, 255));
    raw_send(&h->raw, bytes, n);
}

/* Siblings alike, and shapes that are no tree. */
static void no_trees(struct hostile *h)
{
    static unsigned char bytes[SE_WIRE_FRAME_MAX];
    struct se_wire m = any_message(h, SE_WIRE_VERIFY, own(h));
    int32_t parent[NODES] = { -1 };
    uint32_t id[NODES] = { 0 };
    size_t n = 0;
    if (!own(h)) {
        m = any_message(h, SE_WIRE_HELLO, NULL);
        raw_say(&h->raw, &m);
        return;
    }
    m.verify.parent = parent;
    m.verify.token = id;
    assert_int_equal(se_wire_encode(&m, bytes, sizeof bytes, &n), 0);
    if (below(h, 2))
        bytes[34] = (unsigned char)(below(h, 128) * 2); /* not a child of the root first */
    raw_send(&h->raw, bytes, n);
}

static void strange_ids(struct hostile *h)
{
    static unsigned char bytes[SE_WIRE_FRAME_MAX];
    struct se_wire m = any_message(h, below(h, 2) ? SE_WIRE_VERIFY : SE_WIRE_PREFILL,
                                   session_of(h, true, below(h, HONEST)));
    uint32_t id[IDS] = { 0 };
    size_t n = 0;
    id[below(h, 9)] = TABLE_MODEL_VOCAB + below(h, 64 - TABLE_MODEL_VOCAB);
    if (m.type == SE_WIRE_VERIFY)
        m.verify.token = id;
    else
        m.prefill.id = id;
    assert_int_equal(se_wire_encode(&m, bytes, sizeof bytes, &n), 0);
    raw_send(&h->raw, bytes, n);
}

/* ---- attacks: what is another's */

static void others(struct hostile *h)
{
    static const enum se_wire_type type[] = { SE_WIRE_PREFILL, SE_WIRE_VERIFY, SE_WIRE_CANCEL,
                                              SE_WIRE_BYE, SE_WIRE_RESUME };
    const struct se_session *of = session_of(h, true, below(h, HONEST));
    const struct se_wire m = any_message(h, type[h->step % 5], of);
    if (of)
        raw_say(&h->raw, &m);
}

static void guesses(struct hostile *h)
{
    struct se_session of = { .id = word(h) | 1, .token = { word(h), word(h) } };
    const struct se_wire m = any_message(h, edge_types[1 + below(h, TYPES - 1)], &of);
    raw_say(&h->raw, &m);
}

static void guessed_tokens(struct hostile *h)
{
    const struct se_session *of = session_of(h, true, below(h, HONEST));
    struct se_wire m = any_message(h, SE_WIRE_RESUME, of);
    m.resume.token[0] = word(h);
    m.resume.token[1] = word(h);
    raw_say(&h->raw, &m);
}

/* ---- attacks: too much */

static void hellos(struct hostile *h)
{
    const struct se_wire m = any_message(h, SE_WIRE_HELLO, NULL);
    raw_say(&h->raw, &m);
}

/* What it takes to do more than knock. */
static bool has_sessions(struct hostile *h)
{
    if (h->raw.n_sessions >= PER_EDGE && own(h))
        return true;
    hellos(h);
    return false;
}

static void prompts(struct hostile *h)
{
    if (!has_sessions(h))
        return;
    const struct se_session *of = own(h);
    struct se_wire m = any_message(h, SE_WIRE_PREFILL, of);
    if (of->n + IDS >= CONTEXT - 1) /* it is as long as may be: from the start */
        m = any_message(h, below(h, 4) ? SE_WIRE_PREFILL : SE_WIRE_CANCEL, of);
    if (m.type == SE_WIRE_CANCEL)
        m.cancel.base = 0;
    raw_say(&h->raw, &m);
}

/* As long as may be, all of them, and not a round: as much as possible for as long as possible. */
static void hoards(struct hostile *h)
{
    const struct se_session *of = own(h);
    if (has_sessions(h) && of->n + IDS < CONTEXT - 1) {
        const struct se_wire m = any_message(h, SE_WIRE_PREFILL, of);
        raw_say(&h->raw, &m);
    }
}

static void far_bases(struct hostile *h)
{
    if (!has_sessions(h))
        return;
    struct se_wire m = any_message(h, SE_WIRE_VERIFY, own(h));
    m.verify.base = SE_WIRE_LENGTH_MAX - NODES - below(h, 1000);
    raw_say(&h->raw, &m);
}

static void cancels(struct hostile *h)
{
    static const enum se_wire_type type[] = { SE_WIRE_PREFILL, SE_WIRE_VERIFY, SE_WIRE_CANCEL,
                                              SE_WIRE_CANCEL };
    if (!has_sessions(h))
        return;
    const struct se_wire m = any_message(h, type[h->turn % 4], own(h));
    raw_say(&h->raw, &m);
}

static void pings(struct hostile *h)
{
    struct se_wire m = { .session = word(h), .type = below(h, 2) ? SE_WIRE_PING : SE_WIRE_STATS };
    raw_say(&h->raw, &m);
}

/* Answers without end that it does not read. */
static void unread(struct hostile *h)
{
    if (!has_sessions(h))
        return;
    struct se_wire m = any_message(h, SE_WIRE_VERIFY, own(h));
    h->raw.deaf = true;
    m.verify.ahead = 60000;
    raw_say(&h->raw, &m);
}

static void trees(struct hostile *h)
{
    if (!has_sessions(h))
        return;
    struct se_wire m = any_message(h, SE_WIRE_VERIFY, own(h));
    m.verify.nodes = NODES;
    raw_say(&h->raw, &m);
}

static const struct attack attacks[] = {
    { "any bytes", any_bytes, 1, SE_COUNT_MALFORMED, 300, .cut = true },
    { "every message, too short", truncated, 1, SE_COUNT_MALFORMED, 300, .cut = true },
    { "giant lengths", giant, 1, SE_COUNT_MALFORMED, 300, .cut = true },
    { "another magic, another version", strange, 1, SE_COUNT_MALFORMED, 200, .cut = true },
    { "trees that are none", no_trees, 1, SE_COUNT_MALFORMED, 200, .cut = true },
    { "ids beyond the vocabulary", strange_ids, 1, SE_COUNT_MALFORMED, 300, .cut = true },
    { "others' sessions", others, 1, SE_COUNT_FOREIGN, 300, .cut = true },
    { "guessed sessions", guesses, 1, SE_COUNT_FRAMES_IN, 300 },
    { "guessed tokens", guessed_tokens, 1, SE_COUNT_FOREIGN, 300, .cut = true },
    { "sessions, and nothing in them", hellos, 1, SE_COUNT_BUSY, 300 },
    { "far bases", far_bases, 1, SE_COUNT_GAPS, 300 },
    { "questions", pings, 40, SE_COUNT_FLOODED, 2000, .cut = true },
    { "sessions, too fast", hellos, 40, SE_COUNT_FLOODED, 2000, .cut = true },
    { "prompts", prompts, 1, SE_COUNT_PREFILLED, 1000, .slower_ns = 12 * MS },
    { "prompts, and no rounds", hoards, 2, SE_COUNT_PREFILLED, 500, .slower_ns = 12 * MS },
    { "cancels", cancels, 1, SE_COUNT_STALE, 10, .slower_ns = 12 * MS },
    { "trees", trees, 1, SE_COUNT_ROUNDS, 100, .slower_ns = 12 * MS },
    { "answers that nobody reads", unread, 1, SE_COUNT_PUSHES, 50, .slower_ns = 12 * MS },
};
enum { ATTACKS = sizeof attacks / sizeof *attacks };

/* ---- the peer */

static uint64_t act(struct sim *sim, void *context)
{
    struct hostile *h = context;
    uint32_t frames = se_frames_out(sim->frames);
    raw_hear(&h->raw);
    if (h->raw.lost > h->cuts) { /* it comes again at once */
        h->cuts = h->raw.lost;
        h->raw.n_sessions = 0;
        assert_int_equal(raw_again(&h->raw, sim->url), 0);
    }
    for (uint32_t i = 0; i < h->of->frames && h->raw.joined; i++, h->step++)
        h->of->act(h);
    h->turn++;
    h->frames_most = frames > h->frames_most ? frames : h->frames_most;
    if (sim->server->sessions.n > h->sessions_most)
        h->sessions_most = sim->server->sessions.n;
    return sim->now_ns + MS;
}

/* Who is there and says nothing: what honest edges' times are compared with. */
static void silence(struct hostile *h) { (void)h; }
static const struct attack nothing = { "nothing", silence, 1, SE_COUNT_PEERS, 1 };

static void invite(struct hostile *h, struct sim *sim, const struct attack *of,
                   struct se_frames *frames)
{
    *h = (struct hostile){ .of = of, .sim = sim, .nonce = 1000000000 };
    se_rng_init(&h->rng, seed, SE_RNG_TEST);
    assert_int_equal(raw_begin(&h->raw, sim->url, frames), 0);
    sim->guest = (struct sim_guest){ act, h, 0 };
}

struct outcome {
    uint64_t ends_ns[HONEST], wait_ns, rounds;
};

static void begin(struct sim *sim, uint32_t pages)
{
    struct sim_options o = sim_options(seed, HONEST);
    o.context = CONTEXT;
    o.pages = pages;
    o.max_nodes = NODES;
    o.max_sessions = SESSIONS;
    o.live.peer_sessions = PER_EDGE;
    sim_begin(sim, &o);
    for (uint32_t i = 0; i < HONEST; i++) {
        struct sim_edge *e = &sim->edge[i];
        e->options.speculate = (enum se_wire_speculate)(i % 3);
        e->options.sampling.temp = 0.7;
        e->options.give_up_ns = 10000 * MS;
        sim_draft(sim, i, i == 3 ? -1 : 0.1f, MS, MS / 50);
        sim_join(sim, i);
        sim_ask(sim, i, 40, 60);
        e->answers_left = 2;
    }
}

static void run_honest(struct sim *sim, const char *what, struct outcome *out)
{
    if (!sim_run(sim, sim->now_ns + 1000000 * MS))
        fail_msg("%s: an honest edge still waits", what);
    *out = (struct outcome){ .rounds = 0 };
    for (uint32_t i = 0; i < HONEST; i++) {
        const struct sim_edge *e = &sim->edge[i];
        if (e->outcome != SE_EDGE_DONE || e->answers != 3)
            fail_msg("%s: edge %u ends with %d", what, i, e->outcome);
        out->ends_ns[i] = e->ends_ns;
        out->wait_ns += e->wait_ns;
        out->rounds += e->rounds;
    }
}

/* Each kind of note at most once, whatever else was noted. */
static void check_notes(const struct sim *sim, const char *what)
{
    uint32_t n = sim->notes < SIM_NOTES ? (uint32_t)sim->notes : SIM_NOTES;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i; k++) {
            const char *a = strchr(sim->note[i], ':'), *b = strchr(sim->note[k], ':');
            if (a && b && strcmp(a, b) == 0)
                fail_msg("%s: noted twice: %s", what, sim->note[i]);
        }
}

static void check_attack(const struct hostile *h, const struct outcome *quiet,
                         const struct outcome *beside)
{
    const struct attack *a = h->of;
    const struct sim *sim = h->sim;
    uint64_t mean = quiet->wait_ns / quiet->rounds, slower = beside->wait_ns / beside->rounds;
    uint64_t count = se_stat_get(sim->stat, a->counter);
    uint64_t cuts = se_stat_get(sim->stat, SE_COUNT_CUT);
    print_message("%-32s %5llu of its kind, cut off %llu times, most %u frames, %u sessions; a "
                  "round waits %.2f ms, alone %.2f\n",
                  a->name, (unsigned long long)count, (unsigned long long)cuts, h->frames_most,
                  h->sessions_most, (double)slower * 1e-6, (double)mean * 1e-6);
    if (count < a->at_least)
        fail_msg("%s: counted %llu times, not %u", a->name, (unsigned long long)count, a->at_least);
    if (a->cut ? cuts == 0 || h->cuts == 0 : cuts != 0)
        fail_msg("%s: cut off %llu times", a->name, (unsigned long long)cuts);
    for (uint32_t i = 0; i < HONEST && a->slower_ns == 0; i++)
        if (beside->ends_ns[i] != quiet->ends_ns[i])
            fail_msg("%s: edge %u ends at %.3f ms, not %.3f", a->name, i,
                     (double)beside->ends_ns[i] * 1e-6, (double)quiet->ends_ns[i] * 1e-6);
    if (slower > mean + a->slower_ns)
        fail_msg("%s: a round waits %.3f ms in place of %.3f", a->name, (double)slower * 1e-6,
                 (double)mean * 1e-6);
    /* Of the pool no more than a queue to it holds, and what honest edges have. */
    assert_true(h->frames_most <= 64 + HONEST * 8);
    assert_true(h->sessions_most <= HONEST + PER_EDGE);
    check_notes(sim, a->name);
}

static void honest_edges_do_not_feel_it(void **state)
{
    static struct sim sim;
    static struct hostile h;
    struct outcome quiet, beside;
    struct se_frames *frames;
    (void)state;
    assert_int_equal(se_frames_new(&frames, RAW_FRAMES, SE_WIRE_FRAME_MAX), 0);
    begin(&sim, PLENTY);
    invite(&h, &sim, &nothing, frames);
    run_honest(&sim, nothing.name, &quiet);
    raw_end(&h.raw);
    sim_end(&sim);
    for (uint32_t i = 0; i < ATTACKS; i++) {
        begin(&sim, PLENTY);
        invite(&h, &sim, &attacks[i], frames);
        run_honest(&sim, attacks[i].name, &beside);
        check_attack(&h, &quiet, &beside);
        raw_end(&h.raw);
        sim_end(&sim);
        assert_int_equal(se_frames_out(frames), 0);
    }
    se_frames_free(frames);
}

/* There are pages for the honest edges and hardly more. A round may have to wait until another's
 * are free, or to have its prompt computed again; but it comes. */
static void memory_is_shared(void **state)
{
    static struct sim sim;
    static struct hostile h;
    struct outcome quiet, beside;
    struct se_frames *frames;
    (void)state;
    assert_int_equal(se_frames_new(&frames, RAW_FRAMES, SE_WIRE_FRAME_MAX), 0);
    begin(&sim, FEW);
    invite(&h, &sim, &nothing, frames);
    run_honest(&sim, nothing.name, &quiet);
    raw_end(&h.raw);
    sim_end(&sim);
    for (uint32_t i = 0; i < ATTACKS; i++) {
        if (attacks[i].slower_ns == 0)
            continue;
        begin(&sim, FEW);
        invite(&h, &sim, &attacks[i], frames);
        run_honest(&sim, attacks[i].name, &beside);
        print_message("%-32s a round waits %.2f ms, alone %.2f\n", attacks[i].name,
                      (double)(beside.wait_ns / beside.rounds) * 1e-6,
                      (double)(quiet.wait_ns / quiet.rounds) * 1e-6);
        assert_true(beside.wait_ns / beside.rounds <= quiet.wait_ns / quiet.rounds + 25 * MS);
        raw_end(&h.raw);
        sim_end(&sim);
    }
    se_frames_free(frames);
}

/* All places are with one edge, which opens sessions as fast as it may. */
static void newcomers_find_a_place(void **state)
{
    static struct sim sim;
    static struct hostile h;
    static const struct attack greedy = {
        "greedy", prompts, 1, SE_COUNT_OPENED, 1, .slower_ns = 1
    };
    struct se_frames *frames;
    struct sim_options o = sim_options(seed, 2);
    (void)state;
    o.context = CONTEXT;
    o.max_sessions = PER_EDGE;
    o.live.peer_sessions = PER_EDGE;
    assert_int_equal(se_frames_new(&frames, RAW_FRAMES, SE_WIRE_FRAME_MAX), 0);
    sim_begin(&sim, &o);
    sim_join(&sim, 0);
    sim_join(&sim, 1);
    sim_ask(&sim, 0, 20, 40);
    invite(&h, &sim, &greedy, frames);
    assert_true(sim_run(&sim, sim.now_ns + 100000 * MS));
    assert_int_equal(sim.server->sessions.n, PER_EDGE);
    sim_ask(&sim, 1, 20, 40);
    assert_true(sim_run(&sim, sim.now_ns + 5000 * MS));
    assert_int_equal(sim.edge[1].outcome, SE_EDGE_DONE);
    raw_end(&h.raw);
    sim_end(&sim);
    se_frames_free(frames);
}

int main(int argc, char **argv)
{
    seed = seed_of_test();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_edges_do_not_feel_it),
        cmocka_unit_test(memory_is_shared),
        cmocka_unit_test(newcomers_find_a_place),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* the names of those to run, with * and ? */
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
