/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/identity.h"
#include "sched/server/board.h"
#include "sched/server/counter.h"
#include "transport/wire.h"
#include "tools/memory.h"
#include "tools/rig.h"
#include "tools/step_log.h"
#include "tools/trace_log.h"
#include "tools/warm_up.h"

enum {
    FRAMES_PER_SESSION = 16, /* on their way in, out, or in a queue */
    FRAMES_MIN = 1024,
    FRAMES_MAX = 65536,
    FREE_SHARE = 4 /* of the memory that is free, keys and values take one part by themselves */
};
static const uint64_t warm_up_ns = 2000000000, link_drain_ns = 1000000000;

struct se_host {
    struct se_host_options o;
    struct se_host_facts facts;
    struct se_rig rig;
    struct se_stat *stat;
    struct se_board *board;
    struct se_scribe *step_log;
    struct se_trace_log *trace;
    struct se_frames *frames;
    struct se_link *link;
    struct se_stepper *stepper;
    struct se_server *server;
    enum se_host_order (*order)(void *context);
    void *order_context;
    bool draining, stopped;
};

struct se_host_options se_host_options(void)
{
    return (struct se_host_options){
        .listen = "loop://local",
        .max_sessions = 64,
        .max_rows = 256,
        .max_nodes = 128,
        .live = se_server_live(),
        .idle = SE_IDLE_PARK,
    };
}

