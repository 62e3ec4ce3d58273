/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/peak.h"

#include <stddef.h>

#include "runtime/base/cpu.h"

const struct se_peak_impl se_peak_table[] = {
#if SE_HAVE_AVX512
    { "vfmadd (512)", SE_DTYPE_F32, SE_CPU_AVX512, 32, se_peak_fma_avx512 },
    { "vfmadd (512)", SE_DTYPE_F16, SE_CPU_AVX512, 32, se_peak_fma_avx512 },
#endif
#if SE_HAVE_BF16
    { "vdpbf16ps (512)", SE_DTYPE_BF16, SE_CPU_AVX512 | SE_CPU_BF16, 64, se_peak_dpbf16_avx512 },
#endif
#if SE_HAVE_AVX512
    { "vfmadd (512)", SE_DTYPE_BF16, SE_CPU_AVX512, 32, se_peak_fma_avx512 },
#endif
#if SE_HAVE_VNNI
    { "vpdpbusd (512)", SE_DTYPE_Q8, SE_CPU_AVX512 | SE_CPU_VNNI, 128, se_peak_dpbusd_avx512 },
#endif
#if SE_HAVE_AVX2
    { "vfmadd (256)", SE_DTYPE_F32, SE_CPU_AVX2, 16, se_peak_fma_avx2 },
    { "vfmadd (256)", SE_DTYPE_F16, SE_CPU_AVX2, 16, se_peak_fma_avx2 },
    { "vfmadd (256)", SE_DTYPE_BF16, SE_CPU_AVX2, 16, se_peak_fma_avx2 },
    { "vpmaddubsw (256)", SE_DTYPE_Q8, SE_CPU_AVX2, 64, se_peak_maddubs_avx2 },
#endif
    /* Plain C is no measure of what a processor can do: it has no row. */
    { NULL, SE_DTYPES, 0, 0, NULL },
};
const uint32_t se_peak_table_n = sizeof se_peak_table / sizeof se_peak_table[0] - 1;

const struct se_peak_impl *se_peak_pick(enum se_dtype dtype)
{
    uint32_t flags = se_cpu_flags();
    for (uint32_t i = 0; i < se_peak_table_n; i++)
        if (se_peak_table[i].dtype == dtype && (se_peak_table[i].cpu & ~flags) == 0)
            return &se_peak_table[i];
    return NULL;
}
