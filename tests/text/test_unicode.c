/* SPDX-License-Identifier: Apache-2.0 */
/* Every character is of the kind, and has the normal forms, that the library sees. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/normalize.h"
#include "runtime/text/parts.h"
#include "runtime/text/pattern.h"
#include "runtime/text/pretoken.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"
#include "tests/text/golden.h"

enum { CHARACTERS = 0x110000, KIND_B = 8, BLOCK = 4096 };

static bool surrogate(uint32_t c) { return c >= 0xd800 && c < 0xe000; }

/* Lines of "FIRST LAST KIND" to fn. */
static void each_range(void (*fn)(uint32_t first, uint32_t last, const char *kind))
{
    char *path = golden_path(".", "unicode_classes.txt"), kind[KIND_B];
    FILE *file = fopen(path, "r");
    unsigned first, last, n = 0;
    assert_non_null(file);
    for (; fscanf(file, "%x %x %7s", &first, &last, kind) == 3; n++)
        fn(first, last, kind);
    assert_true(n > 3000);
    fclose(file);
    free(path);
}

static char kinds[CHARACTERS][3]; /* "Lu", or "" */
static bool word[CHARACTERS], space[CHARACTERS], number[CHARACTERS];

static void note(uint32_t first, uint32_t last, const char *kind)
{
    for (uint32_t c = first; c <= last; c++) {
        if (strcmp(kind, "Word") == 0)
            word[c] = true;
        else if (strcmp(kind, "Space") == 0)
            space[c] = true;
        else if (strcmp(kind, "Number") == 0)
            number[c] = true;
        else
            memcpy(kinds[c], kind, 3);
    }
}

static int setup(void **state)
{
    (void)state;
    each_range(note);
    return 0;
}

/* The pieces that a pattern isolates; every character is a piece when it matches one. */
struct members {
    bool *is;
    size_t pieces;
};

static int note_member(void *context, const char *piece, size_t len_b)
{
    struct members *members = context;
    assert_int_equal(len_b, se_utf8_len((unsigned char)piece[0]));
    members->is[se_utf8_get(piece)] = true;
    members->pieces++;
    return 0;
}

/* The characters that a pattern of one character matches, as a Split would see them. */
static void find_matches(struct se_pattern *pattern, bool *is)
{
    struct se_pretoken pretoken = { .n = 1 };
    struct se_pretoken_work work = { .match = NULL };
    struct members members = { is, 0 };
    struct se_buf text = SE_BUF_NULL;
    memset(is, 0, CHARACTERS);
    pretoken.step[0].keep = SE_PRETOKEN_REMOVED;
    pretoken.step[0].invert = true;
    pretoken.step[0].pattern = pattern;
    for (uint32_t c = 0; c < CHARACTERS; c++) {
        char bytes[4];
        if (!surrogate(c))
            assert_int_equal(se_buf_add(&text, bytes, se_utf8_put(c, bytes)), 0);
        if (c % BLOCK != BLOCK - 1)
            continue;
        assert_int_equal(
            se_pretoken_run(&pretoken, &work, text.data, text.n, true, note_member, &members), 0);
        text.n = 0;
    }
    assert_true(members.pieces > 0);
    se_buf_fini(&text);
    se_pretoken_work_fini(&work);
}

static void find_members(const char *text, bool *is)
{
    struct se_pattern *pattern;
    assert_int_equal(se_pattern_new(&pattern, "test", text, strlen(text)), 0);
    find_matches(pattern, is);
    se_pattern_free(pattern);
}

static bool is[CHARACTERS];

static void test_categories(void **state)
{
    static const char *const names[] = {
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No",
        "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So",
        "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "L",  "M",  "N",
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char pattern[16];
        snprintf(pattern, sizeof pattern, "\\p{%s}", names[i]);
        find_members(pattern, is);
        for (uint32_t c = 0; c < CHARACTERS; c++)
            if (is[c] != (strncmp(kinds[c], names[i], strlen(names[i])) == 0))
                fail_msg("U+%04X is %s\\p{%s}, the library has it in \"%s\"", c,
                         is[c] ? "" : "not ", names[i], kinds[c]);
    }
}

