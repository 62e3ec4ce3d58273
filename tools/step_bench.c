/* SPDX-License-Identifier: Apache-2.0 */
/* se-model bench and se-bench step, which are one: the time of one step, by rows, beside the floor
 * of this machine. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/hist.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tools/cost.h"
#include "tools/figures.h"
#include "tools/floor.h"
#include "tools/progress.h"
#include "tools/rig.h"
#include "tools/se_bench.h"
#include "tools/se_model.h"

enum { CASES_MAX = 32, ROWS_MAX = 1024, BRANCHES = 8, KEY_B = 32 };

/* What the rows of a step are. */
enum kind {
    CHAIN,  /* one after the other behind one sequence, logits of each */
    TREE,   /* a root and 8 branches behind one sequence, logits of each */
    DECODE, /* one row each behind as many sequences, logits of each */
    PREFILL /* a chain of a prompt: no logits */
};
static const char *const kind_names[] = { "chain", "tree", "decode", "prefill" };

struct options {
    struct se_rig_options rig;
    const char *rows;
    uint64_t context, repeat, warm_up;
    int kind;
    struct se_figures_options figures;
};

struct one_case {
    uint32_t rows;
    enum kind kind;
    struct se_hist ms;
    struct se_cost cost;
};

struct bench {
    const struct options *o;
    const char *dir;
    struct one_case cases[CASES_MAX];
    uint32_t n_cases, max_rows, n_seqs;
    struct se_rig rig;
    struct se_seq **seq; /* the first serves all kinds, the others only DECODE */
    struct se_part *part;
    uint32_t *token;
    int32_t *parent;
    float *logits;
    struct se_floor floor;
    char key[CASES_MAX][KEY_B], text[CASES_MAX][KEY_B];
    struct se_figure figure[CASES_MAX];
    struct se_figures figures;
};

/* "1,8,33t": numbers of rows; a t makes it a tree. */
static int parse_rows(struct bench *b)
{
    const char *at = b->o->rows;
    for (;;) {
        char *end;
        errno = 0;
        unsigned long rows = strtoul(at, &end, 10);
        bool tree = *end == 't';
        const char *after = end + (tree ? 1 : 0);
        if (end == at || *at < '0' || *at > '9' || (*after != ',' && *after != '\0') || errno)
            return se_usage("--rows: \"%s\" is no list like 1,8,33,33t", b->o->rows);
        if (rows < 1 || rows > ROWS_MAX)
            return se_usage("--rows: %lu is not within 1 and %d", rows, ROWS_MAX);
        if (b->n_cases == CASES_MAX)
            return se_usage("--rows: more than %d numbers", CASES_MAX);
        enum kind kind = tree ? TREE : (enum kind)b->o->kind;
        b->cases[b->n_cases++] = (struct one_case){ .rows = (uint32_t)rows, .kind = kind };
        if (rows > b->max_rows)
            b->max_rows = (uint32_t)rows;
        if (kind == DECODE && rows > b->n_seqs)
            b->n_seqs = (uint32_t)rows;
        if (*after == '\0')
            return 0;
        at = after + 1;
    }
}

static void name_figures(struct bench *b)
{
    for (uint32_t i = 0; i < b->n_cases; i++) {
        const struct one_case *c = &b->cases[i];
        snprintf(b->key[i], KEY_B, "rows_%" PRIu32 "_%s", c->rows, kind_names[c->kind]);
        snprintf(b->text[i], KEY_B, "%" PRIu32 " %s, %s", c->rows, c->rows == 1 ? "row" : "rows",
                 kind_names[c->kind]);
        b->figure[i] = (struct se_figure){
            .key = b->key[i], .text = b->text[i], .hist = &b->cases[i].ms, .leads = i == 0
        };
    }
    b->figures = (struct se_figures){ .figure = b->figure,
                                      .n = b->n_cases,
                                      .unit_ns = 1e6,
                                      .unit = "ms",
                                      .suffix = "_ms",
                                      .digits = 3 };
}

static int check_context(const struct bench *b, const struct se_config *config)
{
    if (b->o->context + b->max_rows <= config->context)
        return 0;
    return se_fail(-ERANGE,
                   "--context %" PRIu64 " and %" PRIu32 " rows do not fit into the context "
                   "of %s: %" PRIu32 " tokens",
                   b->o->context, b->max_rows, b->dir, config->context);
}

