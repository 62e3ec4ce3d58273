/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/ranks.h - the ranks of a machine that has joined another's meeting (nodes.h).
 *
 * Rank 0's machine needs nothing but se_engine_new() with options->tp and options->nodes. */
#ifndef SE_RUNTIME_MODEL_RANKS_H
#define SE_RUNTIME_MODEL_RANKS_H

#include "runtime/model/nodes.h"
#include "runtime/model/step.h"

/* This process becomes the first of the ranks that terms say, and forks the others, so it is to
 * have no threads. address: where the machine joined. Of the options backend, devices, ops and
 * rank_threads count; the rest is in the terms. 0 when rank 0 told them to leave, otherwise -errno
 * with the sentence. */
int se_ranks_serve(const struct se_model *model, const char *address,
                   const struct se_nodes_terms *terms, const struct se_engine_options *options,
                   const struct se_nodes_watch *watch);

#endif
