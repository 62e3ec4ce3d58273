/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/floor.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "tools/peak.h"

enum {
    REPEATS = 25, /* the best counts: a floor is what undisturbed hardware does */
    PART_B = 4 << 20,
    TURNS = 400000
};
static const size_t stream_b = (size_t)512 << 20; /* far more than caches hold */

/* Sixteen bytes wide so that any processor loads it with one instruction. */
typedef uint64_t se_floor_lane __attribute__((vector_size(16)));

struct work {
    const unsigned char *stream;
    const struct se_peak_impl *peak;
    volatile uint64_t kept; /* so that nothing read is unused */
};

static void read_part(void *context, uint32_t item, uint32_t thread)
{
    struct work *work = context;
    const se_floor_lane *at =
        (const se_floor_lane *)(const void *)(work->stream + (size_t)item * PART_B);
    se_floor_lane a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
    (void)thread;
    for (size_t i = 0; i < PART_B / sizeof *at; i += 4) {
        a += at[i];
        b += at[i + 1];
        c += at[i + 2];
        d += at[i + 3];
    }
    a += b + c + d;
    work->kept = a[0] + a[1];
}

static void multiply_part(void *context, uint32_t item, uint32_t thread)
{
    const struct work *work = context;
    (void)item;
    (void)thread;
    work->peak->run(TURNS);
}

static double best_time(struct se_pool *pool, se_pool_fn *fn, struct work *work, uint32_t items)
{
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        uint64_t from = se_clock_ns();
        se_pool_run(pool, fn, work, items);
        double took = (double)(se_clock_ns() - from) * 1e-9;
        best = took < best ? took : best;
    }
    return best;
}

int se_floor_measure(struct se_floor *floor, struct se_pool *pool, enum se_dtype dtype)
{
    struct work work = { .peak = se_peak_pick(dtype) };
    unsigned char *stream = se_mem_new(stream_b, 1);
    if (!stream)
        return -ENOMEM;
    memset(stream, 1, stream_b); /* pages of our own, not the one page of zeros */
    work.stream = stream;
    *floor = (struct se_floor){ 0 };
    floor->read_b =
        (double)stream_b / best_time(pool, read_part, &work, (uint32_t)(stream_b / PART_B));
    se_mem_free(stream);
    if (work.peak) {
        uint32_t items = 4 * se_pool_threads(pool);
        double ops = (double)TURNS * SE_PEAK_CHAINS * work.peak->ops * items;
        floor->rate = ops / best_time(pool, multiply_part, &work, items);
        floor->what = work.peak->name;
    }
    return 0;
}
