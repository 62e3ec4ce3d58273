/* SPDX-License-Identifier: Apache-2.0 */
/* The seat is one word, the number of the job on it:
 *
 *   EMPTY ──offer──► number ──take────► EMPTY, and the job is the engine's
 *                       └─────recall──► EMPTY, and the job is the server's again
 *
 * The server gives a job its number for as long as it is under way. The engine's side reads the
 * table of jobs only at a number that it got from the seat. */
#include "sched/server/stepper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "sched/ring.h"
#include "transport/bell.h"

enum { CACHE_LINE_B = 64 };
#define EMPTY UINT32_MAX

struct se_stepper {
    struct se_stepper_options options;
    struct se_ring *finished; /* numbers */
    struct se_job *job[SE_STEPPER_JOBS];
    pthread_t thread;
    bool started;
    _Alignas(CACHE_LINE_B) _Atomic uint32_t seat;
    _Atomic bool stop;
    struct se_bell bell;                   /* of the thread */
    _Alignas(CACHE_LINE_B) uint32_t taken; /* the engine's side: number of the job it has */
};

int se_stepper_new(struct se_stepper **out, const struct se_stepper_options *options)
{
    struct se_stepper *stepper = se_mem_zero(1, sizeof *stepper);
    if (!stepper)
        return se_trace(-ENOMEM);
    stepper->options = *options;
    atomic_init(&stepper->seat, EMPTY);
    se_bell_init(&stepper->bell);
    int r = se_ring_new(&stepper->finished, SE_STEPPER_JOBS);
    if (r < 0) {
        se_stepper_free(stepper);
        return se_trace(r);
    }
    *out = stepper;
    return 0;
}

void se_stepper_free(struct se_stepper *stepper)
{
    if (!stepper)
        return;
    if (stepper->started) {
        /* relaxed: it carries nothing. The thread that sleeps sees it behind the bell, and
         * pthread_join() orders what follows. */
        atomic_store_explicit(&stepper->stop, true, memory_order_relaxed);
        se_bell_ring(&stepper->bell);
        pthread_join(stepper->thread, NULL);
    }
    se_ring_free(stepper->finished);
    se_mem_free(stepper);
}

/* ---- the engine's thread */

static void *engine_main(void *context)
{
    struct se_stepper *stepper = context;
    struct se_idle idle;
    pthread_setname_np(pthread_self(), "se-engine");
    se_idle_init(&idle, stepper->options.idle);
    /* relaxed: see se_stepper_free(). */
    while (!atomic_load_explicit(&stepper->stop, memory_order_relaxed)) {
        struct se_job *job = se_stepper_take(stepper);
        if (job) {
            se_stepper_run(stepper, job);
            se_stepper_give(stepper, job);
            se_idle_reset(&idle);
        } else if (se_idle_pause(&idle, se_clock_ns())) {
            se_bell_wait(&stepper->bell, UINT64_MAX);
        }
    }
    return NULL;
}

int se_stepper_start(struct se_stepper *stepper)
{
    sigset_t all, before;
    if (stepper->started)
        return se_fail(-EALREADY, "the engine's thread runs already");
    /* Signals are the program's: they belong to the threads it made itself. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&stepper->thread, NULL, engine_main, stepper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        return se_fail(r, "cannot start the engine's thread: %s", strerror(-r));
    stepper->started = true;
    return 0;
}

/* ---- the server's side */

int se_stepper_offer(struct se_stepper *stepper, struct se_job *job)
{
    uint32_t number = 0, seat = EMPTY;
    while (number < SE_STEPPER_JOBS && stepper->job[number])
        number++;
    if (number == SE_STEPPER_JOBS)
        return se_fail(-ENOSPC, "%d jobs are under way", SE_STEPPER_JOBS);
    stepper->job[number] = job;
    /* [seat.offer] release, pairs with the acquire in se_stepper_take(): whoever takes the
     * number sees the job, all that the server put into it, and what it points at. */
    if (!atomic_compare_exchange_strong_explicit(&stepper->seat, &seat, number,
                                                 memory_order_release, memory_order_relaxed)) {
        stepper->job[number] = NULL;
        return se_fail(-EBUSY, "there is a job on the seat");
    }
    se_bell_ring(&stepper->bell);
    return 0;
}

struct se_job *se_stepper_recall(struct se_stepper *stepper)
{
    /* [seat.take] meets the exchange in se_stepper_take(): one of the two gets the number.
     * relaxed: this thread wrote the job, and nobody has seen it since. */
    const uint32_t number = atomic_exchange_explicit(&stepper->seat, EMPTY, memory_order_relaxed);
    if (number == EMPTY)
        return NULL;
    struct se_job *job = stepper->job[number];
    stepper->job[number] = NULL;
    return job;
}

struct se_job *se_stepper_done(struct se_stepper *stepper)
{
    uint32_t number;
    if (!se_ring_pop(stepper->finished, &number)) /* [ring.fill]: the results are there */
        return NULL;
    struct se_job *job = stepper->job[number];
    stepper->job[number] = NULL;
    return job;
}

/* ---- the engine's side */

struct se_job *se_stepper_take(struct se_stepper *stepper)
{
    /* relaxed: a look, so that an idle engine does not pull the seat's line to itself. A job
     * that it misses rings the bell. */
    if (atomic_load_explicit(&stepper->seat, memory_order_relaxed) == EMPTY)
        return NULL;
    /* [seat.offer] acquire, pairs with the release in se_stepper_offer().
     * [seat.take] meets the exchange in se_stepper_recall(): with a load and a store, both
     * could get the job. */
    const uint32_t number = atomic_exchange_explicit(&stepper->seat, EMPTY, memory_order_acquire);
    if (number == EMPTY)
        return NULL;
    stepper->taken = number;
    struct se_job *job = stepper->job[number];
    job->begun_ns = se_clock_read(&stepper->options.clock);
    return job;
}

static void do_chores(struct se_job *job)
{
    for (uint32_t i = 0; i < job->n_chores; i++) {
        const struct se_chore *chore = &job->chore[i];
        if (chore->free)
            se_seq_free(chore->seq);
        else
            se_seq_rewind(chore->seq, chore->keep);
    }
    job->n_chores = 0; /* a job that is offered once more does not do them again */
}

void se_stepper_run(struct se_stepper *stepper, struct se_job *job)
{
    job->result = 0;
    job->why[0] = '\0';
    do_chores(job);
    if (job->n_parts > 0)
        job->result = se_step(stepper->options.engine, job->part, job->n_parts);
    if (job->result < 0) /* the text is this thread's own */
        snprintf(job->why, sizeof job->why, "%s", se_err_text());
}

void se_stepper_give(struct se_stepper *stepper, struct se_job *job)
{
    job->ended_ns = se_clock_read(&stepper->options.clock);
    /* [ring.fill] There is room: the ring holds as many as can be under way. */
    se_ring_push(stepper->finished, stepper->taken);
    if (stepper->options.wake)
        stepper->options.wake(stepper->options.wake_context);
}
