/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/step.h - one pass of rows through the model: the engine's only verb.
 *
 * A step takes parts. A part adds rows (nodes) to one sequence and says what is wanted of
 * them. Rows of many sequences, trees of mixed sizes and prompt chunks share a step, and no
 * result depends on who shares it (bits: design, exactness). A sequence may appear in one
 * part of a step only. One thread calls; the engine's pool works. */
#ifndef SE_RUNTIME_MODEL_STEP_H
#define SE_RUNTIME_MODEL_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/thread.h"
#include "runtime/model/kv.h"
#include "runtime/model/model.h"
#include "runtime/model/sample.h"

enum se_want {
    SE_WANT_NOTHING, /* prefill: the rows are a chain and become text */
    SE_WANT_TOPK,    /* draft: ids and log-probabilities per row; the nodes stay pending */
    SE_WANT_LOGITS,  /* all logits per row; the nodes stay pending */
    SE_WANT_VERDICT  /* verify: accept, commit; see below */
};

struct se_part {
    struct se_seq *seq;
    const uint32_t *token;
    const int32_t *parent; /* as se_seq_add(); NULL: a chain */
    uint32_t n_rows;
    enum se_want want;

    /* TOPK: per row, k ids and log-probabilities, best first: log_softmax(logit); with sampling
     * at a temperature above 0, log_softmax(logit / temp) of the kept set, -INFINITY beyond it;
     * and with sharpen as well, log_softmax(sharpen * (logit / temp + gumbel)) of the kept set,
     * with the noise of sampling's seed. */
    uint32_t k;
    uint32_t *topk_id; /* n_rows * k */
    float *topk_logprob;
    float sharpen; /* 0: without noise */

    /* LOGITS: n_rows * vocab. */
    float *logits;

    /* Hidden state after the final norm, n_rows * hidden, or NULL. For tests and tools. */
    float *hidden;

    /* VERDICT: the target's token is sampled at every node; from the first row (the root: the
     * last committed token, alone without a parent) the walk goes on while a child carries
     * its parent's sampled token. The path is committed. */
    const struct se_sampling *sampling;
    uint32_t *path;    /* out: accepted nodes, the root first; room for n_rows */
    uint32_t n_path;   /* out: >= 1 */
    uint32_t bonus;    /* out: the token sampled at the last accepted node */
    uint32_t *sampled; /* out: the token sampled at every row, or NULL */
};

enum se_backend_kind { SE_BACKEND_AUTO, SE_BACKEND_CPU, SE_BACKEND_CUDA };

/* Which GPUs, one for each rank on this machine; n 0: the first ones. */
enum { SE_DEVICES_MAX = 64 };
struct se_devices {
    uint32_t n;
    uint16_t of[SE_DEVICES_MAX];
};

struct se_backend_ops;
struct se_collective;
struct se_nodes;

struct se_engine_options {
    enum se_backend_kind backend;
    struct se_devices devices;        /* of CUDA */
    const struct se_backend_ops *ops; /* one of the caller's own; NULL: as backend says */
    struct se_pool *pool;             /* NULL: this thread alone. Must outlive the engine */
    uint32_t max_rows;                /* of one step; more are refused */
    uint32_t n_pages;                 /* of the KV pool */
    enum se_dtype kv_dtype;           /* SE_DTYPE_F32 or SE_DTYPE_F16 */

    /* Ranks that share the model, each a process that computes a part of every row; 0 and 1:
     * this one alone. The others are forked by se_engine_new(), which therefore wants a caller
     * without threads; pool is NULL then, and every rank has threads of its own. They end with
     * the engine, and with this process however it ends. When one of them fails, so does this
     * step and every later one. */
    uint32_t tp;
    uint32_t rank_threads; /* of every rank, 0 as 1 */
    uint64_t tp_wait_ns;   /* the ranks wait for each other no longer; 0: half a minute */
    /* Where they are on several machines: se_engine_new() waits until the others are here. NULL:
     * all are on this one. */
    const struct se_nodes *nodes;

    struct se_collective *group; /* for a backend that is one of the ranks; else NULL */
};

struct se_engine;

/* The model must outlive the engine. */
int se_engine_new(struct se_engine **out, const struct se_model *model,
                  const struct se_engine_options *options);
void se_engine_free(struct se_engine *engine); /* NULL is fine */

struct se_kv *se_engine_kv(struct se_engine *engine);
const char *se_engine_backend(const struct se_engine *engine); /* "cpu (avx512 vnni bf16)" */
size_t se_engine_memory(const struct se_engine *engine);       /* bytes beside the weights */

/* float32 for float32 weights, f16 otherwise. */
enum se_dtype se_engine_kv_dtype(const struct se_model *model);

/* 0; SE_KV_FULL; -EINVAL (too many rows, an id beyond the vocabulary, a sequence twice, a
 * parent out of order), -ERANGE (a position beyond the context), -EDOM (no finite logit).
 * -EIO: what computes has failed for good, and will say so from now on.
 * On anything but 0 every sequence is as it was before the call. */
int se_step(struct se_engine *engine, struct se_part *part, uint32_t n_parts);

/* Accepts a path of n pending nodes as text. Of the others, the n_keep nodes in keep stay
 * pending, as se_seq_commit() says. */
int se_engine_commit(struct se_engine *engine, struct se_seq *seq, const uint32_t *path, uint32_t n,
                     const uint32_t *keep, uint32_t n_keep);

#endif
