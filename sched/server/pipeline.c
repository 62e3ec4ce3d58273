/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/pipeline.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { ARRIVALS = 64, LOOK_AT = 256, PREFILL_LEAST = 16 };
#define WORK_LEAST_NS UINT64_C(50000000)  /* a session that asked is at work at least so long */
#define WORK_MOST_NS UINT64_C(2000000000) /* and at most */
#define BUSY_SPAN_NS 50e6f                /* what "lately" means to the share of busy time */

static struct se_session *session_at(const struct se_pipeline *p, uint32_t at)
{
    return &p->sessions->session[at];
}

static struct se_slot *slot_at(struct se_pipeline *p, uint32_t at) { return &p->slots.slot[at]; }

static void touch(struct se_pipeline *p, const struct se_session *s)
{
    se_session_touch(p->sessions, (uint32_t)(s - p->sessions->session));
}

int se_pipeline_init(struct se_pipeline *p, const struct se_server_options *options,
                     struct se_sessions *sessions, const struct se_server_live *live)
{
    /* A round that was dropped keeps its slot while it runs, and its session may have another. */
    uint32_t n_slots = options->max_sessions + SE_PIPELINE_JOBS * options->max_rows;
    uint32_t most = options->max_sessions * 2;
    *p = (struct se_pipeline){ .sessions = sessions,
                               .stepper = options->stepper,
                               .kv = options->kv,
                               .live = live,
                               .max_rows = options->max_rows,
                               .pages = options->pages,
                               .pages_free = options->pages,
                               .want_first = SE_SESSION_NONE,
                               .want_last = SE_SESSION_NONE,
                               .work_first = SE_SESSION_NONE,
                               .work_last = SE_SESSION_NONE,
                               .pace = options->pace };
    int r = se_slots_init(&p->slots, n_slots < most ? n_slots : most, options->max_nodes);
    for (int i = 0; r == 0 && i < SE_PIPELINE_JOBS; i++) {
        r = se_job_init(&p->job[i], options->max_rows, options->max_rows);
        p->spare[p->n_spare++] = &p->job[i];
    }
    if (r == 0)
        r = se_mem_grow(&p->chores.chore, &p->chores.chore_cap, options->max_rows,
                        sizeof *p->chores.chore);
    if (r < 0)
        se_pipeline_fini(p);
    return r < 0 ? se_trace(r) : 0;
}

void se_pipeline_fini(struct se_pipeline *p)
{
    for (int i = 0; i < SE_PIPELINE_JOBS; i++)
        se_job_fini(&p->job[i]);
    se_job_fini(&p->chores);
    se_slots_fini(&p->slots);
}

/* ---- pages */

