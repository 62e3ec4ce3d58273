/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/host.h"
#include "tools/program.h"

enum {
    PATH_B = 4096,
    SENTENCE_B = 512,
    SESSIONS = 4 /* the one that is used, and others that it has said goodbye to */
};

struct se_run_server {
    const char *url;
    /* In this process. */
    struct se_host *host;
    char trace[PATH_B]; /* file of the target's trace */
    pthread_t thread;
    bool running;
    atomic_bool stop;
    /* [run.host] the thread's last words: sentence is whole before ended is set. */
    atomic_int ended; /* what running it came to, below 0 */
    char sentence[SENTENCE_B];
};

static enum se_host_order order(void *context)
{
    struct se_run_server *server = context;
    /* Relaxed: nothing else is read because of it, and the wake sees to it that it is seen. */
    return atomic_load_explicit(&server->stop, memory_order_relaxed) ? SE_HOST_STOP : SE_HOST_GO;
}

static void *serve(void *context)
{
    struct se_run_server *server = context;
    int r = se_host_run(server->host, order, server);
    if (r < 0)
        snprintf(server->sentence, sizeof server->sentence, "%s", se_err_text());
    /* [run.host] release, pairs with the acquire in se_run_server_check(): whoever sees that it
     * failed reads the whole sentence. */
    atomic_store_explicit(&server->ended, r, memory_order_release);
    return NULL;
}

static void on_note(void *context, enum se_server_note level, const char *text)
{
    (void)context;
    if (level != SE_SERVER_INFO)
        se_program_say("%s", text);
}

static struct se_host_options host_options(const struct se_run_options *o)
{
    struct se_host_options host = se_host_options();
    host.model = o->model;
    host.rig = o->target;
    host.rig.backend = o->rig.backend;
    host.context = (uint32_t)o->context;
    host.max_sessions = SESSIONS;
    if (host.max_nodes < o->tree.budget + 1)
        host.max_nodes = (uint32_t)o->tree.budget + 1;
    if (host.max_rows < host.max_nodes)
        host.max_rows = host.max_nodes;
    host.watch.note = on_note;
    return host;
}

/* Signals are for the thread that talks to the user. */
static int start(struct se_run_server *server)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&server->thread, NULL, serve, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    server->running = r == 0;
    return r == 0 ? 0 : se_fail(-r, "no thread for the target: %s", strerror(r));
}

static int open_here(struct se_run_server *server, const struct se_run_options *o)
{
    struct se_host_options options = host_options(o);
    if (o->trace) {
        snprintf(server->trace, sizeof server->trace, "%s.server", o->trace);
        options.trace = server->trace;
    }
    int r = se_host_load(&server->host, &options);
    if (r == 0)
        r = se_host_listen(server->host);
    if (r > 0) /* nobody else in this process listens there */
        r = -EADDRINUSE;
    if (r < 0)
        return se_trace(r);
    server->url = se_host_facts(server->host)->url;
    return start(server);
}

int se_run_server_open(struct se_run_server **out, const struct se_run_options *o)
{
    struct se_run_server *server = se_mem_zero(1, sizeof *server);
    if (!server)
        return -ENOMEM;
    server->url = o->server;
    int r = o->local ? open_here(server, o) : 0;
    if (r == 0) {
        *out = server;
        server = NULL;
    }
    se_run_server_close(server);
    return r;
}

void se_run_server_close(struct se_run_server *server)
{
    if (!server)
        return;
    if (server->running) {
        atomic_store_explicit(&server->stop, true, memory_order_relaxed);
        se_host_wake(server->host);
        pthread_join(server->thread, NULL);
    }
    se_host_close(server->host);
    se_mem_free(server);
}

const char *se_run_server_url(const struct se_run_server *server) { return server->url; }

int se_run_server_check(struct se_run_server *server)
{
    /* [run.host] acquire, pairs with the release in serve(). */
    int r = atomic_load_explicit(&server->ended, memory_order_acquire);
    return r < 0 ? se_fail(r, "%s", server->sentence) : 0;
}
