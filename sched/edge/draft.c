/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/edge/draft.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/shape.h"

enum { LEAD_MOST = 8 }; /* text that is forwarded with the root instead of being fed first */

void se_draft_init(struct se_draft *d, struct se_drafter *drafter, bool learned)
{
    *d = (struct se_draft){ .drafter = drafter, .learned = learned, .limit = UINT32_MAX };
    se_worth_init(&d->worth);
}

void se_draft_fini(struct se_draft *d)
{
    se_tree_fini(&d->tree);
    se_grow_fini(&d->grow);
    se_bet_fini(&d->bet);
    se_mem_free(d->bucket);
    se_mem_free(d->said);
    se_mem_free(d->front);
    se_mem_free(d->likely);
    se_mem_free(d->id);
    se_mem_free(d->logprob);
    se_mem_free(d->map);
    se_mem_free(d->commit);
    se_mem_free(d->keep);
    se_mem_free(d->token);
    se_mem_free(d->parent);
}

static int room(void *array, size_t *cap, size_t need, size_t size_b)
{
    return se_mem_grow(array, cap, need, size_b);
}

/* ---- text */

bool se_draft_can(const struct se_draft *d, const uint32_t *text, uint32_t n)
{
    if (!d->drafter || n > d->drafter->context)
        return false;
    for (uint32_t i = d->drafter->len < n ? d->drafter->len : n; i < n; i++)
        if (text[i] >= d->drafter->vocab)
            return false;
    return true;
}

void se_draft_cut(struct se_draft *d, uint32_t same)
{
    if (!d->drafter)
        return;
    d->drafter->ops->rewind(d->drafter, same < d->drafter->len ? same : d->drafter->len);
    d->rooted = d->betting = d->grew = false;
    d->sent = 0;
}

int se_draft_follow(struct se_draft *d, const uint32_t *text, uint32_t n)
{
    struct se_drafter *drafter = d->drafter;
    /* Rounds without a level leave what they brought to be forwarded; it must not become more
     * than a call can take. */
    if (d->rooted && d->tree.token[0] == text[n - 1] && drafter->len + d->tree.n_lead + 1 == n &&
        d->tree.n_lead <= LEAD_MOST)
        return 0;
    if (drafter->rows > 0 || drafter->len > n - 1)
        drafter->ops->rewind(drafter, drafter->len < n - 1 ? drafter->len : n - 1);
    d->rooted = d->betting = d->grew = false;
    d->sent = 0;
    uint32_t lead = n - 1 - drafter->len;
    if (lead > LEAD_MOST) {
        uint32_t rows = lead < drafter->max_rows ? lead : drafter->max_rows;
        int r = drafter->ops->feed(drafter, text + drafter->len, rows);
        return r < 0 ? se_trace(r) : SE_DRAFT_MORE;
    }
    int r = se_tree_reset(&d->tree, text[n - 1], lead);
    if (r == 0)
        r = room(&d->bucket, &d->bucket_cap, 1, sizeof *d->bucket);
    d->rooted = r == 0;
    return se_trace(r);
}

/* ---- forwarding */

/* Ids that the target does not have go to the end, where nothing is. */
static void leave_out(const struct se_draft *d, uint32_t *id, float *logprob, uint32_t k)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < k; i++) {
        if (id[i] >= d->limit || logprob[i] == -INFINITY)
            continue;
        id[n] = id[i];
        logprob[n++] = logprob[i];
    }
    /* What follows is never looked at: -INFINITY is no candidate. But ids must differ. */
    for (uint32_t i = n, spare = UINT32_MAX; i < k; i++) {
        id[i] = spare--;
        logprob[i] = -INFINITY;
    }
}

/* Rows of the frontier, with the text that leads to the root before it. *id and *logprob: k of
 * each per node of the frontier. */
