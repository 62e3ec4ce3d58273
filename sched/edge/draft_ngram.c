/* SPDX-License-Identifier: Apache-2.0 */
/* Drafts what followed before: of every run of 1 to longest ids of the text, the index knows the
 * last place, and of every place, the one before with the same run.
 *
 *     text     the cat sat . the cat ran . the cat
 *     runs of 2 that end here  ^ ────────── ^          newest first: "ran", "sat" may follow
 *
 * A place is in the index once it has a successor. Places come and go at the end of the text only;
 * a run's cell in a table (open addressing) is made by its first place, so that cells are emptied
 * in the reverse order of their making, and no search is ever cut short by a hole. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/tree/tree.h"
#include "sched/edge/drafter.h"
#include "sched/edge/seen.h"

enum { LONGEST_MAX = 16, WALK = 32, FOUND_MAX = 64, ROWS_MAX = SE_TREE_MAX };

struct found {
    uint32_t token;
    uint32_t count;
    float logprob;
};

struct ngram_drafter {
    struct se_drafter drafter; /* first: a pointer to the one is a pointer to the other */
    struct se_seen seen;
    uint32_t longest;
    uint32_t indexed; /* places 0 to indexed - 1: all but the text's last */
    /* Both hold 1 + a place, or 0. cell: a table of n_cells for every length. before: per place and
     * length, the place before with the same run. */
    uint32_t *cell, *before;
    uint32_t n_cells; /* a power of two, at least twice the places */
    size_t before_cap;
};

static struct ngram_drafter *of(struct se_drafter *drafter)
{
    return (struct ngram_drafter *)drafter;
}

static void count(struct ngram_drafter *g)
{
    g->drafter.len = g->seen.len;
    g->drafter.rows = g->seen.n;
}

/* The last ids of something, the last one first, and of each length a hash. */
struct run {
    uint32_t id[LONGEST_MAX];
    uint32_t hash[LONGEST_MAX];
    uint32_t n;
};

static void add_to_run(struct run *run, uint32_t id)
{
    uint32_t hash = run->n > 0 ? run->hash[run->n - 1] : 0;
    hash = (hash ^ id) * 0x9e3779b1u;
    hash ^= hash >> 15;
    run->id[run->n] = id;
    run->hash[run->n++] = hash * 0x85ebca77u;
}

/* The run that ends with text[len - 1] goes into what there is already. */
static void add_text(const struct ngram_drafter *g, struct run *run, uint32_t len)
{
    while (run->n < g->longest && len > 0)
        add_to_run(run, g->seen.text[--len]);
}

/* The cell of the run's first n ids, or the empty one that they would get. */
static uint32_t *find(const struct ngram_drafter *g, const struct run *run, uint32_t n)
{
    uint32_t *cell = g->cell + (size_t)(n - 1) * g->n_cells, mask = g->n_cells - 1;
    uint32_t at = (run->hash[n - 1] ^ run->hash[n - 1] >> 16) & mask;
    for (; cell[at]; at = (at + 1) & mask) {
        const uint32_t *end = g->seen.text + cell[at] - 1;
        uint32_t same = 0;
        while (same < n && end[-(ptrdiff_t)same] == run->id[same])
            same++;
        if (same == n)
            break;
    }
    return cell + at;
}

static uint32_t *before(const struct ngram_drafter *g, uint32_t place)
{
    return g->before + (size_t)place * g->longest;
}

static void index_place(struct ngram_drafter *g, uint32_t place)
{
    struct run run = { .n = 0 };
    add_text(g, &run, place + 1);
    for (uint32_t n = 1; n <= run.n; n++) {
        uint32_t *cell = find(g, &run, n);
        before(g, place)[n - 1] = *cell;
        *cell = place + 1;
    }
}

static void forget_place(struct ngram_drafter *g, uint32_t place)
{
    struct run run = { .n = 0 };
    add_text(g, &run, place + 1);
    for (uint32_t n = 1; n <= run.n; n++)
        *find(g, &run, n) = before(g, place)[n - 1];
}

