/* SPDX-License-Identifier: Apache-2.0 */
/* tools/peak.h - chains of multiply-adds, one implementation per instruction set: what the
 * arithmetic of the matrix kernels can do at most, were memory free. Any thread. */
#ifndef SE_TOOLS_PEAK_H
#define SE_TOOLS_PEAK_H

#include <stdint.h>

#include "kernels/matmul.h"

/* Independent sums: enough to hide the latency of every instruction used. Every loop over them
 * is unrolled whole, or their array would live in memory and the loop would measure stores. */
enum { SE_PEAK_CHAINS = 12 };

/* The empty assembly makes the compiler believe that the sum may have changed; otherwise it
 * would fold turns whose operands never change. */
#define SE_PEAK_HOLD(v) __asm__ volatile("" : "+v"(v))

struct se_peak_impl {
    const char *name;    /* the instruction */
    enum se_dtype dtype; /* of the weights that are multiplied this way */
    uint32_t cpu;        /* SE_CPU_ flags it needs */
    uint32_t ops;        /* of one turn of one chain: a multiply and an add count as two */
    void (*run)(uint64_t turns);
};

extern const struct se_peak_impl se_peak_table[];
extern const uint32_t se_peak_table_n;

/* The first row for the dtype that se_cpu_flags() allows, or NULL. */
const struct se_peak_impl *se_peak_pick(enum se_dtype dtype);

void se_peak_fma_avx2(uint64_t turns);
void se_peak_maddubs_avx2(uint64_t turns);
void se_peak_fma_avx512(uint64_t turns);
void se_peak_dpbf16_avx512(uint64_t turns);
void se_peak_dpbusd_avx512(uint64_t turns);

#endif
