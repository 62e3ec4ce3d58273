/* SPDX-License-Identifier: Apache-2.0 */
/* Headers that lie: each is refused with one line that names the file and the fault. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/safetensors.h"
#include "tests/model/tiny.h"

enum { FILE_MAX_B = 4096 };

struct bytes {
    _Alignas(64) unsigned char data[FILE_MAX_B];
    size_t len_b;
};

/* A file of this header, padded as writers do it, and so many bytes of data. */
static struct bytes make(const char *header, size_t data_b)
{
    size_t len = strlen(header), padded = (len + 7) / 8 * 8;
    struct bytes file = { .len_b = 8 + padded + data_b };
    assert_in_range(file.len_b, 0, FILE_MAX_B);
    file.data[0] = (unsigned char)padded;
    file.data[1] = (unsigned char)(padded >> 8);
    memset(file.data + 8, ' ', padded);
    memcpy(file.data + 8, header, len);
    return file;
}

static void a_good_file_is_read(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[8,14]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
        "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[8,8]},"
        "\"one\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[14,15]}}";
    struct bytes file = make(header, 15);
    struct se_safetensors read;
    (void)state;
    if (se_safetensors_parse(&read, "f", file.data, file.len_b) != 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(read.n, 4);
    const struct se_tensor *a = se_safetensors_find(&read, "a");
    const struct se_tensor *b = se_safetensors_find(&read, "b");
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->n_dims, 2);
    assert_int_equal(a->dim[0], 2);
    assert_int_equal(a->len_b, 8);
    assert_ptr_equal(a->data, file.data + file.len_b - 15);
    assert_ptr_equal(b->data, a->data + 8);
    assert_string_equal(b->dtype, "BF16");
    assert_non_null(se_safetensors_find(&read, "none"));
    assert_null(se_safetensors_find(&read, "c"));
    assert_null(se_safetensors_find(&read, "__metadata__"));
    se_safetensors_fini(&read);
}

#define T(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #from "," #to \
    "]}"

