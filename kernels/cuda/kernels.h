/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/kernels.h - the launches that make up a step, in the order in which they are made.
 *
 * Each starts its kernels on the stream and returns; none waits. `bucket` is how many rows the
 * launch is made for: n_rows of the step is at most that. Buffers are of the bucket's rows, or of
 * more. Bits of a row depend on that row alone. */
#ifndef SE_KERNELS_CUDA_KERNELS_H
#define SE_KERNELS_CUDA_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda/input.h"

typedef struct CUstream_st *se_gpu_stream; /* cudaStream_t */

#ifdef __cplusplus
extern "C" {
#endif

/* Copies the block that the host has filled, as long as it is, to where kernels read it. */
void se_gpu_ingest(se_gpu_stream stream, const struct se_gpu_input *host, struct se_gpu_input *in,
                   size_t most_b);

/* x[row] = table[token]: bf16, n values a row. */
void se_gpu_embed(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                  const uint16_t *table, uint32_t n, float *x);

/* RMS norm of each row of x, times weight, to bf16. */
void se_gpu_norm(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                 const float *x, const float *weight, float eps, uint32_t n, uint16_t *out);

/* The same of the rows in->wanted alone: out[i] is of row wanted[i]; also in float32 to plain[i],
 * unless that is NULL. */
void se_gpu_norm_wanted(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                        const float *x, const float *weight, float eps, uint32_t n, uint16_t *out,
                        float *plain);

/* ---- products */

/* A matrix of n_out rows of n_in bf16 as the kernel reads it: padded to 16 rows of 32 and ordered
 * so that a warp's fragment of 16 x 16 is 16 bytes to a lane. In host memory, for an upload.
 * 16 rows depend on themselves alone: any multiple of 16 of them may be packed apart, each to where
 * se_gpu_matrix_size() of those before it ends, by several threads or out of several tensors. The
 * packed matrix lies 16 bytes aligned. */
size_t se_gpu_matrix_size(uint32_t n_out, uint32_t n_in);
void se_gpu_matrix_pack(const uint16_t *bf16, uint32_t n_out, uint32_t n_in, void *packed);

/* The same of 8-bit weights, packed as kernels/matmul.h has them (struct se_matrix: data, scale).
 * What is multiplied is q times scale, rounded to bf16. */
size_t se_gpu_matrix_q8_size(uint32_t n_out, uint32_t n_in);
void se_gpu_matrix_q8_pack(const uint8_t *data, const uint16_t *scale, uint32_t n_out,
                           uint32_t n_in, void *packed);

enum se_gpu_store { SE_GPU_BF16, SE_GPU_Q8, SE_GPU_STORES };
enum se_gpu_rows { SE_GPU_ALL_ROWS, SE_GPU_WANTED_ROWS }; /* n_rows of them, or n_wanted */

enum { SE_GPU_ARRIVALS = 120 };

struct se_gpu_product {
    const void *matrix; /* packed */
    enum se_gpu_store store;
    uint32_t n_out, n_in;
    const float *bias; /* or NULL */
    const uint16_t *x; /* bf16, n_in to a row; 16 bytes aligned */
    float *y;          /* n_out to a row */
    bool adds;         /* y += the product, otherwise y = it */
    enum se_gpu_rows rows;
    /* (optional) SE_GPU_ARRIVALS zeroes on the device, for one stream at a time; they are 0 again
     * when the product is done. It saves a kernel where n_in is divided; the bits are the same. */
    uint32_t *arrived;
};

/* Floats of workspace that a product of so many rows, or of fewer, needs: sums of parts of n_in. */
size_t se_gpu_matmul_work(uint32_t n_out, uint32_t n_in, uint32_t rows);
void se_gpu_matmul(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                   const struct se_gpu_product *product, float *work);

/* ---- attention */

struct se_gpu_heads {
    uint32_t heads, kv_heads, dim;
    float scale;
    uint32_t context; /* positions, at most */
};

/* qkv[row]: heads, kv_heads keys, kv_heads values, dim floats each. Norms of q and k heads where
 * the weights are there; rotation by cos and sin [position][dim / 2]; q to f16, k and v to their
 * slot of this layer's pages. */
void se_gpu_rope(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                 const struct se_gpu_heads *heads, const float *qkv, const float *norm_q,
                 const float *norm_k, float eps, const float *cos, const float *sin, uint16_t *q,
                 uint16_t *layer_pages);

/* Floats of workspace: what is summed of each row, head and split. */
size_t se_gpu_attend_work(const struct se_gpu_heads *heads, uint32_t rows);

/* out[row], bf16: heads times dim. Keys and values of the rows themselves are in the pages. */
void se_gpu_attend(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                   const struct se_gpu_heads *heads, const uint16_t *q, const uint16_t *layer_pages,
                   float *work, uint16_t *out);

/* ---- the rest of a layer */

/* out[row][i] = silu(gate_up[row][i]) * gate_up[row][n + i], to bf16. */
void se_gpu_glu(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                const float *gate_up, uint32_t n, uint16_t *out);

/* ---- of several ranks: part begins with what rank 0 has computed, then rank 1 ... */

/* x[row] += the sum of part[rank][row] from rank 0 upwards, and of bias, unless that is NULL: n to
 * a row, `bucket` rows to a rank. */
void se_gpu_sum_ranks(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                      const float *part, uint32_t ranks, const float *bias, uint32_t n, float *x);

/* Logits of the wanted rows, vocab to a row: `tokens` of them from each rank, fewer or none from
 * the last ones, whose rows are that much shorter; bucket * tokens lie between two ranks. */
void se_gpu_join_ranks(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                       const float *part, uint32_t tokens, uint32_t vocab, float *logits);

/* ---- answers: `out` is in the device's memory; its fault is 0 before the first step */

/* Logits of the wanted rows, vocab floats each, vocab below 2^21; used as scratch where the row's
 * part wants its best. Writes sampled, topk_id and topk_logprob of out (topk: min(k, vocab) of a
 * row; behind those that were not cut come some that were, with -INFINITY). A row with a logit
 * that is NaN or +infinity, or with none above -infinity, is a fault: nothing else is written of
 * it, and out->fault becomes the largest ~row. */
void se_gpu_sample(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                   float *logits, uint32_t vocab, struct se_gpu_output *out);

/* For each part that wants a verdict, unless there is a fault: walks its tree, writes path, n_path
 * and bonus, and moves the keys and values of the path to the slots of their positions, in all
 * layers, layer_b bytes apart: pages and layer_b are multiples of 16. */
void se_gpu_accept(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                   const struct se_gpu_heads *heads, unsigned char *pages, size_t layer_b,
                   uint32_t layers, struct se_gpu_output *out);

/* Copies n slots of all layers, in order: of[4 * i] page and slot it comes from, then where to. */
void se_gpu_move(se_gpu_stream stream, const uint32_t *of, uint32_t n,
                 const struct se_gpu_heads *heads, unsigned char *pages, size_t layer_b,
                 uint32_t layers);

/* Copies what the step has answered to where the host sees it (nothing but the fault, when there
 * is one), makes out->fault 0 again, and then seen->done = in->number. The arrays of `seen` lie
 * behind it at the distances at which those of `out` lie behind `out`: kernels that read what
 * another one wrote do so in the device's own memory, and the host's is written once. */
void se_gpu_publish(se_gpu_stream stream, const struct se_gpu_input *in, struct se_gpu_output *out,
                    struct se_gpu_output *seen);

#ifdef __cplusplus
}
#endif

#endif
