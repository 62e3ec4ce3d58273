/* SPDX-License-Identifier: Apache-2.0 */
/* A server's thread that offers jobs, takes some of them back and offers them again with more
 * in them, beside the engine's thread that runs them. Every job comes back once, in the order
 * in which they ran, and says what the formula of the model says. Jobs are plain memory: under
 * ThreadSanitizer this is the test of [seat.offer] and [seat.take]. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "sched/server/stepper.h"
#include "tests/sched/seed.h"
#include "tests/sched/table_backend.h"
#include "transport/bell.h"

enum { JOBS = 5, TEXT_MAX = 300, DRAFT = 4, ROUNDS = 6000, PAGES = 400 };
#define DEADLINE_NS 100000000000u

/* Each job has two texts of its own that grow; the second is added when it was recalled. */
struct text {
    struct se_seq *seq;
    uint32_t id[TEXT_MAX], n;
    uint32_t draft[DRAFT], path[DRAFT];
};

struct table {
    struct se_job job;
    struct text text[2];
    bool under_way;
};

static struct table_model model;
static const struct se_sampling sampling = { .temp = 0.8, .top_p = 1, .seed = 9 };

struct server {
    struct se_engine *engine;
    struct se_stepper *stepper;
    struct se_bell bell;
    struct se_rng rng;
    struct table table[JOBS];
    uint32_t order[JOBS], n_order; /* under way, the oldest first */
    uint64_t offered, recalled, done, deadline;
};

static bool fault(const char *what)
{
    fprintf(stderr, "%s (%s)\n", what, se_err_text());
    return false;
}

static void wake(void *context) { se_bell_ring(&((struct server *)context)->bell); }

/* A part for the text: a chain that may or may not come true. Text that has no room is given
 * up to its third id. */
static void add_part(struct server *s, struct table *table, struct text *text)
{
    struct se_job *job = &table->job;
    if (text->n + DRAFT > TEXT_MAX) {
        text->n = 3;
        se_job_chore(job, text->seq, 2, false);
    }
    text->draft[0] = text->id[text->n - 1];
    for (uint32_t i = 1; i < DRAFT; i++) {
        text->id[text->n + i - 1] = text->draft[i] =
            se_rng_below(&s->rng, 3) ? table_next(&model, &sampling, text->id, text->n + i - 1)
                                     : se_rng_below(&s->rng, TABLE_MODEL_VOCAB);
    }
    job->part[job->n_parts++] = (struct se_part){
        .seq = text->seq,
        .token = text->draft,
        .n_rows = DRAFT,
        .want = SE_WANT_VERDICT,
        .sampling = &sampling,
        .path = text->path,
    };
}

static bool offer(struct server *s, uint32_t i)
{
    if (se_stepper_offer(s->stepper, &s->table[i].job) != 0)
        return fault("an offer to a free seat is refused");
    s->table[i].under_way = true;
    s->order[s->n_order++] = i;
    s->offered++;
    return true;
}

/* Takes the seat's job, if the engine has not; puts more into it. The seat is free afterwards. */
static bool refill(struct server *s)
{
    struct se_job *job = se_stepper_recall(s->stepper);
    if (!job)
        return true;
    s->recalled++;
    const uint32_t i = s->n_order > 0 ? s->order[--s->n_order] : 0;
    if (job != &s->table[i].job)
        return fault("recalled: not the job that was offered last");
    if (job->n_parts < 2)
        add_part(s, &s->table[i], &s->table[i].text[1]);
    return offer(s, i);
}

static bool offer_next(struct server *s)
{
    struct se_job *job = se_stepper_recall(s->stepper);
    if (job) { /* nobody took it yet: back with it as it is */
        s->recalled++;
        s->n_order--;
        return offer(s, (uint32_t)((struct table *)job - s->table));
    }
    for (uint32_t i = 0; i < JOBS; i++) {
        if (s->table[i].under_way)
            continue;
        se_job_reset(&s->table[i].job);
        add_part(s, &s->table[i], &s->table[i].text[0]);
        return offer(s, i);
    }
    return true;
}

