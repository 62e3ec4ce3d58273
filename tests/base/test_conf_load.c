/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/conf_load.h"
#include "runtime/base/err.h"

struct settings {
    uint64_t a, b, c, d;
    const char *text;
    const char *config;
    bool flag;
};

static const struct se_conf_row rows[] = {
    { "a", 'a', SE_CONF_UINT, offsetof(struct settings, a), "1", 0, 100, "N", "" },
    { "b", 'b', SE_CONF_UINT, offsetof(struct settings, b), "1", 0, 100, "N", "" },
    { "c", 0, SE_CONF_UINT, offsetof(struct settings, c), "1", 0, 100, "N", "", SE_CONF_LIVE },
    { "d", 'd', SE_CONF_UINT, offsetof(struct settings, d), "1", 0, 100, "N", "" },
    { "text", 't', SE_CONF_TEXT, offsetof(struct settings, text), "default", 0, 0, "TEXT", "" },
    { "config", 'c', SE_CONF_TEXT, offsetof(struct settings, config), "default.yaml", 0, 0, "FILE",
      "" },
    { "flag", 0, SE_CONF_FLAG, offsetof(struct settings, flag), NULL, 0, 0, NULL, "" },
};
enum { N_ROWS = sizeof rows / sizeof *rows, ARGS_MAX = 16 };

/* A folder that the tests work in, and that goes with them. */
static char room[64];

static int make_room(void **state)
{
    (void)state;
    snprintf(room, sizeof room, "/tmp/se-conf-load.XXXXXX");
    return mkdtemp(room) && chdir(room) == 0 ? 0 : -1;
}

