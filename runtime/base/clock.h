/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/clock.h - time that never goes back. Any thread. */
#ifndef SE_RUNTIME_BASE_CLOCK_H
#define SE_RUNTIME_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds since some moment in the past. */
uint64_t se_clock_ns(void);

/* A clock that is handed in, so that hours can pass in a test within a second. */
struct se_clock {
    uint64_t (*now_ns)(void *context); /* NULL: se_clock_ns() */
    void *context;
};

static inline uint64_t se_clock_read(const struct se_clock *clock)
{
    return clock->now_ns ? clock->now_ns(clock->context) : se_clock_ns();
}

#endif
