/* SPDX-License-Identifier: Apache-2.0 */
/* tests/simt/words.h - the words of CUDA that need no other thread: vectors, bits, arithmetic. */
#ifndef SE_TESTS_SIMT_WORDS_H
#define SE_TESTS_SIMT_WORDS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <limits>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

/* ---- vectors */

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

#define SIMT_VECTORS(name, type) \
    struct __align__(2 * sizeof(type)) name##2 { type x, y; }; \
    struct __align__(sizeof(type) < 8 ? 4 * sizeof(type) : 16) name##4 { type x, y, z, w; }; \
    static inline struct name##2 make_##name##2(type x, type y) { return { x, y }; } \
    static inline struct name##4 make_##name##4(type x, type y, type z, type w) \
    { \
        return { x, y, z, w }; \
    }
SIMT_VECTORS(int, int)
SIMT_VECTORS(uint, unsigned)
SIMT_VECTORS(float, float)
#undef SIMT_VECTORS

/* ---- the same bits as another type */

template <typename To, typename From>
static inline To simt_bits(From value)
{
    static_assert(sizeof(To) == sizeof(From), "bits of one size");
    To to;
    memcpy(&to, &value, sizeof to);
    return to;
}

static inline unsigned __float_as_uint(float value) { return simt_bits<unsigned>(value); }
static inline int __float_as_int(float value) { return simt_bits<int>(value); }
static inline float __uint_as_float(unsigned value) { return simt_bits<float>(value); }
static inline float __int_as_float(int value) { return simt_bits<float>(value); }
static inline long long __double_as_longlong(double value) { return simt_bits<long long>(value); }
static inline double __longlong_as_double(long long value) { return simt_bits<double>(value); }

/* ---- whole numbers */

static inline int __popc(unsigned value) { return __builtin_popcount(value); }
static inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
static inline int __clz(int value) { return value == 0 ? 32 : __builtin_clz((unsigned)value); }
static inline int __clzll(long long value)
{
    return value == 0 ? 64 : __builtin_clzll((unsigned long long)value);
}
static inline int __ffs(int value) { return __builtin_ffs(value); }
static inline int __ffsll(long long value) { return __builtin_ffsll(value); }
static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)((uint64_t)a * b >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    __extension__ typedef unsigned __int128 wide;
    return (unsigned long long)((wide)a * b >> 64);
}
static inline unsigned __byte_perm(unsigned low, unsigned high, unsigned choice)
{
    uint64_t bytes = (uint64_t)high << 32 | low;
    unsigned result = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned pick = choice >> 4 * i & 0xf;
        unsigned byte = (unsigned)(bytes >> 8 * (pick & 7)) & 0xff;
        result |= (pick & 8 ? (byte & 0x80 ? 0xffu : 0) : byte) << 8 * i;
    }
    return result;
}

#define SIMT_MIN_MAX(type) \
    static inline type min(type a, type b) { return b < a ? b : a; } \
    static inline type max(type a, type b) { return a < b ? b : a; }
SIMT_MIN_MAX(int)
SIMT_MIN_MAX(unsigned)
SIMT_MIN_MAX(long)
SIMT_MIN_MAX(unsigned long)
SIMT_MIN_MAX(long long)
SIMT_MIN_MAX(unsigned long long)
#undef SIMT_MIN_MAX
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

/* ---- floating point, each result rounded once */

static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __dsqrt_rn(double a) { return sqrt(a); }
static inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
static inline double rsqrt(double a) { return 1.0 / sqrt(a); }

/* What does not fit becomes the nearest that does, and no number 0: as the device has it. */
template <typename To>
static inline To simt_whole(double value)
{
    typedef std::numeric_limits<To> limits;
    if (value != value)
        return 0;
    if (value <= (double)limits::min())
        return limits::min();
    if (value >= ldexp(1.0, limits::digits))
        return limits::max();
    return (To)value;
}

static inline int __float2int_rn(float value) { return simt_whole<int>(rint(value)); }
static inline int __float2int_rz(float value) { return simt_whole<int>(value); }
static inline unsigned __float2uint_rn(float value) { return simt_whole<unsigned>(rint(value)); }
static inline unsigned __float2uint_rz(float value) { return simt_whole<unsigned>(value); }
static inline long long __double2ll_rn(double value) { return simt_whole<long long>(rint(value)); }
static inline unsigned long long __double2ull_rn(double value)
{
    return simt_whole<unsigned long long>(rint(value));
}
static inline unsigned long long __double2ull_rz(double value)
{
    return simt_whole<unsigned long long>(value);
}

/* ---- memory */

template <typename T>
static inline T __ldg(const T *at)
{
    return *at;
}

#endif
