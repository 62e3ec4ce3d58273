/* SPDX-License-Identifier: Apache-2.0 */
/* Several ranks of the CPU backend as one: rank 0 is this process, the others are forked.
 *
 *   rank 0    forward() ── order ──► se_cpu: layers, sums ... ──► answers
 *                             │              ▲ all_reduce, gather
 *   rank 1    await ──────── order ──► se_cpu: layers, sums ... ──► await
 *
 * An order is the batch as numbers: rows, tails, pages and what is wanted. Every rank keeps the
 * keys and values of its own heads, so that nothing but rows passes between them.
 *
 * A rank looks for its parent while it waits, and rank 0 for its children: whoever is missed
 * ends the group (collective.h). */
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
#include "runtime/model/split.h"

enum { TEXT_B = 96 };
#define WAIT_NS 30000000000u  /* of a step: what a rank may be late */
#define OPEN_NS 600000000000u /* files may be read for the first time */
#define LEAVE_NS 1000000000u
#define IDLE_NS 3600000000000u

/* What one rank has, whichever it is. */
struct rank {
    struct se_model *part;
    struct se_pool *pool;
    struct se_backend *cpu;
    struct se_collective *group;
};

struct ranks {
    struct rank own;
    struct se_collective_memory *memory;
    uint32_t size;
    pid_t process[SE_COLLECTIVE_RANKS_MAX]; /* by rank; 0: none, or it has ended */
    char text[TEXT_B];
    uint32_t *order;
    size_t order_cap;
    bool gone; /* the group was given up, and nobody hears a farewell */
};

/* Orders: a head, and behind it so many numbers. */
enum order { FORWARD, MOVE, LEAVE };
struct head {
    uint32_t order;
    uint32_t n_parts, n_rows, n_tail, n_pages; /* FORWARD */
    uint32_t n_moves;                          /* MOVE */
};
struct order_part {
    uint32_t first_row, n_rows, n_pages;
    uint32_t want, hidden; /* hidden: a bool */
};
enum {
    PART_NUMBERS = sizeof(struct order_part) / sizeof(uint32_t),
    ROW_NUMBERS = sizeof(struct se_batch_row) / sizeof(uint32_t),
    MOVE_NUMBERS = sizeof(struct se_kv_move) / sizeof(uint32_t)
};

static struct ranks *ranks_of(struct se_backend *backend)
{
    return (struct ranks *)(void *)backend;
}

static const struct ranks *ranks_of_const(const struct se_backend *backend)
{
    return (const struct ranks *)(const void *)backend;
}

static size_t numbers_of(const struct head *head)
{
    return (size_t)head->n_parts * PART_NUMBERS + (size_t)head->n_rows * ROW_NUMBERS +
           head->n_tail + head->n_pages + (size_t)head->n_moves * MOVE_NUMBERS;
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
    if (r == 0)
        r = se_backend_cpu.open(&rank->cpu, rank->part, &own);
    return r;
}

static void close_rank(struct rank *rank)
{
    se_backend_cpu.close(rank->cpu);
    se_pool_free(rank->pool);
    se_split_free(rank->part);
    if (rank->group)
        rank->group->ops->close(rank->group);
}

/* Ready is what all have said when this returns. */
static int meet(struct rank *rank)
{
    uint32_t word = 1, words[SE_COLLECTIVE_RANKS_MAX];
    return rank->group->ops->gather(rank->group, &word, sizeof word, words);
}

/* The other ranks. */

struct worker {
    struct rank own;
    pid_t parent;
    uint32_t *order;
    struct se_batch_part *part;
    struct se_part *ask;
    float *hidden; /* where states go that only rank 0 hands out */
    size_t order_cap, part_cap, ask_cap, hidden_cap;
};

static int check_parent(void *context)
{
    const struct worker *worker = context;
    return getppid() == worker->parent ? 0 : se_fail(-EPIPE, "rank 0 has ended");
}

static int grow_worker(struct worker *w, const struct head *head)
{
    const size_t hidden = (size_t)head->n_rows * w->own.part->config.hidden;
    int r = se_mem_grow(&w->order, &w->order_cap, numbers_of(head), sizeof *w->order);
    if (r == 0)
        r = se_mem_grow(&w->part, &w->part_cap, head->n_parts, sizeof *w->part);
    if (r == 0)
        r = se_mem_grow(&w->ask, &w->ask_cap, head->n_parts, sizeof *w->ask);
    if (r == 0)
        r = se_mem_grow(&w->hidden, &w->hidden_cap, hidden, sizeof *w->hidden);
    return r;
}

