/* SPDX-License-Identifier: Apache-2.0 */
/* se-trace: one timeline of what servers and edges traced. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/program.h"
#include "tools/trace_chrome.h"
#include "tools/trace_summary.h"

struct options {
    const char *out;
    bool summary;
};

/* ---- what was read */

static void tell_file(const struct se_trace_file *f)
{
    if (f->cut)
        se_program_say("%s: its last line is not whole; it goes up to there", f->path);
    if (f->dropped > 0)
        se_program_say("%s: %" PRIu64 " events are missing: they came faster than they were "
                       "written",
                       f->path, f->dropped);
}

static void tell_clock(const struct se_trace_merge *m, size_t file)
{
    const struct se_trace_file *f = &m->file[file];
    const struct se_trace_clock *c = &m->clock[file];
    if (c->out > 0)
        se_program_say("%s: %zu of %zu rounds are left out: no line through its clock keeps them "
                       "from arriving before they were sent, by up to %.3f ms",
                       f->path, c->out, c->matched, (double)c->out_max_ns * 1e-6);
    if (f->role == SE_TRACE_EDGE && f->n_asked > 0 && c->matched == 0)
        se_program_say("%s: no trace of a server has its rounds; its clock is placed by the time "
                       "of day",
                       f->path);
    if (f->role == SE_TRACE_SERVER && file != m->reference)
        se_program_say("%s: a second server; its clock is placed by the time of day", f->path);
}

/* ---- what is written */

static int write_chrome(const struct se_trace_merge *m, const char *path)
{
    FILE *to = path ? fopen(path, "we") : stdout;
    if (!to)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    int r = se_trace_chrome_write(m, to);
    if (path) {
        const bool failed = ferror(to) != 0; /* closing tells of the last piece alone */
        if ((fclose(to) != 0 || failed) && r == 0)
            r = se_fail(-EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    return r;
}

static int write_all(const struct options *o, const struct se_trace_merge *m)
{
    int r = 0;
    if (o->out || !o->summary)
        r = write_chrome(m, o->out);
    if (r == 0 && o->summary)
        r = se_trace_summary_print(m, stdout);
    return r;
}

static int merge(const struct options *o, const struct se_trace_file *file, size_t n)
{
    struct se_trace_merge m;
    int r = se_trace_merge_make(&m, file, n);
    for (size_t i = 0; i < n && r == 0; i++)
        tell_clock(&m, i);
    if (r == 0 && m.n_rounds == 0)
        r = se_fail(-ENODATA, "there is no round in %s", n == 1 ? file->path : "these files");
    if (r == 0)
        r = write_all(o, &m);
    se_trace_merge_fini(&m);
    return r;
}

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    size_t n = 0, read = 0;
    int r = 0;
    while (argument[n])
        n++;
    struct se_trace_file *file = se_mem_zero(n, sizeof *file);
    if (!file)
        return -ENOMEM;
    for (; read < n && r == 0; read++) {
        r = se_trace_file_read(&file[read], argument[read]);
        if (r == 0)
            tell_file(&file[read]);
    }
    if (r == 0)
        r = merge(o, file, n);
    for (size_t i = 0; i < read; i++)
        se_trace_file_fini(&file[i]);
    se_mem_free(file);
    return r < 0 ? se_trace(r) : r;
}

#define AT(member) offsetof(struct options, member)
static const struct se_conf_row rows[] = {
    { "output", 'o', SE_CONF_TEXT, AT(out), NULL, 0, 0, "FILE",
      "write the timeline there, not to standard output" },
    { "summary", 's', SE_CONF_FLAG, AT(summary), NULL, 0, 0, NULL,
      "print a table, a line for each session; the timeline is then written with --output alone" },
};

static struct options chosen;

static const struct se_verb verb = {
    .arguments = "FILE...",
    .n_arguments = 1,
    .more_arguments = true,
    .summary = "makes one timeline of the traces of servers and edges",
    .more = "Reads what --trace of se-serverd and se-run wrote, puts it on one clock, and writes\n"
            "JSON that ui.perfetto.dev and chrome://tracing show.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
static const struct se_verb *const verbs[] = { &verb };

static const struct se_program program = {
    .name = "se-trace",
    .verb = verbs,
    .n_verbs = 1,
};

int main(int argc, char **argv) { return se_program_main(&program, argc, argv); }
