/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/rank.h - the head of a row's ranking, found by one block.
 *
 * An entry is a word: the bits of its value made to sort downwards, then its index. The smaller
 * word ranks first, the lower index first in a tie, and all words of a row differ: a head of the
 * ranking, however it was cut, is "all words up to a bound".
 *
 *   a row of 150,000 ──► 1024 threads, the best of each ──► sorted: the m-th is a bound that at
 *                                                            least m entries meet
 *                    ──► who meets it (little more than m) ──► sorted: the best m
 *
 * The row is read twice, and nothing runs over it alone. Heads beyond the list, and rows that
 * would not fit it, are cut by a search digit by digit of the word, which reads the row once for
 * each digit.
 *
 * What an entry weighs is 2^42 * exp((value - best) / temp) as a whole number: sums of these
 * have no order. Each step to it is one IEEE operation; the relative error is below 3e-7. */
#ifndef SE_KERNELS_CUDA_RANK_H
#define SE_KERNELS_CUDA_RANK_H

#include "kernels/cuda/block.h"

enum {
    RANK_THREADS = 1024, /* of the block */
    RANK_WARPS = RANK_THREADS / SE_GPU_WARP,
    RANK_SHORT = 512, /* a list is asked for no more than that */
    RANK_LIST = 2048,
    RANK_DIGIT_BITS = 11,
    RANK_DIGITS = 1 << RANK_DIGIT_BITS,
    RANK_MASS_BITS = 42,
};

#define RANK_NONE UINT64_MAX
#define RANK_CUT ((uint64_t)0xff800000u << 32) /* words from here on are of -infinity */

struct rank_memory {
    SE_SHARED_POINTER(uint64_t) list;    /* RANK_LIST */
    SE_SHARED_POINTER(uint64_t) of_warp; /* RANK_WARPS */
    SE_SHARED_POINTER(uint32_t) low;     /* RANK_DIGITS: mass by digit, the lower halves */
    SE_SHARED_POINTER(uint32_t) high;
    SE_SHARED_POINTER(uint64_t) found; /* 3 */
    SE_SHARED_POINTER(uint32_t) count; /* 1 */
};

struct rank_row {
    const float *x;
    uint32_t n;
    float best;             /* the largest */
    float scale, scale_low; /* log2(e) / temp, in two parts */
};

#define RANK_LOG2E 0x1.715476p+0f /* log2(e) in two parts: a temperature of 1 */
#define RANK_LOG2E_LOW 0x1.4ae0cp-26f

/* ---- words */

static __device__ inline uint64_t rank_word(float value, uint32_t index)
{
    uint32_t bits = __float_as_uint(value + 0.0f);            /* both zeros are one value */
    uint32_t key = bits ^ (0x7fffffffu & ((bits >> 31) - 1)); /* what is negative sorts as it is */
    return (uint64_t)key << 32 | index;
}

static __device__ inline float rank_value(uint64_t word)
{
    uint32_t key = (uint32_t)(word >> 32);
    return __uint_as_float(key >> 31 ? key : key ^ 0x7fffffffu);
}

static __device__ inline uint32_t rank_index(uint64_t word) { return (uint32_t)word; }

/* ---- mass */

/* 2^r for |r| <= 0.5 and a little more; 1 at 0. */
static __device__ inline float rank_power(float r)
{
    float p = 0x1.ffcbfcp-17f;
    p = fmaf(p, r, 0x1.430912p-13f);
    p = fmaf(p, r, 0x1.5d87fep-10f);
    p = fmaf(p, r, 0x1.3b2ab6p-7f);
    p = fmaf(p, r, 0x1.c6b08ep-5f);
    p = fmaf(p, r, 0x1.ebfbe0p-3f);
    p = fmaf(p, r, 0x1.62e430p-1f);
    return fmaf(p, r, 1.0f);
}

