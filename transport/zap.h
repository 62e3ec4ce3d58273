/* SPDX-License-Identifier: Apache-2.0 */
/* transport/zap.h - answers libzmq's question whether a key may come (ZAP, RFC 27).
 *
 * libzmq asks through a socket of the context that its server is in, and its thread goes on with
 * the others meanwhile. Belongs to the thread of the link. */
#ifndef SE_TRANSPORT_ZAP_H
#define SE_TRANSPORT_ZAP_H

#include "transport/guard.h"

struct se_zap;

/* For all servers of the context; guard outlives it. 0 or -errno. */
int se_zap_open(struct se_zap **out, void *context, struct se_guard *guard);
/* The servers' connections end only then: after their sockets were told to close, and before anybody
 * waits for that. NULL is fine. */
void se_zap_close(struct se_zap *zap);

/* Answers all who wait. After it se_zap_fd() can be slept on, until there is something to read. */
void se_zap_serve(struct se_zap *zap);
int se_zap_fd(const struct se_zap *zap);

/* The domain that the server's socket has to name. */
extern const char se_zap_domain[];

#endif
