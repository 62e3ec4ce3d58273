/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and texts are those of the tokenizers library, for every family. */
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/utf8.h"
#include "tests/text/golden.h"

static struct golden_strings strings;

static int setup(void **state)
{
    (void)state;
    strings = golden_strings();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    golden_free(&strings);
    return 0;
}

/* Compares the ids of one string; false and a line about the first difference. */
static bool same_ids(const char *family, size_t number, const struct se_ids *ids,
                     struct golden_numbers *golden)
{
    uint32_t n = golden_number(golden);
    size_t apart = SIZE_MAX;
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = golden_number(golden);
        if (apart == SIZE_MAX && (i >= ids->n || ids->id[i] != id)) {
            apart = i;
            wanted = id;
        }
    }
    if (apart == SIZE_MAX && ids->n == n)
        return true;
    print_error(
        "%s, string %zu: %zu ids, wanted %u; the first other one is number %zu, wanted %u\n",
        family, number, ids->n, n, apart, wanted);
    golden_show("  the string", strings.text[number].data, strings.text[number].n);
    return false;
}

/* Encodes the first strings, as many as the file has, and compares each. */
static size_t check_family(const char *family, const char *file, unsigned flags)
{
    struct se_tokenizer *tokenizer = golden_open(family);
    struct golden_numbers golden = golden_numbers(family, file);
    size_t number = 0, bad = 0;
    for (; golden.at < golden.n && number < strings.n; number++) {
        const struct se_buf *text = &strings.text[number];
        struct se_ids ids = SE_IDS_NULL;
        if (se_tokenizer_encode(tokenizer, text->data, text->n, flags, &ids) < 0)
            fail_msg("%s: %s", family, se_err_text());
        bad += !same_ids(family, number, &ids, &golden);
        if (bad > 10)
            fail_msg("%s: enough", family);
        se_ids_fini(&ids);
    }
    assert_int_equal(golden.at, golden.n);
    se_mem_free(golden.data);
    se_tokenizer_close(tokenizer);
    if (bad > 0)
        fail_msg("%s: %zu of %zu strings differ", family, bad, number);
    return number;
}

static void test_ids(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GOLDEN_FAMILIES; i++)
        assert_true(check_family(golden_families[i], "ids.bin", SE_ENCODE_SPECIAL) >= 2000);
}

static void test_plain_ids(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GOLDEN_FAMILIES; i++)
        assert_true(check_family(golden_families[i], "plain.bin", SE_ENCODE_PLAIN) >= 300);
}

/* The text of ids; every addition of the decoder must be whole characters. */
static struct se_buf decode(const struct se_tokenizer *tokenizer, const uint32_t *id, size_t n,
                            bool skip_special)
{
    struct se_decoder decoder;
    struct se_buf text = SE_BUF_NULL;
    se_decoder_init(&decoder, tokenizer, skip_special);
    for (size_t i = 0; i <= n; i++) {
        size_t before = text.n;
        int r = i == n ? se_decoder_end(&decoder, &text.data, &text.n, &text.cap)
                       : se_decoder_add(&decoder, id[i], &text.data, &text.n, &text.cap);
        if (r < 0)
            fail_msg("%s", se_err_text());
        assert_true(se_utf8_valid(text.data + before, text.n - before));
    }
    return text;
}

static void check_text(const char *family, const struct se_buf *text, const json_t *wanted)
{
    if (text->n == json_string_length(wanted) &&
        (text->n == 0 || memcmp(text->data, json_string_value(wanted), text->n) == 0))
        return;
    golden_show("decoded", text->data, text->n);
    golden_show("wanted ", json_string_value(wanted), json_string_length(wanted));
    fail_msg("%s: decoded to another text", family);
}

static void check_decode(const char *family)
{
    struct se_tokenizer *tokenizer = golden_open(family);
    json_t *lines = golden_lines(family, "decode.jsonl"), *line;
    size_t number, k;
    assert_true(json_array_size(lines) >= 300);
    json_array_foreach(lines, number, line) {
        const json_t *list = json_array_get(line, 0);
        size_t n = json_array_size(list);
        uint32_t *id = se_mem_new(n, sizeof *id);
        for (k = 0; k < n; k++)
            id[k] = (uint32_t)json_integer_value(json_array_get(list, k));
        for (int skip = 0; skip < 2; skip++) {
            struct se_buf text = decode(tokenizer, id, n, skip);
            check_text(family, &text, json_array_get(line, 1 + (size_t)skip));
            se_buf_fini(&text);
        }
        se_mem_free(id);
    }
    json_decref(lines);
    se_tokenizer_close(tokenizer);
}

static void test_decode(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GOLDEN_FAMILIES; i++)
        check_decode(golden_families[i]);
}

/* A byte-level tokenizer without a normal form loses nothing. */
static void test_round_trip(void **state)
{
    static const char *const lossless[] = { "gpt2", "llama3", "tales" };
    (void)state;
    for (size_t f = 0; f < sizeof lossless / sizeof *lossless; f++) {
        struct se_tokenizer *tokenizer = golden_open(lossless[f]);
        for (size_t i = 0; i < strings.n; i++) {
            struct se_ids ids = SE_IDS_NULL;
            assert_int_equal(
                se_tokenizer_encode(tokenizer, strings.text[i].data, strings.text[i].n, 0, &ids),
                0);
            struct se_buf text = decode(tokenizer, ids.id, ids.n, false);
            assert_int_equal(text.n, strings.text[i].n);
            if (text.n > 0)
                assert_memory_equal(text.data, strings.text[i].data, text.n);
            se_buf_fini(&text);
            se_ids_fini(&ids);
        }
        se_tokenizer_close(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_plain_ids),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests_name("text golden", tests, setup, teardown);
}
