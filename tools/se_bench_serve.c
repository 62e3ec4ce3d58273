/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench serve: how many edges a server bears, and what keeps it from more.
 *
 *   1, 2, 4, 8 edges ... until p95 is above the limit, then halfway back until it is known
 *
 * Edges are made up: drafting is a pause, the way there and back is made longer by holding frames,
 * and trees are right as often as they shall be, which the server finds out by itself: what it
 * says to the prompts is decoded plainly first. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/figures.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/se_bench.h"
#include "tools/stage.h"

enum { STAGES_MAX = 128, CLOSE_ENOUGH = 16 /* one edge in so many */ };
#define LEARN_NS UINT64_C(50000000) /* between two looks at what is decoded */

struct options {
    uint64_t nodes, depth, prompt, tokens, texts, draft_ns, trip_ns, think_ns;
    double acceptance, rate, temp;
    uint64_t limit_ns, from, most, step, again, least, warm_up_ns, seconds, seed, max_sessions;
    int judge; /* row of judges */
    const char *link;
    struct se_rig_options rig;
    struct se_figures_options figures;
};

/* What the limit is for, by the choices of --of. */
static const struct {
    enum se_load_time time;
    const char *text;
} judges[] = { { SE_LOAD_ROUND, "of a round" },
               { SE_LOAD_TOKEN, "of the time per token" },
               { SE_LOAD_FIRST, "of the time to the first tokens" } };

/* Figures are those of the largest stage that held, or of the first. */
static const struct se_figure paths[SE_LOAD_TIMES] = {
    [SE_LOAD_ROUND] = { "round", "VERIFY to RESULT, less --trip", NULL, true },
    [SE_LOAD_QUEUE] = { "queue", "of it: waits for its step, as told", NULL, false },
    [SE_LOAD_STEP] = { "step", "of it: the step, as told", NULL, false },
    [SE_LOAD_WAY] = { "way", "of it: all else (links, codec, books)", NULL, false },
    [SE_LOAD_TOKEN] = { "token", "of an answer, per token", NULL, false },
    [SE_LOAD_FIRST] = { "first", "ask to the first tokens", NULL, false },
    [SE_LOAD_LATE] = { "late", "delay of this program itself", NULL, false },
};

struct bench {
    const struct options *o;
    const char *where; /* URL or folder */
    struct se_model_server server;
    struct se_wire_hello hello;
    struct se_wire_welcome welcome;
    struct se_oracle oracle;
    struct se_oracle_text *text;
    struct se_stage_options options;
    struct se_stage stage[STAGES_MAX];
    size_t n_stages, best;  /* the largest that held, or else the first */
    uint32_t low, high;     /* edges that it bears, and that are too many; 0: not known */
    struct se_stage *bound; /* the smallest stage that was too much, or NULL */
    struct se_figure figure[SE_LOAD_TIMES];
    struct se_figures figures;
};

/* ---- what is known before */

static int meet(struct bench *b)
{
    const struct options *o = b->o;
    struct se_caller caller;
    int r = se_caller_connect(&caller, b->server.url, 0);
    if (r == 0)
        r = se_caller_open(&caller, (uint32_t)o->nodes + 1);
    if (r == 0) {
        b->hello = caller.hello;
        b->welcome = caller.welcome;
        se_oracle_init(&b->oracle, (uint32_t)o->nodes + 1, (uint32_t)o->depth, o->acceptance,
                       se_caller_ids(&caller));
    }
    se_caller_close(&caller);
    if (r == 0 && o->nodes + 2 > b->oracle.ids)
        r = se_fail(-E2BIG, "the server's vocabulary has too few ids for such a tree");
    const uint64_t longest = o->prompt + o->tokens + o->depth + o->nodes + 1;
    if (r == 0 && longest > b->welcome.context)
        r = se_fail(-E2BIG,
                    "the server's texts end at %" PRIu32 " ids: --prompt, --tokens, --depth and "
                    "--nodes come to %" PRIu64,
                    b->welcome.context, longest);
    return r;
}

static uint64_t known(const struct bench *b)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < b->o->texts; i++)
        n += b->text[i].n - b->text[i].prompt;
    return n;
}

