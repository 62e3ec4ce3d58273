/* SPDX-License-Identifier: Apache-2.0 */
/* Several ranks of a backend as one: rank 0 is this process, the others are forked, here and on
 * other machines (nodes.h).
 *
 *   rank 0    forward() ── order ──► backend: layers, sums ... ──► answers
 *                             │               ▲ all_reduce, gather
 *   rank 1    await ──────── order ──► backend: layers, sums ... ──► await
 *
 * An order is the batch as numbers (orders.h). Every rank keeps the keys and values of its own
 * heads, so that nothing but rows passes between them.
 *
 * A rank looks for its parent while it waits, and rank 0 for its children: whoever is missed
 * ends the group (collective.h). Between machines the connections tell.
 *
 * On another machine one process takes the place of the parent, and is a rank as its children
 * are: work() is the one way in which a rank obeys. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/backend.h"
#include "runtime/model/collective.h"
#include "runtime/model/identity.h"
#include "runtime/model/meeting.h"
#include "runtime/model/orders.h"
#include "runtime/model/ranks.h"
#include "runtime/model/split.h"

enum { TEXT_B = 340 };
#define WAIT_NS 30000000000u  /* of a step: what a rank may be late */
#define OPEN_NS 600000000000u /* files may be read for the first time */
#define LEAVE_NS 1000000000u
#define IDLE_NS 3600000000000u

/* What one rank has, whichever it is. */
struct rank {
    const struct se_backend_ops *ops;
    uint32_t place; /* on this machine, from 0 */
    struct se_model *part;
    struct se_pool *pool;
    struct se_backend *backend;
    struct se_collective *group;
    struct se_orders orders;
};

/* Where the ranks of a machine find their group: in memory, or at an address. */
struct way {
    struct se_collective_memory *memory; /* NULL: at the address */
    struct se_nodes_seat seat;
};

struct ranks {
    struct rank own;
    struct way way;
    struct se_meeting *meeting;             /* of rank 0, until all have come */
    const struct se_nodes_watch *watch;     /* of another machine's first rank */
    uint32_t first, here, size;             /* of this machine: first .. first + here - 1 */
    pid_t process[SE_COLLECTIVE_RANKS_MAX]; /* by rank; 0: none, or it has ended */
    char text[TEXT_B];
    bool gone; /* the group was given up, and nobody hears a farewell */
};

static struct ranks *ranks_of(struct se_backend *backend)
{
    return (struct ranks *)(void *)backend;
}

static const struct ranks *ranks_of_const(const struct se_backend *backend)
{
    return (const struct ranks *)(const void *)backend;
}

/* One rank's own: threads, its part of the model, the backend. */

static int open_rank(struct rank *rank, const struct se_model *model,
                     const struct se_engine_options *options)
{
    struct se_engine_options own = *options;
    int r = se_split_new(&rank->part, model, rank->group->rank, rank->group->size);
    if (r == 0 && options->rank_threads > 1)
        r = se_pool_new(&rank->pool, options->rank_threads, false);
    own.pool = rank->pool;
    own.group = rank->group;
    own.devices.of[0] = options->devices.n ? options->devices.of[rank->place] : rank->place;
    own.devices.n = 1;
    if (r == 0)
        r = rank->ops->open(&rank->backend, rank->part, &own);
    return r;
}

static void close_rank(struct rank *rank)
{
    rank->ops->close(rank->backend);
    se_orders_fini(&rank->orders);
    se_pool_free(rank->pool);
    se_split_free(rank->part);
    if (rank->group)
        rank->group->ops->close(rank->group);
}

/* Ready is what all have said when this returns. To open takes some longer than others. */
static int meet(struct rank *rank, const struct se_model *model,
                const struct se_engine_options *options)
{
    uint32_t word = 1, words[SE_COLLECTIVE_RANKS_MAX];
    struct se_collective *group = rank->group;
    const uint64_t deadline_ns = group->deadline_ns;
    group->deadline_ns = OPEN_NS;
    int r = open_rank(rank, model, options);
    if (r == 0)
        r = group->ops->gather(group, &word, sizeof word, words);
    group->deadline_ns = deadline_ns;
    return r;
}

/* Nobody goes while another one may still read what is his. */
static void part(struct se_collective *group)
{
    uint32_t word = 0, words[SE_COLLECTIVE_RANKS_MAX];
    group->deadline_ns = LEAVE_NS;
    if (group->ops->gather(group, &word, sizeof word, words) == 0)
        group->ops->broadcast(group, &word, sizeof word);
}

static int take_seat(struct se_collective **out, const struct way *way, uint32_t number,
                     const struct se_collective_options *group)
{
    struct se_nodes_seat seat = way->seat;
    if (way->memory)
        return se_collective_shm_open(out, way->memory, number, group);
    seat.rank = number;
    return se_nodes_sit(out, &seat, group);
}

