/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench wire: bytes of a round on the wire, and the time to write and read them. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/hist.h"
#include "runtime/base/rng.h"
#include "tools/dump.h"
#include "tools/figures.h"
#include "tools/se_bench.h"
#include "transport/pack.h"
#include "transport/shape.h"
#include "transport/wire.h"

enum {
    TREES = 64, /* different ones in turn, so that no branch is learnt by heart */
    WARM_UP = 256,
    FRAME_B = SE_WIRE_HEADER_B + 18 + SE_WIRE_NODES_MAX / 4 + SE_WIRE_NODES_MAX * 4
};

struct options {
    uint64_t nodes, vocab, repeat, seed;
    const char *dump;
    struct se_figures_options figures;
};

enum path { VERIFY_ENCODE, VERIFY_DECODE, RESULT_ENCODE, RESULT_DECODE, ARRANGE, CLOCK, N_PATHS };

static const struct se_figure paths[N_PATHS] = {
    { "verify_encode", "VERIFY, encode", NULL, true },
    { "verify_decode", "VERIFY, decode", NULL, true },
    { "result_encode", "RESULT, encode", NULL, true },
    { "result_decode", "RESULT, decode", NULL, true },
    { "arrange", "a tree into the order of travel", NULL, false },
    { "clock", "two readings of the clock", NULL, false },
};

struct tree {
    int32_t parent[SE_WIRE_NODES_MAX];
    uint32_t token[SE_WIRE_NODES_MAX];
};

struct bench {
    const struct options *o;
    uint32_t bits;
    struct tree tree[TREES];
    struct tree read; /* what decoding writes to */
    struct se_wire_room room;
    size_t verify_b, result_b;
    struct se_figure figure[N_PATHS];
    struct se_figures figures;
    struct se_hist ns[N_PATHS];
};

/* Trees as drafting makes them: every node hangs below one that is not much older. */
static void make_trees(struct bench *b)
{
    struct se_rng rng;
    se_rng_init(&rng, b->o->seed, SE_RNG_TEST);
    for (uint32_t t = 0; t < TREES; t++) {
        uint32_t low = 0;
        for (uint32_t i = 0; i <= b->o->nodes; i++) {
            if (i > 1 && se_rng_below(&rng, 2))
                low += 1 + se_rng_below(&rng, i - low < 4 ? i - low : 4);
            if (i > 0 && low >= i)
                low = i - 1;
            b->tree[t].parent[i] = i == 0 ? -1 : (int32_t)low;
            b->tree[t].token[i] = se_rng_below(&rng, (uint32_t)b->o->vocab);
        }
    }
}

static struct se_wire verify_of(const struct bench *b, uint32_t turn)
{
    const struct tree *tree = &b->tree[turn % TREES];
    struct se_wire message = { .session = 0x5ee0 + turn, .type = SE_WIRE_VERIFY };
    message.verify = (struct se_wire_verify){ .round = turn + 1,
                                              .base = 100 + turn,
                                              .nodes = (uint16_t)(b->o->nodes + 1),
                                              .id_bits = (uint8_t)b->bits,
                                              .parent = tree->parent,
                                              .token = tree->token };
    return message;
}

static struct se_wire result_of(const struct bench *b, uint32_t turn)
{
    struct se_wire message = { .session = 0x5ee0 + turn, .type = SE_WIRE_RESULT };
    uint16_t last = (uint16_t)(turn % (b->o->nodes + 1));
    message.result = (struct se_wire_result){ .round = turn + 1,
                                              .base = 100 + turn,
                                              .bonus = b->tree[turn % TREES].token[0],
                                              .accepted = last ? 2 : 1,
                                              .last = last,
                                              .queue_us = 300 + turn % 100,
                                              .step_us = 20000,
                                              .load = (uint8_t)turn };
    return message;
}

/* One message there and back, each way a sample. 0 or -errno. */
static int time_message(struct bench *b, const struct se_wire *message, enum path encode, bool keep,
                        size_t *size_b)
{
    uint8_t frame[FRAME_B];
    struct se_wire back;
    uint64_t t0 = se_clock_ns();
    int wrote = se_wire_encode(message, frame, sizeof frame, size_b);
    uint64_t t1 = se_clock_ns();
    int took = wrote ? wrote : se_wire_decode(frame, *size_b, &b->room, &back);
    uint64_t t2 = se_clock_ns();
    if (wrote || took)
        return se_fail(-EPROTO, "a message of our own: %s", se_wire_fault_text(took));
    if (!keep)
        return 0;
    int r = se_hist_add(&b->ns[encode], (double)(t1 - t0));
    return r < 0 ? r : se_hist_add(&b->ns[encode + 1], (double)(t2 - t1));
}

/* Bringing a tree of any order into the one that travels; and what reading the clock costs,
 * which is part of every sample. */