/* Plain decoding of every text, one after the other, by an edge that takes no time. */
static int learn(struct bench *b)
{
    const struct options *o = b->o;
    const uint64_t all = o->texts * (o->tokens + o->depth);
    struct se_load_options options = b->options.load;
    struct se_load load;
    struct se_progress progress;
    options.url = b->server.url;
    options.edges = 1;
    options.draft_ns = options.trip_ns = options.think_ns = 0;
    options.rate = 0;
    se_progress_begin(&progress, "plain decoding");
    int r = se_load_open(&load, &options);
    while (r == 0 && known(b) < all && !load.full) {
        r = se_load_run(&load, LEARN_NS, NULL);
        se_progress_at(&progress, known(b), all);
    }
    if (r == 0 && load.full)
        r = se_fail(-EBUSY, "%s", se_err_text());
    se_load_close(&load);
    se_progress_end(&progress);
    return r;
}

static int prepare(struct bench *b)
{
    const struct options *o = b->o;
    const struct se_model_server_options server = { .where = b->where,
                                                    .rig = o->rig,
                                                    .link = o->link,
                                                    .max_sessions = (uint32_t)o->max_sessions,
                                                    .max_nodes = (uint32_t)o->nodes + 1 };
    int r = se_model_server_open(&b->server, &server);
    if (r == 0)
        r = meet(b);
    if (r == 0)
        r = se_oracle_texts_new(&b->text, (uint32_t)o->texts, (uint32_t)o->prompt,
                                (uint32_t)(o->prompt + o->tokens + o->depth), b->oracle.ids,
                                o->seed);
    b->options = (struct se_stage_options){
        .load = { .hello = &b->hello,
                  .sampling = { .temp = o->temp, .top_p = 1, .seed = o->seed },
                  .tokens = (uint32_t)o->tokens,
                  .draft_ns = o->draft_ns,
                  .trip_ns = o->trip_ns,
                  .think_ns = o->think_ns,
                  .rate = o->rate,
                  .oracle = &b->oracle,
                  .text = b->text,
                  .n_texts = (uint32_t)o->texts,
                  .seed = o->seed },
        .server = &b->server,
        .warm_up_ns = o->warm_up_ns,
        .ns = o->seconds * 1000000000,
        .limit_ms = (double)o->limit_ns * 1e-6,
        .judge = judges[o->judge].time,
    };
    return r == 0 ? learn(b) : r;
}

/* ---- the search */

static void print_head(const struct bench *b)
{
    const struct options *o = b->o;
    printf("edges at work on %s\n", b->server.url);
    printf("%" PRIu64 " drafted nodes of depth %" PRIu32
           " and the root, %.2f tokens a round on the average; prompts of %" PRIu64
           " ids, answers of %" PRIu64 "\n",
           o->nodes, b->oracle.depth, se_oracle_tokens(&b->oracle), o->prompt, o->tokens);
    printf("drafting takes %.3g ms, the way there and back %.3g ms more; ",
           (double)o->draft_ns * 1e-6, (double)o->trip_ns * 1e-6);
    if (o->rate > 0)
        printf("%.3g answers a second come to each, at random times", o->rate);
    else
        printf("each asks again after %.3g ms", (double)o->think_ns * 1e-6);
    printf("; seed %" PRIu64 "\n\n", o->seed);
    printf("%5s %9s %9s %17s %17s %15s %23s\n", "", "", "", "round, ms", "token, ms", "of a step",
           "busy, %");
    printf("%5s %9s %9s %8s %8s %8s %8s %7s %7s %7s %7s %7s\n", "edges", "tokens/s", "rounds/s",
           "p50", "p95", "p50", "p95", "rounds", "rows", "engine", "server", "here");
}

static void print_number(double value, int width, int digits)
{
    if (isnan(value))
        printf(" %*s", width, "-");
    else
        printf(" %*.*f", width, digits, value);
}

static void print_stage(struct se_stage *s)
{
    printf("%5" PRIu32, s->edges);
    if (s->full) {
        printf("   the server lets no more in\n");
        return;
    }
    print_number((double)s->seen.tokens / s->seconds, 9, 1);
    print_number((double)s->seen.rounds / s->seconds, 9, 1);
    print_number(se_stage_at(s, SE_LOAD_ROUND, 0.5), 8, 2);
    print_number(se_stage_at(s, SE_LOAD_ROUND, 0.95), 8, 2);
    print_number(se_stage_at(s, SE_LOAD_TOKEN, 0.5), 8, 2);
    print_number(se_stage_at(s, SE_LOAD_TOKEN, 0.95), 8, 2);
    print_number(s->step_rounds, 7, 1);
    print_number(s->step_rows, 7, 1);
    print_number(100 * s->engine, 7, 0);
    print_number(100 * s->server, 7, 0);
    print_number(100 * s->own, 7, 0);
    printf("%s\n", s->bound == SE_STAGE_NONE ? "" : "  above");
    se_output_flush();
}

