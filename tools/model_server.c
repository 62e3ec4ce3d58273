/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/model_server.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/bench_url.h"
#include "tools/host.h"
#include "tools/outcome.h"

/* First where it listens, then processor time of its thread, each time it is asked. */
struct answer {
    int result;
    char text[SE_MODEL_SERVER_URL_B]; /* URL, or what is wrong */
    uint64_t thread_ns;
};

/* ---- the process */

struct serving {
    struct se_host *host;
    pthread_t thread;
    _Atomic bool stop;
    int result; /* read when the thread has ended */
};

static enum se_host_order order(void *context)
{
    /* relaxed: nothing else is read because of it, and the wake sees to it that it is seen. */
    return atomic_load_explicit(&((struct serving *)context)->stop, memory_order_relaxed)
               ? SE_HOST_STOP
               : SE_HOST_GO;
}

static void *run(void *context)
{
    struct serving *s = context;
    s->result = se_host_run(s->host, order, s);
    return NULL;
}

static int start(struct serving *s, const struct se_model_server_options *o)
{
    struct se_host_options options = se_host_options();
    options.model = o->where;
    options.rig = o->rig;
    options.listen = o->link;
    options.max_sessions = o->max_sessions;
    if (options.max_nodes < o->max_nodes)
        options.max_nodes = o->max_nodes;
    if (options.max_rows < options.max_nodes)
        options.max_rows = options.max_nodes;
    int r = se_host_load(&s->host, &options);
    if (r == 0 && (r = se_host_listen(s->host)) > 0)
        r = -EADDRINUSE;
    if (r == 0 && (r = -pthread_create(&s->thread, NULL, run, s)) < 0)
        r = se_fail(r, "no thread for the server: %s", strerror(-r));
    return r;
}

static uint64_t thread_ns(pthread_t thread)
{
    struct timespec t = { 0 };
    clockid_t clock;
    if (pthread_getcpuclockid(thread, &clock) == 0)
        clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void serve(int fd, const void *options)
{
    static struct serving s;
    struct answer answer = { .result = start(&s, options) };
    snprintf(answer.text, sizeof answer.text, "%s",
             answer.result < 0 ? se_err_text() : se_host_facts(s.host)->url);
    bool wanted = se_child_answer(fd, &answer, sizeof answer) && answer.result == 0;
    while (wanted && se_child_asked(fd)) {
        answer.thread_ns = thread_ns(s.thread);
        wanted = se_child_answer(fd, &answer, sizeof answer);
    }
    if (answer.result == 0) {
        atomic_store_explicit(&s.stop, true, memory_order_relaxed);
        se_host_wake(s.host);
        pthread_join(s.thread, NULL);
    }
    se_host_close(s.host);
}

/* ---- who asks */

static int hear(struct se_model_server *server, struct answer *answer)
{
    int r = se_child_hear(&server->child, answer, sizeof *answer);
    if (r != 0)
        return r;
    return answer->result < 0 ? se_fail(answer->result, "%s", answer->text) : 0;
}

int se_model_server_open(struct se_model_server *server, const struct se_model_server_options *o)
{
    struct se_model_server_options options = *o;
    struct answer answer;
    char url[SE_MODEL_SERVER_URL_B];
    *server = (struct se_model_server){ .child = SE_CHILD_NULL };
    if (strstr(o->where, "://")) {
        snprintf(server->url, sizeof server->url, "%s", o->where);
        return 0;
    }
    int r = se_bench_url(o->link, url, sizeof url);
    if (r == 0 && strncmp(url, "loop:", 5) == 0)
        r = se_usage("link: the server is a process of its own, and a loop stays in one");
    options.link = url;
    if (r == 0)
        r = se_child_open(&server->child, serve, &options);
    if (r == 0)
        r = hear(server, &answer);
    if (r == 0)
        snprintf(server->url, sizeof server->url, "%s", answer.text);
    return r;
}

int se_model_server_thread_ns(struct se_model_server *server, uint64_t *ns)
{
    struct answer answer;
    int r = se_child_ask(&server->child);
    if (r == 0)
        r = hear(server, &answer);
    if (r == 0)
        *ns = answer.thread_ns;
    return r;
}

void se_model_server_close(struct se_model_server *server) { se_child_close(&server->child); }
