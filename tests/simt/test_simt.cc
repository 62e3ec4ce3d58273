/* SPDX-License-Identifier: Apache-2.0 */
/* The emulator: what a GPU does it does, and what is wrong it finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>
}

#include "kernels/cuda/gpu.h"
#include "tests/simt/must_fault.h"

/* ---- threads, blocks, warps */

static __global__ void write_place(unsigned *out)
{
    unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    unsigned threads = blockDim.x * blockDim.y * blockDim.z;
    out[block * threads + thread] = block * threads + thread;
}

static void every_thread_runs_once(void **state)
{
    (void)state;
    const unsigned n = 3 * 2 * 2 * 64;
    unsigned *out = simt_array<unsigned>(n);
    for (unsigned order = 0; order < 5; order++) {
        memset(out, 0xff, n * sizeof *out);
        simt_order(order);
        SE_LAUNCH(NULL, write_place, dim3(3, 2, 2), dim3(8, 4, 2), out);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(out[i], i);
    }
    simt_order(0);
    simt_free(out);
}

static __global__ void reverse(const unsigned *in, unsigned *out)
{
    SE_SHARED_ARRAY(unsigned, kept, 128);
    SE_SHARED(unsigned, sum);
    if (threadIdx.x == 0)
        sum = 0;
    kept[threadIdx.x] = in[blockIdx.x * 128 + threadIdx.x];
    __syncthreads();
    atomicAdd(&sum, kept[127 - threadIdx.x]);
    __syncthreads();
    out[blockIdx.x * 128 + threadIdx.x] = kept[127 - threadIdx.x] + sum;
}

static void threads_of_a_block_exchange(void **state)
{
    (void)state;
    unsigned in[256];
    for (unsigned i = 0; i < 256; i++)
        in[i] = i;
    unsigned *from = simt_copy(in, 256), *to = simt_array<unsigned>(256);
    for (unsigned order = 0; order < 5; order++) {
        simt_order(order);
        SE_LAUNCH(NULL, reverse, 2, 128, from, to);
        for (unsigned i = 0; i < 256; i++)
            assert_int_equal(to[i], (i / 128 * 128 + 127 - i % 128) +
                                        (i < 128 ? 127 * 64 : 127 * 64 + 128 * 128));
    }
    simt_order(0);
    simt_free(from);
    simt_free(to);
}

/* ---- the warp */

static __global__ void shuffle(unsigned *out)
{
    unsigned lane = threadIdx.x % 32, *own = out + threadIdx.x * 8;
    own[0] = __shfl_sync(0xffffffff, lane * 3, (int)(lane + 5) % 32);
    own[1] = __shfl_xor_sync(0xffffffff, lane, 17);
    own[2] = __shfl_down_sync(0xffffffff, lane, 4u);
    own[3] = __shfl_up_sync(0xffffffff, lane, 4u);
    own[4] = __ballot_sync(0xffffffff, lane % 3 == 0);
    own[5] = (unsigned)__any_sync(0xffffffff, lane == threadIdx.x) * 2 +
             (unsigned)__all_sync(0xffffffff, lane < 31);
    own[6] = (unsigned)__syncthreads_count(threadIdx.x % 4 == 0);
    unsigned long long wide = __shfl_xor_sync(0xffffffff, (uint64_t)lane << 40, 1, 8);
    own[7] = (unsigned)(wide >> 40);
}

static void lanes_exchange(void **state)
{
    (void)state;
    unsigned *out = simt_array<unsigned>(64 * 8);
    SE_LAUNCH(NULL, shuffle, 1, 64, out);
    for (unsigned i = 0; i < 64; i++) {
        unsigned lane = i % 32, *own = out + i * 8;
        assert_int_equal(own[0], (lane + 5) % 32 * 3);
        assert_int_equal(own[1], lane ^ 17);
        assert_int_equal(own[2], lane < 28 ? lane + 4 : lane);
        assert_int_equal(own[3], lane < 4 ? lane : lane - 4);
        assert_int_equal(own[4], 0x49249249);
        assert_int_equal(own[5], i < 32 ? 2 : 0);
        assert_int_equal(own[6], 16);
        assert_int_equal(own[7], lane ^ 1);
    }
    simt_free(out);
}

/* ---- 16-bit floats */

