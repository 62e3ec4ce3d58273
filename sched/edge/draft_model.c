/* SPDX-License-Identifier: Apache-2.0 */
/* A small model that drafts: a sequence of an engine, and the books of what it should hold. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/step.h"
#include "sched/edge/drafter.h"
#include "sched/edge/seen.h"

struct model_drafter {
    struct se_drafter drafter; /* first: a pointer to the one is a pointer to the other */
    struct se_engine *engine;
    struct se_seq *seq;
    struct se_seen seen;
};

static struct model_drafter *of(struct se_drafter *drafter)
{
    return (struct model_drafter *)drafter;
}

static void count(struct model_drafter *m)
{
    m->drafter.len = m->seen.len;
    m->drafter.rows = m->seen.n;
}

/* What can be refused before anything is touched. deepest: the last position of the call. */
static int check_call(const struct model_drafter *m, const uint32_t *id, uint32_t n,
                      uint64_t deepest)
{
    if (n > m->drafter.max_rows)
        return se_fail(-EINVAL, "%u rows in a call of the draft for at most %u", n,
                       m->drafter.max_rows);
    if (n > 0 && deepest >= m->drafter.context)
        return se_fail(-ERANGE, "the draft's context of %u tokens is full", m->drafter.context);
    return se_trace(se_seen_check(id, n, m->drafter.vocab));
}

/* A step of one part. A full pool is an error here: a drafter has it for itself. */
static int step(struct se_engine *engine, struct se_part *part)
{
    int r = se_step(engine, part, 1);
    if (r == SE_KV_FULL)
        return se_fail(-ENOMEM, "no page is left for the draft's keys and values: %u of %u, %u ids",
                       se_kv_pages_free(part->seq->kv), se_kv_pages(part->seq->kv),
                       part->seq->len + part->seq->pending + part->n_rows);
    return se_trace(r);
}

static int feed(struct se_drafter *drafter, const uint32_t *id, uint32_t n)
{
    struct model_drafter *m = of(drafter);
    uint32_t before = m->seen.len;
    struct se_part part = { .seq = m->seq, .token = id, .n_rows = n, .want = SE_WANT_NOTHING };
    int r = check_call(m, id, n, (uint64_t)before + n - 1);
    if (r == 0)
        r = se_seen_feed(&m->seen, id, n);
    if (r < 0)
        return se_trace(r);
    r = n > 0 ? step(m->engine, &part) : 0;
    if (r < 0)
        se_seen_rewind(&m->seen, before);
    count(m);
    return se_trace(r);
}

/* Rows of had successors become rows of k, and what the draft must not name goes. From the back,
 * because they lie in the same place. */
static void spread(const struct model_drafter *m, uint32_t n, uint32_t had, uint32_t k,
                   uint32_t *id, float *logprob)
{
    for (uint32_t row = n; row-- > 0;) {
        uint32_t *to = id + (size_t)row * k, at = 0;
        float *to_logprob = logprob + (size_t)row * k;
        memmove(to, id + (size_t)row * had, had * sizeof *id);
        memmove(to_logprob, logprob + (size_t)row * had, had * sizeof *logprob);
        for (uint32_t i = 0; i < had; i++) {
            if (to[i] >= m->drafter.vocab)
                continue;
            to[at] = to[i];
            to_logprob[at++] = fminf(to_logprob[i], 0); /* rounding may leave it above */
        }
        for (; at < k; at++) {
            to[at] = 0;
            to_logprob[at] = -INFINITY;
        }
    }
}

static uint64_t deepest_row(const struct se_seen *seen)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < seen->n; i++)
        depth = seen->row[i].depth > depth ? seen->row[i].depth : depth;
    return (uint64_t)seen->len + depth;
}

