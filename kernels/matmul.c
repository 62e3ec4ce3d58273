/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/matmul.h"

#include "kernels/matmul_set.h"
#include "kernels/quant.h"
#include "runtime/base/cpu.h"

static const char *const dtype_names[SE_DTYPES] = { "f32", "f16", "bf16", "q8" };

const char *se_dtype_name(enum se_dtype dtype)
{
    return (unsigned)dtype < SE_DTYPES ? dtype_names[dtype] : "unknown";
}

/* Room for the layout of any implementation: floats padded to 32, or quantised rows. */
size_t se_matmul_rows_size(enum se_dtype dtype, uint32_t n_rows, uint32_t n_in)
{
    if (dtype == SE_DTYPE_Q8)
        return n_rows * se_quant_row_size(n_in);
    return n_rows * (((size_t)n_in + 31) & ~(size_t)31) * sizeof(float);
}

#define ROW(name, dtype, cpu, set) \
    { \
        name, dtype, cpu, se_matmul_prepare_##set, se_matmul_run_##set \
    }

const struct se_matmul_impl se_matmul_table[] = {
#if SE_HAVE_VNNI
    ROW("vnni", SE_DTYPE_Q8, SE_CPU_AVX512 | SE_CPU_VNNI, q8_vnni),
#endif
#if SE_HAVE_BF16
    ROW("bf16", SE_DTYPE_BF16, SE_CPU_AVX512 | SE_CPU_BF16, bf16_dot),
#endif
#if SE_HAVE_AVX512
    ROW("avx512", SE_DTYPE_F32, SE_CPU_AVX512, f32_avx512),
    ROW("avx512", SE_DTYPE_F16, SE_CPU_AVX512, f16_avx512),
    ROW("avx512", SE_DTYPE_BF16, SE_CPU_AVX512, bf16_avx512),
    ROW("avx512", SE_DTYPE_Q8, SE_CPU_AVX512, q8_avx512),
#endif
#if SE_HAVE_AVX2
    ROW("avx2", SE_DTYPE_F32, SE_CPU_AVX2, f32_avx2),
    ROW("avx2", SE_DTYPE_F16, SE_CPU_AVX2, f16_avx2),
    ROW("avx2", SE_DTYPE_BF16, SE_CPU_AVX2, bf16_avx2),
    ROW("avx2", SE_DTYPE_Q8, SE_CPU_AVX2, q8_avx2),
#endif
#if SE_HAVE_DOTPROD
    ROW("dotprod", SE_DTYPE_Q8, SE_CPU_NEON | SE_CPU_DOTPROD, q8_dotprod),
#endif
#if SE_HAVE_NEON
    ROW("neon", SE_DTYPE_F32, SE_CPU_NEON, f32_neon),
    ROW("neon", SE_DTYPE_F16, SE_CPU_NEON, f16_neon),
    ROW("neon", SE_DTYPE_BF16, SE_CPU_NEON, bf16_neon),
    ROW("neon", SE_DTYPE_Q8, SE_CPU_NEON, q8_neon),
#endif
    { "c", SE_DTYPE_F32, 0, se_matmul_prepare_f32_c, se_matmul_run_float_c },
    { "c", SE_DTYPE_F16, 0, se_matmul_prepare_f32_c, se_matmul_run_float_c },
    { "c", SE_DTYPE_BF16, 0, se_matmul_prepare_bf16_c, se_matmul_run_float_c },
    { "c", SE_DTYPE_Q8, 0, se_matmul_prepare_q8_c, se_matmul_run_q8_c },
};
const uint32_t se_matmul_table_n = sizeof se_matmul_table / sizeof *se_matmul_table;

const struct se_matmul_impl *se_matmul_pick(enum se_dtype dtype)
{
    uint32_t flags = se_cpu_flags();
    const struct se_matmul_impl *impl = se_matmul_table;

    while (impl->dtype != dtype || (impl->cpu & ~flags))
        impl++;
    return impl;
}
