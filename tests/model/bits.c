/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/bits.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/step.h"

enum { TREE_MAX = 40, OTHERS = 3, OTHERS_ROWS = 24, OTHERS_TEXT = 120, OTHERS_PAGES = 56 };

/* Company: sequences that grow at random, as chunks or trees, and are cut now and then. */
struct company {
    struct se_seq *seq[OTHERS];
    uint32_t token[OTHERS][OTHERS_ROWS];
    int32_t parent[OTHERS][OTHERS_ROWS];
    uint32_t id[OTHERS][OTHERS_ROWS * 2];
    float logprob[OTHERS][OTHERS_ROWS * 2];
};

struct world {
    const struct bits_case *of;
    struct se_rng *rng;
    struct se_engine *engine;
    struct se_seq *seq; /* goes along the text */
    struct company company;
    uint32_t hidden_n, vocab, n_pages;
    uint32_t *text, *path;
    float *hidden, *logits; /* the truth, per position */
    float *got_hidden, *got_logits;
    uint32_t checked;
};

static uint32_t at_most(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t rows_of_a_step(const struct bits_case *of)
{
    const uint32_t rows = of->chunk > of->batch ? of->chunk : of->batch;
    return rows > TREE_MAX ? rows : TREE_MAX;
}

static int open_engine(struct world *w, struct se_pool *pool, uint32_t rank_threads)
{
    const struct se_engine_options options = {
        .ops = w->of->ops,
        .pool = pool,
        .tp = w->of->ranks,
        .rank_threads = rank_threads,
        .max_rows = rows_of_a_step(w->of),
        .n_pages = w->n_pages,
        .kv_dtype = se_engine_kv_dtype(w->of->model),
    };
    int r = se_engine_new(&w->engine, w->of->model, &options);
    if (r == 0)
        r = se_seq_new(&w->seq, se_engine_kv(w->engine));
    for (int i = 0; r == 0 && i < OTHERS; i++)
        r = se_seq_new(&w->company.seq[i], se_engine_kv(w->engine));
    return r;
}

/* r, or that pages are lost. */
static int close_engine(struct world *w, int r)
{
    if (!w->engine)
        return r;
    se_seq_free(w->seq);
    w->seq = NULL;
    for (int i = 0; i < OTHERS; i++) {
        se_seq_free(w->company.seq[i]);
        w->company.seq[i] = NULL;
    }
    const uint32_t left = se_kv_pages_free(se_engine_kv(w->engine));
    if (r == 0 && left != w->n_pages)
        r = se_fail(-EINVAL, "%u of %u pages are back at the end", left, w->n_pages);
    se_engine_free(w->engine);
    w->engine = NULL;
    return r;
}

/* What is no failure of a step elsewhere is one here. */
static int run(struct world *w, struct se_part *part, uint32_t n)
{
    const int r = se_step(w->engine, part, n);
    return r > 0 ? se_fail(-ENOMEM, "no page is left") : r;
}

/* The truth: one row a step, no company. */
static int compute_truth(struct world *w)
{
    int r = open_engine(w, NULL, 1);
    for (uint32_t i = 0; r == 0 && i < w->of->text; i++) {
        w->text[i] = se_rng_below(w->rng, w->vocab);
        struct se_part part = {
            .seq = w->seq,
            .token = &w->text[i],
            .n_rows = 1,
            .want = SE_WANT_LOGITS,
            .logits = w->logits + (size_t)i * w->vocab,
            .hidden = w->hidden + (size_t)i * w->hidden_n,
        };
        r = run(w, &part, 1);
        if (r == 0)
            r = se_engine_commit(w->engine, w->seq, w->path, 1, NULL, 0);
    }
    return close_engine(w, r);
}

static int check_row(struct world *w, uint32_t position, uint32_t row, bool logits)
{
    const size_t hidden = w->hidden_n, vocab = w->vocab;
    if (memcmp(w->hidden + position * hidden, w->got_hidden + row * hidden, hidden * sizeof(float)))
        return se_fail(-EILSEQ, "position %u, row %u: the hidden state differs", position, row);
    if (logits &&
        memcmp(w->logits + position * vocab, w->got_logits + row * vocab, vocab * sizeof(float)))
        return se_fail(-EILSEQ, "position %u, row %u: the logits differ", position, row);
    w->checked++;
    return 0;
}

static struct se_part draw_other(struct world *w, int i, uint32_t rows)
{
    struct company *c = &w->company;
    struct se_seq *seq = c->seq[i];
    if (seq->len + rows > OTHERS_TEXT)
        se_seq_rewind(seq, se_rng_below(w->rng, seq->len + 1));
    se_seq_drop(seq, se_rng_below(w->rng, 2) ? 0 : seq->pending);
    const bool tree = seq->pending > 0 || se_rng_below(w->rng, 2);
    for (uint32_t k = 0; k < rows; k++) {
        c->token[i][k] = se_rng_below(w->rng, w->vocab);
        c->parent[i][k] = (int32_t)se_rng_below(w->rng, seq->pending + k + 1) - 1;
    }
    return (struct se_part){
        .seq = seq,
        .token = c->token[i],
        .parent = tree ? c->parent[i] : NULL,
        .n_rows = rows,
        .want = tree ? SE_WANT_TOPK : SE_WANT_NOTHING,
        .k = 2,
        .topk_id = c->id[i],
        .topk_logprob = c->logprob[i],
    };
}

/* The step of our part with 0 .. OTHERS others, before and behind it. */
static int run_in_company(struct world *w, struct se_part ours)
{
    struct se_part part[OTHERS + 1];
    uint32_t room = w->of->batch > ours.n_rows ? w->of->batch - ours.n_rows : 0, n = 0;
    const uint32_t before = se_rng_below(w->rng, OTHERS + 1);
    for (int i = 0; i < OTHERS; i++) {
        if ((uint32_t)i == before)
            part[n++] = ours;
        const uint32_t rows = se_rng_below(w->rng, 3) ? se_rng_below(w->rng, OTHERS_ROWS) : 0;
        if (rows < 1 || rows > room)
            continue;
        room -= rows;
        part[n++] = draw_other(w, i, rows);
    }
    if (before == OTHERS)
        part[n++] = ours;
    return run(w, part, n);
}

static struct se_part our_part(struct world *w, const uint32_t *token, const int32_t *parent,
                               uint32_t n)
{
    return (struct se_part){
        .seq = w->seq,
        .token = token,
        .parent = parent,
        .n_rows = n,
        .want = SE_WANT_LOGITS,
        .logits = w->got_logits,
        .hidden = w->got_hidden,
    };
}

/* A chunk of the text that becomes text; its hidden states are looked at when wanted. */
static int go_chunk(struct world *w, uint32_t n)
{
    const uint32_t at = w->seq->len;
    struct se_part part = our_part(w, w->text + at, NULL, n);
    const bool look = se_rng_below(w->rng, 2);
    part.want = SE_WANT_NOTHING;
    part.hidden = look ? w->got_hidden : NULL;
    int r = run_in_company(w, part);
    for (uint32_t i = 0; r == 0 && look && i < n; i++)
        r = check_row(w, at + i, i, false);
    return r;
}

static int go_decode(struct world *w)
{
    const uint32_t at = w->seq->len;
    int r = run_in_company(w, our_part(w, w->text + at, NULL, 1));
    if (r == 0)
        r = check_row(w, at, 0, true);
    return r < 0 ? r : se_engine_commit(w->engine, w->seq, w->path, 1, NULL, 0);
}

/* Nodes of an open tree that lie on the text. */
struct way {
    uint32_t node[TREE_MAX], n;
    int32_t last;
    uint32_t total; /* nodes of the tree */
};

static int grow_tree(struct world *w, struct way *way)
{
    uint32_t token[TREE_MAX], on_way[TREE_MAX], at = w->seq->len;
    const uint32_t rows = 1 + se_rng_below(w->rng, TREE_MAX / 3);
    int32_t parent[TREE_MAX];
    for (uint32_t i = 0; i < rows; i++, way->total++) {
        on_way[i] = UINT32_MAX;
        token[i] = se_rng_below(w->rng, w->vocab);
        parent[i] = (int32_t)se_rng_below(w->rng, way->total + 1) - 1;
        if (at + way->n < w->of->text && se_rng_below(w->rng, 2)) {
            token[i] = w->text[at + way->n];
            parent[i] = way->last;
            way->last = (int32_t)way->total;
            on_way[i] = at + way->n;
            way->node[way->n++] = way->total;
        }
    }
    int r = run_in_company(w, our_part(w, token, parent, rows));
    for (uint32_t i = 0; r == 0 && i < rows; i++)
        if (on_way[i] != UINT32_MAX)
            r = check_row(w, on_way[i], i, true);
    return r;
}

/* A tree: some nodes follow the text, others are anything; it grows over one to three steps,
 * and then a part of the way along the text is committed. */
static int go_tree(struct world *w)
{
    struct way way = { .last = SE_NODE_ROOT };
    const uint32_t at = w->seq->len, steps = 1 + se_rng_below(w->rng, 3);
    int r = 0;
    for (uint32_t s = 0; r == 0 && s < steps; s++)
        r = grow_tree(w, &way);
    if (r < 0)
        return r;
    const uint32_t keep = se_rng_below(w->rng, way.n + 1);
    r = se_engine_commit(w->engine, w->seq, way.node, keep, NULL, 0);
    if (r == 0 && w->seq->len != at + keep)
        r = se_fail(-EINVAL, "%u tokens after %u and a path of %u", w->seq->len, at, keep);
    return r;
}

/* Along the text in random ways. */
static int go_along(struct world *w)
{
    int r = open_engine(w, w->of->pool, w->of->rank_threads);
    while (r == 0 && w->seq->len < w->of->text) {
        const uint32_t left = at_most(w->of->text - w->seq->len, w->of->chunk);
        const uint32_t n = 1 + se_rng_below(w->rng, left);
        switch (se_rng_below(w->rng, 6)) {
        case 0:
            r = go_chunk(w, n);
            break;
        case 1:
            r = go_decode(w);
            break;
        case 2: /* back */
            se_seq_rewind(w->seq, w->seq->len - se_rng_below(w->rng, w->seq->len / 2 + 1));
            break;
        default:
            r = go_tree(w);
        }
    }
    return close_engine(w, r);
}

int bits_check(const struct bits_case *of, struct se_rng *rng, uint32_t *checked)
{
    const uint32_t rows = rows_of_a_step(of);
    struct world *w = se_mem_zero(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->of = of;
    w->rng = rng;
    w->hidden_n = of->model->config.hidden;
    w->vocab = of->model->config.vocab;
    w->n_pages = (of->text + TREE_MAX) / SE_PAGE_SLOTS + 2 + OTHERS_PAGES;
    w->text = se_mem_new(of->text, sizeof *w->text);
    w->path = se_mem_zero(1, sizeof *w->path);
    w->hidden = se_mem_new((size_t)of->text * w->hidden_n, sizeof *w->hidden);
    w->logits = se_mem_new((size_t)of->text * w->vocab, sizeof *w->logits);
    w->got_hidden = se_mem_new((size_t)rows * w->hidden_n, sizeof *w->got_hidden);
    w->got_logits = se_mem_new((size_t)rows * w->vocab, sizeof *w->got_logits);
    int r = -ENOMEM;
    if (w->text && w->path && w->hidden && w->logits && w->got_hidden && w->got_logits)
        r = compute_truth(w);
    if (r == 0)
        r = go_along(w);
    *checked += w->checked;
    se_mem_free(w->text);
    se_mem_free(w->path);
    se_mem_free(w->hidden);
    se_mem_free(w->logits);
    se_mem_free(w->got_hidden);
    se_mem_free(w->got_logits);
    se_mem_free(w);
    return r;
}
