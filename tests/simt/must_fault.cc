/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}

#include "tests/simt/must_fault.h"

void must_fault(void (*run)(void), const char *words)
{
    int pipe_ends[2], status;
    char text[1024];
    size_t n = 0;
    ssize_t more;
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* not cmocka's */
        dup2(pipe_ends[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(pipe_ends[1]);
    while (n < sizeof text - 1 && (more = read(pipe_ends[0], text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)more;
    text[n] = '\0';
    close(pipe_ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (strstr(text, words) == NULL || !WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("\"%s\" was to come, and status %#x came with \"%s\"", words, status, text);
}
