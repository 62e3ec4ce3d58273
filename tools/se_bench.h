/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_bench.h - the verbs of se-bench. */
#ifndef SE_TOOLS_SE_BENCH_H
#define SE_TOOLS_SE_BENCH_H

#include "tools/verb.h"

extern const struct se_verb se_bench_all;
extern const struct se_verb se_bench_crowd;
extern const struct se_verb se_bench_link;
extern const struct se_verb se_bench_ring;
extern const struct se_verb se_bench_round;
extern const struct se_verb se_bench_sched;
extern const struct se_verb se_bench_serve;
extern const struct se_verb se_bench_step;
extern const struct se_verb se_bench_wire;

#endif