/* The target chooses from a kept set; the draft's own idea of that set is nearly the same one, and
 * noise that lifts what the target has cut only misleads. Near is not equal: a little more is kept.
 * With the bundled pair, 40 prompts of 96 tokens (tests/bench/coupling.c), tokens per verify with
 * all tokens, with the target's cut, and with this one:
 *
 *                          budget 32               budget 8
 *     T 0.7, top-p 0.9     4.54   4.75   4.77      3.33   3.64   3.57
 *     T 1.0, top-k 40      3.76   4.26   4.34      2.83   3.29   3.21 */
static void soften(struct se_sampling *sampling)
{
    const double share = 0.7;
    sampling->top_p = 1 - (1 - sampling->top_p) * share;
    sampling->min_p *= share;
    if (sampling->top_k <= UINT32_MAX / 2)
        sampling->top_k = (uint32_t)ceil(sampling->top_k / share);
}

/* Sharpening says how far to trust the draft: its logits are off by something that does not shrink
 * with the target's temperature, as logit / temp and the noise do. Below LEAST_TEMP the trust no
 * longer grows; at temperature 0, where there is no noise, it alone remains. Measured as above, 20
 * prompts, tokens per verify of a target without temperature by what the draft divides its logits
 * by:
 *
 *                              1     0.5     0.3     0.2     0.1    0.05
 *     budget 8, depth 6     2.92    4.11    4.47    4.53    4.42    4.39
 *     budget 32, depth 6    3.89    5.51    5.86    5.90    5.79    5.77
 *     budget 64, depth 16   4.45    7.05    8.28    8.40    8.00    7.63 */
static const double LEAST_TEMP = 0.4;

/* What a step is told: the drafter's settings as they serve best. */
static void settle(const struct se_drafter *drafter, struct se_sampling *sampling, float *sharpen)
{
    double temp = drafter->sampling.temp;
    *sampling = drafter->sampling;
    *sharpen = drafter->sharpen;
    if (temp > 0)
        soften(sampling);
    if (*sharpen == 0 || temp >= LEAST_TEMP)
        return;
    if (temp > 0) {
        *sharpen *= (float)(temp / LEAST_TEMP);
        return;
    }
    *sampling = SE_SAMPLING_GREEDY;
    sampling->temp = fmax(LEAST_TEMP / (double)*sharpen, 1e-6);
    *sharpen = 0;
}

static int forward(struct se_drafter *drafter, const uint32_t *token, const int32_t *parent,
                   uint32_t n, uint32_t k, uint32_t *topk_id, float *topk_logprob)
{
    struct model_drafter *m = of(drafter);
    uint32_t before = m->seen.n;
    struct se_sampling sampling;
    float sharpen;
    settle(drafter, &sampling, &sharpen);
    struct se_part part = { .seq = m->seq,
                            .token = token,
                            .parent = parent,
                            .n_rows = n,
                            .want = SE_WANT_TOPK,
                            .k = k < drafter->vocab ? k : drafter->vocab,
                            .topk_id = topk_id,
                            .topk_logprob = topk_logprob,
                            .sampling = &sampling,
                            .sharpen = sharpen };
    int r = se_seen_open(&m->seen, token, parent, n);
    if (r < 0)
        return se_trace(r);
    r = check_call(m, token, n, deepest_row(&m->seen));
    if (r == 0 && n > 0)
        r = step(m->engine, &part);
    if (r < 0)
        se_seen_drop(&m->seen, before);
    else
        spread(m, n, part.k, k, topk_id, topk_logprob);
    count(m);
    return se_trace(r);
}

static int commit(struct se_drafter *drafter, const uint32_t *path, uint32_t n,
                  const uint32_t *keep, uint32_t n_keep)
{
    struct model_drafter *m = of(drafter);
    int r = se_seen_prepare(&m->seen, path, n, keep, n_keep);
    if (r == 0)
        r = se_engine_commit(m->engine, m->seq, path, n, keep, n_keep);
    if (r < 0)
        return se_trace(r);
    se_seen_commit(&m->seen, path, n, keep, n_keep);
    count(m);
    return 0;
}

