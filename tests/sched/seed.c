/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sched/seed.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/clock.h"

uint64_t seed_of_test(void)
{
    const char *text = getenv("SE_TEST_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : se_clock_ns();
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}