/* Random ids and, for a tree, branches as long as each other. */
static void fill_rows(struct bench *b, const struct one_case *c)
{
    struct se_rng rng;
    se_rng_init(&rng, c->rows, SE_RNG_TEST);
    for (uint32_t i = 0; i < c->rows; i++)
        b->token[i] = se_rng_below(&rng, b->rig.model->config.vocab);
    uint32_t branches = c->rows - 1 < BRANCHES ? c->rows - 1 : BRANCHES;
    b->parent[0] = SE_NODE_ROOT;
    for (uint32_t i = 1; i < c->rows; i++) /* dealt out: node i lies 8 behind its parent */
        b->parent[i] = i <= branches ? 0 : (int32_t)(i - branches);
}

static int prefill(struct bench *b, struct se_seq *seq)
{
    struct se_rng rng;
    uint32_t context = (uint32_t)b->o->context;
    uint32_t *id = se_mem_new(context, sizeof *id);
    if (!id)
        return -ENOMEM;
    se_rng_init(&rng, 1, SE_RNG_TEST);
    for (uint32_t i = 0; i < context; i++)
        id[i] = se_rng_below(&rng, b->rig.model->config.vocab);
    int r = se_rig_feed(&b->rig, seq, id, context);
    se_mem_free(id);
    return r;
}

static int set_up(struct bench *b)
{
    uint32_t vocab = b->rig.model->config.vocab;
    b->seq = se_mem_zero(b->n_seqs, sizeof b->seq[0]);
    b->part = se_mem_zero(b->n_seqs, sizeof b->part[0]);
    b->token = se_mem_new(b->max_rows, sizeof b->token[0]);
    b->parent = se_mem_new(b->max_rows, sizeof b->parent[0]);
    b->logits = se_mem_new((size_t)b->max_rows * vocab, sizeof b->logits[0]);
    if (!b->seq || !b->part || !b->token || !b->parent || !b->logits)
        return -ENOMEM;
    struct se_progress progress;
    se_progress_begin(&progress, "filling the context");
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < b->n_seqs; i++) {
        r = se_seq_new(&b->seq[i], se_engine_kv(b->rig.engine));
        if (r == 0)
            r = prefill(b, b->seq[i]);
        se_progress_at(&progress, i + 1, b->n_seqs);
    }
    se_progress_end(&progress);
    return r;
}

static uint32_t fill_parts(struct bench *b, const struct one_case *c)
{
    uint32_t vocab = b->rig.model->config.vocab;
    uint32_t n_parts = c->kind == DECODE ? c->rows : 1;
    for (uint32_t i = 0; i < n_parts; i++)
        b->part[i] =
            (struct se_part){ .seq = b->seq[i],
                              .token = b->token + i,
                              .parent = c->kind == TREE ? b->parent : NULL,
                              .n_rows = c->rows / n_parts,
                              .want = c->kind == PREFILL ? SE_WANT_NOTHING : SE_WANT_LOGITS,
                              .logits = b->logits + (size_t)i * vocab };
    return n_parts;
}

/* One step, and everything as it was before. */
static int time_step(struct bench *b, const struct one_case *c, double *ms)
{
    fill_rows(b, c);
    uint32_t n_parts = fill_parts(b, c);
    uint64_t from = se_clock_ns();
    int r = se_step(b->rig.engine, b->part, n_parts);
    *ms = (double)(se_clock_ns() - from) * 1e-6;
    if (r == SE_KV_FULL)
        return se_fail(-ENOMEM, "no page is left for keys and values");
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n_parts; i++)
        se_seq_rewind(b->seq[i], (uint32_t)b->o->context);
    return 0;
}

/* Every case once per turn: a slow minute of the machine falls on all of them. */
static int measure(struct bench *b)
{
    struct se_progress progress;
    uint64_t turns = b->o->warm_up + b->o->repeat;
    int r = 0;
    se_progress_begin(&progress, "measuring");
    for (uint64_t turn = 0; r == 0 && turn < turns; turn++)
        for (uint32_t i = 0; r == 0 && i < b->n_cases; i++) {
            double ms;
            r = time_step(b, &b->cases[i], &ms);
            if (r == 0 && turn >= b->o->warm_up)
                r = se_hist_add(&b->cases[i].ms, ms);
            se_progress_at(&progress, turn * b->n_cases + i + 1, turns * b->n_cases);
        }
    se_progress_end(&progress);
    return r;
}

