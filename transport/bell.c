/* SPDX-License-Identifier: Apache-2.0 */
/*   QUIET ──ring──► RUNG ──wait──► QUIET
 *   QUIET ──wait──► ASLEEP ──ring──► RUNG, and the ringer wakes the futex
 *
 * The mark "asleep" and the ring are one word. With two, both sides could look before either
 * writes, and the sleeper would miss the frame that it sleeps for. */
#include "transport/bell.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { QUIET, RUNG, ASLEEP };

void se_bell_init(struct se_bell *bell) { atomic_init(&bell->state, QUIET); }

void se_bell_ring(struct se_bell *bell)
{
    /* [bell.ring] release, pairs with the acquire in se_bell_wait(): who hears the ring sees
     * what it rings for. Without it a server would wake, find nothing, and sleep on it. */
    if (atomic_exchange_explicit(&bell->state, RUNG, memory_order_release) == ASLEEP)
        syscall(SYS_futex, &bell->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

bool se_bell_heard(struct se_bell *bell)
{
    /* relaxed: a look that the wait confirms. An exchange each time would take the word away
     * from those who are about to ring. */
    return atomic_load_explicit(&bell->state, memory_order_relaxed) == RUNG &&
           se_bell_wait(bell, 0);
}

bool se_bell_wait(struct se_bell *bell, uint64_t ns)
{
    uint32_t state = QUIET;
    bool heard = true;
    /* relaxed on success: nothing was rung, so there is nothing to see. The same on failure,
     * because the exchange below reads that ring, or a later one. */
    if (ns > 0 && atomic_compare_exchange_strong_explicit(
                      &bell->state, &state, ASLEEP, memory_order_relaxed, memory_order_relaxed)) {
        const struct timespec limit = { .tv_sec = (time_t)(ns / 1000000000),
                                        .tv_nsec = (long)(ns % 1000000000) };
        heard =
            syscall(SYS_futex, &bell->state, FUTEX_WAIT_PRIVATE, ASLEEP, &limit, NULL, 0) == 0 ||
            errno != ETIMEDOUT;
    }
    /* [bell.ring] acquire, pairs with the release in se_bell_ring(). An exchange, because a
     * load and a store would wipe out a ring that comes between them. */
    state = atomic_exchange_explicit(&bell->state, QUIET, memory_order_acquire);
    return state == RUNG || (ns > 0 && heard);
}
