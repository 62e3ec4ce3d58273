/* SPDX-License-Identifier: Apache-2.0 */
/* bf16 with AVX512_BF16: pairs of products summed by the processor.
 *
 * VDPBF16PS rounds in its own way (the two products of a lane one after the other, to
 * nearest even, subnormals as zero), so its bits differ from those of the widened form;
 * comparisons are by tolerance. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/float16.h"
#include "kernels/matmul_set.h"
#include "kernels/x86/reduce_avx512.h"

static inline __mmask32 lower(uint32_t n) { return n < 32 ? (1u << n) - 1 : 0xffffffffu; }

/* 16 floats to bf16, subnormals kept (the processor's own conversion makes them zero). */
static inline __m256i round_bf16(__m512 x)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i near = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    bits = _mm512_mask_blend_epi32(nan, near, quiet);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
}

static inline void convert(const float *x, uint32_t n, char *out)
{
    __mmask32 mask = lower(n);
    __m512 low = _mm512_maskz_loadu_ps((__mmask16)mask, x);
    __m512 high = _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), x + 16);
    _mm256_store_si256((__m256i *)(void *)out, round_bf16(low));
    _mm256_store_si256((__m256i *)(void *)(out + 32), round_bf16(high));
}

#define TILE(name) se_matmul_##name##_bf16_dot
#define VECTOR 32
#define PIECES 8
#define X_ROWS 3
#define WEIGHT_B 2
#define X_B 2
#define SUM __m512
#define PART __m512i
#define PART_B 64
#define X __m512i
#define LOAD_W(p) _mm512_loadu_si512(p)
#define LOAD_W_TAIL(p, n) _mm512_maskz_loadu_epi16(lower(n), p)
#define STORE_PART(p, part) _mm512_store_si512(p, part)
#define LOAD_PART(p) _mm512_load_si512(p)
#define LOAD_X(p) _mm512_load_si512(p)
#define ZERO() _mm512_setzero_ps()
#define DOT(sum, part, x) _mm512_dpbf16_ps(sum, (__m512bh)(part), (__m512bh)(x))
#define REDUCE(sum, out) reduce8(sum, out)
#define CONVERT_X(x, n, out) convert(x, n, out)
#include "kernels/matmul_tile.h"