static struct way way_to(const char *address, uint64_t ticket, const struct ranks *ranks,
                         const struct se_model *model)
{
    return (struct way){ .seat = { .address = address,
                                   .backend = ranks->own.ops->name,
                                   .ticket = ticket,
                                   .identity = se_identity(model),
                                   .size = ranks->size } };
}

/* The other ranks. */

struct worker {
    struct rank own;
    pid_t parent;
    struct se_order_limits limits;
    const struct se_nodes_watch *watch; /* of another machine's first rank; or NULL */
};

static int check_parent(void *context)
{
    const struct worker *worker = context;
    if (getppid() == worker->parent)
        return 0;
    return se_fail(-EPIPE, "the process that it was started by has ended");
}

/* 0, SE_COLLECTIVE_IDLE when it was told to leave, or -errno. */
static int obey(struct worker *w)
{
    struct se_collective *group = w->own.group;
    struct se_orders *orders = &w->own.orders;
    int r = group->ops->await(group, IDLE_NS);
    if (r != 0)
        return r < 0 ? r : 0;
    r = se_orders_receive(orders, group, &w->limits);
    if (r == SE_ORDER_LEAVE) {
        part(group);
        return SE_COLLECTIVE_IDLE;
    }
    if (r == SE_ORDER_FORWARD)
        return w->own.ops->forward(w->own.backend, &orders->batch);
    if (r == SE_ORDER_MOVE)
        w->own.ops->move(w->own.backend, orders->move, orders->head.n_moves);
    return r < 0 ? r : 0;
}

/* Signals are rank 0's: a terminal and a service manager send theirs to all. Files and sockets
 * that others wait for the end of are not this process's either. */
static void settle_in(uint32_t rank)
{
    char name[24]; /* the kernel keeps 15 of them */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    snprintf(name, sizeof name, "se-rank-%u", rank);
    prctl(PR_SET_NAME, name, 0, 0, 0);
#ifdef SYS_close_range
    syscall(SYS_close_range, STDERR_FILENO + 1u, ~0u, 0u);
#endif
}

/* Does what rank 0 says until it says to leave: 0, or -errno. */
static int work(struct worker *w, const struct se_model *model,
                const struct se_engine_options *options)
{
    char why[512];
    w->limits = (struct se_order_limits){ .max_rows = options->max_rows,
                                          .n_pages = options->n_pages,
                                          .vocab = model->config.vocab,
                                          .context = model->config.context,
                                          .hidden = model->config.hidden };
    int r = meet(&w->own, model, options);
    if (r == 0 && w->watch && w->watch->say)
        w->watch->say(w->watch->context, "ready");
    while (r == 0)
        r = obey(w);
    if (r >= 0)
        return 0;
    snprintf(why, sizeof why, "%s", se_err_text());
    w->own.group->ops->give_up(w->own.group, why); /* where it is broken nobody reads it */
    return se_fail(r, "%s", why);
}

static struct se_collective_options group_options(const struct se_engine_options *options,
                                                  uint32_t here)
{
    const uint32_t threads = options->rank_threads ? options->rank_threads : 1;
    return (struct se_collective_options){
        .deadline_ns = options->tp_wait_ns ? options->tp_wait_ns : WAIT_NS,
        .spin = se_cpu_count() >= (uint64_t)threads * here,
    };
}

static int start_rank(struct ranks *ranks, uint32_t number, const struct se_model *model,
                      const struct se_engine_options *options)
{
    struct worker worker = { .own = { .ops = ranks->own.ops, .place = number - ranks->first },
                             .parent = getpid() };
    struct se_collective_options group = group_options(options, ranks->here);
    const pid_t process = fork();
    if (process < 0)
        return se_fail(-errno, "cannot start rank %u of %u: %s", number, ranks->size,
                       strerror(errno));
    ranks->process[number] = process;
    if (process > 0)
        return 0;
    settle_in(number);
    group.check = check_parent;
    group.context = &worker;
    if (take_seat(&worker.own.group, &ranks->way, number, &group) < 0) {
        fprintf(stderr, "rank %u of %u: %s\n", number, ranks->size, se_err_text());
        _exit(1); /* nobody else can have heard of it */
    }
    work(&worker, model, options);
    _exit(0); /* and with it all that it has */
}

static int start_others(struct ranks *ranks, const struct se_model *model,
                        const struct se_engine_options *options)
{
    int r = 0;
    for (uint32_t i = 1; r == 0 && i < ranks->here; i++)
        r = start_rank(ranks, ranks->first + i, model, options);
    return r;
}

/* Its end is a failure, but for one that was told to leave, which the first rank of another
 * machine may hear of later than its children. */
