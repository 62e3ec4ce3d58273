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

#include <cmocka.h>

#include "runtime/base/conf_file.h"
#include "runtime/base/err.h"

struct settings {
    bool quiet;
    uint64_t max_sessions, seed;
    double temp;
    const char *model, *edges;
    int policy;
    struct se_conf_uints rows;
    uint64_t kv_mem, wait_ns;
    const char *config;
    bool once;
};

static const struct se_conf_row rows[] = {
    { "quiet", 'q', SE_CONF_FLAG, offsetof(struct settings, quiet), NULL, 0, 0, NULL, "Say less." },
    { "max-sessions", 0, SE_CONF_UINT, offsetof(struct settings, max_sessions), "64", 1, 100000,
      "N", "How many users at a time." },
    { "seed", 0, SE_CONF_UINT, offsetof(struct settings, seed), NULL, 0, 0x1p64, "N",
      "Seed of the noise." },
    { "temp", 'T', SE_CONF_REAL, offsetof(struct settings, temp), "0.7", 0, 2, "X",
      "Temperature." },
    { "model", 'm', SE_CONF_TEXT, offsetof(struct settings, model), NULL, 0, 0, "DIR",
      "The model's folder." },
    { "edges", 0, SE_CONF_TEXT, offsetof(struct settings, edges), "tcp://*:5555", 0, 0, "LIST",
      "Where edges connect." },
    { "policy", 0, SE_CONF_CHOICE, offsetof(struct settings, policy), "pipeline", 0, 0,
      "static|dynamic|pipeline", "When a step begins." },
    { "rows", 0, SE_CONF_UINTS, offsetof(struct settings, rows), "1,8,33", 1, 4096, "LIST",
      "Rows of a step." },
    { "kv-mem", 0, SE_CONF_BYTES, offsetof(struct settings, kv_mem), "512M", 0x1p20, 0x1p40, "SIZE",
      "Memory of keys and values." },
    { "wait", 0, SE_CONF_TIME, offsetof(struct settings, wait_ns), "15ms", 0, 60e9, "TIME",
      "How long a step waits.", SE_CONF_LIVE },
    { "config", 'c', SE_CONF_TEXT, offsetof(struct settings, config), NULL, 0, 0, "FILE",
      "This file." },
    { "once", 0, SE_CONF_FLAG, offsetof(struct settings, once), NULL, 0, 0, NULL,
      "Leave after one.", SE_CONF_ARGS_ONLY },
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* Settings at their defaults, then the file. */
static int parse_n(struct se_conf_files *files, struct settings *settings, const char *text,
                   size_t len)
{
    memset(settings, 0, sizeof *settings);
    assert_int_equal(se_conf_defaults(rows, N_ROWS, settings), 0);
    se_err_clear();
    return se_conf_file_parse(files, rows, N_ROWS, settings, "server.yaml", text, len);
}

static void test_good(void **state)
{
    (void)state;
    static const char text[] = "# a comment\r\n"
                               "quiet: on\n"
                               "max_sessions: 1000   # either dash\n"
                               "seed: \"18446744073709551615\"\n"
                               "temp: 1e-1\n"
                               "model: '/srv/it''s here'\n"
                               "edges: [\"tcp://*:1\", ipc:///run/se]\n"
                               "policy: static\n"
                               "rows:\n"
                               "  - 1\n"
                               "  - 5\n"
                               "kv-mem: 2GiB\n"
                               "wait: 250us\n";
    struct se_conf_files files = SE_CONF_FILES_NULL;
    struct settings s;
    int r = parse_n(&files, &s, text, strlen(text));
    if (r != 0)
        fail_msg("%s", se_err_text());
    assert_true(s.quiet);
    assert_int_equal(s.max_sessions, 1000);
    assert_true(s.seed == UINT64_MAX);
    assert_true(s.temp == 0.1);
    assert_string_equal(s.model, "/srv/it's here");
    assert_string_equal(s.edges, "tcp://*:1,ipc:///run/se");
    assert_int_equal(s.policy, 0);
    assert_int_equal(s.rows.n, 2);
    assert_int_equal(s.rows.value[1], 5);
    assert_int_equal(s.kv_mem, 2ull << 30);
    assert_int_equal(s.wait_ns, 250000);
    se_conf_files_fini(&files);
}

/* One line each, and what it must leave behind. */
static void test_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct settings wanted; /* only the fields that the text speaks of are looked at */
    } cases[] = {
        { "", { .max_sessions = 64 } },
        { "# nothing\n", { .max_sessions = 64 } },
        { "---\n", { .max_sessions = 64 } },
        { "--- # nothing\n...\n", { .max_sessions = 64 } },
        { "{}", { .max_sessions = 64 } },
        { "\xef\xbb\xbfmax-sessions: 2", { .max_sessions = 2 } },
        { "%YAML 1.1\n---\nmax-sessions: 2\n", { .max_sessions = 2 } },
        { "{ max-sessions: 2, quiet: true }", { .max_sessions = 2, .quiet = true } },
        { "{\"max-sessions\": 2, \"quiet\": True}", { .max_sessions = 2, .quiet = true } },
        { "quiet: YES", { .max_sessions = 64, .quiet = true } },
        { "quiet: off", { .max_sessions = 64 } },
        { "wait: 0", { .max_sessions = 64 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct se_conf_files files = SE_CONF_FILES_NULL;
        struct settings s;
        if (parse_n(&files, &s, cases[i].text, strlen(cases[i].text)) != 0)
            fail_msg("'%s': %s", cases[i].text, se_err_text());
        assert_int_equal(s.max_sessions, cases[i].wanted.max_sessions);
        assert_int_equal(s.quiet, cases[i].wanted.quiet);
        se_conf_files_fini(&files);
    }
    static const struct {
        const char *text;
        unsigned long long n, last;
    } lists[] = {
        { "rows: 1,8,34", 3, 34 },   { "rows: [1, 8, 34]", 3, 34 }, { "rows: \"5\"", 1, 5 },
        { "rows: [4096]", 1, 4096 }, { "rows: []", 0, 0 },
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct se_conf_files files = SE_CONF_FILES_NULL;
        struct settings s;
        assert_int_equal(parse_n(&files, &s, lists[i].text, strlen(lists[i].text)), 0);
        assert_int_equal(s.rows.n, lists[i].n);
        if (s.rows.n > 0)
            assert_int_equal(s.rows.value[s.rows.n - 1], lists[i].last);
        se_conf_files_fini(&files);
    }
    static const char *const texts[][2] = {
        { "model: ''", "" },
        { "model: 1", "1" },
        { "model: ~/x", "~/x" },
        { "model: \"null\"", "null" },
        { "model: []", "" },
        { "model: [a, b c]", "a,b c" },
        { "model: |\n  a\n  b\n", "a\nb\n" },
        { "model: \"caf\\u00e9\"", "caf\xc3\xa9" },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct se_conf_files files = SE_CONF_FILES_NULL;
        struct settings s;
        assert_int_equal(parse_n(&files, &s, texts[i][0], strlen(texts[i][0])), 0);
        assert_string_equal(s.model, texts[i][1]);
        se_conf_files_fini(&files);
    }
}

/* What is wrong, word for word; and that nothing was changed. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "\n\nmax-sessions: many\n",
          "server.yaml:3: max-sessions: 'many' is not a whole number, 1 to 100000" },
        { "max_sessions: 0", "server.yaml:1: max_sessions: '0' is out of range, 1 to 100000" },
        { "max-sessions: -3", "server.yaml:1: max-sessions: '-3' is out of range, 1 to 100000" },
        { "max-sessions: 1.0",
          "server.yaml:1: max-sessions: '1.0' is not a whole number, 1 to 100000" },
        { "seed: -1", "server.yaml:1: seed: '-1' is out of range, at least 0" },
        { "temp: warm", "server.yaml:1: temp: 'warm' is not a number, 0 to 2" },
        { "temp: .nan", "server.yaml:1: temp: '.nan' is not a number, 0 to 2" },
        { "temp: 3", "server.yaml:1: temp: '3' is out of range, 0 to 2" },
        { "quiet: maybe", "server.yaml:1: quiet: 'maybe' is not true or false" },
        { "quiet: 1", "server.yaml:1: quiet: '1' is not true or false" },
        { "policy: fast", "server.yaml:1: policy: 'fast' is not one of static|dynamic|pipeline" },
        { "rows: 1,two",
          "server.yaml:1: rows: '1,two' is not a list of whole numbers, as in 1,8,33, 1 to 4096" },
        { "rows:\n- 1\n- 5000", "server.yaml:1: rows: '1,5000' is out of range, 1 to 4096" },
        { "kv-mem: 512", "server.yaml:1: kv-mem: '512' is out of range, 1M to 1T" },
        { "kv-mem: 512 MB",
          "server.yaml:1: kv-mem: '512 MB' is not a size, as in 512M or 4G, 1M to 1T" },
        { "wait: 15", "server.yaml:1: wait: '15' has no unit: ns, us, ms, s, m or h, as in 15ms" },
        { "wait: 2m", "server.yaml:1: wait: '2m' is out of range, 0 to 1m" },
        { "max-sessions:\n  \"two\\nlines \\e[2J\"",
          "server.yaml:2: max-sessions: 'two\\nlines \\x1b[2J' is not a whole number, 1 to "
          "100000" },

        { "quiet: true\nmax-sesions: 1", "server.yaml:2: max-sesions: no such key; did you mean "
                                         "max-sessions? (--help lists all)" },
        { "whatever: 1", "server.yaml:1: whatever: no such key (--help lists all)" },
        { "<<: {quiet: true}", "server.yaml:1: <<: no such key (--help lists all)" },
        { "\"\": 1", "server.yaml:1: \"\": no such key (--help lists all)" },
        { "\"a\\nb\\e\": 1", "server.yaml:1: a\\nb\\x1b: no such key (--help lists all)" },
        { "config: other.yaml", "server.yaml:1: config: only the command line can say that" },
        { "once: true", "server.yaml:1: once: only the command line can say that" },
        { "seed: 1\nquiet: on\nseed: 1", "server.yaml:3: seed: given twice, in line 1 first" },
        { "max-sessions: 1\n\nmax_sessions: 1",
          "server.yaml:3: max_sessions: given twice, in line 1 first" },

        { "max-sessions:\n  a: 1",
          "server.yaml:1: max-sessions: a section stands where one value is wanted" },
        { "max-sessions: [1]",
          "server.yaml:1: max-sessions: a list stands where one value is wanted" },
        { "quiet: [true]", "server.yaml:1: quiet: a list stands where one value is wanted" },
        { "server:\n  threads: 1", "server.yaml:1: server: no such key (--help lists all)" },
        { "rows: [1, [2]]", "server.yaml:1: rows: something in the list is no single value" },
        { "rows: [1, {a: 2}]", "server.yaml:1: rows: something in the list is no single value" },
        { "rows: [1, ~]", "server.yaml:1: rows: something in the list is no single value" },
        { "model: ['a,b']", "server.yaml:1: model: an item of the list has a comma in it" },
        { "rows: ''",
          "server.yaml:1: rows: '' is not a list of whole numbers, as in 1,8,33, 1 to 4096" },
        { "seed:\nquiet: on", "server.yaml:1: seed: has no value" },
        { "seed: ~", "server.yaml:1: seed: has no value" },
        { "model: NULL", "server.yaml:1: model: has no value; an empty text is \"\"" },

        { "- 1\n", "server.yaml:1: lines of the form 'key: value' are wanted" },
        { "\nquiet true\n", "server.yaml:2: lines of the form 'key: value' are wanted" },
        { "quiet: true\n---\nseed: 1\n",
          "server.yaml:2: a second document begins; a file holds one" },
        { "---\n---\n", "server.yaml:2: a second document begins; a file holds one" },
        { "seed: &a 1\n",
          "server.yaml:1: anchors and aliases (&x, *x) are not known here; write the value out, "
          "in quotes if it begins so" },
        { "seed: 1\nmodel: *a\n",
          "server.yaml:2: anchors and aliases (&x, *x) are not known here; write the value out, "
          "in quotes if it begins so" },
        { "rows: &a [1]\n",
          "server.yaml:1: anchors and aliases (&x, *x) are not known here; write the value out, "
          "in quotes if it begins so" },
        { "&a quiet: true\n",
          "server.yaml:1: anchors and aliases (&x, *x) are not known here; write the value out, "
          "in quotes if it begins so" },
        { "&a {quiet: true}\n",
          "server.yaml:1: anchors and aliases (&x, *x) are not known here; write the value out, "
          "in quotes if it begins so" },
        { "seed: !!int 1\n", "server.yaml:1: tags (!x) are not known here; write the value alone, "
                             "in quotes if it begins so" },
        { "model: !mine\n", "server.yaml:1: tags (!x) are not known here; write the value alone, "
                            "in quotes if it begins so" },
        { "? [a]\n: 1\n", "server.yaml:1: a key that is no text" },
        { "? {a: b}\n: 1\n", "server.yaml:1: a key that is no text" },
        { "model: \"a\\0b\"", "server.yaml:1: a text with a zero byte in it" },
        { "\"seed\\0\": 1", "server.yaml:1: a text with a zero byte in it" },
        { "model: [[[[[[[[1]]]]]]]]\n", "server.yaml:1: sections and lists lie more than 8 deep" },
        { "model: [[[[[[[1]]]]]]]\n",
          "server.yaml:1: model: something in the list is no single value" },

        { "quiet: true\n seed: 1\n",
          "server.yaml:2: not YAML: mapping values are not allowed in this context" },
        { "quiet: true\nseed 1\nmodel: a\n",
          "server.yaml:3: not YAML: could not find expected ':', while scanning a simple key from "
          "line 2 on" },
        { "rows: [1, 2\nseed: 1\n", "server.yaml:2: not YAML: did not find expected ',' or ']', "
                                    "while parsing a flow sequence "
                                    "from line 1 on" },
        { "model: \"a\nseed: 1\n",
          "server.yaml:3: not YAML: found unexpected end of stream, while scanning a quoted scalar "
          "from line 1 on" },
        { "quiet: true\n\tseed: 1\n",
          "server.yaml:2: not YAML: a tab indents the line; use blanks" },
        { "seed: 1\nmodel: \xff\n", "server.yaml:2: not YAML: invalid leading UTF-8 octet" },
        { "seed: 1\n\nmodel: \x1b[2J\n",
          "server.yaml:3: not YAML: control characters are not allowed" },
        { "edges: *:5555\n",
          "server.yaml:1: not YAML: did not find expected alphabetic or numeric character, while "
          "scanning an alias from line 1 on" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct se_conf_files files = SE_CONF_FILES_NULL;
        struct settings before, after;
        memset(&before, 0, sizeof before);
        assert_int_equal(se_conf_defaults(rows, N_ROWS, &before), 0);
        if (parse_n(&files, &after, cases[i].text, strlen(cases[i].text)) != -EINVAL)
            fail_msg("'%s' is taken", cases[i].text);
        if (strcmp(se_err_text(), cases[i].said) != 0)
            fail_msg("'%s':\n%s\nand not\n%s", cases[i].text, se_err_text(), cases[i].said);
        assert_memory_equal(&before, &after, sizeof before);
        se_conf_files_fini(&files);
    }
}

/* A fault in the last line undoes all before it. */
static void test_all_or_nothing(void **state)
{
    (void)state;
    static const char text[] = "quiet: true\nmax-sessions: 7\nmodel: x\nrows: [9]\nseed: no\n";
    struct se_conf_files files = SE_CONF_FILES_NULL;
    struct settings s;
    assert_int_equal(parse_n(&files, &s, text, strlen(text)), -EINVAL);
    assert_false(s.quiet);
    assert_int_equal(s.max_sessions, 64);
    assert_null(s.model);
    assert_int_equal(s.rows.n, 3);
    se_conf_files_fini(&files);
}

/* More than any file has a use for ends in a sentence, and soon. */
static void test_bounds(void **state)
{
    (void)state;
    struct se_conf_files files = SE_CONF_FILES_NULL;
    struct settings s;
    size_t len = SE_CONF_FILE_MAX_B;
    char *text = malloc(len);
    assert_non_null(text);

    memset(text, '[', len); /* nothing but beginnings */
    assert_int_equal(parse_n(&files, &s, text, len), -EINVAL);
    assert_non_null(strstr(se_err_text(), "more than 8 deep"));

    for (size_t i = 0; i < len; i++)
        text[i] = "-\n"[i % 2];
    memcpy(text, "a:\n", 3);
    assert_int_equal(parse_n(&files, &s, text, len), -EINVAL);
    assert_string_equal(se_err_text(), "server.yaml:10001: more than 10000 values");

    memset(text, 'a', len); /* one key without an end */
    assert_int_equal(parse_n(&files, &s, text, len), -EINVAL);

    memset(text, ' ', len);
    assert_int_equal(parse_n(&files, &s, text, len), 0);
    free(text);
    se_conf_files_fini(&files);
}

/* The file that se_conf_yaml() prints says what the defaults say, line for line. */
static void test_printed_defaults(void **state)
{
    (void)state;
    char *printed = NULL, *active = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&printed, &len);
    assert_non_null(to);
    se_conf_yaml(rows, N_ROWS, to, "se-serverd");
    fclose(to);

    struct se_conf_files files = SE_CONF_FILES_NULL;
    struct settings wanted, s;
    memset(&wanted, 0, sizeof wanted);
    assert_int_equal(se_conf_defaults(rows, N_ROWS, &wanted), 0);
    assert_int_equal(parse_n(&files, &s, printed, len), 0);
    assert_memory_equal(&s, &wanted, sizeof s);

    to = open_memstream(&active, &len);
    assert_non_null(to);
    int n_settings = 0;
    for (const char *line = printed; *line; line += strcspn(line, "\n") + 1) {
        int line_len = (int)strcspn(line, "\n");
        const char *colon = memchr(line, ':', (size_t)line_len);
        bool setting = colon && !memchr(line + 2, ' ', (size_t)(colon - line - 2));
        if (setting && colon + 1 < line + line_len) { /* not the one without a default */
            fprintf(to, "%.*s\n", line_len - 2, line + 2);
            n_settings++;
        }
    }
    fclose(to);
    assert_int_equal(n_settings, N_ROWS - 3); /* model has no default, two are not for files */
    if (parse_n(&files, &s, active, len) != 0)
        fail_msg("%s in\n%s", se_err_text(), active);
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct se_conf_row *changed[1];
        assert_int_equal(se_conf_frozen(&rows[i], 1, &s, &wanted, changed), 0);
    }
    assert_int_equal(s.wait_ns, wanted.wait_ns); /* may change, hence never frozen */
    free(printed);
    free(active);
    se_conf_files_fini(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_bounds),   cmocka_unit_test(test_printed_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
