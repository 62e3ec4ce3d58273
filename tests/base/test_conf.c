/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/conf.h"
#include "runtime/base/err.h"

struct settings {
    bool chat;
    uint64_t threads, seed;
    double temp;
    const char *prompt;
    int weights;
    struct se_conf_uints rows;
};

static const struct se_conf_row rows[] = {
    { "chat", 0, SE_CONF_FLAG, offsetof(struct settings, chat), NULL, 0, 0, NULL,
      "Wrap the prompt in the model's chat template." },
    { "threads", 't', SE_CONF_UINT, offsetof(struct settings, threads), "2", 1, 64, "N",
      "Threads to compute with." },
    { "seed", 0, SE_CONF_UINT, offsetof(struct settings, seed), "0", 0, 0x1p64, "N",
      "Seed of the noise." },
    { "temp", 'T', SE_CONF_REAL, offsetof(struct settings, temp), "0.7", 0, 2, "X",
      "Temperature; 0 is greedy. This text is long enough that it has to be filled into more "
      "than one line of the terminal." },
    { "prompt", 'p', SE_CONF_TEXT, offsetof(struct settings, prompt), NULL, 0, 0, "TEXT",
      "What to go on from." },
    { "weights", 0, SE_CONF_CHOICE, offsetof(struct settings, weights), "asis", 0, 0,
      "asis|bf16|q8", "Precision of the weights in memory." },
    { "rows", 0, SE_CONF_UINTS, offsetof(struct settings, rows), "1,8,33", 1, 4096, "LIST",
      "Rows of a step." },
};
enum { N_ROWS = sizeof rows / sizeof *rows, ARGS_MAX = 16 };

/* Words of one command line, up to NULL. */
struct line {
    struct settings settings;
    char *rest[ARGS_MAX];
    int n_rest, r;
};

static struct line read_line(const char *first, ...)
{
    struct line line = { .n_rest = -1 };
    static char storage[ARGS_MAX][256];
    char *argv[ARGS_MAX] = { storage[0] };
    int argc = 1;
    va_list args;
    va_start(args, first);
    for (const char *word = first; word; word = va_arg(args, const char *)) {
        snprintf(storage[argc], sizeof storage[argc], "%s", word);
        argv[argc] = storage[argc];
        argc++;
    }
    va_end(args);
    se_err_clear();
    assert_int_equal(se_conf_defaults(rows, N_ROWS, &line.settings), 0);
    line.r = se_conf_args(rows, N_ROWS, &line.settings, argc, argv, line.rest, &line.n_rest);
    return line;
}

static void test_defaults(void **state)
{
    (void)state;
    struct line line = read_line(NULL);
    assert_int_equal(line.r, 0);
    assert_int_equal(line.n_rest, 0);
    assert_false(line.settings.chat);
    assert_int_equal(line.settings.threads, 2);
    assert_true(line.settings.temp == 0.7);
    assert_null(line.settings.prompt);
    assert_int_equal(line.settings.weights, 0);
    assert_int_equal(line.settings.rows.n, 3);
    assert_int_equal(line.settings.rows.value[2], 33);
}

static void test_spellings(void **state)
{
    (void)state;
    struct line a =
        read_line("--threads=7", "--temp", "1e-1", "--chat", "--prompt=a=b", "dir", "--weights",
                  "q8", "--rows", "5", "--seed=18446744073709551615", NULL);
    assert_int_equal(a.r, 0);
    assert_int_equal(a.settings.threads, 7);
    assert_true(a.settings.temp == 0.1);
    assert_true(a.settings.chat);
    assert_string_equal(a.settings.prompt, "a=b");
    assert_int_equal(a.settings.weights, 2);
    assert_int_equal(a.settings.rows.n, 1);
    assert_int_equal(a.settings.rows.value[0], 5);
    assert_true(a.settings.seed == UINT64_MAX);
    assert_int_equal(a.n_rest, 1);
    assert_string_equal(a.rest[0], "dir");

    struct line b = read_line("-t", "9", "-T1.5", "-p", "-x", "-", "--", "--chat", "-t", NULL);
    assert_int_equal(b.r, 0);
    assert_int_equal(b.settings.threads, 9);
    assert_true(b.settings.temp == 1.5);
    assert_string_equal(b.settings.prompt, "-x");
    assert_false(b.settings.chat);
    assert_int_equal(b.n_rest, 3);
    assert_string_equal(b.rest[0], "-");
    assert_string_equal(b.rest[1], "--chat");
    assert_string_equal(b.rest[2], "-t");

    struct line c = read_line("--chat", "--chat=false", "--prompt=", "--threads=1", "-t64", NULL);
    assert_int_equal(c.r, 0);
    assert_false(c.settings.chat);
    assert_string_equal(c.settings.prompt, "");
    assert_int_equal(c.settings.threads, 64); /* the last one rules */
}

static void test_help_asked(void **state)
{
    (void)state;
    assert_int_equal(read_line("--help", NULL).r, SE_CONF_HELP);
    assert_int_equal(read_line("dir", "-h", "--no-such", NULL).r, SE_CONF_HELP);
    assert_int_equal(read_line("--", "--help", NULL).r, 0);
    assert_int_equal(read_line("--prompt", "--help", NULL).r, 0);
}

