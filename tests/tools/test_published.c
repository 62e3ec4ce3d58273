/* SPDX-License-Identifier: Apache-2.0 */
/* test_published FILE: a file in the published form, read by rows named as those of the two
 * programs are. */
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
#include "runtime/base/err.h"
#include "tools/published.h"

static const char *published_yaml;

struct server {
    const char *model;
    uint64_t context, max_batch;
    int weights, policy;
};

static const struct se_conf_row server_rows[] = {
    { "model", 0, SE_CONF_TEXT, offsetof(struct server, model), NULL, 0, 0, "DIR", "" },
    { "context", 0, SE_CONF_UINT, offsetof(struct server, context), NULL, 0, 0x1p32, "N", "" },
    { "max-batch", 0, SE_CONF_UINT, offsetof(struct server, max_batch), NULL, 0, 1024, "N", "" },
    { "weights", 0, SE_CONF_CHOICE, offsetof(struct server, weights), "q8", 0, 0,
      "stored|f32|bf16|q8", "" },
    { "policy", 0, SE_CONF_CHOICE, offsetof(struct server, policy), NULL, 0, 0,
      "pipeline|dynamic|static", "" },
};

struct edge {
    const char *draft, *server, *dataset;
    uint64_t context, seed, stride, offset, n, max_requests;
    uint64_t grow[4], ahead[4]; /* beams, depth, width, budget */
    int weights, proactive;
    double temp;
};

#define EDGE_UINT(name, member) \
    { \
        (name), 0, SE_CONF_UINT, offsetof(struct edge, member), "9", 0, 0x1p32, "N", "" \
    }
static const struct se_conf_row edge_rows[] = {
    { "draft", 0, SE_CONF_TEXT, offsetof(struct edge, draft), NULL, 0, 0, "DIR", "" },
    { "server", 0, SE_CONF_TEXT, offsetof(struct edge, server), NULL, 0, 0, "URL", "" },
    { "dataset", 0, SE_CONF_TEXT, offsetof(struct edge, dataset), NULL, 0, 0, "FILE", "" },
    EDGE_UINT("context", context),
    EDGE_UINT("seed", seed),
    EDGE_UINT("stride", stride),
    EDGE_UINT("offset", offset),
    EDGE_UINT("tokens", n),
    EDGE_UINT("max-requests", max_requests),
    EDGE_UINT("max-n-beams", grow[0]),
    EDGE_UINT("max-beam-len", grow[1]),
    EDGE_UINT("max-branch-width", grow[2]),
    EDGE_UINT("max-budget", grow[3]),
    EDGE_UINT("proactive-max-n-beams", ahead[0]),
    EDGE_UINT("proactive-max-beam-len", ahead[1]),
    EDGE_UINT("proactive-max-branch-width", ahead[2]),
    EDGE_UINT("proactive-max-budget", ahead[3]),
    { "weights", 0, SE_CONF_CHOICE, offsetof(struct edge, weights), "q8", 0, 0,
      "stored|f32|bf16|q8", "" },
    { "proactive", 0, SE_CONF_CHOICE, offsetof(struct edge, proactive), NULL, 0, 0,
      "disabled|excluded|included", "" },
    { "temp", 0, SE_CONF_REAL, offsetof(struct edge, temp), "0", 0, 1000, "T", "" },
};
enum {
    N_SERVER = sizeof server_rows / sizeof *server_rows,
    N_EDGE = sizeof edge_rows / sizeof *edge_rows,
    TOLD_B = 2048
};

/* The keys that a note was given for, a line each; every note has something to say. */
static void write_key(void *context, const char *file, int line, const char *key, const char *text)
{
    char *told = context;
    assert_string_equal(file, published_yaml);
    assert_true(line > 0 && strlen(text) > 10);
    snprintf(told + strlen(told), TOLD_B - strlen(told), "%s\n", key);
}

