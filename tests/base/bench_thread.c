/* SPDX-License-Identifier: Apache-2.0 */
/* bench_thread - what the pool costs and what it brings.
 *
 *   bench_thread empty [THREADS [LOOPS]]       back to back loops of one empty item per thread
 *   bench_thread meet [THREADS [LOOPS]]        the same, no item ending before all have begun
 *   bench_thread work [US [ITEMS [LOOPS]]]     loops of US microseconds of arithmetic, with 1
 *                                              and with 2 threads in turn, ten blocks of each
 *   bench_thread stream [KIB [ITEMS [LOOPS]]]  the same, reading KIB of memory a loop
 *   ... neighbour                              the same beside a process that keeps the last
 *                                              allowed processor busy
 *
 * Times are of whole blocks; the ratio is of the medians. */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/hist.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"

enum { BLOCKS = 10, SETS = 2 };

static volatile uint64_t sink;

struct load {
    uint64_t turns;       /* of arithmetic, an item */
    const uint64_t *data; /* or words to read, an item's share beginning at item * words */
    uint64_t words, all;
    uint64_t offset;
};

struct meeting {
    _Atomic uint64_t came;
    uint64_t due;
};

static uint64_t turn(uint64_t turns, uint64_t x)
{
    for (uint64_t i = 0; i < turns; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

static void work_fn(void *context, uint32_t item, uint32_t thread)
{
    const struct load *load = context;
    (void)thread;
    uint64_t sum = turn(load->turns, item);
    for (uint64_t i = 0; i < load->words; i++)
        sum += load->data[(load->offset + item * load->words + i) % load->all];
    sink = sum;
}

static void empty_fn(void *context, uint32_t item, uint32_t thread)
{
    (void)context;
    (void)item;
    (void)thread;
}

/* Every thread takes one item and waits for the others, the way there and back; but not for
 * ever, since a sleeping helper is not woken for one item. */
static void meet_fn(void *context, uint32_t item, uint32_t thread)
{
    struct meeting *meeting = context;
    (void)item;
    (void)thread;
    /* relaxed: nothing but the number is passed. */
    atomic_fetch_add_explicit(&meeting->came, 1, memory_order_relaxed);
    for (int i = 0; i < 200000; i++)
        if (atomic_load_explicit(&meeting->came, memory_order_relaxed) >= meeting->due)
            break;
}

static void print_hist(const char *name, struct se_hist *hist, double unit)
{
    printf("%-22s p50 %9.2f  p99 %9.2f  p99.9 %9.2f  max %9.2f  n %zu\n", name,
           se_hist_at(hist, 0.5) / unit, se_hist_at(hist, 0.99) / unit,
           se_hist_at(hist, 0.999) / unit, se_hist_at(hist, 1) / unit, hist->n);
}

static int bench_empty(uint32_t threads, uint32_t loops, bool meet)
{
    struct se_pool *pool;
    struct se_hist hist = { 0 };
    struct meeting meeting = { 0 };
    int r = se_pool_new(&pool, threads, false);
    if (r < 0)
        return r;
    se_pool_share_always(pool, true);
    for (uint32_t i = 0; i < loops + 1000; i++) {
        uint64_t start = se_clock_ns();
        meeting.due += threads;
        se_pool_run(pool, meet ? meet_fn : empty_fn, &meeting, threads);
        uint64_t end = se_clock_ns();
        if (i >= 1000 && (r = se_hist_add(&hist, (double)(end - start))) < 0)
            break;
    }
    struct se_pool_stat stat = se_pool_stat_take(pool);
    printf("%u threads, %s; ns of a loop, helpers did %.0f%% of what they could\n", threads,
           meet ? "meeting" : "empty items",
           100 * (double)stat.helped / (double)(stat.runs * (threads - 1)));
    print_hist("loop, ns", &hist, 1);
    se_hist_fini(&hist);
    se_pool_free(pool);
    return r;
}

/* Keeps the last allowed processor busy until this process ends. */
static pid_t start_neighbour(void)
{
    cpu_set_t allowed, one;
    int last = 0;
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &allowed))
            last = i;
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    sched_setaffinity(0, sizeof one, &one);
    for (;;)
        sink = turn(1000, sink);
}