static double floor_ms(const struct bench *b, const struct one_case *c)
{
    double memory = c->cost.bytes / b->floor.read_b * 1e3;
    double arithmetic = b->floor.rate > 0 ? c->cost.ops / b->floor.rate * 1e3 : 0;
    return memory > arithmetic ? memory : arithmetic;
}

static void print_text(void *of)
{
    struct bench *b = of;
    printf("%s, weights %s (%.1f MiB), %" PRIu32 " threads, %s, context %" PRIu64 "\n", b->dir,
           se_dtype_name(b->rig.model->dtype), (double)b->rig.model->weight_b / (1 << 20),
           b->rig.threads * b->rig.here, se_engine_backend(b->rig.engine), b->o->context);
    printf("floor: reads %.1f GB/s; ", b->floor.read_b * 1e-9);
    if (b->floor.what)
        printf("%s %.0f GOP/s\n\n", b->floor.what, b->floor.rate * 1e-9);
    else
        printf("no rate of arithmetic known here\n\n");
    printf("rows  as       median ms        (min - max)    n    rows/s   GB/s    GOP/s  floor ms  "
           "of floor\n");
    for (uint32_t i = 0; i < b->n_cases; i++) {
        struct one_case *c = &b->cases[i];
        double ms = se_hist_at(&c->ms, 0.5), least = floor_ms(b, c);
        printf("%4" PRIu32 "  %-7s %10.3f %9.3f - %8.3f %4zu %9.1f %6.1f %8.1f %9.3f %8.2fx\n",
               c->rows, kind_names[c->kind], ms, se_hist_at(&c->ms, 0), se_hist_at(&c->ms, 1),
               c->ms.n, c->rows / ms * 1e3, c->cost.bytes / ms * 1e-6, c->cost.ops / ms * 1e-6,
               least, ms / least);
    }
    se_figures_table(&b->figures, "a step", 0, b->n_cases);
}

static void print_case(const struct bench *b, struct one_case *c)
{
    printf("  {\"rows\": %" PRIu32 ", \"tree\": %s, \"as\": \"%s\", \"ms\": [", c->rows,
           c->kind == TREE ? "true" : "false", kind_names[c->kind]);
    for (size_t i = 0; i < c->ms.n; i++)
        printf(i ? ", %.4f" : "%.4f", c->ms.sample[i]);
    double ms = se_hist_at(&c->ms, 0.5);
    printf("],\n   \"median_ms\": %.4f, \"min_ms\": %.4f, \"max_ms\": %.4f, \"rows_per_s\": %.3f, "
           "\"bytes\": %.0f, \"ops\": %.0f, \"floor_ms\": %.4f}",
           ms, se_hist_at(&c->ms, 0), se_hist_at(&c->ms, 1), c->rows / ms * 1e3, c->cost.bytes,
           c->cost.ops, floor_ms(b, c));
}

/* The folder's name may hold anything. */
static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\' || (unsigned char)*text < 32)
            printf("\\u%04x", (unsigned char)*text);
        else
            putchar(*text);
    putchar('"');
}

static void print_json(void *of)
{
    struct bench *b = of;
    printf("{\"engine\": \"se-model %s\", \"model\": ", SE_VERSION);
    print_quoted(b->dir);
    printf(
        ", \"backend\": \"%s\",\n \"weights\": \"%s\", \"weight_bytes\": %zu, \"threads\": %" PRIu32
        ", \"context\": %" PRIu64 ",\n",
        se_engine_backend(b->rig.engine), se_dtype_name(b->rig.model->dtype),
        b->rig.model->weight_b, b->rig.threads * b->rig.here, b->o->context);
    printf(" \"floor\": {\"read_bytes_per_s\": %.0f, \"ops_per_s\": %.0f},\n \"results\": [\n",
           b->floor.read_b, b->floor.rate);
    for (uint32_t i = 0; i < b->n_cases; i++) {
        print_case(b, &b->cases[i]);
        fputs(i + 1 < b->n_cases ? ",\n" : "\n", stdout);
    }
    printf(" ]");
    se_figures_json(&b->figures);
}