static __device__ inline uint64_t rank_mass(const struct rank_row *row, float value)
{
    float d = value - row->best, less = d - value;
    float rest = (value - (d - less)) - (row->best + less); /* what d lacks, exactly */
    float t = d * row->scale;
    if (!(t > -(float)(RANK_MASS_BITS + 1)))
        return 0;
    float t_low = fmaf(d, row->scale, -t);
    t_low = fmaf(d, row->scale_low, fmaf(rest, row->scale, t_low));
    float whole = rintf(t);
    float power = rank_power((t - whole) + t_low);
    uint32_t lift = (uint32_t)((int32_t)whole + RANK_MASS_BITS) << 23;
    return (uint64_t)__uint_as_float(__float_as_uint(power) + lift);
}

/* ---- of the whole block; each ends with a barrier, and gives all threads the same */

static __device__ inline uint64_t rank_min(const struct rank_memory *memory, uint64_t word)
{
    for (uint32_t lane = SE_GPU_WARP / 2; lane > 0; lane /= 2)
        word = min(word, __shfl_xor_sync(0xffffffffu, word, lane));
    if (threadIdx.x % SE_GPU_WARP == 0)
        memory->of_warp[threadIdx.x / SE_GPU_WARP] = word;
    __syncthreads();
    word = memory->of_warp[threadIdx.x % SE_GPU_WARP];
    for (uint32_t lane = SE_GPU_WARP / 2; lane > 0; lane /= 2)
        word = min(word, __shfl_xor_sync(0xffffffffu, word, lane));
    __syncthreads();
    return word;
}

static __device__ inline uint64_t rank_warp_scan(uint64_t value)
{
    for (uint32_t by = 1; by < SE_GPU_WARP; by *= 2) {
        uint64_t below = __shfl_up_sync(0xffffffffu, value, by);
        value += threadIdx.x % SE_GPU_WARP >= by ? below : 0;
    }
    return value;
}

/* The sum of the values of all threads before this one; *total: of all. */
static __device__ inline uint64_t rank_scan(const struct rank_memory *memory, uint64_t value,
                                            uint64_t *total)
{
    uint32_t warp = threadIdx.x / SE_GPU_WARP, lane = threadIdx.x % SE_GPU_WARP;
    uint64_t upto = rank_warp_scan(value);
    if (lane == SE_GPU_WARP - 1)
        memory->of_warp[warp] = upto;
    __syncthreads();
    uint64_t warps = rank_warp_scan(memory->of_warp[lane]);
    uint64_t before = __shfl_sync(0xffffffffu, warps, warp > 0 ? warp - 1 : 0);
    *total = __shfl_sync(0xffffffffu, warps, SE_GPU_WARP - 1);
    __syncthreads();
    return (warp > 0 ? before : 0) + upto - value;
}

static __device__ inline uint64_t rank_sum(const struct rank_memory *memory, uint64_t value)
{
    uint64_t total;
    rank_scan(memory, value, &total);
    return total;
}

static __device__ inline uint32_t rank_power_of_two(uint32_t n)
{
    return n <= 1 ? 1 : 1u << (32 - __clz((int)(n - 1)));
}

/* Sorts list[0 .. size - 1], size a power of two: each step compares pairs a distance apart. */
static __device__ inline void rank_sort(const struct rank_memory *memory, uint32_t size)
{
    for (uint32_t run = 2; run <= size; run *= 2) {
        for (uint32_t apart = run / 2; apart > 0; apart /= 2) {
            uint32_t i = threadIdx.x, at = 2 * i - (i & (apart - 1));
            if (i < size / 2) {
                uint64_t a = memory->list[at], b = memory->list[at + apart];
                if ((a > b) == ((at & run) == 0)) {
                    memory->list[at] = b;
                    memory->list[at + apart] = a;
                }
            }
            __syncthreads();
        }
    }
}

/* Fills the list up behind n words and sorts it. The n words are there, before a barrier. */
static __device__ inline void rank_sort_list(const struct rank_memory *memory, uint32_t n)
{
    uint32_t size = rank_power_of_two(n);
    for (uint32_t i = n + threadIdx.x; i < size; i += RANK_THREADS)
        memory->list[i] = RANK_NONE;
    __syncthreads();
    rank_sort(memory, size);
}

