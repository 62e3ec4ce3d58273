/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench: what the parts between edge and server cost by themselves. */
#include "tools/program.h"
#include "tools/se_bench.h"

static const struct se_verb *const verbs[] = { &se_bench_link,  &se_bench_wire,  &se_bench_ring,
                                               &se_bench_step,  &se_bench_round, &se_bench_serve,
                                               &se_bench_sched, &se_bench_crowd, &se_bench_all };

static const struct se_program program = {
    .name = "se-bench",
    .summary = "what the parts between edge and server cost by themselves",
    .verb = verbs,
    .n_verbs = sizeof verbs / sizeof verbs[0],
};

int main(int argc, char **argv) { return se_program_main(&program, argc, argv); }
