/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/lookout.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { FDS = 4 };

struct se_lookout_post {
    struct pollfd of[FDS];
    uint32_t n;
    uint64_t ns;
    bool armed; /* what comes shows at the descriptors */
};

int se_lookout_init(struct se_lookout *l, uint32_t most)
{
    l->post = se_mem_zero(most, sizeof *l->post);
    l->fd = se_mem_new(most, FDS * sizeof *l->fd);
    l->number = se_mem_new(most, FDS * sizeof *l->number);
    return l->post && l->fd && l->number ? 0 : se_trace(-ENOMEM);
}

void se_lookout_fini(struct se_lookout *l)
{
    se_mem_free(l->post);
    se_mem_free(l->fd);
    se_mem_free(l->number);
    *l = (struct se_lookout){ .n = 0 };
}

void se_lookout_stir(struct se_lookout *l, uint32_t i) { l->post[i].armed = false; }

/* Reads what is there, and sees to it that what comes will end the sleep. */
static int arm(struct se_lookout *l, uint32_t i)
{
    struct se_lookout_post *post = &l->post[i];
    struct se_link *link = l->link(l->of, i);
    struct se_link_sleep sleep = { .n = 1, .ns = UINT64_MAX };
    if (!link->ops->arm)
        return se_fail(-EINVAL, "'%s': such a link cannot be waited for beside others",
                       se_link_url(link));
    while (!post->armed) {
        int r = l->read(l->of, i);
        if (r < 0)
            return se_trace(r);
        sleep = (struct se_link_sleep){ .n = 1, .ns = UINT64_MAX };
        post->armed = r == 0 && !link->ops->arm(link, &sleep);
    }
    if (sleep.n > 1 + FDS)
        return se_fail(-ENOTSUP, "a link of %" PRIu32 " descriptors", sleep.n - 1);
    post->n = sleep.n - 1;
    post->ns = sleep.ns;
    memcpy(post->of, sleep.of + 1, post->n * sizeof *post->of);
    return 0;
}

static int arm_all(struct se_lookout *l)
{
    int r = 0;
    for (uint32_t i = 0; i < l->n && r == 0; i++)
        r = l->post[i].armed ? 0 : arm(l, i);
    return r;
}

/* The descriptors of all, in one list. */
static uint32_t gather(struct se_lookout *l, uint64_t *ns)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        *ns = l->post[i].ns < *ns ? l->post[i].ns : *ns;
        for (uint32_t k = 0; k < l->post[i].n; k++) {
            l->number[n] = i;
            l->fd[n++] = l->post[i].of[k];
        }
    }
    return n;
}

int se_lookout_wait(struct se_lookout *l, uint64_t ns)
{
    int r = arm_all(l);
    if (r < 0)
        return se_trace(r);
    const uint32_t n = gather(l, &ns);
    const struct timespec time = { .tv_sec = (time_t)(ns / 1000000000),
                                   .tv_nsec = (long)(ns % 1000000000) };
    const int some = ppoll(l->fd, n, &time, NULL);
    if (some == 0) /* some have something to do by themselves */
        for (uint32_t i = 0; i < l->n; i++)
            l->post[i].armed = false;
    for (uint32_t i = 0; i < n && some > 0; i++)
        if (l->fd[i].revents != 0)
            l->post[l->number[i]].armed = false;
    r = arm_all(l);
    return r < 0 ? se_trace(r) : 0;
}
