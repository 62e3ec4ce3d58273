/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/backend_cpu.h - what the files of the CPU backend share.
 *
 *   backend_cpu.c   buffers and pages        cpu_layers.c   rows through the layers
 *                                            cpu_wants.c    from hidden states to answers
 *
 * With a group it is one of several ranks: its model is a part (split.h), rows are whole after
 * every sum over the ranks, and rank 0 alone hands answers out. */
#ifndef SE_RUNTIME_MODEL_BACKEND_CPU_H
#define SE_RUNTIME_MODEL_BACKEND_CPU_H

#include <stdbool.h>

#include "kernels/attend.h"
#include "kernels/glu.h"
#include "kernels/matmul.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "runtime/base/thread.h"
#include "runtime/model/backend.h"

enum {
    SE_CPU_LOGIT_ROWS = 64,  /* rows whose logits are in memory at once */
    SE_CPU_ATTEND_ROWS = 64, /* rows of one sequence that attend together, at most */
};

/* Rows of one part, as far as attention is concerned; from and n count in the list of rows
 * that are still computed. */
struct se_cpu_block {
    uint32_t part, from, n;
};

/* One thread's own. */
struct se_cpu_scratch {
    float *attend;
    const void **page; /* keys, then values, of the pages of a sequence */
    size_t attend_cap, page_cap;
};

struct se_backend {
    const struct se_model *model;
    struct se_pool *pool;        /* or NULL */
    struct se_collective *group; /* or NULL: alone */
    uint32_t n_threads, max_rows;
    char text[64];

    /* What the kernels of this processor are; chosen once, so that bits stay the same. */
    const struct se_matmul_impl *matmul, *matmul_out;
    const struct se_norm_impl *norm;
    const struct se_rope_impl *rope;
    const struct se_glu_impl *glu;
    const struct se_attend_impl *attend;

    /* Pages: page, layer, kv head, then keys and values. */
    enum se_dtype kv_dtype;
    unsigned char *pages;
    uint32_t n_pages;
    size_t page_b, layer_b, head_b, value_at_b;

    /* Per row; a row's number in x, h, q, att, gate and up is its place in the list rows[]. */
    float *x; /* the residual stream */
    float *h; /* its norm, and what is to be added to it */
    float *q, *k, *v, *att;
    float *gate, *up; /* share the memory of q, k, v and att */
    float *work;      /* that memory */
    void *prepared;   /* rows made ready for a product */
    float *cos, *sin; /* by number in the batch */
    float *logits;
    float *share, *shares; /* of a group: this rank's logits, rank 0: those of all */
    double *inv_freq;
    double attention_scale;

    uint32_t *rows; /* numbers in the batch of the rows still computed */
    uint32_t n_rows;
    uint32_t *part_of; /* by number in the batch: the row's part */
    int *failed;       /* per row of logits */
    struct se_cpu_block *block;
    size_t block_cap;
    uint32_t n_blocks;
    struct se_cpu_scratch *scratch; /* per thread */
    size_t buffer_b, logits_b;
};

/* Runs fn over n_items with the backend's threads. */
void se_cpu_run(const struct se_backend *backend, se_pool_fn *fn, void *context, uint32_t n_items);

/* How many of n rows an item takes when a row costs about so many operations. */
uint32_t se_cpu_row_step(const struct se_backend *backend, uint32_t n, size_t row_cost);

/* Address of the keys of a page for one layer and kv head; values lie value_at_b behind. */
static inline unsigned char *se_cpu_keys(const struct se_backend *backend, uint32_t page,
                                         uint32_t layer, uint32_t head)
{
    return backend->pages + page * backend->page_b + layer * backend->layer_b +
           head * backend->head_b;
}

/* A product of the prepared rows: y = rows * w, then bias (or NULL) is added to each row,
 * then, where sum is not NULL, y is added to sum. y and sum have w->n_out floats a row. */
struct se_cpu_product {
    const struct se_matrix *w;
    float *y, *sum;
    const float *bias;
};
enum { SE_CPU_PRODUCTS_MAX = 3 };

/* Up to SE_CPU_PRODUCTS_MAX products of the same prepared rows, in one loop of the pool.
 * gated: there are two, gate and up of one size, and gate's y becomes the gated unit. */
void se_cpu_multiply(struct se_backend *backend, const struct se_matmul_impl *matmul,
                     const struct se_cpu_product *product, uint32_t n_products, uint32_t n_rows,
                     bool gated);

/* Makes rows ready for products: those of from, or, with weight, their norms, which go to
 * norms. */
void se_cpu_prepare(struct se_backend *backend, const struct se_matmul_impl *matmul,
                    const float *from, uint32_t n_rows, uint32_t n_in, const float *weight,
                    float *norms);

/* Rows of the batch through all layers. Afterwards rows[] and x hold those that something
 * is wanted of. */
int se_cpu_layers(struct se_backend *backend, const struct se_batch *batch);

/* Final norm, logits, and what is asked for. */
int se_cpu_wants(struct se_backend *backend, const struct se_batch *batch);

#endif