static int clear_room(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", room);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* One start of a program: its words, up to NULL. */
struct start {
    struct settings s;
    struct se_conf_files files;
    char *argv[ARGS_MAX], *rest[ARGS_MAX];
    int argc, n_rest, r;
};

static void begin(struct start *start, const char *first, ...)
{
    va_list args;
    memset(start, 0, sizeof *start);
    start->argv[start->argc++] = strdup("program");
    va_start(args, first);
    for (const char *word = first; word; word = va_arg(args, const char *))
        start->argv[start->argc++] = strdup(word);
    va_end(args);
    start->s.d = 77;
    se_err_clear();
    start->r = se_conf_load(rows, N_ROWS, &start->s, &start->files, start->argc, start->argv,
                            start->rest, &start->n_rest);
}

static void end(struct start *start)
{
    se_conf_files_fini(&start->files);
    for (int i = 0; i < start->argc; i++)
        free(start->argv[i]);
}

/* Every source says something of its own, and of what the next one says. */
static void test_order(void **state)
{
    (void)state;
    struct start start;
    write_file("server.yaml", "b: 2\nc: 2\nd: 2\ntext: file\n");
    assert_int_equal(mkdir("server.yaml.d", 0700), 0);
    write_file("server.yaml.d/20-more.yaml", "d: 3\ntext: more\n");
    write_file("server.yaml.d/10-first.yaml", "c: 3\nd: 9\ntext: first\n");
    write_file("server.yaml.d/.hidden.yaml", "d: 10\n");
    write_file("server.yaml.d/30-old.yaml~", "d: 11\n");
    write_file("server.yaml.d/README", "not one of them\n");

    begin(&start, "word", "-d", "4", "--config", "server.yaml", "--flag", "--", "-x", NULL);
    if (start.r != 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(start.s.a, 1); /* default */
    assert_int_equal(start.s.b, 2); /* file */
    assert_int_equal(start.s.c, 3); /* a file of the folder */
    assert_int_equal(start.s.d, 4); /* command line, though the file is named behind it */
    assert_string_equal(start.s.text, "more");
    assert_string_equal(start.s.config, "server.yaml");
    assert_true(start.s.flag);
    assert_int_equal(start.n_rest, 2);
    assert_string_equal(start.rest[0], "word");
    assert_string_equal(start.rest[1], "-x");
    end(&start);

    /* An empty name asks for no file at all. */
    begin(&start, "--config=", NULL);
    assert_int_equal(start.r, 0);
    assert_int_equal(start.s.b, 1);
    end(&start);
}

/* The default file may be absent; its folder is read all the same. */
static void test_default_file(void **state)
{
    (void)state;
    struct start start;
    begin(&start, NULL);
    assert_int_equal(start.r, 0);
    assert_int_equal(start.s.a, 1);
    assert_string_equal(start.s.text, "default");
    end(&start);

    assert_int_equal(mkdir("default.yaml.d", 0700), 0);
    write_file("default.yaml.d/a.yaml", "a: 5\n");
    begin(&start, NULL);
    assert_int_equal(start.r, 0);
    assert_int_equal(start.s.a, 5);
    end(&start);

    write_file("default.yaml", "a: 4\nb: 4\n");
    begin(&start, "-b6", NULL);
    assert_int_equal(start.r, 0);
    assert_int_equal(start.s.a, 5);
    assert_int_equal(start.s.b, 6);
    end(&start);

    begin(&start, "-c", "default.yml", NULL); /* asked for */
    assert_int_equal(start.r, -ENOENT);
    assert_string_equal(se_err_text(), "default.yml: No such file or directory");
    end(&start);
}

static void test_refusals(void **state)
{
    (void)state;
    struct start start;
    write_file("bad.yaml", "a: 1\nb: many\n");
    assert_int_equal(mkdir("good.yaml.d", 0700), 0);
    write_file("good.yaml", "a: 2\n");
    write_file("good.yaml.d/x.yaml", "a: 3\n\nbb: 3\n");
    write_file("plain.yaml", "a: 2\n");
    write_file("plain.yaml.d", "");
    assert_int_equal(mkdir("folder.yaml", 0700), 0);
    assert_int_equal(mkfifo("pipe.yaml", 0600), 0);
    FILE *large = fopen("large.yaml", "w");
    assert_non_null(large);
    for (int i = 0; i <= 1 << 16; i++)
        fputs("# sixteen bytes\n", large);
    assert_int_equal(fclose(large), 0);

    static const struct {
        const char *file;
        int r;
        const char *said;
    } cases[] = {
        { "bad.yaml", -EINVAL, "bad.yaml:2: b: 'many' is not a whole number, 0 to 100" },
        { "good.yaml", -EINVAL, "good.yaml.d/x.yaml:3: bb: no such key (--help lists all)" },
        { "plain.yaml", -ENOTDIR, "plain.yaml.d: Not a directory" },
        { "folder.yaml", -EINVAL, "folder.yaml: not a regular file" },
        { "pipe.yaml", -EINVAL, "pipe.yaml: not a regular file" },
        { "bad.yaml/x", -ENOTDIR, "bad.yaml/x: Not a directory" },
        { "large.yaml", -EINVAL, "large.yaml: larger than 1 MiB; this is no configuration file" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&start, "-c", cases[i].file, "-a9", NULL);
        assert_int_equal(start.r, cases[i].r);
        assert_string_equal(se_err_text(), cases[i].said);
        assert_int_equal(start.s.d, 77); /* nothing was touched, not even by a default */
        assert_null(start.s.text);
        end(&start);
    }
    /* The command line is looked at first. */
    begin(&start, "-c", "bad.yaml", "-a", "x", NULL);
    assert_int_equal(start.r, -EINVAL);
    assert_string_equal(se_err_text(), "--a: 'x' is not a whole number, 0 to 100");
    end(&start);
    begin(&start, "-c", "bad.yaml", "--help", NULL);
    assert_int_equal(start.r, SE_CONF_HELP);
    end(&start);

    /* A mebibyte and not one byte more is fine. */
    assert_int_equal(truncate("large.yaml", SE_CONF_FILE_MAX_B), 0);
    begin(&start, "-c", "large.yaml", NULL);
    assert_int_equal(start.r, 0);
    end(&start);
}

/* Files change, the command line does not; and what runs keeps its own values and texts. */
static void test_again(void **state)
{
    (void)state;
    struct start start;
    struct settings s = { .a = 99 };
    struct se_conf_files fresh;
    const struct se_conf_row *changed[N_ROWS];
    write_file("again.yaml", "b: 2\nc: 2\ntext: old\n");
    begin(&start, "word", "-cagain.yaml", "-d4", NULL);
    assert_int_equal(start.r, 0);

    write_file("again.yaml", "b: 2\nc: 3\nd: 5\ntext: new\n");
    assert_int_equal(se_conf_load_again(rows, N_ROWS, &s, &fresh, &start.files), 0);
    assert_int_equal(s.a, 1);
    assert_int_equal(s.b, 2);
    assert_int_equal(s.c, 3);
    assert_int_equal(s.d, 4); /* the command line still rules */
    assert_string_equal(s.text, "new");
    assert_string_equal(start.s.text, "old");
    assert_int_equal(se_conf_frozen(rows, N_ROWS, &start.s, &s, changed), 1);
    assert_string_equal(changed[0]->name, "text"); /* c may change */
    end(&start);

    /* And from those once more, into a file that has become wrong. */
    struct settings last = { .a = 99 };
    struct se_conf_files files;
    write_file("again.yaml", "b: 2\nc: 300\n");
    begin(&start, "-cagain.yaml", NULL);
    assert_int_equal(start.r, -EINVAL);
    assert_int_equal(se_conf_load_again(rows, N_ROWS, &last, &files, &start.files), -EINVAL);
    assert_string_equal(se_err_text(), "again.yaml:2: c: '300' is out of range, 0 to 100");
    assert_int_equal(last.a, 99);
    se_conf_files_fini(&files);
    end(&start);
    assert_string_equal(s.text, "new");
    se_conf_files_fini(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_default_file),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_again),
    };
    return cmocka_run_group_tests(tests, make_room, clear_room);
}
