/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench where there is no scheduler to measure. */
#include <errno.h>

#include "tools/se_bench.h"

static int run(const void *values, char **argument)
{
    (void)values;
    (void)argument;
    return se_fail(-ENOTSUP,
                   "built without the scheduler (it needs the engine and Concurrency Kit)");
}

const struct se_verb se_bench_sched = { .name = "sched",
                                        .summary = "what scheduler and wire cost beside the model",
                                        .run = run };

const struct se_verb se_bench_crowd = { .name = "crowd",
                                        .summary = "what many idle sessions cost a server",
                                        .run = run };

const struct se_verb se_bench_ring = {
    .name = "ring",
    .summary = "what it takes to hand a number to another thread and back",
    .run = run
};

const struct se_verb se_bench_round = {
    .name = "round",
    .arguments = "URL",
    .n_arguments = 1,
    .summary = "what a round with a running server takes, and where its time goes",
    .run = run
};

const struct se_verb se_bench_serve = {
    .name = "serve",
    .arguments = "URL|DIR",
    .n_arguments = 1,
    .summary = "how many edges a server bears, and what keeps it from more",
    .run = run
};

const struct se_verb se_bench_all = {
    .name = "all", .summary = "a page with what the other verbs say of this machine", .run = run
};