static void floats_of_16_bits(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        float f16 = se_gpu_f16_to_f32(half), bf16 = se_gpu_bf16_to_f32(half);
        if (isinf(f16))
            assert_int_equal(se_gpu_f32_to_f16(f16), half - 1); /* the largest that is finite */
        else
            assert_int_equal(se_gpu_f32_to_f16(f16), f16 != f16 ? 0x7fff : half);
        assert_int_equal(se_gpu_f32_to_bf16(bf16), bf16 != bf16 ? 0x7fff : half);
    }
    /* Half way between two goes to the even one; what is a little more, up. */
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        float low = se_gpu_f16_to_f32((uint16_t)bits),
              high = se_gpu_f16_to_f32((uint16_t)(bits + 1));
        float middle = low + (high - low) / 2;
        assert_int_equal(se_gpu_f32_to_f16(middle), bits + bits % 2);
        assert_int_equal(se_gpu_f32_to_f16(nextafterf(middle, INFINITY)), bits + 1);
        assert_int_equal(se_gpu_f32_to_f16(-nextafterf(middle, 0)), 0x8000 | bits);
    }
    assert_int_equal(se_gpu_f32_to_f16(1e9f), 0x7bff);
    assert_int_equal(se_gpu_f32_to_f16(-1e9f), 0xfbff);
    assert_int_equal(se_gpu_f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
    assert_int_equal(se_gpu_f32_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
}

/* ---- tensor cores */

enum { M = 16, N = 8, K = 16 };

/* Where PTX's manual puts element i of a lane's fragment, in its own words. */
static unsigned row_of_a(unsigned lane, unsigned i)
{
    return i < 2 || (4 <= i && i < 6) ? lane >> 2 : (lane >> 2) + 8;
}
static unsigned column_of_a(unsigned lane, unsigned i)
{
    return (lane % 4) * 2 + (i & 1) + (i < 4 ? 0 : 8);
}
static unsigned row_of_b(unsigned lane, unsigned i)
{
    return (lane % 4) * 2 + (i & 1) + (i < 2 ? 0 : 8);
}
static unsigned row_of_d(unsigned lane, unsigned i) { return (lane >> 2) + (i < 2 ? 0 : 8); }
static unsigned column_of_d(unsigned lane, unsigned i) { return (lane % 4) * 2 + (i & 1); }

static __global__ void product(const uint16_t *a, const uint16_t *b, float *d, bool bf16)
{
    unsigned lane = threadIdx.x;
    uint32_t fa[4] = { 0 }, fb[2] = { 0 };
    float fd[4];
    for (unsigned i = 0; i < 8; i++)
        fa[i / 2] |= (uint32_t)a[row_of_a(lane, i) * K + column_of_a(lane, i)] << i % 2 * 16;
    for (unsigned i = 0; i < 4; i++)
        fb[i / 2] |= (uint32_t)b[row_of_b(lane, i) * N + (lane >> 2)] << i % 2 * 16;
    for (unsigned i = 0; i < 4; i++)
        fd[i] = d[row_of_d(lane, i) * N + column_of_d(lane, i)];
    if (bf16)
        se_gpu_mma_bf16(fd, fa, fb);
    else
        se_gpu_mma_f16(fd, fa, fb);
    for (unsigned i = 0; i < 4; i++)
        d[row_of_d(lane, i) * N + column_of_d(lane, i)] = fd[i];
}

static void a_warp_multiplies(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        uint16_t *a = simt_array<uint16_t>(M * K), *b = simt_array<uint16_t>(K * N);
        float *d = simt_array<float>(M * N), want[M * N];
        uint16_t (*narrow)(float) = bf16 ? se_gpu_f32_to_bf16 : se_gpu_f32_to_f16;
        for (unsigned i = 0; i < M * K; i++)
            a[i] = narrow((float)(i * 7 % 31) - 15);
        for (unsigned i = 0; i < K * N; i++)
            b[i] = narrow((float)(i * 5 % 23) - 11);
        for (unsigned i = 0; i < M * N; i++)
            d[i] = want[i] = (float)i;
        for (unsigned row = 0; row < M; row++) /* whole numbers: every order gives the same */
            for (unsigned column = 0; column < N; column++)
                for (unsigned k = 0; k < K; k++)
                    want[row * N + column] += ((float)((row * K + k) * 7 % 31) - 15) *
                                              ((float)((k * N + column) * 5 % 23) - 11);
        SE_LAUNCH(NULL, product, 1, 32, a, b, d, bf16 != 0);
        assert_memory_equal(d, want, sizeof want);
        simt_free(a);
        simt_free(b);
        simt_free(d);
    }
}

/* ---- faults: each kernel has one */

#define KERNEL(name) \
    static __global__ void name(unsigned *out, unsigned n); \
    static void run_##name(void) { SE_LAUNCH(NULL, name, 2, 64, simt_array<unsigned>(64), 64u); } \
    static __global__ void name(unsigned *out, unsigned n)

