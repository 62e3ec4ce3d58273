/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench round: whole rounds of one session against a server that runs, and where their time
 * goes.
 *
 *   edge    VERIFY ─►                                     ─► RESULT     trip
 *   server            frame in ─► queue ─► step ─► frame out            queue, step: told by it
 *                                                                       way: the rest
 *
 * The edge has no model and no tokenizer. What its HELLO lacks the server tells when it says no;
 * ids are drawn by the seed, so hardly any of them is accepted, and a step costs the same. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/rng.h"
#include "tools/figures.h"
#include "tools/flock.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"
#include "tools/se_bench.h"
#include "transport/link.h"
#include "transport/pack.h"
#include "transport/shape.h"
#include "transport/wire.h"

enum { FRAMES = 64, HELLOS = 4 };
#define PATIENCE_NS UINT64_C(60000000000) /* a prompt on a slow processor */
#define REACH_NS UINT64_C(5000000000)     /* a server that is there lets us in by then */

struct options {
    uint64_t nodes, text, rounds, warm_up, spin_ns, seed;
    struct se_figures_options figures;
};

enum path { WELCOME, FIRST, TRIP, QUEUE, STEP, WAY, N_PATHS };
static const struct se_figure paths[N_PATHS] = {
    { "welcome", "HELLO to WELCOME", NULL, false },
    { "first", "first round, the text's step in it", NULL, false },
    { "trip", "VERIFY to RESULT, all of it", NULL, true },
    { "queue", "of it: waits for its step, as told", NULL, false },
    { "step", "of it: the step, as told", NULL, false },
    { "way", "of it: all else (links, codec, books)", NULL, false },
};

struct bench {
    const struct options *o;
    const char *url;
    struct se_frames *frames;
    struct se_link *link;
    bool joined;
    struct se_rng rng;
    struct se_flock_tree tree;
    uint32_t token[SE_WIRE_NODES_MAX];
    struct se_wire_hello hello;
    struct se_wire_welcome welcome;
    uint64_t session, hash, text_hash; /* of the ids before the root; of the first text */
    uint32_t base, round, root;
    uint64_t sent_ns, accepted;
    size_t verify_b;
    struct se_hist us[N_PATHS];
    struct se_figure figure[N_PATHS];
    struct se_figures figures;
};

/* ---- frames */

static int say(struct bench *b, const struct se_wire *message, size_t *len_b)
{
    struct se_frame *frame = se_frame_get(b->frames);
    if (!frame)
        return se_fail(-ENOBUFS, "no frame is left");
    const int fault = se_wire_encode(message, frame->data, frame->cap_b, len_b);
    frame->len_b = (uint32_t)*len_b;
    const int r = fault ? se_fail(-EPROTO, "a message of our own: %s", se_wire_fault_text(fault))
                        : se_link_send(b->link, SE_LINK_SERVER, frame);
    if (r != 0)
        se_frame_put(frame);
    return r > 0 ? se_fail(-EAGAIN, "'%s': the link takes no frame", b->url) : r;
}

/* What comes next: *event is 0 with a message, or SE_LINK_JOINED. 0, -errno, or
 * SE_OUTCOME_INTERRUPTED. */
static int hear(struct bench *b, int *event, struct se_wire *message)
{
    const uint64_t patience_ns = b->joined ? PATIENCE_NS : REACH_NS;
    const uint64_t end_ns = se_clock_ns() + patience_ns;
    struct se_frame *frame;
    se_link_peer peer;
    while ((*event = se_link_recv(b->link, &peer, &frame)) == SE_LINK_AGAIN) {
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
        if (se_clock_ns() > end_ns || se_link_wait(b->link, patience_ns) == SE_LINK_AGAIN)
            return se_fail(-ETIMEDOUT, "'%s': %s", b->url,
                           b->joined ? "nothing comes" : "there is no server for 5 s");
    }
    if (*event < 0)
        return se_trace(*event);
    if (*event == SE_LINK_JOINED) {
        b->joined = true;
        return 0;
    }
    if (*event != 0)
        return se_fail(-ECONNRESET, "'%s': the connection was lost", b->url);
    const int fault = se_wire_decode(frame->data, frame->len_b, NULL, message);
    se_frame_put(frame);
    return fault ? se_fail(-EPROTO, "a frame of the server's: %s", se_wire_fault_text(fault)) : 0;
}

