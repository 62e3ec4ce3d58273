/* SPDX-License-Identifier: Apache-2.0 */
/* q8 with AVX2: magnitudes of the weights times x with the weights' signs. Pairs of products
 * fit 16 bits, since no q is -128. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_set.h"
#include "kernels/quant.h"

struct part {
    __m256i w, size;
};

static inline struct part load_w(const uint8_t *p)
{
    __m256i w = _mm256_xor_si256(_mm256_loadu_si256((const void *)p), _mm256_set1_epi8(-128));
    return (struct part){ w, _mm256_abs_epi8(w) };
}

static inline __m256i dot(__m256i sum, struct part w, __m256i x)
{
    __m256i pairs = _mm256_maddubs_epi16(w.size, _mm256_sign_epi8(x, w.w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#define TILE(name) se_matmul_##name##_q8_avx2
#define LANES 8
#define WIDE 2
#define X_ROWS 2
#define SUM __m256i
#define PART struct part
#define X __m256i
#define FLOATS __m256
#define LOAD_W(p) load_w(p)
#define LOAD_X(p) _mm256_set1_epi32(*(const int32_t *)(const void *)(p))
#define BEGIN(group) ((void)(group), _mm256_setzero_si256())
#define DOT(sum, part, x) dot(sum, part, x)
#define ZERO() _mm256_setzero_ps()
#define LOAD_SCALE(p) _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p)))
#define SPREAD(p) _mm256_set1_ps(*(p))
#define STORE(p, floats) _mm256_store_ps(p, floats)
#define LOAD(p) _mm256_load_ps(p)
#define ADD(floats, sum, w_scale, x_scale) \
    _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(w_scale, x_scale), floats)
#include "kernels/matmul_tile_q8.h"
