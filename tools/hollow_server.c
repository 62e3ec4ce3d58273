/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hollow_server.h"

#include <errno.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "tools/trace_log.h"
#include "transport/wire.h"

enum {
    FRAMES_PER_SESSION = 16, /* as se-serverd */
    FRAMES_MIN = 1024,
    FRAMES_MAX = 65536,
    ROWS_MAX = 1 << 20,
    RATE = 1 << 30 /* frames per second: who measures is not held back */
};

static void on_job(void *context) { se_server_wake(((struct se_hollow_server *)context)->server); }

static void on_step(void *context, const struct se_server_step *step)
{
    struct se_hollow_server *of = context;
    of->last = *step;
    of->steps++;
    of->rounds += step->rounds;
    if (of->trace)
        se_trace_log_step(of->trace, step);
}

static void on_round(void *context, const struct se_server_round *round)
{
    se_trace_log_server_round(((struct se_hollow_server *)context)->trace, round);
}

/* A step that has room for a tree of everybody. */
static uint32_t rows_of(const struct se_hollow_options *o)
{
    const uint64_t rows = (uint64_t)o->sessions * o->nodes;
    return rows < 256 ? 256 : rows < ROWS_MAX ? (uint32_t)rows : ROWS_MAX;
}

static int open_link(struct se_hollow_server *of, const struct se_hollow_options *o)
{
    uint32_t frames = o->sessions * FRAMES_PER_SESSION;
    frames = frames < FRAMES_MIN ? FRAMES_MIN : frames > FRAMES_MAX ? FRAMES_MAX : frames;
    int r = se_frames_new(&of->frames, frames, SE_WIRE_FRAME_MAX);
    if (r < 0)
        return se_trace(r);
    struct se_link_options link = se_link_options(of->frames);
    link.peers_max = o->peers;
    if (link.queue_frames < 2 * o->peer_sessions)
        link.queue_frames = 2 * o->peer_sessions;
    r = se_link_listen(&of->link, o->url, &link);
    return r < 0 ? se_trace(r) : 0;
}

static int open_server(struct se_hollow_server *of, const struct se_hollow_options *o,
                       uint32_t pages)
{
    struct se_server_options server = {
        .link = of->link,
        .frames = of->frames,
        .stepper = of->stepper,
        .pages = pages,
        .kv = se_engine_kv(of->engine),
        .secret = { 0x5eed, 0xed6e },
        .fingerprint = SE_HOLLOW_FINGERPRINT,
        .tokens = SE_HOLLOW_VOCAB,
        .vocab = SE_HOLLOW_VOCAB,
        .context = o->context,
        .max_rows = rows_of(o),
        .max_nodes = o->nodes,
        .max_sessions = o->sessions,
        .live = se_server_live(),
        .watch = { .context = of, .step = on_step, .round = of->trace ? on_round : NULL },
    };
    server.live.max_batch = o->sessions;
    server.live.peer_sessions = o->sessions;
    server.live.peer_frames = RATE;
    int r = se_server_new(&of->server, &server);
    return r < 0 ? se_trace(r) : 0;
}

int se_hollow_server_open(struct se_hollow_server *of, const struct se_hollow_options *o)
{
    const uint64_t pages = (uint64_t)o->sessions * ((o->context + o->nodes) / SE_PAGE_SLOTS + 1);
    memset(of, 0, sizeof *of);
    of->idle = o->idle;
    se_hollow_init(&of->hollow, SE_HOLLOW_VOCAB, o->context + o->nodes, o->step_ns);
    if (pages > INT32_MAX / SE_PAGE_SLOTS)
        return se_fail(-EINVAL, "%u sessions of %u ids need more pages than there can be",
                       o->sessions, o->context);
    int r = se_hollow_engine(&of->engine, &of->hollow, rows_of(o), (uint32_t)pages);
    if (r < 0)
        return se_trace(r);
    const struct se_stepper_options stepper = {
        .engine = of->engine, .idle = o->idle, .wake = on_job, .wake_context = of
    };
    r = open_link(of, o);
    if (r == 0 && o->trace)
        r = se_trace_log_open(&of->trace, o->trace, SE_TRACE_SERVER);
    if (r == 0)
        r = se_stepper_new(&of->stepper, &stepper);
    if (r == 0)
        r = open_server(of, o, (uint32_t)pages);
    if (r == 0 && o->engine_thread)
        r = se_stepper_start(of->stepper);
    return r < 0 ? se_trace(r) : 0;
}

static bool is_over(void *context)
{
    /* relaxed: it carries nothing, and se_server_wake() ends the sleep. */
    return atomic_load_explicit(&((struct se_hollow_server *)context)->stop, memory_order_relaxed);
}

static void *server_main(void *context)
{
    struct se_hollow_server *of = context;
    pthread_setname_np(pthread_self(), "se-server"); /* profiles tell it from the edges */
    of->result = se_server_run(of->server, of->idle, is_over, of);
    return NULL;
}

int se_hollow_server_start(struct se_hollow_server *of)
{
    atomic_store_explicit(&of->stop, false, memory_order_relaxed);
    int r = -pthread_create(&of->thread, NULL, server_main, of);
    of->runs = r == 0;
    return r < 0 ? se_fail(r, "cannot start the server's thread: %s", strerror(-r)) : 0;
}

int se_hollow_server_stop(struct se_hollow_server *of)
{
    if (!of->runs)
        return 0;
    atomic_store_explicit(&of->stop, true, memory_order_relaxed);
    se_server_wake(of->server);
    pthread_join(of->thread, NULL);
    of->runs = false;
    return of->result < 0
               ? se_fail(of->result, "the server's thread ended: %s", strerror(-of->result))
               : 0;
}

void se_hollow_server_close(struct se_hollow_server *of)
{
    se_hollow_server_stop(of);
    se_stepper_free(of->stepper);
    se_server_free(of->server);
    se_trace_log_close(of->trace);
    se_link_fini(of->link);
    se_frames_free(of->frames);
    se_engine_free(of->engine);
    memset(of, 0, sizeof *of);
}
