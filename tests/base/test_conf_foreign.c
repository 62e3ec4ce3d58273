/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/conf_file.h"
#include "runtime/base/conf_foreign.h"
#include "runtime/base/err.h"

struct settings {
    uint64_t beams, limit;
    const char *server;
    int proactive;
    struct se_conf_uints rows;
    const char *config;
};

static const struct se_conf_row rows[] = {
    { "max-n-beams", 0, SE_CONF_UINT, offsetof(struct settings, beams), "8", 1, 64, "N", "" },
    { "limit", 0, SE_CONF_UINT, offsetof(struct settings, limit), "5", 0, 0x1p32, "N", "" },
    { "server", 0, SE_CONF_TEXT, offsetof(struct settings, server), NULL, 0, 0, "URL", "" },
    { "proactive", 0, SE_CONF_CHOICE, offsetof(struct settings, proactive), NULL, 0, 0,
      "disabled|included|excluded", "" },
    { "rows", 0, SE_CONF_UINTS, offsetof(struct settings, rows), NULL, 1, 9, "LIST", "" },
    { "config", 0, SE_CONF_TEXT, offsetof(struct settings, config), NULL, 0, 0, "FILE", "" },
};

static const struct se_conf_foreign table[] = {
    { "version" },
    { "base.ssh_key", .note = "nothing is started over ssh" },
    { "base.sizes", "rows" },
    { "client.host", "server", "local=ipc://local|*=tcp://*" },
    { "client.max_n_beams", "max-n-beams" },
    { "client.max_request_num", "limit", "-1=0|*", "counted from the first" },
    { "client.proactive.type", "proactive", "off=disabled|included|excluded" },
    { "node", .note = "edges are started by hand" },
    { "server" },
};
enum { N_ROWS = sizeof rows / sizeof *rows, N_TABLE = sizeof table / sizeof *table };

/* Notes, a line each. */
static void write_note(void *context, const char *file, int line, const char *key, const char *text)
{
    char *told = context;
    snprintf(told + strlen(told), 1024 - strlen(told), "%s:%d: %s: %s\n", file, line, key, text);
}

static int parse(struct se_conf_files *files, struct settings *s, char told[1024], const char *text)
{
    *files = (struct se_conf_files){
        .foreign = table, .n_foreign = N_TABLE, .note = write_note, .note_context = told
    };
    told[0] = '\0';
    memset(s, 0, sizeof *s);
    assert_int_equal(se_conf_defaults(rows, N_ROWS, s), 0);
    se_err_clear();
    return se_conf_file_parse(files, rows, N_ROWS, s, "theirs.yaml", text, strlen(text));
}

