/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/again.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"

enum { ARGUMENTS_MAX = 64, READ_B = 65536 };

struct run {
    pid_t process;
    int out, err; /* what it prints, and what it complains of */
    bool told;    /* to end */
};

static void be_it(int out, int err, const char *const *argument)
{
    char *argv[ARGUMENTS_MAX + 2] = { (char *)"se-bench" };
    for (int i = 0; i < ARGUMENTS_MAX && argument[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)argument[i]; /* execv() leaves them alone */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execv("/proc/self/exe", argv);
    fprintf(stderr, "se-bench: cannot run again: %s\n", strerror(errno));
    _exit(1);
}

static int start(struct run *run, const char *const *argument)
{
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) < 0)
        return se_fail(-errno, "no pipe: %s", strerror(errno));
    int r = pipe2(err, O_CLOEXEC) < 0 ? se_fail(-errno, "no pipe: %s", strerror(errno)) : 0;
    fflush(NULL);
    run->process = r == 0 ? fork() : -1;
    if (run->process == 0)
        be_it(out[1], err[1], argument);
    if (r == 0 && run->process < 0)
        r = se_fail(-errno, "no process: %s", strerror(errno));
    close(out[1]);
    run->out = out[0];
    if (run->process < 0) {
        close(out[0]);
        return r;
    }
    close(err[1]);
    run->err = err[0];
    return r;
}

/* Who is interrupted passes it on: it may have reached us alone. */
static bool goes_on(struct run *run)
{
    if (errno != EINTR)
        return false;
    if (se_interrupt_came() && !run->told)
        kill(run->process, SIGINT);
    run->told = se_interrupt_came();
    return true;
}

/* All of it, with a zero at the end; the caller's. NULL: no memory. */
static char *read_all(struct run *run, int fd)
{
    char *text = NULL;
    size_t cap = 0, len = 0;
    ssize_t n = 1;
    while (n != 0) {
        if (se_mem_grow(&text, &cap, len + READ_B, 1) < 0) {
            se_mem_free(text);
            return NULL;
        }
        n = read(fd, text + len, READ_B - 1);
        if (n < 0 && !goes_on(run))
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    return text;
}

static int wait_for(struct run *run)
{
    int status = 0;
    while (waitpid(run->process, &status, 0) < 0 && goes_on(run))
        continue;
    return status;
}

/* "se-bench: sentence\n", without what stands around the sentence. */
static const char *sentence(char *text)
{
    static const char name[] = "se-bench: ";
    text[strcspn(text, "\n")] = '\0';
    return strncmp(text, name, sizeof name - 1) == 0 ? text + sizeof name - 1 : text;
}

int se_again(json_t **out, const char *const *argument)
{
    struct run run = { .process = -1 };
    int r = start(&run, argument);
    if (r < 0)
        return se_trace(r);
    char *said = read_all(&run, run.out), *complained = read_all(&run, run.err);
    const int status = wait_for(&run);
    close(run.out);
    close(run.err);
    if (!said || !complained)
        r = -ENOMEM;
    else if (se_interrupt_came())
        r = SE_OUTCOME_INTERRUPTED;
    else if (status != 0)
        r = se_fail(-EIO, "%s", *complained ? sentence(complained) : "it ended without a word");
    else if (!(*out = json_loads(said, 0, NULL)))
        r = se_fail(-EPROTO, "what it prints is no JSON");
    se_mem_free(said);
    se_mem_free(complained);
    return r;
}
