/* SPDX-License-Identifier: Apache-2.0 */
/* se-model: look into a model folder, let it write, measure it, make one of random weights. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "tools/se_model.h"

enum { EXIT_RUN_TIME = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

static const struct se_verb *const verbs[] = {
    &se_verb_info,   &se_verb_tokenize,   &se_verb_detokenize, &se_verb_generate,
    &se_verb_logits, &se_verb_perplexity, &se_verb_random,     &se_verb_bench,
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(void)
{
    printf("se-model - a model folder: what is in it, what it says, how fast it runs\n\n"
           "Usage: se-model VERB ARGUMENT... [OPTION...]\n\nVerbs:\n");
    for (int i = 0; i < N_VERBS; i++)
        printf("  %-11s %-9s %s\n", verbs[i]->name, verbs[i]->arguments, verbs[i]->summary);
    printf("\n\"se-model VERB --help\" tells a verb's options. --version tells the version.\n");
}

static void print_verb_help(const struct se_verb *verb)
{
    printf("se-model %s - %s\n\nUsage: se-model %s %s [OPTION...]\n", verb->name, verb->summary,
           verb->name, verb->arguments);
    if (verb->more)
        printf("\n%s\n", verb->more);
    printf("\nOptions:\n");
    se_conf_help(verb->rows, verb->n_rows, stdout);
}

static int unknown_verb(const char *name)
{
    char known[256] = "";
    for (int i = 0; i < N_VERBS; i++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", verbs[i]->name);
    }
    if (!name)
        return se_usage("which verb? There are %s (se-model --help)", known);
    return se_usage("no verb \"%s\": there are %s", name, known);
}

static int check_words(const struct se_verb *verb, int n, char **word)
{
    if (n < verb->n_arguments)
        return se_usage("%s is missing: se-model %s %s [OPTION...]", verb->arguments, verb->name,
                        verb->arguments);
    if (n > verb->n_arguments)
        return se_usage("\"%s\" is one word too many: se-model %s %s [OPTION...]",
                        word[verb->n_arguments], verb->name, verb->arguments);
    return 0;
}

/* argv[0] is the verb's name. */
static int run_verb(const struct se_verb *verb, int argc, char **argv)
{
    int n_words = 0;
    char **word = se_mem_zero((size_t)argc + 1, sizeof *word);
    if (!word)
        return -ENOMEM;
    int r = se_conf_defaults(verb->rows, verb->n_rows, verb->values);
    if (r < 0)
        goto out;
    r = se_conf_args(verb->rows, verb->n_rows, verb->values, argc, argv, word, &n_words);
    if (r == SE_CONF_HELP) {
        print_verb_help(verb);
        r = 0;
        goto out;
    }
    r = r < 0 ? SE_VERB_USAGE : check_words(verb, n_words, word);
    if (r == 0)
        r = verb->run(verb->values, word);
out:
    se_mem_free(word);
    return r;
}

static int dispatch(int argc, char **argv, const char **verb_name)
{
    int r = se_cpu_init();
    if (r < 0)
        return SE_VERB_USAGE;
    if (argc < 2)
        return unknown_verb(NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("se-model %s\n", SE_VERSION);
        return 0;
    }
    for (int i = 0; i < N_VERBS; i++)
        if (strcmp(argv[1], verbs[i]->name) == 0) {
            *verb_name = verbs[i]->name;
            return run_verb(verbs[i], argc - 1, argv + 1);
        }
    if (argv[1][0] == '-')
        return se_usage("no option \"%s\" before the verb: there are --help and --version",
                        argv[1]);
    return unknown_verb(argv[1]);
}

int se_output_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    if (errno == EPIPE)
        return SE_VERB_CLOSED;
    return se_fail(-errno, "standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    const char *verb = NULL;
    int r = dispatch(argc, argv, &verb);
    int flushed = se_output_flush();
    if (r == 0)
        r = flushed;
    if (r == 0)
        return 0;
    if (r == SE_VERB_INTERRUPTED)
        return EXIT_SIGNAL + SIGINT;
    if (r == SE_VERB_CLOSED)
        return EXIT_SIGNAL + SIGPIPE;
    fprintf(stderr, "se-model: %s%s%s\n", r == SE_VERB_USAGE && verb ? verb : "",
            r == SE_VERB_USAGE && verb ? ": " : "", se_err_text());
    return r == SE_VERB_USAGE ? EXIT_USAGE : EXIT_RUN_TIME;
}
