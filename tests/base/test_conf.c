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
    uint64_t memory, wait_ns;
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
    { "memory", 'm', SE_CONF_BYTES, offsetof(struct settings, memory), "512M", 4096, 0x1p42, "SIZE",
      "Memory for keys and values." },
    { "wait", 0, SE_CONF_TIME, offsetof(struct settings, wait_ns), "15ms", 1000, 90e9, "TIME",
      "How long to wait for a fuller step.", SE_CONF_LIVE },
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

    static const struct {
        const char *word;
        bool on;
    } flags[] = { { "--chat=true", true }, { "--chat=yes", true },  { "--chat=On", true },
                  { "--chat=no", false },  { "--chat=off", false }, { "--chat=False", false } };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        struct line line = read_line(flags[i].word, NULL);
        assert_int_equal(line.r, 0);
        assert_int_equal(line.settings.chat, flags[i].on);
    }
}

static void test_measures(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        uint64_t memory, wait_ns;
    } cases[] = {
        { "--chat", 512ull << 20, 15000000 },       { "--memory=4096", 4096, 15000000 },
        { "--memory=4096B", 4096, 15000000 },       { "--memory=8K", 8192, 15000000 },
        { "--memory=8kib", 8192, 15000000 },        { "--memory=3m", 3 << 20, 15000000 },
        { "-m4G", 4ull << 30, 15000000 },           { "--memory=4GiB", 4ull << 30, 15000000 },
        { "-m4T", 4ull << 40, 15000000 },           { "--wait=1000ns", 512ull << 20, 1000 },
        { "--wait=7us", 512ull << 20, 7000 },       { "--wait=2s", 512ull << 20, 2000000000 },
        { "--wait=1m", 512ull << 20, 60000000000 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct line line = read_line(cases[i].word, NULL);
        assert_int_equal(line.r, 0);
        assert_int_equal(line.settings.memory, cases[i].memory);
        assert_int_equal(line.settings.wait_ns, cases[i].wait_ns);
    }
    /* Nothing is nothing in any unit. */
    const struct se_conf_row row = { "t", 0, SE_CONF_TIME, 0, "0", 0, 0x1p64, "TIME", "" };
    uint64_t value = 1;
    assert_int_equal(se_conf_defaults(&row, 1, &value), 0);
    assert_int_equal(value, 0);
}

