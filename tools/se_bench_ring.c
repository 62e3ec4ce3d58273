/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench ring: a number handed to another thread and back, through the rings between server and
 * engine, beside what memory takes without them. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "sched/ring.h"
#include "tools/bare.h"
#include "tools/figures.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"
#include "tools/pin.h"
#include "tools/pingpong.h"
#include "tools/se_bench.h"

enum { ROOM = 64, LOOKS = 4096 /* before the processor is offered to others */ };
#define LEAVE UINT32_MAX
#define PATIENCE_NS UINT64_C(10000000000)

struct options {
    uint64_t rounds, warm_up;
    struct se_conf_uints pin;
    struct se_figures_options figures;
};

struct bench {
    const struct options *o;
    struct se_ring *there, *back;
    int pinned; /* the other thread: 0 or -errno */
    uint32_t turn;
    struct se_pingpong_times ring, memory;
    struct se_figures figures;
};

static int processor(const struct bench *b, size_t number)
{
    return number < b->o->pin.n ? (int)b->o->pin.value[number] : -1;
}

static void *other_main(void *of)
{
    struct bench *b = of;
    b->pinned = se_pin(processor(b, 1));
    for (uint32_t number, i = 1; b->pinned == 0; i++) {
        if (!se_ring_pop(b->there, &number)) {
            if (i % LOOKS == 0)
                sched_yield();
            continue;
        }
        if (number == LEAVE)
            break;
        se_ring_push(b->back, number); /* there is room: one number is on its way at a time */
    }
    return NULL;
}

static int trip(void *of, bool check)
{
    struct bench *b = of;
    uint32_t number;
    const uint64_t end_ns = se_clock_ns() + PATIENCE_NS;
    se_ring_push(b->there, ++b->turn % LEAVE);
    for (uint32_t i = 1; !se_ring_pop(b->back, &number); i++) {
        if (i % LOOKS == 0 && sched_yield() == 0 && se_clock_ns() > end_ns)
            return se_fail(-ETIMEDOUT, "the other thread says nothing");
    }
    if (check && number != b->turn % LEAVE)
        return se_fail(-EIO, "a number came back changed");
    return 0;
}

static int measure_ring(struct bench *b, const struct se_pingpong_plan *plan)
{
    pthread_t other;
    int r = se_ring_new(&b->there, ROOM);
    if (r == 0)
        r = se_ring_new(&b->back, ROOM);
    if (r == 0 && (r = -pthread_create(&other, NULL, other_main, b)) < 0)
        r = se_fail(r, "no thread: %s", strerror(-r));
    if (r == 0) {
        r = se_pingpong_run(trip, b, plan, &b->ring);
        while (!se_ring_push(b->there, LEAVE))
            sched_yield();
        pthread_join(other, NULL);
        if (b->pinned < 0)
            r = se_fail(b->pinned, "pin: no processor %d for the other thread", processor(b, 1));
    }
    se_ring_free(b->there);
    se_ring_free(b->back);
    return r;
}

/* First, because it forks. */
static int measure_memory(struct bench *b, const struct se_pingpong_plan *plan)
{
    const struct se_bare_options options = { .kind = SE_BARE_MEMORY,
                                             .size_b = sizeof(uint32_t),
                                             .processor = processor(b, 1) };
    struct se_bare bare;
    int r = se_bare_open(&bare, &options);
    if (r == 0)
        r = se_pingpong_run(se_bare_trip, &bare, plan, &b->memory);
    se_bare_close(&bare);
    return r;
}

static double over(struct bench *b)
{
    return se_hist_at(&b->ring.back_to_back, 0.5) / se_hist_at(&b->memory.back_to_back, 0.5);
}

static void print_json(void *of)
{
    struct bench *b = of;
    printf("{\"verb\": \"ring\", \"way\": \"round trip\", \"over_memory\": %.3f", over(b));
    se_figures_json(&b->figures);
}

static void print_table(void *of)
{
    struct bench *b = of;
    printf("round trips of a number between two threads, both of which spin\n");
    se_figures_table(&b->figures, "sched/ring, one for each way", 0, 2);
    se_figures_table(&b->figures, "floor: shared memory, two processes", 2, b->figures.n);
    printf("\nback to back rings take %.2f times what shared memory takes\n", over(b));
}

static int run(const void *values, char **argument)
{
    static struct bench b;
    (void)argument;
    memset(&b, 0, sizeof b);
    b.o = values;
    struct se_figure figure[] = {
        { "first", "first number, the thread's start in it", &b.ring.first, false },
        { "back_to_back", "back to back", &b.ring.back_to_back, true },
        { "memory_first", "first number", &b.memory.first, false },
        { "memory_back_to_back", "back to back", &b.memory.back_to_back, false },
    };
    b.figures = (struct se_figures){ .figure = figure,
                                     .n = sizeof figure / sizeof figure[0],
                                     .unit_ns = 1,
                                     .unit = "ns",
                                     .suffix = "_ns" };
    const struct se_pingpong_plan plan = {
        .warm_up = b.o->warm_up, .rounds = b.o->rounds, .spin = true, .unit_ns = 1
    };
    if (b.o->pin.n == 1 || b.o->pin.n > 2)
        return se_usage("pin: one processor for each thread, as in 0,1");
    se_interrupt_watch();
    int r = se_figures_open(&b.figures, &b.o->figures);
    if (r == 0)
        r = se_pin(processor(&b, 0));
    if (r == 0)
        r = measure_memory(&b, &plan);
    if (r == 0)
        r = measure_ring(&b, &plan);
    return se_figures_end(&b.figures, r, print_table, print_json, &b);
}

static const struct se_conf_row rows[] = {
    { "rounds", 'r', SE_CONF_UINT, offsetof(struct options, rounds), "100000", 1, 100000000, "N",
      "there and back" },
    { "warm-up", 'w', SE_CONF_UINT, offsetof(struct options, warm_up), "1000", 0, 100000000, "N",
      "before them, looked at and not counted" },
    { "pin", 'p', SE_CONF_UINTS, offsetof(struct options, pin), NULL, 0, 1023, "A,B",
      "processors that the two threads keep to" },
    SE_FIGURES_OPTION_ROWS(struct options, figures),
};
static struct options chosen;

const struct se_verb se_bench_ring = {
    .name = "ring",
    .summary = "what it takes to hand a number to another thread and back",
    .more = "The rings are those between server and engine. Every time is a round trip in "
            "nanoseconds, and both threads spin: two processors that nobody else uses are needed.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
