/* SPDX-License-Identifier: Apache-2.0 */
/* tests/simt/simt.h - the words of kernels/cuda/gpu.h, told to a processor.
 *
 * A kernel is a function; each thread of a block is a fiber that runs until it waits for others:
 * for its warp (shuffles, votes, __syncwarp, tensor cores) or for its block (__syncthreads).
 * Blocks run one after another. Nothing is timed and nothing runs at once, but what is waited
 * for, by whom, and who touches what in between is looked at: a fault ends the program, with the
 * kernel, the block, the thread and what it did.
 *
 *   - lanes that meet in different words, or when one of them has returned; a mask that is not
 *     of all lanes; a __syncthreads that some threads of the block never reach
 *   - shared memory: shared.h; more than 48 KiB of it in a block
 *   - memory of the device: memory.h
 *   - a grid or a block of no or too many threads, or of part of a warp
 *
 * Only what the project's kernels use is here. */
#ifndef SE_TESTS_SIMT_SIMT_H
#define SE_TESTS_SIMT_SIMT_H

#include <stdint.h>
#include <stdio.h>

#include <functional>
#include <tuple>

#include "tests/simt/memory.h"
#include "tests/simt/shared.h"
#include "tests/simt/words.h"

extern struct uint3 threadIdx, blockIdx;
extern struct dim3 blockDim, gridDim;
enum { warpSize = 32 };

/* Says what is wrong, and where, and ends the program. */
[[noreturn]] void simt_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
[[noreturn]] static inline void __trap(void) { simt_fault("__trap"); }

/* Memory that cannot be touched is told of as a fault: each launch begins with this. */
void simt_catch_signals(void);

/* ---- launches */

/* tests/simt/stream.h; NULL: the launch has ended when it returns. */
typedef struct CUstream_st *se_gpu_stream;

void simt_launch_call(se_gpu_stream stream, const char *kernel, struct dim3 grid, struct dim3 block,
                      std::function<void()> thread);

/* The parameters are the kernel's, so that arguments become what they become under nvcc; they are
 * kept by value from here on. */
template <typename... Parameter>
static inline void simt_launch(se_gpu_stream stream, const char *name, struct dim3 grid,
                               struct dim3 block, void (*kernel)(Parameter...),
                               typename std::common_type<Parameter>::type... arguments)
{
    std::tuple<Parameter...> kept(arguments...);
    simt_launch_call(stream, name, grid, block, [kernel, kept] { std::apply(kernel, kept); });
}

#define SE_LAUNCH(stream, kernel, grid, block, ...) \
    simt_launch(stream, #kernel, grid, block, kernel, __VA_ARGS__)

/* In which order blocks, and warps within a block, and lanes within a warp begin: 0 ascending,
 * 1 descending, others mixed. A result must not depend on it. */
void simt_order(unsigned order);

/* How many kernels have run so far. */
unsigned long simt_launches(void);

/* ---- the block */

void __syncthreads(void);
int __syncthreads_or(int predicate);
int __syncthreads_and(int predicate);
int __syncthreads_count(int predicate);

/* What others may see when: nothing here runs at once. */
static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}
static inline void __threadfence_system(void) {}

/* ---- the warp */

enum { SIMT_SLOT_B = 48 };

/* What a lane brings to where all lanes of the warp meet. */
struct simt_slot {
    alignas(16) unsigned char bytes[SIMT_SLOT_B];
};

/* Waits until all lanes are here; then `last` is called once, unless it is NULL. What it leaves
 * is the same for all, and stays until this lane meets the others again. */
const struct simt_slot *simt_meet(const char *word, unsigned mask, const void *bring, size_t size_b,
                                  void (*last)(struct simt_slot *slots));
unsigned simt_lane(void);

void __syncwarp(unsigned mask = 0xffffffffu);
unsigned __ballot_sync(unsigned mask, int predicate);
int __any_sync(unsigned mask, int predicate);
int __all_sync(unsigned mask, int predicate);

unsigned simt_other_lane(int lane, int width);

template <typename T>
static inline T simt_shuffle(const char *word, unsigned mask, T value, unsigned from)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "as the device has it");
    const struct simt_slot *slots = simt_meet(word, mask, &value, sizeof value, NULL);
    memcpy(&value, slots[from].bytes, sizeof value);
    return value;
}

template <typename T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32)
{
    unsigned first = simt_lane() & ~((unsigned)width - 1);
    return simt_shuffle("__shfl_sync", mask, value,
                        first + ((unsigned)lane & ((unsigned)width - 1)));
}

template <typename T>
static inline T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32)
{
    unsigned me = simt_lane(), other = (me ^ (unsigned)with) & 31;
    bool beyond = other > (me | ((unsigned)width - 1));
    return simt_shuffle("__shfl_xor_sync", mask, value, beyond ? me : other);
}

template <typename T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    unsigned me = simt_lane(), in = me & ((unsigned)width - 1);
    bool beyond = in + by >= (unsigned)width;
    return simt_shuffle("__shfl_down_sync", mask, value, beyond ? me : me + by);
}

template <typename T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    unsigned me = simt_lane(), in = me & ((unsigned)width - 1);
    return simt_shuffle("__shfl_up_sync", mask, value, in < by ? me : me - by);
}

/* ---- atomic operations, in device and in shared memory */

#define SIMT_ATOMIC(type, name, now) \
    static inline type name(type *at, type value) \
    { \
        type was = *at; \
        *at = (now); \
        return was; \
    } \
    static inline type name(const simt_pointer<type> &at, type value) \
    { \
        return name((*at).atomic(), value); \
    }
#define SIMT_ATOMICS(type) \
    SIMT_ATOMIC(type, atomicAdd, (type)(was + value)) \
    SIMT_ATOMIC(type, atomicMax, was < value ? value : was) \
    SIMT_ATOMIC(type, atomicMin, value < was ? value : was) \
    SIMT_ATOMIC(type, atomicOr, was | value) \
    SIMT_ATOMIC(type, atomicAnd, was &value) \
    SIMT_ATOMIC(type, atomicXor, was ^ value) \
    SIMT_ATOMIC(type, atomicExch, value) \
    static inline type atomicCAS(type *at, type compare, type value) \
    { \
        type was = *at; \
        if (was == compare) \
            *at = value; \
        return was; \
    } \
    static inline type atomicCAS(const simt_pointer<type> &at, type compare, type value) \
    { \
        return atomicCAS((*at).atomic(), compare, value); \
    }
SIMT_ATOMICS(int)
SIMT_ATOMICS(unsigned)
SIMT_ATOMICS(unsigned long long)

/* ---- 16-bit floats and tensor cores: what kernels/cuda/gpu.h says of them */

float se_gpu_bf16_to_f32(uint16_t bits);
uint16_t se_gpu_f32_to_bf16(float value);
float se_gpu_f16_to_f32(uint16_t bits);
uint16_t se_gpu_f32_to_f16(float value);

void se_gpu_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2]);
void se_gpu_mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2]);

#endif
