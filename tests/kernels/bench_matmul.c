/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kernels/bench_matmul.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels/matmul.h"
#include "runtime/base/cpu.h"
#include "runtime/base/hist.h"
#include "runtime/base/mem.h"

/* Enough matrices to leave every cache between two visits of one. */
enum { POOL_B = 384 << 20, MOST_SAMPLES = 400 };

static const struct {
    uint32_t n_in, n_out;
} shapes[] = { { 2048, 2048 }, { 2048, 5632 }, { 5632, 2048 }, { 2048, 256 }, { 2048, 32000 }, { 1024, 1024 } };
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

static void bench_one(const struct se_matmul_impl *impl, const unsigned char *pool, uint32_t n_in,
                      uint32_t n_out, uint32_t n_rows)
{
    size_t scale_at, size = matrix_size(impl->dtype, n_out, n_in, &scale_at);
    size_t stride = (size + 63) & ~(size_t)63, copies = POOL_B / stride;
    float *x = se_mem_new((size_t)n_rows * n_in, sizeof *x);
    float *y = se_mem_new((size_t)n_rows * n_out, sizeof *y);
    void *rows = se_mem_new(se_matmul_rows_size(impl->dtype, n_rows, n_in), 1);
    struct se_hist hist = SE_HIST_NULL;
    double begin = now(), prepare = 1e9;

    if (!x || !y || !rows || !copies)
        goto out;
    for (size_t i = 0; i < (size_t)n_rows * n_in; i++)
        x[i] = (float)(i % 17) - 8;
    for (int i = 0; i < MOST_SAMPLES && (i < 5 || now() - begin < 0.25); i++) {
        const unsigned char *at = pool + (size_t)i % copies * stride;
        struct se_matrix w = { impl->dtype, n_out, n_in, at,
                               (const uint16_t *)(const void *)(at + scale_at) };
        double t = now();
        impl->prepare(x, n_in, n_rows, n_in, rows, 0, n_rows);
        double made = now();
        impl->run(&w, rows, n_rows, y, n_out, 0, n_out);
        se_hist_add(&hist, now() - made);
        prepare = made - t < prepare ? made - t : prepare;
    }
    double best = se_hist_at(&hist, 0), median = se_hist_at(&hist, 0.5);
    double ops = 2.0 * n_in * n_out * n_rows;
    printf("%-5s %-7s %5u x %5u rows %3u: %7.1f us (median %7.1f)  %5.1f GB/s  %6.1f Gop/s"
           " (median %6.1f)  prepare %5.1f us\n",
           se_dtype_name(impl->dtype), impl->name, n_in, n_out, n_rows, best * 1e6, median * 1e6,
           (double)size / best * 1e-9, ops / best * 1e-9, ops / median * 1e-9, prepare * 1e6);
    fflush(stdout);
out:
    se_hist_fini(&hist);
    se_mem_free(x);
    se_mem_free(y);
    se_mem_free(rows);
}

int bench_matmul(int argc, char **argv)
{
    unsigned char *pool = se_mem_new(POOL_B, 1);

    if (!pool)
        return 1;
    fill_pool(pool);
    for (uint32_t t = 0; t < se_matmul_table_n; t++) {
        const struct se_matmul_impl *impl = &se_matmul_table[t];
        if ((impl->cpu & ~se_cpu_flags()) || (argc > 0 && strcmp(argv[0], se_dtype_name(impl->dtype))) ||
            (argc > 1 && strcmp(argv[1], impl->name)))
            continue;
        for (uint32_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (uint32_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++)
                if (argc > 1 || impl->cpu)
                    bench_one(impl, pool, shapes[s].n_in, shapes[s].n_out, row_counts[r]);
    }
    se_mem_free(pool);
    return 0;
}
