/* SPDX-License-Identifier: Apache-2.0 */
/* Never slower: tokens per second of plain decoding, of speculation left to itself (auto) and of
 * speculation always (on), through the same server, in the simulation's time.
 *
 *   bench_speculate [TOKENS [SEED]]
 *
 * One line per situation: what a step costs, how far the server is, how good and how fast the
 * draft is, how many clients there are. The ratio is auto over plain; the texts are proven equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "tests/sched/sim.h"

struct situation {
    const char *name;
    uint64_t step_us, row_us; /* of the server */
    uint64_t trip_ms;         /* there and back */
    float stray;              /* of the draft: 0 agrees always, 1 never */
    uint64_t level_us, draft_row_us;
    uint32_t n;
    double temp;
};

/* A target like a large model on a GPU: 20 ms and little more for more rows; like a small one on
 * a CPU: 2 ms and nearly as much for four rows. */
static const struct situation situations[] = {
    { "gpu, good draft, 1 ms away", 20000, 20, 1, 0.1f, 1000, 10, 1, 0.7 },
    { "gpu, good draft, 14 ms away", 20000, 20, 14, 0.1f, 1000, 10, 1, 0.7 },
    { "gpu, good draft, 50 ms away", 20000, 20, 50, 0.1f, 1000, 10, 1, 0.7 },
    { "gpu, good draft, 100 ms away", 20000, 20, 100, 0.1f, 1000, 10, 1, 0.7 },
    { "gpu, fair draft, 14 ms away", 20000, 20, 14, 0.3f, 1000, 10, 1, 0.7 },
    { "gpu, useless draft, 14 ms away", 20000, 20, 14, 1, 1000, 10, 1, 0.7 },
    { "gpu, useless draft, 50 ms away", 20000, 20, 50, 1, 1000, 10, 1, 0.7 },
    { "gpu, useless draft, greedy", 20000, 20, 14, 1, 1000, 10, 1, 0 },
    { "gpu, perfect draft, as slow", 20000, 20, 14, 0, 20000, 20, 1, 0.7 },
    { "gpu, good draft, half as slow", 20000, 20, 14, 0.1f, 10000, 20, 1, 0.7 },
    { "cpu, good draft, 1 ms away", 2000, 500, 1, 0.1f, 200, 50, 1, 0.7 },
    { "cpu, good draft, 50 ms away", 2000, 500, 50, 0.1f, 200, 50, 1, 0.7 },
    { "cpu, useless draft, 1 ms away", 2000, 500, 1, 1, 200, 50, 1, 0.7 },
    { "cpu, draft as slow, 1 ms away", 2000, 500, 1, 0, 2000, 500, 1, 0.7 },
    { "gpu, good draft, 8 clients", 20000, 20, 14, 0.1f, 1000, 10, 8, 0.7 },
    { "gpu, good draft, 64 clients", 20000, 20, 14, 0.1f, 1000, 10, 64, 0.7 },
    { "gpu, useless draft, 64 clients", 20000, 20, 14, 1, 1000, 10, 64, 0.7 },
    { "cpu, good draft, 8 clients", 2000, 500, 14, 0.1f, 200, 50, 8, 0.7 },
    { "cpu, good draft, 64 clients", 2000, 500, 14, 0.1f, 200, 50, 64, 0.7 },
    { "cpu, useless draft, 64 clients", 2000, 500, 14, 1, 200, 50, 64, 0.7 },
};
enum { N_SITUATIONS = sizeof situations / sizeof situations[0] };

struct outcome {
    double rate; /* tokens per second of each client, the mean */
    double per_round;
    uint32_t trees, pushed;
};

static struct outcome run(const struct situation *s, enum se_wire_speculate how, uint32_t tokens,
                          uint64_t seed)
{
    struct sim sim;
    struct outcome out = { 0 };
    struct sim_options o = sim_options(seed, s->n);
    uint64_t rounds = 0, all = 0;
    o.step_ns = s->step_us * 1000;
    o.row_ns = s->row_us * 1000;
    o.max_rows = 1024;
    o.context = 2048;
    o.pages = s->n * 40 + 64;
    o.live.max_batch = 64;
    o.faults.delay_min_ns = o.faults.delay_max_ns = s->trip_ms * 500000;
    sim_begin(&sim, &o);
    for (uint32_t i = 0; i < s->n; i++) {
        sim.edge[i].options.speculate = how;
        sim.edge[i].options.sampling.temp = s->temp;
        sim.edge[i].options.give_up_ns = UINT64_MAX / 4;
        sim_draft(&sim, i, s->stray, s->level_us * 1000, s->draft_row_us * 1000);
        sim_join(&sim, i);
        sim_ask(&sim, i, 30, tokens);
    }
    if (!sim_run(&sim, sim.now_ns + UINT64_C(100000000000000)))
        fail_msg("%s: it does not end", s->name);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct sim_edge *e = &sim.edge[i];
        out.rate += (double)e->tokens / ((double)(e->ends_ns - UINT64_C(1000000000)) * 1e-9) / s->n;
        rounds += e->rounds;
        all += e->tokens;
        out.trees += e->trees;
        out.pushed += e->pushed;
    }
    out.per_round = (double)all / (double)rounds;
    sim_end(&sim);
    return out;
}

static uint32_t tokens = 256;
static uint64_t seed = 1;

static void table(void **state)
{
    (void)state;
    printf("%-32s %8s %8s %8s %6s %6s %7s\n", "", "plain", "auto", "on", "ratio", "on", "trees");
    for (int i = 0; i < N_SITUATIONS; i++) {
        const struct situation *s = &situations[i];
        struct outcome plain = run(s, SE_WIRE_SPECULATE_OFF, tokens, seed);
        struct outcome left = run(s, SE_WIRE_SPECULATE_AUTO, tokens, seed);
        struct outcome on = run(s, SE_WIRE_SPECULATE_ON, tokens, seed);
        printf("%-32s %8.1f %8.1f %8.1f %6.3f %6.3f %6.0f%%\n", s->name, plain.rate, left.rate,
               on.rate, left.rate / plain.rate, on.rate / plain.rate,
               100.0 * left.trees / (left.trees + left.pushed + 1e-9));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(table) };
    if (argc > 1)
        tokens = (uint32_t)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests_name("speculate", tests, NULL, NULL);
}
