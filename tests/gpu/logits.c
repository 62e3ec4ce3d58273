/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend beside the processor's: logits nearly the same, and where the processor's best
 * token leads by more than they differ, the same verdict; and what is not a number is found. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/model/step.h"
#include "runtime/tree/accept.h"
#include "tests/gpu/checks.h"
#include "tests/gpu/random_model.h"
#include "tests/gpu/report.h"
#include "tests/gpu/tap.h"

enum { NODES = 33, DEEP = 6, PREFILL_MOST = 512 };
/* Of the largest logit of a row, any logit; and of all logits, in the root mean square. Inputs of
 * products have 8 bits on both sides, and what one side rounds up the other may round down: a random
 * model has nothing to make that good again, so that single rows stray. */
static const double tolerance = 8e-2, tolerance_of_all = 2e-2;

struct side {
    struct se_engine *engine;
    struct se_seq *seq;
    float *logits; /* NODES rows */
    uint32_t sampled[NODES], path[NODES], n_path, bonus;
};

struct pair {
    struct random_model of;
    struct se_rng rng;
    struct side cpu, gpu;
    uint32_t text; /* before the tree */
    uint32_t token[NODES];
    int32_t parent[NODES];
    double off;     /* the largest difference over the largest logit of its row */
    double off_all; /* sums of squares: of differences, of logits */
    double all;
    uint32_t compared, clear;
    uint32_t longest; /* path */
};

static int open_side(struct side *side, const struct pair *p, const struct se_backend_ops *ops)
{
    const struct se_engine_options options = {
        .ops = ops,
        .max_rows = PREFILL_MOST,
        .n_pages = (p->text + DEEP + NODES) / SE_PAGE_SLOTS + 2,
        .kv_dtype = SE_DTYPE_F16,
    };
    side->logits = se_mem_new((size_t)NODES * p->of.model.config.vocab, sizeof *side->logits);
    int r = side->logits ? 0 : -ENOMEM;
    if (r == 0)
        r = se_engine_new(&side->engine, &p->of.model, &options);
    return r < 0 ? r : se_seq_new(&side->seq, se_engine_kv(side->engine));
}

static void close_side(struct side *side)
{
    se_seq_free(side->seq);
    se_engine_free(side->engine);
    se_mem_free(side->logits);
}

static int step(struct side *side, struct se_part *part)
{
    part->seq = side->seq;
    const int r = se_step(side->engine, part, 1);
    return r > 0 ? se_fail(-ENOMEM, "no page is left") : r;
}

/* A text that both have, in chunks of any size. */
static int prefill(struct pair *p)
{
    uint32_t token[PREFILL_MOST];
    int r = 0;
    for (uint32_t at = 0; r == 0 && at < p->text;) {
        const uint32_t left = p->text - at < PREFILL_MOST ? p->text - at : PREFILL_MOST;
        const uint32_t n = 1 + se_rng_below(&p->rng, left);
        for (uint32_t i = 0; i < n; i++)
            token[i] = se_rng_below(&p->rng, p->of.model.config.vocab);
        struct se_part part = { .token = token, .n_rows = n, .want = SE_WANT_NOTHING };
        r = step(&p->cpu, &part);
        if (r == 0)
            r = step(&p->gpu, &part);
        at += n;
    }
    return r;
}

/* What the processor would write by itself, so that the tree has a way that is accepted. */
static int write_on(struct pair *p)
{
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    uint32_t path[1];
    int r = 0;
    p->token[0] = se_rng_below(&p->rng, p->of.model.config.vocab);
    for (uint32_t i = 0; r == 0 && i < DEEP; i++) {
        struct se_part part = { .token = &p->token[i],
                                .n_rows = 1,
                                .want = SE_WANT_VERDICT,
                                .sampling = &greedy,
                                .path = path };
        r = step(&p->cpu, &part);
        p->token[i + 1] = part.bonus;
    }
    se_seq_rewind(p->cpu.seq, p->text);
    return r;
}

