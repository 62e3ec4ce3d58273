/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_server.h - the server that se-run asks: somewhere else, or a thread of its own.
 *
 * One thread, beside the server's. */
#ifndef SE_TOOLS_SE_RUN_SERVER_H
#define SE_TOOLS_SE_RUN_SERVER_H

#include "tools/se_run_options.h"

struct se_run_server;

/* With --local the model is loaded, with a progress bar, and served by a thread. 0 or -errno. */
int se_run_server_open(struct se_run_server **out, const struct se_run_options *options);
/* The thread ends first. NULL is fine. */
void se_run_server_close(struct se_run_server *server);

/* Where to connect to. */
const char *se_run_server_url(const struct se_run_server *server);

/* 0, or -errno: the thread has ended, and the text has why. */
int se_run_server_check(struct se_run_server *server);

#endif
