/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/interrupt.h"
#include "tools/outcome.h"

int se_child_open(struct se_child *child, void (*main)(int fd, const void *of), const void *of)
{
    int pair[2];
    *child = SE_CHILD_NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return se_fail(-errno, "no pair of sockets: %s", strerror(errno));
    fflush(NULL);
    child->process = fork();
    if (child->process == 0) {
        close(pair[0]);
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        main(pair[1], of);
        _exit(0);
    }
    const int code = errno;
    close(pair[1]);
    child->fd = pair[0];
    return child->process < 0 ? se_fail(-code, "cannot start a process: %s", strerror(code)) : 0;
}

void se_child_close(struct se_child *child)
{
    if (child->fd >= 0)
        close(child->fd);
    while (child->process > 0 && waitpid(child->process, NULL, 0) < 0 && errno == EINTR)
        continue;
    *child = SE_CHILD_NULL;
}

static int ended(void) { return se_fail(-EPIPE, "the server's process has ended"); }

int se_child_ask(struct se_child *child)
{
    return send(child->fd, "?", 1, MSG_NOSIGNAL) == 1 ? 0 : ended();
}

int se_child_hear(struct se_child *child, void *answer, size_t size_b)
{
    ssize_t n;
    do
        n = recv(child->fd, answer, size_b, MSG_WAITALL);
    while (n < 0 && errno == EINTR && !se_interrupt_came());
    if (n < 0 && errno == EINTR)
        return SE_OUTCOME_INTERRUPTED;
    return n == (ssize_t)size_b ? 0 : ended();
}

bool se_child_asked(int fd)
{
    char question;
    return read(fd, &question, 1) == 1;
}

bool se_child_answer(int fd, const void *answer, size_t size_b)
{
    return send(fd, answer, size_b, MSG_NOSIGNAL) == (ssize_t)size_b;
}
