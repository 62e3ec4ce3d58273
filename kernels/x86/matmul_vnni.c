/* SPDX-License-Identifier: Apache-2.0 */
/* q8 with AVX512_VNNI: VPDPBUSD takes the weights as stored, unsigned, and the sums begin
 * with what that adds too much. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_set.h"
#include "kernels/quant.h"

static inline __m512i load_w(const uint8_t *p)
{
    __m512i w = _mm512_loadu_si512(p);
    /* Stays in its register: left alone, gcc loads it anew for every row of the tile. */
    __asm__("" : "+v"(w));
    return w;
}

#define TILE(name) se_matmul_##name##_q8_vnni
#define LANES 16
#define WIDE 4
#define X_ROWS 3
#define SUM __m512i
#define PART __m512i
#define X __m512i
#define FLOATS __m512
#define LOAD_W(p) load_w(p)
#define LOAD_X(p) _mm512_set1_epi32(*(const int32_t *)(const void *)(p))
#define BEGIN(group) _mm512_set1_epi32((group)->bias)
#define DOT(sum, part, x) _mm512_dpbusd_epi32(sum, part, x)
#define ZERO() _mm512_setzero_ps()
#define LOAD_SCALE(p) _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(p)))
#define SPREAD(p) _mm512_set1_ps(*(p))
#define STORE(p, floats) _mm512_store_ps(p, floats)
#define LOAD(p) _mm512_load_ps(p)
#define ADD(floats, sum, w_scale, x_scale) \
    _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(w_scale, x_scale), floats)
#include "kernels/matmul_tile_q8.h"
