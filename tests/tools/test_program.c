/* SPDX-License-Identifier: Apache-2.0 */
/* Programs made up for it: one with verbs, one without, and every way to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/program.h"

enum { TOY_FULL = SE_OUTCOME_OWN, TOY_DENIED, TOY_UNLISTED, TEXT_B = 4096 };

struct options {
    uint64_t end;
    bool fail;
};

static const char *seen; /* the word that the verb was given */

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    seen = argument[0];
    printf("ran\n");
    if (o->fail)
        return se_fail(-ENOENT, "no such toy");
    if (o->end == SE_OUTCOME_USAGE)
        return se_usage("toys want a box");
    return o->end ? se_fail((int)o->end, "outcome %d", (int)o->end) : 0;
}

static const struct se_conf_row rows[] = {
    { "end", 'e', SE_CONF_UINT, offsetof(struct options, end), "0", 0, 100, "N", "how it ends" },
    { "fail", 0, SE_CONF_FLAG, offsetof(struct options, fail), NULL, 0, 0, NULL, "it fails" },
};
static struct options chosen;

#define TOY(called, words, n) \
    { \
        .name = (called), .arguments = (words), .n_arguments = (n), .summary = "play", \
        .rows = rows, .n_rows = sizeof rows / sizeof rows[0], .values = &chosen, .run = run \
    }
static const struct se_verb spin = TOY("spin", "TOP", 1), roll = TOY("roll", NULL, 0);
static const struct se_verb only = TOY(NULL, "TOP", 1), bare = TOY(NULL, NULL, 0);
static const struct se_program_end ends[] = { { TOY_FULL, 5 }, { TOY_DENIED, 4 } };

#define PROGRAM(called, verbs) \
    { \
        .name = (called), .summary = "toys", .verb = (verbs), \
        .n_verbs = sizeof(verbs) / sizeof(verbs)[0], .end = ends, \
        .n_ends = sizeof ends / sizeof ends[0] \
    }
static const struct se_verb *const both_verbs[] = { &spin, &roll };
static const struct se_verb *const one_verb[] = { &roll };
static const struct se_verb *const no_verb[] = { &only };
static const struct se_verb *const no_word[] = { &bare };
static const struct se_program toys = PROGRAM("toys", both_verbs), ball = PROGRAM("ball", one_verb);
static const struct se_program top = PROGRAM("top", no_verb), yoyo = PROGRAM("yoyo", no_word);

static char out[TEXT_B], err[TEXT_B];

/* From here on what fd gets goes to a file; *kept is where it went before. */
static FILE *capture(int fd, int *kept)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    *kept = dup(fd);
    assert_true(*kept >= 0 && dup2(fileno(file), fd) == fd);
    return file;
}

static void release(FILE *file, int fd, int kept, char text[TEXT_B])
{
    dup2(kept, fd);
    close(kept);
    rewind(file);
    text[fread(text, 1, TEXT_B - 1, file)] = '\0';
    fclose(file);
}

/* The line's words after the program's name, parted by blanks. Fills out, err and seen. */
static int call(const struct se_program *program, const char *line)
{
    static char words[256];
    char *argv[16] = { words };
    int argc = 1, kept_out, kept_err;
    seen = NULL;
    snprintf(words, sizeof words, "%s %s", program->name, line);
    strtok(words, " ");
    while ((argv[argc] = strtok(NULL, " ")))
        argc++;
    fflush(stdout);
    FILE *to_out = capture(STDOUT_FILENO, &kept_out), *to_err = capture(STDERR_FILENO, &kept_err);
    int code = se_program_main(program, argc, argv);
    release(to_err, STDERR_FILENO, kept_err, err);
    release(to_out, STDOUT_FILENO, kept_out, out);
    return code;
}