KERNEL(reads_what_another_wrote)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    kept[threadIdx.x] = n;
    if (threadIdx.x >= 32) /* the other warp is through */
        out[threadIdx.x] = kept[threadIdx.x - 32];
}

KERNEL(reads_what_nobody_wrote)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    if (threadIdx.x < n / 2)
        kept[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = kept[threadIdx.x];
}

/* Memory of the last block is not this one's. */
KERNEL(reads_what_the_last_block_wrote)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    if (blockIdx.x == 0)
        kept[threadIdx.x] = n;
    __syncthreads();
    out[threadIdx.x] = kept[threadIdx.x];
}

KERNEL(writes_what_another_reads)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    kept[threadIdx.x] = n;
    __syncthreads();
    if (threadIdx.x >= 32)
        out[threadIdx.x] = kept[threadIdx.x - 32];
    else
        kept[threadIdx.x] = threadIdx.x;
}

KERNEL(trusts_a_shuffle)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    kept[threadIdx.x] = n;
    __shfl_sync(0xffffffff, n, 0);
    out[threadIdx.x] = kept[threadIdx.x ^ 1];
}

KERNEL(trusts_its_warp_alone)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    kept[threadIdx.x] = n;
    __syncwarp();
    if (threadIdx.x >= 32)
        out[threadIdx.x] = kept[threadIdx.x - 32];
}

KERNEL(adds_beside_atomics)
{
    SE_SHARED(unsigned, sum);
    if (threadIdx.x == 0)
        sum = 0;
    __syncthreads();
    atomicAdd(&sum, 1u);
    out[threadIdx.x] = sum + n;
}

KERNEL(goes_beyond_its_array)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    kept[threadIdx.x] = n;
    __syncthreads();
    out[threadIdx.x] = kept[threadIdx.x + 1];
}

KERNEL(goes_before_its_array)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    kept[threadIdx.x - 1] = n;
    out[threadIdx.x] = 0;
}

KERNEL(shares_too_much)
{
    SE_SHARED_ARRAY(float, first, 8 * 1024);
    SE_SHARED_ARRAY(float, second, 4 * 1024 + 4);
    first[threadIdx.x] = second[threadIdx.x] = (float)n;
    out[threadIdx.x] = 0;
}

KERNEL(leaves_before_the_barrier)
{
    if (threadIdx.x == 40)
        return;
    __syncthreads();
    out[threadIdx.x] = n;
}

KERNEL(leaves_before_the_shuffle)
{
    if (threadIdx.x == 40)
        return;
    out[threadIdx.x] = __shfl_sync(0xffffffff, n, 0);
}

KERNEL(parts_ways)
{
    out[threadIdx.x] =
        threadIdx.x % 2 ? __shfl_sync(0xffffffff, n, 0) : __ballot_sync(0xffffffff, n != 0);
}

KERNEL(waits_in_two_places)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else if (threadIdx.x < 48)
        out[threadIdx.x] = __shfl_sync(0xffffffff, n, 0);
    else
        __syncthreads();
}

KERNEL(masks_half_a_warp) { out[threadIdx.x] = __shfl_sync(0xffff, n, 0); }

KERNEL(writes_beyond) { out[threadIdx.x + blockIdx.x] = n; }

KERNEL(writes_before) { *(out - 1 - threadIdx.x % 2) = n; }

KERNEL(reads_beyond)
{
    if (((volatile unsigned *)out)[n + threadIdx.x] == 0)
        out[0] = 1;
}

KERNEL(reads_nothing)
{
    volatile unsigned *nothing = NULL;
    out[threadIdx.x] = nothing[n];
}

KERNEL(fills_its_stack)
{
    volatile unsigned char much[1024 * 1024];
    for (unsigned i = sizeof much; i > 0; i -= n)
        much[i - 1] = 0;
    out[threadIdx.x] = much[0];
}

KERNEL(starts_a_kernel) { SE_LAUNCH(NULL, writes_before, 1, 32, out, n); }

KERNEL(does_nothing) { out[threadIdx.x] = n; }

static void run_part_of_a_warp(void)
{
    SE_LAUNCH(NULL, does_nothing, 1, 48, simt_array<unsigned>(64), 1u);
}
static void run_no_grid(void)
{
    SE_LAUNCH(NULL, does_nothing, 0, 64, simt_array<unsigned>(64), 1u);
}
static void run_too_many(void)
{
    SE_LAUNCH(NULL, does_nothing, 1, dim3(32, 33), simt_array<unsigned>(64), 1u);
}
/* Bytes that share 16 with the end of a block are looked at when the kernel is over. */
static void run_writes_a_little_beyond(void)
{
    SE_LAUNCH(NULL, does_nothing, 1, 64, simt_array<unsigned>(62), 1u);
}

