/* SPDX-License-Identifier: Apache-2.0 */
/* tools/host.h - a server in this process: a model, a link that listens, and what stands between.
 *
 *   load ─► listen ─► run ... ─► close
 *
 * load, listen, run and close are called by one thread at a time, whichever it is; the others
 * say what they allow. What options point at outlives the host. */
#ifndef SE_TOOLS_HOST_H
#define SE_TOOLS_HOST_H

#include <stdint.h>

#include "runtime/base/stat.h"
#include "runtime/model/config.h"
#include "sched/idle.h"
#include "sched/server/server.h"
#include "tools/rig_options.h"

struct se_host;

enum { SE_HOST_CONTEXT_MIN = 16 };

struct se_host_options {
    const char *model; /* folder */
    struct se_rig_options rig;
    const char *listen;    /* URLs, with commas between */
    uint64_t kv_b;         /* memory for keys and values, 0: see se_host_options() */
    uint32_t context;      /* ids that a text may come to, 0: what the model can */
    uint32_t max_sessions; /* open at once */
    uint32_t max_rows;     /* of a step */
    uint32_t max_nodes;    /* of a tree, root included; cut to max_rows */
    struct se_server_live live;
    struct se_idle_options idle;
    const char *stat;      /* name of the page of counters in /dev/shm; NULL: nobody sees it */
    const char *stat_else; /* another, for when a process that lives has that one; or NULL */
    const char *step_log;  /* file to which each step adds a line (step_log.h), or NULL */
    const char *trace;     /* file for a timeline (trace_log.h), or NULL */
    struct se_server_watch watch;
    struct se_guard *guard; /* who may come; NULL: anybody */
};
/* The defaults: no folder, stored weights on every processor, loop://local, 64 sessions, steps of
 * 256 rows, trees of 128 nodes, parks soon. Memory for keys and values: what all sessions need for
 * texts as long as they may be, but a quarter of what is free (memory.h) at most. */
struct se_host_options se_host_options(void);

/* Loads weights and tokenizer, makes the engine and measures its steps, with progress shown on a
 * terminal. 0 or -errno; on 0 *out is the caller's. */
int se_host_load(struct se_host **out, const struct se_host_options *options);

enum { SE_HOST_DEAF = 1 }; /* it cannot listen there; se_err_text() says why */

/* Opens what others see: counters, the log of steps, the link. Frames are looked at in run.
 * 0, SE_HOST_DEAF or -errno. */
int se_host_listen(struct se_host *host);

enum se_host_order {
    SE_HOST_GO,
    SE_HOST_DRAIN, /* leave in good order: nothing new, finish what is under way, tell the edges */
    SE_HOST_STOP   /* leave now */
};

/* Serves until order() says STOP, or DRAIN and that is done. order() is called by the running
 * thread, in each round of its duty; it may call se_host_set_live(). Who changes its mind calls
 * se_host_wake(). 0, or -errno: the server cannot go on. */
int se_host_run(struct se_host *host, enum se_host_order (*order)(void *context), void *context);

/* Has order() asked soon. Any thread, from listen to close. */
void se_host_wake(struct se_host *host);

/* The running thread, or when there is none. */
void se_host_set_live(struct se_host *host, const struct se_server_live *live);

/* The running thread, or when there is none: another list of who may come, as
 * se_server_set_keys() has it. */
void se_host_set_keys(struct se_host *host, const struct se_keyring *ring);

/* What each key has had, or NULL; what se-top shows of sessions, or NULL. Any thread may read them,
 * from listen to close. */
const struct se_accounts *se_host_accounts(const struct se_host *host);
const struct se_board *se_host_board(const struct se_host *host);

/* At any moment but in run; nothing is left behind. NULL is fine. */
void se_host_close(struct se_host *host);

/* What came of the options. The same from load on, url and stat from listen on. Any thread. */
struct se_host_facts {
    const char *url;     /* to connect to; those of several with commas between, NULL before */
    const char *stat;    /* name of the page of counters, or NULL */
    const char *backend; /* "cpu (avx512 vnni bf16)" */
    const char *weights; /* "bf16" */
    const char *kv;      /* "f16" */
    const struct se_config *config;
    size_t weight_b;
    uint64_t kv_b;
    uint32_t threads;
    uint32_t pages; /* of SE_PAGE_SLOTS tokens */
    uint32_t context, max_sessions, max_rows, max_nodes;
    uint32_t tokens;
    uint64_t fingerprint, identity;
    struct se_pace pace;
};
const struct se_host_facts *se_host_facts(const struct se_host *host);

/* Counters by enum se_counter (sched/server/counter.h). Any thread, from listen to close. */
const struct se_stat *se_host_stat(const struct se_host *host);

#endif
