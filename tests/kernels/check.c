/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kernels/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/cpu.h"
#include "runtime/base/hist.h"

static uint32_t n_compared;

uint64_t check_begin(struct se_rng *rng)
{
    const char *given = getenv("SE_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    se_rng_init(rng, seed, SE_RNG_TEST);
    return seed;
}

bool check_usable(const char *name, uint32_t cpu)
{
    if (cpu & ~se_cpu_flags())
        return false;
    if (cpu) {
        printf("compared: %s\n", name);
        n_compared++;
    }
    return true;
}

int check_nothing(void)
{
    if (n_compared)
        return 0;
    printf("skipped: this processor has no row but the reference\n");
    return 77;
}

void *check_area_init(struct check_area *area, size_t size_b)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    area->map_b = (size_b + page - 1) / page * page + 2 * page;
    area->before_b = area->map_b - page - size_b;
    area->map = mmap(NULL, area->map_b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area->map == MAP_FAILED || mprotect(area->map + area->map_b - page, page, PROT_NONE) < 0) {
        perror("check_area_init");
        exit(1);
    }
    memset(area->map, 0xff, area->map_b - page);
    return area->map + area->before_b;
}

bool check_area_fini(struct check_area *area)
{
    bool intact = true;
    for (size_t i = 0; i < area->before_b; i++)
        intact = intact && area->map[i] == 0xff;
    munmap(area->map, area->map_b);
    if (!intact)
        printf("written before the block\n");
    return intact;
}

bool check_same_bits(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(a + i, b + i, sizeof *a)) {
            printf("element %zu of %zu: %a instead of %a\n", i, n, (double)a[i], (double)b[i]);
            return false;
        }
    }
    return true;
}

bool check_close(const float *a, const float *b, size_t n, double relative, double absolute)
{
    for (size_t i = 0; i < n; i++) {
        double got = a[i], want = b[i];
        if ((isnan(got) && isnan(want)) || (isinf(want) && got == want))
            continue;
        if (!(fabs(got - want) <= relative * fabs(want) + absolute) || isinf(want)) {
            printf("element %zu of %zu: %.9g instead of %.9g\n", i, n, got, want);
            return false;
        }
    }
    return true;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double check_time(void (*call)(void *context), void *context)
{
    enum { MOST = 2000 };
    struct se_hist hist = SE_HIST_NULL;
    double first = now_ns(), begin = first;
    call(context);
    double once = now_ns() - first;
    /* Short calls are timed in runs, so that reading the clock costs next to nothing. */
    uint32_t run = once < 20000 ? (uint32_t)(20000 / (once + 1)) + 1 : 1;
    for (uint32_t i = 0; i < MOST && now_ns() - begin < 2e8; i++) {
        double start = now_ns();
        for (uint32_t j = 0; j < run; j++)
            call(context);
        if (se_hist_add(&hist, (now_ns() - start) / run) < 0)
            break;
    }
    double median = se_hist_at(&hist, 0.5);
    se_hist_fini(&hist);
    return median;
}