static int time_rest(struct bench *b, uint32_t turn, bool keep)
{
    const struct tree *tree = &b->tree[turn % TREES];
    uint16_t order[SE_WIRE_NODES_MAX];
    uint32_t n = (uint32_t)b->o->nodes + 1;
    uint64_t t0 = se_clock_ns();
    bool known = se_shape_order(tree->parent, n, order);
    se_shape_arrange(tree->parent, tree->token, n, order, b->read.parent, b->read.token);
    uint64_t t1 = se_clock_ns();
    uint64_t t2 = se_clock_ns();
    if (!known)
        return se_fail(-EPROTO, "a tree of our own is none");
    if (!keep)
        return 0;
    int r = se_hist_add(&b->ns[ARRANGE], (double)(t1 - t0));
    return r < 0 ? r : se_hist_add(&b->ns[CLOCK], (double)(t2 - t1));
}

static int measure(struct bench *b)
{
    int r = 0;
    for (uint32_t turn = 0; turn < WARM_UP + b->o->repeat && r == 0; turn++) {
        struct se_wire verify = verify_of(b, turn), result = result_of(b, turn);
        bool keep = turn >= WARM_UP;
        r = time_message(b, &verify, VERIFY_ENCODE, keep, &b->verify_b);
        if (r == 0)
            r = time_message(b, &result, RESULT_ENCODE, keep, &b->result_b);
        if (r == 0)
            r = time_rest(b, turn, keep);
    }
    return r;
}

static void print_json(void *of)
{
    struct bench *b = of;
    printf("{\"nodes\": %" PRIu64 ", \"vocab\": %" PRIu64 ", \"id_bits\": %" PRIu32
           ", \"samples\": %zu,\n  \"verify_bytes\": %zu, \"result_bytes\": %zu,\n"
           "  \"encode_ns\": %.0f, \"decode_ns\": %.0f,\n",
           b->o->nodes, b->o->vocab, b->bits, b->ns[CLOCK].n, b->verify_b, b->result_b,
           se_hist_at(&b->ns[VERIFY_ENCODE], 0.5), se_hist_at(&b->ns[VERIFY_DECODE], 0.5));
    printf("  \"result_encode_ns\": %.0f, \"result_decode_ns\": %.0f",
           se_hist_at(&b->ns[RESULT_ENCODE], 0.5), se_hist_at(&b->ns[RESULT_DECODE], 0.5));
    se_figures_json(&b->figures);
}

static void print_table(void *of)
{
    struct bench *b = of;
    printf("%" PRIu64 " drafted nodes and the root, ids of %" PRIu32 " bits (vocabulary %" PRIu64
           ")\n\n",
           b->o->nodes, b->bits, b->o->vocab);
    printf("VERIFY %zu bytes, RESULT %zu bytes\n", b->verify_b, b->result_b);
    se_figures_table(&b->figures, "one way, reading the clock included", 0, N_PATHS);
}

static int dump(const char *source)
{
    struct se_dump bytes;
    int r = se_dump_read(&bytes, source);
    if (r < 0)
        return r;
    r = se_dump_show(&bytes, stdout);
    se_dump_fini(&bytes);
    return r;
}

static int run(const void *values, char **argument)
{
    (void)argument;
    static struct bench b;
    const struct options *o = values;
    if (o->dump)
        return dump(o->dump);
    memset(&b, 0, sizeof b);
    b.o = o;
    b.bits = se_pack_bits((uint32_t)o->vocab);
    b.room = (struct se_wire_room){ b.read.parent, b.read.token, SE_WIRE_NODES_MAX,
                                    SE_WIRE_NODES_MAX, (uint32_t)o->vocab };
    b.figures = (struct se_figures){
        .figure = b.figure, .n = N_PATHS, .unit_ns = 1, .unit = "ns", .suffix = ""
    };
    se_figures_take(&b.figures, paths, b.ns);
    make_trees(&b);
    int r = se_figures_open(&b.figures, &o->figures);
    if (r == 0)
        r = measure(&b);
    return se_figures_end(&b.figures, r, print_table, print_json, &b);
}

static const struct se_conf_row rows[] = {
    { "nodes", 'n', SE_CONF_UINT, offsetof(struct options, nodes), "32", 0, SE_WIRE_NODES_MAX - 1,
      "N", "drafted nodes of a tree; the root comes on top" },
    { "vocab", 'v', SE_CONF_UINT, offsetof(struct options, vocab), "151936", 1, SE_WIRE_LENGTH_MAX,
      "N", "ids there are, which tells their width" },
    { "repeat", 'r', SE_CONF_UINT, offsetof(struct options, repeat), "20000", 1, 10000000, "N",
      "samples of each kind" },
    { "seed", 's', SE_CONF_UINT, offsetof(struct options, seed), "1", 0, 0x1p64, "N",
      "of the trees" },
    { "dump", 'd', SE_CONF_TEXT, offsetof(struct options, dump), NULL, 0, 0, "HEX|FILE",
      "measure nothing: show the fields of this frame" },
    SE_FIGURES_OPTION_ROWS(struct options, figures),
};
static struct options chosen;

const struct se_verb se_bench_wire = {
    .name = "wire",
    .summary = "bytes of a round on the wire, and the time to write and read them",
    .more = "Each sample is one message, between two readings of the clock; times are in "
            "nanoseconds.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
