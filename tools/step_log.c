/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/step_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { LINE_B = 1024 };

struct se_step_log {
    const char *path;
    int fd;
    bool failed;
};

int se_step_log_open(struct se_step_log **out, const char *path)
{
    struct se_step_log *log = se_mem_new(1, sizeof *log);
    if (!log)
        return se_trace(-ENOMEM);
    *log = (struct se_step_log){ .path = path };
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log->fd < 0) {
        int r = se_fail(-errno, "%s: %s", path, strerror(errno));
        se_mem_free(log);
        return r;
    }
    *out = log;
    return 0;
}

static int compose(char line[LINE_B], const struct se_server_step *s)
{
    return snprintf(line, LINE_B,
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

int se_step_log_add(struct se_step_log *log, const struct se_server_step *step)
{
    char line[LINE_B];
    if (log->failed)
        return 0;
    int len = compose(line, step);
    ssize_t n;
    do
        n = write(log->fd, line, (size_t)len);
    while (n < 0 && errno == EINTR);
    if (n == len)
        return 0;
    log->failed = true;
    return se_fail(n < 0 ? -errno : -ENOSPC, "%s: %s; no more steps are logged", log->path,
                   strerror(n < 0 ? errno : ENOSPC));
}

void se_step_log_close(struct se_step_log *log)
{
    if (!log)
        return;
    close(log->fd);
    se_mem_free(log);
}
