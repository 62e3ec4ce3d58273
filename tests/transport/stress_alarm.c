/* SPDX-License-Identifier: Apache-2.0 */
/* One rings, the other first looks and then sleeps. Under ThreadSanitizer the looks are the
 * test of [alarm.ring]. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/clock.h"
#include "transport/alarm.h"

enum { LOOKS = 10000, TURNS = 15000 };
#define DEADLINE_NS 60000000000u

static struct se_alarm bell;
static uint32_t said; /* ordered by nothing but the alarm */
static _Atomic uint32_t number, heard;
static uint64_t deadline;

static bool late(void) { return se_clock_ns() > deadline; }

/* A number is said when the one before it has been heard. */
static void *ringer(void *context)
{
    (void)context;
    for (uint32_t i = 1; i <= TURNS; i++) {
        while (atomic_load_explicit(&heard, memory_order_acquire) != i - 1) {
            if (late())
                return NULL;
            sched_yield(); /* there may be one processor only */
        }
        if (i <= LOOKS)
            said = i;
        else
            atomic_store_explicit(&number, i, memory_order_relaxed);
        se_alarm_ring(&bell);
        if (i > LOOKS && i % 2 == 0)
            se_alarm_ring(&bell);
    }
    return NULL;
}

/* A look hears each ring once, so what it was for may be read. */
static bool look_for(uint32_t i)
{
    while (!se_alarm_heard(&bell)) {
        if (late())
            return false;
        sched_yield();
    }
    return said == i;
}

/* A sleep may end for a ring that a look has heard before its write came. */
static bool sleep_for(uint32_t i)
{
    struct pollfd of[1];
    while (atomic_load_explicit(&number, memory_order_relaxed) != i) {
        if (se_alarm_wait(&bell, of, 1, DEADLINE_NS) != 1)
            return false;
    }
    return true;
}

int main(void)
{
    pthread_t thread;
    bool good = se_alarm_init(&bell) == 0;
    deadline = se_clock_ns() + DEADLINE_NS;
    if (!good || pthread_create(&thread, NULL, ringer, NULL) != 0)
        return 1;
    for (uint32_t i = 1; good && i <= TURNS; i++) {
        good = i <= LOOKS ? look_for(i) : sleep_for(i);
        if (!good)
            fprintf(stderr, "ring %u was not heard\n", i);
        atomic_store_explicit(&heard, i, memory_order_release);
    }
    if (!good)
        return 1;
    pthread_join(thread, NULL);
    se_alarm_fini(&bell);
    return 0;
}
