/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/load.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "sched/edge/talk.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"
#include "transport/faulty.h"

enum { FRAMES = 64, FRAMES_OF_EDGE = 16 };
#define DRAIN_NS UINT64_C(100000000)
#define GIVE_UP_NS UINT64_C(10000000000) /* without a sign of the server */

enum phase { RESTING, DRAFTING, WAITING };

struct se_load_edge {
    struct se_load *load;
    struct se_edge_options options;
    struct se_talk talk;
    struct se_link *link, *inner; /* with the way made longer; as it is */
    struct se_rng rng;
    struct se_oracle_text *text;
    enum phase phase;
    uint64_t due_ns;    /* the end of a rest, or of drafting */
    uint64_t wanted_ns; /* an answer: this one, and while it rests the next, which may have to wait
                         * for the end of the last */
    uint64_t answers;   /* begun */
    bool heard;         /* something of this answer */
};

/* ---- what was seen */

static int note(struct se_load_edge *e, enum se_load_time what, double ns)
{
    struct se_load_seen *seen = e->load->seen;
    return seen ? se_hist_add(&seen->ms[what], ns * 1e-6) : 0;
}

static int note_round(struct se_load_edge *e, const struct se_talk_result *result)
{
    const double trip_ns = (double)e->load->o.trip_ns;
    const double queue_ns = result->wire.queue_us * 1e3, step_ns = result->wire.step_us * 1e3;
    const double round_ns = (double)result->wait_ns - trip_ns;
    int r = note(e, SE_LOAD_ROUND, round_ns);
    if (r == 0)
        r = note(e, SE_LOAD_QUEUE, queue_ns);
    if (r == 0)
        r = note(e, SE_LOAD_STEP, step_ns);
    if (r == 0)
        r = note(e, SE_LOAD_WAY, round_ns - queue_ns - step_ns);
    return r;
}

static uint32_t answered(const struct se_load_edge *e) { return e->talk.n - e->text->prompt; }

static int note_answer(struct se_load_edge *e, uint64_t now_ns)
{
    if (e->load->seen)
        e->load->seen->answers++;
    return note(e, SE_LOAD_TOKEN, (double)(now_ns - e->wanted_ns) / answered(e));
}

/* ---- an answer, from ask to end */

/* Exponential, so that edges that began together do not stay together. */
static uint64_t some_time(struct se_load_edge *e, double mean_ns)
{
    return (uint64_t)(-log(se_rng_unit(&e->rng)) * mean_ns);
}

/* When the next one is wanted: so long after this one's end, or, where they come by themselves,
 * so long after this one was wanted, be that over or not. */
static void rest(struct se_load_edge *e, uint64_t now_ns)
{
    const struct se_load_options *o = &e->load->o;
    e->phase = RESTING;
    e->wanted_ns = o->rate > 0 ? e->wanted_ns + some_time(e, 1e9 / o->rate)
                               : now_ns + some_time(e, (double)o->think_ns);
    e->due_ns = e->wanted_ns > now_ns ? e->wanted_ns : now_ns;
}

static void draft(struct se_load_edge *e, uint64_t now_ns)
{
    e->phase = DRAFTING;
    e->due_ns = now_ns + (e->text->n < e->text->want ? 0 : e->load->o.draft_ns);
}

static int ask(struct se_load_edge *e, uint64_t now_ns)
{
    const struct se_load_options *o = &e->load->o;
    /* Another one than before, or the server would have its prompt already. */
    e->text = &o->text[(e->answers++ + (uint64_t)(e - e->load->edge)) % o->n_texts];
    e->heard = false;
    draft(e, now_ns);
    return se_talk_set(&e->talk, e->text->id, e->text->prompt, now_ns);
}

/* A tree; or, of a text that is not known yet, all that is missing, one token after the other. */
static void verify(struct se_load_edge *e)
{
    const struct se_oracle *oracle = e->load->o.oracle;
    const struct se_oracle_text *text = e->text;
    const uint32_t at = e->talk.n;
    uint32_t id[SE_WIRE_NODES_MAX] = { text->id[at - 1] };
    const bool known = text->n == text->want;
    if (known)
        se_oracle_draft(oracle, &e->rng, text->id[at - 1], text->id + at, id);
    se_talk_verify(&e->talk, oracle->parent, id, known ? oracle->nodes : 1,
                   known ? 0 : (uint16_t)(text->want - at - 1), 0);
    e->phase = WAITING;
}

