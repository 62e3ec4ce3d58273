/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench round: whole rounds of one session against a server that runs, and where their time
 * goes.
 *
 *   edge    VERIFY ─►                                     ─► RESULT     trip
 *   server            frame in ─► queue ─► step ─► frame out            queue, step: told by it
 *                                                                       way: the rest
 *
 * The edge has no model and no tokenizer; ids are drawn by the seed, so hardly any of them is
 * accepted, and a step costs the same. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/rng.h"
#include "tools/caller.h"
#include "tools/figures.h"
#include "tools/flock.h"
#include "tools/interrupt.h"
#include "tools/se_bench.h"
#include "transport/pack.h"
#include "transport/shape.h"
#include "transport/wire.h"

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
    struct se_caller caller;
    struct se_rng rng;
    struct se_flock_tree tree;
    uint32_t token[SE_WIRE_NODES_MAX];
    uint64_t hash, text_hash; /* of the ids before the root; of the first text */
    uint32_t base, round, root;
    uint64_t sent_ns, accepted;
    size_t verify_b;
    struct se_hist us[N_PATHS];
    struct se_figure figure[N_PATHS];
    struct se_figures figures;
};

/* ---- a session */

static uint32_t some_id(struct bench *b)
{
    return se_rng_below(&b->rng, se_caller_ids(&b->caller));
}

static int say_text(struct bench *b)
{
    const uint32_t total = (uint32_t)b->o->text;
    uint32_t id[SE_WIRE_IDS_MAX];
    int r = 0;
    b->hash = SE_WIRE_HASH_START;
    while (b->base < total && r == 0) {
        uint32_t n = total - b->base;
        if (n > b->caller.welcome.max_ids)
            n = b->caller.welcome.max_ids;
        for (uint32_t i = 0; i < n; i++)
            id[i] = some_id(b);
        struct se_wire m = { .session = b->caller.session, .type = SE_WIRE_PREFILL };
        m.prefill =
            (struct se_wire_prefill){ .base = b->base,
                                      .total = total,
                                      .n = (uint16_t)n,
                                      .id_bits = (uint8_t)se_pack_bits(b->caller.welcome.vocab),
                                      .id = id };
        b->hash = se_wire_hash(b->hash, id, n);
        b->base += n;
        r = se_caller_say(&b->caller, &m, NULL);
    }
    b->text_hash = b->hash;
    b->root = some_id(b);
    return r;
}

/* A text that has come to its end is cut to what it began with. */
static int begin_anew(struct bench *b)
{
    struct se_wire m = { .session = b->caller.session, .type = SE_WIRE_CANCEL };
    m.cancel = (struct se_wire_cancel){ .round = b->round, .base = (uint32_t)b->o->text };
    b->base = m.cancel.base;
    b->hash = b->text_hash;
    return se_caller_say(&b->caller, &m, NULL);
}

static int say_verify(struct bench *b)
{
    int r = b->base + b->tree.nodes + 1 > b->caller.welcome.context ? begin_anew(b) : 0;
    const uint32_t first = some_id(b); /* and those behind it: siblings must differ */
    b->token[0] = b->root;
    for (uint32_t i = 1; i < b->tree.nodes; i++)
        b->token[i] = (first + i) % se_caller_ids(&b->caller);
    struct se_wire m = { .session = b->caller.session, .type = SE_WIRE_VERIFY };
    m.verify = (struct se_wire_verify){ .round = ++b->round,
                                        .base = b->base,
                                        .nodes = (uint16_t)b->tree.nodes,
                                        .id_bits = (uint8_t)se_pack_bits(b->caller.welcome.vocab),
                                        .check = (uint32_t)b->hash,
                                        .think_us = SE_WIRE_U24_MAX,
                                        .parent = b->tree.parent,
                                        .token = b->token };
    b->sent_ns = se_clock_ns();
    return r == 0 ? se_caller_say(&b->caller, &m, &b->verify_b) : r;
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
        r = se_caller_await(&b->caller, SE_WIRE_RESULT, false, &m);
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

static int open_session(struct bench *b)
{
    int r = se_caller_connect(&b->caller, b->url, b->o->spin_ns);
    if (r == 0)
        r = se_caller_open(&b->caller, b->tree.nodes);
    if (r != 0)
        return r;
    if (b->o->text + b->tree.nodes + 1 > b->caller.welcome.context)
        return se_fail(-E2BIG, "the server's texts end at %" PRIu32 " ids",
                       b->caller.welcome.context);
    return se_hist_add(&b->us[WELCOME], (double)b->caller.welcome_ns * 1e-3);
}

static int measure(struct bench *b)
{
    int r = open_session(b);
    if (r == 0)
        r = say_text(b);
    if (r == 0)
        r = one_round(b, false);
    for (uint64_t i = 0; i < b->o->warm_up && r == 0; i++)
        r = one_round(b, false);
    b->accepted = 0;
    for (uint64_t i = 0; i < b->o->rounds && r == 0; i++)
        r = one_round(b, true);
    se_caller_close(&b->caller);
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