static int forward(struct se_draft *d, const uint32_t *token, const int32_t *parent, uint32_t n,
                   bool root, uint32_t k, const uint32_t *text, uint32_t n_text)
{
    uint32_t lead = root ? d->tree.n_lead : 0, rows = lead + n;
    if (room(&d->id, &d->id_cap, (size_t)rows * k, sizeof *d->id) < 0 ||
        room(&d->logprob, &d->logprob_cap, (size_t)rows * k, sizeof *d->logprob) < 0 ||
        room(&d->token, &d->token_cap, rows, sizeof *d->token) < 0 ||
        room(&d->parent, &d->parent_cap, rows, sizeof *d->parent) < 0)
        return se_trace(-ENOMEM);
    for (uint32_t i = 0; i < lead; i++) {
        d->token[i] = text[n_text - 1 - lead + i];
        d->parent[i] = (int32_t)i - 1;
    }
    memcpy(d->token + lead, token, n * sizeof *token);
    memcpy(d->parent + lead, parent, n * sizeof *parent);
    int r = d->drafter->ops->forward(d->drafter, d->token, d->parent, rows, k, d->id, d->logprob);
    if (r < 0)
        return se_trace(r);
    memmove(d->id, d->id + (size_t)lead * k, (size_t)n * k * sizeof *d->id);
    memmove(d->logprob, d->logprob + (size_t)lead * k, (size_t)n * k * sizeof *d->logprob);
    for (uint32_t i = 0; i < n; i++)
        leave_out(d, d->id + (size_t)i * k, d->logprob + (size_t)i * k, k);
    return 0;
}

/* Log-probabilities become logarithms of what they turned out to be worth, which falls as they
 * do; what was said stays in said[], as buckets. */
static int value(struct se_draft *d, uint32_t n, uint32_t k)
{
    size_t all = (size_t)n * k;
    if (room(&d->said, &d->said_cap, all, sizeof *d->said) < 0)
        return se_trace(-ENOMEM);
    for (size_t i = 0; i < all; i++) {
        d->said[i] = (uint8_t)se_worth_bucket(d->logprob[i]);
        if (d->learned && d->logprob[i] != -INFINITY)
            d->logprob[i] = logf(se_worth_of(&d->worth, d->said[i]));
    }
    return 0;
}

/* ---- growing */

static struct se_grow_config within(const struct se_draft *d, const struct se_grow_config *config)
{
    struct se_grow_config own = *config;
    /* Rows lie within the draft's context: none is deeper below the root than this. */
    uint32_t left = d->drafter->context - (d->drafter->len + d->tree.n_lead);
    uint32_t beams = d->drafter->max_rows - LEAD_MOST;
    if (d->learned)
        own.decay = 1;
    own.max_depth = own.max_depth < left ? own.max_depth : left;
    own.max_n_beams = own.max_n_beams < beams ? own.max_n_beams : beams;
    return own;
}

int se_draft_begin(struct se_draft *d, const struct se_grow_config *config)
{
    struct se_grow_config own = within(d, config);
    d->betting = d->grew = false;
    d->sent = 0;
    return se_trace(se_grow_begin(&d->grow, &own, &d->tree));
}

/* Where a node that was just added stands among the successors. */
static uint8_t said_of(const struct se_draft *d, uint32_t node, uint32_t n, uint32_t k)
{
    for (uint32_t row = 0; row < n; row++) {
        if (d->front[row] != (uint32_t)d->tree.parent[node])
            continue;
        for (uint32_t i = 0; i < k; i++)
            if (d->id[(size_t)row * k + i] == d->tree.token[node])
                return d->said[(size_t)row * k + i];
    }
    return SE_WORTH_BUCKETS - 1;
}

static float likely_of(const struct se_draft *d, uint32_t node)
{
    return expf(d->tree.score[node]);
}

