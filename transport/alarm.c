/* SPDX-License-Identifier: Apache-2.0 */
/* `rung` is for those who look without a system call, the eventfd for the sleep. The ringer
 * sets the mark and then writes; the sleeper reads the eventfd and then takes the mark away.
 * So a mark is only ever there when a write has come or is on its way, and no ring is lost.
 * The other way round a sleeper could eat the write of a ring whose mark it leaves, and who
 * rings after that would see the mark and not write. A write that comes late ends one more
 * wait, for nothing. */
#include "transport/alarm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int se_alarm_init(struct se_alarm *alarm)
{
    atomic_init(&alarm->rung, false);
    alarm->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return alarm->fd < 0 ? -errno : 0;
}

void se_alarm_fini(struct se_alarm *alarm)
{
    if (alarm->fd >= 0)
        close(alarm->fd);
    alarm->fd = -1;
}

void se_alarm_ring(struct se_alarm *alarm)
{
    const uint64_t one = 1;
    /* [alarm.ring] release, pairs with the acquire in hear(): who hears the ring sees what it
     * rings for, also when the mark was there already and nothing is written. A write fails
     * only when 2^64 came before it. */
    if (!atomic_exchange_explicit(&alarm->rung, true, memory_order_release) &&
        write(alarm->fd, &one, sizeof(one)) < 0)
        return;
}

static bool hear(struct se_alarm *alarm)
{
    uint64_t rings;
    const bool written = read(alarm->fd, &rings, sizeof(rings)) > 0;
    /* [alarm.ring] acquire, pairs with the release in se_alarm_ring(). An exchange, because
     * a store would wipe out a ring and what it was for. */
    return atomic_exchange_explicit(&alarm->rung, false, memory_order_acquire) || written;
}

bool se_alarm_heard(struct se_alarm *alarm)
{
    /* relaxed: a look that hear() confirms; what is missed is seen by the next one, and the
     * eventfd is there before a sleep. */
    return atomic_load_explicit(&alarm->rung, memory_order_relaxed) && hear(alarm);
}

int se_alarm_wait(struct se_alarm *alarm, struct pollfd *of, uint32_t n, uint64_t ns)
{
    const struct timespec limit = { .tv_sec = (time_t)(ns / 1000000000),
                                    .tv_nsec = (long)(ns % 1000000000) };
    of[0] = (struct pollfd){ .fd = alarm->fd, .events = POLLIN };
    const int r = ppoll(of, n, &limit, NULL);
    if (r > 0 && of[0].revents != 0)
        hear(alarm);
    if (r < 0)
        return errno == EINTR ? 1 : -errno;
    return r > 0;
}