/* ---- over the row */

struct rank_four {
    float value[4];
};

/* Four entries; what lies beyond the row is -infinity. */
static __device__ inline struct rank_four rank_load(const struct rank_row *row, uint32_t at)
{
    float4 v = se_gpu_load4(row->x, at, row->n, -INFINITY);
    return { { v.x, v.y, v.z, v.w } };
}

/* The best word of those that this thread reads: RANK_NONE when there is none above -infinity,
 * and 0 when one is +infinity or no number. */
static __device__ inline uint64_t rank_own_best(const struct rank_row *row)
{
    float best = -INFINITY;
    uint32_t index = 0;
    bool bad = false;
    for (uint32_t at = 4 * threadIdx.x; at < row->n; at += 4 * RANK_THREADS) {
        const struct rank_four four = rank_load(row, at);
        for (uint32_t i = 0; i < 4; i++) {
            bad |= !(four.value[i] < INFINITY);
            if (four.value[i] > best) {
                best = four.value[i];
                index = at + i;
            }
        }
    }
    return bad ? 0 : best == -INFINITY ? RANK_NONE : rank_word(best, index);
}

/* Two halves, because shared memory adds 32 bits at a time by itself and 64 only by trying. */
static __device__ inline void rank_add(const struct rank_memory *memory, uint32_t digit,
                                       uint64_t mass)
{
    uint32_t low = (uint32_t)mass, high = (uint32_t)(mass >> 32);
    high += atomicAdd(&memory->low[digit], low) + low < low;
    if (high > 0)
        atomicAdd(&memory->high[digit], high);
}

/* A search for the bound of a head. */
struct rank_search {
    bool counts;     /* every entry weighs 1 */
    uint64_t target; /* an entry stays while those before it weigh less. At most what all weigh */
    uint64_t within; /* entries beyond this bound are passed over */
    uint64_t least;  /* entries that weigh less are behind the head, however many they are */
};

/* Mass by digit of the entries that begin as prefix does: shift bits are still open, and size
 * values of the digit above them. */
static __device__ inline void rank_add_digits(const struct rank_memory *memory,
                                              const struct rank_row *row,
                                              const struct rank_search *search, uint64_t prefix,
                                              uint32_t shift, uint32_t size)
{
    for (uint32_t i = threadIdx.x; i < size; i += RANK_THREADS)
        memory->low[i] = memory->high[i] = 0;
    __syncthreads();
    for (uint32_t at = 4 * threadIdx.x; at < row->n; at += 4 * RANK_THREADS) {
        const struct rank_four four = rank_load(row, at);
        for (uint32_t i = 0; i < 4 && at + i < row->n; i++) {
            uint64_t word = rank_word(four.value[i], at + i);
            uint64_t digit = (word ^ prefix) >> shift;
            if (digit >= size || word > search->within)
                continue;
            uint64_t mass = search->counts ? 1 : rank_mass(row, four.value[i]);
            if (mass > 0 && mass >= search->least)
                rank_add(memory, (uint32_t)digit, mass);
        }
    }
    __syncthreads();
}

/* In which digit the target is met. found: the digit, the mass before it, and its own. */
static __device__ inline void rank_find_digit(const struct rank_memory *memory, uint32_t size,
                                              uint64_t before, uint64_t target)
{
    uint64_t mass[2] = { 0, 0 }, total;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t digit = 2 * threadIdx.x + i;
        if (digit < size)
            mass[i] = (uint64_t)memory->high[digit] << 32 | memory->low[digit];
    }
    before += rank_scan(memory, mass[0] + mass[1], &total);
    for (uint32_t i = 0; i < 2; i++) {
        if (before < target && target <= before + mass[i]) {
            memory->found[0] = 2 * threadIdx.x + i;
            memory->found[1] = before;
            memory->found[2] = mass[i];
        }
        before += mass[i];
    }
    __syncthreads();
}