static void test_tables(void **state)
{
    (void)state;
    if (se_conf_foreign_check(se_published_server, se_published_server_n, server_rows, N_SERVER))
        fail_msg("%s", se_err_text());
    if (se_conf_foreign_check(se_published_edge, se_published_edge_n, edge_rows, N_EDGE))
        fail_msg("%s", se_err_text());
}

static void test_server(void **state)
{
    (void)state;
    char told[TOLD_B] = "";
    struct server s = { 0 };
    struct se_conf_files files = { .foreign = se_published_server,
                                   .n_foreign = se_published_server_n,
                                   .note = write_key,
                                   .note_context = told };
    assert_int_equal(se_conf_defaults(server_rows, N_SERVER, &s), 0);
    if (se_conf_file_read(&files, server_rows, N_SERVER, &s, published_yaml) != 0)
        fail_msg("%s", se_err_text());
    assert_string_equal(s.model, "models/tales-target");
    assert_int_equal(s.context, 2048);
    assert_int_equal(s.max_batch, 4);
    assert_int_equal(s.weights, 0); /* fp16: as they are stored */
    assert_int_equal(s.policy, 1);  /* dynamic */
    assert_string_equal(told, "opt\nbase.ssh_key\nserver.process_name\nserver.device\n"
                              "server.temperature\nserver.num_clients\nserver.cache_prefill\n"
                              "node\n");
    se_conf_files_fini(&files);
}

static void test_edge(void **state)
{
    (void)state;
    static const uint64_t grow[4] = { 32, 4, 16, 31 }, ahead[4] = { 30, 3, 15, 29 };
    char told[TOLD_B] = "";
    struct edge s = { 0 };
    struct se_conf_files files = { .foreign = se_published_edge,
                                   .n_foreign = se_published_edge_n,
                                   .note = write_key,
                                   .note_context = told };
    assert_int_equal(se_conf_defaults(edge_rows, N_EDGE, &s), 0);
    if (se_conf_file_read(&files, edge_rows, N_EDGE, &s, published_yaml) != 0)
        fail_msg("%s", se_err_text());
    assert_string_equal(s.draft, "models/tales-draft");
    assert_string_equal(s.server, "tcp://10.0.0.1:8000");
    assert_string_equal(s.dataset, "specbench");
    assert_int_equal(s.context, 2048);
    assert_int_equal(s.seed, 17);
    assert_int_equal(s.stride, 8);
    assert_int_equal(s.offset, 3);
    assert_int_equal(s.n, 64);
    assert_int_equal(s.max_requests, 0); /* all */
    assert_memory_equal(s.grow, grow, sizeof grow);
    assert_memory_equal(s.ahead, ahead, sizeof ahead);
    assert_int_equal(s.weights, 0);
    assert_int_equal(s.proactive, 2); /* included */
    assert_true(s.temp == 0.7);
    assert_string_equal(told, "opt\nbase.result_path\nbase.exp_name\nbase.ssh_key\n"
                              "client.process_name\nclient.reasoning\nnode\n");
    se_conf_files_fini(&files);
}

/* Every key that one table knows of a section that it reads, the other knows or passes over, so
 * that one file serves both programs. */
static void test_one_file_for_both(void **state)
{
    (void)state;
    for (size_t i = 0; i < se_published_edge_n; i++) {
        const char *path = se_published_edge[i].path;
        if (strncmp(path, "client.", 7) != 0)
            assert_non_null(se_conf_foreign_find(se_published_server, se_published_server_n, path));
    }
    for (size_t i = 0; i < se_published_server_n; i++)
        if (strcmp(se_published_server[i].path, "client") != 0)
            assert_non_null(se_conf_foreign_find(se_published_edge, se_published_edge_n,
                                                 se_published_server[i].path));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_edge),
        cmocka_unit_test(test_one_file_for_both),
    };
    if (argc != 2) {
        printf("usage: test_published FILE\n");
        return 1;
    }
    published_yaml = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