static void test_good(void **state)
{
    (void)state;
    struct se_conf_files files;
    struct settings s;
    char told[1024];
    int r = parse(&files, &s, told,
                  "version: 1\n"
                  "base:\n"
                  "  ssh_key: ~/.ssh/key\n"
                  "  sizes: [1, 2]\n"
                  "server:\n"
                  "  anything: [goes, {here: too}]\n"
                  "client:\n"
                  "  host: 127.0.0.1:8000\n"
                  "  max-n-beams: 32\n"
                  "  max_request_num: -1\n"
                  "  proactive:\n"
                  "    type: off\n"
                  "node:\n"
                  "  localhost:\n"
                  "  - device: cuda:0\n");
    if (r != 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(s.beams, 32);
    assert_int_equal(s.limit, 0);
    assert_string_equal(s.server, "tcp://127.0.0.1:8000");
    assert_int_equal(s.proactive, 0);
    assert_int_equal(s.rows.n, 2);
    assert_string_equal(told, "theirs.yaml:3: base.ssh_key: nothing is started over ssh\n"
                              "theirs.yaml:10: client.max_request_num: counted from the first\n"
                              "theirs.yaml:13: node: edges are started by hand\n");
    se_conf_files_fini(&files);

    r = parse(&files, &s, told,
              "client: {host: local, max_request_num: 7, proactive: {type: excluded}}\n");
    assert_int_equal(r, 0);
    assert_int_equal(s.limit, 7);
    assert_string_equal(s.server, "ipc://local");
    assert_int_equal(s.proactive, 2);
    se_conf_files_fini(&files);

    /* Without a section of theirs it is a file of ours, though "server" is both. */
    r = parse(&files, &s, told, "server: tcp://here:1\nlimit: 3\n");
    assert_int_equal(r, 0);
    assert_string_equal(s.server, "tcp://here:1");
    assert_int_equal(s.limit, 3);
    assert_string_equal(told, "");
    se_conf_files_fini(&files);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "base:\n  ssh_key: x\nclient:\n  max_n_beams: 0\n",
          "theirs.yaml:4: client.max_n_beams: '0' is out of range, 1 to 64" },
        { "client:\n  max_n_beems: 1\n",
          "theirs.yaml:2: client.max_n_beems: no such key; did you mean client.max_n_beams?" },
        { "client:\n  proactve: {}\n",
          "theirs.yaml:2: client.proactve: no such key; did you mean client.proactive?" },
        { "client:\n  reasoning: false\n",
          "theirs.yaml:2: client.reasoning: no such key; client has host, max_n_beams, "
          "max_request_num, proactive" },
        { "client:\n  proactive:\n    budget: 1\n",
          "theirs.yaml:3: client.proactive.budget: no such key; client.proactive has type" },
        { "client: {}\nwhatever: 1\n", "theirs.yaml:2: whatever: no such key; there are version, "
                                       "base, client, node, server" },
        { "client: {}\nlimit: 1\n", "theirs.yaml:2: limit: no such key; there are version, base, "
                                    "client, node, server" },
        { "node: {}\nclient: 1\n",
          "theirs.yaml:2: client: a value stands where a section is wanted" },
        { "node: {}\nclient: [1]\n",
          "theirs.yaml:2: client: a list stands where a section is wanted" },
        { "client:\n  proactive: off\n",
          "theirs.yaml:2: client.proactive: a value stands where a section is wanted" },
        { "client:\n  host: {a: 1}\n",
          "theirs.yaml:2: client.host: a section stands where one value is wanted" },
        { "client:\n  proactive:\n    type: maybe\n",
          "theirs.yaml:3: client.proactive.type: 'maybe' is not one of off|included|excluded" },
        { "client:\n  max_request_num: -2\n",
          "theirs.yaml:2: client.max_request_num: '-2' is out of range, 0 to 4294967296" },
        { "client:\n  host:\n", "theirs.yaml:2: client.host: has no value; an empty text is \"\"" },
        { "node: {}\nbase: {}\nbase: {}\n", "theirs.yaml:3: base: given twice, in line 2 first" },
        { "client:\n  host: a\n  host: b\n",
          "theirs.yaml:3: client.host: given twice, in line 2 first" },
        { "client:\n  proactive.type: off\n", "theirs.yaml:2: client.proactive.type: no such key" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct se_conf_files files;
        struct settings s;
        char told[1024];
        if (parse(&files, &s, told, cases[i].text) != -EINVAL)
            fail_msg("'%s' is taken", cases[i].text);
        if (strcmp(se_err_text(), cases[i].said) != 0)
            fail_msg("'%s':\n%s\nand not\n%s", cases[i].text, se_err_text(), cases[i].said);
        assert_string_equal(told, ""); /* notes wait for a good file */
        assert_int_equal(s.beams, 8);
        se_conf_files_fini(&files);
    }
}

/* A table that names what is not there, and other slips of whoever writes it. */
static void test_check(void **state)
{
    (void)state;
    static const struct {
        struct se_conf_foreign table[2];
        const char *said;
    } cases[] = {
        { { { "a.b", "limits" }, { "c" } }, "a.b: there is no row limits" },
        { { { "a.b", "config" }, { "c" } }, "a.b: no file may set config" },
        { { { "a.b" }, { "a-b" } }, NULL },
        { { { "a.b_c" }, { "a.b-c" } }, "a.b-c: stands in the table twice" },
        { { { "a", "limit" }, { "b", "limit" } }, "b: a sets limit already" },
        { { { "a", "proactive", "on=excluded|of=disabld" }, { "c" } },
          "a: 'disabld' is not one of disabled|included|excluded" },
        { { { "a", "max-n-beams", "few=0|*" }, { "c" } }, "a: '0' is out of range, 1 to 64" },
    };
    if (se_conf_foreign_check(table, N_TABLE, rows, N_ROWS) != 0)
        fail_msg("%s", se_err_text());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int r = se_conf_foreign_check(cases[i].table, 2, rows, N_ROWS);
        assert_int_equal(r, cases[i].said ? -EINVAL : 0);
        if (cases[i].said)
            assert_string_equal(se_err_text(), cases[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
