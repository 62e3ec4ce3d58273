/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/conf_tree.h"
#include "runtime/base/conf_value.h"
#include "runtime/base/err.h"
#include "runtime/base/quote.h"

enum { WHERE_B = 640, PATH_B = 256 };

/* A note that waits for the rest of the file to be good. */
struct note {
    struct note *next;
    int line;
    const char *key, *text;
};

struct job {
    struct se_conf_files *files;
    const struct se_conf_row *rows;
    size_t n;
    void *values; /* a copy, handed over when all is well */
    const char *file;
    struct se_arena *arena; /* of what dies with the job */
    struct note *notes, **notes_end;
};

/* ---- what is said ---- */

static const char *where_is(const struct job *job, int line, const char *key, char where[WHERE_B])
{
    char quoted[SE_QUOTE_B];
    se_quote(key, strlen(key), quoted);
    snprintf(where, WHERE_B, "%.300s:%d: %s", job->file, line, *quoted ? quoted : "\"\"");
    return where;
}

static int refuse_key(const struct job *job, const struct se_conf_node *node)
{
    char where[WHERE_B];
    const struct se_conf_row *meant =
        se_conf_row_near(job->rows, job->n, node->key, strlen(node->key));
    where_is(job, node->key_line, node->key, where);
    if (meant)
        return se_fail(-EINVAL, "%s: no such key; did you mean %s? (--help lists all)", where,
                       meant->name);
    return se_fail(-EINVAL, "%s: no such key (--help lists all)", where);
}

/* A key that stands among its earlier siblings already. They are few: each is known, and no two
 * are the same. */
static int check_once(const struct job *job, const struct se_conf_node *section,
                      const struct se_conf_node *node, const char *path)
{
    char where[WHERE_B];
    size_t len = strlen(node->key);
    for (const struct se_conf_node *old = section->inside; old != node; old = old->next)
        if (se_conf_same_name(old->key, strlen(old->key), node->key, len))
            return se_fail(-EINVAL, "%s: given twice, in line %d first",
                           where_is(job, node->key_line, path, where), old->key_line);
    return 0;
}

/* ---- values ---- */

/* The words of a list, "a,b,c". */
static int join_list(const struct job *job, const struct se_conf_node *list, const char *where,
                     const char **out)
{
    size_t len = 1;
    for (const struct se_conf_node *item = list->inside; item; item = item->next) {
        if (item->kind != SE_CONF_VALUE || item->none)
            return se_fail(-EINVAL, "%s: something in the list is no single value", where);
        if (strchr(item->text, ','))
            return se_fail(-EINVAL, "%s: an item of the list has a comma in it", where);
        len += strlen(item->text) + 1;
    }
    char *text = se_arena_take(job->arena, len, 1);
    if (!text)
        return se_trace(-ENOMEM);
    *out = text;
    *text = '\0';
    for (const struct se_conf_node *item = list->inside; item; item = item->next) {
        if (item != list->inside)
            *text++ = ',';
        text = stpcpy(text, item->text);
    }
    return 0;
}

/* What the node holds, as the command line would write it. */
static int text_of(const struct job *job, const struct se_conf_row *row,
                   const struct se_conf_foreign *foreign, const struct se_conf_node *node,
                   const char *where, const char **out)
{
    bool takes_list = row->type == SE_CONF_UINTS || row->type == SE_CONF_TEXT;
    if (node->kind == SE_CONF_SECTION)
        return se_fail(-EINVAL, "%s: a section stands where one value is wanted", where);
    if (node->kind == SE_CONF_LIST && !takes_list)
        return se_fail(-EINVAL, "%s: a list stands where one value is wanted", where);
    if (node->kind == SE_CONF_LIST)
        return join_list(job, node, where, out);
    if (node->none)
        return se_fail(-EINVAL, "%s: has no value%s", where,
                       row->type == SE_CONF_TEXT ? "; an empty text is \"\"" : "");
    *out = node->text;
    return foreign ? se_conf_foreign_word(foreign, job->arena, node->text, out, where) : 0;
}