/* Which changed settings want a new start. */
static void test_frozen(void **state)
{
    (void)state;
    const struct se_conf_row *changed[N_ROWS];
    struct line a = read_line("--prompt=same", NULL), b = a;
    b.settings.prompt = "same\0but elsewhere";
    a.settings.rows.value[3] = 7; /* behind the list's end */
    assert_int_equal(se_conf_frozen(rows, N_ROWS, &a.settings, &b.settings, changed), 0);
    b.settings.wait_ns++; /* may change */
    assert_int_equal(se_conf_frozen(rows, N_ROWS, &a.settings, &b.settings, changed), 0);
    b.settings.prompt = NULL;
    b.settings.chat = true;
    b.settings.rows.value[2]++;
    b.settings.memory++;
    assert_int_equal(se_conf_frozen(rows, N_ROWS, &a.settings, &b.settings, changed), 4);
    assert_string_equal(changed[0]->name, "chat");
    assert_string_equal(changed[1]->name, "prompt");
    assert_string_equal(changed[2]->name, "rows");
    assert_string_equal(changed[3]->name, "memory");
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
        { { "-t-1" }, { "--threads", "'-1'", "out of range, 1 to 64" } },
        { { "--threads", "-18446744073709551616" }, { "--threads", "'-184", "1 to 64" } },
        { { "--threads=-" }, { "--threads", "'-'", "is not a whole number, 1 to 64" } },
        { { "--threads=many" }, { "--threads", "'many'", "is not a whole number, 1 to 64" } },
        { { "--threads=99999999999999999999x" }, { "--threads", "x'", "not a whole number" } },
        { { "--seed=-3" }, { "--seed", "'-3'", "at least 0" } },
        { { "--rows=1,-3" }, { "--rows", "'1,-3'", "out of range, 1 to 4096" } },
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
        { { "--chat=maybe" }, { "--chat", "'maybe'", "true or false" } },
        { { "--chat=" }, { "--chat", "''", "true or false" } },
        { { "--memory=lots" }, { "--memory", "'lots'", "a size, as in 512M or 4G, 4K to 4T" } },
        { { "--memory=1.5G" }, { "--memory", "'1.5G'", "a size, as in 512M or 4G" } },
        { { "--memory=1GB" }, { "--memory", "'1GB'", "a size, as in 512M or 4G" } },
        { { "--memory=G" }, { "--memory", "'G'", "a size, as in 512M or 4G" } },
        { { "--memory=1 G" }, { "--memory", "'1 G'", "a size, as in 512M or 4G" } },
        { { "--memory=" }, { "--memory", "''", "a size, as in 512M or 4G" } },
        { { "--memory=4095" }, { "--memory", "'4095'", "out of range, 4K to 4T" } },
        { { "--memory=5T" }, { "--memory", "'5T'", "out of range, 4K to 4T" } },
        { { "--memory=-4096" }, { "--memory", "'-4096'", "out of range, 4K to 4T" } },
        { { "--memory=99999999999T" }, { "--memory", "'99999999999T'", "out of range" } },
        { { "--memory=99999999999999999999" }, { "--memory", "99'", "out of range" } },
        { { "--wait=15" }, { "--wait", "'15' has no unit", "as in 15ms" } },
        { { "--wait=1.5s" }, { "--wait", "'1.5s'", "a time, as in 250us, 15ms or 2s" } },
        { { "--wait=2d" }, { "--wait", "'2d'", "a time, as in" } },
        { { "--wait=soon" }, { "--wait", "'soon'", "2s, 1us to 90s" } },
        { { "--wait=999ns" }, { "--wait", "'999ns'", "out of range, 1us to 90s" } },
        { { "--wait=0" }, { "--wait", "'0'", "out of range, 1us to 90s" } },
        { { "--wait=2m" }, { "--wait", "'2m'", "out of range, 1us to 90s" } },
        { { "--wait=-1" }, { "--wait", "'-1'", "out of range, 1us to 90s" } },
        { { "--wait=9999999999h" }, { "--wait", "'9999999999h'", "out of range" } },
        { { "--nothing=1" }, { "'--nothing'", "no such option", "--seed" } },
        { { "--thread=1" }, { "'--thread'", "no such option; did you mean --threads?", "" } },
        { { "--wieghts=1" }, { "'--wieghts'", "no such option; did you mean --weights?", "" } },
        { { "--\x1b[2J=1" }, { "'--\\x1b[2J'", "no such option", "--threads" } },
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

/* More options than a sentence holds. */
static void test_many_options(void **state)
{
    (void)state;
    static char names[200][16];
    struct se_conf_row many[200];
    char zeroes[] = "--zeroes=1", *argv[] = { zeroes, zeroes }, *rest[2];
    uint64_t value = 0;
    int n_rest;
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof names[i], "number-%d", i);
        many[i] = (struct se_conf_row){ names[i], 0, SE_CONF_UINT, 0, NULL, 0, 9, "N", "" };
    }
    assert_int_equal(se_conf_args(many, 200, &value, 2, argv, rest, &n_rest), -EINVAL);
    const char *said = se_err_text();
    const char *end = " ... --help";
    assert_non_null(strstr(said, " --number-0 --number-1 "));
    assert_string_equal(said + strlen(said) - strlen(end), end);
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
        "  -m, --memory SIZE  (default 512M; 4K to 4T)\n",
        "      --wait TIME  (default 15ms; 1us to 90s)\n",
        "  -h, --help\n",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(text, wanted[i]))
            fail_msg("no '%s' in\n%s", wanted[i], text);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    free(text);
}

