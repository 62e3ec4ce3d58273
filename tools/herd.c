/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/herd.h"

#include <errno.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { AT_ONCE = 16 };
#define PATIENCE_NS UINT64_C(10000000000)

static int on_answer(struct se_flock *flock, uint32_t session)
{
    const struct se_herd *herd = flock->owner;
    const uint64_t sent_ns = flock->session[session].sent_ns;
    return herd->us ? se_hist_add(herd->us, (double)(flock->heard_ns - sent_ns) * 1e-3) : 0;
}

/* ---- waiting */

static int read_one(void *of, uint32_t i)
{
    return se_flock_work(&((struct se_herd *)of)->flock[i]);
}

static struct se_link *link_of(void *of, uint32_t i)
{
    return ((struct se_herd *)of)->flock[i].link;
}

static int verify(struct se_herd *herd, uint32_t flock, uint32_t session)
{
    se_lookout_stir(&herd->lookout, flock);
    return se_flock_verify(&herd->flock[flock], session);
}

/* ---- opening */

static bool is_open(const struct se_flock *flock)
{
    return flock->welcomed == flock->n && flock->waiting == 0;
}

static int await(struct se_herd *herd, uint32_t from)
{
    const uint64_t end_ns = se_clock_ns() + PATIENCE_NS;
    uint32_t at = from;
    while (at < herd->n) {
        if (is_open(&herd->flock[at])) {
            at++;
            continue;
        }
        int r = se_lookout_wait(&herd->lookout, 10000000);
        if (r < 0)
            return se_trace(r);
        if (se_clock_ns() > end_ns)
            return se_fail(-ETIMEDOUT, "no answer for %d s", (int)(PATIENCE_NS / 1000000000));
    }
    return 0;
}

static int first_rounds(struct se_herd *herd, uint32_t from, uint32_t text)
{
    int r = 0;
    for (uint32_t i = from; i < herd->n; i++)
        for (uint32_t k = 0; k < herd->flock[i].n && r == 0; k++) {
            r = text > 0 ? se_flock_prefill(&herd->flock[i], k, text) : 0;
            if (r == 0)
                r = verify(herd, i, k);
        }
    return r == 0 ? await(herd, from) : se_trace(r);
}

static int connect_one(struct se_herd *herd, const struct se_herd_options *o)
{
    const uint32_t each = (o->sessions + o->flocks - 1) / o->flocks;
    const uint32_t left = o->sessions - herd->sessions, n = left < each ? left : each;
    struct se_flock *flock = &herd->flock[herd->n];
    int r = se_flock_init(flock, o->url, o->tree, n, o->context, o->nonce + herd->sessions);
    herd->n++; /* it is to be ended, whatever came of it */
    herd->sessions += n;
    flock->owner = herd;
    flock->answered = on_answer;
    if (r == 0) /* without a link there is nothing to look at */
        herd->lookout.n = herd->n;
    return r < 0 ? se_trace(r) : 0;
}

int se_herd_open(struct se_herd *herd, const struct se_herd_options *o)
{
    *herd = (struct se_herd){ .n = 0 };
    herd->flock = se_mem_zero(o->flocks, sizeof *herd->flock);
    herd->lookout = (struct se_lookout){ .read = read_one, .link = link_of, .of = herd };
    int r = herd->flock ? se_lookout_init(&herd->lookout, o->flocks) : -ENOMEM;
    while (r == 0 && herd->sessions < o->sessions) {
        const uint32_t from = herd->n;
        while (r == 0 && herd->sessions < o->sessions && herd->n < from + AT_ONCE)
            r = connect_one(herd, o);
        if (r == 0)
            r = await(herd, from);
        if (r == 0)
            r = first_rounds(herd, from, o->text);
    }
    return r < 0 ? se_trace(r) : 0;
}

void se_herd_close(struct se_herd *herd)
{
    for (uint32_t i = 0; i < herd->n; i++)
        se_flock_fini(&herd->flock[i]);
    se_mem_free(herd->flock);
    se_lookout_fini(&herd->lookout);
    *herd = (struct se_herd){ .n = 0 };
}

/* ---- at a pace */

/* Those who are due ask. Returns in *next_ns when the next one is. */
static int ask(struct se_herd *herd, uint64_t *due_ns, uint64_t every_ns, uint64_t *next_ns)
{
    uint32_t number = 0;
    *next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < herd->n; i++)
        for (uint32_t k = 0; k < herd->flock[i].n; k++, number++) {
            if (herd->flock[i].session[k].waits)
                continue;
            if (due_ns[number] <= se_clock_ns()) {
                int r = verify(herd, i, k);
                if (r < 0)
                    return se_trace(r);
                due_ns[number] = herd->flock[i].session[k].sent_ns + every_ns;
                continue;
            }
            *next_ns = due_ns[number] < *next_ns ? due_ns[number] : *next_ns;
        }
    return 0;
}

int se_herd_run(struct se_herd *herd, uint64_t every_ns, uint64_t ns, struct se_hist *hist)
{
    const uint64_t begun_ns = se_clock_ns(), end_ns = begun_ns + ns;
    uint64_t *due_ns = se_mem_new(herd->sessions, sizeof *due_ns);
    int r = due_ns ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < herd->sessions && r == 0; i++) /* not all at once */
        due_ns[i] = begun_ns + every_ns * i / herd->sessions;
    herd->us = hist;
    for (uint64_t now_ns = begun_ns; r == 0 && now_ns < end_ns; now_ns = se_clock_ns()) {
        uint64_t next_ns = 0;
        r = ask(herd, due_ns, every_ns, &next_ns);
        next_ns = next_ns < end_ns ? next_ns : end_ns;
        now_ns = se_clock_ns();
        if (r == 0)
            r = se_lookout_wait(&herd->lookout, next_ns > now_ns ? next_ns - now_ns : 0);
    }
    if (r == 0)
        r = await(herd, 0);
    herd->us = NULL;
    se_mem_free(due_ns);
    return r < 0 ? se_trace(r) : 0;
}
