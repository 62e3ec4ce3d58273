/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

static const struct {
    const char *name;
    uint32_t flag;
} flag_names[] = {
    { "avx2", SE_CPU_AVX2 }, { "avx512", SE_CPU_AVX512 }, { "vnni", SE_CPU_VNNI },
    { "bf16", SE_CPU_BF16 }, { "neon", SE_CPU_NEON },     { "dotprod", SE_CPU_DOTPROD },
};
enum { N_FLAGS = sizeof flag_names / sizeof *flag_names };

/* What a word of SE_CPU allows. */
static const struct {
    const char *word;
    uint32_t allowed, needed;
} choices[] = {
    { "auto", UINT32_MAX, 0 },
    { "c", 0, 0 },
    { "avx2", SE_CPU_AVX2, SE_CPU_AVX2 },
    { "avx512", SE_CPU_AVX2 | SE_CPU_AVX512, SE_CPU_AVX512 },
    { "neon", SE_CPU_NEON, SE_CPU_NEON },
};
enum { N_CHOICES = sizeof choices / sizeof *choices };

#define UNKNOWN (1u << 31) /* not looked yet */
/* relaxed throughout: the value is computed from constants of the machine, so any thread
 * that races with the first look stores the same. */
static _Atomic uint32_t flags_in_force = UNKNOWN;

#if defined(__x86_64__)
/* Asked for by hand: not every compiler's run-time knows the name. It needs the registers of
 * AVX2, which are checked beside it. */
static bool has_f16c(void)
{
    unsigned int a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

static uint32_t detect(void)
{
    uint32_t found = 0;
#if defined(__x86_64__)
    /* The compiler's run-time knows whether the kernel saves the wide registers. */
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
        found |= SE_CPU_AVX2;
    if ((found & SE_CPU_AVX2) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        found |= SE_CPU_AVX512;
    if ((found & SE_CPU_AVX512) && __builtin_cpu_supports("avx512vnni"))
        found |= SE_CPU_VNNI;
    if ((found & SE_CPU_AVX512) && __builtin_cpu_supports("avx512bf16"))
        found |= SE_CPU_BF16;
#elif defined(__aarch64__)
    found |= SE_CPU_NEON;
    if (getauxval(AT_HWCAP) & 1u << 20) /* HWCAP_ASIMDDP */
        found |= SE_CPU_DOTPROD;
#endif
    return found;
}

int se_cpu_init(void)
{
    const char *word = getenv("SE_CPU");
    uint32_t found = detect();
    if (!word || !*word)
        word = "auto";
    for (int i = 0; i < N_CHOICES; i++) {
        if (strcmp(word, choices[i].word))
            continue;
        if ((found & choices[i].needed) != choices[i].needed)
            return se_fail(-EINVAL, "SE_CPU=%s: this processor does not have it", word);
        atomic_store_explicit(&flags_in_force, found & choices[i].allowed, memory_order_relaxed);
        return 0;
    }
    return se_fail(-EINVAL, "SE_CPU=%s: not one of auto, c, avx2, avx512, neon", word);
}

uint32_t se_cpu_flags(void)
{
    uint32_t flags = atomic_load_explicit(&flags_in_force, memory_order_relaxed);
    if (flags != UNKNOWN)
        return flags;
    if (se_cpu_init() < 0)
        atomic_store_explicit(&flags_in_force, detect(), memory_order_relaxed);
    return atomic_load_explicit(&flags_in_force, memory_order_relaxed);
}

uint32_t se_cpu_narrow(uint32_t allowed)
{
    uint32_t before = se_cpu_flags();
    atomic_store_explicit(&flags_in_force, detect() & allowed, memory_order_relaxed);
    return before;
}

const char *se_cpu_text(uint32_t flags, char *buffer, uint32_t size_b)
{
    uint32_t used = 0;
    snprintf(buffer, size_b, "c");
    for (int i = 0; i < N_FLAGS; i++) {
        if (!(flags & flag_names[i].flag) || used >= size_b)
            continue;
        used += (uint32_t)snprintf(buffer + used, size_b - used, "%s%s", used ? " " : "",
                                   flag_names[i].name);
    }
    return buffer;
}

uint32_t se_cpu_count(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return 1;
    int n = CPU_COUNT(&allowed);
    return n > 0 ? (uint32_t)n : 1;
}
