/* SPDX-License-Identifier: Apache-2.0 */
/* One rank of several: it computes with its part of every matrix, and what belongs together is
 * brought together on the device, within the step and its graph.
 *
 *   o, down   each rank's sums ── all_gather ──► all of them, on every rank ── sum_ranks ──► x
 *   output    each rank's tokens ── gather ──► rank 0: join_ranks, sample
 *   verdict   sampled tokens, a fault ── broadcast ──► every rank walks, and moves its own keys
 *
 * The host's group carries orders and the place to meet, and says who is lost. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/model/collective.h"
#include "runtime/model/cuda/inside.h"
#include "runtime/model/split.h"

/* Between two looks for the others, while a step is waited for. */
#define LOOK_NS 20000000u
/* The library may know before the group does that a rank has ended, but not which one. */
#define WHO_NS 300000000u

/* What the group said, which is the program's, in the module's own sentence; returns r. */
static int pass_on(const struct se_backend *b, int r)
{
    return r < 0 ? se_fail(r, "%s", b->group->ops->error()) : r;
}

/* The group's deadline is that of opening: others may still be loading. */
static int wait_for_all(struct se_backend *b)
{
    const uint64_t until = se_clock_ns() + b->group->deadline_ns;
    const struct timespec pause = { .tv_nsec = 1000000 };
    int r;
    while ((r = se_gpu_ranks_ready(b->ranks)) > 0) {
        r = pass_on(b, b->group->ops->check(b->group));
        if (r < 0)
            return r;
        if (se_clock_ns() > until)
            return se_fail(-ETIMEDOUT, "GPU: the ranks have not met within %.1f s",
                           (double)b->group->deadline_ns / 1e9);
        nanosleep(&pause, NULL);
    }
    return se_cuda_pass_on(r);
}

int se_cuda_ranks_open(struct se_backend *b)
{
    unsigned char id[SE_GPU_RANKS_ID_B] = { 0 };
    struct se_collective *group = b->group;
    int r = 0;
    if (!group)
        return 0;
    if (group->rank == 0)
        r = se_cuda_pass_on(se_gpu_ranks_id(id)); /* without one it gives up, and all others hear */
    if (r == 0)
        r = pass_on(b, group->ops->broadcast(group, id, sizeof id));
    if (r == 0)
        r = se_cuda_pass_on(se_gpu_ranks_open(&b->ranks, id, group->rank, group->size));
    return r < 0 ? r : wait_for_all(b);
}

void se_cuda_ranks_close(struct se_backend *b)
{
    se_gpu_ranks_close(b->ranks, b->dead);
    b->ranks = NULL;
}

size_t se_cuda_ranks_room(const struct se_backend *b)
{
    if (!b->group)
        return 0;
    const struct se_config *config = &b->model->config;
    const size_t tokens = se_split_tokens(config, b->group->size);
    const size_t sums = (size_t)b->group->size * b->max_rows * config->hidden;
    const size_t logits = (b->group->rank == 0 ? b->group->size : 1) * b->max_wanted * tokens;
    return sums > logits ? sums : logits;
}

float *se_cuda_ranks_sums(const struct se_backend *b, uint32_t bucket)
{
    return b->parts + (size_t)b->group->rank * bucket * b->model->config.hidden;
}

void se_cuda_ranks_sum(struct se_backend *b, uint32_t bucket, const float *bias)
{
    const uint32_t hidden = b->model->config.hidden;
    se_gpu_ranks_all_gather(b->ranks, b->stream, b->parts,
                            (size_t)bucket * hidden * sizeof *b->parts);
    se_gpu_sum_ranks(b->stream, b->shared.input, bucket, b->parts, b->group->size, bias, hidden,
                     b->x);
}

void se_cuda_ranks_join(struct se_backend *b, uint32_t bucket)
{
    const struct se_config *config = &b->model->config;
    const uint32_t tokens = se_split_tokens(config, b->group->size);
    se_gpu_ranks_gather(b->ranks, b->stream, b->parts, (size_t)bucket * tokens * sizeof *b->parts);
    if (b->group->rank == 0)
        se_gpu_join_ranks(b->stream, b->shared.input, bucket, b->parts, tokens, config->vocab,
                          b->logits);
}

void se_cuda_ranks_tell(struct se_backend *b, uint32_t bucket)
{
    struct se_cuda_shared *s = &b->shared;
    unsigned char *output = (unsigned char *)s->output;
    se_gpu_ranks_broadcast(b->ranks, b->stream, output + offsetof(struct se_gpu_output, fault),
                           sizeof s->output->fault);
    se_gpu_ranks_broadcast(b->ranks, b->stream, s->sampled_there, bucket * sizeof *s->sampled);
}

bool se_cuda_ranks_agree(struct se_backend *b, bool captured)
{
    float refused = captured ? 0 : 1;
    return b->group->ops->all_reduce(b->group, &refused, 1) == 0 && refused == 0;
}

/* Whether the others are there. */
static int look(struct se_backend *b)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    int r = pass_on(b, b->group->ops->check(b->group));
    if (r < 0)
        return r;
    const int lost = se_gpu_ranks_check(b->ranks);
    const uint64_t until = se_clock_ns() + WHO_NS;
    while (lost < 0 && r == 0 && se_clock_ns() < until) {
        r = pass_on(b, b->group->ops->check(b->group));
        nanosleep(&pause, NULL);
    }
    return r < 0 ? r : se_cuda_pass_on(lost);
}

/* The others are looked for while the device waits for them. */
int se_cuda_ranks_wait(struct se_backend *b, const uint64_t *word, uint64_t value)
{
    const uint64_t until = se_clock_ns() + b->group->deadline_ns;
    for (;;) {
        int r = se_gpu_stream_wait_word(b->stream, word, value, LOOK_NS);
        if (r != -ETIMEDOUT) {
            b->dead = r < 0;
            return se_cuda_pass_on(r);
        }
        r = look(b);
        if (r == 0 && se_clock_ns() > until)
            r = se_fail(-ETIMEDOUT, "GPU: a step has not ended within %.1f s",
                        (double)b->group->deadline_ns / 1e9);
        if (r < 0)
            return r;
    }
}
