/* SPDX-License-Identifier: Apache-2.0 */
/* tools/published.h - the keys of the published SpecEdge project's files, as our settings.
 *
 * One file describes both sides there: base, server, client, node. Each of our programs has a
 * table of the keys that concern it. A program's test holds the table against its rows with
 * se_conf_foreign_check(). */
#ifndef SE_TOOLS_PUBLISHED_H
#define SE_TOOLS_PUBLISHED_H

#include <stddef.h>

#include "runtime/base/conf_foreign.h"

extern const struct se_conf_foreign se_published_server[]; /* for se-serverd */
extern const size_t se_published_server_n;

extern const struct se_conf_foreign se_published_edge[]; /* for se-run */
extern const size_t se_published_edge_n;

#endif