int se_draft_level(struct se_draft *d, const uint32_t *text, uint32_t n_text)
{
    struct se_grow *g = &d->grow;
    uint32_t n = g->n_frontier, k = g->config.max_branch_width, before = d->tree.n;
    if (n == 0)
        return 0;
    if (room(&d->front, &d->front_cap, n, sizeof *d->front) < 0)
        return se_trace(-ENOMEM);
    memcpy(d->front, g->node, n * sizeof *g->node);
    d->hung = d->added = 0;
    for (uint32_t i = 0; i < n; i++)
        d->hung += likely_of(d, d->front[i]);
    int r = forward(d, g->token, g->parent, n, g->node[0] == 0, k, text, n_text);
    if (r == 0)
        r = value(d, n, k);
    if (r == 0)
        r = se_grow_level(g, d->id, d->logprob, k);
    if (r == 0)
        r = room(&d->bucket, &d->bucket_cap, d->tree.n, sizeof *d->bucket);
    if (r < 0)
        return se_trace(r);
    for (uint32_t node = before; node < d->tree.n; node++) {
        d->bucket[node] = said_of(d, node, n, k);
        d->added += likely_of(d, node);
    }
    return g->n_frontier > 0 ? SE_DRAFT_MORE : 0;
}

float se_draft_frontier(const struct se_draft *d)
{
    float sum = 0;
    for (uint32_t i = 0; i < d->grow.n_frontier; i++)
        sum += likely_of(d, d->grow.node[i]);
    return sum;
}

float se_draft_surest(const struct se_draft *d)
{
    float best = 0;
    for (uint32_t i = 0; i < d->tree.n; i++) {
        bool leaf = true;
        for (uint32_t k = i + 1; k < d->tree.n && leaf; k++)
            leaf = d->tree.parent[k] != (int32_t)i;
        if (leaf)
            best = fmaxf(best, likely_of(d, i));
    }
    return best;
}

static int falling(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return *x > *y ? -1 : *x < *y;
}

const float *se_draft_likely(struct se_draft *d, uint32_t *n)
{
    *n = 0;
    if (room(&d->likely, &d->likely_cap, d->tree.n, sizeof *d->likely) < 0)
        return d->likely;
    for (uint32_t i = 1; i < d->tree.n; i++)
        d->likely[(*n)++] = likely_of(d, i);
    if (*n > 1) /* of none there may be no array */
        qsort(d->likely, *n, sizeof *d->likely, falling);
    return d->likely;
}

/* Nodes went: their buckets go, and the others' move up. */
static void move_buckets(struct se_draft *d, const int32_t *map, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (map[i] >= 0)
            d->bucket[map[i]] = d->bucket[i];
}

/* A growth keeps one node at least; here nothing may be worth sending. */
static int keep_root(struct se_draft *d)
{
    uint32_t n = d->tree.n;
    if (room(&d->said, &d->said_cap, n, sizeof *d->said) < 0 ||
        room(&d->map, &d->map_cap, n, sizeof *d->map) < 0)
        return se_trace(-ENOMEM);
    memset(d->said, 0, n);
    d->said[0] = 1;
    int r = se_prune_keep(&d->tree, d->said, d->map);
    if (r == 0)
        move_buckets(d, d->map, n);
    return se_trace(r);
}

int se_draft_finish(struct se_draft *d, uint32_t budget)
{
    const int32_t *map;
    uint32_t n = d->tree.n;
    d->grew = true;
    if (budget == 0)
        return se_trace(keep_root(d));
    if (budget < d->grow.config.max_budget)
        d->grow.config.max_budget = budget;
    int r = se_grow_finish(&d->grow, &map);
    if (r == 0)
        move_buckets(d, map, n);
    return se_trace(r);
}

int se_draft_send(struct se_draft *d, int32_t *parent, uint32_t *id, uint16_t *order, uint32_t *n,
                  uint32_t *depth)
{
    if (d->tree.n > SE_TREE_MAX || !se_shape_order(d->tree.parent, d->tree.n, order))
        return se_fail(-EINVAL, "a draft of %u nodes cannot travel", d->tree.n);
    se_shape_arrange(d->tree.parent, d->tree.token, d->tree.n, order, parent, id);
    *n = d->sent = d->tree.n;
    *depth = 0;
    for (uint32_t i = 0; i < d->tree.n; i++)
        *depth = d->tree.depth[i] > *depth ? d->tree.depth[i] : *depth;
    d->betting = false;
    return 0;
}

/* ---- the bet */

