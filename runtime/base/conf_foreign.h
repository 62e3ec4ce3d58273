/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/conf_foreign.h - another program's keys, and what they are among our rows.
 *
 * So that its configuration files can be read as they are. */
#ifndef SE_RUNTIME_BASE_CONF_FOREIGN_H
#define SE_RUNTIME_BASE_CONF_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/conf.h"

struct se_arena;

struct se_conf_foreign {
    const char *path; /* "client.proactive.type"; that of a whole section, when row is NULL,
                       * passes over all that is in it */
    const char *row;  /* the row that takes the value; NULL: none does */
    /* (optional) Their words for ours, "fp16=stored|fp32=f32"; what is not among them is
     * refused. "*" lets any other word pass as it is, and "*=at:*" with that before it. */
    const char *words;
    const char *note; /* (optional) what to tell whoever has set it */
};

/* The row of this path, or NULL. */
const struct se_conf_foreign *se_conf_foreign_find(const struct se_conf_foreign *table, size_t n,
                                                   const char *path);

/* Whether path is a section that other rows lie in. */
bool se_conf_foreign_is_section(const struct se_conf_foreign *table, size_t n, const char *path);

/* Refuses a path that the table lacks, naming what it may have been: -EINVAL. */
int se_conf_foreign_refuse(const struct se_conf_foreign *table, size_t n, const char *path,
                           const char *where);

/* Puts our word for theirs into *out, which lives in the arena or is the table's. 0, -ENOMEM, or
 * -EINVAL with a sentence that begins with where. */
int se_conf_foreign_word(const struct se_conf_foreign *row, struct se_arena *arena,
                         const char *theirs, const char **out, const char *where);

/* For the tests of a program: every row that the table names is among rows and takes the words
 * that the table has for it, and none is named twice. 0, or -EINVAL naming what is wrong. */
int se_conf_foreign_check(const struct se_conf_foreign *table, size_t n,
                          const struct se_conf_row *rows, size_t n_rows);

#endif