static uint32_t pages_for(uint32_t slots) { return (slots + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS; }

/* What the session has, or in its job may come to have. */
static void count_pages(struct se_pipeline *p, struct se_session *s)
{
    uint32_t pages = s->seq ? pages_for(s->computed + (s->in_job ? s->job_rows : 0)) : 0;
    p->pages_free += s->pages;
    p->pages_free -= pages;
    s->pages = pages;
    touch(p, s);
}

/* Memory for a chore that cannot be had is an error of the machine; the pages then come back
 * only when the session does something else. */
static void rewind_seq(struct se_pipeline *p, struct se_session *s, uint32_t keep)
{
    if (s->seq && se_job_chore(&p->chores, s->seq, keep, false) == 0) {
        s->computed = keep;
        count_pages(p, s);
    }
}

static void free_seq(struct se_pipeline *p, struct se_session *s)
{
    if (s->seq && se_job_chore(&p->chores, s->seq, 0, true) == 0) {
        s->seq = NULL;
        s->computed = 0;
        count_pages(p, s);
    }
}

/* ---- queues of sessions */

static void join_want(struct se_pipeline *p, uint32_t before, uint32_t after)
{
    if (before == SE_SESSION_NONE)
        p->want_first = after;
    else
        session_at(p, before)->want_next = after;
    if (after == SE_SESSION_NONE)
        p->want_last = before;
    else
        session_at(p, after)->want_prev = before;
}

static void unqueue_want(struct se_pipeline *p, uint32_t at)
{
    struct se_session *s = session_at(p, at);
    if (!s->wants)
        return;
    join_want(p, s->want_prev, s->want_next);
    s->wants = false;
    p->n_wants--;
}

/* Whoever was begun is finished before the next. */
static void queue_want(struct se_pipeline *p, uint32_t at, bool first, uint64_t now_ns)
{
    struct se_session *s = session_at(p, at);
    if (s->wants || s->in_job || s->closing || s->computed >= s->n)
        return;
    if (!first)
        s->want_ns = now_ns;
    s->wants = true;
    p->n_wants++;
    uint32_t before = first ? SE_SESSION_NONE : p->want_last;
    uint32_t after = first ? p->want_first : SE_SESSION_NONE;
    join_want(p, before, at);
    join_want(p, at, after);
}

static void join_work(struct se_pipeline *p, uint32_t before, uint32_t after)
{
    if (before == SE_SESSION_NONE)
        p->work_first = after;
    else
        session_at(p, before)->work_next = after;
    if (after == SE_SESSION_NONE)
        p->work_last = before;
    else
        session_at(p, after)->work_prev = before;
}

static void leave_work(struct se_pipeline *p, uint32_t at)
{
    struct se_session *s = session_at(p, at);
    if (!s->at_work)
        return;
    join_work(p, s->work_prev, s->work_next);
    s->at_work = false;
    p->n_at_work--;
}

static void enter_work(struct se_pipeline *p, uint32_t at)
{
    leave_work(p, at);
    join_work(p, p->work_last, at);
    join_work(p, at, SE_SESSION_NONE);
    session_at(p, at)->at_work = true;
    p->n_at_work++;
}

static uint64_t at_work_until(const struct se_session *s)
{
    uint64_t turn = (uint64_t)(4 * (s->turn_ns + s->turn_dev_ns));
    turn = turn < WORK_LEAST_NS ? WORK_LEAST_NS : turn > WORK_MOST_NS ? WORK_MOST_NS : turn;
    return s->answered_ns + turn;
}

/* Those who were answered long ago and did not ask again have their answer whole. The list is
 * in the order of asking, which is nearly that of leaving. */
static void expire_work(struct se_pipeline *p, uint64_t now_ns)
{
    while (p->work_first != SE_SESSION_NONE) {
        struct se_session *s = session_at(p, p->work_first);
        if (s->slot != SE_SLOT_NONE || s->in_job || at_work_until(s) > now_ns)
            return;
        leave_work(p, p->work_first);
    }
}

/* ---- rounds */

static void make_ready(struct se_pipeline *p, uint32_t at, uint64_t now_ns)
{
    slot_at(p, at)->state = SE_SLOT_READY;
    slot_at(p, at)->ready_ns = now_ns;
    se_slot_append(&p->slots, &p->slots.ready, at);
    p->look_ns = 0;
}

static void note_turn(struct se_session *s, uint64_t now_ns, uint32_t rows)
{
    if (s->answered_ns == 0)
        return;
    float turn = (float)(now_ns - s->answered_ns);
    if (s->turn_ns == 0) {
        s->turn_ns = turn;
        s->turn_dev_ns = turn / 4;
        s->turn_rows = (float)rows;
        return;
    }
    s->turn_dev_ns += (fabsf(turn - s->turn_ns) - s->turn_dev_ns) / 8;
    s->turn_ns += (turn - s->turn_ns) / 8;
    s->turn_rows += ((float)rows - s->turn_rows) / 8;
}

void se_pipeline_round(struct se_pipeline *p, uint32_t at, uint64_t now_ns)
{
    struct se_slot *slot = slot_at(p, at);
    struct se_session *s = session_at(p, slot->session);
    s->slot = at;
    slot->arrived_ns = now_ns;
    if (!slot->pushed)
        note_turn(s, now_ns, slot->n);
    touch(p, s);
    enter_work(p, slot->session);
    if (s->computed == s->n && !s->in_job)
        make_ready(p, at, now_ns);
}

void se_pipeline_drop(struct se_pipeline *p, uint32_t session)
{
    struct se_session *s = session_at(p, session);
    uint32_t at = s->slot;
    if (at == SE_SLOT_NONE)
        return;
    struct se_slot *slot = slot_at(p, at);
    s->slot = SE_SLOT_NONE;
    touch(p, s);
    slot->dropped = true;
    if (slot->state == SE_SLOT_RUNNING)
        return; /* settle() lets it go */
    if (slot->state == SE_SLOT_READY)
        se_slot_unlink(&p->slots, &p->slots.ready, at);
    if (slot->state == SE_SLOT_DONE)
        se_slot_unlink(&p->slots, &p->slots.done, at);
    se_slot_release(&p->slots, at);
}

void se_pipeline_want(struct se_pipeline *p, uint32_t session, uint64_t now_ns)
{
    queue_want(p, session, false, now_ns);
    se_session_touch(p->sessions, session);
    p->look_ns = 0;
}

void se_pipeline_cut(struct se_pipeline *p, uint32_t session, uint32_t n)
{
    struct se_session *s = session_at(p, session);
    se_session_cut(s, n);
    touch(p, s);
    if (s->in_job) {
        s->valid = n < s->valid ? n : s->valid;
        return;
    }
    if (s->computed > s->n) {
        if (s->n == 0)
            free_seq(p, s);
        else
            rewind_seq(p, s, s->n);
    }
    if (s->computed >= s->n)
        unqueue_want(p, session);
}

void se_pipeline_close(struct se_pipeline *p, uint32_t session)
{
    struct se_session *s = session_at(p, session);
    se_pipeline_drop(p, session);
    unqueue_want(p, session);
    leave_work(p, session);
    s->closing = true;
    if (s->in_job)
        return; /* settle() comes back here */
    free_seq(p, s);
    se_session_close(p->sessions, session);
}

void se_pipeline_answered(struct se_pipeline *p, uint32_t session, uint64_t now_ns)
{
    session_at(p, session)->answered_ns = now_ns;
    se_session_touch(p->sessions, session);
}

bool se_pipeline_idle(const struct se_pipeline *p)
{
    return p->slots.free.n == p->slots.n && p->n_spare == SE_PIPELINE_JOBS;
}

/* ---- settle */

/* The slot, in no list, comes to nothing. */
static void finish_failed(struct se_pipeline *p, uint32_t at, int failed)
{
    slot_at(p, at)->failed = failed;
    slot_at(p, at)->state = SE_SLOT_DONE;
    se_slot_append(&p->slots, &p->slots.done, at);
}

/* The engine refused a step: who was in it with others goes alone next time, and whoever was
 * alone is told. */
static void settle_failed(struct se_pipeline *p, const struct se_job *job, uint32_t at)
{
    struct se_slot *slot = slot_at(p, at);
    if (job->n_parts == 1 && job->result < 0) {
        finish_failed(p, at, job->result);
        return;
    }
    slot->alone = job->n_parts > 1;
    slot->state = SE_SLOT_READY;
    se_slot_prepend(&p->slots, &p->slots.ready, at);
}

/* The path is text now; what was sampled behind it is the next root. */
static void settle_round(struct se_pipeline *p, struct se_job *job, uint32_t part)
{
    uint32_t at = job->slot[part];
    struct se_slot *slot = slot_at(p, at);
    struct se_session *s = session_at(p, slot->session);
    const struct se_part *of = &job->part[part];
    slot->begun_ns = job->begun_ns;
    slot->ended_ns = job->ended_ns;
    slot->step = p->steps;
    if (job->result == 0)
        s->computed += of->n_path;
    if (slot->dropped) {
        s->valid = slot->base < s->valid ? slot->base : s->valid;
        se_slot_release(&p->slots, at);
        return;
    }
    if (job->result != 0) {
        settle_failed(p, job, at);
        return;
    }
    slot->n_path = of->n_path;
    slot->bonus = of->bonus;
    for (uint32_t i = 0; i < of->n_path && slot->failed == 0; i++)
        slot->failed = se_session_append(s, &slot->token[slot->path[i]], 1);
    slot->state = SE_SLOT_DONE;
    se_slot_append(&p->slots, &p->slots.done, at);
    p->last.accepted += of->n_path;
}

static void settle_part(struct se_pipeline *p, struct se_job *job, uint32_t part)
{
    uint32_t at = job->session[part];
    struct se_session *s = session_at(p, at);
    s->in_job = false;
    if (job->slot[part] != SE_JOB_PREFILL)
        settle_round(p, job, part);
    else if (job->result == 0)
        s->computed += job->part[part].n_rows;
    uint32_t valid = s->valid < s->n ? s->valid : s->n;
    s->valid = UINT32_MAX;
    count_pages(p, s);
    if (s->closing) {
        se_pipeline_close(p, at);
        return;
    }
    if (s->computed > valid)
        rewind_seq(p, s, valid);
    if (job->result < 0 && job->n_parts == 1 && job->slot[part] == SE_JOB_PREFILL) {
        if (s->slot != SE_SLOT_NONE)
            finish_failed(p, s->slot, job->result);
        se_pipeline_cut(p, at, 0);
        return;
    }
    if (s->computed < s->n)
        queue_want(p, at, true, 0);
    else if (s->slot != SE_SLOT_NONE && slot_at(p, s->slot)->state == SE_SLOT_FILLING)
        make_ready(p, s->slot, job->ended_ns);
}

static void note_step(struct se_pipeline *p, const struct se_job *job)
{
    uint64_t took = job->ended_ns - job->begun_ns;
    uint64_t idle = job->begun_ns > p->ended_ns ? job->begun_ns - p->ended_ns : 0;
    float span = (float)(took + idle), weight = span < BUSY_SPAN_NS ? span / BUSY_SPAN_NS : 1;
    if (p->steps > 0 && span > 0)
        p->busy += ((float)took / span - p->busy) * weight;
    if (job->result == 0)
        se_pace_note(&p->pace, job->rows, took);
    p->last = (struct se_server_step){ .number = ++p->steps,
                                       .begun_ns = job->begun_ns,
                                       .step_ns = took,
                                       .idle_ns = p->steps > 1 ? idle : 0,
                                       .rows = job->rows,
                                       .prefill_rows = job->prefill_rows,
                                       .at_work = p->n_at_work,
                                       .pages_free = p->pages_free };
    p->ended_ns = p->free_ns = job->ended_ns;
}

static void count_left(struct se_pipeline *p, uint32_t at, uint64_t begun_ns)
{
    struct se_slot *slot = slot_at(p, at);
    if (slot->ready_ns >= begun_ns)
        return;
    p->last.left++;
    slot->passed++;
    p->passed_max = slot->passed > p->passed_max ? slot->passed : p->passed_max;
}

static bool is_spare(const struct se_pipeline *p, const struct se_job *job)
{
    for (uint32_t i = 0; i < p->n_spare; i++)
        if (p->spare[i] == job)
            return true;
    return false;
}

/* Rounds that were ready when the step began without them: they wait still, or have a place in
 * one that came after it. */
static void count_all_left(struct se_pipeline *p, const struct se_job *job)
{
    for (uint32_t at = p->slots.ready.first; at != SE_SLOT_NONE; at = slot_at(p, at)->next)
        count_left(p, at, job->begun_ns);
    for (int i = 0; i < SE_PIPELINE_JOBS; i++) {
        const struct se_job *other = &p->job[i];
        if (other == job || is_spare(p, other))
            continue;
        for (uint32_t k = 0; k < other->n_parts; k++)
            if (other->slot[k] != SE_JOB_PREFILL)
                count_left(p, other->slot[k], job->begun_ns);
    }
}

static void count_waits(struct se_pipeline *p, const struct se_job *job)
{
    for (uint32_t i = 0; i < job->n_parts; i++) {
        if (job->slot[i] == SE_JOB_PREFILL) {
            p->last.prefills++;
            continue;
        }
        uint64_t arrived = slot_at(p, job->slot[i])->arrived_ns;
        uint64_t wait = job->begun_ns > arrived ? job->begun_ns - arrived : 0;
        p->last.rounds++;
        p->last.queue_ns += wait;
        if (wait > p->last.queue_max_ns)
            p->last.queue_max_ns = wait;
    }
    p->last.max_batch = p->live->max_batch;
    if (p->last.rounds > 0)
        p->last.queue_ns /= p->last.rounds;
}

bool se_pipeline_settle(struct se_pipeline *p, uint64_t now_ns)
{
    struct se_job *job = se_stepper_done(p->stepper);
    (void)now_ns;
    if (!job)
        return false;
    if (job == p->seated)
        p->seated = NULL;
    if (job->n_parts > 0) {
        note_step(p, job);
        count_waits(p, job);
        count_all_left(p, job);
        p->settled = true;
    }
    memcpy(p->why, job->why, sizeof p->why);
    p->gone |= job->result == -EIO;
    for (uint32_t i = 0; i < job->n_parts; i++)
        settle_part(p, job, i);
    p->spare[p->n_spare++] = job;
    p->look_ns = 0;
    p->stuck = false;
    return true;
}

/* ---- form */

/* Who gives up keys and values before whom; none that has a round under way does. What an edge
 * needs it takes from its own sessions first, or a few greedy ones would live at the cost of all.
 * A prompt that nobody has asked about yet yields to a round, but not to another such prompt. */
enum { PARKED, OWN, IDLE, PROMPT, AT_WORK, NEVER };

static int yields(const struct se_session *s, const struct se_session *needs)
{
    if (s == needs || s->id == 0 || s->pages == 0 || s->in_job || s->closing ||
        s->slot != SE_SLOT_NONE)
        return NEVER;
    if (s->peer == 0)
        return PARKED;
    if (s->peer == needs->peer)
        return OWN;
    if (s->computed < s->n)
        return needs->slot != SE_SLOT_NONE ? PROMPT : NEVER;
    return s->at_work ? AT_WORK : IDLE;
}

/* Of those who are alike, whoever was not heard of for longest. */
static uint32_t find_victim(const struct se_pipeline *p, const struct se_session *needs)
{
    uint32_t victim = SE_SESSION_NONE;
    int lowest = NEVER;
    for (uint32_t i = 0; i < p->sessions->used; i++) {
        const struct se_session *s = session_at(p, i);
        int rank = yields(s, needs);
        if (rank < lowest ||
            (rank == lowest && rank < NEVER && s->heard_ns < session_at(p, victim)->heard_ns)) {
            victim = i;
            lowest = rank;
        }
    }
    return victim;
}

/* Takes from those who can spare. True: there is room now. */
static bool make_room(struct se_pipeline *p, const struct se_session *needs, uint32_t pages)
{
    while (p->pages_free < pages) {
        uint32_t victim = find_victim(p, needs);
        if (victim == SE_SESSION_NONE)
            return false;
        uint32_t before = p->pages_free;
        se_pipeline_cut(p, victim, 0);
        session_at(p, victim)->answered = false;
        if (p->pages_free == before)
            return false;
        p->sessions->evictions++;
    }
    return true;
}

/* A sequence for the session, and pages for so many more rows. */
static bool have_pages(struct se_pipeline *p, struct se_session *s, uint32_t rows)
{
    uint32_t need = pages_for(s->computed + rows) - s->pages;
    if (pages_for(s->computed + rows) > s->pages && !make_room(p, s, need))
        return false;
    return s->seq || se_seq_new(&s->seq, p->kv) == 0;
}

static struct se_part *add_part(struct se_pipeline *p, struct se_job *job, uint32_t session,
                                uint32_t slot, uint32_t rows)
{
    struct se_session *s = session_at(p, session);
    struct se_part *part = &job->part[job->n_parts];
    job->session[job->n_parts] = session;
    job->slot[job->n_parts++] = slot;
    job->rows += rows;
    s->in_job = true;
    s->valid = UINT32_MAX;
    s->job_rows = rows;
    count_pages(p, s);
    *part = (struct se_part){ .seq = s->seq, .n_rows = rows };
    return part;
}

static void add_round(struct se_pipeline *p, struct se_job *job, uint32_t at)
{
    struct se_slot *slot = slot_at(p, at);
    se_slot_unlink(&p->slots, &p->slots.ready, at);
    slot->state = SE_SLOT_RUNNING;
    struct se_part *part = add_part(p, job, slot->session, at, slot->n);
    part->token = slot->token;
    part->parent = slot->parent;
    part->want = SE_WANT_VERDICT;
    part->sampling = &session_at(p, slot->session)->sampling;
    part->path = slot->path;
}

static uint32_t count_rounds(const struct se_job *job)
{
    uint32_t rounds = 0;
    for (uint32_t i = 0; i < job->n_parts; i++)
        rounds += job->slot[i] != SE_JOB_PREFILL;
    return rounds;
}

/* Rows that rounds leave to prompts when there are more of both than a step holds: a prompt
 * counts for as much as a round. */
static uint32_t rows_for_prompts(const struct se_pipeline *p, const struct se_job *job)
{
    const uint64_t all = (uint64_t)p->n_wants + p->slots.ready.n;
    if (p->n_wants == 0)
        return 0;
    uint32_t rows = (uint32_t)((uint64_t)job->max_rows * p->n_wants / all);
    rows = rows < PREFILL_LEAST ? PREFILL_LEAST : rows;
    return rows > job->prefill_rows ? rows - job->prefill_rows : 0;
}

/* Ready rounds, the oldest first. One that finds no room stays first in line, and smaller ones
 * behind it may still go: it waits for one step more at most. The first is let in whatever
 * prompts there are. */
static void add_rounds(struct se_pipeline *p, struct se_job *job)
{
    uint32_t rounds = count_rounds(job), next;
    const uint32_t kept = rows_for_prompts(p, job);
    for (uint32_t at = p->slots.ready.first; at != SE_SLOT_NONE; at = next) {
        struct se_slot *slot = slot_at(p, at);
        next = slot->next;
        if (rounds >= p->live->max_batch || job->n_parts >= job->max_parts)
            return;
        if (job->rows + slot->n + (rounds > 0 ? kept : 0) > job->max_rows)
            continue;
        if (slot->alone && job->n_parts > 0)
            continue;
        if (!have_pages(p, session_at(p, slot->session), slot->n))
            continue;
        bool alone = slot->alone;
        add_round(p, job, at);
        rounds++;
        if (alone)
            return;
    }
}

/* More of prompts, in a step of so many rounds and rows, some of them of prompts already. While
 * others are at work, prompts may make a step longer by prefill_ns, or have as many rows as the
 * rounds beside them, one prompt for one round: whichever is more. */
static uint32_t prefill_rows(const struct se_pipeline *p, uint32_t rounds, uint32_t rows,
                             uint32_t of_prompts)
{
    const uint32_t left = p->max_rows - rows, of_rounds = rows - of_prompts;
    uint32_t others = p->n_at_work;
    if (p->want_first != SE_SESSION_NONE && session_at(p, p->want_first)->at_work)
        others--;
    if (left == 0 || (rounds == 0 && others == 0))
        return left; /* nobody else is there to be kept waiting */
    const uint32_t pairs = p->n_wants < rounds ? p->n_wants : rounds;
    uint32_t fair = rounds > 0 ? of_rounds / rounds * pairs : 0;
    fair = fair < PREFILL_LEAST ? PREFILL_LEAST : fair;
    const uint64_t without_ns = se_pace_ns(&p->pace, of_rounds > 0 ? of_rounds : 1);
    const uint64_t with_ns = without_ns + p->live->prefill_ns;
    const uint32_t most = se_pace_rows(&p->pace, with_ns, of_rounds, p->max_rows) - of_rounds;
    const uint32_t may = most > fair ? most : fair;
    const uint32_t more = may > of_prompts ? may - of_prompts : 0;
    return more < left ? more : left;
}

static void add_prefills(struct se_pipeline *p, struct se_job *job)
{
    uint32_t rows = prefill_rows(p, count_rounds(job), job->rows, job->prefill_rows);
    uint32_t at = p->want_first, next;
    for (; rows > 0 && at != SE_SESSION_NONE && job->n_parts < job->max_parts; at = next) {
        struct se_session *s = session_at(p, at);
        uint32_t n = s->n - s->computed < rows ? s->n - s->computed : rows;
        bool room = have_pages(p, s, n);
        next = s->want_next; /* room may have been made of others in the queue */
        if (!room)
            continue; /* others may find some */
        unqueue_want(p, at);
        struct se_part *part = add_part(p, job, at, SE_JOB_PREFILL, n);
        memcpy(job->token + job->n_tokens, s->text + s->computed, n * sizeof *s->text);
        part->token = job->token + job->n_tokens;
        part->want = SE_WANT_NOTHING;
        job->n_tokens += n;
        job->prefill_rows += n;
        rows -= n;
    }
}

static void add_chores(struct se_pipeline *p, struct se_job *job)
{
    for (uint32_t i = 0; i < p->chores.n_chores; i++) {
        const struct se_chore *chore = &p->chores.chore[i];
        if (se_job_chore(job, chore->seq, chore->keep, chore->free) < 0) {
            p->chores.n_chores -= i; /* the rest another time */
            memmove(p->chores.chore, p->chores.chore + i, p->chores.n_chores * sizeof *chore);
            return;
        }
    }
    p->chores.n_chores = 0;
}

/* Puts into the job what is ready. */
static void fill(struct se_pipeline *p, struct se_job *job)
{
    bool alone =
        job->n_parts == 1 && job->slot[0] != SE_JOB_PREFILL && slot_at(p, job->slot[0])->alone;
    if (alone)
        return;
    add_rounds(p, job);
    alone = job->n_parts == 1 && job->slot[0] != SE_JOB_PREFILL && slot_at(p, job->slot[0])->alone;
    if (!alone)
        add_prefills(p, job);
    add_chores(p, job);
}

/* ---- when */

/* When a session's next round is likely to be there; UINT64_MAX: nobody can tell. A deviation
 * is added to the mean, for a step waits for the last of several. Who is late even so is likely to
 * come in half a deviation, until two have passed: then it is not waited for any more. */
static uint64_t due_ns(struct se_pipeline *p, const struct se_session *s, uint64_t now_ns,
                       uint64_t start_ns)
{
    const uint64_t turn = (uint64_t)(s->turn_ns + s->turn_dev_ns);
    if (s->turn_ns == 0 || s->peer == 0)
        return UINT64_MAX;
    if (s->in_job && s->slot != SE_SLOT_NONE && slot_at(p, s->slot)->state == SE_SLOT_RUNNING)
        return start_ns + turn; /* it is answered when the step ends */
    if (s->slot != SE_SLOT_NONE || s->in_job)
        return UINT64_MAX;
    if (s->answered_ns + turn > now_ns)
        return s->answered_ns + turn;
    if (s->answered_ns + turn + (uint64_t)(2 * s->turn_dev_ns) < now_ns)
        return UINT64_MAX;
    return now_ns + (uint64_t)(s->turn_dev_ns / 2);
}

/* Expected rounds, the soonest first: of those who are at work and were answered, or will be when
 * the step that runs has ended. */
static uint32_t expect(struct se_pipeline *p, uint64_t now_ns, uint64_t start_ns,
                       struct se_arrival *next)
{
    uint32_t n = 0, looked = 0;
    for (uint32_t at = p->work_first; at != SE_SESSION_NONE && looked < LOOK_AT; looked++) {
        const struct se_session *s = session_at(p, at);
        at = s->work_next;
        const uint64_t due = due_ns(p, s, now_ns, start_ns);
        if (due == UINT64_MAX)
            continue;
        struct se_arrival item = { due, (uint32_t)(s->turn_rows + 0.5f) };
        if (n == ARRIVALS && next[n - 1].at_ns <= item.at_ns)
            continue;
        uint32_t i = n < ARRIVALS ? n++ : n - 1;
        for (; i > 0 && next[i - 1].at_ns > item.at_ns; i--)
            next[i] = next[i - 1];
        next[i] = item;
    }
    return n;
}

/* Rows and rounds of the step that would be launched now. */
static uint32_t ready_rows(struct se_pipeline *p, uint32_t *rounds)
{
    uint32_t rows = 0;
    *rounds = 0;
    for (uint32_t at = p->slots.ready.first; at != SE_SLOT_NONE; at = slot_at(p, at)->next) {
        if (*rounds == p->live->max_batch || rows + slot_at(p, at)->n > p->max_rows)
            break;
        rows += slot_at(p, at)->n;
        ++*rounds;
    }
    return rows;
}

/* When the engine will be free: now, or when the steps that were launched are likely to end. */
static uint64_t engine_free_ns(const struct se_pipeline *p, uint64_t now_ns)
{
    uint64_t end = p->free_ns;
    if (p->n_spare == SE_PIPELINE_JOBS)
        return now_ns;
    for (int i = 0; i < SE_PIPELINE_JOBS; i++)
        if (!is_spare(p, &p->job[i]))
            end += se_pace_ns(&p->pace, p->job[i].rows ? p->job[i].rows : 1);
    return end > now_ns ? end : now_ns;
}

/* 0: launch. Otherwise the moment to ask again. */
static uint64_t launch_at(struct se_pipeline *p, uint64_t now_ns)
{
    const uint64_t start_ns = engine_free_ns(p, now_ns);
    struct se_arrival next[ARRIVALS];
    const bool idle = p->n_spare == SE_PIPELINE_JOBS;
    struct se_policy_view view = { .start_ns = start_ns,
                                   .free_ns = idle ? p->ended_ns : start_ns,
                                   .next = next,
                                   .at_work = p->n_at_work,
                                   .busy = p->busy,
                                   .batch = p->live->max_batch,
                                   .max_rows = p->max_rows,
                                   .wait_ns = p->live->wait_ns,
                                   .pace = &p->pace };
    view.rows = ready_rows(p, &view.ready);
    view.oldest_ns = UINT64_MAX;
    if (view.ready < p->slots.ready.n)
        return 0; /* more than full */
    if (view.ready > 0) {
        const struct se_slot *first = slot_at(p, p->slots.ready.first);
        if (first->alone)
            return 0;
        view.oldest_ns = first->arrived_ns;
    }
    if (p->want_first != SE_SESSION_NONE) { /* prompts are as one round more */
        const struct se_session *s = session_at(p, p->want_first);
        const uint32_t most = prefill_rows(p, view.ready, view.rows, 0), n = s->n - s->computed;
        view.rows += n < most ? n : most;
        view.ready++;
        view.oldest_ns = s->want_ns < view.oldest_ns ? s->want_ns : view.oldest_ns;
    }
    if (view.ready == 0)
        return idle ? 0 : UINT64_MAX; /* chores alone */
    if (p->live->policy == SE_POLICY_PIPELINE)
        view.n_next = expect(p, now_ns, start_ns, next);
    uint64_t when = se_policy_when(p->live->policy, &view);
    return when <= start_ns ? 0 : when;
}

static void offer(struct se_pipeline *p, struct se_job *job, uint64_t now_ns)
{
    p->seated = job;
    if (p->n_spare == SE_PIPELINE_JOBS - 1 && p->free_ns < now_ns) /* it begins at once */
        p->free_ns = now_ns;
    se_stepper_offer(p->stepper, job);
    for (uint32_t i = 0; i < job->n_parts; i++) /* room for what it will bring, while it runs */
        if (job->slot[i] != SE_SLOT_NONE)
            se_session_reserve(session_at(p, job->session[i]), slot_at(p, job->slot[i])->n);
}

/* A step that has not begun takes in what has come since. */
static bool refill(struct se_pipeline *p, uint64_t now_ns)
{
    struct se_job *job = se_stepper_recall(p->stepper);
    p->seated = NULL;
    if (!job)
        return false;
    uint32_t parts = job->n_parts, chores = job->n_chores;
    fill(p, job);
    bool more = job->n_parts > parts || job->n_chores > chores;
    offer(p, job, now_ns); /* from here on it may run */
    return more;
}

/* Everybody who is in the middle of something waits for pages that nobody can spare: the one
 * who came last gives way, and comes again. */
static void give_way(struct se_pipeline *p)
{
    uint32_t last = SE_SLOT_NONE;
    for (uint32_t i = 0; i < p->slots.n; i++) {
        const struct se_slot *slot = slot_at(p, i);
        bool waits = slot->state == SE_SLOT_READY || slot->state == SE_SLOT_FILLING;
        if (waits && session_at(p, slot->session)->pages > 0 &&
            (last == SE_SLOT_NONE || slot->arrived_ns >= slot_at(p, last)->arrived_ns))
            last = i;
    }
    if (last == SE_SLOT_NONE)
        return;
    struct se_slot *slot = slot_at(p, last);
    if (slot->state == SE_SLOT_READY)
        se_slot_unlink(&p->slots, &p->slots.ready, last);
    finish_failed(p, last, -EAGAIN);
    se_pipeline_cut(p, slot->session, 0);
    p->sessions->evictions++;
}

/* Texts that the server writes on by itself are in a step that runs: they are ready the moment it
 * ends, and a step that was formed without them would part those who could share one for ever. */
static bool writers_run(const struct se_pipeline *p)
{
    for (int i = 0; i < SE_PIPELINE_JOBS && p->n_spare < SE_PIPELINE_JOBS; i++)
        for (uint32_t k = 0; k < p->job[i].n_parts; k++)
            if (session_at(p, p->job[i].session[k])->in_job &&
                session_at(p, p->job[i].session[k])->ahead > 0)
                return true;
    return false;
}

static struct se_job *form(struct se_pipeline *p)
{
    struct se_job *job = p->spare[--p->n_spare];
    se_job_reset(job);
    fill(p, job);
    if (job->n_parts > 0 || job->n_chores > 0)
        return job;
    p->spare[p->n_spare++] = job;
    return NULL;
}

bool se_pipeline_launch(struct se_pipeline *p, uint64_t now_ns)
{
    expire_work(p, now_ns);
    bool rounds = p->slots.ready.n > 0, rest = p->want_first != SE_SESSION_NONE;
    rest = rest || p->chores.n_chores > 0;
    if (!rounds && !rest)
        return false;
    if (p->seated && refill(p, now_ns))
        return true;
    /* One job must be there for what comes back. */
    if (p->seated || p->n_spare < 2 || p->stuck || now_ns < p->look_ns)
        return false;
    if (writers_run(p) || (p->look_ns = launch_at(p, now_ns)) != 0)
        return false;
    struct se_job *job = form(p);
    if (!job && p->n_spare == SE_PIPELINE_JOBS) {
        give_way(p);
        job = form(p);
    }
    p->stuck = !job; /* until something comes back or goes */
    if (!job)
        return p->slots.done.n > 0;
    offer(p, job, now_ns);
    return true;
}

uint64_t se_pipeline_next_ns(const struct se_pipeline *p)
{
    bool waits = p->slots.ready.n > 0 || p->want_first != SE_SESSION_NONE;
    waits = waits && !p->seated && !p->stuck && p->n_spare >= 2 && !writers_run(p);
    return waits ? p->look_ns : UINT64_MAX;
}