static void rewind_to(struct se_drafter *drafter, uint32_t len)
{
    struct model_drafter *m = of(drafter);
    se_seq_rewind(m->seq, len);
    se_seen_rewind(&m->seen, len);
    count(m);
}

/* The check. A second sequence gets the same text and rows; then the same tokens are hung on the
 * text and on every row of both. What a token makes of the keys and values above it, all of them,
 * is in the ids and log-probabilities that follow, and these must agree in every bit. */

enum { PROBES = 3, PROBE_TOP = 64, PROBE_ROWS = 32 };

struct probe {
    struct se_seq *seq;
    const struct se_seen *seen;
    uint32_t token[PROBE_ROWS];
    int32_t parent[PROBE_ROWS];
    uint32_t n, top;
    uint32_t id[2][PROBE_ROWS * PROBE_TOP];
    float logprob[2][PROBE_ROWS * PROBE_TOP];
};

/* The engine's own books agree with ours. */
static int check_books(const struct model_drafter *m)
{
    const struct se_seq *seq = m->seq;
    const struct se_seen *seen = &m->seen;
    if (seq->len != seen->len || seq->pending != seen->n)
        return se_fail(-EBADMSG, "the draft holds %u ids and %u rows of %u and %u", seq->len,
                       seq->pending, seen->len, seen->n);
    for (uint32_t i = 0; i < seen->n; i++) {
        const struct se_node *node = &seq->node[i];
        if (node->token != seen->row[i].token || node->parent != seen->row[i].parent ||
            node->depth != seen->row[i].depth)
            return se_fail(-EBADMSG, "row %u of the draft is token %u on row %d, not %u on %d", i,
                           node->token, node->parent, seen->row[i].token, seen->row[i].parent);
    }
    return 0;
}

/* Text and rows anew, chunk by chunk. */
static int recompute(struct model_drafter *m, struct probe *p)
{
    const struct se_seen *seen = &m->seen;
    uint32_t chunk = m->drafter.max_rows < PROBE_ROWS ? m->drafter.max_rows : PROBE_ROWS;
    int r = 0;
    for (uint32_t at = 0; r == 0 && at < seen->len; at += chunk) {
        uint32_t n = seen->len - at < chunk ? seen->len - at : chunk;
        struct se_part part = { .seq = p->seq, .token = seen->text + at, .n_rows = n };
        r = step(m->engine, &part);
    }
    for (uint32_t at = 0; r == 0 && at < seen->n; at += chunk) {
        uint32_t n = seen->n - at < chunk ? seen->n - at : chunk;
        for (uint32_t i = 0; i < n; i++) {
            p->token[i] = seen->row[at + i].token;
            p->parent[i] = seen->row[at + i].parent;
        }
        struct se_part part = { .seq = p->seq,
                                .token = p->token,
                                .parent = p->parent,
                                .n_rows = n,
                                .want = SE_WANT_TOPK,
                                .k = 1,
                                .topk_id = p->id[0],
                                .topk_logprob = p->logprob[0] };
        r = step(m->engine, &part);
    }
    return se_trace(r);
}

static int compare_row(const struct probe *p, uint32_t row)
{
    for (uint32_t i = row * p->top; i < (row + 1) * p->top; i++) {
        if (p->id[0][i] == p->id[1][i] &&
            memcmp(&p->logprob[0][i], &p->logprob[1][i], sizeof(float)) == 0)
            continue;
        return se_fail(-EBADMSG,
                       "behind row %d (-1: the text of %u ids) and a token %u the draft ranks "
                       "token %u with %.9g; a fresh pass, token %u with %.9g",
                       p->parent[row], p->seen->len, p->token[row], p->id[0][i],
                       (double)p->logprob[0][i], p->id[1][i], (double)p->logprob[1][i]);
    }
    return 0;
}