/* Room for a text of len ids, or nothing changed. */
static int reserve(struct ngram_drafter *g, uint64_t len)
{
    uint64_t n_cells = g->n_cells ? g->n_cells : 256;
    while (n_cells < 2 * len)
        n_cells *= 2;
    if (n_cells > UINT32_MAX)
        return se_fail(-ENOMEM, "a text of %llu ids is too long", (unsigned long long)len);
    int r = se_mem_grow(&g->before, &g->before_cap, (size_t)len * g->longest, sizeof *g->before);
    if (r < 0 || n_cells == g->n_cells)
        return se_trace(r);
    uint32_t *cell = se_mem_zero((size_t)n_cells * g->longest, sizeof *cell);
    if (!cell)
        return se_trace(-ENOMEM);
    se_mem_free(g->cell);
    g->cell = cell;
    g->n_cells = (uint32_t)n_cells;
    for (uint32_t place = 0; place < g->indexed; place++)
        index_place(g, place);
    return 0;
}

/* The text has grown. */
static void catch_up(struct ngram_drafter *g)
{
    while (g->indexed + 1 < g->seen.len)
        index_place(g, g->indexed++);
    count(g);
}

static int feed(struct se_drafter *drafter, const uint32_t *id, uint32_t n)
{
    struct ngram_drafter *g = of(drafter);
    if (n > drafter->max_rows)
        return se_fail(-EINVAL, "%u ids in a call of the draft for at most %u", n,
                       drafter->max_rows);
    int r = se_seen_check(id, n, drafter->vocab);
    if (r == 0)
        r = reserve(g, (uint64_t)g->seen.len + n);
    if (r == 0)
        r = se_seen_feed(&g->seen, id, n);
    if (r < 0)
        return se_trace(r);
    catch_up(g);
    return 0;
}

static void sort(struct found *found, uint32_t n, bool by_count)
{
    for (uint32_t i = 1; i < n; i++) {
        struct found f = found[i];
        uint32_t at = i;
        for (; at > 0 &&
               (by_count ? found[at - 1].count < f.count : found[at - 1].logprob < f.logprob);
             at--)
            found[at] = found[at - 1];
        found[at] = f;
    }
}

/* Of the newest WALK places of a run, what followed and was not found behind longer ones. Adds to
 * found[0..n-1], the most frequent first, of those the newest; returns how many there are. */
static uint32_t collect(const struct ngram_drafter *g, const struct run *run, uint32_t length,
                        struct found *found, uint32_t n, uint32_t *total)
{
    uint32_t old = n, place = *find(g, run, length);
    *total = 0;
    for (uint32_t walked = 0; place && walked < WALK; walked++) {
        uint32_t token = g->seen.text[place], at = 0; /* place is 1 more than the place */
        while (at < n && found[at].token != token)
            at++;
        if (at == n)
            found[n++] = (struct found){ .token = token };
        if (at >= old) {
            found[at].count++;
            ++*total;
        }
        place = before(g, place - 1)[length - 1];
    }
    sort(found + old, n - old, true);
    return n;
}

/* What may follow a run. A run of length m whose places were followed by d new tokens, c times
 * together, leaves them c / (c + d / m) of the probability that longer runs have left: the longer
 * the run, the surer.
 *
 * The noise of the target's sampling stays out of it. A token of probability p has won when its
 * noise g is known with exp(-(1 - p) / p * exp(-g)), but ranked by that (tests/bench/coupling.c)
 * no temperature brought more: these probabilities are too rough. */
static uint32_t look_up(const struct ngram_drafter *g, const struct run *run, uint32_t k,
                        struct found *found)
{
    double left = 1;
    uint32_t n = 0, total;
    for (uint32_t length = run->n; g->n_cells && length > 0 && n < k; length--) {
        uint32_t old = n;
        n = collect(g, run, length, found, n, &total);
        if (n == old)
            continue;
        double escape = (double)(n - old) / length, whole = total + escape;
        for (uint32_t i = old; i < n; i++)
            found[i].logprob = (float)log(left * found[i].count / whole);
        left *= escape / whole;
    }
    return n;
}

