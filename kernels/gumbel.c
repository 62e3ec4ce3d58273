/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gumbel.h"

#include <math.h>
#include <string.h>

#include "kernels/gumbel_log.h"
#include "kernels/lanes_set.h"
#include "runtime/base/cpu.h"
#include "runtime/base/rng.h"

struct split {
    float exponent; /* a whole number */
    float f;        /* mantissa - 1 */
};

static struct split split_float(float y)
{
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    bits -= se_log_root;
    /* An arithmetic shift without asking the compiler for one. */
    int32_t exponent = (int32_t)((bits >> 23) ^ 0x100u) - 0x100;
    bits = (bits & 0x7fffffu) + se_log_root;
    float mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    return (struct split){ (float)exponent, mantissa - 1.0f };
}

static float minus_log(struct split y)
{
    float p = se_log_term[SE_LOG_TERMS - 1];
    for (int i = SE_LOG_TERMS - 2; i >= 0; i--)
        p = fmaf(p, y.f, se_log_term[i]);
    return 0.0f - fmaf(y.exponent, se_log_ln2, fmaf(y.f * y.f, p, y.f));
}

float se_gumbel_of_word(uint32_t word)
{
    uint32_t low = word < 0x80000000u ? word : ~word;
    float a = ((float)low + 0.5f) * 0x1p-32f;
    struct split y = split_float(word < 0x80000000u ? a : 1.0f - a);
    if (y.exponent == 0)
        y.f = -a;
    return minus_log(split_float(minus_log(y)));
}

float se_gumbel(uint64_t seed, uint32_t position, uint32_t token)
{
    return se_gumbel_of_word(se_rng_token_word(seed, position, token));
}

static uint32_t argmax_c(const float *x, uint32_t n, float inv_t, uint64_t seed, uint32_t position)
{
    uint32_t best = UINT32_MAX;
    float best_score = -INFINITY;
    for (uint32_t i = 0; i < n; i++) {
        if (isinf(x[i]) && x[i] < 0)
            continue;
        float score = x[i] * inv_t + se_gumbel(seed, position, i);
        if (best == UINT32_MAX || score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static void add_c(const float *x, uint32_t n, float inv_t, uint64_t seed, uint32_t position,
                  float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = x[i] * inv_t + se_gumbel(seed, position, i);
}

const struct se_gumbel_impl se_gumbel_table[] = {
#if SE_HAVE_AVX512
    { "avx512", SE_CPU_AVX512, se_gumbel_argmax_avx512, se_gumbel_add_avx512 },
#endif
#if SE_HAVE_AVX2
    { "avx2", SE_CPU_AVX2, se_gumbel_argmax_avx2, se_gumbel_add_avx2 },
#endif
#if SE_HAVE_NEON
    { "neon", SE_CPU_NEON, se_gumbel_argmax_neon, se_gumbel_add_neon },
#endif
    { "c", 0, argmax_c, add_c },
};
const uint32_t se_gumbel_table_n = sizeof se_gumbel_table / sizeof *se_gumbel_table;

const struct se_gumbel_impl *se_gumbel_pick(void)
{
    const struct se_gumbel_impl *row = se_gumbel_table;
    while (row->cpu & ~se_cpu_flags())
        row++;
    return row;
}
