/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/verb.h"

#include "runtime/base/conf_load.h"
#include "runtime/base/mem.h"

/* "se-model generate DIR [OPTION...]" is two texts around one that may be empty. */
static const char *blank(const struct se_verb *verb) { return verb->arguments ? " " : ""; }
static const char *words(const struct se_verb *verb)
{
    return verb->arguments ? verb->arguments : "";
}

static void print_help(const struct se_verb *verb, const char *title)
{
    printf("%s - %s\n\nUsage: %s%s%s [OPTION...]\n", title, verb->summary, title, blank(verb),
           words(verb));
    if (verb->more)
        printf("\n%s\n", verb->more);
    printf("\nOptions:\n");
    se_conf_help(verb->rows, verb->n_rows, stdout);
    if (!verb->name)
        printf("      --version\n        Print the version and leave. Stands first.\n");
}

static int check_words(const struct se_verb *verb, const char *title, int n, char **word)
{
    if (n < verb->n_arguments)
        return se_usage("%s is missing: %s%s%s [OPTION...]", words(verb), title, blank(verb),
                        words(verb));
    if (n > verb->n_arguments && !verb->more_arguments)
        return se_usage("\"%s\" is one word too many: %s%s%s [OPTION...]", word[verb->n_arguments],
                        title, blank(verb), words(verb));
    return 0;
}

/* The command line alone, or files before it. */
static int load(const struct se_verb *verb, int argc, char **argv, char **word, int *n_words)
{
    if (verb->files)
        return se_conf_load(verb->rows, verb->n_rows, verb->values, verb->files, argc, argv, word,
                            n_words);
    int r = se_conf_defaults(verb->rows, verb->n_rows, verb->values);
    if (r < 0)
        return r;
    return se_conf_args(verb->rows, verb->n_rows, verb->values, argc, argv, word, n_words);
}

int se_verb_run(const struct se_verb *verb, const char *title, int argc, char **argv)
{
    int n_words = 0;
    char **word = se_mem_zero((size_t)argc + 1, sizeof *word);
    if (!word)
        return -ENOMEM;
    int r = load(verb, argc, argv, word, &n_words);
    if (r == SE_CONF_HELP) {
        print_help(verb, title);
        r = 0;
        goto out;
    }
    r = r < 0 ? SE_OUTCOME_USAGE : check_words(verb, title, n_words, word);
    if (r == 0)
        r = verb->run(verb->values, word);
out:
    if (verb->files)
        se_conf_files_fini(verb->files);
    se_mem_free(word);
    return r;
}
