/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/topk.h - the k largest of a row: largest first, the lower index first in a tie.
 *
 * x holds no NaN. 1 <= k; min(k, n) entries are written and that number is returned. All
 * implementations give the same answer, bit for bit. Pure; any thread. */
#ifndef SE_KERNELS_TOPK_H
#define SE_KERNELS_TOPK_H

#include <stdint.h>

typedef uint32_t se_topk_fn(const float *x, uint32_t n, uint32_t k, uint32_t *index, float *value);

struct se_topk_impl {
    const char *name;
    uint32_t cpu;
    se_topk_fn *run;
};
extern const struct se_topk_impl se_topk_table[];
extern const uint32_t se_topk_table_n;
const struct se_topk_impl *se_topk_pick(void);

#endif