/* Until there is one of this type, or an ERROR where that is fine. */
static int await(struct bench *b, enum se_wire_type type, bool no_is_fine, struct se_wire *message)
{
    for (;;) {
        int event;
        const int r = hear(b, &event, message);
        if (r != 0)
            return r;
        if (event != 0)
            continue;
        if (message->type == type || (no_is_fine && message->type == SE_WIRE_ERROR))
            return 0;
        if (message->type == SE_WIRE_ERROR)
            return se_fail(-EPROTO, "the server says no: %s", message->error.text);
        if (message->type == SE_WIRE_BYE)
            return se_fail(-ECONNRESET, "the server ends the session");
    }
}

/* ---- a session */

/* The server's tokenizer is what it says it is. 0: said; the next HELLO may fit. */
static int learn(struct bench *b, const struct se_wire_error *no)
{
    if (no->code == SE_WIRE_E_VOCAB && no->a > 0 && no->a <= SE_WIRE_LENGTH_MAX)
        b->hello.tokens = (uint32_t)no->a;
    else if (no->code == SE_WIRE_E_TOKENIZER)
        b->hello.fingerprint = no->a;
    else
        return se_fail(-EPROTO, "the server says no: %s", no->text);
    return 0;
}

static int open_session(struct bench *b)
{
    struct se_wire m = { .type = SE_WIRE_ERROR };
    int r = 0;
    b->hello = (struct se_wire_hello){ .nonce = se_clock_ns() ^ (uint64_t)getpid() << 40,
                                       .top_p = 1,
                                       .tokens = 1,
                                       .caps = SE_WIRE_CAN_ALL,
                                       .max_nodes = (uint16_t)b->tree.nodes,
                                       .version_min = SE_WIRE_VERSION,
                                       .version_max = SE_WIRE_VERSION,
                                       .speculate = SE_WIRE_SPECULATE_OFF };
    uint64_t start_ns = 0;
    for (int i = 0; i < HELLOS && r == 0 && m.type == SE_WIRE_ERROR; i++) {
        size_t len_b;
        const struct se_wire hello = { .type = SE_WIRE_HELLO, .hello = b->hello };
        start_ns = se_clock_ns();
        r = say(b, &hello, &len_b);
        if (r == 0)
            r = await(b, SE_WIRE_WELCOME, true, &m);
        if (r == 0 && m.type == SE_WIRE_ERROR)
            r = learn(b, &m.error);
        b->hello.nonce++;
    }
    if (r == 0 && m.type == SE_WIRE_ERROR)
        r = se_fail(-EPROTO, "the server says no: %s", m.error.text);
    if (r != 0)
        return r;
    b->session = m.session;
    b->welcome = m.welcome;
    if (b->tree.nodes > b->welcome.max_nodes)
        return se_fail(-E2BIG, "the server takes trees of %d drafted nodes, not of %" PRIu64,
                       b->welcome.max_nodes - 1, b->o->nodes);
    if (b->tree.nodes > b->welcome.vocab || b->tree.nodes > b->hello.tokens)
        return se_fail(-E2BIG, "the server's vocabulary has too few ids for such a tree");
    if (b->o->text + b->tree.nodes + 1 > b->welcome.context)
        return se_fail(-E2BIG, "the server's texts end at %" PRIu32 " ids", b->welcome.context);
    return se_hist_add(&b->us[WELCOME], (double)(se_clock_ns() - start_ns) * 1e-3);
}

static uint32_t ids_of(const struct bench *b)
{
    return b->welcome.vocab < b->hello.tokens ? b->welcome.vocab : b->hello.tokens;
}

static uint32_t some_id(struct bench *b) { return se_rng_below(&b->rng, ids_of(b)); }

