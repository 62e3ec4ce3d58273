/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/floors.c - what the cores and the memory of this machine do at most.
 *
 * Reads 2 GiB in a stream, from small and from huge pages, and runs chains of each multiply-add
 * long enough to hide its latency; with one thread, two, ... up to the number of CPUs (or up to
 * the first argument). Each figure is the median and the range of REPEATS runs. Not part of
 * the build; see README.md. x86-64 with AVX-512; what the compiler was not told of is left out. */
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { REPEATS = 9, MAX_THREADS = 64, CHAINS = 12 };
static const size_t stream_b = (size_t)2 << 30;

struct crew;
typedef void work_fn(const struct crew *crew, int self);

struct crew {
    work_fn *work;
    int n;
    const char *stream;
    pthread_barrier_t edge; /* everyone, before and after each run */
};

struct member {
    struct crew *crew;
    int self;
    pthread_t thread;
};

static volatile uint64_t kept; /* so that no result is unused */

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void work_read(const struct crew *crew, int self)
{
    size_t n = stream_b / (size_t)crew->n & ~(size_t)4095;
    const char *p = crew->stream + n * (size_t)self;
    __m512i a = _mm512_setzero_si512();
    __m512i b = a;
    __m512i c = a;
    __m512i d = a;

    for (size_t i = 0; i < n; i += 256) {
        a = _mm512_add_epi64(a, _mm512_load_si512(p + i));
        b = _mm512_add_epi64(b, _mm512_load_si512(p + i + 64));
        c = _mm512_add_epi64(c, _mm512_load_si512(p + i + 128));
        d = _mm512_add_epi64(d, _mm512_load_si512(p + i + 192));
    }
    a = _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d));
    kept = (uint64_t)_mm512_reduce_add_epi64(a);
}

static const long rate_turns = 8000000;

/* Chains of one instruction, each on a register of its own: all loops over them are unrolled,
 * else the array lives in memory. The empty assembly makes the compiler believe that each sum
 * may have changed; it would fold turns whose operands never change. */
#define RATE_WORK(name, type, operand, start, instruction, total) \
    static void name(const struct crew *crew, int self) \
    { \
        operand; \
        type sum[CHAINS]; \
        (void)crew; \
        (void)self; \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) sum[i] = start; \
        for (long t = 0; t < rate_turns; t++) { \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) \
            { \
                sum[i] = instruction; \
                __asm__ volatile("" : "+v"(sum[i])); \
            } \
        } \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) kept = (uint64_t)total(sum[i]); \
    }

RATE_WORK(work_f32, __m512, __m512 x = _mm512_set1_ps(1e-9f), _mm512_set1_ps((float)i),
          _mm512_fmadd_ps(x, x, sum[i]), _mm512_reduce_add_ps)
#ifdef __AVX512BF16__
RATE_WORK(work_bf16, __m512,
          __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1e-9f), _mm512_set1_ps(1e-9f)),
          _mm512_set1_ps((float)i), _mm512_dpbf16_ps(sum[i], x, x), _mm512_reduce_add_ps)
#endif
#ifdef __AVX512VNNI__
RATE_WORK(work_int8, __m512i, __m512i x = _mm512_set1_epi8(3), _mm512_set1_epi32(i),
          _mm512_dpbusd_epi32(sum[i], x, x), _mm512_reduce_add_epi32)
#endif

static void *member_main(void *arg)
{
    struct member *m = arg;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)m->self, &set);
    /* Where that CPU is not ours the thread stays where it is: slower, never wrong. */
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    for (int i = 0; i < REPEATS; i++) {
        pthread_barrier_wait(&m->crew->edge);
        m->crew->work(m->crew, m->self);
        pthread_barrier_wait(&m->crew->edge);
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* units: what all threads together do in one run, in the name's unit times 1e9. */
static void measure(const char *name, work_fn *work, int n, const char *stream, double units)
{
    struct crew crew = { .work = work, .n = n, .stream = stream };
    struct member member[MAX_THREADS];
    double s[REPEATS];

    pthread_barrier_init(&crew.edge, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++) {
        member[i] = (struct member){ .crew = &crew, .self = i };
        if (pthread_create(&member[i].thread, NULL, member_main, &member[i]) != 0) {
            fprintf(stderr, "floors: no thread\n");
            exit(1);
        }
    }
    for (int i = 0; i < REPEATS; i++) {
        pthread_barrier_wait(&crew.edge);
        double from = now_s();
        pthread_barrier_wait(&crew.edge);
        s[i] = now_s() - from;
    }
    for (int i = 0; i < n; i++)
        pthread_join(member[i].thread, NULL);
    pthread_barrier_destroy(&crew.edge);
    qsort(s, REPEATS, sizeof(s[0]), by_value);
    printf("| %s | %d | %.1f | %.1f - %.1f |\n", name, n, units / s[REPEATS / 2] * 1e-9,
           units / s[REPEATS - 1] * 1e-9, units / s[0] * 1e-9);
    fflush(stdout);
}

static char *new_stream(bool huge)
{
    char *p = mmap(NULL, stream_b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        fprintf(stderr, "floors: no memory\n");
        exit(1);
    }
    madvise(p, stream_b, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(p, 1, stream_b); /* pages of our own, not the one page of zeros */
    return p;
}

static void measure_stream(const char *name, bool huge, int max_threads)
{
    char *stream = new_stream(huge);

    for (int n = 1; n <= max_threads; n++)
        measure(name, work_read, n, stream, (double)stream_b);
    munmap(stream, stream_b);
}

/* ops: operations of one instruction, a multiply and an add counted as two. */
static void measure_rate(const char *name, work_fn *work, int ops, int max_threads)
{
    for (int n = 1; n <= max_threads; n++)
        measure(name, work, n, NULL, (double)rate_turns * CHAINS * ops * n);
}

int main(int argc, char **argv)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long max = argc > 1 ? strtol(argv[1], NULL, 10) : cpus;

    if (max < 1 || max > MAX_THREADS) {
        fprintf(stderr, "floors: threads from 1 to %d\n", MAX_THREADS);
        return 2;
    }
    printf("| what | threads | median | range |\n|---|--:|--:|---|\n");
    measure_stream("read, 4 KiB pages, GB/s", false, (int)max);
    measure_stream("read, huge pages, GB/s", true, (int)max);
#ifdef __AVX512VNNI__
    measure_rate("int8 (vpdpbusd), GOP/s", work_int8, 128, (int)max);
#endif
#ifdef __AVX512BF16__
    measure_rate("bf16 (vdpbf16ps), GFLOP/s", work_bf16, 64, (int)max);
#endif
    measure_rate("f32 (vfmadd), GFLOP/s", work_f32, 32, (int)max);
    return 0;
}
