/* SPDX-License-Identifier: Apache-2.0 */
/* tools/crowd_server.h - a hollow server in a process of its own, which tells what it takes. */
#ifndef SE_TOOLS_CROWD_SERVER_H
#define SE_TOOLS_CROWD_SERVER_H

#include <stdint.h>

#include "tools/child.h"
#include "tools/hollow_server.h"

struct se_crowd_facts {
    uint64_t resident_b; /* of the process */
    uint32_t fds;        /* it has open */
    uint32_t sessions, peers;
    uint64_t held_b; /* by the sessions, without their text */
    uint64_t text_b; /* room for it, ids */
};

struct se_crowd_server {
    struct se_child child;
    char url[512];
};

/* Before the caller has threads or links. The caller's to close, after this failed too. 0 or
 * -errno. */
int se_crowd_server_open(struct se_crowd_server *of, const struct se_hollow_options *options);
/* 0, or what went wrong there. */
int se_crowd_server_ask(struct se_crowd_server *of, struct se_crowd_facts *facts);
void se_crowd_server_close(struct se_crowd_server *of);

/* Descriptors that this process has open; 0: it cannot be told. */
uint32_t se_crowd_fds(void);

#endif
