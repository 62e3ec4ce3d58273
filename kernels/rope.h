/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/rope.h - rotary position embedding of the heads of one row, in place.
 *
 * For each head and i < dim / 2 (dim even, the two halves of a head are rotated against
 * each other):
 *     a = x[i], b = x[i + dim/2]
 *     x[i] = a * cos[i] - b * sin[i];  x[i + dim/2] = b * cos[i] + a * sin[i]
 * cos and sin hold dim / 2 values of the row's position. Pure; any thread. */
#ifndef SE_KERNELS_ROPE_H
#define SE_KERNELS_ROPE_H

#include <stdint.h>

typedef void se_rope_fn(float *x, uint32_t n_heads, uint32_t dim, const float *cos,
                        const float *sin);

struct se_rope_impl {
    const char *name;
    uint32_t cpu;
    se_rope_fn *run;
};
extern const struct se_rope_impl se_rope_table[];
extern const uint32_t se_rope_table_n;
const struct se_rope_impl *se_rope_pick(void);

#endif
