/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/clock.h - time that never goes back. Any thread. */
#ifndef SE_RUNTIME_BASE_CLOCK_H
#define SE_RUNTIME_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds since some moment in the past. */
uint64_t se_clock_ns(void);

#endif