/* The batch as it was packed in pack_batch(). */
static int obey_forward(struct worker *w, const struct head *head)
{
    const struct order_part *part = (const struct order_part *)(const void *)w->order;
    const uint32_t *row = w->order + (size_t)head->n_parts * PART_NUMBERS;
    const uint32_t *tail = row + (size_t)head->n_rows * ROW_NUMBERS;
    const uint32_t *page = tail + head->n_tail;
    const size_t hidden = w->own.part->config.hidden;
    for (uint32_t i = 0; i < head->n_parts; page += part[i++].n_pages) {
        w->ask[i] = (struct se_part){
            .want = (enum se_want)part[i].want,
            .hidden = part[i].hidden ? w->hidden + part[i].first_row * hidden : NULL,
        };
        w->part[i] = (struct se_batch_part){ .ask = &w->ask[i],
                                             .page = page,
                                             .n_pages = part[i].n_pages,
                                             .first_row = part[i].first_row,
                                             .n_rows = part[i].n_rows };
    }
    const struct se_batch batch = { .part = w->part,
                                    .row = (const struct se_batch_row *)(const void *)row,
                                    .tail = tail,
                                    .n_parts = head->n_parts,
                                    .n_rows = head->n_rows };
    return se_backend_cpu.forward(w->own.cpu, &batch);
}