/* Hangs the probes on both sequences and takes them off again. */
static int compare(struct model_drafter *m, struct probe *p)
{
    struct se_seq *const seq[2] = { m->seq, p->seq };
    int r = 0;
    for (int side = 0; r == 0 && p->n > 0 && side < 2; side++) {
        struct se_part part = { .seq = seq[side],
                                .token = p->token,
                                .parent = p->parent,
                                .n_rows = p->n,
                                .want = SE_WANT_TOPK,
                                .k = p->top,
                                .topk_id = p->id[side],
                                .topk_logprob = p->logprob[side] };
        r = step(m->engine, &part);
        se_seq_drop(seq[side], m->seen.n);
    }
    for (uint32_t i = 0; r == 0 && i < p->n; i++)
        r = compare_row(p, i);
    p->n = 0;
    return se_trace(r);
}

/* Nothing hangs where the context ends: what is there is never read again. */
static int probe(struct model_drafter *m, struct probe *p)
{
    const struct se_seen *seen = &m->seen;
    uint32_t most = m->drafter.max_rows < PROBE_ROWS ? m->drafter.max_rows : PROBE_ROWS;
    int r = 0;
    for (int32_t row = -1; r == 0 && row < (int32_t)seen->n; row++) {
        uint32_t depth = row < 0 ? 0 : seen->row[row].depth + 1;
        if ((uint64_t)seen->len + depth >= m->drafter.context)
            continue;
        for (uint32_t i = 0; r == 0 && i < PROBES; i++) {
            p->token[p->n] = (uint32_t)(((uint64_t)(uint32_t)(row + 1) * PROBES + i) * 2654435761u %
                                        m->drafter.vocab);
            p->parent[p->n++] = row;
            if (p->n == most)
                r = compare(m, p);
        }
    }
    return r < 0 ? se_trace(r) : se_trace(compare(m, p));
}

static int check(struct se_drafter *drafter)
{
    struct model_drafter *m = of(drafter);
    int r = check_books(m);
    if (r < 0)
        return se_trace(r);
    struct probe *p = se_mem_zero(1, sizeof *p);
    if (!p)
        return se_trace(-ENOMEM);
    p->seen = &m->seen;
    p->top = drafter->vocab < PROBE_TOP ? drafter->vocab : PROBE_TOP;
    r = se_seq_new(&p->seq, se_engine_kv(m->engine));
    if (r == 0)
        r = recompute(m, p);
    if (r == 0)
        r = probe(m, p);
    se_seq_free(p->seq);
    se_mem_free(p);
    return se_trace(r);
}

static void close_model(struct se_drafter *drafter)
{
    struct model_drafter *m = of(drafter);
    se_seq_free(m->seq);
    se_seen_fini(&m->seen);
    se_mem_free(m);
}

static const struct se_drafter_ops ops = {
    .name = "model",
    .feed = feed,
    .forward = forward,
    .commit = commit,
    .rewind = rewind_to,
    .check = check,
    .close = close_model,
};

int se_drafter_model(struct se_drafter **out, struct se_engine *engine, uint32_t vocab,
                     uint32_t context, uint32_t max_rows)
{
    if (vocab < 1 || context < 1 || max_rows < 1)
        return se_fail(-EINVAL, "a draft of %u ids, %u positions and %u rows a call", vocab,
                       context, max_rows);
    struct model_drafter *m = se_mem_zero(1, sizeof *m);
    if (!m)
        return se_trace(-ENOMEM);
    m->engine = engine;
    int r = se_seq_new(&m->seq, se_engine_kv(engine));
    if (r < 0) {
        se_mem_free(m);
        return se_trace(r);
    }
    m->drafter = (struct se_drafter){ .ops = &ops,
                                      .name = ops.name,
                                      .vocab = vocab,
                                      .context = context,
                                      .max_rows = max_rows,
                                      .sampling = SE_SAMPLING_GREEDY };
    *out = &m->drafter;
    return 0;
}
