/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/softmax.h - log of the sum of exponentials of a row, without overflow.
 *
 * result = max(x) + log(sum of exp(x[i] - max)), in one order that depends on n alone.
 * x holds no NaN; -infinity is an entry that counts nothing (not all may be); with a +infinity
 * among them the result is that. n >= 1.
 * A log-probability is then x[i] - result. Pure; any thread. */
#ifndef SE_KERNELS_SOFTMAX_H
#define SE_KERNELS_SOFTMAX_H

#include <stdint.h>

typedef float se_logsumexp_fn(const float *x, uint32_t n);

struct se_softmax_impl {
    const char *name;
    uint32_t cpu;
    se_logsumexp_fn *logsumexp;
};
extern const struct se_softmax_impl se_softmax_table[];
extern const uint32_t se_softmax_table_n;
const struct se_softmax_impl *se_softmax_pick(void);

#endif