static int run_block(struct se_pool *pool, struct load *load, uint32_t items, uint32_t loops,
                     struct se_hist *block)
{
    uint64_t start = se_clock_ns();
    for (uint32_t i = 0; i < loops; i++) {
        se_pool_run(pool, work_fn, load, items);
        load->offset += load->words * items;
    }
    return se_hist_add(block, (double)(se_clock_ns() - start));
}

static int bench_load(struct load *load, uint32_t items, uint32_t loops)
{
    struct se_pool *pool[SETS] = { NULL };
    struct se_hist block[SETS] = { { 0 } };
    int r = 0;
    for (uint32_t i = 0; i < SETS && r >= 0; i++)
        r = se_pool_new(&pool[i], i + 1, false);
    for (int b = 0; b < BLOCKS * SETS && r >= 0; b++)
        r = run_block(pool[b % SETS], load, items, loops, &block[b % SETS]);
    for (uint32_t i = 0; i < SETS && r >= 0; i++) {
        struct se_pool_stat stat = se_pool_stat_take(pool[i]);
        char name[64];
        snprintf(name, sizeof name, "%u threads, ms a block", i + 1);
        print_hist(name, &block[i], 1e6);
        printf("    shared %llu alone %llu, items by helpers %.0f%%, waited %.1f ms\n",
               (unsigned long long)stat.runs, (unsigned long long)stat.alone,
               100.0 * (double)stat.helped / ((double)items * loops * BLOCKS),
               (double)stat.waited_ns / 1e6);
    }
    if (r >= 0)
        printf("    speed of 2 over 1: %.2f\n",
               se_hist_at(&block[0], 0.5) / se_hist_at(&block[1], 0.5));
    for (uint32_t i = 0; i < SETS; i++) {
        se_pool_free(pool[i]);
        se_hist_fini(&block[i]);
    }
    return r;
}

/* Turns of arithmetic in a microsecond. */
static uint64_t calibrate(void)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        uint64_t start = se_clock_ns();
        sink = turn(1000000, sink);
        uint64_t took = se_clock_ns() - start;
        best = took < best ? took : best;
    }
    return 1000000000u / best;
}

int main(int argc, char **argv)
{
    bool neighbour = argc > 1 && !strcmp(argv[argc - 1], "neighbour");
    pid_t child = 0;
    int r = -1;
    argc -= neighbour;
    const char *mode = argc > 1 ? argv[1] : "empty";
    unsigned long arg[3] = { 0 };
    for (int i = 2; i < argc && i < 5; i++)
        arg[i - 2] = strtoul(argv[i], NULL, 10);
    uint32_t items = arg[1] ? (uint32_t)arg[1] : 64;
    uint32_t loops = arg[2] ? (uint32_t)arg[2] : 200;
    struct load load = { .all = 1 };
    uint64_t *data = NULL;
    uint64_t per_us = calibrate();
    if (neighbour)
        child = start_neighbour();
    bool meet = !strcmp(mode, "meet");
    if (meet || !strcmp(mode, "empty")) {
        r = bench_empty(arg[0] ? (uint32_t)arg[0] : 2, arg[1] ? (uint32_t)arg[1] : 200000, meet);
    } else if (!strcmp(mode, "work")) {
        load.turns = (arg[0] ? arg[0] : 2000) * per_us / items;
        r = bench_load(&load, items, loops);
    } else if (!strcmp(mode, "stream")) {
        load.words = (arg[0] ? arg[0] : 65536) * 128 / items;
        load.all = 64u << 20;
        load.data = data = se_mem_zero(load.all, sizeof *data);
        r = data ? bench_load(&load, items, loops) : -1;
    }
    if (r < 0)
        fprintf(stderr, "bench_thread: %s\n", se_err_text());
    se_mem_free(data);
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    return r < 0;
}
