/* SPDX-License-Identifier: Apache-2.0 */
/* sched/edge/drafter.h - who guesses what follows: a small model, or the text itself.
 *
 * A drafter has seen a text and holds an open tree behind it, by rows, as runtime/model/kv.h
 * describes a sequence: a row hangs on an earlier row or on the text. It names the likeliest
 * successors of every row that is forwarded.
 *
 *              feed              forward            commit
 *   [ text ] ───────► [ text ] ─────────► [ text ]─┬─ row ─┬─ row ─────────► [ text ]─┬─ row
 *       ▲                                          └─ row  └─ row                │    └─ row
 *       └───────────────────────────────── rewind ───────────────────────────────┘
 *
 * An operation that fails has changed nothing: -EINVAL (an id, a parent or a number that cannot
 * be), -ERANGE (the context is full), -ENOMEM (so is the memory, or the pool of pages), and what
 * the engine says. One thread at a time. */
#ifndef SE_SCHED_EDGE_DRAFTER_H
#define SE_SCHED_EDGE_DRAFTER_H

#include <stdint.h>

#include "runtime/model/sample.h"

struct se_drafter;

struct se_drafter_ops {
    const char *name; /* "model", "ngram" */

    /* Text: appended to what was seen; no row is open. At most max_rows ids a call. */
    int (*feed)(struct se_drafter *drafter, const uint32_t *id, uint32_t n);

    /* Opens n <= max_rows rows; parent[i] is an earlier row (of those that are open, these
     * included) or -1, the text. Of each row k >= 1 ids below vocab, all different, and their
     * log-probabilities (at most 0), the likeliest first; what does not exist, as when k is more
     * than there are, is -INFINITY, and its id means nothing (0). */
    int (*forward)(struct se_drafter *drafter, const uint32_t *token, const int32_t *parent,
                   uint32_t n, uint32_t k, uint32_t *topk_id, float *topk_logprob);

    /* Rows path[] become text, rows keep[] stay open, as se_prune_reroot() says: the path goes
     * down from the text, what stays (ascending) hangs below its end. */
    int (*commit)(struct se_drafter *drafter, const uint32_t *path, uint32_t n,
                  const uint32_t *keep, uint32_t n_keep);

    /* Closes all rows and forgets the text from position len on. */
    void (*rewind)(struct se_drafter *drafter, uint32_t len);

    /* (optional) Whether everything it remembers is, to the bit, what a fresh pass over its text
     * and rows would give: 0, or -errno (-EBADMSG where it is not) and the text says where. For
     * tests; slow. */
    int (*check)(struct se_drafter *drafter);

    void (*close)(struct se_drafter *drafter);
};

struct se_drafter {
    const struct se_drafter_ops *ops;
    const char *name;  /* for people: that of ops, or whoever made it knows a better one */
    uint32_t vocab;    /* ids it knows: others cannot be fed */
    uint32_t context;  /* positions it has; UINT32_MAX: any number */
    uint32_t max_rows; /* of a call */
    uint32_t len;      /* ids of text it has seen */
    uint32_t rows;     /* open */
    /* The target's. Successors are ranked by log_softmax(sharpen * (logit / temp + noise)) over
     * what is about the kept set, where temp is small (0 too) by log_softmax(sharpen * logit / a
     * constant + what noise there is); with sharpen 0, by log_softmax(logit / temp); and with
     * both 0, as in a new drafter, as published: log_softmax(logit). Set before the first call of
     * a text. */
    struct se_sampling sampling;
    float sharpen;
};

/* All may be called with a drafter that lacks the optional parts. */
int se_drafter_check(struct se_drafter *drafter);
void se_drafter_close(struct se_drafter *drafter); /* NULL is fine */

/* A draft model. The engine has at least max_rows rows and outlives it; nobody else uses it.
 * vocab is the model's, or less: then what lies beyond is never named. Its pool needs pages for
 * the text and all open rows; while check() runs, twice those and two more. */
struct se_engine;
int se_drafter_model(struct se_drafter **out, struct se_engine *engine, uint32_t vocab,
                     uint32_t context, uint32_t max_rows);

/* What followed the last few ids whenever they came before in this text (prompt look-up): up to
 * longest ids are looked for. */
int se_drafter_ngram(struct se_drafter **out, uint32_t vocab, uint32_t longest);

#endif