static int check_children(void *context)
{
    struct ranks *ranks = context;
    for (uint32_t i = ranks->first + 1; i < ranks->first + ranks->here; i++) {
        int status = 0;
        if (ranks->process[i] == 0)
            continue;
        const pid_t process = waitpid(ranks->process[i], &status, WNOHANG);
        if (process == 0 || (process < 0 && errno == EINTR))
            continue;
        const int number = (int)ranks->process[i];
        ranks->process[i] = 0;
        if (ranks->first > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        if (process > 0 && WIFSIGNALED(status))
            return se_fail(-EPIPE, "rank %u of %u, process %d, was ended by signal %d", i,
                           ranks->size, number, WTERMSIG(status));
        return se_fail(-EPIPE, "rank %u of %u, process %d, has ended", i, ranks->size, number);
    }
    return 0;
}

/* Whether it has ended by then. */
static bool has_left(pid_t process, uint64_t until)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    for (;;) {
        const pid_t r = waitpid(process, NULL, WNOHANG);
        if (r == process || (r < 0 && errno != EINTR))
            return true;
        if (se_clock_ns() >= until)
            return false;
        nanosleep(&pause, NULL);
    }
}

/* Each has a moment for it. */
static void see_off(struct ranks *ranks, bool told)
{
    const uint64_t until = se_clock_ns() + LEAVE_NS;
    for (uint32_t i = ranks->first + 1; i < ranks->first + ranks->here; i++) {
        if (ranks->process[i] == 0 || (told && has_left(ranks->process[i], until)))
            continue;
        kill(ranks->process[i], SIGKILL);
        while (waitpid(ranks->process[i], NULL, 0) < 0 && errno == EINTR)
            continue;
    }
}

/* Rank 0. */

static void ranks_close(struct se_backend *backend)
{
    struct ranks *ranks = ranks_of(backend);
    if (!ranks)
        return;
    struct se_collective *group = ranks->own.group;
    if (group && !ranks->gone) {
        group->deadline_ns = LEAVE_NS;
        if (se_orders_send_leave(group) == 0)
            part(group);
    }
    see_off(ranks, group != NULL);
    close_rank(&ranks->own);
    se_meeting_close(ranks->meeting);
    se_collective_memory_free(ranks->way.memory);
    se_mem_free(ranks);
}

static int open_meeting(struct ranks *ranks, const struct se_model *model,
                        const struct se_engine_options *options)
{
    const struct se_collective_options group = group_options(options, ranks->here);
    const struct se_meeting_options meeting = {
        .nodes = options->nodes,
        .terms = { .size = ranks->size,
                   .max_rows = options->max_rows,
                   .n_pages = options->n_pages,
                   .kv_dtype = (uint32_t)options->kv_dtype,
                   .weights = options->nodes->weights,
                   .wait_ns = group.deadline_ns },
        .shape = se_identity_shape(&model->config),
        .identity = se_identity(model),
        .backend = ranks->own.ops->name,
        .check = check_children,
        .context = ranks,
    };
    int r = se_meeting_open(&ranks->meeting, &meeting);
    if (r == 0)
        ranks->way = way_to(se_meeting_address(ranks->meeting), se_meeting_ticket(ranks->meeting),
                            ranks, model);
    return r;
}

/* Once all have come the address is free for the next meeting. */
static int hold_meeting(struct ranks *ranks, const struct se_collective_options *group)
{
    int fd[SE_COLLECTIVE_RANKS_MAX];
    int r = se_meeting_wait(ranks->meeting, fd);
    if (r < 0)
        return r;
    r = se_collective_tcp_open(&ranks->own.group, fd, 0, ranks->size, group);
    for (uint32_t i = 1; r < 0 && i < ranks->size; i++)
        close(fd[i - 1]);
    se_meeting_close(ranks->meeting);
    ranks->meeting = NULL;
    return r;
}

static void give_up(struct ranks *ranks)
{
    ranks->own.group->ops->give_up(ranks->own.group, se_err_text());
    ranks->gone = true;
}

static int start(struct ranks *ranks, const struct se_model *model,
                 const struct se_engine_options *options)
{
    struct se_collective_options group = group_options(options, ranks->here);
    group.check = check_children;
    group.context = ranks;
    int r = options->nodes ? open_meeting(ranks, model, options)
                           : se_collective_memory_new(&ranks->way.memory, ranks->size);
    if (r == 0)
        r = start_others(ranks, model, options);
    if (r == 0)
        r = options->nodes ? hold_meeting(ranks, &group)
                           : take_seat(&ranks->own.group, &ranks->way, 0, &group);
    if (r < 0)
        return r;
    r = meet(&ranks->own, model, options);
    if (r < 0) {
        give_up(ranks);
        return r;
    }
    const int n = snprintf(ranks->text, sizeof ranks->text, "%s, %u ranks",
                           ranks->own.ops->text(ranks->own.backend), ranks->size);
    if (options->nodes && n > 0 && n < TEXT_B)
        snprintf(ranks->text + n, sizeof ranks->text - (size_t)n, " on %u machines",
                 options->nodes->machines);
    return 0;
}

