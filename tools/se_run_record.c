/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_record.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"

int se_run_record_open(struct se_run_record *record, const char *path, uint64_t client)
{
    *record = SE_RUN_RECORD_NULL;
    record->path = path;
    record->client = client;
    if (!path)
        return 0;
    record->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return record->fd < 0 ? se_fail(-errno, "%s: %s", path, strerror(errno)) : 0;
}

void se_run_record_close(struct se_run_record *record)
{
    if (record->fd >= 0)
        close(record->fd);
    *record = SE_RUN_RECORD_NULL;
}

void se_run_record_request(struct se_run_record *record, uint64_t request)
{
    record->request = request;
    record->step = 0;
}

static double ms(uint64_t ns) { return (double)ns * 1e-6; }

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static json_t *object_of(const struct se_run_record *record, const struct se_edge_round *round)
{
    static const char *const kind[] = { "tree", "plain", "pushed" };
    json_t *draft = json_pack("{s:I, s:f}", "levels", (json_int_t)round->levels, "end_to_end",
                              ms(round->draft_ns));
    json_t *target =
        json_pack("{s:f, s:f, s:i, s:b, s:b, s:f, s:f, s:f}", "client_wait", ms(round->wait_ns),
                  "end_to_end", ms(round->wait_ns), "prefill", record->step == 0, "proactive",
                  round->hit, "prev_proactive", round->was_hit, "round_trip", ms(round->trip_ns),
                  "queue", round->queue_us * 1e-3, "step", round->step_us * 1e-3);
    json_t *ahead = json_pack("{s:I, s:f, s:b}", "levels", (json_int_t)round->ahead_levels,
                              "end_to_end", ms(round->ahead_ns), "hit", round->hit);
    return json_pack(
        "{s:f, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:s, s:I, s:I, s:I, s:I, s:f, s:I, "
        "s:I, s:I, s:I}",
        "timestamp", now_s(), "client_idx", (json_int_t)record->client, "req_idx",
        (json_int_t)record->request, "step_idx", (json_int_t)record->step, "draft", draft, "target",
        target, "ahead", ahead, "num_accepted_tokens", (json_int_t)round->tokens, "kind",
        kind[round->kind], "round", (json_int_t)round->round, "base", (json_int_t)round->base,
        "nodes", (json_int_t)round->nodes, "depth", (json_int_t)round->depth, "at",
        ms(round->at_ns), "load", (json_int_t)round->load, "sent", (json_int_t)round->sent,
        "up_bytes", (json_int_t)round->up_b, "down_bytes", (json_int_t)round->down_b);
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* No half a line stays behind, where a file can be cut at all. */
static int give_up(struct se_run_record *record, int r)
{
    int fd = record->fd;
    record->failed = true;
    record->fd = -1;
    if (ftruncate(fd, (off_t)record->whole_b) < 0)
        errno = 0; /* a pipe, or a device */
    close(fd);
    return se_fail(r, "%s: %s; the records before are whole", record->path, strerror(-r));
}

int se_run_record_round(struct se_run_record *record, const struct se_edge_round *round)
{
    if (record->fd < 0)
        return 0;
    json_t *object = object_of(record, round);
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(object);
    if (!line)
        return se_fail(-ENOMEM, "out of memory");
    size_t len = strlen(line);
    line[len] = '\n'; /* in place of the zero */
    int r = write_all(record->fd, line, len + 1);
    free(line);
    if (r < 0)
        return give_up(record, r);
    record->whole_b += len + 1;
    record->step++;
    return 0;
}
