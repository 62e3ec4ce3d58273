/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/conf_file.h - settings from one configuration file, by the rows of conf.h.
 *
 * The file is YAML: "key: value" by the names of the rows, '-' and '_' being the same. A list
 * may be written as one. What is wrong is said with file, line, key and what would do:
 *
 *     server.yaml:12: max-sessions: 'many' is not a whole number, 1 to 100000
 *
 * A file with a section at its top that a foreign table knows (conf_foreign.h) is read by that
 * table, and by nothing else. One thread at a time. */
#ifndef SE_RUNTIME_BASE_CONF_FILE_H
#define SE_RUNTIME_BASE_CONF_FILE_H

#include <stddef.h>

#include "runtime/base/conf.h"
#include "runtime/base/conf_foreign.h"
#include "runtime/base/mem.h"

enum { SE_CONF_FILE_MAX_B = 1 << 20 };

/* Something worth telling whoever wrote the file, though nothing is wrong. The texts are gone
 * after the call. */
typedef void se_conf_note_fn(void *context, const char *file, int line, const char *key,
                             const char *text);

/* Where settings come from, and where the texts of files live: values that were filled with it
 * point into it. */
struct se_conf_files {
    const struct se_conf_foreign *foreign; /* (optional) n_foreign of them */
    size_t n_foreign;
    se_conf_note_fn *note; /* (optional) called once a file is known to be good */
    void *note_context;
    struct se_arena arena;
    int argc; /* the command line, see conf_load.h */
    char **argv;
};
#define SE_CONF_FILES_NULL ((struct se_conf_files){ 0 })

/* Reads a file into values: all of it, or nothing. 0, or -errno: -ENOENT when it is not there,
 * -EINVAL when it is not right. */
int se_conf_file_read(struct se_conf_files *files, const struct se_conf_row *rows, size_t n,
                      void *values, const char *path);

/* The same from memory; name stands for the file in what is said. */
int se_conf_file_parse(struct se_conf_files *files, const struct se_conf_row *rows, size_t n,
                       void *values, const char *name, const void *data, size_t len_b);

void se_conf_files_fini(struct se_conf_files *files);

#endif
