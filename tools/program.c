/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/program.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tools/output.h"

enum { EXIT_RUN_TIME = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128, SAID_B = 2048 };

static const char *speaker = "?"; /* the program's name, once it is known */

void se_program_say(const char *format, ...)
{
    char text[SAID_B];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "%s: %s\n", speaker, text); /* in one go: others may write there too */
}

static bool has_verbs(const struct se_program *program) { return program->verb[0]->name != NULL; }

static void print_help(const struct se_program *program)
{
    bool arguments = false;
    for (size_t i = 0; i < program->n_verbs; i++)
        arguments |= program->verb[i]->arguments != NULL;
    printf("%s - %s\n\nUsage: %s VERB%s [OPTION...]\n\nVerbs:\n", program->name, program->summary,
           program->name, arguments ? " ARGUMENT..." : "");
    for (size_t i = 0; i < program->n_verbs; i++) {
        const struct se_verb *verb = program->verb[i];
        printf("  %-11s ", verb->name);
        if (arguments)
            printf("%-9s ", verb->arguments ? verb->arguments : "");
        printf("%s\n", verb->summary);
    }
    printf("\n\"%s VERB --help\" tells a verb's options. --version tells the version.\n",
           program->name);
}

static int unknown_verb(const struct se_program *program, const char *name)
{
    char known[256] = "";
    const char *are = program->n_verbs == 1 ? "is" : "are";
    for (size_t i = 0; i < program->n_verbs; i++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", program->verb[i]->name);
    }
    if (!name)
        return se_usage("which verb? There %s %s (%s --help)", are, known, program->name);
    return se_usage("no verb \"%s\": there %s %s", name, are, known);
}

/* *chosen is the verb once it is known. */
static int choose(const struct se_program *program, int argc, char **argv,
                  const struct se_verb **chosen)
{
    if (argc < 2)
        return unknown_verb(program, NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(program);
        return 0;
    }
    for (size_t i = 0; i < program->n_verbs; i++)
        if (strcmp(argv[1], program->verb[i]->name) == 0) {
            char title[64];
            *chosen = program->verb[i];
            snprintf(title, sizeof title, "%s %s", program->name, (*chosen)->name);
            return se_verb_run(*chosen, title, argc - 1, argv + 1);
        }
    if (argv[1][0] == '-')
        return se_usage("no option \"%s\" before the verb: there are --help and --version",
                        argv[1]);
    return unknown_verb(program, argv[1]);
}

static int run(const struct se_program *program, int argc, char **argv,
               const struct se_verb **chosen)
{
    if (program->begin && program->begin() < 0)
        return SE_OUTCOME_USAGE;
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", program->name, SE_VERSION);
        return 0;
    }
    if (has_verbs(program))
        return choose(program, argc, argv, chosen);
    return se_verb_run(program->verb[0], program->name, argc, argv);
}

static int code_of(const struct se_program *program, int r)
{
    switch (r) {
    case 0:
        return 0;
    case SE_OUTCOME_USAGE:
        return EXIT_USAGE;
    case SE_OUTCOME_INTERRUPTED:
        return EXIT_SIGNAL + SIGINT;
    case SE_OUTCOME_CLOSED:
        return EXIT_SIGNAL + SIGPIPE;
    default:
        break;
    }
    for (size_t i = 0; i < program->n_ends; i++)
        if (program->end[i].outcome == r)
            return program->end[i].code;
    return EXIT_RUN_TIME;
}

int se_program_main(const struct se_program *program, int argc, char **argv)
{
    const struct se_verb *chosen = NULL;
    speaker = program->name;
    int r = run(program, argc, argv, &chosen);
    int flushed = se_output_flush();
    if (r == 0)
        r = flushed;
    if (r == SE_OUTCOME_USAGE && chosen)
        se_program_say("%s: %s", chosen->name, se_err_text());
    else if (r != 0 && r != SE_OUTCOME_INTERRUPTED && r != SE_OUTCOME_CLOSED)
        se_program_say("%s", se_err_text());
    return code_of(program, r);
}
