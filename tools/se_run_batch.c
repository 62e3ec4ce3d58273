/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/program.h"
#include "tools/progress.h"
#include "tools/se_run.h"

struct category {
    const char *name;
    struct se_run_tally tally;
};

struct batch {
    struct se_run *run;
    struct se_run_dataset *set;
    struct category *category;
    size_t n, cap;
    size_t skipped; /* prompts that could not be answered */
};

/* In the order in which they come. */
static int find_category(struct batch *b, const char *name, struct se_run_tally **tally)
{
    size_t i = 0;
    while (i < b->n && strcmp(b->category[i].name, name) != 0)
        i++;
    if (i == b->n) {
        int r = se_mem_grow(&b->category, &b->cap, b->n + 1, sizeof b->category[0]);
        if (r < 0)
            return r;
        b->category[b->n++] = (struct category){ .name = name, .tally = SE_RUN_TALLY_NULL };
    }
    *tally = &b->category[i].tally;
    return 0;
}

static json_t *about_of(const struct se_run_prompt *prompt)
{
    return json_pack("{s:O*, s:s*, s:I}", "id", prompt->id, "category",
                     prompt->category[0] ? prompt->category : NULL, "line",
                     (json_int_t)prompt->line);
}

/* A prompt that is too long says nothing about the next one. */
static bool is_its_own_fault(int r) { return r == -ERANGE || r == -EINVAL; }

static int answer(struct batch *b, const struct se_run_prompt *prompt)
{
    struct se_ids ids = SE_IDS_NULL;
    json_t *about = about_of(prompt);
    b->run->writer.n = 0;
    int r = about ? find_category(b, prompt->category, &b->run->part)
                  : se_fail(-ENOMEM, "out of memory");
    if (r == 0)
        r = se_run_words_prompt(&b->run->words, b->run->o->prompt.system, prompt->text, &ids);
    if (r == 0)
        r = se_run_answer(b->run, &ids, about);
    json_decref(about);
    se_ids_fini(&ids);
    if (!is_its_own_fault(r))
        return r;
    b->skipped++;
    se_program_say("%s:%zu: %s", b->set->path, prompt->line, se_err_text());
    /* An empty line stands for it, unless its line has ended already. */
    bool told = b->run->writer.n > 0 || b->run->o->echo;
    return told ? 0 : se_run_writer_end(&b->run->writer);
}

/* Text that goes by on the same screen is progress enough. */
static bool shows_progress(const struct se_run *run)
{
    return !run->o->quiet && isatty(STDOUT_FILENO) != 1;
}

static int answer_all(struct batch *b)
{
    struct se_progress progress;
    int r = 0;
    se_progress_begin(&progress, "prompts");
    for (size_t i = 0; r == 0 && i < b->set->n; i++) {
        if (shows_progress(b->run))
            se_progress_at(&progress, i, b->set->n);
        se_run_record_request(&b->run->record, b->set->prompt[i].number);
        r = answer(b, &b->set->prompt[i]);
        if (r == 0)
            r = se_run_records_whole(b->run);
    }
    se_progress_end(&progress);
    return r;
}

static void tell(struct batch *b)
{
    bool named = b->n > 1 || (b->n == 1 && b->category[0].name[0]);
    for (size_t i = 0; named && i < b->n; i++) {
        const char *name = b->category[i].name;
        se_run_tally_line(&b->category[i].tally, name[0] ? name : "(none)", stderr);
    }
}

int se_run_batch(struct se_run *run, struct se_run_dataset *set)
{
    struct batch b = { .run = run, .set = set };
    int r = answer_all(&b);
    run->part = NULL;
    if (r == 0 && b.skipped > 0) {
        se_fail(-ERANGE, "%zu of %zu prompts were not answered", b.skipped, set->n);
        r = SE_RUN_PARTIAL;
    }
    if (se_run_tells(run))
        tell(&b);
    for (size_t i = 0; i < b.n; i++)
        se_run_tally_fini(&b.category[i].tally);
    se_mem_free(b.category);
    return r;
}
