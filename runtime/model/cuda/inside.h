/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/cuda/inside.h - what the files of the CUDA backend share. Host code in plain C:
 * it knows the kernels by kernels/cuda/kernels.h and the device by kernels/cuda/device.h.
 *
 *   backend.c   opening, closing, a step from its batch to its answers
 *   weights.c   the model's matrices, as the kernels read them
 *   memory.c    pages, buffers, and what host and device share
 *   stage.c     a batch, as the block that a step is told
 *   pass.c      the launches of a step
 *   ranks.c     what several GPUs with a part of the model each do together
 *
 *   batch ─ stage ─► block ─ pass: one graph ─► output ─ answers ─► batch */
#ifndef SE_RUNTIME_MODEL_CUDA_INSIDE_H
#define SE_RUNTIME_MODEL_CUDA_INSIDE_H

#include <stdbool.h>

#include "kernels/cuda/device.h"
#include "kernels/cuda/graph.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/ranks.h"
#include "runtime/base/err.h"
#include "runtime/model/backend.h"

enum {
    SE_CUDA_WANTED_MAX = 1024, /* rows of a step that go through the output projection */
    SE_CUDA_TAIL_LEAST = 1 << 19,
    SE_CUDA_TAIL_ROW = 64, /* ancestors by name that each row has room for */
    SE_CUDA_MOVES = 1024,
};

/* On the device. */
struct se_cuda_matrix {
    void *packed;
    enum se_gpu_store store;
    float *bias; /* or NULL */
    uint32_t n_out, n_in;
};

struct se_cuda_layer {
    float *norm_attn, *norm_mlp;
    float *norm_q, *norm_k;                      /* or NULL */
    struct se_cuda_matrix qkv, o, gate_up, down; /* q, k and v in one; gate and up too */
};

/* What the host fills for each step and what it reads, in memory that the device sees. */
struct se_cuda_shared {
    struct se_gpu_mapped block;   /* a struct se_gpu_input, and room for its arrays */
    struct se_gpu_input *input;   /* the device's copy */
    struct se_gpu_output *output; /* the device's, its arrays behind it */
    struct se_gpu_mapped seen;    /* the same once a step is done */
    uint32_t *sampled_there;      /* the array of output */
    uint32_t *sampled, *path, *n_path, *bonus, *topk_id; /* its arrays, as the host sees them */
    float *topk_logprob;
    struct se_gpu_mapped move; /* copies of slots, SE_CUDA_MOVES at once */
};

struct se_backend {
    const struct se_model *model;
    struct se_pool *pool; /* for loading, or NULL */
    struct se_gpu_heads heads;
    struct se_gpu_device device;
    se_gpu_stream stream;
    struct se_gpu_graphs graphs;
    char text[300];
    uint32_t max_rows, max_wanted; /* powers of two, as buckets are */
    uint32_t n_pages;
    size_t memory_b; /* on the device, beside the weights */
    uint64_t number; /* of the last step */

    uint16_t *embed;
    struct se_cuda_layer *layer;
    float *norm;
    struct se_cuda_matrix output;
    float *cos, *sin; /* [context][dim / 2] */

    unsigned char *pages;
    size_t layer_b;

    float *x;    /* the residual stream */
    uint16_t *h; /* inputs of products: norms, mixed values, gated units */
    float *wide; /* q, k and v, or gate and up */
    uint16_t *q;
    float *logits, *plain; /* of the wanted rows; plain: the final norm, in float32 */
    uint32_t *arrived;     /* blocks that have added to a sum */
    float *work;           /* sums of parts, of products and of attention */

    struct se_collective *group; /* NULL: alone */
    struct se_gpu_ranks *ranks;  /* the same ranks, on the device */
    bool lost;                   /* a step with the others failed; nothing more is done with them */
    bool dead;                   /* this rank's device has failed */
    float *parts;                /* what they have computed */

    struct se_cuda_shared shared;
};

/* What the device layer said, in the thread's own sentence; returns r. */
static inline int se_cuda_pass_on(int r) { return r < 0 ? se_fail(r, "%s", se_gpu_error()) : r; }

/* ---- weights.c */

int se_cuda_weights_open(struct se_backend *b);
void se_cuda_weights_close(struct se_backend *b);

/* ---- memory.c */

int se_cuda_memory_open(struct se_backend *b);
void se_cuda_memory_close(struct se_backend *b);

/* ---- stage.c */

/* Fills the block for the batch. 0, or -EINVAL: more than there is room for. */
int se_cuda_stage(struct se_backend *b, const struct se_batch *batch);

/* Whether a row's best are found here and not on the device: there are too many of them. */
bool se_cuda_ranks_here(const struct se_part *ask);

/* ---- pass.c */

/* All launches of a step, for so many rows and so many wanted ones; of one that wants no answer, but
 * keys and values, only those that lead to them. */
void se_cuda_pass(struct se_backend *b, uint32_t bucket, uint32_t wanted);

/* ---- ranks.c: all but open, close and room are of a backend with a group */

int se_cuda_ranks_open(struct se_backend *b);
/* Graphs are freed before; what is under way on the stream ends. */
void se_cuda_ranks_close(struct se_backend *b);
/* Floats that parts has to have. */
size_t se_cuda_ranks_room(const struct se_backend *b);
/* Where this rank's sums of a product by columns go; then x += those of all, and the bias. */
float *se_cuda_ranks_sums(const struct se_backend *b, uint32_t bucket);
void se_cuda_ranks_sum(struct se_backend *b, uint32_t bucket, const float *bias);
/* Logits: of each rank, at the beginning of parts, to those of rank 0. */
void se_cuda_ranks_join(struct se_backend *b, uint32_t bucket);
/* What rank 0 has sampled, to all. */
void se_cuda_ranks_tell(struct se_backend *b, uint32_t bucket);
/* Whether all ranks have captured a step's graph: they replay it together, or none does. */
bool se_cuda_ranks_agree(struct se_backend *b, bool captured);
/* Until the word has the value. */
int se_cuda_ranks_wait(struct se_backend *b, const uint64_t *word, uint64_t value);

#endif
