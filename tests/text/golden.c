/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/text/golden.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"

const char *const golden_families[] = {
    "gpt2",  "llama3", "qwen2",  "llama2", "metaspace", "metaspace-split",
    "flags", "o200k",  "splits", "tales",
};
_Static_assert(sizeof golden_families / sizeof *golden_families == GOLDEN_FAMILIES, "all of them");

char *golden_path(const char *family, const char *file)
{
    const char *root = getenv("SE_GOLDEN");
    char *path;
    assert_true(asprintf(&path, "%s/%s/%s", root ? root : "tests/golden/text", family, file) > 0);
    return path;
}

struct se_tokenizer *golden_open(const char *family)
{
    struct se_tokenizer *tokenizer = NULL;
    const char *models = getenv("SE_MODELS");
    char *dir = golden_path(family, "");
    if (strcmp(family, "tales") == 0) {
        free(dir);
        assert_true(asprintf(&dir, "%s/tales-target", models ? models : "models") > 0);
    }
    int r = se_tokenizer_open(&tokenizer, dir);
    if (r < 0)
        fail_msg("%s", se_err_text());
    free(dir);
    return tokenizer;
}

struct se_tokenizer *golden_parse(const char *json)
{
    struct se_tokenizer *tokenizer = NULL;
    if (se_tokenizer_parse(&tokenizer, "test.json", json, strlen(json)) < 0)
        fail_msg("%s", se_err_text());
    return tokenizer;
}

static struct se_file golden_file(const char *family, const char *file)
{
    struct se_file mapped = SE_FILE_NULL;
    char *path = golden_path(family, file);
    if (se_file_open(&mapped, path) < 0)
        fail_msg("%s", se_err_text());
    free(path);
    return mapped;
}

json_t *golden_lines(const char *family, const char *file)
{
    struct se_file mapped = golden_file(family, file);
    json_t *lines = json_array();
    for (size_t at = 0; at < mapped.len_b;) {
        const char *begin = (const char *)mapped.data + at;
        const char *end = memchr(begin, '\n', mapped.len_b - at);
        assert_non_null(end);
        json_t *line = json_loadb(begin, (size_t)(end - begin), JSON_ALLOW_NUL, NULL);
        assert_non_null(line);
        json_array_append_new(lines, line);
        at += (size_t)(end - begin) + 1;
    }
    se_file_close(&mapped);
    return lines;
}

struct golden_strings golden_strings(void)
{
    json_t *lines = golden_lines(".", "strings.jsonl");
    struct golden_strings strings = { .n = json_array_size(lines) };
    strings.text = se_mem_zero(strings.n, sizeof *strings.text);
    assert_non_null(strings.text);
    for (size_t i = 0; i < strings.n; i++) {
        const json_t *line = json_array_get(lines, i);
        for (size_t k = 0; k < json_array_size(line); k++) {
            const json_t *run = json_array_get(line, k), *unit = json_array_get(run, 0);
            json_int_t times = json_integer_value(json_array_get(run, 1));
            for (json_int_t t = 0; t < times; t++)
                assert_int_equal(
                    se_buf_add(&strings.text[i], json_string_value(unit), json_string_length(unit)),
                    0);
        }
    }
    json_decref(lines);
    return strings;
}

void golden_free(struct golden_strings *strings)
{
    for (size_t i = 0; i < strings->n; i++)
        se_buf_fini(&strings->text[i]);
    se_mem_free(strings->text);
}

struct golden_numbers golden_numbers(const char *family, const char *file)
{
    struct se_file mapped = golden_file(family, file);
    struct golden_numbers numbers = { se_mem_new(mapped.len_b, 1), 0, mapped.len_b };
    assert_non_null(numbers.data);
    memcpy(numbers.data, mapped.data, mapped.len_b);
    se_file_close(&mapped);
    return numbers;
}

uint32_t golden_number(struct golden_numbers *numbers)
{
    uint32_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(numbers->at < numbers->n && shift < 32);
        unsigned char byte = numbers->data[numbers->at++];
        value |= (uint32_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
}

void golden_show(const char *title, const char *bytes, size_t n)
{
    print_error("%s (%zu bytes):", title, n);
    for (size_t i = 0; i < n && i < 200; i++)
        print_error(" %02x", (unsigned char)bytes[i]);
    print_error("\n");
}
