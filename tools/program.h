/* SPDX-License-Identifier: Apache-2.0 */
/* tools/program.h - what every main function does: choose the verb, tell what failed, end.
 *
 *     0    done                          130  interrupted
 *     1    failed                        141  nobody reads the output any more
 *     2    the command line makes no sense
 *
 * and what the program's own table of ends adds. One thread calls. */
#ifndef SE_TOOLS_PROGRAM_H
#define SE_TOOLS_PROGRAM_H

#include "tools/verb.h"

struct se_program_end {
    int outcome; /* SE_OUTCOME_OWN or above */
    int code;    /* of the exit */
};

struct se_program {
    const char *name;
    const char *summary; /* one line; of a program with verbs */
    /* The verbs to choose among, or one without a name: then there is nothing to choose. */
    const struct se_verb *const *verb;
    size_t n_verbs;
    const struct se_program_end *end; /* may be NULL: no outcomes of its own */
    size_t n_ends;
    int (*begin)(void); /* before all else; < 0: an environment that makes no sense. Or NULL */
};

/* Returns the exit code. What went wrong is one line on standard error: "program: sentence", or
 * "program: verb: sentence" when it is the command line. */
int se_program_main(const struct se_program *program, int argc, char **argv);

/* A line on standard error, under the program's name. No newline at its end. */
void se_program_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
