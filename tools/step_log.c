/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/step_log.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/base/err.h"
#include "sched/server/server.h"

enum { ROOM = 4096 };

static int compose(char line[SE_SCRIBE_LINE_B], const void *item)
{
    const struct se_server_step *s = item;
    return snprintf(line, SE_SCRIBE_LINE_B,
                    "{\"number\": %" PRIu64 ", \"begun_ns\": %" PRIu64 ", \"step_ns\": %" PRIu64
                    ", \"idle_ns\": %" PRIu64 ", \"rounds\": %" PRIu32 ", \"max_batch\": %" PRIu32
                    ", \"fill\": %.3f, \"prefills\": %" PRIu32 ", \"rows\": %" PRIu32
                    ", \"prefill_rows\": %" PRIu32 ", \"accepted\": %" PRIu32 ", \"left\": %" PRIu32
                    ", \"at_work\": %" PRIu32 ", \"queue_ns\": %" PRIu64
                    ", \"queue_max_ns\": %" PRIu64 ", \"pages_free\": %" PRIu32 "}\n",
                    s->number, s->begun_ns, s->step_ns, s->idle_ns, s->rounds, s->max_batch,
                    (double)s->rounds / (s->max_batch ? s->max_batch : 1), s->prefills, s->rows,
                    s->prefill_rows, s->accepted, s->left, s->at_work, s->queue_ns, s->queue_max_ns,
                    s->pages_free);
}

int se_step_log_open(struct se_scribe **out, const char *path)
{
    const struct se_scribe_options options = { .path = path,
                                               .append = true,
                                               .item_b = sizeof(struct se_server_step),
                                               .room = ROOM,
                                               .compose = compose };
    return se_trace(se_scribe_open(out, &options));
}