static int ranks_open(struct se_backend **out, const struct se_model *model,
                      const struct se_engine_options *options)
{
    int r = se_split_check(&model->config, model->dtype, options->tp);
    if (r == 0 && options->pool)
        r = se_fail(-EINVAL, "tp %u: ranks have threads of their own, and no pool", options->tp);
    if (r == 0 && options->nodes)
        r = se_nodes_check(options->nodes, options->tp);
    if (r < 0)
        return r;
    struct ranks *ranks = se_mem_zero(1, sizeof *ranks);
    if (!ranks)
        return -ENOMEM;
    ranks->own.ops = options->ops;
    ranks->size = options->tp;
    ranks->here = options->nodes ? options->tp / options->nodes->machines : options->tp;
    r = start(ranks, model, options);
    if (r < 0) {
        ranks_close((struct se_backend *)(void *)ranks);
        return r;
    }
    *out = (struct se_backend *)(void *)ranks;
    return 0;
}

static const char *ranks_text(const struct se_backend *backend)
{
    return ranks_of_const(backend)->text;
}

static size_t ranks_memory(const struct se_backend *backend)
{
    const struct ranks *ranks = ranks_of_const(backend);
    return ranks->own.ops->memory(ranks->own.backend) * ranks->here;
}

static int ranks_forward(struct se_backend *backend, const struct se_batch *batch)
{
    struct ranks *ranks = ranks_of(backend);
    struct rank *own = &ranks->own;
    if (batch->n_rows == 0)
        return 0;
    int r = se_orders_send_batch(&own->orders, own->group, batch);
    if (r == 0)
        r = own->ops->forward(own->backend, batch);
    /* A logit that is not finite is no fault of the ranks'; after anything else they no longer
     * know what this one does. */
    if (r >= 0 || r == -EDOM)
        return r;
    give_up(ranks);
    return r == -EINVAL || r == -ENOMEM ? -EPIPE : r; /* no fault of this step's alone any more */
}

/* What fails here shows in the next step. */
static void ranks_move(struct se_backend *backend, const struct se_kv_move *move, uint32_t n)
{
    struct ranks *ranks = ranks_of(backend);
    struct rank *own = &ranks->own;
    if (n == 0)
        return;
    if (se_orders_send_moves(&own->orders, own->group, move, n) < 0)
        give_up(ranks);
    else
        own->ops->move(own->backend, move, n);
}

#define OPS \
    .name = "ranks", .open = ranks_open, .close = ranks_close, .text = ranks_text, \
    .memory = ranks_memory, .forward = ranks_forward, .move = ranks_move
const struct se_backend_ops se_backend_ranks = { OPS };
const struct se_backend_ops se_backend_ranks_that_walk = { OPS, .walks = true };

/* The first rank of another machine. */

static int check_machine(void *context)
{
    const struct ranks *ranks = context;
    const int r = check_children(context);
    return r < 0 || !ranks->watch->check ? r : ranks->watch->check(ranks->watch->context);
}

static int serve(struct ranks *ranks, const struct se_model *model,
                 const struct se_engine_options *options)
{
    struct worker worker = { .own.ops = ranks->own.ops, .watch = ranks->watch };
    struct se_collective_options group = group_options(options, ranks->here);
    group.check = check_machine;
    group.context = ranks;
    int r = take_seat(&worker.own.group, &ranks->way, ranks->first, &group);
    if (r < 0)
        return r;
    ranks->own.group = worker.own.group;
    r = start_others(ranks, model, options);
    if (r < 0)
        give_up(ranks);
    else
        r = work(&worker, model, options);
    see_off(ranks, true);
    close_rank(&worker.own);
    return r;
}

int se_ranks_serve(const struct se_model *model, const char *address,
                   const struct se_nodes_terms *terms, const struct se_engine_options *options,
                   const struct se_nodes_watch *watch)
{
    struct se_engine_options own = *options;
    struct ranks ranks = { .own.ops = se_backend_of_ranks(options, terms->n),
                           .watch = watch,
                           .first = terms->first,
                           .here = terms->n,
                           .size = terms->size };
    if (!ranks.own.ops)
        return se_trace(-EINVAL);
    own.max_rows = terms->max_rows;
    own.n_pages = terms->n_pages;
    own.kv_dtype = (enum se_dtype)terms->kv_dtype;
    own.tp = terms->size;
    own.tp_wait_ns = terms->wait_ns;
    ranks.way = way_to(address, terms->ticket, &ranks, model);
    return serve(&ranks, model, &own);
}