/* That way first, then anything anywhere. */
static void grow(struct pair *p)
{
    for (uint32_t i = 0; i < NODES; i++) {
        p->parent[i] = i <= DEEP ? (int32_t)i - 1 : (int32_t)se_rng_below(&p->rng, i);
        if (i > DEEP)
            p->token[i] = se_rng_below(&p->rng, p->of.model.config.vocab);
    }
}

static int look(struct pair *p, struct side *side)
{
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    struct se_part part = { .token = p->token,
                            .parent = p->parent,
                            .n_rows = NODES,
                            .want = SE_WANT_LOGITS,
                            .logits = side->logits };
    int r = step(side, &part);
    if (r < 0)
        return r;
    se_seq_drop(side->seq, 0);
    part.want = SE_WANT_VERDICT;
    part.sampling = &greedy;
    part.path = side->path;
    part.sampled = side->sampled;
    r = step(side, &part);
    side->n_path = part.n_path;
    side->bonus = part.bonus;
    return r;
}

/* Each row's logits, and its token where the best leads clearly. */
static int compare_row(struct pair *p, uint32_t row, bool *same)
{
    const uint32_t vocab = p->of.model.config.vocab;
    const float *cpu = p->cpu.logits + (size_t)row * vocab;
    const float *gpu = p->gpu.logits + (size_t)row * vocab;
    double largest = 0, off = 0, best = -INFINITY, second = -INFINITY;
    for (uint32_t i = 0; i < vocab; i++) {
        if (!isfinite(gpu[i]) || !isfinite(cpu[i]))
            return se_fail(-EDOM, "row %u: a logit is not finite", row);
        largest = fmax(largest, fabs((double)cpu[i]));
        off = fmax(off, fabs((double)cpu[i] - (double)gpu[i]));
        p->off_all += ((double)cpu[i] - (double)gpu[i]) * ((double)cpu[i] - (double)gpu[i]);
        p->all += (double)cpu[i] * (double)cpu[i];
        second = fmax(second, fmin(best, (double)cpu[i]));
        best = fmax(best, (double)cpu[i]);
    }
    p->off = fmax(p->off, off / largest);
    p->compared++;
    if (off > tolerance * largest)
        return se_fail(-ERANGE, "row %u: logits differ by %.2e of the largest", row, off / largest);
    *same &= p->cpu.sampled[row] == p->gpu.sampled[row];
    if (best - second <= 2 * off)
        return 0;
    p->clear++;
    if (p->cpu.sampled[row] != p->gpu.sampled[row])
        return se_fail(-EILSEQ, "row %u: token %u, and %u on the processor, which leads by %.3g",
                       row, p->gpu.sampled[row], p->cpu.sampled[row], best - second);
    return 0;
}

/* The walk is that of the tokens that were sampled, whoever sampled them. */
static int check_walk(struct pair *p, const struct side *side)
{
    uint32_t path[NODES], bonus;
    const uint32_t n = se_accept_walk(p->parent, p->token, side->sampled, NODES, path, &bonus);
    if (n != side->n_path || bonus != side->bonus || memcmp(path, side->path, n * sizeof *path))
        return se_fail(-EILSEQ, "the path has %u nodes, and %u by its own tokens", side->n_path, n);
    if (side->seq->len != p->text + n)
        return se_fail(-EILSEQ, "%u tokens of text after a path of %u", side->seq->len, n);
    p->longest = n > p->longest ? n : p->longest;
    return 0;
}

static int compare(struct pair *p)
{
    bool same = true;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < NODES; i++)
        r = compare_row(p, i, &same);
    if (r == 0)
        r = check_walk(p, &p->cpu);
    if (r == 0)
        r = check_walk(p, &p->gpu);
    if (r == 0 && same && p->cpu.n_path != p->gpu.n_path)
        r = se_fail(-EILSEQ, "the same tokens and two paths");
    return r;
}

