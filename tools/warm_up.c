/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/warm_up.h"

#include <errno.h>
#include <stdbool.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/progress.h"

enum { SIZES = 6, TURNS = 4, TOKEN = 0 };

struct measure {
    struct se_rig *rig;
    struct se_seq *seq;
    uint32_t *token, *path;
    struct se_progress progress;
    uint64_t begun_ns, limit_ns;
};

/* One step of a chain of n drafted tokens, as a round of an edge would be. */
static int time_step(struct measure *m, uint32_t n, uint64_t *ns)
{
    struct se_sampling sampling = SE_SAMPLING_GREEDY;
    struct se_part part = { .seq = m->seq,
                            .token = m->token,
                            .n_rows = n,
                            .want = SE_WANT_VERDICT,
                            .sampling = &sampling,
                            .path = m->path };
    uint64_t from = se_clock_ns();
    int r = se_rig_step(m->rig, &part);
    *ns = se_clock_ns() - from;
    se_seq_rewind(m->seq, 0);
    se_progress_at(&m->progress, se_clock_ns() - m->begun_ns, m->limit_ns);
    return r < 0 ? se_trace(r) : 0;
}

static bool late(const struct measure *m) { return se_clock_ns() - m->begun_ns >= m->limit_ns; }

/* The first step pays for pages that are touched for the first time, so it does not count, unless
 * it is all there is time for. */
static int measure_size(struct measure *m, uint32_t n, struct se_pace *pace)
{
    uint64_t best = 0;
    for (int turn = 0; turn < TURNS && (turn == 0 || !late(m)); turn++) {
        uint64_t ns = 0;
        int r = time_step(m, n, &ns);
        if (r < 0)
            return r;
        if (turn <= 1 || ns < best)
            best = ns;
    }
    se_pace_note(pace, n, best);
    return 0;
}

static int measure_all(struct measure *m, uint32_t most, struct se_pace *pace)
{
    int r = 0;
    uint32_t last = 0;
    m->seq = NULL;
    r = se_seq_new(&m->seq, se_engine_kv(m->rig->engine));
    if (r < 0)
        return se_trace(r);
    for (uint32_t i = 0, n = 1; r == 0 && last < most && i < SIZES; i++, n *= 4) {
        last = n < most ? n : most;
        if (i == 0 || !late(m))
            r = measure_size(m, last, pace);
    }
    se_seq_free(m->seq);
    return r;
}

int se_warm_up(struct se_rig *rig, uint32_t max_rows, uint32_t context, uint64_t limit_ns,
               struct se_pace *pace)
{
    uint32_t most = max_rows < context ? max_rows : context;
    struct measure m = { .rig = rig, .begun_ns = se_clock_ns(), .limit_ns = limit_ns };
    m.token = se_mem_zero(most, sizeof *m.token);
    m.path = se_mem_new(most, sizeof *m.path);
    int r = m.token && m.path ? 0 : se_trace(-ENOMEM);
    se_progress_begin(&m.progress, "measuring steps");
    if (r == 0)
        r = measure_all(&m, most, pace);
    se_progress_end(&m.progress);
    se_mem_free(m.token);
    se_mem_free(m.path);
    return r;
}