static bool read_text(const struct se_part *part, struct text *text)
{
    for (uint32_t i = 1; i <= part->n_path; i++) {
        const uint32_t token = i < part->n_path ? text->draft[part->path[i]] : part->bonus;
        if (token != table_next(&model, &sampling, text->id, text->n))
            return fault("the text is not the formula's");
        text->id[text->n++] = token;
    }
    return true;
}

static bool collect(struct server *s)
{
    struct se_job *job;
    while ((job = se_stepper_done(s->stepper))) {
        struct table *table = &s->table[s->order[0]];
        if (s->n_order == 0 || job != &table->job)
            return fault("a finished job out of turn");
        memmove(s->order, s->order + 1, --s->n_order * sizeof *s->order);
        if (job->result != 0)
            return fault(job->why);
        for (uint32_t i = 0; i < job->n_parts; i++) {
            if (!read_text(&job->part[i], &table->text[i]))
                return false;
        }
        table->under_way = false;
        s->done++;
    }
    return true;
}

static bool serve(struct server *s)
{
    while (s->done < ROUNDS) {
        if (!collect(s))
            return false;
        const uint32_t what = se_rng_below(&s->rng, 8);
        if (s->n_order == JOBS || what == 0) { /* waits as a server does */
            if (s->n_order > 0 && !se_bell_wait(&s->bell, DEADLINE_NS))
                return fault("a job does not come back");
        } else if (!(what < 4 ? refill(s) : offer_next(s))) {
            return false;
        }
        if (se_clock_ns() > s->deadline)
            return fault("too slow");
    }
    while (s->n_order > 0) {
        if (!collect(s) || (s->n_order > 0 && !se_bell_wait(&s->bell, DEADLINE_NS)))
            return fault("the last jobs do not come back");
    }
    return true;
}

static bool open_texts(struct server *s)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        if (se_job_init(&s->table[i].job, 2, 16) < 0)
            return false;
        for (int j = 0; j < 2; j++) {
            struct text *text = &s->table[i].text[j];
            if (se_seq_new(&text->seq, se_engine_kv(s->engine)) < 0)
                return false;
            for (text->n = 0; text->n < 3; text->n++)
                text->id[text->n] = se_rng_below(&s->rng, TABLE_MODEL_VOCAB);
            struct se_part prompt = { .seq = text->seq, .token = text->id, .n_rows = 2 };
            if (se_step(s->engine, &prompt, 1) != 0)
                return false;
        }
    }
    return true;
}

static bool run(uint64_t seed, struct se_idle_options idle)
{
    static struct server s;
    memset(&s, 0, sizeof s);
    s.deadline = se_clock_ns() + DEADLINE_NS;
    se_rng_init(&s.rng, seed, SE_RNG_TEST);
    se_bell_init(&s.bell);
    table_model_init(&model, seed, TABLE_MODEL_VOCAB, 4096);
    if (table_engine_new(&s.engine, &model, 2 * DRAFT, PAGES) < 0 || !open_texts(&s))
        return fault("cannot begin");
    const struct se_stepper_options options = {
        .engine = s.engine, .idle = idle, .wake = wake, .wake_context = &s
    };
    if (se_stepper_new(&s.stepper, &options) < 0 || se_stepper_start(s.stepper) < 0)
        return fault("cannot begin");
    const bool good = serve(&s);
    se_stepper_free(s.stepper);
    for (uint32_t i = 0; i < JOBS; i++) {
        se_job_fini(&s.table[i].job);
        se_seq_free(s.table[i].text[0].seq);
        se_seq_free(s.table[i].text[1].seq);
    }
    se_engine_free(s.engine);
    printf("%llu offered, %llu recalled, %llu done\n", (unsigned long long)s.offered,
           (unsigned long long)s.recalled, (unsigned long long)s.done);
    if (good && s.offered != s.recalled + s.done)
        return fault("a job was lost");
    return good;
}

int main(void)
{
    static const struct se_idle_options idle[] = {
        { .spin_ns = 0, .yield_ns = 0 },
        { .spin_ns = 20000, .yield_ns = 0 },
        { .spin_ns = 0, .yield_ns = UINT64_MAX },
    };
    const uint64_t seed = seed_of_test();
    for (uint32_t i = 0; i < sizeof idle / sizeof *idle; i++) {
        if (!run(seed + i, idle[i]))
            return 1;
    }
    return 0;
}
