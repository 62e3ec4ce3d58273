/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_serverd.h - what the files of se-serverd share.
 *
 *   se-serverd.c        settings, what makes sense of them, main
 *   se_serverd_serve.c  from the loading of the model to the last answer
 *   se_serverd_watch.c  what is done beside serving: signals, the service manager, new settings */
#ifndef SE_TOOLS_SE_SERVERD_H
#define SE_TOOLS_SE_SERVERD_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/conf_file.h"
#include "tools/admin.h"
#include "tools/door.h"
#include "tools/exporter.h"
#include "tools/host.h"
#include "tools/notify.h"
#include "tools/outcome.h"
#include "tools/rig_options.h"

enum {
    SE_SERVERD_DEAF = SE_OUTCOME_OWN, /* it cannot listen there */
    SE_SERVERD_MODEL,                 /* there is something wrong with the model */
    SE_SERVERD_KEYS                   /* or with the keys */
};

/* What may change while it serves. */
struct se_serverd_live {
    int policy; /* enum se_policy */
    uint64_t max_batch, wait_ns, prefill_ns, park_ns;
    uint64_t peer_sessions, peer_frames, peer_faults;
    int log_level; /* enum se_serverd_log_level */
};

struct se_serverd_settings {
    const char *config; /* file, or NULL */
    const char *model;  /* folder */
    const char *listen; /* URLs */
    struct se_rig_options rig;
    uint64_t context, max_sessions, kv_b, max_rows, max_nodes;
    struct se_serverd_live live;
    int idle;               /* park, yield, spin */
    const char *step_log;   /* file, or NULL */
    const char *trace;      /* file, or NULL */
    const char *stat;       /* page; NULL: chosen; "": nobody sees it */
    const char *keys, *key; /* files: who may come, and the server's own; or NULL or "" */
    const char *admin;      /* URL; auto; NULL or "": nowhere */
    const char *metrics;    /* address, or NULL or "": nowhere */
    uint64_t drain_ns;
    bool insecure, check, print_conf;
};

enum { SE_SERVERD_ROWS_MAX = 64 };
extern const struct se_conf_row se_serverd_rows[];
extern const size_t se_serverd_rows_n;
extern struct se_conf_files se_serverd_files; /* where the settings come from */

/* Of its admin endpoint, or NULL; the text may be the buffer's. */
const char *se_serverd_admin_url(const struct se_serverd_settings *settings, char *buffer,
                                 uint32_t size_b);

/* Whether they make sense together. 0 or -EINVAL. */
int se_serverd_settings_check(const struct se_serverd_settings *settings);

struct se_server_live se_serverd_live_of(const struct se_serverd_live *live);
/* Puts the level of the log in force. */
void se_serverd_log_level(const struct se_serverd_live *live);

/* Loads, listens, serves until told to leave. 0, SE_SERVERD_DEAF, _MODEL, _KEYS or -errno. */
int se_serverd_serve(const struct se_serverd_settings *settings);

/* Who is told how things are, beside the log. */
struct se_serverd_told {
    struct se_notify notify;
    struct se_exporter *exporter; /* or NULL */
    struct se_door *door;         /* who may come; or NULL: anybody */
    struct se_admin *admin;       /* or NULL */
};

/* Has a host that listens run on a thread of its own, and returns when that has ended: what
 * se_host_run() said. Signals are open (signals.h). */
int se_serverd_watch(struct se_host *host, const struct se_serverd_settings *settings,
                     const struct se_serverd_told *told);

#endif