/* Value first, then index: of an index beyond all of the row's the digits are not looked at. */
static __device__ inline uint32_t rank_next_shift(uint32_t shift, uint32_t n)
{
    if (shift == 32)
        return n > 1u << 22 ? 22 : 11;
    return shift == 64 ? 53 : shift == 53 ? 42 : shift == 42 ? 32 : shift == 22 ? 11 : 0;
}

/* The last word of the head. */
static __device__ inline uint64_t rank_find(const struct rank_memory *memory,
                                            const struct rank_row *row,
                                            const struct rank_search *search)
{
    uint64_t prefix = 0, before = 0;
    for (uint32_t above = 64; above > 0;) {
        uint32_t shift = rank_next_shift(above, row->n);
        uint32_t size =
            above - shift < RANK_DIGIT_BITS ? 1u << (above - shift) : (uint32_t)RANK_DIGITS;
        rank_add_digits(memory, row, search, prefix, shift, size);
        rank_find_digit(memory, size, before, search->target);
        prefix |= memory->found[0] << shift;
        before = memory->found[1];
        uint64_t mass = memory->found[2], ones = ((uint64_t)1 << shift) - 1;
        __syncthreads();
        if (search->counts && before + mass == search->target)
            return min(prefix | ones, search->within); /* the digit stays as a whole */
        if (shift == 32) {
            uint64_t one = search->counts ? 1 : rank_mass(row, rank_value(prefix));
            if (before + mass - one < search->target)
                return min(prefix | ones, search->within); /* all that tie are in the head */
        }
        above = shift;
    }
    return prefix;
}

/* Puts all entries up to a bound into the list, as they come, but for what does not fit: *n says
 * how many there are. The mass of all up to `within` is returned, where it is wanted. */
static __device__ inline uint64_t rank_collect(const struct rank_memory *memory,
                                               const struct rank_row *row, uint64_t bound,
                                               bool weighs, uint64_t within, uint32_t *n)
{
    const float least = rank_value(min(bound, RANK_CUT));
    uint64_t mass = 0;
    if (threadIdx.x == 0)
        memory->count[0] = 0;
    __syncthreads();
    for (uint32_t at = 4 * threadIdx.x; at < row->n; at += 4 * RANK_THREADS) {
        const struct rank_four four = rank_load(row, at);
        for (uint32_t i = 0; i < 4; i++) {
            float value = four.value[i];
            if (weighs && (within == RANK_NONE || rank_word(value, at + i) <= within))
                mass += rank_mass(row, value);
            if (!(value >= least) || value == -INFINITY || rank_word(value, at + i) > bound)
                continue;
            uint32_t to = atomicAdd(&memory->count[0], 1u);
            if (to < RANK_LIST)
                memory->list[to] = rank_word(value, at + i);
        }
    }
    mass = weighs ? rank_sum(memory, mass) : 0;
    __syncthreads();
    *n = memory->count[0];
    __syncthreads();
    return mass;
}

/* The best m entries of the row, at most RANK_SHORT, sorted into the list; how many there are is
 * returned. own: what rank_own_best() gave. *whole: the mass of all up to `within`; NULL: it is
 * not wanted. */
static __device__ inline uint32_t rank_list(const struct rank_memory *memory,
                                            const struct rank_row *row, uint64_t own, uint32_t m,
                                            uint64_t within, uint64_t *whole)
{
    uint32_t n, size = min((row->n + 3) / 4, (uint32_t)RANK_THREADS);
    if (threadIdx.x < size)
        memory->list[threadIdx.x] = own;
    rank_sort_list(memory, size);
    uint64_t bound = m <= size ? memory->list[m - 1] : RANK_NONE;
    __syncthreads();
    uint64_t mass = rank_collect(memory, row, bound, whole != NULL, within, &n);
    if (whole)
        *whole = mass;
    if (n > RANK_LIST) { /* a few threads hold all that is large */
        const struct rank_search search = { true, m, RANK_NONE, 0 };
        rank_collect(memory, row, rank_find(memory, row, &search), false, RANK_NONE, &n);
    }
    rank_sort_list(memory, n);
    return n < m ? n : m;
}

#endif