static int say_text(struct bench *b)
{
    const uint32_t total = (uint32_t)b->o->text;
    uint32_t id[SE_WIRE_IDS_MAX];
    int r = 0;
    b->hash = SE_WIRE_HASH_START;
    while (b->base < total && r == 0) {
        uint32_t n = total - b->base;
        size_t len_b;
        if (n > b->welcome.max_ids)
            n = b->welcome.max_ids;
        for (uint32_t i = 0; i < n; i++)
            id[i] = some_id(b);
        struct se_wire m = { .session = b->session, .type = SE_WIRE_PREFILL };
        m.prefill = (struct se_wire_prefill){ .base = b->base,
                                              .total = total,
                                              .n = (uint16_t)n,
                                              .id_bits = (uint8_t)se_pack_bits(b->welcome.vocab),
                                              .id = id };
        b->hash = se_wire_hash(b->hash, id, n);
        b->base += n;
        r = say(b, &m, &len_b);
    }
    b->text_hash = b->hash;
    b->root = some_id(b);
    return r;
}

/* A text that has come to its end is cut to what it began with. */
static int begin_anew(struct bench *b)
{
    size_t len_b;
    struct se_wire m = { .session = b->session, .type = SE_WIRE_CANCEL };
    m.cancel = (struct se_wire_cancel){ .round = b->round, .base = (uint32_t)b->o->text };
    b->base = m.cancel.base;
    b->hash = b->text_hash;
    return say(b, &m, &len_b);
}

static int say_verify(struct bench *b)
{
    int r = b->base + b->tree.nodes + 1 > b->welcome.context ? begin_anew(b) : 0;
    const uint32_t first = some_id(b); /* and those behind it: siblings must differ */
    b->token[0] = b->root;
    for (uint32_t i = 1; i < b->tree.nodes; i++)
        b->token[i] = (first + i) % ids_of(b);
    struct se_wire m = { .session = b->session, .type = SE_WIRE_VERIFY };
    m.verify = (struct se_wire_verify){ .round = ++b->round,
                                        .base = b->base,
                                        .nodes = (uint16_t)b->tree.nodes,
                                        .id_bits = (uint8_t)se_pack_bits(b->welcome.vocab),
                                        .check = (uint32_t)b->hash,
                                        .parent = b->tree.parent,
                                        .token = b->token };
    b->sent_ns = se_clock_ns();
    return r == 0 ? say(b, &m, &b->verify_b) : r;
}

/* Follows what was accepted. */
static int on_result(struct bench *b, const struct se_wire_result *result)
{
    uint32_t path[SE_WIRE_NODES_MAX];
    if (result->round != b->round || result->base != b->base ||
        !se_shape_path(b->tree.parent, b->tree.nodes, result->last, result->accepted, path))
        return se_fail(-EPROTO, "round %" PRIu32 ": the answer is to another tree", b->round);
    for (uint32_t i = 0; i < result->accepted; i++)
        b->hash = se_wire_hash(b->hash, &b->token[path[i]], 1);
    b->base += result->accepted;
    b->root = result->bonus;
    b->accepted += result->accepted;
    return 0;
}

static int one_round(struct bench *b, bool keep)
{
    struct se_wire m;
    int r = say_verify(b);
    if (r == 0)
        r = await(b, SE_WIRE_RESULT, false, &m);
    const double trip_us = (double)(se_clock_ns() - b->sent_ns) * 1e-3;
    if (r == 0)
        r = on_result(b, &m.result);
    if (r == 0 && b->round == 1)
        r = se_hist_add(&b->us[FIRST], trip_us);
    if (r != 0 || !keep)
        return r;
    const double us[N_PATHS] = { [TRIP] = trip_us,
                                 [QUEUE] = m.result.queue_us,
                                 [STEP] = m.result.step_us,
                                 [WAY] = trip_us - m.result.queue_us - m.result.step_us };
    for (int i = TRIP; i < N_PATHS && r == 0; i++)
        r = se_hist_add(&b->us[i], us[i]);
    return r;
}

static int connect_to(struct bench *b)
{
    struct se_wire none;
    int event = 0, r = se_frames_new(&b->frames, FRAMES, SE_WIRE_FRAME_MAX);
    if (r < 0)
        return se_trace(r);
    struct se_link_options options = se_link_options(b->frames);
    options.spin_ns = b->o->spin_ns;
    r = se_link_connect(&b->link, b->url, &options);
    while (r == 0 && event != SE_LINK_JOINED)
        r = hear(b, &event, &none);
    return r;
}

