/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/glu.h - the gated unit of the MLP: out[i] = silu(gate[i]) * up[i].
 *
 * silu(x) = x / (1 + exp(-x)). out may be gate or up. Every element depends on its own
 * inputs alone: the same bits in any position and for any n (an implementation computes a
 * tail with the arithmetic of its full vectors). Pure; any thread. */
#ifndef SE_KERNELS_GLU_H
#define SE_KERNELS_GLU_H

#include <stdint.h>

typedef void se_glu_fn(const float *gate, const float *up, uint32_t n, float *out);

struct se_glu_impl {
    const char *name;
    uint32_t cpu;
    se_glu_fn *run;
};
extern const struct se_glu_impl se_glu_table[];
extern const uint32_t se_glu_table_n;
const struct se_glu_impl *se_glu_pick(void);

#endif
