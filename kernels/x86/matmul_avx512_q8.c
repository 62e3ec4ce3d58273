/* SPDX-License-Identifier: Apache-2.0 */
/* q8 with AVX-512 and no VNNI: magnitudes of the weights times x with the weights' signs.
 * Pairs of products fit 16 bits, since no q is -128. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_set.h"
#include "kernels/quant.h"

struct part {
    __m512i size;
    __mmask64 minus;
};

static inline struct part load_w(const uint8_t *p)
{
    __m512i w = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128));
    return (struct part){ _mm512_abs_epi8(w), _mm512_movepi8_mask(w) };
}

static inline __m512i dot(__m512i sum, struct part w, __m512i x)
{
    __m512i turned = _mm512_mask_sub_epi8(x, w.minus, _mm512_setzero_si512(), x);
    __m512i pairs = _mm512_maddubs_epi16(w.size, turned);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

#define TILE(name) se_matmul_##name##_q8_avx512
#define LANES 16
#define WIDE 4
#define X_ROWS 3
#define SUM __m512i
#define PART struct part
#define X __m512i
#define FLOATS __m512
#define LOAD_W(p) load_w(p)
#define LOAD_X(p) _mm512_set1_epi32(*(const int32_t *)(const void *)(p))
#define BEGIN(group) ((void)(group), _mm512_setzero_si512())
#define DOT(sum, part, x) dot(sum, part, x)
#define ZERO() _mm512_setzero_ps()
#define LOAD_SCALE(p) _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(p)))
#define SPREAD(p) _mm512_set1_ps(*(p))
#define STORE(p, floats) _mm512_store_ps(p, floats)
#define LOAD(p) _mm512_load_ps(p)
#define ADD(floats, sum, w_scale, x_scale) \
    _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(w_scale, x_scale), floats)
#include "kernels/matmul_tile_q8.h"