static void faults_are_found(void **state)
{
    (void)state;
    const struct {
        void (*run)(void);
        const char *words;
    } cases[] = {
        { run_reads_what_another_wrote, "kernel reads_what_another_wrote, block (0, 0, 0), "
                                        "thread (32, 0, 0): a race: it reads kept[0]" },
        { run_reads_what_nobody_wrote, "reads kept[63], which nobody has written" },
        { run_reads_what_the_last_block_wrote,
          "block (1, 0, 0), thread (63, 0, 0): reads kept[63]" },
        { run_writes_what_another_reads, "a race: it writes kept[0], which thread 32 has read" },
        { run_trusts_a_shuffle, "a race: it reads kept[" },
        { run_trusts_its_warp_alone, "a race: it reads kept[" },
        { run_adds_beside_atomics, "a race: it writes sum[0], which thread 63 has read" },
        { run_goes_beyond_its_array, "kept[64] of 64" },
        { run_goes_before_its_array, "kept[4294967295] of 64" },
        { run_shares_too_much, "with second it uses 49168 bytes of shared memory, of 49152" },
        { run_leaves_before_the_barrier, "threads 40 to 40: has returned; threads 41 to 63: "
                                         "__syncthreads" },
        { run_leaves_before_the_shuffle, "threads 32 to 39: __shfl_sync; threads 40 to 40: has" },
        { run_parts_ways, "are in __ballot_sync and in __shfl_sync" },
        { run_waits_in_two_places, "threads 0 to 31: __syncthreads; threads 32 to 47: __shfl" },
        { run_masks_half_a_warp, "__shfl_sync with the mask 0xffff" },
        { run_writes_beyond, "touched 0 bytes beyond a block of 256 bytes" },
        { run_writes_before, "bytes before a block of 256 bytes" },
        { run_reads_beyond, "touched 0 bytes beyond a block of 256 bytes" },
        { run_reads_nothing, "touched what is not there" },
        { run_fills_its_stack, "its stack is too small for it" },
        { run_starts_a_kernel, "a kernel starts a kernel" },
        { run_part_of_a_warp, "a block of (48, 1, 1)" },
        { run_no_grid, "a grid of (0, 1, 1)" },
        { run_too_many, "a block of (32, 33, 1)" },
        { run_writes_a_little_beyond, "wrote 0 bytes beyond a block of 248 bytes" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        must_fault(cases[i].run, cases[i].words);
    run_does_nothing();
}

/* ---- and nothing where there is none */

static __global__ void behaves(unsigned *out)
{
    SE_SHARED_ARRAY(unsigned, kept, 64);
    SE_SHARED_ARRAY(unsigned, bins, 4);
    SE_SHARED(bool, any);
    SE_SHARED_POINTER(unsigned) half = kept + threadIdx.x / 32 * 32;
    const unsigned lane = threadIdx.x % 32;
    if (threadIdx.x < 4)
        bins[threadIdx.x] = 0;
    any = true; /* all write the same */
    half[lane] = lane;
    __syncwarp();
    unsigned sum = half[lane ^ 1] + half[lane ^ 2];
    __syncwarp();
    half[lane] += 1;
    __syncthreads();
    for (unsigned i = 0; i < 3; i++)
        atomicAdd(&bins[(threadIdx.x + i) % 4], kept[63 - threadIdx.x]);
    __syncthreads();
    kept[63 - threadIdx.x] = bins[lane % 4];
    __syncthreads();
    out[threadIdx.x] = sum + kept[threadIdx.x] + (any ? 1000 : 0);
}

static void what_is_right_is_left_alone(void **state)
{
    (void)state;
    unsigned first[64], *out = simt_array<unsigned>(64);
    size_t blocks = simt_memory_blocks();
    for (unsigned order = 0; order < 4; order++) {
        simt_order(order);
        SE_LAUNCH(NULL, behaves, 1, 64, out);
        if (order == 0)
            memcpy(first, out, sizeof first);
        assert_memory_equal(out, first, sizeof first);
    }
    simt_order(0);
    assert_int_equal(simt_memory_blocks(), blocks);
    simt_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_thread_runs_once),
        cmocka_unit_test(threads_of_a_block_exchange),
        cmocka_unit_test(lanes_exchange),
        cmocka_unit_test(floats_of_16_bits),
        cmocka_unit_test(a_warp_multiplies),
        cmocka_unit_test(faults_are_found),
        cmocka_unit_test(what_is_right_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
