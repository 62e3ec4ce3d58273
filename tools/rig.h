/* SPDX-License-Identifier: Apache-2.0 */
/* tools/rig.h - a model folder made ready to run: threads, weights, engine.
 *
 * In two strides, so that a program can look at the model before it says how much room its
 * sequences need. A program may have several, each stepped by one thread; those that share a
 * pool are all stepped by the thread that owns it. One whose model several ranks share is to be
 * started before the program has threads, but for those of its own pool. */
#ifndef SE_TOOLS_RIG_H
#define SE_TOOLS_RIG_H

#include <limits.h>

#include "runtime/base/thread.h"
#include "runtime/model/model.h"
#include "runtime/model/nodes.h"
#include "runtime/model/step.h"
#include "runtime/text/tokenizer.h"
#include "tools/rig_options.h"

enum { SE_RIG_ROWS = 64 }; /* rows of a prompt that go through the model together */

struct se_rig {
    const char *dir;
    struct se_pool *pool;  /* NULL once ranks with threads of their own are started */
    bool pool_shared;      /* with whoever lent it; otherwise it is ours */
    uint32_t tp;           /* ranks */
    uint32_t here;         /* of them, on this machine */
    uint32_t threads;      /* that compute, of each rank */
    struct se_nodes nodes; /* where the ranks are on several machines */
    struct se_model *model;
    struct se_engine *engine;
    enum se_backend_kind backend;
    struct se_devices devices; /* of CUDA */
};
#define SE_RIG_NULL ((struct se_rig){ 0 })

/* Whether tp, nodes and meet make sense together. 0, or -EINVAL and the option at fault. */
int se_rig_options_check(const struct se_rig_options *options);

/* How many ranks they ask for: --tp, or as many as devices are named. */
uint32_t se_rig_ranks(const struct se_rig_options *options);
/* Threads and weights, with a progress bar where they are converted. shared: a pool to use that
 * outlives the rig, say another rig's; NULL: one of its own, with options->threads. */
int se_rig_load(struct se_rig *rig, const char *dir, const struct se_rig_options *options,
                struct se_pool *shared);
/* The engine, for steps of up to max_rows rows and n_seqs sequences of up to slots rows each. With
 * several machines: once the others have come. 0, SE_OUTCOME_INTERRUPTED meanwhile
 * (tools/outcome.h), or -errno. */
int se_rig_start(struct se_rig *rig, uint32_t max_rows, uint32_t n_seqs, uint32_t slots);
/* What is there of it, but no shared pool; a second time is fine. */
void se_rig_close(struct se_rig *rig);

/* se_step() of one part; what fails, a full KV too, is -errno with a text that names the folder. */
int se_rig_step(struct se_rig *rig, struct se_part *part);
/* Sends a prompt through the model, chunk by chunk. 0, SE_OUTCOME_INTERRUPTED
 * (tools/outcome.h), or -errno. */
int se_rig_feed(struct se_rig *rig, struct se_seq *seq, const uint32_t *id, size_t n);
/* The same for up to SE_RIG_ROWS ids, with the logits of every row. */
int se_rig_logits(struct se_rig *rig, struct se_seq *seq, const uint32_t *id, uint32_t n,
                  float *logits);

/* The last part of a model folder's name, wherever it is called from: in path, or dir. */
const char *se_rig_name(const char *dir, char path[PATH_MAX]);

/* The tokenizer of dir, none of whose ids lies beyond the model's vocabulary. */
int se_rig_tokenizer(struct se_tokenizer **out, const char *dir, const struct se_config *config);

#endif
