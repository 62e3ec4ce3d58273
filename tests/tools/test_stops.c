/* SPDX-License-Identifier: Apache-2.0 */
/* test_stops DIR: a model folder, and folders made from parts of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/err.h"
#include "tools/stops.h"

enum { EOS = 2044, END = 2047 };

static const char *model;
static struct se_tokenizer *tokenizer;

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) < 0, 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_folder(const char *dir)
{
    static const char *const names[] = { "generation_config.json", "config.json",
                                         "tokenizer_config.json" };
    char path[4096];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void test_model(void **state)
{
    (void)state;
    struct se_stops stops;
    assert_int_equal(se_stops_read(&stops, model, tokenizer), 0);
    assert_int_equal(stops.n, 2);
    assert_int_equal(stops.id[0], EOS);
    assert_int_equal(stops.id[1], END);
}

/* Each file is asked only where those before it say nothing. */
static void test_order(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_stops.XXXXXX";
    struct se_stops stops;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(se_stops_read(&stops, dir, tokenizer), 0);
    assert_int_equal(stops.n, 0);

    write_file(dir, "tokenizer_config.json", "{\"eos_token\": \"<|eos|>\"}");
    assert_int_equal(se_stops_read(&stops, dir, tokenizer), 0);
    assert_int_equal(stops.n, 1);
    assert_int_equal(stops.id[0], EOS);
    write_file(dir, "tokenizer_config.json", "{\"eos_token\": {\"content\": \"<|end|>\"}}");
    assert_int_equal(se_stops_read(&stops, dir, tokenizer), 0);
    assert_int_equal(stops.id[0], END);
    write_file(dir, "tokenizer_config.json", "{\"eos_token\": \"<|nobody|>\"}");
    assert_int_equal(se_stops_read(&stops, dir, tokenizer), 0);
    assert_int_equal(stops.n, 0);

    write_file(dir, "config.json", "{\"eos_token_id\": 7}");
    assert_int_equal(se_stops_read(&stops, dir, tokenizer), 0);
    assert_int_equal(stops.n, 1);
    assert_int_equal(stops.id[0], 7);
    write_file(dir, "generation_config.json", "{\"eos_token_id\": null}");
    assert_int_equal(se_stops_read(&stops, dir, tokenizer), 0);
    assert_int_equal(stops.id[0], 7);
    write_file(dir, "generation_config.json", "{\"eos_token_id\": [8, 9, 8]}");
    assert_int_equal(se_stops_read(&stops, dir, tokenizer), 0);
    assert_int_equal(stops.n, 2);
    assert_int_equal(stops.id[1], 9);
    remove_folder(dir);
}

static void test_wrong(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{\"eos_token_id\": \"end\"}",
        "{\"eos_token_id\": [1, -1]}",
        "{\"eos_token_id\": 4294967295}",
        "{\"eos_token_id\": [1, 2.5]}",
        "[]",
        "{",
        "{\"eos_token_id\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
    };
    char dir[] = "/tmp/test_stops.XXXXXX";
    struct se_stops stops;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_file(dir, "generation_config.json", wrong[i]);
        se_err_clear();
        assert_true(se_stops_read(&stops, dir, tokenizer) < 0);
        if (!strstr(se_err_text(), "generation_config.json"))
            fail_msg("%s: %s", wrong[i], se_err_text());
    }
    write_file(dir, "generation_config.json", "{}");
    write_file(dir, "tokenizer_config.json", "{\"eos_token\": 5}");
    assert_int_equal(se_stops_read(&stops, dir, tokenizer), -EINVAL);
    remove_folder(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_wrong),
    };
    if (argc != 2) {
        printf("usage: test_stops DIR\n");
        return 1;
    }
    model = argv[1];
    if (se_tokenizer_open(&tokenizer, model) < 0) {
        printf("%s\n", se_err_text());
        return 1;
    }
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    se_tokenizer_close(tokenizer);
    return r;
}
