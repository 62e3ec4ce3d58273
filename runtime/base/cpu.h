/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/cpu.h - what this processor can do, as far as we use it. Any thread.
 *
 * The environment variable SE_CPU narrows it: "c" (plain C only), "avx2", "avx512"
 * (the foundation only: neither BF16 nor VNNI), "neon", or "auto". A narrower choice than
 * the machine's is always possible, a wider one is refused by se_cpu_init(). */
#ifndef SE_RUNTIME_BASE_CPU_H
#define SE_RUNTIME_BASE_CPU_H

#include <stdint.h>

enum {
    SE_CPU_AVX2 = 1u << 0,   /* AVX2, FMA and F16C */
    SE_CPU_AVX512 = 1u << 1, /* AVX-512 F, BW, DQ and VL */
    SE_CPU_VNNI = 1u << 2,   /* AVX512_VNNI */
    SE_CPU_BF16 = 1u << 3,   /* AVX512_BF16 */
    SE_CPU_NEON = 1u << 4,   /* Advanced SIMD */
    SE_CPU_DOTPROD = 1u << 5 /* SDOT */
};

/* Reads SE_CPU. 0, or -EINVAL (text set) when it names what this machine lacks or nothing
 * we know. Without this call the first use reads it and falls back to "auto". */
int se_cpu_init(void);

/* The flags in force. */
uint32_t se_cpu_flags(void);

/* For tests: narrow the flags from now on, whatever SE_CPU said. Returns the old ones. */
uint32_t se_cpu_narrow(uint32_t allowed);

/* "avx512 vnni bf16" and the like; buffer is the caller's. Returns it. */
const char *se_cpu_text(uint32_t flags, char *buffer, uint32_t size_b);

/* Processors this process may run on, at least 1. */
uint32_t se_cpu_count(void);

#endif