static void test_spaces_and_digits(void **state)
{
    (void)state;
    find_members("\\s", is);
    for (uint32_t c = 0; c < CHARACTERS; c++) {
        if (is[c] != space[c])
            fail_msg("U+%04X is %s\\s", c, is[c] ? "" : "not ");
        if (!surrogate(c) && se_unicode_space(c) != space[c])
            fail_msg("U+%04X is %sa space", c, space[c] ? "not " : "");
    }
    find_members("\\d", is);
    for (uint32_t c = 0; c < CHARACTERS; c++)
        if (is[c] != (strcmp(kinds[c], "Nd") == 0))
            fail_msg("U+%04X is %s\\d", c, is[c] ? "" : "not ");
}

static void test_words(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < CHARACTERS; c++)
        if (!surrogate(c) && se_unicode_word(c) != word[c])
            fail_msg("U+%04X is %spart of a word", c, word[c] ? "not " : "");
}

/* Digits goes by tables of its own. */
static void test_numbers(void **state)
{
    struct se_tokenizer *t =
        golden_parse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},"
                     "\"pre_tokenizer\":{\"type\":\"Digits\",\"individual_digits\":true}}");
    (void)state;
    find_matches(t->pretoken.step[0].pattern, is);
    se_tokenizer_close(t);
    for (uint32_t c = 0; c < CHARACTERS; c++)
        if (is[c] != number[c])
            fail_msg("U+%04X is %sa number", c, is[c] ? "" : "not ");
}

/* A stand-in has as many bytes as what it stands for, and stands for nothing itself. */
static void test_stand_ins(void **state)
{
    unsigned n = 0;
    (void)state;
    for (uint32_t c = 0; c < CHARACTERS; c++) {
        char text[4], before[4];
        if (surrogate(c))
            continue;
        unsigned len = se_utf8_put(c, text);
        memcpy(before, text, len);
        bool same = se_unicode_same(text, len) == len;
        se_unicode_stand_in(text, len);
        assert_true(se_utf8_valid(text, len));
        assert_int_equal(se_unicode_same(text, len), len);
        assert_int_equal(same, memcmp(before, text, len) == 0);
        n += !same;
    }
    assert_true(n > 10000);
}

static uint32_t crc32(const char *text, size_t len_b)
{
    static uint32_t table[256];
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len_b; i++)
        crc = crc >> 8 ^ table[(crc ^ (unsigned char)text[i]) & 0xff];
    return ~crc;
}

/* The character alone, before marks, between Hangul letters, and after a mark. */
static void put_context(struct se_buf *text, uint32_t c)
{
    static const char *const around[] = { "", "\na", "\u0323\u0301\n\u1100", "\u11a8\n\u0301",
                                          "\u0334\n" };
    char bytes[4];
    unsigned n = se_utf8_put(c, bytes);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(se_buf_add(text, around[i], strlen(around[i])), 0);
        if (i < 4)
            assert_int_equal(se_buf_add(text, bytes, n), 0);
    }
}

static void test_forms(void **state)
{
    static const enum se_normalize_kind forms[] = { SE_NORMALIZE_NFC, SE_NORMALIZE_NFD,
                                                    SE_NORMALIZE_NFKC, SE_NORMALIZE_NFKD };
    char *path = golden_path(".", "unicode_forms.txt");
    FILE *file = fopen(path, "r");
    struct se_normalize_work work = { .cap = 0 };
    struct se_buf text = SE_BUF_NULL;
    unsigned first, sum[4], blocks = 0;
    (void)state;
    assert_non_null(file);
    for (; fscanf(file, "%x %x %x %x %x", &first, &sum[0], &sum[1], &sum[2], &sum[3]) == 5;
         blocks++) {
        text.n = 0;
        for (uint32_t c = first; c < first + BLOCK; c++)
            if (!surrogate(c))
                put_context(&text, c);
        bool empty = first >= 0x40000 && first < 0xe0000; /* planes without a character */
        for (int i = 0; i < (empty ? 1 : 4); i++) {
            struct se_normalize normalize = { .step = { { .kind = forms[i] } }, .n = 1 };
            const char *out;
            size_t out_b;
            assert_int_equal(se_normalize_run(&normalize, &work, text.data, text.n, &out, &out_b),
                             0);
            if (crc32(out, out_b) != sum[i])
                fail_msg("form %d of some character from U+%04X on differs", i, first);
        }
    }
    assert_int_equal(blocks, CHARACTERS / BLOCK);
    se_buf_fini(&text);
    se_normalize_work_fini(&work);
    fclose(file);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_categories), cmocka_unit_test(test_spaces_and_digits),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_stand_ins),  cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests_name("unicode", tests, setup, NULL);
}