static int measure(struct bench *b, uint32_t edges)
{
    struct se_stage *stage = &b->stage[b->n_stages++];
    const int r = se_stage_measure(stage, &b->options, edges);
    if (r != 0)
        return r;
    if (!b->o->figures.json)
        print_stage(stage);
    return se_output_flush();
}

/* What is above the limit may be so by chance: then it is not so again. */
static int try(struct bench *b, uint32_t edges)
{
    struct se_stage *stage;
    uint64_t times = 0;
    do {
        stage = &b->stage[b->n_stages];
        const int r = measure(b, edges);
        if (r != 0)
            return r;
    } while (stage->bound != SE_STAGE_NONE && !stage->full && times++ < b->o->again &&
             b->n_stages < STAGES_MAX);
    if (stage->bound == SE_STAGE_NONE) {
        b->low = edges;
        b->best = (size_t)(stage - b->stage);
    } else {
        b->high = edges;
        b->bound = stage;
    }
    return 0;
}

/* How many next; 0: it is known. */
static uint32_t next(const struct bench *b)
{
    const uint32_t from = (uint32_t)b->o->from, most = (uint32_t)b->o->most;
    const uint32_t step = (uint32_t)b->o->step, middle = b->low + (b->high - b->low) / 2;
    if (b->n_stages == 0)
        return from < most ? from : most;
    if (b->n_stages == STAGES_MAX)
        return 0;
    if (b->high == 0) {
        const uint32_t more = step ? b->low + step : 2 * b->low;
        return b->low == most ? 0 : more < most ? more : most;
    }
    return step || b->high - b->low <= 1 + b->low / CLOSE_ENOUGH ? 0 : middle;
}

static int search(struct bench *b)
{
    int r = prepare(b);
    if (r == 0 && !b->o->figures.json)
        print_head(b);
    for (uint32_t edges; r == 0 && (edges = next(b)) > 0;)
        r = try(b, edges);
    if (r == 0)
        se_figures_take(&b->figures, paths, b->stage[b->best].seen.ms);
    return r;
}

/* ---- what it says */

static void print_stage_json(struct se_stage *s)
{
    struct se_figure figure[SE_LOAD_TIMES];
    struct se_figures figures = { .figure = figure, .n = SE_LOAD_TIMES, .digits = 3 };
    const struct {
        const char *key;
        double value;
    } more[] = { { "tokens_per_s", (double)s->seen.tokens / s->seconds },
                 { "rounds_per_s", (double)s->seen.rounds / s->seconds },
                 { "answers", (double)s->seen.answers },
                 { "rounds_per_step", s->step_rounds },
                 { "rows_per_step", s->step_rows },
                 { "engine_share", s->engine },
                 { "server_share", s->server },
                 { "own_share", s->own },
                 { "own_thread_share", s->own_thread },
                 { "evictions", s->evictions },
                 { "busy", s->busy } };
    printf("{\"edges\": %" PRIu32 ", \"bound\": \"%s\"", s->edges, se_stage_bound_key(s->bound));
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        if (isfinite(more[i].value))
            printf(", \"%s\": %.4g", more[i].key, more[i].value);
    se_figures_take(&figures, paths, s->seen.ms);
    for (size_t i = 0; i < SE_LOAD_TIMES; i++) {
        printf(",\n    \"%s_ms\": ", paths[i].key);
        se_figures_json_one(&figures, i);
    }
    printf("}");
}

static const char *bound_key(const struct bench *b)
{
    return se_stage_bound_key(b->bound ? b->bound->bound : SE_STAGE_NONE);
}

