/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/backend.h - what computes a step: one table of operations per backend.
 *
 * step.c checks parts, keeps the sequences' books and walks verdicts; a backend owns the
 * memory of the pages and does the arithmetic. It gets a step as a flat batch:
 *
 *   part      0             1        2
 *   row       0 1 2 3 4 5   6        7 8 9 ...
 *   ask       what is wanted of the part's rows, and where it goes
 *
 * A backend computes every row from that row's own tokens alone: the bits of a result do
 * not depend on the other rows, on their number or on the number of threads. All calls on
 * one backend come from one thread. */
#ifndef SE_RUNTIME_MODEL_BACKEND_H
#define SE_RUNTIME_MODEL_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/model/kv.h"
#include "runtime/model/model.h"
#include "runtime/model/step.h"

struct se_batch_row {
    uint32_t token;
    uint32_t position; /* the row sees 0 .. position, itself included */
    uint32_t slot;     /* where its keys and values go */
    uint32_t plain;    /* a position below plain lies in the slot of the same number; */
    uint32_t tail;     /* the others' slots begin at batch.tail[tail] */
};

struct se_batch_part {
    struct se_part *ask;  /* TOPK, LOGITS and hidden go where it says, and so do the path and the
                          * bonus of a backend that walks; nothing else is read but parent, want,
                          * k, sharpen and sampling */
    const uint32_t *page; /* of the sequence, for all slots that the rows name */
    uint32_t n_pages;
    uint32_t first_row, n_rows;
};

struct se_batch {
    const struct se_batch_part *part;
    const struct se_batch_row *row;
    const uint32_t *tail;
    uint32_t n_parts, n_rows;
    uint32_t *sampled; /* out, per row: the token sampled there, for parts that want a verdict */
};

struct se_backend;

struct se_backend_ops {
    const char *name;

    /* forward() goes on to the verdict: it walks the trees of the parts that want one, writes
     * their path, n_path and bonus, and moves the keys and values of the path. */
    bool walks;

    /* The model outlives the backend. On 0 *out is the caller's, to close. -ENODEV: not
     * on this machine. */
    int (*open)(struct se_backend **out, const struct se_model *model,
                const struct se_engine_options *options);
    void (*close)(struct se_backend *backend); /* NULL is fine */

    const char *(*text)(const struct se_backend *backend); /* "cpu (avx512 vnni bf16)" */
    size_t (*memory)(const struct se_backend *backend);    /* bytes beside the weights */

    /* Computes all rows and returns when everything wanted is there. Stores keys and values
     * of all rows. -EDOM (text set) when a row that is sampled or ranked has a logit that
     * is not a number or none that is finite; no sequence is touched by that. */
    int (*forward)(struct se_backend *backend, const struct se_batch *batch);

    /* Copies slots, in order. */
    void (*move)(struct se_backend *backend, const struct se_kv_move *move, uint32_t n);
};

extern const struct se_backend_ops se_backend_cpu;
extern const struct se_backend_ops se_backend_cuda; /* opens its module at the first use */

/* options->tp ranks of options->ops, which either walks or does not. */
extern const struct se_backend_ops se_backend_ranks, se_backend_ranks_that_walk;

/* What so many ranks on this machine compute with; NULL with the sentence when the options name
 * another number of devices. */
const struct se_backend_ops *se_backend_of_ranks(const struct se_engine_options *options,
                                                 uint32_t here);

/* How many GPUs there are, found out by another process: what is forked from one that has used a
 * GPU cannot use any. */
uint32_t se_backend_cuda_devices(void);

/* "auto" or NULL, "cpu", "cuda", "cuda:DEVICE" or "cuda:DEVICE,DEVICE...". 0, or -errno with the
 * sentence. */
int se_backend_read(const char *text, enum se_backend_kind *kind, struct se_devices *devices);

/* The options' own, or what their kind says; AUTO: the GPU's where there is one, and where there
 * is one for each rank. */
int se_backend_open(const struct se_backend_ops **ops, struct se_backend **out,
                    const struct se_model *model, const struct se_engine_options *options);

#endif
