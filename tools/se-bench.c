/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench: what the parts between edge and server cost by themselves. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "tools/se_bench.h"

enum { EXIT_RUN_TIME = 1, EXIT_USAGE = 2 };

static const struct se_bench_verb *const verbs[] = { &se_bench_wire };
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(void)
{
    printf("se-bench - what the parts between edge and server cost by themselves\n\n"
           "Usage: se-bench VERB [OPTION...]\n\nVerbs:\n");
    for (int i = 0; i < N_VERBS; i++)
        printf("  %-11s %s\n", verbs[i]->name, verbs[i]->summary);
    printf("\n\"se-bench VERB --help\" tells a verb's options. --version tells the version.\n");
}

static void print_verb_help(const struct se_bench_verb *verb)
{
    printf("se-bench %s - %s\n\nUsage: se-bench %s [OPTION...]\n", verb->name, verb->summary,
           verb->name);
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
        return se_bench_usage("which verb? There is %s (se-bench --help)", known);
    return se_bench_usage("no verb \"%s\": there is %s", name, known);
}

/* argv[0] is the verb's name. */
static int run_verb(const struct se_bench_verb *verb, int argc, char **argv)
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
    } else if (r < 0) {
        r = SE_BENCH_USAGE;
    } else if (n_words > 0) {
        r = se_bench_usage("\"%s\" is one word too many: se-bench %s [OPTION...]", word[0],
                           verb->name);
    } else {
        r = verb->run(verb->values);
    }
out:
    se_mem_free(word);
    return r;
}

static int dispatch(int argc, char **argv, const char **verb_name)
{
    if (argc < 2)
        return unknown_verb(NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help();
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("se-bench %s\n", SE_VERSION);
        return 0;
    }
    for (int i = 0; i < N_VERBS; i++)
        if (strcmp(argv[1], verbs[i]->name) == 0) {
            *verb_name = verbs[i]->name;
            return run_verb(verbs[i], argc - 1, argv + 1);
        }
    if (argv[1][0] == '-')
        return se_bench_usage("no option \"%s\" before the verb: there are --help and --version",
                              argv[1]);
    return unknown_verb(argv[1]);
}

int main(int argc, char **argv)
{
    const char *verb = NULL;
    int r = dispatch(argc, argv, &verb);
    if ((fflush(stdout) != 0 || ferror(stdout)) && r == 0)
        r = se_fail(-errno, "standard output: %s", strerror(errno));
    if (r == 0)
        return 0;
    fprintf(stderr, "se-bench: %s%s%s\n", verb ? verb : "", verb ? ": " : "", se_err_text());
    return r == SE_BENCH_USAGE ? EXIT_USAGE : EXIT_RUN_TIME;
}