/* What came is what plain decoding gave, or else the first that is known of it. */
static int follow(struct se_load_edge *e, uint32_t from)
{
    struct se_oracle_text *text = e->text;
    for (uint32_t i = from; i < e->talk.n && i < text->want; i++) {
        if (i == text->n)
            text->id[text->n++] = e->talk.text[i];
        if (text->id[i] != e->talk.text[i])
            return se_fail(-EPROTO,
                           "token %" PRIu32 " of an answer is %" PRIu32
                           ", and plain decoding gave %" PRIu32,
                           i - text->prompt, e->talk.text[i], text->id[i]);
    }
    return 0;
}

static int on_result(struct se_load_edge *e, const struct se_talk_result *result, uint64_t now_ns)
{
    const uint32_t from = e->talk.n - result->wire.accepted;
    const uint32_t end = e->text->prompt + e->load->o.tokens;
    struct se_load_seen *seen = e->load->seen;
    int r = follow(e, from);
    if (r == 0 && e->heard)
        r = note_round(e, result);
    else if (r == 0)
        r = note(e, SE_LOAD_FIRST, (double)(now_ns - e->wanted_ns));
    e->heard = true;
    if (seen) { /* what goes beyond the answer's end is of no use */
        seen->rounds++;
        seen->tokens += (e->talk.n < end ? e->talk.n : end) - from;
    }
    if (r < 0 || se_talk_waits(&e->talk))
        return r;
    if (e->talk.n < end) {
        draft(e, now_ns);
        return 0;
    }
    r = note_answer(e, now_ns);
    rest(e, now_ns);
    return r;
}

/* ---- duty */

static int hear(struct se_load_edge *e, uint64_t now_ns)
{
    struct se_talk_result result;
    int some = 0, r;
    while ((r = se_talk_work(&e->talk, now_ns, &result)) != SE_TALK_NOTHING) {
        some = 1;
        if (r == SE_TALK_RESULT)
            r = on_result(e, &result, now_ns);
        if (r == SE_EDGE_FULL)
            e->load->full = true;
        if (r != 0)
            return r == SE_EDGE_FULL ? 0 : r < 0 ? se_trace(r) : -EPROTO;
        now_ns = se_clock_ns();
    }
    return some;
}

/* What is due by time. 1: something was. */
static int act(struct se_load_edge *e, uint64_t now_ns)
{
    if (e->phase == WAITING || now_ns < e->due_ns)
        return 0;
    int r = note(e, SE_LOAD_LATE, (double)(now_ns - e->due_ns));
    if (r == 0 && e->phase == RESTING)
        r = ask(e, now_ns);
    else if (r == 0)
        verify(e);
    return r < 0 ? se_trace(r) : 1;
}

static int work(void *of, uint32_t i)
{
    struct se_load *load = of;
    struct se_load_edge *e = &load->edge[i];
    int some = 0, r;
    do {
        r = act(e, se_clock_ns());
        if (r >= 0) {
            some |= r;
            r = hear(e, se_clock_ns());
        }
        some |= r > 0;
    } while (r > 0 && !load->full);
    return r < 0 ? r : some && !load->full;
}

static struct se_link *link_of(void *of, uint32_t i)
{
    return ((struct se_load *)of)->edge[i].inner;
}

static uint64_t next_of(const struct se_load_edge *e)
{
    const uint64_t held_ns = se_faulty_next_ns(e->link), talk_ns = se_talk_next_ns(&e->talk);
    uint64_t next_ns = held_ns < talk_ns ? held_ns : talk_ns;
    return e->phase != WAITING && e->due_ns < next_ns ? e->due_ns : next_ns;
}

/* Those whose time has come; returns when the next one's does. */
static int work_on_due(struct se_load *load, uint64_t *next_ns)
{
    *next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < load->o.edges && !load->full; i++) {
        uint64_t due_ns = next_of(&load->edge[i]);
        if (due_ns <= se_clock_ns()) {
            se_lookout_stir(&load->lookout, i);
            const int r = work(load, i);
            if (r < 0)
                return se_trace(r);
            due_ns = next_of(&load->edge[i]);
        }
        *next_ns = due_ns < *next_ns ? due_ns : *next_ns;
    }
    return 0;
}