static void print_json(void *of)
{
    struct bench *b = of;
    const struct options *o = b->o;
    printf("{\"verb\": \"serve\", \"url\": \"%s\", \"nodes\": %" PRIu64 ", \"depth\": %" PRIu32
           ", \"acceptance\": %.4g, \"tokens_per_round\": %.4g,\n  \"draft_ms\": %.4g, "
           "\"trip_ms\": %.4g, \"think_ms\": %.4g, \"rate\": %.4g, \"prompt\": %" PRIu64
           ", \"tokens\": %" PRIu64 ", \"seed\": %" PRIu64 ",\n",
           b->server.url, o->nodes, b->oracle.depth, o->acceptance, se_oracle_tokens(&b->oracle),
           (double)o->draft_ns * 1e-6, (double)o->trip_ns * 1e-6, (double)o->think_ns * 1e-6,
           o->rate, o->prompt, o->tokens, o->seed);
    printf("  \"limit_ms\": %.4g, \"of\": \"%s\", \"capacity\": %" PRIu32
           ", \"bound\": \"%s\",\n  \"stages\": [",
           b->options.limit_ms, paths[b->options.judge].key, b->low, bound_key(b));
    for (size_t i = 0; i < b->n_stages; i++) {
        printf("%s\n   ", i ? "," : "");
        print_stage_json(&b->stage[i]);
    }
    printf("]");
    se_figures_json(&b->figures);
}

static const char *plural(uint32_t n) { return n == 1 ? "" : "s"; }

static void print_capacity(struct bench *b)
{
    char text[256];
    const char *of = judges[b->o->judge].text;
    if (b->low > 0)
        printf("\ncapacity: %s%" PRIu32 " edge%s, with p95 %s within %.4g ms\n",
               b->bound ? "" : "at least ", b->low, plural(b->low), of, b->options.limit_ms);
    else
        printf("\ncapacity: none: p95 %s is above %.4g ms with %" PRIu32 " edge%s\n", of,
               b->options.limit_ms, b->high, plural(b->high));
    if (b->bound)
        printf("what limits it, with %" PRIu32 " edge%s: %s\n", b->bound->edges,
               plural(b->bound->edges), se_stage_bound_text(b->bound, text, sizeof text));
    else
        printf("what limits it: nothing with so many; see --most\n");
}

static void print_table(void *of)
{
    struct bench *b = of;
    char title[64];
    print_capacity(b);
    const uint32_t edges = b->stage[b->best].edges;
    snprintf(title, sizeof title, "with %" PRIu32 " edge%s", edges, plural(edges));
    se_figures_table(&b->figures, title, 0, SE_LOAD_TIMES);
}

static int check(const struct options *o)
{
    if (o->from > o->most)
        return se_usage("from: %" PRIu64 " edges are more than --most %" PRIu64, o->from, o->most);
    if (o->rate > 0 && o->think_ns > 0)
        return se_usage("think: answers come by themselves with --rate");
    return 0;
}

static int run(const void *values, char **argument)
{
    static struct bench b;
    memset(&b, 0, sizeof b);
    b.o = values;
    b.where = argument[0];
    b.server.child = SE_CHILD_NULL;
    b.figures = (struct se_figures){ .figure = b.figure,
                                     .n = SE_LOAD_TIMES,
                                     .unit_ns = 1e6,
                                     .unit = "ms",
                                     .suffix = "_ms",
                                     .digits = 3 };
    se_figures_take(&b.figures, paths, b.stage[0].seen.ms);
    int r = check(b.o);
    if (r != 0)
        return r;
    se_interrupt_watch();
    r = se_figures_open(&b.figures, &b.o->figures);
    if (r == 0)
        r = search(&b);
    se_model_server_close(&b.server);
    r = se_figures_end(&b.figures, r, print_table, print_json, &b);
    for (size_t i = 0; i < b.n_stages; i++)
        se_stage_fini(&b.stage[i]);
    se_oracle_texts_free(b.text);
    if (r == 0 && b.low < b.o->least)
        r = se_fail(-ERANGE, "the capacity is %" PRIu32 " edge%s, less than --least %" PRIu64,
                    b.low, plural(b.low), b.o->least);
    return r;
}