/* 0, SE_COLLECTIVE_IDLE when it was told to leave, or -errno. */
static int obey(struct worker *w)
{
    struct se_collective *group = w->own.group;
    struct head head;
    int r = group->ops->await(group, IDLE_NS);
    if (r != 0)
        return r < 0 ? r : 0;
    r = group->ops->broadcast(group, &head, sizeof head);
    if (r < 0 || head.order == LEAVE)
        return r < 0 ? r : SE_COLLECTIVE_IDLE;
    r = grow_worker(w, &head);
    if (r == 0)
        r = group->ops->broadcast(group, w->order, numbers_of(&head) * sizeof *w->order);
    if (r == 0 && head.order == FORWARD)
        r = obey_forward(w, &head);
    else if (r == 0)
        se_backend_cpu.move(w->own.cpu, (const struct se_kv_move *)(const void *)w->order,
                            head.n_moves);
    return r;
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

static void work(struct worker *w, const struct se_model *model,
                 const struct se_engine_options *options)
{
    char why[256];
    int r = open_rank(&w->own, model, options);
    if (r == 0)
        r = meet(&w->own);
    while (r == 0)
        r = obey(w);
    if (r < 0 && w->own.group) { /* where the group is broken already nobody reads it */
        snprintf(why, sizeof why, "%s", se_err_text());
        w->own.group->ops->give_up(w->own.group, why);
    }
}

static struct se_collective_options group_options(const struct se_engine_options *options)
{
    const uint32_t threads = options->rank_threads ? options->rank_threads : 1;
    return (struct se_collective_options){
        .deadline_ns = options->tp_wait_ns ? options->tp_wait_ns : WAIT_NS,
        .spin = se_cpu_count() >= (uint64_t)threads * options->tp,
    };
}

static int start_rank(struct ranks *ranks, uint32_t number, const struct se_model *model,
                      const struct se_engine_options *options)
{
    struct worker worker = { .parent = getpid() };
    struct se_collective_options group = group_options(options);
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
    if (se_collective_shm_open(&worker.own.group, ranks->memory, number, &group) == 0)
        work(&worker, model, options);
    _exit(0); /* and with it all that it has */
}

/* Rank 0. */

static int check_children(void *context)
{
    struct ranks *ranks = context;
    for (uint32_t i = 1; i < ranks->size; i++) {
        int status = 0;
        if (ranks->process[i] == 0)
            continue;
        const pid_t process = waitpid(ranks->process[i], &status, WNOHANG);
        if (process == 0 || (process < 0 && errno == EINTR))
            continue;
        const int number = (int)ranks->process[i];
        ranks->process[i] = 0;
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

static void part_from_ranks(struct ranks *ranks)
{
    struct se_collective *group = ranks->own.group;
    struct head head = { .order = LEAVE };
    const uint64_t until = se_clock_ns() + LEAVE_NS;
    if (group && !ranks->gone) {
        group->deadline_ns = LEAVE_NS;
        group->ops->broadcast(group, &head, sizeof head);
    }
    for (uint32_t i = 1; i < ranks->size; i++) {
        if (ranks->process[i] == 0 || (group && has_left(ranks->process[i], until)))
            continue;
        kill(ranks->process[i], SIGKILL);
        while (waitpid(ranks->process[i], NULL, 0) < 0 && errno == EINTR)
            continue;
    }
}

static void ranks_close(struct se_backend *backend)
{
    struct ranks *ranks = ranks_of(backend);
    if (!ranks)
        return;
    part_from_ranks(ranks);
    close_rank(&ranks->own);
    se_collective_memory_free(ranks->memory);
    se_mem_free(ranks->order);
    se_mem_free(ranks);
}

static int start(struct ranks *ranks, const struct se_model *model,
                 const struct se_engine_options *options)
{
    struct se_collective_options group = group_options(options);
    int r = se_collective_memory_new(&ranks->memory, ranks->size);
    for (uint32_t i = 1; r == 0 && i < ranks->size; i++)
        r = start_rank(ranks, i, model, options);
    group.check = check_children;
    group.context = ranks;
    if (r == 0)
        r = se_collective_shm_open(&ranks->own.group, ranks->memory, 0, &group);
    if (r == 0)
        r = open_rank(&ranks->own, model, options);
    if (r < 0)
        return r;
    ranks->own.group->deadline_ns = OPEN_NS;
    r = meet(&ranks->own);
    ranks->own.group->deadline_ns = group.deadline_ns;
    snprintf(ranks->text, sizeof ranks->text, "%s, %u ranks", se_backend_cpu.text(ranks->own.cpu),
             ranks->size);
    return r;
}

static int ranks_open(struct se_backend **out, const struct se_model *model,
                      const struct se_engine_options *options)
{
    int r = se_split_check(&model->config, model->dtype, options->tp);
    if (r == 0 && options->pool)
        r = se_fail(-EINVAL, "tp %u: ranks have threads of their own, and no pool", options->tp);
    if (r < 0)
        return r;
    struct ranks *ranks = se_mem_zero(1, sizeof *ranks);
    if (!ranks)
        return -ENOMEM;
    ranks->size = options->tp;
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
    return se_backend_cpu.memory(ranks->own.cpu) * ranks->size;
}

/* A head and what lies in order. */
static int send_order(struct ranks *ranks, struct head *head)
{
    struct se_collective *group = ranks->own.group;
    const int r = group->ops->broadcast(group, head, sizeof *head);
    if (r < 0)
        return r;
    return group->ops->broadcast(group, ranks->order, numbers_of(head) * sizeof *ranks->order);
}

static struct head head_of(const struct se_batch *batch)
{
    struct head head = { .order = FORWARD, .n_parts = batch->n_parts, .n_rows = batch->n_rows };
    for (uint32_t i = 0; i < batch->n_parts; i++)
        head.n_pages += batch->part[i].n_pages;
    for (uint32_t i = 0; i < batch->n_rows; i++) {
        const struct se_batch_row *row = &batch->row[i];
        const uint32_t end = row->tail + (row->position + 1 - row->plain);
        head.n_tail = end > head.n_tail ? end : head.n_tail;
    }
    return head;
}

static int pack_batch(struct ranks *ranks, const struct se_batch *batch, struct head *head)
{
    *head = head_of(batch);
    int r = se_mem_grow(&ranks->order, &ranks->order_cap, numbers_of(head), sizeof *ranks->order);
    if (r < 0)
        return r;
    struct order_part *part = (struct order_part *)(void *)ranks->order;
    uint32_t *at = ranks->order + (size_t)batch->n_parts * PART_NUMBERS;
    memcpy(at, batch->row, batch->n_rows * sizeof *batch->row);
    at += (size_t)batch->n_rows * ROW_NUMBERS;
    if (head->n_tail)
        memcpy(at, batch->tail, head->n_tail * sizeof *at);
    at += head->n_tail;
    for (uint32_t i = 0; i < batch->n_parts; i++) {
        const struct se_batch_part *from = &batch->part[i];
        part[i] = (struct order_part){ from->first_row, from->n_rows, from->n_pages,
                                       (uint32_t)from->ask->want, from->ask->hidden != NULL };
        memcpy(at, from->page, from->n_pages * sizeof *at);
        at += from->n_pages;
    }
    return 0;
}

static void give_up(struct ranks *ranks)
{
    ranks->own.group->ops->give_up(ranks->own.group, se_err_text());
    ranks->gone = true;
}

static int ranks_forward(struct se_backend *backend, const struct se_batch *batch)
{
    struct ranks *ranks = ranks_of(backend);
    struct head head;
    int r = pack_batch(ranks, batch, &head);
    if (r < 0)
        return r;
    r = send_order(ranks, &head);
    if (r == 0)
        r = se_backend_cpu.forward(ranks->own.cpu, batch);
    /* A logit that is not finite is no fault of the ranks'; after anything else they no longer
     * know what this one does. */
    if (r < 0 && r != -EDOM)
        give_up(ranks);
    return r;
}

/* What fails here shows in the next step. */
static void ranks_move(struct se_backend *backend, const struct se_kv_move *move, uint32_t n)
{
    struct ranks *ranks = ranks_of(backend);
    struct head head = { .order = MOVE, .n_moves = n };
    if (n == 0)
        return;
    int r = se_mem_grow(&ranks->order, &ranks->order_cap, numbers_of(&head), sizeof *ranks->order);
    if (r == 0) {
        memcpy(ranks->order, move, n * sizeof *move);
        r = send_order(ranks, &head);
    }
    if (r < 0)
        give_up(ranks);
    else
        se_backend_cpu.move(ranks->own.cpu, move, n);
}

const struct se_backend_ops se_backend_ranks = {
    .name = "ranks",
    .open = ranks_open,
    .close = ranks_close,
    .text = ranks_text,
    .memory = ranks_memory,
    .forward = ranks_forward,
    .move = ranks_move,
};
