/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/echo.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"
#include "tools/pin.h"
#include "transport/link.h"

enum { FRAMES = 64 };
#define LOOK_NS UINT64_C(100000000) /* at whether it shall end */

static int listen_at(struct se_echo *e)
{
    int r = se_pin(e->options.processor);
    if (r == 0)
        r = se_frames_new(&e->frames, FRAMES, e->options.frame_b);
    if (r < 0)
        return se_trace(r);
    struct se_link_options options = se_link_options(e->frames);
    options.spin_ns = e->options.spin ? LOOK_NS : 0;
    options.guard = e->options.guard;
    r = se_link_listen(&e->link, e->options.url, &options);
    if (r < 0)
        return se_trace(r);
    snprintf(e->url, sizeof e->url, "%s", se_link_url(e->link));
    return 0;
}

static void leave(struct se_echo *e)
{
    se_link_fini(e->link);
    se_frames_free(e->frames);
    e->link = NULL;
    e->frames = NULL;
}

/* once: until the first edge has left. */
static int serve(struct se_echo *e, bool once)
{
    /* relaxed: nothing else is told by it. */
    while (!se_interrupt_came() && !atomic_load_explicit(&e->ends, memory_order_relaxed)) {
        struct se_frame *frame;
        se_link_peer peer;
        int r = se_link_recv(e->link, &peer, &frame);
        if (r == SE_LINK_CLOSED || (r == SE_LINK_GONE && once))
            return 0;
        if (r == 0 && se_link_send(e->link, peer, frame) != 0)
            se_frame_put(frame);
        if (r == SE_LINK_AGAIN)
            r = se_link_wait(e->link, LOOK_NS);
        if (r < 0)
            return se_trace(r);
    }
    return SE_OUTCOME_INTERRUPTED;
}

int se_echo_serve(const struct se_echo_options *options, void (*told)(const char *url))
{
    struct se_echo e = { .options = *options };
    se_interrupt_watch();
    int r = listen_at(&e);
    if (r == 0) {
        told(e.url);
        r = serve(&e, false);
    }
    leave(&e);
    return r;
}

/* ---- a thread */

static void *thread_main(void *argument)
{
    struct se_echo *e = argument;
    if (se_pin(e->options.processor) < 0 || serve(e, true) < 0)
        fprintf(stderr, "se-bench: the other end: %s\n", se_err_text());
    return NULL;
}

static int open_thread(struct se_echo *e)
{
    const int processor = e->options.processor;
    e->options.processor = -1; /* not this thread */
    int r = listen_at(e);
    e->options.processor = processor;
    if (r == 0 && (r = -pthread_create(&e->thread, NULL, thread_main, e)) < 0)
        r = se_fail(r, "no thread: %s", strerror(-r));
    if (r < 0)
        leave(e);
    return r;
}

/* ---- a process */

static void child_main(struct se_echo *e, int out)
{
    char text[SE_ECHO_URL_B];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int r = listen_at(e);
    if (r == 0)
        snprintf(text, sizeof text, "+%.*s", SE_ECHO_URL_B - 2, e->url);
    else
        snprintf(text, sizeof text, "-%.500s", se_err_text());
    if (write(out, text, strlen(text) + 1) < 0 || r < 0)
        _exit(1);
    if (serve(e, true) < 0) {
        fprintf(stderr, "se-bench: the other end: %s\n", se_err_text());
        _exit(1);
    }
    leave(e);
    _exit(0);
}

static int open_process(struct se_echo *e)
{
    char text[SE_ECHO_URL_B] = "";
    int ends[2];
    if (pipe(ends) < 0)
        return se_fail(-errno, "no pipe: %s", strerror(errno));
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        child_main(e, ends[1]);
    }
    int r = child < 0 ? se_fail(-errno, "no process: %s", strerror(errno)) : 0;
    close(ends[1]);
    if (r == 0 && read(ends[0], text, sizeof text - 1) <= 0)
        r = se_fail(-EPIPE, "the other end ended before it listened");
    close(ends[0]);
    if (r == 0 && *text == '-')
        r = se_fail(-EIO, "%s", text + 1);
    if (r < 0 && child > 0)
        waitpid(child, NULL, 0);
    if (r < 0)
        return r;
    e->process = child;
    snprintf(e->url, sizeof e->url, "%s", text + 1);
    return 0;
}

int se_echo_open(struct se_echo *echo, const struct se_echo_options *options)
{
    *echo = (struct se_echo){ .options = *options };
    return strncmp(options->url, "loop:", 5) == 0 ? open_thread(echo) : open_process(echo);
}

void se_echo_close(struct se_echo *echo, bool at_once)
{
    if (echo->process > 0) {
        if (at_once)
            kill(echo->process, SIGKILL);
        waitpid(echo->process, NULL, 0);
        if (strncmp(echo->url, "ipc://", 6) == 0)
            unlink(echo->url + 6); /* libzmq leaves it */
    } else if (echo->link) {
        atomic_store_explicit(&echo->ends, at_once, memory_order_relaxed);
        pthread_join(echo->thread, NULL);
        leave(echo);
    }
    echo->process = 0;
}
