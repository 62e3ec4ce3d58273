/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "tools/interrupt.h"
#include "tools/program.h"
#include "tools/se_run.h"
#include "tools/se_run_object.h"

/* A signal may come between the last look and the sleep; so long at most it goes unseen. */
#define NAP_NS UINT64_C(250000000)

/* ---- what the edge tells */

static void keep_first(struct se_run *run, int r)
{
    if (r < 0 && run->watched == 0)
        run->watched = r;
}

static void on_round(void *context, const struct se_edge_round *round)
{
    struct se_run *run = context;
    keep_first(run, se_run_tally_round(&run->one, round));
    keep_first(run, se_run_tally_round(&run->all, round));
    if (run->part)
        keep_first(run, se_run_tally_round(run->part, round));
    /* The text goes on without its records: it is what the user waits for. */
    if (se_run_record_round(&run->record, round) < 0)
        snprintf(run->broken, sizeof run->broken, "%s", se_err_text());
    if (run->trace) {
        se_trace_log_edge_round(run->trace, round, run->record.request);
        if (se_trace_log_check(run->trace) < 0)
            se_program_say("%s", se_err_text());
    }
}

static void on_span(void *context, const struct se_edge_span *span)
{
    se_trace_log_span(((struct se_run *)context)->trace, span);
}

static void on_note(void *context, const char *text)
{
    const struct se_run *run = context;
    if (run->o->quiet)
        return;
    bool same_screen = isatty(STDOUT_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    if (run->writer.mid_line && same_screen)
        fputc('\n', stderr);
    se_program_say("%s", text);
}

struct se_edge_watch se_run_watch(struct se_run *run)
{
    return (struct se_edge_watch){
        .context = run, .round = on_round, .span = run->trace ? on_span : NULL, .note = on_note
    };
}

int se_run_records_whole(const struct se_run *run)
{
    if (!run->broken[0])
        return 0;
    se_fail(-EIO, "%s", run->broken);
    return SE_RUN_PARTIAL;
}

bool se_run_tells(const struct se_run *run)
{
    return run->o->stats || (!run->o->quiet && isatty(STDERR_FILENO) == 1);
}

/* ---- an answer */

static int outcome_of(int r)
{
    switch (r) {
    case SE_EDGE_DONE:
        return 0;
    case SE_EDGE_UNREACHABLE:
        return SE_RUN_UNREACHABLE;
    case SE_EDGE_REFUSED:
        return SE_RUN_REFUSED;
    case SE_EDGE_FULL:
        return SE_RUN_FULL;
    default:
        return se_trace(r);
    }
}

static int show_new(struct se_run *run)
{
    const uint32_t *id;
    const uint8_t *from;
    uint32_t n = se_edge_answer(run->edge.edge, &id, &from);
    return se_run_writer_add(&run->writer, id, from, n, se_edge_stopped(run->edge.edge));
}

/* Sleeps until there is something to do: for the edge, or because the user wants to stop. */
static int rest(struct se_run *run)
{
    uint64_t now = se_clock_ns(), next = se_edge_next_ns(run->edge.edge);
    uint64_t ns = next <= now ? 0 : next - now < NAP_NS ? next - now : NAP_NS;
    int r = se_link_wait(run->edge.link, ns);
    return r < 0 ? se_trace(r) : se_run_server_check(run->edge.server);
}

/* What is not the edge's business: output, records, the thread of the target. */
static int see_to_the_rest(struct se_run *run, int shown, bool waits)
{
    if (shown != 0)
        return shown;
    if (run->watched < 0)
        return run->watched;
    return waits ? rest(run) : 0;
}

/* Works until the answer is over. *interrupted: by the user. */
static int work(struct se_run *run, bool *interrupted)
{
    struct se_edge *edge = run->edge.edge;
    for (;;) {
        if (!*interrupted && se_interrupt_came()) {
            *interrupted = true;
            se_edge_stop(edge);
        }
        int r = se_edge_work(edge);
        int shown = show_new(run);
        if (r == SE_EDGE_DONE)
            return shown;
        if (r != 0 && r != SE_EDGE_WAIT)
            return outcome_of(r);
        r = see_to_the_rest(run, shown, r == SE_EDGE_WAIT);
        if (r != 0) {
            se_edge_stop(edge);
            return r;
        }
    }
}

static int ask(struct se_run *run, const struct se_ids *prompt)
{
    const struct se_stops *stops = &run->words.stops;
    struct se_edge_ask ask = { .id = prompt->id,
                               .n = (uint32_t)prompt->n,
                               .max_new = (uint32_t)run->o->n,
                               .stop = stops->id,
                               .n_stops = run->o->ignore_eos ? 0 : stops->n };
    if (prompt->n == 0)
        return se_fail(-EINVAL, "the prompt is empty: there is nothing to go on from");
    if (prompt->n > UINT32_MAX / 2)
        return se_fail(-ERANGE, "a prompt of %zu tokens is too long", prompt->n);
    int r = se_edge_ask(run->edge.edge, &ask);
    return r < 0 ? se_trace(r) : 0;
}

static void count(struct se_run *run, uint64_t ns)
{
    se_run_tally_answer(&run->one, run->writer.n, ns);
    se_run_tally_answer(&run->all, run->writer.n, ns);
    if (run->part)
        se_run_tally_answer(run->part, run->writer.n, ns);
}

/* However it went, a line that was begun ends; in JSON it begins here. A sentence about what went
 * wrong is the last that is set. */
static int finish(struct se_run *run, int r, const json_t *about)
{
    char sentence[1024];
    bool failed = r != 0 && r != SE_OUTCOME_INTERRUPTED;
    snprintf(sentence, sizeof sentence, "%s", se_err_text());
    if (r == SE_OUTCOME_CLOSED)
        return r;
    bool nothing = failed && run->writer.n == 0 && !run->writer.mid_line;
    int shown = nothing ? 0 : se_run_writer_end(&run->writer);
    if (shown == 0 && run->o->json)
        shown = se_run_object_print(run, about, failed ? sentence : r ? "interrupted" : NULL);
    if (failed)
        se_fail(-EINVAL, "%s", sentence);
    return r != 0 ? r : shown;
}

static int ask_and_work(struct se_run *run, const struct se_ids *prompt)
{
    bool interrupted = false;
    int r = ask(run, prompt);
    if (r < 0)
        return r;
    r = work(run, &interrupted);
    run->stopped = se_edge_stopped(run->edge.edge);
    run->full = se_edge_context_full(run->edge.edge);
    return r == 0 && interrupted ? SE_OUTCOME_INTERRUPTED : r;
}

static uint32_t context_of(const struct se_run *run)
{
    const struct se_wire_welcome *welcome = se_edge_welcome(run->edge.edge);
    uint32_t context = welcome ? welcome->context : 0, own = (uint32_t)run->o->context;
    return own != 0 && (context == 0 || own < context) ? own : context;
}

int se_run_answer(struct se_run *run, const struct se_ids *prompt, const json_t *about)
{
    run->watched = 0;
    run->stopped = run->full = false;
    se_run_tally_fini(&run->one);
    int r = se_run_writer_begin(&run->writer, prompt->id, run->o->echo ? (uint32_t)prompt->n : 0);
    uint64_t began_ns = se_clock_ns();
    if (r == 0 && run->o->n > 0)
        r = ask_and_work(run, prompt);
    if (r == 0 || run->writer.n > 0) /* one that never began is none */
        count(run, se_clock_ns() - began_ns);
    r = finish(run, r, about);
    if (r == 0 && run->full)
        se_program_say("the context of %" PRIu32 " tokens is full", context_of(run));
    return r;
}
