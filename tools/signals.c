/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe: to write a byte to it is one of the few things that a handler may do, and nothing that
 * comes between a look and a sleep is lost, as it would be with a flag. */
#include "tools/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"

enum { READ, WRITE, NUMBERS = 128 };

static int pipe_fd[2] = { -1, -1 };
static struct sigaction before[NUMBERS];
static unsigned char watched[NUMBERS];

int se_signals_open(void)
{
    if (pipe2(pipe_fd, O_NONBLOCK | O_CLOEXEC) < 0)
        return se_fail(-errno, "no pipe for signals: %s", strerror(errno));
    return 0;
}

void se_signals_close(void)
{
    for (int i = 1; i < NUMBERS; i++)
        if (watched[i])
            sigaction(i, &before[i], NULL);
    memset(watched, 0, sizeof watched);
    close(pipe_fd[READ]);
    close(pipe_fd[WRITE]);
    pipe_fd[READ] = pipe_fd[WRITE] = -1;
}

/* A pipe that is full holds enough of them. */
void se_signals_send(int number)
{
    unsigned char byte = (unsigned char)number;
    int saved = errno; /* of whatever the signal came between */
    while (write(pipe_fd[WRITE], &byte, 1) < 0 && errno == EINTR)
        ;
    errno = saved;
}

int se_signals_watch(int number)
{
    /* Calls go on as if nothing had come, in whichever thread the handler runs. */
    struct sigaction action = { .sa_handler = se_signals_send, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    if (sigaction(number, &action, &before[number]) < 0)
        return se_fail(-errno, "signal %d: %s", number, strerror(errno));
    watched[number] = 1;
    return 0;
}

int se_signals_next(uint64_t ns)
{
    struct pollfd of = { .fd = pipe_fd[READ], .events = POLLIN };
    struct timespec limit = { .tv_sec = (time_t)(ns / 1000000000),
                              .tv_nsec = (long)(ns % 1000000000) };
    unsigned char byte = 0;
    ppoll(&of, 1, &limit, NULL);
    return read(pipe_fd[READ], &byte, 1) == 1 ? byte : 0;
}
