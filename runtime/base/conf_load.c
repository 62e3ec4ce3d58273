/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/conf_load.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/conf_value.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

/* "10-site.yaml", and no hidden file that an editor has left. */
static int is_conf(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && !strcmp(entry->d_name + len - 5, ".yaml");
}

/* By their bytes: the order must not depend on who speaks which language. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* path/name, or path with name behind it. */
static int join(char out[PATH_MAX], const char *path, const char *between, const char *name)
{
    if (snprintf(out, PATH_MAX, "%s%s%s", path, between, name) >= PATH_MAX)
        return se_fail(-ENAMETOOLONG, "%.300s...: %s", path, strerror(ENAMETOOLONG));
    return 0;
}

/* Every file of path.d; there need be none. */
static int read_folder(struct se_conf_files *files, const struct se_conf_row *rows, size_t n,
                       void *values, const char *path)
{
    char folder[PATH_MAX], inner[PATH_MAX];
    struct dirent **entry = NULL;
    int r = join(folder, path, "", ".d");
    if (r < 0)
        return r;
    int n_entries = scandir(folder, &entry, is_conf, by_bytes);
    if (n_entries < 0 && errno == ENOENT)
        return 0;
    if (n_entries < 0)
        return se_fail(-errno, "%.300s: %s", folder, strerror(errno));
    for (int i = 0; i < n_entries; i++) {
        if (r == 0)
            r = join(inner, folder, "/", entry[i]->d_name);
        if (r == 0)
            r = se_conf_file_read(files, rows, n, values, inner);
        free(entry[i]);
    }
    free(entry);
    return r;
}

/* The file that values name, and those in the folder beside it. */
static int read_files(struct se_conf_files *files, const struct se_conf_row *rows, size_t n,
                      void *values)
{
    const char *path = NULL;
    const struct se_conf_row *row =
        se_conf_row_named(rows, n, SE_CONF_FILE_ROW, strlen(SE_CONF_FILE_ROW));
    if (!row || row->type != SE_CONF_TEXT)
        return 0;
    memcpy(&path, (unsigned char *)values + row->offset, sizeof path);
    if (!path || !*path)
        return 0;
    int r = se_conf_file_read(files, rows, n, values, path);
    if (r == -ENOENT && path == row->initial) /* nobody asked for it */
        r = 0;
    return r < 0 ? r : read_folder(files, rows, n, values, path);
}

int se_conf_load(const struct se_conf_row *rows, size_t n, void *values,
                 struct se_conf_files *files, int argc, char **argv, char **rest, int *n_rest)
{
    void *filled = se_mem_zero(1, se_conf_value_span(rows, n));
    if (!filled)
        return se_trace(-ENOMEM);
    files->argc = argc;
    files->argv = argv;
    int r = se_conf_defaults(rows, n, filled);
    if (r == 0)
        r = se_conf_args(rows, n, filled, argc, argv, rest, n_rest); /* names the file */
    if (r != 0)
        goto out;
    r = read_files(files, rows, n, filled);
    if (r == 0)
        r = se_conf_args(rows, n, filled, argc, argv, rest, n_rest); /* and has the last word */
    if (r != 0)
        goto out;
    for (size_t i = 0; i < n; i++)
        se_conf_value_copy(&rows[i], values, filled);
out:
    se_mem_free(filled);
    return r < 0 ? se_trace(r) : r;
}

int se_conf_load_again(const struct se_conf_row *rows, size_t n, void *values,
                       struct se_conf_files *fresh, const struct se_conf_files *old)
{
    int n_rest = 0;
    *fresh = *old;
    fresh->arena = SE_ARENA_NULL;
    char **rest = se_mem_zero((size_t)old->argc + 1, sizeof *rest);
    if (!rest)
        return se_trace(-ENOMEM);
    int r = se_conf_load(rows, n, values, fresh, old->argc, old->argv, rest, &n_rest);
    se_mem_free(rest);
    return r < 0 ? se_trace(r) : r;
}
