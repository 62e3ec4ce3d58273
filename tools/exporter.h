/* SPDX-License-Identifier: Apache-2.0 */
/* tools/exporter.h - a server's numbers over HTTP: /metrics for Prometheus, /healthz.
 *
 * exporter.c is libmicrohttpd, with one thread of its own, which reads counters that the server
 * writes anyhow: nobody waits for a scrape. exporter_absent.c stands for it where there is no such
 * library. It may be open from before there is a server until after there was one. tell and show:
 * any thread, between open and close; for them and close NULL is fine: nobody asked for one. */
#ifndef SE_TOOLS_EXPORTER_H
#define SE_TOOLS_EXPORTER_H

#include "tools/metric.h"

struct se_exporter;

struct se_exporter_options {
    const char *address; /* HOST:PORT; no HOST: this machine alone; PORT 0: one that is free */
    unsigned idle_s;     /* a connection on which nothing moves for so long is closed */
};
struct se_exporter_options se_exporter_options(const char *address); /* 10 s */

/* Whether it could be opened. 0; -EINVAL: no address; -ENOTSUP: not in this build. */
int se_exporter_check(const char *address);

/* Listens, and answers: it starts. 0, or -errno: above all, that the address is taken. */
int se_exporter_open(struct se_exporter **out, const struct se_exporter_options *options);
/* Where it is, "http://127.0.0.1:9464"; "" for NULL. */
const char *se_exporter_url(const struct se_exporter *exporter);

enum se_exporter_health {
    SE_EXPORTER_STARTING, /* from open on */
    SE_EXPORTER_SERVING,
    SE_EXPORTER_DRAINING,
    SE_EXPORTER_FAILED
};
/* What /healthz says: 200 while SERVING, otherwise 503 and why, of which it keeps a copy. */
void se_exporter_tell(struct se_exporter *exporter, enum se_exporter_health health,
                      const char *why);

/* What /metrics shows from now on; start_ns and ready are the exporter's own. What it points at
 * stays until the next call, or close. */
void se_exporter_show(struct se_exporter *exporter, const struct se_metric_source *source);

/* No request is being answered any more when it returns. */
void se_exporter_close(struct se_exporter *exporter);

#endif