static void test_refusals(void **state)
{
    (void)state;
    /* What is said must hold the option, the value in quotes, and what would do. */
    static const struct {
        const char *word[2];
        const char *said[3];
    } cases[] = {
        { { "--threads=0" }, { "--threads", "'0'", "1 to 64" } },
        { { "--threads", "65" }, { "--threads", "'65'", "1 to 64" } },
        { { "-t-1" }, { "--threads", "'-1'", "whole number" } },
        { { "--threads=+1" }, { "--threads", "'+1'", "whole number" } },
        { { "--threads= 1" }, { "--threads", "' 1'", "whole number" } },
        { { "--threads=1 " }, { "--threads", "'1 '", "whole number" } },
        { { "--threads=" }, { "--threads", "''", "whole number" } },
        { { "--threads=0x10" }, { "--threads", "'0x10'", "whole number" } },
        { { "--threads=2.5" }, { "--threads", "'2.5'", "whole number" } },
        { { "--seed=18446744073709551616" }, { "--seed", "'18446744073709551616'", "too large" } },
        { { "--threads=18446744073709551626" }, /* 2^64 + 10: times ten it wraps */
          { "--threads", "'18446744073709551626'", "1 to 64" } },
        { { "--temp=warm" }, { "--temp", "'warm'", "a number" } },
        { { "--temp=1x" }, { "--temp", "'1x'", "a number" } },
        { { "--temp=" }, { "--temp", "''", "a number" } },
        { { "--temp= 1" }, { "--temp", "' 1'", "a number" } },
        { { "--temp=nan" }, { "--temp", "'nan'", "a number" } },
        { { "--temp=inf" }, { "--temp", "'inf'", "0 to 2" } },
        { { "--temp=1e999" }, { "--temp", "'1e999'", "0 to 2" } },
        { { "--temp=-0.1" }, { "--temp", "'-0.1'", "0 to 2" } },
        { { "--temp", "2.1" }, { "--temp", "'2.1'", "0 to 2" } },
        { { "--weights=q" }, { "--weights", "'q'", "asis|bf16|q8" } },
        { { "--weights=" }, { "--weights", "''", "asis|bf16|q8" } },
        { { "--weights=bf16|q8" }, { "--weights", "'bf16|q8'", "asis|bf16|q8" } },
        { { "--rows=1,,2" }, { "--rows", "'1,,2'", "list" } },
        { { "--rows=1,2," }, { "--rows", "'1,2,'", "list" } },
        { { "--rows=" }, { "--rows", "''", "list" } },
        { { "--rows=1,0" }, { "--rows", "'1,0'", "1 to 4096" } },
        { { "--rows=1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1" },
          { "--rows", "'1,1,", "more than 32" } },
        { { "--chat=yes" }, { "--chat", "'yes'", "true or false" } },
        { { "--nothing=1" }, { "'--nothing'", "no such option", "--seed" } },
        { { "--thread=1" }, { "'--thread'", "no such option", "--threads" } },
        { { "-q" }, { "'-q'", "no such option", "--temp" } },
        { { "--threads" }, { "--threads", "missing", "" } },
        { { "-p" }, { "--prompt", "missing", "" } },
        { { "--help=x" }, { "--help", "no such option", "" } },
        { { "--=x" }, { "--", "no such option", "" } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct line line = read_line(cases[i].word[0], cases[i].word[1], NULL);
        if (line.r != -EINVAL)
            fail_msg("%s: %d", cases[i].word[0], line.r);
        for (int k = 0; k < 3; k++)
            if (!strstr(se_err_text(), cases[i].said[k]))
                fail_msg("%s: '%s' lacks \"%s\"", cases[i].word[0], se_err_text(),
                         cases[i].said[k]);
    }
}

/* A default outside its own limits is the table's mistake, and found. */
static void test_bad_table(void **state)
{
    (void)state;
    const struct se_conf_row bad = { "n", 0, SE_CONF_UINT, 0, "9", 1, 8, "N", "" };
    uint64_t value = 0;
    assert_int_equal(se_conf_defaults(&bad, 1, &value), -EINVAL);
    assert_non_null(strstr(se_err_text(), "--n"));
}

/* Limits beyond what a double tells apart from its neighbours. */
static void test_large_limits(void **state)
{
    (void)state;
    const struct se_conf_row row = { "n", 0, SE_CONF_UINT, 0, NULL, 0, 0x1p53, "N", "" };
    const struct {
        const char *word;
        int r;
    } cases[] = { { "--n=9007199254740992", 0 }, { "--n=9007199254740993", -EINVAL } };
    for (size_t i = 0; i < 2; i++) {
        uint64_t value = 0;
        char word[64], *argv[] = { word, word }, *rest[2];
        int n_rest;
        snprintf(word, sizeof word, "%s", cases[i].word);
        assert_int_equal(se_conf_args(&row, 1, &value, 2, argv, rest, &n_rest), cases[i].r);
    }
}

static void test_help_text(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    se_conf_help(rows, N_ROWS, to);
    fclose(to);
    static const char *const wanted[] = {
        "      --chat\n",
        "  -t, --threads N  (default 2; 1 to 64)\n        Threads to compute with.\n",
        "      --seed N  (default 0)\n",
        "  -T, --temp X  (default 0.7; 0 to 2)\n",
        "  -p, --prompt TEXT\n",
        "      --weights asis|bf16|q8  (default asis)\n",
        "      --rows LIST  (default 1,8,33; 1 to 4096)\n",
        "  -h, --help\n",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(text, wanted[i]))
            fail_msg("no '%s' in\n%s", wanted[i], text);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_help_asked), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bad_table),  cmocka_unit_test(test_large_limits),
        cmocka_unit_test(test_help_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