static int set(const struct job *job, const struct se_conf_row *row,
               const struct se_conf_foreign *foreign, const struct se_conf_node *node,
               const char *path)
{
    char where[WHERE_B];
    const char *text = NULL;
    where_is(job, node->kind == SE_CONF_VALUE && !node->none ? node->line : node->key_line, path,
             where);
    int r = text_of(job, row, foreign, node, where, &text);
    if (r < 0)
        return r;
    if (node->kind == SE_CONF_LIST && !node->inside && row->type == SE_CONF_UINTS) {
        se_conf_value_zero(row, job->values); /* no text of the command line's says that */
        return 0;
    }
    if (row->type == SE_CONF_TEXT) {
        text = se_arena_text(&job->files->arena, text, strlen(text));
        if (!text)
            return se_trace(-ENOMEM);
    }
    return se_conf_value_set(row, job->values, text, where);
}

/* ---- a file of our own ---- */

static int apply(const struct job *job, const struct se_conf_node *root)
{
    char where[WHERE_B];
    for (const struct se_conf_node *node = root->inside; node; node = node->next) {
        const struct se_conf_row *row =
            se_conf_row_named(job->rows, job->n, node->key, strlen(node->key));
        if (!row)
            return refuse_key(job, node);
        if (!se_conf_in_file(row))
            return se_fail(-EINVAL, "%s: only the command line can say that",
                           where_is(job, node->key_line, node->key, where));
        int r = check_once(job, root, node, node->key);
        if (r == 0)
            r = set(job, row, NULL, node, node->key);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- a file of the foreign form ---- */

/* A section at the top, of a name that the foreign table begins with. */
static bool is_foreign(const struct job *job, const struct se_conf_node *root)
{
    const struct se_conf_foreign *table = job->files->foreign;
    size_t n = job->files->n_foreign;
    for (const struct se_conf_node *node = root->inside; node; node = node->next)
        if (node->kind == SE_CONF_SECTION && (se_conf_foreign_find(table, n, node->key) ||
                                              se_conf_foreign_is_section(table, n, node->key)))
            return true;
    return false;
}

static int keep_note(struct job *job, const struct se_conf_node *node, const char *path,
                     const char *text)
{
    struct note *note = se_arena_take(job->arena, 1, sizeof *note);
    char *key = se_arena_text(job->arena, path, strlen(path));
    if (!note || !key)
        return se_trace(-ENOMEM);
    *note = (struct note){ .line = node->key_line, .key = key, .text = text };
    *job->notes_end = note;
    job->notes_end = &note->next;
    return 0;
}

static int apply_known(struct job *job, const struct se_conf_foreign *foreign,
                       const struct se_conf_node *node, const char *path)
{
    char where[WHERE_B];
    if (foreign->note) {
        int r = keep_note(job, node, path, foreign->note);
        if (r < 0)
            return r;
    }
    if (!foreign->row)
        return 0;
    const struct se_conf_row *row =
        se_conf_row_named(job->rows, job->n, foreign->row, strlen(foreign->row));
    if (!row) /* a fault of the table's, which se_conf_foreign_check() finds */
        return se_fail(-EINVAL, "%s: there is no setting %s to take it",
                       where_is(job, node->key_line, path, where), foreign->row);
    return set(job, row, foreign, node, path);
}

/* above: the path of the section, "" at the top. As deep as a tree is at most. */
static int apply_foreign(struct job *job, const struct se_conf_node *section, const char *above)
{
    const struct se_conf_foreign *table = job->files->foreign;
    size_t n = job->files->n_foreign;
    for (const struct se_conf_node *node = section->inside; node; node = node->next) {
        char path[PATH_B], where[WHERE_B];
        snprintf(path, sizeof path, "%s%s%s", above, *above ? "." : "", node->key);
        where_is(job, node->key_line, path, where);
        const struct se_conf_foreign *foreign = se_conf_foreign_find(table, n, path);
        if (strchr(node->key, '.')) /* else it might pass for a path */
            return se_fail(-EINVAL, "%s: no such key", where);
        if (!foreign && !se_conf_foreign_is_section(table, n, path))
            return se_conf_foreign_refuse(table, n, path, where);
        int r = check_once(job, section, node, path);
        if (r == 0 && foreign)
            r = apply_known(job, foreign, node, path);
        else if (r == 0 && node->kind == SE_CONF_SECTION)
            r = apply_foreign(job, node, path);
        else if (r == 0)
            r = se_fail(-EINVAL, "%s: a %s stands where a section is wanted", where,
                        node->kind == SE_CONF_LIST ? "list" : "value");
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the whole ---- */

static void hand_over(const struct job *job, void *values)
{
    const struct se_conf_files *files = job->files;
    for (size_t i = 0; i < job->n; i++)
        se_conf_value_copy(&job->rows[i], values, job->values);
    if (files->note)
        for (const struct note *note = job->notes; note; note = note->next)
            files->note(files->note_context, job->file, note->line, note->key, note->text);
}

int se_conf_file_parse(struct se_conf_files *files, const struct se_conf_row *rows, size_t n,
                       void *values, const char *name, const void *data, size_t len_b)
{
    struct se_arena arena = SE_ARENA_NULL;
    struct job job = { files, rows, n, NULL, name, &arena, NULL, NULL };
    struct se_conf_node *root = NULL;
    job.notes_end = &job.notes;
    int r = se_conf_tree_read(&root, &arena, name, data, len_b);
    if (r < 0)
        goto out;
    r = -ENOMEM;
    job.values = se_arena_take(&arena, 1, se_conf_value_span(rows, n));
    if (!job.values)
        goto out;
    for (size_t i = 0; i < n; i++)
        se_conf_value_copy(&rows[i], job.values, values);
    r = 0;
    if (root)
        r = is_foreign(&job, root) ? apply_foreign(&job, root, "") : apply(&job, root);
    if (r == 0)
        hand_over(&job, values);
out:
    se_arena_fini(&arena);
    return r < 0 ? se_trace(r) : 0;
}

/* Reads all of an open file, and not one byte more than is allowed. It may change while it is
 * read: what is then wrong with it is found in what was read. */
static int read_all(int fd, const char *path, unsigned char *data, size_t *len_b)
{
    *len_b = 0;
    while (*len_b <= SE_CONF_FILE_MAX_B) {
        ssize_t got = read(fd, data + *len_b, SE_CONF_FILE_MAX_B + 1 - *len_b);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return se_fail(-errno, "%.300s: %s", path, strerror(errno));
        if (got == 0)
            return 0;
        *len_b += (size_t)got;
    }
    return se_fail(-EINVAL, "%.300s: larger than 1 MiB; this is no configuration file", path);
}

int se_conf_file_read(struct se_conf_files *files, const struct se_conf_row *rows, size_t n,
                      void *values, const char *path)
{
    int r = 0;
    struct stat info;
    size_t len_b = 0;
    unsigned char *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (fd < 0)
        return se_fail(-errno, "%.300s: %s", path, strerror(errno));
    if (fstat(fd, &info) < 0) {
        r = se_fail(-errno, "%.300s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        r = se_fail(-EINVAL, "%.300s: not a regular file", path);
        goto out;
    }
    data = se_mem_new(SE_CONF_FILE_MAX_B + 1, 1);
    r = data ? read_all(fd, path, data, &len_b) : -ENOMEM;
    if (r == 0)
        r = se_conf_file_parse(files, rows, n, values, path, data, len_b);
out:
    se_mem_free(data);
    close(fd);
    return r < 0 ? se_trace(r) : 0;
}

void se_conf_files_fini(struct se_conf_files *files) { se_arena_fini(&files->arena); }
