/* SPDX-License-Identifier: Apache-2.0 */
/* tools/notify.h - tells the service manager how a program fares, as sd_notify(3) describes.
 *
 * Without NOTIFY_SOCKET in the environment nobody listens, and nothing is sent. One thread. */
#ifndef SE_TOOLS_NOTIFY_H
#define SE_TOOLS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct se_notify {
    int fd;               /* -1: nobody listens */
    uint64_t watchdog_ns; /* a sign of life is wanted at least so often, 0: it is not */
};

/* 0, or -errno when there is a NOTIFY_SOCKET that cannot be talked to; then nothing is sent. The
 * variables are removed: a child would not speak for us. */
int se_notify_open(struct se_notify *notify);
void se_notify_close(struct se_notify *notify);

/* "READY=1", "STATUS=..." and the like, several with newlines between. Lost when the manager does
 * not keep up: nothing is worth waiting for it. */
void se_notify_say(const struct se_notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
