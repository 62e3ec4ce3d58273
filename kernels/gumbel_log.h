/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/gumbel_log.h - the constants of the logarithm that Gumbel noise is made with.
 *
 * log(y) of a positive normal float32 y, every step one IEEE operation, nothing left to the
 * compiler:
 *     i = bits(y) - ROOT            (ROOT: the bits of sqrt(1/2))
 *     e = i >> 23, arithmetic       y = 2^e * m, m in [sqrt(1/2), sqrt(2))
 *     f = float((i & 0x7fffff) + ROOT) - 1
 *     p = c[7]; p = fma(p, f, c[j]) for j = 6 .. 0
 *     log(y) = fma(e, LN2, fma(f * f, p, f))
 * c is the minimax fit of (log(1 + f) - f) / f^2, relative error of the logarithm 3e-8.
 *
 * u = (word + 0.5) / 2^32 has 33 bits, and where it is close to 1 the first logarithm needs
 * 1 - u, not u. Both ends are symmetric in the word, so:
 *     w = word < 2^31 ? word : ~word
 *     a = (float(w) + 0.5) * 2^-32, in [2^-33, 1/2]
 *     y = word < 2^31 ? a : 1 - a
 *     L = 0 - log(y), with f replaced by -a where e == 0 (there y = 1 - a exactly means f = -a)
 *     g = 0 - log(L)
 * e == 0 happens only for y >= sqrt(1/2), hence only for words of the upper half. */
#ifndef SE_KERNELS_GUMBEL_LOG_H
#define SE_KERNELS_GUMBEL_LOG_H

#include <stdint.h>

enum { SE_LOG_TERMS = 8 };
static const uint32_t se_log_root = 0x3f3504f3u;
static const float se_log_ln2 = 0x1.62e430p-1f;
/* As text too: a GPU's code cannot read an array of the host's. */
#define SE_LOG_TERM_LIST \
    -0x1.fffffap-2f, 0x1.5556f4p-2f, -0x1.00049ap-2f, 0x1.98d2c0p-3f, -0x1.535d30p-3f, \
        0x1.318528p-3f, -0x1.2504a4p-3f, 0x1.65c772p-4f
static const float se_log_term[SE_LOG_TERMS] = { SE_LOG_TERM_LIST };

#endif
