/* SPDX-License-Identifier: Apache-2.0 */
/* Characters are read, repaired and streamed by one rule. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/text/utf8.h"
#include "tests/text/golden.h"

static uint64_t seed = 1;

/* Unicode 15, chapter 3.9, tables 3-8 to 3-11, and the ends of ranges. */
static void test_repair(void **state)
{
    static const struct {
        const char *bytes, *repaired;
    } rows[] = {
        { "", "" },
        { "plain", "plain" },
        { "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "????????A" },
        { "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "????????A" },
        { "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "?????A??B" },
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "????A" },
        { "\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf????" },
        { "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf" },
        { "12345678\xe2\x82", "12345678?" },
        { "1234567\xe2\x82\xac\xe2", "1234567\xe2\x82\xac?" },
        { "\xf0\x9f\x98", "?" },
        { "\xc1\xbf\xc2\x80\xc2", "??\xc2\x80?" },
        { "\xf5\xf8\xfc\xfe", "????" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct se_buf got = SE_BUF_NULL, wanted = SE_BUF_NULL;
        for (const char *c = rows[i].repaired; *c; c++)
            assert_int_equal(*c == '?' ? se_buf_add(&wanted, SE_UTF8_REPLACEMENT, 3)
                                       : se_buf_add(&wanted, c, 1),
                             0);
        assert_int_equal(se_utf8_repair(rows[i].bytes, strlen(rows[i].bytes), &got), 0);
        assert_int_equal(got.n, wanted.n);
        if (got.n > 0)
            assert_memory_equal(got.data, wanted.data, got.n);
        assert_int_equal(se_utf8_valid(rows[i].bytes, strlen(rows[i].bytes)),
                         strchr(rows[i].repaired, '?') == NULL);
        se_buf_fini(&got);
        se_buf_fini(&wanted);
    }
}

static void test_characters(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        unsigned n = se_utf8_put(c, text);
        assert_int_equal(se_utf8_len((unsigned char)text[0]), n);
        assert_int_equal(se_utf8_get(text), c);
        assert_int_equal(se_utf8_valid(text, n), c < 0xd800 || c >= 0xe000);
    }
}

/* Random bytes, biased to what UTF-8 is made of. */
static size_t some_bytes(struct se_rng *rng, unsigned char *bytes, size_t max)
{
    static const unsigned char likely[] = { 0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xa0, 0xe2, 0x9f,
                                            0xed, 0xf0, 0x90, 0xf4, 0x8f, 0xff, 0xc0, 0xf5 };
    size_t n = se_rng_below(rng, (uint32_t)max);
    for (size_t i = 0; i < n; i++)
        bytes[i] = se_rng_below(rng, 4) ? likely[se_rng_below(rng, sizeof likely)]
                                        : (unsigned char)se_rng_u32(rng);
    return n;
}

/* The tokens of single bytes of a byte-level or a byte-fallback vocabulary. */
static void find_bytes(const struct se_tokenizer *t, bool fallback, uint32_t id[256])
{
    struct se_ids ids = SE_IDS_NULL;
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        if (fallback) {
            assert_int_equal(se_tokenizer_find(t, name, &id[b]), 0);
            continue;
        }
        unsigned n = b > 0x20 && b < 0x7f ? 1 : 0;
        uint32_t c = n           ? b
                     : b <= 0x20 ? 0x100 + b
                     : b == 0xad ? 0x143
                     : b >= 0xa1 ? b
                                 : 0x121 + b - 0x7f;
        name[se_utf8_put(c, name)] = '\0';
        assert_int_equal(se_tokenizer_find(t, name, &id[b]), 0);
    }
    se_ids_fini(&ids);
}

/* Byte by byte, what comes out is whole characters, all of them as soon as they can be, and
 * in the end the repair of all bytes. */
static void check_stream(const struct se_tokenizer *t, const uint32_t id[256],
                         const unsigned char *bytes, size_t n, bool strip)
{
    struct se_decoder decoder;
    struct se_buf out = SE_BUF_NULL, wanted = SE_BUF_NULL;
    assert_int_equal(se_utf8_repair((const char *)bytes, n, &wanted), 0);
    se_decoder_init(&decoder, t, false);
    for (size_t i = 0; i < n; i++) {
        size_t before = out.n;
        assert_int_equal(se_decoder_add(&decoder, id[bytes[i]], &out.data, &out.n, &out.cap), 0);
        assert_true(se_utf8_valid(out.data + before, out.n - before));
        assert_true(decoder.n_held <= 3);
        if (bytes[i] < 0x80)
            assert_int_equal(decoder.n_held, 0); /* nothing more can come of it */
    }
    assert_int_equal(se_decoder_end(&decoder, &out.data, &out.n, &out.cap), 0);
    size_t skip = strip && wanted.n > 0 && wanted.data[0] == ' ';
    assert_int_equal(out.n, wanted.n - skip);
    if (out.n > 0)
        assert_memory_equal(out.data, wanted.data + skip, out.n);
    se_buf_fini(&out);
    se_buf_fini(&wanted);
}

static void test_stream(void **state)
{
    static const char *const families[] = { "gpt2", "llama2" };
    (void)state;
    for (int f = 0; f < 2; f++) {
        struct se_tokenizer *t = golden_open(families[f]);
        uint32_t id[256];
        struct se_rng rng;
        se_rng_init(&rng, seed, SE_RNG_TEST);
        find_bytes(t, f == 1, id);
        for (int round = 0; round < 20000; round++) {
            unsigned char bytes[24];
            size_t n = some_bytes(&rng, bytes, sizeof bytes);
            check_stream(t, id, bytes, n, f == 1);
        }
        se_tokenizer_close(t);
    }
}

/* An id that is not there changes nothing, and is named. */
static void test_range(void **state)
{
    struct se_tokenizer *t = golden_open("gpt2");
    struct se_decoder decoder;
    struct se_buf out = SE_BUF_NULL;
    uint32_t id[256];
    (void)state;
    find_bytes(t, false, id);
    se_decoder_init(&decoder, t, false);
    assert_int_equal(se_decoder_add(&decoder, id[0xe2], &out.data, &out.n, &out.cap), 0);
    assert_int_equal(se_decoder_add(&decoder, 2000, &out.data, &out.n, &out.cap), -ERANGE);
    assert_non_null(strstr(se_err_text(), "2000"));
    assert_int_equal(se_decoder_add(&decoder, UINT32_MAX, &out.data, &out.n, &out.cap), -ERANGE);
    assert_int_equal(se_decoder_add(&decoder, id[0x82], &out.data, &out.n, &out.cap), 0);
    assert_int_equal(out.n, 0);
    assert_int_equal(se_decoder_add(&decoder, id[0xac], &out.data, &out.n, &out.cap), 0);
    assert_int_equal(out.n, 3);
    assert_memory_equal(out.data, "\u20ac", 3);
    se_buf_fini(&out);
    se_tokenizer_close(t);
    /* a hole between the ids */
    t = golden_parse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":5},\"merges\":[]}}");
    se_decoder_init(&decoder, t, false);
    assert_int_equal(se_tokenizer_size(t), 6);
    assert_int_equal(se_decoder_add(&decoder, 3, &out.data, &out.n, &out.cap), -ERANGE);
    assert_int_equal(se_decoder_add(&decoder, 5, &out.data, &out.n, &out.cap), 0);
    assert_int_equal(se_decoder_add(&decoder, 0, &out.data, &out.n, &out.cap), 0);
    assert_int_equal(out.n, 3);
    assert_memory_equal(out.data, "b a", 3); /* no decoder: a space between the texts */
    se_buf_fini(&out);
    se_tokenizer_close(t);
}

int main(void)
{
    const char *text = getenv("SE_TEST_SEED");
    if (text)
        seed = strtoull(text, NULL, 0);
    print_message("seed %llu (SE_TEST_SEED)\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_range),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