static const struct se_conf_row rows[] = {
    { "limit", 'm', SE_CONF_TIME, offsetof(struct options, limit_ns), "100ms", 1000, 6e10, "TIME",
      "p95 of what --of says must be within it" },
    { "of", 0, SE_CONF_CHOICE, offsetof(struct options, judge), "round", 0, 0, "round|token|first",
      "a round but the first, from VERIFY to RESULT without --trip; an answer's time, from ask to "
      "end, per token; or from ask to its first tokens" },
    { "trip", 0, SE_CONF_TIME, offsetof(struct options, trip_ns), "0", 0, 1e10, "TIME",
      "longer way there and back: frames are held here" },
    { "draft", 'd', SE_CONF_TIME, offsetof(struct options, draft_ns), "5ms", 0, 1e10, "TIME",
      "that drafting takes, before every tree" },
    { "acceptance", 'a', SE_CONF_REAL, offsetof(struct options, acceptance), "0.8", 0, 1, "SHARE",
      "how often a drafted token is right, behind one that is" },
    { "nodes", 'n', SE_CONF_UINT, offsetof(struct options, nodes), "16", 0, SE_WIRE_NODES_MAX - 1,
      "N", "drafted nodes of a tree; the root comes on top" },
    { "depth", 0, SE_CONF_UINT, offsetof(struct options, depth), "8", 0, SE_WIRE_NODES_MAX - 1, "N",
      "of the tree: one node of each level may be right" },
    { "prompt", 'x', SE_CONF_UINT, offsetof(struct options, prompt), "64", 1, 1000000, "N",
      "ids of a prompt" },
    { "tokens", 0, SE_CONF_UINT, offsetof(struct options, tokens), "48", 1, 60000, "N",
      "of an answer" },
    { "texts", 0, SE_CONF_UINT, offsetof(struct options, texts), "8", 1, 100000, "N",
      "prompts there are; edges take turns with them" },
    { "temp", 0, SE_CONF_REAL, offsetof(struct options, temp), "0", 0, 100, "T",
      "temperature of all texts" },
    { "think", 0, SE_CONF_TIME, offsetof(struct options, think_ns), "0", 0, 6e11, "TIME",
      "from an answer's end to the next ask, on the average" },
    { "rate", 0, SE_CONF_REAL, offsetof(struct options, rate), "0", 0, 1e6, "N",
      "or: answers that come to each edge in a second, at random times, whether it is done with "
      "the last or not" },
    { "from", 0, SE_CONF_UINT, offsetof(struct options, from), "1", 1, 100000, "N",
      "edges to begin with" },
    { "most", 0, SE_CONF_UINT, offsetof(struct options, most), "256", 1, 100000, "N",
      "edges to end with" },
    { "step", 0, SE_CONF_UINT, offsetof(struct options, step), "0", 0, 100000, "N",
      "edges more each time, up to the first that are too many; 0: twice as many, and back in "
      "halves" },
    { "again", 0, SE_CONF_UINT, offsetof(struct options, again), "0", 0, 10, "N",
      "times that a stage above the limit is measured anew before it is believed" },
    { "least", 0, SE_CONF_UINT, offsetof(struct options, least), "0", 0, 100000, "N",
      "exit with 1 when the capacity is less" },
    { "warm-up", 'w', SE_CONF_TIME, offsetof(struct options, warm_up_ns), "1s", 0, 6e11, "TIME",
      "of each stage, not counted" },
    { "seconds", 0, SE_CONF_UINT, offsetof(struct options, seconds), "3", 1, 86400, "N",
      "of each stage that are" },
    { "seed", 's', SE_CONF_UINT, offsetof(struct options, seed), "1", 0, 0x1p64, "N",
      "of prompts, of what is right, and of times" },
    { "link", 'l', SE_CONF_TEXT, offsetof(struct options, link), "tcp", 0, 0, "shm|tcp|ipc|URL",
      "to a server that is started here" },
    { "max-sessions", 0, SE_CONF_UINT, offsetof(struct options, max_sessions), "256", 1, 65536, "N",
      "of such a server" },
    SE_RIG_THREADS_ROW(struct options, rig),
    SE_RIG_WEIGHTS_ROW("weights", 0, struct options, rig),
    SE_RIG_PRELOAD_ROW(struct options, rig),
    SE_RIG_BACKEND_ROW(struct options, rig),
    SE_RIG_TP_ROW(struct options, rig),
    SE_FIGURES_OPTION_ROWS(struct options, figures),
};
static struct options chosen;

const struct se_verb se_bench_serve = {
    .name = "serve",
    .arguments = "URL|DIR",
    .n_arguments = 1,
    .summary = "how many edges a server bears, and what keeps it from more",
    .more = "URL: a server that runs; DIR: the folder of a model, of which one is started here. "
            "Edges are made up: they speak as real ones do, but drafting is a pause, and trees are "
            "right as often as --acceptance says. Every answer is held against plain decoding.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
