/* SPDX-License-Identifier: Apache-2.0 */
/* tools/child.h - a process of this program's own, at the other end of a pair of sockets.
 *
 * It is asked by single bytes and answers in structs. It takes no notice of what the user's
 * terminal sends: it ends when whoever has it closes, or dies. One thread. */
#ifndef SE_TOOLS_CHILD_H
#define SE_TOOLS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct se_child {
    pid_t process;
    int fd; /* questions and answers */
};
#define SE_CHILD_NULL ((struct se_child){ -1, -1 })

/* main is what the process does, and all: it ends behind it. Before the caller has threads or
 * links. The caller's to close, after this failed too. 0 or -errno. */
int se_child_open(struct se_child *child, void (*main)(int fd, const void *of), const void *of);
void se_child_close(struct se_child *child);

/* The caller's side. 0, -EPIPE when it has ended, or SE_OUTCOME_INTERRUPTED. */
int se_child_ask(struct se_child *child);
int se_child_hear(struct se_child *child, void *answer, size_t size_b);

/* The process's side. False: nobody asks or listens any more. */
bool se_child_asked(int fd);
bool se_child_answer(int fd, const void *answer, size_t size_b);

#endif
