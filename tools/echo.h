/* SPDX-License-Identifier: Apache-2.0 */
/* tools/echo.h - the other end of a link that is measured: sends back what it gets.
 *
 * A thread of this process over a loop, which leaves no process; a process of its own over all
 * else; or this thread, until it is interrupted. */
#ifndef SE_TOOLS_ECHO_H
#define SE_TOOLS_ECHO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "transport/guard.h"

enum { SE_ECHO_URL_B = 512 };

struct se_echo_options {
    const char *url;        /* where it listens */
    bool spin;              /* in place of sleeping */
    int processor;          /* that it keeps to; < 0: any */
    uint32_t frame_b;       /* the largest it takes */
    struct se_guard *guard; /* who may connect; NULL: anybody */
};

struct se_echo {
    char url[SE_ECHO_URL_B]; /* to connect to */
    pid_t process;           /* 0: a thread */
    pthread_t thread;
    struct se_link *link; /* of the thread */
    struct se_frames *frames;
    atomic_bool ends; /* the thread, at its next look */
    struct se_echo_options options;
};

/* It listens when this returns, and ends when its first edge has left. Before threads are started:
 * it forks. 0 or -errno. */
int se_echo_open(struct se_echo *echo, const struct se_echo_options *options);
/* Waits for its end; at once: makes it. */
void se_echo_close(struct se_echo *echo, bool at_once);

/* This thread, for whoever comes, until a signal. told is called with the URL to connect to.
 * SE_OUTCOME_INTERRUPTED or -errno. */
int se_echo_serve(const struct se_echo_options *options, void (*told)(const char *url));

#endif