static void assert_ends(const struct se_program *program, const char *line, int code,
                        const char *sentence)
{
    int got = call(program, line);
    if (got != code || strcmp(err, sentence) != 0)
        fail_msg("%s %s: exit code %d, '%s'", program->name, line, got, err);
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char *option, *sentence;
        int code;
    } cases[] = {
        { "", "", 0 },
        { "--fail", "no such toy\n", 1 },
        { "-e2", "", 130 },
        { "-e3", "", 141 },
        { "-e4", "outcome 4\n", 5 },
        { "-e5", "outcome 5\n", 4 },
        { "-e6", "outcome 6\n", 1 },
    };
    assert_int_equal(SE_OUTCOME_INTERRUPTED, 2);
    assert_int_equal(SE_OUTCOME_CLOSED, 3);
    assert_int_equal(TOY_UNLISTED, 6);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[64], sentence[64];
        bool silent = !cases[i].sentence[0];
        snprintf(line, sizeof line, "spin x %s", cases[i].option);
        snprintf(sentence, sizeof sentence, "%s%s", silent ? "" : "toys: ", cases[i].sentence);
        assert_ends(&toys, line, cases[i].code, sentence);
        assert_string_equal(seen, "x");
        assert_string_equal(out, "ran\n");
        snprintf(sentence, sizeof sentence, "%s%s", silent ? "" : "top: ", cases[i].sentence);
        assert_ends(&top, line + strlen("spin "), cases[i].code, sentence);
        assert_string_equal(seen, "x");
    }
}

static void test_usage(void **state)
{
    (void)state;
    assert_ends(&toys, "", 2, "toys: which verb? There are spin, roll (toys --help)\n");
    assert_ends(&ball, "", 2, "ball: which verb? There is roll (ball --help)\n");
    assert_ends(&ball, "spin", 2, "ball: no verb \"spin\": there is roll\n");
    assert_ends(&toys, "--fail", 2,
                "toys: no option \"--fail\" before the verb: there are --help and --version\n");
    assert_ends(&toys, "spin", 2, "toys: spin: TOP is missing: toys spin TOP [OPTION...]\n");
    assert_ends(&toys, "roll x", 2,
                "toys: roll: \"x\" is one word too many: toys roll [OPTION...]\n");
    assert_ends(&toys, "roll -e1", 2, "toys: roll: toys want a box\n");
    assert_ends(&top, "", 2, "top: TOP is missing: top TOP [OPTION...]\n");
    assert_ends(&top, "x y", 2, "top: \"y\" is one word too many: top TOP [OPTION...]\n");
    assert_ends(&top, "x -e1", 2, "top: toys want a box\n");
    assert_ends(&yoyo, "-e101", 2, "yoyo: --end: '101' is out of range, 0 to 100\n");
    assert_null(seen);
    assert_string_equal(out, "");
}

static void test_help(void **state)
{
    (void)state;
    assert_ends(&toys, "--help", 0, "");
    assert_non_null(strstr(out, "toys - toys\n\nUsage: toys VERB ARGUMENT... [OPTION...]\n"));
    assert_non_null(strstr(out, "  spin        TOP       play\n"));
    assert_non_null(strstr(out, "  roll                  play\n"));
    assert_ends(&ball, "-h", 0, "");
    assert_non_null(strstr(out, "Usage: ball VERB [OPTION...]\n"));
    assert_non_null(strstr(out, "  roll        play\n"));
    assert_ends(&toys, "spin --help", 0, "");
    assert_non_null(strstr(out, "toys spin - play\n\nUsage: toys spin TOP [OPTION...]\n"));
    assert_null(strstr(out, "--version"));
    assert_ends(&top, "--help", 0, "");
    assert_non_null(strstr(out, "top - play\n\nUsage: top TOP [OPTION...]\n"));
    assert_non_null(strstr(out, "--version"));
    assert_ends(&yoyo, "--help", 0, "");
    assert_non_null(strstr(out, "Usage: yoyo [OPTION...]\n"));
    assert_ends(&toys, "--version", 0, "");
    assert_memory_equal(out, "toys ", 5);
    assert_ends(&top, "--version", 0, "");
    assert_memory_equal(out, "top ", 4);
    assert_null(seen);
}

static int refuse(void) { return se_fail(-EINVAL, "the house is asleep"); }

static void test_begin(void **state)
{
    (void)state;
    struct se_program asleep = top;
    asleep.begin = refuse;
    assert_ends(&asleep, "x", 2, "top: the house is asleep\n");
    assert_null(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
