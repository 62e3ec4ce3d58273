/* SPDX-License-Identifier: Apache-2.0 */
/* The three float types with AVX-512: every weight widened to float32, fused sums. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_set.h"
#include "kernels/x86/reduce_avx512.h"

static inline __mmask16 lower(uint32_t n) { return (__mmask16)((1u << n) - 1); }

static inline __m512 widen_bf16(__m256i half)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* x to the nearest bf16, kept as float32; as se_f32_to_bf16(). */
static inline __m512 round_bf16(__m512 x)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i near = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    bits = _mm512_mask_blend_epi32(nan, near, quiet);
    return _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32((int)0xffff0000u)));
}

#define TILE(name) se_matmul_##name##_f32_avx512
#define WEIGHT_B 4
#define LOAD_W(p) _mm512_loadu_ps(p)
#define LOAD_W_TAIL(p, n) _mm512_maskz_loadu_ps(lower(n), p)
#define CONVERT_X(x, n, out) _mm512_store_ps(out, _mm512_maskz_loadu_ps(lower(n), x))
#include "kernels/x86/tile_avx512.h"

#define TILE(name) se_matmul_##name##_f16_avx512
#define WEIGHT_B 2
#define LOAD_W(p) _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(p)))
#define LOAD_W_TAIL(p, n) _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lower(n), p))
#define CONVERT_X(x, n, out) _mm512_store_ps(out, _mm512_maskz_loadu_ps(lower(n), x))
#include "kernels/x86/tile_avx512.h"

#define TILE(name) se_matmul_##name##_bf16_avx512
#define WEIGHT_B 2
#define LOAD_W(p) widen_bf16(_mm256_loadu_si256((const void *)(p)))
#define LOAD_W_TAIL(p, n) widen_bf16(_mm256_maskz_loadu_epi16(lower(n), p))
#define CONVERT_X(x, n, out) _mm512_store_ps(out, round_bf16(_mm512_maskz_loadu_ps(lower(n), x)))
#include "kernels/x86/tile_avx512.h"