static int measure(struct bench *b)
{
    int r = connect_to(b);
    if (r == 0)
        r = open_session(b);
    if (r == 0)
        r = say_text(b);
    if (r == 0)
        r = one_round(b, false);
    for (uint64_t i = 0; i < b->o->warm_up && r == 0; i++)
        r = one_round(b, false);
    b->accepted = 0;
    for (uint64_t i = 0; i < b->o->rounds && r == 0; i++)
        r = one_round(b, true);
    if (b->session != 0 && b->link) {
        size_t len_b;
        const struct se_wire bye = { .session = b->session,
                                     .type = SE_WIRE_BYE,
                                     .bye = { .reason = SE_WIRE_BYE_DONE } };
        if (say(b, &bye, &len_b) == 0) {
            se_link_close(b->link);
            se_link_drain(b->link, UINT64_C(1000000000));
        }
    }
    return r;
}

/* ---- what it says */

static double accepted(const struct bench *b) { return (double)b->accepted / (double)b->o->rounds; }

static void print_json(void *of)
{
    struct bench *b = of;
    printf("{\"verb\": \"round\", \"url\": \"%s\", \"way\": \"round trip\", \"nodes\": %" PRIu64
           ", \"text\": %" PRIu64 ", \"verify_bytes\": %zu,\n  \"accepted\": %.3f",
           b->url, b->o->nodes, b->o->text, b->verify_b, accepted(b));
    se_figures_json(&b->figures);
}

static void print_table(void *of)
{
    struct bench *b = of;
    printf("rounds of one session with %s: %" PRIu64 " drafted nodes and the root (%zu bytes), a "
           "text of %" PRIu64 " ids; ids by chance, of which %.2f are accepted with the root\n",
           b->url, b->o->nodes, b->verify_b, b->o->text, accepted(b));
    se_figures_table(&b->figures, "round trips", 0, N_PATHS);
}

static int run(const void *values, char **argument)
{
    static struct bench b;
    memset(&b, 0, sizeof b);
    b.o = values;
    b.url = argument[0];
    b.figures = (struct se_figures){
        .figure = b.figure, .n = N_PATHS, .unit_ns = 1e3, .unit = "us", .suffix = "_us", .digits = 1
    };
    se_figures_take(&b.figures, paths, b.us);
    se_rng_init(&b.rng, b.o->seed, SE_RNG_TEST);
    se_flock_tree_draw(&b.tree, (uint32_t)b.o->nodes + 1, b.o->seed);
    se_interrupt_watch();
    int r = se_figures_open(&b.figures, &b.o->figures);
    if (r == 0)
        r = measure(&b);
    se_link_fini(b.link);
    se_frames_free(b.frames);
    return se_figures_end(&b.figures, r, print_table, print_json, &b);
}

static const struct se_conf_row rows[] = {
    { "nodes", 'n', SE_CONF_UINT, offsetof(struct options, nodes), "32", 0, SE_WIRE_NODES_MAX - 1,
      "N", "drafted nodes of a tree; the root comes on top" },
    { "text", 'x', SE_CONF_UINT, offsetof(struct options, text), "64", 0, 1000000, "N",
      "ids of the text before the first round" },
    { "rounds", 'r', SE_CONF_UINT, offsetof(struct options, rounds), "200", 1, 10000000, "N",
      "that are counted" },
    { "warm-up", 'w', SE_CONF_UINT, offsetof(struct options, warm_up), "8", 0, 10000000, "N",
      "rounds before them, beside the first" },
    { "spin", 0, SE_CONF_TIME, offsetof(struct options, spin_ns), "0", 0, 6e10, "TIME",
      "look for the answer for so long before sleeping" },
    { "seed", 's', SE_CONF_UINT, offsetof(struct options, seed), "1", 0, 0x1p64, "N",
      "of the tree and of all ids" },
    SE_FIGURES_OPTION_ROWS(struct options, figures),
};
static struct options chosen;

const struct se_verb se_bench_round = {
    .name = "round",
    .arguments = "URL",
    .n_arguments = 1,
    .summary = "what a round with a running server takes, and where its time goes",
    .more = "One session, with neither model nor tokenizer: a text, and then trees of the same "
            "shape, one round behind the other. Waiting and step are what the server tells of a "
            "round; the rest is the way there and back with all that handles frames.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