static void lies_are_named(void **state)
{
    static const struct {
        const char *header;
        size_t data_b;
        int code;
        const char *names;
    } bad[] = {
        { "", 0, -EINVAL, "header" },
        { "{", 0, -EINVAL, "header" },
        { "[]", 0, -EINVAL, "not a JSON object" },
        { "{}trailing", 0, -EINVAL, "header" },
        { "{" T("a", "F32", "2", 0, 8) "}", 7, -EINVAL, "truncated" },
        { "{" T("a", "F32", "2", 0, 8) "}", 9, -EINVAL, "belong to no tensor" },
        { "{" T("a", "F32", "3", 0, 8) "}", 8, -EINVAL, "shape needs 12" },
        { "{" T("a", "F32", "2", 8, 0) "}", 8, -EINVAL, "data_offsets" },
        { "{" T("a", "F32", "2", 4, 12) "}", 12, -EINVAL, "before a belong" },
        { "{" T("a", "F32", "2", 0, 8) "," T("b", "F32", "2", 4, 12) "}", 12, -EINVAL,
          "b overlaps a" },
        { "{" T("a", "F32", "2", 0, 8) "," T("b", "F32", "2", 0, 8) "}", 8, -EINVAL, "overlaps" },
        { "{" T("a", "F32", "1", 0, 4) "," T("a", "F32", "1", 4, 8) "}", 8, -EINVAL, "duplicate" },
        { "{" T("a", "I8", "1", 0, 1) "," T("b", "F32", "1", 1, 5) "}", 5, -EINVAL, "not aligned" },
        { "{" T("a", "F4", "2", 0, 1) "}", 1, -ENOTSUP, "F4" },
        { "{" T("a", "F32", "-2", 0, 8) "}", 8, -EINVAL, "no size" },
        { "{" T("a", "F32", "2.0", 0, 8) "}", 8, -EINVAL, "no size" },
        { "{" T("a", "F32", "1,1,1,1,1,1,1,1,1", 0, 4) "}", 4, -EINVAL, "at most 8" },
        { "{" T("a", "F32", "4294967296,4294967296,2", 0, 0) "}", 0, -EINVAL, "overflows" },
        { "{" T("a", "F32", "4611686018427387904,4", 0, 0) "}", 0, -EINVAL, "overflows" },
        { "{" T("a", "F32", "9223372036854775808", 0, 0) "}", 0, -EINVAL, "header" },
        { "{" T("a", "F32", "1", 0, 18446744073709551615) "}", 4, -EINVAL, "header" },
        { "{" T("a", "F32", "1", 0, 9223372036854775807) "}", 4, -EINVAL, "truncated" },
        { "{" T("a", "F32", "1", -4, 0) "}", 4, -EINVAL, "data_offsets" },
        { "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, -EINVAL, "no dtype" },
        { "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, -EINVAL, "shape" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, -EINVAL, "data_offsets" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, -EINVAL,
          "data_offsets" },
        { "{\"a\":7}", 4, -EINVAL, "a: no dtype" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes file = make(bad[i].header, bad[i].data_b);
        struct se_safetensors read = SE_SAFETENSORS_NULL;
        se_err_clear();
        int r = se_safetensors_parse(&read, "the-file", file.data, file.len_b);
        if (r != bad[i].code || !strstr(se_err_text(), bad[i].names) ||
            strncmp(se_err_text(), "the-file: ", 10) || strchr(se_err_text(), '\n'))
            fail_msg("%s: %d \"%s\"", bad[i].header, r, se_err_text());
        assert_null(read.tensor);
    }
}

static void lengths_of_the_header_are_checked(void **state)
{
    static const uint64_t length[] = { 3,          1000,           100000001,
                                       UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63 };
    struct se_safetensors read;
    (void)state;
    for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
        struct bytes file = { .len_b = 10 };
        memcpy(file.data, &length[i], sizeof length[i]);
        assert_int_equal(se_safetensors_parse(&read, "f", file.data, file.len_b), -EINVAL);
        assert_non_null(strstr(se_err_text(), "does not fit"));
    }
    for (size_t len_b = 0; len_b < 8; len_b++) {
        const unsigned char none[8] = { 0 };
        assert_int_equal(se_safetensors_parse(&read, "f", none, len_b), -EINVAL);
        assert_non_null(strstr(se_err_text(), "too short"));
    }
}

/* Any damage is refused or harmless: what is accepted lies inside the file. */
static void random_damage_never_leads_outside(void **state)
{
    static const char header[] = "{" T("a", "F32", "2", 0, 8) "," T(
        "b", "BF16", "2,2", 8, 16) "," T("c", "U8", "3", 16, 19) "}";
    struct se_rng rng;
    uint32_t accepted = 0;
    (void)state;
    se_rng_init(&rng, tiny_seed(), SE_RNG_TEST);
    for (int round = 0; round < 20000; round++) {
        struct bytes file = make(header, 19);
        struct se_safetensors read;
        for (uint32_t k = 1 + se_rng_below(&rng, 3); k > 0; k--)
            file.data[se_rng_below(&rng, (uint32_t)file.len_b)] =
                (unsigned char)(se_rng_below(&rng, 2) ? '0' + se_rng_below(&rng, 10)
                                                      : se_rng_below(&rng, 256));
        if (se_rng_below(&rng, 4) == 0)
            file.len_b = se_rng_below(&rng, (uint32_t)file.len_b + 1);
        if (se_safetensors_parse(&read, "f", file.data, file.len_b) != 0)
            continue;
        for (size_t i = 0; i < read.n; i++) {
            assert_true(read.tensor[i].data >= file.data + 8);
            assert_true(read.tensor[i].data + read.tensor[i].len_b <= file.data + file.len_b);
        }
        accepted++;
        se_safetensors_fini(&read);
    }
    assert_true(accepted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_is_read),
        cmocka_unit_test(lies_are_named),
        cmocka_unit_test(lengths_of_the_header_are_checked),
        cmocka_unit_test(random_damage_never_leads_outside),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
