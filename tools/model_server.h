/* SPDX-License-Identifier: Apache-2.0 */
/* tools/model_server.h - a server to be measured: one that runs, or one with a model that is
 * started here, in a process of its own. */
#ifndef SE_TOOLS_MODEL_SERVER_H
#define SE_TOOLS_MODEL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/child.h"
#include "tools/rig_options.h"

enum { SE_MODEL_SERVER_URL_B = 512 };

struct se_model_server_options {
    const char *where; /* its URL, or the folder of a model: then it is started */
    struct se_rig_options rig;
    const char *link; /* where it listens: a URL, or a word for one (bench_url.h) */
    uint32_t max_sessions;
    uint32_t max_nodes; /* that it must take, root included */
};

struct se_model_server {
    struct se_child child; /* SE_CHILD_NULL: it runs elsewhere */
    char url[SE_MODEL_SERVER_URL_B];
};

/* Before the caller has threads or links. The caller's to close, after this failed too. 0, -errno
 * with what the process says, SE_OUTCOME_USAGE or SE_OUTCOME_INTERRUPTED. */
int se_model_server_open(struct se_model_server *server,
                         const struct se_model_server_options *options);
void se_model_server_close(struct se_model_server *server);

static inline bool se_model_server_is_ours(const struct se_model_server *server)
{
    return server->child.process > 0;
}

/* Of one that was started here: processor time of the thread that has link and books, so far. 0,
 * -errno or SE_OUTCOME_INTERRUPTED. */
int se_model_server_thread_ns(struct se_model_server *server, uint64_t *ns);

#endif
