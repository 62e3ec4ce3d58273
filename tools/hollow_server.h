/* SPDX-License-Identifier: Apache-2.0 */
/* tools/hollow_server.h - a real server, link and stepper over a hollow engine.
 *
 * It runs on a thread of its own, as in earnest, or by hand: then whoever has it calls
 * se_server_work() and the engine's side of the stepper. */
#ifndef SE_TOOLS_HOLLOW_SERVER_H
#define SE_TOOLS_HOLLOW_SERVER_H

#include <pthread.h>

#include "sched/server/server.h"
#include "tools/hollow.h"

/* A vocabulary as wide as Qwen3's, so that ids are as long on the wire. */
enum { SE_HOLLOW_VOCAB = 151936, SE_HOLLOW_FINGERPRINT = 4711 };

struct se_hollow_options {
    const char *url;
    uint32_t sessions, nodes; /* nodes of a tree, root included */
    uint32_t peers;           /* connections at once, */
    uint32_t peer_sessions;   /* and sessions of one, all of which may be answered at once */
    uint32_t context;
    uint64_t step_ns;
    bool engine_thread; /* the stepper's own; else it is called by hand */
    struct se_idle_options idle;
    const char *trace; /* file (trace_log.h), or NULL */
};

struct se_hollow_server {
    struct se_hollow hollow;
    struct se_idle_options idle;
    struct se_engine *engine;
    struct se_frames *frames;
    struct se_link *link;
    struct se_stepper *stepper;
    struct se_server *server;
    struct se_trace_log *trace; /* or NULL */
    pthread_t thread;
    bool runs;
    int result; /* of the thread */
    _Atomic bool stop;
    struct se_server_step last; /* the server's thread's */
    uint64_t steps, rounds;
};

/* The caller's to close, after this failed too. 0 or -errno. */
int se_hollow_server_open(struct se_hollow_server *of, const struct se_hollow_options *options);
/* The server gets its thread, until close or stop. */
int se_hollow_server_start(struct se_hollow_server *of);
/* 0, or what ended its thread earlier. */
int se_hollow_server_stop(struct se_hollow_server *of);
void se_hollow_server_close(struct se_hollow_server *of);

#endif