int se_load_run(struct se_load *load, uint64_t ns, struct se_load_seen *seen)
{
    const uint64_t end_ns = se_clock_ns() + ns;
    int r = 0;
    load->seen = seen;
    for (uint64_t now_ns; r == 0 && !load->full && (now_ns = se_clock_ns()) < end_ns;) {
        uint64_t next_ns;
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
        r = work_on_due(load, &next_ns);
        next_ns = next_ns < end_ns ? next_ns : end_ns;
        now_ns = se_clock_ns();
        if (r == 0 && !load->full)
            r = se_lookout_wait(&load->lookout, next_ns > now_ns ? next_ns - now_ns : 0);
    }
    load->seen = NULL;
    return r < 0 ? se_trace(r) : 0;
}

/* ---- life */

static uint64_t clock_now(void *context)
{
    (void)context;
    return se_clock_ns();
}

static void on_note(void *context, const char *text)
{
    (void)text;
    ((struct se_load *)context)->held_up++;
}

static struct se_edge_options options_of(struct se_load *load, uint32_t i)
{
    struct se_edge_options o = se_edge_options();
    o.link = load->edge[i].link;
    o.frames = load->frames;
    o.nonce = (se_clock_ns() ^ (uint64_t)getpid() << 40) + ((uint64_t)i << 32);
    o.fingerprint = load->o.hello->fingerprint;
    o.tokens = load->o.hello->tokens;
    o.sampling = load->o.sampling;
    o.busy = SE_EDGE_BUSY_FAIL;
    o.give_up_ns = GIVE_UP_NS;
    o.watch = (struct se_edge_watch){ .context = load, .note = on_note };
    return o;
}

static int open_edge(struct se_load *load, uint32_t i)
{
    const struct se_load_options *o = &load->o;
    struct se_load_edge *e = &load->edge[i];
    const struct se_link_options link = se_link_options(load->frames);
    const struct se_faulty_options longer = { .now_ns = clock_now,
                                              .frames = load->frames,
                                              .delay_min_ns = o->trip_ns / 2,
                                              .delay_max_ns = o->trip_ns / 2 };
    e->load = load;
    int r = se_link_connect(&e->inner, o->url, &link);
    if (r == 0 && (r = se_faulty_wrap(&e->link, e->inner, &longer)) < 0)
        se_link_fini(e->inner);
    if (r < 0)
        return se_trace(r);
    load->lookout.n++;
    e->options = options_of(load, i);
    se_talk_init(&e->talk, &e->options);
    se_rng_init(&e->rng, o->seed + i, SE_RNG_TEST);
    e->wanted_ns = se_clock_ns();
    rest(e, e->wanted_ns + (uint64_t)(se_rng_unit(&e->rng) * (double)(o->draft_ns + o->trip_ns)));
    return 0;
}

int se_load_open(struct se_load *load, const struct se_load_options *options)
{
    *load = (struct se_load){ .o = *options };
    load->edge = se_mem_zero(options->edges, sizeof *load->edge);
    load->lookout = (struct se_lookout){ .read = work, .link = link_of, .of = load };
    int r = load->edge ? se_lookout_init(&load->lookout, options->edges) : -ENOMEM;
    if (r == 0)
        r = se_frames_new(&load->frames, FRAMES + FRAMES_OF_EDGE * options->edges,
                          SE_WIRE_FRAME_MAX);
    for (uint32_t i = 0; i < options->edges && r == 0; i++)
        r = open_edge(load, i);
    return r < 0 ? se_trace(r) : 0;
}

void se_load_close(struct se_load *load)
{
    for (uint32_t i = 0; i < load->lookout.n; i++) {
        se_talk_bye(&load->edge[i].talk);
        se_link_close(load->edge[i].link);
    }
    for (uint32_t i = 0; i < load->lookout.n; i++) {
        se_link_drain(load->edge[i].link, DRAIN_NS);
        se_link_fini(load->edge[i].link);
        se_talk_fini(&load->edge[i].talk);
    }
    se_lookout_fini(&load->lookout);
    se_frames_free(load->frames);
    se_mem_free(load->edge);
    *load = (struct se_load){ .full = false };
}
