/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kernels/check.h - what the checks of the small kernels share. */
#ifndef SE_TESTS_KERNELS_CHECK_H
#define SE_TESTS_KERNELS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/rng.h"

/* Starts the generator with SE_TEST_SEED, or with the time; prints the seed and returns it. */
uint64_t check_begin(struct se_rng *rng);

/* Whether the processor has what a table's row needs. Names the row when it is one that is
 * compared: every one that needs something at all. */
bool check_usable(const char *name, uint32_t cpu);

/* To call after all rows: the exit code 77 and the reason when none was compared, else 0. */
int check_nothing(void);

/* A block that ends where an unmapped page begins: reading or writing past its end is a
 * fault, what stands before it is watched, and it starts as NaN in every float format. Its
 * alignment is whatever its size makes it. */
struct check_area {
    unsigned char *map;
    size_t map_b, before_b;
};
void *check_area_init(struct check_area *area, size_t size_b);
/* False when something was written before the block. */
bool check_area_fini(struct check_area *area);

/* The bits are the same; says where they are not. */
bool check_same_bits(const float *a, const float *b, size_t n);
/* |a - b| <= relative * |b| + absolute, or both are NaN; says where not. */
bool check_close(const float *a, const float *b, size_t n, double relative, double absolute);

/* Median time of a call, in nanoseconds of this thread's own time. */
double check_time(void (*call)(void *context), void *context);

#endif
