/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/model.h - an opened model folder: its shape and its weights. Read-only
 * after open; any number of engines and threads may share it. */
#ifndef SE_RUNTIME_MODEL_MODEL_H
#define SE_RUNTIME_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/matmul.h"
#include "runtime/base/thread.h"
#include "runtime/model/config.h"

enum se_weights {
    SE_WEIGHTS_STORED, /* as the files have them, mapped */
    SE_WEIGHTS_F32,
    SE_WEIGHTS_BF16,
    SE_WEIGHTS_Q8 /* all matrices; norms and biases stay float32 */
};

struct se_layer {
    const float *norm_attn, *norm_mlp; /* hidden */
    const float *norm_q, *norm_k;      /* head_dim, or NULL */
    struct se_matrix q, k, v, o, gate, up, down;
    const float *bias_q, *bias_k, *bias_v, *bias_o, *bias_gate, *bias_up, *bias_down; /* or NULL */
};

struct se_model {
    struct se_config config;
    struct se_matrix embed;  /* vocab x hidden, as stored: rows are looked up */
    struct se_matrix output; /* vocab x hidden */
    const float *norm;       /* hidden */
    struct se_layer *layer;
    enum se_dtype dtype; /* of the matrices */
    size_t weight_b;     /* bytes of weights, mapped and converted */
    struct se_weights_memory *memory;
    /* (optional) Looks for the weight that made a step fail: se_model_scan() of a folder's model. */
    int (*scan)(const struct se_model *model);
};

struct se_model_options {
    enum se_weights weights;
    /* Copy what could stay mapped into memory of our own: it takes a moment and the memory,
     * but lies in huge pages, which the processor reads faster than a file's small ones. */
    bool preload;
    struct se_pool *pool; /* for conversion; NULL: this thread alone */
    /* Called as conversion goes on, done of total bytes; may be NULL. */
    void (*progress)(void *context, size_t done_b, size_t total_b);
    void *progress_context;
};

/* Every tensor is there, has the shape the config says, lies inside its file and overlaps no
 * other, and (when converted) is finite; otherwise -errno and a text naming file and tensor. */
int se_model_open(struct se_model **out, const char *dir, const struct se_model_options *options);
void se_model_close(struct se_model *model); /* NULL is fine */

/* Looks at every weight of the files, which opening a mapped model does not do. -EDOM with
 * file and tensor in the text when one is not finite. */
int se_model_scan(const struct se_model *model);

const char *se_weights_name(enum se_weights weights);

#endif
