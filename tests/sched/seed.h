/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sched/seed.h - where a test's random numbers begin. */
#ifndef SE_TESTS_SCHED_SEED_H
#define SE_TESTS_SCHED_SEED_H

#include <stdint.h>

/* SE_TEST_SEED, or one of the clock's; printed, so that a failure can be repeated. */
uint64_t seed_of_test(void);

#endif