static void answer(const struct ngram_drafter *g, uint32_t row, uint32_t k, uint32_t *id,
                   float *logprob)
{
    struct found found[FOUND_MAX + WALK];
    struct run run = { .n = 0 };
    for (int32_t at = (int32_t)row; at >= 0 && run.n < g->longest; at = g->seen.row[at].parent)
        add_to_run(&run, g->seen.row[at].token);
    add_text(g, &run, g->seen.len);
    uint32_t n = look_up(g, &run, k < FOUND_MAX ? k : FOUND_MAX, found);
    sort(found, n, false);
    for (uint32_t i = 0; i < k; i++) {
        id[i] = i < n ? found[i].token : 0;
        logprob[i] = i < n ? found[i].logprob : -INFINITY;
    }
}

static int forward(struct se_drafter *drafter, const uint32_t *token, const int32_t *parent,
                   uint32_t n, uint32_t k, uint32_t *topk_id, float *topk_logprob)
{
    struct ngram_drafter *g = of(drafter);
    uint32_t first = g->seen.n;
    if (n > drafter->max_rows || k < 1)
        return se_fail(-EINVAL, "%u rows in a call of the draft for at most %u, top %u", n,
                       drafter->max_rows, k);
    int r = se_seen_check(token, n, drafter->vocab);
    if (r == 0)
        r = se_seen_open(&g->seen, token, parent, n);
    if (r < 0)
        return se_trace(r);
    for (uint32_t i = 0; i < n; i++)
        answer(g, first + i, k, topk_id + (size_t)i * k, topk_logprob + (size_t)i * k);
    count(g);
    return 0;
}

static int commit(struct se_drafter *drafter, const uint32_t *path, uint32_t n,
                  const uint32_t *keep, uint32_t n_keep)
{
    struct ngram_drafter *g = of(drafter);
    int r = se_seen_prepare(&g->seen, path, n, keep, n_keep);
    if (r == 0)
        r = reserve(g, (uint64_t)g->seen.len + n);
    if (r < 0)
        return se_trace(r);
    se_seen_commit(&g->seen, path, n, keep, n_keep);
    catch_up(g);
    return 0;
}

static void rewind_to(struct se_drafter *drafter, uint32_t len)
{
    struct ngram_drafter *g = of(drafter);
    while (g->indexed > 0 && g->indexed >= len)
        forget_place(g, --g->indexed);
    se_seen_rewind(&g->seen, len);
    count(g);
}

static void close_ngram(struct se_drafter *drafter)
{
    struct ngram_drafter *g = of(drafter);
    se_seen_fini(&g->seen);
    se_mem_free(g->cell);
    se_mem_free(g->before);
    se_mem_free(g);
}

static const struct se_drafter_ops ops = {
    .name = "ngram",
    .feed = feed,
    .forward = forward,
    .commit = commit,
    .rewind = rewind_to,
    .close = close_ngram,
};

int se_drafter_ngram(struct se_drafter **out, uint32_t vocab, uint32_t longest)
{
    if (vocab < 1 || longest < 1 || longest > LONGEST_MAX)
        return se_fail(-EINVAL, "an n-gram draft of %u ids looks for 1 to %d of them, not %u",
                       vocab, LONGEST_MAX, longest);
    struct ngram_drafter *g = se_mem_zero(1, sizeof *g);
    if (!g)
        return se_trace(-ENOMEM);
    g->longest = longest;
    g->drafter = (struct se_drafter){ .ops = &ops,
                                      .name = ops.name,
                                      .vocab = vocab,
                                      .context = UINT32_MAX,
                                      .max_rows = ROWS_MAX,
                                      .sampling = SE_SAMPLING_GREEDY };
    *out = &g->drafter;
    return 0;
}
