/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/norm.h - root mean square norm of a row.
 *
 * out[i] = x[i] * (1 / sqrt(mean of x^2 + eps)) * weight[i]. out may be x. n >= 1. The sum
 * runs in one order that depends on n alone. Pure; any thread. */
#ifndef SE_KERNELS_NORM_H
#define SE_KERNELS_NORM_H

#include <stdint.h>

typedef void se_norm_fn(const float *x, const float *weight, float eps, uint32_t n, float *out);

struct se_norm_impl {
    const char *name;
    uint32_t cpu;
    se_norm_fn *run;
};
extern const struct se_norm_impl se_norm_table[];
extern const uint32_t se_norm_table_n;
const struct se_norm_impl *se_norm_pick(void);

#endif
