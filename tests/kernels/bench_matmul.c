/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kernels/bench_matmul.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/matmul.h"
#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "runtime/base/hist.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "tools/floor.h"

/* Enough matrices to leave every cache between two visits of one. */
enum { POOL_B = 384 << 20, MOST_SAMPLES = 400 };

static const struct {
    uint32_t n_in, n_out;
} shapes[] = { { 2048, 2048 }, { 2048, 5632 },  { 5632, 2048 },
               { 2048, 256 },  { 2048, 32000 }, { 1024, 1024 } };
static const uint32_t row_counts[] = { 1, 2, 4, 8, 16, 33, 64, 128 };

/* Time this thread ran: a neighbour that takes the core away does not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t matrix_size(enum se_dtype dtype, uint32_t n_out, uint32_t n_in, size_t *scale_at)
{
    *scale_at = 0;
    if (dtype == SE_DTYPE_Q8)
        return se_matrix_q8_size(n_out, n_in, scale_at);
    return (size_t)n_out * n_in * (dtype == SE_DTYPE_F32 ? 4 : 2);
}

/* A pattern that is a small number in every format. */
static void fill_pool(unsigned char *pool)
{
    for (size_t i = 0; i < POOL_B; i += 4) {
        uint32_t word = (uint32_t)(i * 2654435761u);
        word = (word & 0x80ff80ffu) | 0x3c003c00u;
        memcpy(pool + i, &word, 4);
    }
}

struct sample {
    double best, median, prepare;
};

/* Products with one matrix after the other, each met cold. */
static int measure(const struct se_matmul_impl *impl, const unsigned char *pool, uint32_t n_in,
                   uint32_t n_out, uint32_t n_rows, struct sample *sample)
{
    size_t scale_at, size = matrix_size(impl->dtype, n_out, n_in, &scale_at);
    size_t stride = (size + 63) & ~(size_t)63, copies = POOL_B / stride;
    float *x = se_mem_new((size_t)n_rows * n_in, sizeof *x);
    float *y = se_mem_new((size_t)n_rows * n_out, sizeof *y);
    void *rows = se_mem_new(se_matmul_rows_size(impl->dtype, n_rows, n_in), 1);
    struct se_hist run = SE_HIST_NULL, prepare = SE_HIST_NULL;
    double begin = now();
    int r = x && y && rows ? 0 : -1;

    for (size_t i = 0; !r && i < (size_t)n_rows * n_in; i++)
        x[i] = (float)(i % 17) - 8;
    for (int i = 0; !r && i < MOST_SAMPLES && (i < 5 || now() - begin < 0.25); i++) {
        const unsigned char *at = pool + (size_t)i % copies * stride;
        struct se_matrix w = { impl->dtype, n_out, n_in, at,
                               (const uint16_t *)(const void *)(at + scale_at) };
        double t = now();
        impl->prepare(x, n_in, n_rows, n_in, rows, 0, n_rows);
        double made = now();
        impl->run(&w, rows, n_rows, y, n_out, 0, n_out);
        r = se_hist_add(&run, now() - made) | se_hist_add(&prepare, made - t);
    }
    if (!r)
        *sample =
            (struct sample){ se_hist_at(&run, 0), se_hist_at(&run, 0.5), se_hist_at(&prepare, 0) };
    se_hist_fini(&run);
    se_hist_fini(&prepare);
    se_mem_free(x);
    se_mem_free(y);
    se_mem_free(rows);
    return r;
}

static int report(const struct se_matmul_impl *impl, const unsigned char *pool,
                  const struct se_floor *floor, uint32_t n_in, uint32_t n_out, uint32_t n_rows)
{
    size_t unused, size = matrix_size(impl->dtype, n_out, n_in, &unused);
    double ops = 2.0 * n_in * n_out * n_rows;
    double least = (double)size / floor->read_b;
    struct sample s;

    if (measure(impl, pool, n_in, n_out, n_rows, &s))
        return -1;
    if (floor->rate > 0 && ops / floor->rate > least)
        least = ops / floor->rate;
    printf("%-5s %-7s %5u x %5u %4u rows: %8.1f us, median %8.1f; %5.1f GB/s %6.1f Gop/s; "
           "floor %3.0f%%; prepare %5.1f us\n",
           se_dtype_name(impl->dtype), impl->name, n_in, n_out, n_rows, s.best * 1e6,
           s.median * 1e6, (double)size / s.best * 1e-9, ops / s.best * 1e-9, 100 * least / s.best,
           s.prepare * 1e6);
    fflush(stdout);
    return 0;
}

static int bench_impl(const struct se_matmul_impl *impl, const unsigned char *pool,
                      struct se_pool *alone)
{
    struct se_floor floor;
    int r = se_floor_measure(&floor, alone, impl->dtype);

    if (r)
        return r;
    printf("%s: this core reads %.1f GB/s", se_dtype_name(impl->dtype), floor.read_b * 1e-9);
    if (floor.what)
        printf(" and does %.0f Gop/s of %s", floor.rate * 1e-9, floor.what);
    printf("; floor: the share of what that allows\n");
    for (uint32_t s = 0; !r && s < sizeof shapes / sizeof *shapes; s++)
        for (uint32_t i = 0; !r && i < sizeof row_counts / sizeof *row_counts; i++)
            r = report(impl, pool, &floor, shapes[s].n_in, shapes[s].n_out, row_counts[i]);
    return r;
}

int bench_matmul(int argc, char **argv)
{
    unsigned char *pool = se_mem_new(POOL_B, 1);
    struct se_pool *alone = NULL;
    int r = pool ? se_pool_new(&alone, 1, false) : -1;

    if (!r)
        fill_pool(pool);
    for (uint32_t t = 0; !r && t < se_matmul_table_n; t++) {
        const struct se_matmul_impl *impl = &se_matmul_table[t];
        /* plain C only where it was asked for: it takes its time */
        if ((impl->cpu & ~se_cpu_flags()) || (!impl->cpu && argc < 2) ||
            (argc > 0 && strcmp(argv[0], se_dtype_name(impl->dtype))) ||
            (argc > 1 && strcmp(argv[1], impl->name)))
            continue;
        r = bench_impl(impl, pool, alone);
    }
    if (r)
        fprintf(stderr, "bench: %s\n", se_err_text());
    se_pool_free(alone);
    se_mem_free(pool);
    return r ? 1 : 0;
}