static int choose_bet(struct se_draft *d, const struct se_grow_config *config, const uint32_t *text,
                      uint32_t n_text)
{
    struct se_grow_config own = within(d, config);
    uint32_t node;
    int r = se_bet_leaves(&d->bet, &own, &d->tree);
    if (r == SE_BET_NONE)
        return 0;
    if (r == 0 && d->bet.n_leaves > 0) {
        uint32_t n = d->bet.n_leaves;
        r = forward(d, d->bet.token, d->bet.parent, n, d->bet.node[0] == 0, 1, text, n_text);
        if (r == 0)
            r = value(d, n, 1);
        if (r == 0)
            r = se_bet_seen(&d->bet, d->id, d->logprob, 1);
    }
    if (r == 0)
        r = se_bet_choose(&d->bet, &node);
    if (r != 0)
        return r == SE_BET_NONE ? 0 : se_trace(r);
    r = room(&d->bucket, &d->bucket_cap, d->tree.n, sizeof *d->bucket);
    if (r == 0)
        r = se_grow_begin_bet(&d->grow, &own, &d->tree, node);
    if (r < 0)
        return se_trace(r);
    d->bucket[node] = 0;
    d->betting = true;
    d->grew = d->grow.n_frontier == 0;
    return d->grew ? 0 : SE_DRAFT_MORE;
}

int se_draft_ahead(struct se_draft *d, const struct se_grow_config *config, const uint32_t *text,
                   uint32_t n_text)
{
    if (!d->betting)
        return choose_bet(d, config, text, n_text);
    if (d->grew)
        return 0;
    int r = se_draft_level(d, text, n_text);
    if (r == 0)
        r = se_draft_finish(d, UINT32_MAX);
    return se_trace(r);
}

uint32_t se_draft_ahead_levels(const struct se_draft *d)
{
    return d->betting ? d->grow.n_levels : 0;
}

/* ---- the answer */

/* Below every accepted node: who was offered, and who was taken? */
static void learn(struct se_draft *d, const uint32_t *path, uint32_t n_path, uint32_t bonus)
{
    const struct se_tree *tree = &d->tree;
    uint32_t offered = d->sent ? d->sent : tree->n;
    for (uint32_t i = 1; i < offered; i++) {
        uint32_t on = 0;
        for (uint32_t k = 0; k < n_path && on == 0; k++)
            on = path[k] == (uint32_t)tree->parent[i] ? k + 1 : 0;
        if (on == 0)
            continue;
        uint32_t next = on < n_path ? tree->token[path[on]] : bonus;
        se_worth_note(&d->worth, d->bucket[i], tree->token[i] == next);
    }
    d->worth.seen += n_path;
    se_worth_settle(&d->worth);
}

int se_draft_answer(struct se_draft *d, const uint32_t *path, uint32_t n_path, uint32_t bonus,
                    bool *hit)
{
    uint32_t n = d->tree.n;
    *hit = false;
    if (room(&d->map, &d->map_cap, n, sizeof *d->map) < 0 ||
        room(&d->keep, &d->keep_cap, n, sizeof *d->keep) < 0 ||
        room(&d->commit, &d->commit_cap, (size_t)d->tree.n_lead + n_path, sizeof *d->commit) < 0)
        return se_trace(-ENOMEM);
    if (d->betting && !d->grew) { /* in the middle of a growth: it ends here */
        int r = se_draft_finish(d, UINT32_MAX);
        if (r < 0)
            return se_trace(r);
        n = d->tree.n;
    }
    learn(d, path, n_path, bonus);
    struct se_reroot reroot = { .map = d->map, .commit = d->commit, .keep = d->keep };
    int r = se_prune_reroot(&d->tree, path, n_path, bonus, &reroot);
    if (r < 0)
        return se_trace(r);
    move_buckets(d, d->map, n);
    d->betting = d->grew = false;
    d->sent = 0;
    *hit = reroot.hit;
    r = d->drafter->ops->commit(d->drafter, reroot.commit, reroot.n_commit, reroot.keep,
                                reroot.n_keep);
    if (r < 0)
        d->rooted = false;
    return se_trace(r);
}
