/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sched/draw.h - edges of every kind, as a seed says. */
#ifndef SE_TESTS_SCHED_DRAW_H
#define SE_TESTS_SCHED_DRAW_H

#include "runtime/base/rng.h"
#include "sched/edge/edge.h"

/* Sampling, shape of the trees, ways to write: whatever may differ and writes the same text. */
void draw_edge_options(struct se_rng *rng, struct se_edge_options *options);
/* How far its draft strays from the target (table_backend.h); below 0: it has none. */
float draw_stray(struct se_rng *rng);

#endif