static int compare_trees(struct pair *p, uint32_t turns)
{
    int r = prefill(p);
    for (uint32_t i = 0; r == 0 && i < turns; i++) {
        r = write_on(p);
        grow(p);
        if (r == 0)
            r = look(p, &p->cpu);
        if (r == 0)
            r = look(p, &p->gpu);
        if (r == 0)
            r = compare(p);
        se_seq_rewind(p->cpu.seq, p->text);
        se_seq_rewind(p->gpu.seq, p->text);
    }
    return r;
}

static int check_shape(const struct check_size *size, const struct check_shape *shape,
                       uint64_t seed, struct pair *p)
{
    memset(p, 0, sizeof *p);
    se_rng_init(&p->rng, seed, SE_RNG_TEST);
    p->text = size->tiny ? 40 : 700; /* beyond two splits of attention */
    int r = random_model_init(&p->of, &shape->config, seed, false);
    if (r == 0)
        r = open_side(&p->cpu, p, &se_backend_cpu);
    if (r == 0)
        r = open_side(&p->gpu, p, &tap_ops);
    if (r == 0)
        r = compare_trees(p, size->tiny ? 1 : 5);
    p->off_all = sqrt(p->off_all / p->all);
    if (r == 0 && p->off_all > tolerance_of_all)
        r = se_fail(-ERANGE, "logits differ by %.2e, in the root mean square", p->off_all);
    if (r == 0 && p->clear == 0)
        r = se_fail(-ERANGE, "no row had a clear verdict");
    close_side(&p->cpu);
    close_side(&p->gpu);
    random_model_fini(&p->of);
    return r;
}

/* ---- what is not a number */

static int check_spoilt(const struct se_backend_ops *ops, struct random_model *m)
{
    const struct se_engine_options options = {
        .ops = ops, .max_rows = 8, .n_pages = 4, .kv_dtype = SE_DTYPE_F16
    };
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    const uint32_t token[] = { 3, 1, 2 };
    uint32_t path[3];
    struct se_engine *engine = NULL;
    struct se_seq *seq = NULL;
    int r = se_engine_new(&engine, &m->model, &options);
    if (r == 0)
        r = se_seq_new(&seq, se_engine_kv(engine));
    for (int turn = 0; r == 0 && turn < 3; turn++) { /* plain, captured, replayed */
        struct se_part part = { .seq = seq,
                                .token = token,
                                .n_rows = 3,
                                .want = SE_WANT_VERDICT,
                                .sampling = &greedy,
                                .path = path };
        const int got = se_step(engine, &part, 1);
        if (got != -EDOM)
            r = se_fail(-EILSEQ, "%s: a weight is not a number, and a step returns %d", ops->name,
                        got);
        else if (seq->len + seq->pending != 0)
            r = se_fail(-EILSEQ, "%s: a step has failed and left something behind", ops->name);
    }
    se_seq_free(seq);
    se_engine_free(engine);
    return r;
}

static int check_not_a_number(const struct check_size *size, const struct check_shape *shape)
{
    struct random_model m;
    int r = random_model_init(&m, &shape->config, size->seed, false);
    if (r == 0)
        random_model_spoil(&m);
    if (r == 0)
        r = check_spoilt(&se_backend_cpu, &m);
    if (r == 0)
        r = check_spoilt(&tap_ops, &m);
    random_model_fini(&m);
    return r;
}

void check_logits(const struct check_size *size)
{
    const struct check_shape *shape;
    const uint32_t n = check_shapes(size, &shape);
    struct pair pair;
    char what[64];
    for (uint32_t i = 0; i < n; i++) {
        const int r = check_shape(size, &shape[i], size->seed + i, &pair);
        snprintf(what, sizeof what, "logits: %s", shape[i].name);
        report_check(
            r, what,
            "off by %.1e, %.1e at most; %u of %u verdicts are clear, and equal; paths to %u",
            pair.off_all, pair.off, pair.clear, pair.compared, pair.longest);
    }
    report_check(check_not_a_number(size, &shape[0]), "a weight that is not a number",
                 "refused by both, plainly and replayed, and nothing is left of the step");
}
