/* SPDX-License-Identifier: Apache-2.0 */
/* Never slower: tokens per second of plain decoding, of speculation left to itself (auto) and of
 * speculation always (on), through the same server, in the simulation's time.
 *
 *   bench_speculate [--check] [--tokens N] [--seeds N]
 *
 * One line per situation: what a step costs, how far the server is, how good and how fast the
 * draft is, how many clients there are. Rates are means over the seeds (1, 2 ...: other texts and
 * other chances), the ratio auto over plain is the mean and, after it, the least of all seeds.
 * Every text is checked against the target's own. A seed gives the same numbers to the digit.
 * With --check it fails where auto stays below what it must reach, and tells only that. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    double must; /* auto over plain, the mean of several seeds */
};

#define NEVER 0.97 /* slower */

/* A target like a large model on a GPU: 20 ms and little more for more rows; like a small one on
 * a CPU: 2 ms and nearly as much for four rows. */
static const struct situation situations[] = {
    { "gpu, good draft, 1 ms away", 20000, 20, 1, 0.1f, 1000, 10, 1, 0.7, 3.5 },
    { "gpu, good draft, 14 ms away", 20000, 20, 14, 0.1f, 1000, 10, 1, 0.7, 2.5 },
    { "gpu, good draft, 50 ms away", 20000, 20, 50, 0.1f, 1000, 10, 1, 0.7, 1.5 },
    { "gpu, good draft, 100 ms away", 20000, 20, 100, 0.1f, 1000, 10, 1, 0.7, 1.1 },
    { "gpu, fair draft, 14 ms away", 20000, 20, 14, 0.3f, 1000, 10, 1, 0.7, 1.4 },
    { "gpu, fair draft, 50 ms away", 20000, 20, 50, 0.3f, 1000, 10, 1, 0.7, NEVER },
    { "gpu, poor draft, 1 ms away", 20000, 20, 1, 0.6f, 1000, 10, 1, 0.7, 1.2 },
    { "gpu, poor draft, 14 ms away", 20000, 20, 14, 0.6f, 1000, 10, 1, 0.7, NEVER },
    { "gpu, useless draft, 14 ms away", 20000, 20, 14, 1, 1000, 10, 1, 0.7, NEVER },
    { "gpu, useless draft, 50 ms away", 20000, 20, 50, 1, 1000, 10, 1, 0.7, NEVER },
    { "gpu, useless draft, greedy", 20000, 20, 14, 1, 1000, 10, 1, 0, NEVER },
    { "gpu, perfect draft, as slow", 20000, 20, 14, 0, 20000, 20, 1, 0.7, NEVER },
    { "gpu, good draft, half as slow", 20000, 20, 14, 0.1f, 10000, 20, 1, 0.7, 1.1 },
    { "gpu, fair draft, half as slow", 20000, 20, 14, 0.3f, 10000, 20, 1, 0.7, NEVER },
    { "cpu, good draft, 1 ms away", 2000, 500, 1, 0.1f, 200, 50, 1, 0.7, NEVER },
    { "cpu, good draft, 50 ms away", 2000, 500, 50, 0.1f, 200, 50, 1, 0.7, NEVER },
    { "cpu, useless draft, 1 ms away", 2000, 500, 1, 1, 200, 50, 1, 0.7, NEVER },
    { "cpu, draft as slow, 1 ms away", 2000, 500, 1, 0, 2000, 500, 1, 0.7, NEVER },
    { "gpu, good draft, 8 clients", 20000, 20, 14, 0.1f, 1000, 10, 8, 0.7, 2 },
    { "gpu, good draft, 64 clients", 20000, 20, 14, 0.1f, 1000, 10, 64, 0.7, 1.5 },
    { "gpu, useless draft, 64 clients", 20000, 20, 14, 1, 1000, 10, 64, 0.7, NEVER },
    { "cpu, good draft, 8 clients", 2000, 500, 14, 0.1f, 200, 50, 8, 0.7, NEVER },
    { "cpu, good draft, 64 clients", 2000, 500, 14, 0.1f, 200, 50, 64, 0.7, NEVER },
    { "cpu, useless draft, 64 clients", 2000, 500, 14, 1, 200, 50, 64, 0.7, NEVER },
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

static void line(const struct situation *s, uint32_t tokens, uint32_t seeds)
{
    double plain = 0, left = 0, on = 0, least = INFINITY, ratio = 0, trees = 0;
    for (uint32_t seed = 1; seed <= seeds; seed++) {
        const struct outcome p = run(s, SE_WIRE_SPECULATE_OFF, tokens, seed);
        const struct outcome a = run(s, SE_WIRE_SPECULATE_AUTO, tokens, seed);
        const struct outcome o = run(s, SE_WIRE_SPECULATE_ON, tokens, seed);
        plain += p.rate / seeds;
        left += a.rate / seeds;
        on += o.rate / seeds;
        ratio += a.rate / p.rate / seeds;
        least = fmin(least, a.rate / p.rate);
        trees += 100.0 * a.trees / (a.trees + a.pushed + 1e-9) / seeds;
    }
    printf("| %s | %.1f | %.1f | %.1f | %.3f (%.3f) | %.3f | %.0f %% |\n", s->name, plain, left, on,
           ratio, least, on / plain, trees);
    fflush(stdout);
}

static bool reaches(const struct situation *s, uint32_t tokens, uint32_t seeds)
{
    double ratio = 0;
    for (uint32_t seed = 1; seed <= seeds; seed++)
        ratio += run(s, SE_WIRE_SPECULATE_AUTO, tokens, seed).rate /
                 run(s, SE_WIRE_SPECULATE_OFF, tokens, seed).rate / seeds;
    if (ratio < s->must)
        printf("%s: auto is %.3f x plain, and must be %.2f\n", s->name, ratio, s->must);
    return ratio >= s->must;
}

static uint32_t number_of(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || end == text || *end || n < 1 || n > 100000) {
        fprintf(stderr, "bench_speculate: '%s' is no number from 1 to 100000\n", text);
        exit(2);
    }
    return (uint32_t)n;
}

int main(int argc, char **argv)
{
    uint32_t tokens = 256, seeds = 5;
    bool check = false, good = true;
    for (int at = 1; at < argc; at++) {
        if (at + 1 < argc && strcmp(argv[at], "--tokens") == 0) {
            tokens = number_of(argv[++at]);
        } else if (at + 1 < argc && strcmp(argv[at], "--seeds") == 0) {
            seeds = number_of(argv[++at]);
        } else if (strcmp(argv[at], "--check") == 0) {
            check = true;
        } else {
            fprintf(stderr, "usage: bench_speculate [--check] [--tokens N] [--seeds N]\n");
            return 2;
        }
    }
    if (check) {
        for (int i = 0; i < N_SITUATIONS; i++)
            good = reaches(&situations[i], tokens, seeds) && good;
        return good ? 0 : 1;
    }
    printf("| %u tokens | plain, tok/s | auto | on | auto over plain (least) | on over plain "
           "| trees (auto) |\n|---|--:|--:|--:|--:|--:|--:|\n",
           tokens);
    for (int i = 0; i < N_SITUATIONS; i++)
        line(&situations[i], tokens, seeds);
    return 0;
}