static void test_yaml_text(void **state)
{
    (void)state;
    static const struct se_conf_row more[] = {
        { "config", 'c', SE_CONF_TEXT, 0, NULL, 0, 0, "FILE", "The file itself." },
        { "version", 0, SE_CONF_FLAG, 0, NULL, 0, 0, NULL, "Not for a file.", SE_CONF_ARGS_ONLY },
        { "listen", 0, SE_CONF_TEXT, 0, "tcp://*:5555", 0, 0, "URL",
          "Where edges connect. A sentence that is long enough to need a second line of the file, "
          "and then some." },
        { "folder", 0, SE_CONF_TEXT, 0, "/var/lib", 0, 0, "DIR", "A folder.", SE_CONF_LIVE },
        { "chat", 0, SE_CONF_FLAG, 0, NULL, 0, 0, NULL, "Lay it out.", SE_CONF_LIVE },
        { "mode", 0, SE_CONF_CHOICE, 0, NULL, 0, 0, "a|b", "How." },
        { "rows", 0, SE_CONF_UINTS, 0, NULL, 1, 9, "LIST", "Rows." },
        { "wait", 0, SE_CONF_TIME, 0, "15ms", 0, 0x1p64, "TIME", "Wait.", SE_CONF_LIVE },
    };
    static const char wanted[] =
        "# More of it.\n"
        "# Every setting stands here at its default, commented out.\n"
        "\n"
        "# Where edges connect. A sentence that is long enough to need a second line of\n"
        "# the file, and then some.\n"
        "# listen: \"tcp://*:5555\"\n"
        "\n"
        "# A folder.\n"
        "# may change while it runs\n"
        "# folder: /var/lib\n"
        "\n"
        "# Lay it out.\n"
        "# true or false; may change while it runs\n"
        "# chat: false\n"
        "\n"
        "# How.\n"
        "# one of a|b\n"
        "# mode: a\n"
        "\n"
        "# Rows.\n"
        "# 1 to 9\n"
        "# rows: []\n"
        "\n"
        "# Wait.\n"
        "# may change while it runs\n"
        "# wait: 15ms\n";
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    se_conf_yaml(more, sizeof more / sizeof *more, to, "More of it.");
    fclose(to);
    assert_string_equal(text, wanted);
    free(text);
}

/* It works, and nobody learns of it. */
static void test_hidden(void **state)
{
    (void)state;
    static const struct se_conf_row two[] = {
        { "visible", 0, SE_CONF_FLAG, offsetof(struct settings, chat), NULL, 0, 0, NULL, "Seen." },
        { "covered", 0, SE_CONF_UINT, offsetof(struct settings, seed), "3", 0, 9, "N", "Unseen.",
          SE_CONF_HIDDEN },
    };
    struct settings settings;
    char program[] = "program", right[] = "--covered=5", wrong[] = "--coverd", other[] = "--xyz";
    char *argv[2] = { program, right }, *rest[2], *text = NULL;
    size_t len = 0;
    int n_rest;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    se_conf_help(two, 2, to);
    se_conf_yaml(two, 2, to, "Title.");
    fclose(to);
    assert_non_null(strstr(text, "visible"));
    assert_null(strstr(text, "covered"));
    free(text);
    assert_int_equal(se_conf_defaults(two, 2, &settings), 0);
    assert_int_equal(settings.seed, 3);
    assert_int_equal(se_conf_args(two, 2, &settings, 2, argv, rest, &n_rest), 0);
    assert_int_equal(settings.seed, 5);
    argv[1] = wrong;
    assert_int_equal(se_conf_args(two, 2, &settings, 2, argv, rest, &n_rest), -EINVAL);
    assert_string_equal(se_err_text(), "'--coverd': no such option; there are --visible --help");
    argv[1] = other;
    assert_int_equal(se_conf_args(two, 2, &settings, 2, argv, rest, &n_rest), -EINVAL);
    assert_string_equal(se_err_text(), "'--xyz': no such option; there are --visible --help");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_help_asked), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bad_table),  cmocka_unit_test(test_large_limits),
        cmocka_unit_test(test_help_text),  cmocka_unit_test(test_many_options),
        cmocka_unit_test(test_measures),   cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_yaml_text),  cmocka_unit_test(test_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
