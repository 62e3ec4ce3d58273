/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/err.h"

enum { SAID_B = 1024 };

/* A path, or behind '@' a name in the abstract space, which begins with a zero byte there. */
static int connect_to(const char *name)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len > sizeof to.sun_path)
        return se_fail(-EINVAL, "NOTIFY_SOCKET=%.120s is no address of a socket", name);
    memcpy(to.sun_path, name, len);
    if (name[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return se_fail(-errno, "NOTIFY_SOCKET=%s: %s", name, strerror(errno));
    if (connect(fd, (struct sockaddr *)&to,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
        int r = se_fail(-errno, "NOTIFY_SOCKET=%s: %s", name, strerror(errno));
        close(fd);
        return r;
    }
    return fd;
}

/* WATCHDOG_USEC, unless WATCHDOG_PID says that another process is meant. */
static uint64_t watchdog_ns(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    unsigned long long us = strtoull(usec, NULL, 10);
    return us < UINT64_MAX / 1000 ? us * 1000 : 0;
}

int se_notify_open(struct se_notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");
    int fd = name ? connect_to(name) : -1;
    *notify = (struct se_notify){ .fd = fd < 0 ? -1 : fd };
    if (fd >= 0)
        notify->watchdog_ns = watchdog_ns();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return name && fd < 0 ? se_trace(fd) : 0;
}

void se_notify_close(struct se_notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void se_notify_say(const struct se_notify *notify, const char *format, ...)
{
    char text[SAID_B];
    va_list args;
    if (notify->fd < 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    send(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}