/* Of as many threads as compute, in whichever processes. */
static int measure_floor(struct bench *b)
{
    struct se_pool *pool = b->rig.pool;
    int r = pool ? 0 : se_pool_new(&pool, b->rig.threads * b->rig.here, false);
    if (r == 0)
        r = se_floor_measure(&b->floor, pool, b->rig.model->dtype);
    if (pool != b->rig.pool)
        se_pool_free(pool);
    return r;
}

static int run_bench(struct bench *b)
{
    struct se_config config;
    int r = se_config_read(&config, b->dir);
    if (r == 0)
        r = check_context(b, &config);
    if (r == 0)
        r = se_rig_load(&b->rig, b->dir, &b->o->rig, NULL);
    if (r < 0)
        return r;
    uint32_t step_rows = b->max_rows > SE_RIG_ROWS ? b->max_rows : SE_RIG_ROWS;
    r = se_rig_start(&b->rig, step_rows, b->n_seqs, (uint32_t)b->o->context + b->max_rows);
    if (r == 0)
        r = set_up(b);
    if (r == 0)
        r = measure(b);
    if (r == 0)
        r = measure_floor(b);
    if (r != 0)
        return r;
    enum se_dtype kv = se_engine_kv_dtype(b->rig.model);
    for (uint32_t i = 0; i < b->n_cases; i++) {
        struct one_case *c = &b->cases[i];
        c->cost = se_cost_of(b->rig.model, kv, c->rows, c->kind == DECODE ? c->rows : 1,
                             (uint32_t)b->o->context, c->kind != PREFILL);
    }
    return 0;
}

static int run(const void *values, char **argument)
{
    struct bench b = { .o = values, .dir = argument[0], .n_seqs = 1 };
    int r = parse_rows(&b);
    if (r != 0)
        return r;
    name_figures(&b);
    r = se_figures_open(&b.figures, &b.o->figures);
    if (r == 0)
        r = run_bench(&b);
    r = se_figures_end(&b.figures, r, print_text, print_json, &b);
    for (uint32_t i = 0; b.seq && i < b.n_seqs; i++)
        se_seq_free(b.seq[i]);
    se_mem_free(b.seq);
    se_mem_free(b.part);
    se_mem_free(b.token);
    se_mem_free(b.parent);
    se_mem_free(b.logits);
    se_rig_close(&b.rig);
    return r;
}

static const struct se_conf_row rows[] = {
    { "rows", 'r', SE_CONF_TEXT, offsetof(struct options, rows), "1,8,33,128", 0, 0, "LIST",
      "rows of a step; 33t: 33 rows as a tree" },
    { "context", 0, SE_CONF_UINT, offsetof(struct options, context), "128", 0, 1048576, "N",
      "tokens that a sequence holds before the step" },
    { "as", 0, SE_CONF_CHOICE, offsetof(struct options, kind), "chain", 0, 0,
      "chain|tree|decode|prefill",
      "what the rows are: a chain, or a root with 8 branches, behind one sequence; one each "
      "behind as many sequences; or a part of a prompt, of which no logits are wanted" },
    { "repeat", 0, SE_CONF_UINT, offsetof(struct options, repeat), "9", 1, 1000000, "N",
      "times that each step is timed, all in turn" },
    { "warm-up", 0, SE_CONF_UINT, offsetof(struct options, warm_up), "2", 0, 1000000, "N",
      "times that it runs before" },
    SE_RIG_OPTION_ROWS(struct options, rig),
    SE_FIGURES_OPTION_ROWS(struct options, figures),
};
static struct options chosen;

#define VERB(word) \
    { \
        .name = word, .arguments = "DIR", .n_arguments = 1, \
        .summary = "the time of a step, beside what the machine can do", .more = more, \
        .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .values = &chosen, .run = run \
    }
static const char more[] =
    "GB/s: the weights, keys and values that the step must read, over its time. GOP/s: its\n"
    "multiplies and adds, over its time. The floor is the larger of these bytes over the\n"
    "measured bandwidth and these operations over the measured rate.";

const struct se_verb se_verb_bench = VERB("bench");
const struct se_verb se_bench_step = VERB("step");
