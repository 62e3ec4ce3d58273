/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/glu.h"

#include <math.h>

#include "runtime/base/cpu.h"

static void glu_c(const float *gate, const float *up, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        double g = gate[i];
        out[i] = (float)(g / (1 + exp(-g))) * up[i];
    }
}

const struct se_glu_impl se_glu_table[] = {
    { "c", 0, glu_c },
};
const uint32_t se_glu_table_n = sizeof se_glu_table / sizeof *se_glu_table;

const struct se_glu_impl *se_glu_pick(void)
{
    const struct se_glu_impl *row = se_glu_table;
    while (row->cpu & ~se_cpu_flags())
        row++;
    return row;
}