/* Pages of a text of so many ids, with the rows of a tree behind it. */
static uint64_t pages_of(uint32_t ids, uint32_t rows)
{
    return ((uint64_t)ids + rows + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS;
}

static uint64_t page_size_b(const struct se_model *model)
{
    const struct se_config *c = &model->config;
    uint64_t element_b = se_engine_kv_dtype(model) == SE_DTYPE_F32 ? 4 : 2;
    return 2ull * c->layers * c->kv_heads * c->head_dim * SE_PAGE_SLOTS * element_b;
}

/* Of the pool: what was asked for, or what all sessions need, as far as memory is free. Texts are
 * held to what one session can have. */
static int choose_pages(const struct se_host_options *o, const struct se_model *model,
                        struct se_host_facts *facts)
{
    uint64_t page_b = page_size_b(model), free_b = se_memory_free();
    uint64_t least = pages_of(SE_HOST_CONTEXT_MIN, facts->max_nodes);
    uint64_t one = pages_of(facts->context, facts->max_nodes);
    uint64_t pages = o->kv_b ? o->kv_b / page_b : one * o->max_sessions;
    if (!o->kv_b && free_b && pages > free_b / FREE_SHARE / page_b)
        pages = free_b / FREE_SHARE / page_b;
    if (pages > UINT32_MAX)
        pages = UINT32_MAX;
    if (pages < least)
        return se_fail(-ENOMEM,
                       "%" PRIu64 " bytes for keys and values are too few: %" PRIu64
                       " are the least with %s and trees of %" PRIu32 " nodes",
                       o->kv_b ? o->kv_b : free_b / FREE_SHARE, least * page_b, o->model,
                       facts->max_nodes);
    if (pages < one)
        facts->context = (uint32_t)pages * SE_PAGE_SLOTS - facts->max_nodes;
    facts->pages = (uint32_t)pages;
    facts->kv_b = pages * page_b;
    return 0;
}

static int check_options(const struct se_host_options *o)
{
    if (o->max_sessions == 0 || o->max_rows == 0 || o->max_nodes == 0 ||
        o->max_nodes > SE_WIRE_NODES_MAX)
        return se_fail(-EINVAL,
                       "a server of %" PRIu32 " sessions, steps of %" PRIu32
                       " rows and trees of %" PRIu32 " nodes",
                       o->max_sessions, o->max_rows, o->max_nodes);
    return 0;
}

/* The text side: its ids and their meaning, which have to be those of every edge. */
static int read_tokenizer(struct se_host *host)
{
    struct se_tokenizer *tokenizer = NULL;
    int r = se_rig_tokenizer(&tokenizer, host->o.model, &host->rig.model->config);
    if (r < 0)
        return se_trace(r);
    host->facts.tokens = se_tokenizer_size(tokenizer);
    host->facts.fingerprint = se_tokenizer_fingerprint(tokenizer);
    se_tokenizer_close(tokenizer);
    return 0;
}

static int choose_limits(struct se_host *host)
{
    const struct se_host_options *o = &host->o;
    uint32_t most = host->rig.model->config.context;
    struct se_host_facts *f = &host->facts;
    if (o->context > most)
        return se_fail(-ERANGE, "texts of %" PRIu32 " ids are beyond the context of %s: %" PRIu32,
                       o->context, o->model, most);
    f->context = o->context ? o->context : most;
    f->max_sessions = o->max_sessions;
    f->max_rows = o->max_rows;
    f->max_nodes = o->max_nodes < o->max_rows ? o->max_nodes : o->max_rows;
    return choose_pages(o, host->rig.model, f);
}

static void note_facts(struct se_host *host)
{
    struct se_host_facts *f = &host->facts;
    const struct se_model *model = host->rig.model;
    f->backend = se_engine_backend(host->rig.engine);
    f->weights = se_dtype_name(model->dtype);
    f->kv = se_dtype_name(se_engine_kv_dtype(model));
    f->config = &model->config;
    f->weight_b = model->weight_b;
    f->threads = host->rig.threads * host->rig.here;
    f->identity = se_identity(model);
}

static int load(struct se_host *host)
{
    int r = check_options(&host->o);
    if (r < 0)
        return se_trace(r);
    r = se_rig_load(&host->rig, host->o.model, &host->o.rig, NULL);
    if (r < 0)
        return se_trace(r);
    r = read_tokenizer(host);
    if (r < 0)
        return se_trace(r);
    r = choose_limits(host);
    if (r < 0)
        return se_trace(r);
    r = se_rig_start(&host->rig, host->facts.max_rows, host->facts.pages, SE_PAGE_SLOTS);
    if (r != 0)
        return r < 0 ? se_trace(r) : se_fail(-EINTR, "interrupted");
    note_facts(host);
    r = se_warm_up(&host->rig, host->facts.max_rows, host->facts.context, warm_up_ns,
                   &host->facts.pace);
    return r < 0 ? se_trace(r) : 0;
}

int se_host_load(struct se_host **out, const struct se_host_options *options)
{
    struct se_host *host = se_mem_zero(1, sizeof *host);
    if (!host)
        return se_trace(-ENOMEM);
    host->o = *options;
    int r = load(host);
    if (r < 0) {
        r = se_trace(r);
        goto out;
    }
    *out = host;
    host = NULL;
out:
    se_host_close(host);
    return r;
}

static void warn(const struct se_host *host, int r)
{
    const struct se_server_watch *watch = &host->o.watch;
    if (r < 0 && watch->note)
        watch->note(watch->context, SE_SERVER_WARN, se_err_text());
}

static void on_step(void *context, const struct se_server_step *step)
{
    struct se_host *host = context;
    const struct se_server_watch *watch = &host->o.watch;
    if (host->step_log) {
        se_scribe_put(host->step_log, step);
        warn(host, se_scribe_check(host->step_log));
    }
    if (host->trace) {
        se_trace_log_step(host->trace, step);
        warn(host, se_trace_log_check(host->trace));
    }
    if (watch->step)
        watch->step(watch->context, step);
}

/* Asked for with a trace alone. */
static void on_round(void *context, const struct se_server_round *round)
{
    se_trace_log_server_round(((struct se_host *)context)->trace, round);
}

static void on_note(void *context, enum se_server_note level, const char *text)
{
    const struct se_server_watch *watch = &((struct se_host *)context)->o.watch;
    if (watch->note)
        watch->note(watch->context, level, text);
}

/* Before there is a server no job is offered, so none of the engine's ends. */
static void on_job(void *context) { se_server_wake(((struct se_host *)context)->server); }

static int open_link(struct se_host *host)
{
    uint64_t n = (uint64_t)host->o.max_sessions * FRAMES_PER_SESSION;
    n = n < FRAMES_MIN ? FRAMES_MIN : n > FRAMES_MAX ? FRAMES_MAX : n;
    int r = se_frames_new(&host->frames, (uint32_t)n, SE_WIRE_FRAME_MAX);
    if (r < 0)
        return se_trace(r);
    struct se_link_options options = se_link_options(host->frames);
    if (options.peers_max < host->o.max_sessions)
        options.peers_max = host->o.max_sessions;
    options.guard = host->o.guard;
    r = se_link_listen(&host->link, host->o.listen, &options);
    if (r < 0)
        return SE_HOST_DEAF;
    host->facts.url = se_link_url(host->link);
    return 0;
}

static int open_server(struct se_host *host)
{
    const struct se_host_facts *f = &host->facts;
    struct se_server_options o = {
        .link = host->link,
        .frames = host->frames,
        .stepper = host->stepper,
        .pages = f->pages,
        .kv = se_engine_kv(host->rig.engine),
        .fingerprint = f->fingerprint,
        .model = f->identity,
        .tokens = f->tokens,
        .vocab = f->config->vocab,
        .context = f->context,
        .max_rows = f->max_rows,
        .max_nodes = f->max_nodes,
        .max_sessions = f->max_sessions,
        .live = host->o.live,
        .pace = f->pace,
        .stat = host->stat,
        .board = host->board,
        .guard = host->o.guard,
        .watch = { .context = host,
                   .step = on_step,
                   .round = host->trace ? on_round : NULL,
                   .note = on_note },
    };
    if (getrandom(o.secret, sizeof o.secret, 0) != (ssize_t)sizeof o.secret)
        return se_fail(-errno, "no random numbers: %s", strerror(errno));
    int r = se_server_new(&host->server, &o);
    return r < 0 ? se_trace(r) : 0;
}

static int open_stat(struct se_host *host)
{
    const char *name = host->o.stat;
    int r = se_stat_create(&host->stat, name, se_counter_labels, SE_COUNT_END);
    if (r == -EEXIST && host->o.stat_else) {
        name = host->o.stat_else;
        r = se_stat_create(&host->stat, name, se_counter_labels, SE_COUNT_END);
    }
    host->facts.stat = r == 0 ? name : NULL;
    return r < 0 ? se_trace(r) : 0;
}

static void cut_to(char *to, size_t size_b, const char *text)
{
    snprintf(to, size_b, "%s", text ? text : "");
}

/* Beside the counters, under their name if they have one. */
static int open_board(struct se_host *host)
{
    const struct se_host_facts *f = &host->facts;
    struct se_board_facts facts = { .max_rows = f->max_rows,
                                    .max_nodes = f->max_nodes,
                                    .max_sessions = f->max_sessions,
                                    .context = f->context,
                                    .has_keys = host->o.guard != NULL };
    cut_to(facts.model, sizeof facts.model, host->o.model);
    cut_to(facts.url, sizeof facts.url, f->url);
    cut_to(facts.backend, sizeof facts.backend, f->backend);
    cut_to(facts.weights, sizeof facts.weights, f->weights);
    cut_to(facts.kv, sizeof facts.kv, f->kv);
    int r = se_board_create(&host->board, f->stat, host->stat, &facts);
    return r < 0 ? se_trace(r) : 0;
}

static int open_outside(struct se_host *host)
{
    struct se_stepper_options stepper = {
        .engine = host->rig.engine, .idle = host->o.idle, .wake = on_job, .wake_context = host
    };
    int r = open_stat(host);
    if (r == 0 && host->o.step_log)
        r = se_step_log_open(&host->step_log, host->o.step_log);
    if (r == 0 && host->o.trace)
        r = se_trace_log_open(&host->trace, host->o.trace, SE_TRACE_SERVER);
    if (r == 0)
        r = open_link(host);
    if (r == 0)
        r = open_board(host);
    if (r == 0)
        r = se_stepper_new(&host->stepper, &stepper);
    if (r == 0)
        r = open_server(host);
    if (r == 0)
        r = se_stepper_start(host->stepper);
    return r < 0 ? se_trace(r) : r;
}

static void close_logs(struct se_host *host)
{
    const char *const path[] = { host->o.step_log, host->o.trace };
    const uint64_t lost[] = { se_scribe_close(host->step_log), se_trace_log_close(host->trace) };
    for (int i = 0; i < 2; i++)
        if (lost[i] > 0)
            warn(host, se_fail(-EIO,
                               "%s: %" PRIu64 " lines are missing: it was not written as fast "
                               "as they came",
                               path[i], lost[i]));
}

/* What others see goes first, and what works for the server before the server. */
static void close_outside(struct se_host *host)
{
    se_stepper_free(host->stepper);
    se_server_free(host->server);
    se_link_fini(host->link);
    se_frames_free(host->frames);
    close_logs(host);
    se_board_free(host->board); /* while the name is ours */
    se_stat_free(host->stat);
    host->stepper = NULL;
    host->server = NULL;
    host->link = NULL;
    host->frames = NULL;
    host->step_log = NULL;
    host->trace = NULL;
    host->board = NULL;
    host->stat = NULL;
    host->facts.url = NULL;
    host->facts.stat = NULL;
}

int se_host_listen(struct se_host *host)
{
    int r = open_outside(host);
    if (r != 0)
        close_outside(host);
    return r;
}

static bool is_over(void *context)
{
    struct se_host *host = context;
    enum se_host_order order = host->order(host->order_context);
    if (order == SE_HOST_DRAIN && !host->draining) {
        host->draining = true;
        se_server_drain(host->server);
    }
    host->stopped = order == SE_HOST_STOP;
    return host->stopped || (host->draining && se_server_drained(host->server));
}

int se_host_run(struct se_host *host, enum se_host_order (*order)(void *context), void *context)
{
    host->order = order;
    host->order_context = context;
    int r = se_server_run(host->server, host->o.idle, is_over, host);
    if (r < 0)
        return se_trace(r);
    if (!host->stopped) { /* the last answers are still on their way */
        se_link_close(host->link);
        se_link_drain(host->link, link_drain_ns);
    }
    return 0;
}

void se_host_wake(struct se_host *host) { se_server_wake(host->server); }

void se_host_set_live(struct se_host *host, const struct se_server_live *live)
{
    host->o.live = *live;
    se_server_set_live(host->server, live);
}

void se_host_set_keys(struct se_host *host, const struct se_keyring *ring)
{
    se_server_set_keys(host->server, ring);
}

const struct se_accounts *se_host_accounts(const struct se_host *host)
{
    return se_server_accounts(host->server);
}

const struct se_board *se_host_board(const struct se_host *host) { return host->board; }

void se_host_close(struct se_host *host)
{
    if (!host)
        return;
    close_outside(host);
    se_rig_close(&host->rig);
    se_mem_free(host);
}

const struct se_host_facts *se_host_facts(const struct se_host *host) { return &host->facts; }

const struct se_stat *se_host_stat(const struct se_host *host) { return host->stat; }
