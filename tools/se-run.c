/* SPDX-License-Identifier: Apache-2.0 */
/* se-run: writes texts with a target model elsewhere, and drafts ahead of it. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/conf_file.h"
#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "tools/ids.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/program.h"
#include "tools/published.h"
#include "tools/se_run.h"

/* ---- from what */

struct source {
    enum se_run_source kind;
    struct se_ids ids;         /* of the one prompt there is */
    struct se_run_dataset set; /* or of many */
};

static int read_text(struct se_run *run, struct se_ids *ids)
{
    const struct se_run_options *o = run->o;
    struct se_input input = SE_INPUT_NULL;
    int r = o->file ? se_input_open(&input, o->file) : 0;
    if (r == 0 && o->file && strlen(input.text) != input.len)
        r = se_fail(-EILSEQ, "%s: there is a zero byte in it, so it is no text", o->file);
    if (r == 0)
        r = se_run_words_prompt(&run->words, o->prompt.system,
                                o->file ? input.text : o->prompt.text, ids);
    se_input_fini(&input);
    return r;
}

static int parse_ids(const struct se_run_options *o, struct se_ids *ids)
{
    int r = se_ids_parse(ids, o->prompt.ids, strlen(o->prompt.ids));
    return r == -EINVAL ? SE_OUTCOME_USAGE : r;
}

/* What can be wrong with it is known before anything is loaded. */
static int open_source(struct source *source, struct se_run *run)
{
    const struct se_run_options *o = run->o;
    switch (source->kind) {
    case SE_RUN_FROM_TEXT:
        return read_text(run, &source->ids);
    case SE_RUN_FROM_IDS:
        return parse_ids(o, &source->ids);
    case SE_RUN_FROM_DATASET:
        return se_run_dataset_open(&source->set, o->dataset, o->offset, o->stride, o->max_requests);
    case SE_RUN_FROM_USER:
        break;
    }
    return 0;
}

static void close_source(struct source *source)
{
    se_ids_fini(&source->ids);
    se_run_dataset_close(&source->set);
}

static int write_from(struct se_run *run, struct source *source)
{
    if (source->kind == SE_RUN_FROM_DATASET)
        return se_run_batch(run, &source->set);
    if (source->kind == SE_RUN_FROM_USER)
        return se_run_chat(run);
    int r = se_run_answer(run, &source->ids, NULL);
    return r == 0 ? se_run_records_whole(run) : r;
}

/* ---- a run */

static bool wants_color(const struct se_run_options *o)
{
    const char *term = getenv("TERM"), *none = getenv("NO_COLOR");
    if (o->color != SE_RUN_COLOR_AUTO)
        return o->color == SE_RUN_COLOR_ALWAYS;
    return isatty(STDOUT_FILENO) == 1 && term && strcmp(term, "dumb") != 0 && !(none && none[0]);
}

static void open_writer(struct se_run *run)
{
    const struct se_run_options *o = run->o;
    run->writer = (struct se_run_writer){ .tokenizer = run->words.tokenizer,
                                          .form = o->json      ? SE_RUN_SILENT
                                                  : o->ids_out ? SE_RUN_IDS
                                                               : SE_RUN_TEXT,
                                          .color = wants_color(o) };
}

static int open_run(struct se_run *run, struct source *source)
{
    const struct se_run_options *o = run->o;
    int r = se_run_words_open(&run->words, se_run_options_words(o),
                              se_run_options_chat(o, source->kind),
                              (enum se_chat_family)o->prompt.family);
    if (r == 0)
        r = open_source(source, run);
    if (r == 0)
        r = se_run_record_open(&run->record, o->result, o->client);
    if (r == 0 && o->trace)
        r = se_trace_log_open(&run->trace, o->trace, SE_TRACE_EDGE);
    if (r != 0)
        return r;
    open_writer(run);
    const struct se_edge_watch watch = se_run_watch(run);
    r = se_run_edge_open(&run->edge, o, &run->words, &run->sampling, &watch);
    return r == SE_RUN_DRAFTER_OTHER ? SE_RUN_REFUSED : r;
}

static void close_trace(struct se_run *run)
{
    const uint64_t lost = se_trace_log_close(run->trace);
    if (lost > 0)
        se_program_say("%s: %" PRIu64 " lines are missing: it was not written as fast as they came",
                       run->o->trace, lost);
}

static void close_run(struct se_run *run)
{
    se_run_edge_close(&run->edge);
    se_run_record_close(&run->record);
    close_trace(run);
    se_run_writer_fini(&run->writer);
    se_run_tally_fini(&run->all);
    se_run_tally_fini(&run->one);
    se_run_words_close(&run->words);
}

static int go(const struct se_run_options *o, struct source *source)
{
    struct se_run run = { .o = o, .record = SE_RUN_RECORD_NULL };
    int r = se_sampling_options_read(&o->sampling, &run.sampling);
    if (r == 0)
        r = open_run(&run, source);
    if (r == 0) {
        se_interrupt_watch();
        r = write_from(&run, source);
        if (se_run_tells(&run) && run.all.rounds > 0)
            se_run_tally_print(&run.all, stderr);
    }
    close_run(&run);
    return r;
}

static int run(const void *values, char **argument)
{
    struct se_run_options o = *(const struct se_run_options *)values;
    struct source source = { .ids = SE_IDS_NULL, .set = SE_RUN_DATASET_NULL };
    (void)argument;
    if (o.print_conf) {
        se_conf_yaml(se_run_rows, se_run_rows_n, stdout, "Settings of se-run: see se-run(1).");
        return 0;
    }
    se_run_options_tidy(&o);
    int r = se_run_options_check(&o, isatty(STDIN_FILENO) == 1, &source.kind);
    if (r == 0)
        r = go(&o, &source);
    close_source(&source);
    return r;
}

/* ---- the program */

static void note(void *context, const char *file, int line, const char *key, const char *text)
{
    (void)context;
    se_program_say("%s:%d: %s: %s", file, line, key, text);
}

static struct se_conf_files files = { .note = note };
static struct se_run_options chosen;

static struct se_verb verb = {
    .summary = "writes with a large model elsewhere, and drafts ahead of it",
    .more = "Goes on from a prompt, answers the prompts of a dataset, or talks with whoever sits "
            "at the\n"
            "terminal. The text is that of the target alone, whoever drafted it.",
    .values = &chosen,
    .files = &files,
    .run = run,
};
static const struct se_verb *const verbs[] = { &verb };

static const struct se_program_end ends[] = {
    { SE_RUN_UNREACHABLE, 3 },
    { SE_RUN_REFUSED, 4 },
    { SE_RUN_FULL, 5 },
    { SE_RUN_PARTIAL, 6 },
};

static int begin(void)
{
    verb.rows = se_run_rows;
    verb.n_rows = se_run_rows_n;
    files.foreign = se_published_edge;
    files.n_foreign = se_published_edge_n;
    signal(SIGPIPE, SIG_IGN); /* whoever writes is told, and tells what it was */
    return se_cpu_init();
}

static const struct se_program program = {
    .name = "se-run",
    .verb = verbs,
    .n_verbs = 1,
    .end = ends,
    .n_ends = sizeof ends / sizeof ends[0],
    .begin = begin,
};

int main(int argc, char **argv) { return se_program_main(&program, argc, argv); }
