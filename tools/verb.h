/* SPDX-License-Identifier: Apache-2.0 */
/* tools/verb.h - what a program can be asked to do: the words it takes, its options, what runs.
 *
 * A program that does one thing only has one of these, without a name (tools/program.h). */
#ifndef SE_TOOLS_VERB_H
#define SE_TOOLS_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/conf.h"
#include "tools/outcome.h"

struct se_conf_files;

struct se_verb {
    const char *name;      /* NULL: what the program does, without being told a verb */
    const char *arguments; /* "DIR FILE", as usage shows them; NULL: none */
    int n_arguments;
    bool more_arguments; /* the last of them may come more than once: NULL ends them */
    const char *summary; /* one line */
    const char *more;    /* paragraph of --help, or NULL */
    const struct se_conf_row *rows;
    size_t n_rows;
    void *values;                /* where the rows' values go */
    struct se_conf_files *files; /* of a verb that reads configuration files; or NULL */
    /* argument: the n_arguments words that are no options. 0, -errno, or an outcome of
     * tools/outcome.h or of the program's own. */
    int (*run)(const void *values, char **argument);
};

/* Reads argv[1..argc-1] and runs the verb, or prints its --help. title: how usage calls it,
 * "se-model generate". What run() returned, SE_OUTCOME_USAGE, or -errno. */
int se_verb_run(const struct se_verb *verb, const char *title, int argc, char **argv);

#endif
