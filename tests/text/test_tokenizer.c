/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused, by which sentence; flags of encoding; the fingerprint. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "tests/text/golden.h"

/* A tokenizer.json of the parts given, in which "a", "b", "ab" and "<unk>" are tokens. */
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<unk>\":3}"
#define MODEL "\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"a b\"]}"

/* A row: a document that must be refused, how, and what the sentence must say. */
struct refused {
    int code;
    const char *json;
    const char *says;
};

static void check_refused(const char *json, size_t len_b, int code, const char *says)
{
    struct se_tokenizer *tokenizer = NULL;
    int r = se_tokenizer_parse(&tokenizer, "some/tokenizer.json", json, len_b);
    if (r != code)
        fail_msg("%.*s: %d (%s)", (int)len_b, json, r, se_err_text());
    assert_null(tokenizer);
    if (!strstr(se_err_text(), says))
        fail_msg("\"%s\" does not say \"%s\"", se_err_text(), says);
    assert_non_null(strstr(se_err_text(), "some/tokenizer.json"));
    assert_null(strchr(se_err_text(), '\n'));
}

static void check_table(const struct refused *row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_refused(row[i].json, strlen(row[i].json), row[i].code, row[i].says);
}

#define CHECK(...) \
    do { \
        const struct refused rows[] = { __VA_ARGS__ }; \
        check_table(rows, sizeof rows / sizeof *rows); \
    } while (0)

static void test_kinds_by_name(void **state)
{
    (void)state;
    CHECK({ -ENOTSUP, "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", "WordPiece" },
          { -ENOTSUP, "{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "Unigram" },
          { -ENOTSUP, "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", "WordLevel" },
          { -ENOTSUP, "{\"model\":{\"type\":\"a\\nb\\u0000\"}}", "\"a\\x0Ab\\x00\"" },
          { -ENOTSUP, "{\"normalizer\":{\"type\":\"Lowercase\"}}", "normalizer \"Lowercase\"" },
          { -ENOTSUP,
            "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"}]}}",
            "Nmt" },
          { -ENOTSUP,
            "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" +\"},"
            "\"content\":\"\"}}",
            "Regex" },
          { -ENOTSUP, "{\"pre_tokenizer\":{\"type\":\"Whitespace\"}}",
            "pre_tokenizer \"Whitespace\"" },
          { -ENOTSUP,
            "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
            "{\"type\":\"ByteLevel\"},{\"type\":\"Digits\"}]}}",
            "after ByteLevel" },
          { -ENOTSUP,
            "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},"
            "\"behavior\":\"Sideways\"}}",
            "Sideways" },
          { -ENOTSUP, "{\"decoder\":{\"type\":\"WordPiece\"}}", "decoder \"WordPiece\"" },
          { -ENOTSUP,
            "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\"},"
            "{\"type\":\"Fuse\"}]}}",
            "ByteLevel" },
          { -ENOTSUP, "{\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}}",
            "Strip" },
          { -ENOTSUP,
            "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},"
            "{\"type\":\"Strip\",\"content\":\" \",\"start\":0,\"stop\":1}]}}",
            "Strip" },
          { -ENOTSUP, "{" MODEL ",\"post_processor\":{\"type\":\"BertProcessing\"}}",
            "post_processor \"BertProcessing\"" },
          { -ENOTSUP, "{\"model\":{\"type\":\"BPE\",\"dropout\":0.1}}", "dropout" },
          { -ENOTSUP, "{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\"}}",
            "end_of_word_suffix" },
          { -ENOTSUP, "{\"model\":{\"type\":\"BPE\",\"continuing_subword_prefix\":\"##\"}}",
            "continuing_subword_prefix" });
}

static void test_patterns_by_name(void **state)
{
    static const char *const refused[] = {
        "\\\\w+",
        "\\\\bx",
        "^a",
        "a$",
        "[a[b]]",
        "[a&&b]",
        "\\\\p{Han}",
        "\\\\p{^L}",
        "\\\\pL",
        "a{2,3}+",
        "a{,3}",
        "(?i)a",
        "(?<n>a)",
        "\\\\1(a)",
        "(?i:ss)",
        "(?i:\\u00e9)",
        "a**",
        "+a",
        "\\\\h",
        "\\\\x41",
        "[]a]",
        "a)",
        "((((((((((((((((((((((((((((((((((a",
        "a*",
        "",
    };
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char json[512];
        snprintf(json, sizeof json,
                 "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":"
                 "{\"Regex\":\"%s\"},\"behavior\":\"Isolated\"}}",
                 refused[i]);
        check_refused(json, strlen(json), -ENOTSUP, "not supported");
    }
    CHECK({ -EINVAL,
            "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"},"
            "\"behavior\":\"Isolated\"}}",
            "pattern \"(a\"" },
          { -EINVAL,
            "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[z-a]\"},"
            "\"behavior\":\"Isolated\"}}",
            "[z-a]" });
}

static void test_broken(void **state)
{
    (void)state;
    CHECK({ -EINVAL, "", "not JSON" }, { -EINVAL, "{", "not JSON: line 1" },
          { -EINVAL, "[]", "not a JSON object" },
          { -EINVAL, "{\"model\":{\"vocab\":{\"a\":0,\"a\":1}}}", "not JSON" },
          { -EINVAL, "{\"a\":\"\xff\"}", "not JSON" },
          { -EINVAL, "{\"a\":\"\\ud800\"}", "not JSON" },
          { -EINVAL, "{}", "\"model\" must be an object" },
          { -EINVAL, "{\"model\":7}", "\"model\" must be an object" },
          { -EINVAL, "{\"model\":{\"type\":7}}", "\"type\" must be a text" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\"}}", "vocab" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"vocab\":[]}}", "vocab" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1}}}", "\"a\"" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1.5}}}", "\"a\"" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4294967296}}}", "\"a\"" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999999999999999}}}",
            "not JSON" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4194304}}}", "4194303" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "merges" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
            "id 0 belongs to two tokens" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"a b\",\"a c\"]}}",
            "merge 1: \"c\" is not in the vocabulary" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[[\"a\",\"a\"]]}}",
            "merge 0: \"aa\" is not in the vocabulary" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"ab\"]}}",
            "merge 0 is not a pair" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"a b c\"]}}", "merge 0" },
          { -EINVAL,
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\":0,\"a\":1},"
            "\"merges\":[[\"\",\"a\"]]}}",
            "merge 0" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[[\"a\",\"b\",\"c\"],7]}}",
            "merge 0" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":{}}}", "merges" },
          { -EINVAL, "{\"model\":{\"type\":\"BPE\",\"byte_fallback\":1}}", "byte_fallback" },
          { -EINVAL, "{\"normalizer\":7}", "\"normalizer\" must be an object" },
          { -EINVAL, "{\"normalizer\":{}}", "\"type\"" },
          { -EINVAL, "{\"normalizer\":{\"type\":\"Prepend\"}}", "prepend" },
          { -EINVAL, "{\"normalizer\":{\"type\":\"Sequence\"}}", "normalizers" },
          { -EINVAL, "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}}",
            "replacement" },
          { -EINVAL, "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":\"yes\"}}",
            "use_regex" },
          { -EINVAL, "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[[]]}}", "decoder" });
}

static void test_added_and_processors(void **state)
{
    (void)state;
    CHECK({ -EINVAL, "{" MODEL ",\"added_tokens\":{}}", "added_tokens" },
          { -EINVAL, "{" MODEL ",\"added_tokens\":[7]}", "added_tokens" },
          { -EINVAL, "{" MODEL ",\"added_tokens\":[{\"id\":4}]}", "content" },
          { -EINVAL, "{" MODEL ",\"added_tokens\":[{\"id\":-4,\"content\":\"x\"}]}", "-4" },
          { -EINVAL, "{" MODEL ",\"added_tokens\":[{\"id\":9,\"content\":\"x\"}]}",
            "\"x\" has the id 9, which the vocabulary makes 4" },
          { -EINVAL, "{" MODEL ",\"added_tokens\":[{\"id\":1,\"content\":\"a\"}]}",
            "\"a\" has the id 1, which the vocabulary makes 0" },
          { -EINVAL,
            "{" MODEL ",\"added_tokens\":[{\"id\":0,\"content\":\"a\"},"
            "{\"id\":0,\"content\":\"a\"}]}",
            "\"a\" is there twice" },
          { -EINVAL,
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1},\"merges\":[]},"
            "\"added_tokens\":[{\"id\":1,\"content\":\"x\"}]}",
            "id 1 belongs to two tokens" },
          { -ENOTSUP, "{" MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"\"}]}", "0 bytes" },
          { -EINVAL, "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\"}}", "single" },
          { -EINVAL,
            "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
            "{\"SpecialToken\":{\"id\":\"<s>\"}}]}}",
            "\"<s>\"" },
          { -EINVAL,
            "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
            "{\"SpecialToken\":{\"id\":\"x\"}}],\"special_tokens\":{\"x\":{\"ids\":[4]}}}}",
            "an id of \"x\"" },
          { -ENOTSUP,
            "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\","
            "\"single\":[]}}",
            "without the text" },
          { -ENOTSUP,
            "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
            "{\"Sequence\":{\"id\":\"B\"}}]}}",
            "template" });
}

/* Every beginning of a whole file is refused, not only those of a short one. */
static void test_truncated(void **state)
{
    char *path = golden_path("llama3", "tokenizer.json");
    FILE *file = fopen(path, "rb");
    char *text = malloc(1 << 20);
    struct se_tokenizer *tokenizer = NULL;
    (void)state;
    assert_non_null(file);
    assert_non_null(text);
    size_t n = fread(text, 1, 1 << 20, file);
    assert_true(n > 1000 && n < 1 << 20);
    assert_int_equal(se_tokenizer_parse(&tokenizer, "t", text, n), 0);
    se_tokenizer_close(tokenizer);
    for (size_t cut = 0; cut + 2 < n; cut += 1 + n / 50)
        check_refused(text, cut, -EINVAL, "not JSON");
    fclose(file);
    free(text);
    free(path);
}

static void test_open(void **state)
{
    struct se_tokenizer *tokenizer = NULL;
    char dir[] = "/tmp/se-test-text-XXXXXX";
    (void)state;
    assert_int_equal(se_tokenizer_open(&tokenizer, "/there/is/no/such"), -ENOENT);
    assert_non_null(strstr(se_err_text(), "/there/is/no/such/tokenizer.json"));
    assert_non_null(mkdtemp(dir));
    assert_int_equal(se_tokenizer_open(&tokenizer, dir), -ENOENT);
    rmdir(dir);
    se_tokenizer_close(NULL);
}

static void test_find_and_size(void **state)
{
    struct se_tokenizer *t = golden_open("tales");
    uint32_t id = 0;
    (void)state;
    assert_int_equal(se_tokenizer_size(t), 2048);
    assert_int_equal(se_tokenizer_find(t, "<|bos|>", &id), 0);
    assert_int_equal(id, 2043);
    assert_int_equal(se_tokenizer_find(t, "\xc4\xa0the", &id), 0);
    assert_int_equal(se_tokenizer_find(t, "no such\n", &id), -ENOENT);
    assert_non_null(strstr(se_err_text(), "\"no such\\x0A\""));
    se_tokenizer_close(t);
}

/* --- encoding ------------------------------------------------------------------------------ */

static void check_ids(const struct se_tokenizer *t, const char *text, size_t len_b, unsigned flags,
                      size_t n, const uint32_t *wanted)
{
    struct se_ids ids = SE_IDS_NULL;
    if (se_tokenizer_encode(t, text, len_b, flags, &ids) < 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(ids.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids.id[i], wanted[i]);
    se_ids_fini(&ids);
}

#define IDS(...) \
    sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t), (uint32_t[]) { __VA_ARGS__ }

static void test_flags(void **state)
{
    struct se_tokenizer *t = golden_open("metaspace");
    uint32_t bos, mark_a, a;
    (void)state;
    assert_int_equal(se_tokenizer_find(t, "<s>", &bos), 0);
    assert_int_equal(se_tokenizer_find(t, "\u2581a", &mark_a), 0);
    assert_int_equal(se_tokenizer_find(t, "a", &a), 0);
    check_ids(t, "a", 1, 0, IDS(mark_a));
    check_ids(t, "a", 1, SE_ENCODE_SPECIAL, IDS(bos, mark_a));
    check_ids(t, "a", 1, SE_ENCODE_INSIDE, IDS(a));
    check_ids(t, "<s>a", 4, 0, IDS(bos, a));
    check_ids(t, "", 0, SE_ENCODE_SPECIAL, IDS(bos));
    struct se_ids ids = SE_IDS_NULL;
    assert_int_equal(se_tokenizer_encode(t, "<s>", 3, SE_ENCODE_PLAIN, &ids), 0);
    for (size_t i = 0; i < ids.n; i++)
        assert_int_not_equal(ids.id[i], bos);
    assert_true(ids.n > 1);
    se_ids_fini(&ids);
    se_tokenizer_close(t);
}

/* unk_token that is not there is an error where it is needed, and the ids stay as they were. */
static void test_unknown_missing(void **state)
{
    struct se_tokenizer *t = golden_parse("{\"model\":{\"type\":\"BPE\"," VOCAB
                                          ",\"merges\":[\"a b\"],\"unk_token\":\"?\"}}");
    struct se_ids ids = SE_IDS_NULL;
    (void)state;
    check_ids(t, "aab", 3, 0, IDS(0, 2));
    assert_int_equal(se_tokenizer_encode(t, "ab", 2, 0, &ids), 0);
    assert_int_equal(se_tokenizer_encode(t, "abc", 3, 0, &ids), -ENOENT);
    assert_int_equal(ids.n, 1);
    se_ids_fini(&ids);
    se_tokenizer_close(t);
    t = golden_parse("{\"model\":{\"type\":\"BPE\"," VOCAB
                     ",\"merges\":[\"a b\"],\"unk_token\":\"<unk>\",\"fuse_unk\":false}}");
    check_ids(t, "xayz", 4, 0, IDS(3, 0, 3, 3));
    se_tokenizer_close(t);
    t = golden_parse("{\"model\":{\"type\":\"BPE\"," VOCAB
                     ",\"merges\":[\"a b\"],\"unk_token\":\"<unk>\",\"fuse_unk\":true}}");
    check_ids(t, "xayz", 4, 0, IDS(3, 0, 3));
    se_tokenizer_close(t);
    t = golden_parse("{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"a b\"]}}");
    check_ids(t, "xaybz", 5, 0, IDS(2)); /* without one, unknown text is as if not there */
    se_tokenizer_close(t);
}

/* Invalid bytes are what their repair is. */
static void test_invalid(void **state)
{
    static const struct {
        const char *bytes, *repaired;
    } rows[] = {
        { "\xff", "\ufffd" },
        { "a\x80z", "a\ufffdz" },
        { "\xc3", "\ufffd" },
        { "\xe2\x82", "\ufffd" },
        { "\xe2\x82 x", "\ufffd x" },
        { "\xf0\x9f\x98\xf0\x9f\x98\x80", "\ufffd\U0001f600" },
        { "\xed\xa0\x80", "\ufffd\ufffd\ufffd" },
        { "\xc0\xaf<|bos|>", "\ufffd\ufffd<|bos|>" },
    };
    struct se_tokenizer *t = golden_open("tales");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct se_ids ids = SE_IDS_NULL;
        assert_int_equal(
            se_tokenizer_encode(t, rows[i].repaired, strlen(rows[i].repaired), 0, &ids), 0);
        check_ids(t, rows[i].bytes, strlen(rows[i].bytes), 0, ids.n, ids.id);
        se_ids_fini(&ids);
    }
    se_tokenizer_close(t);
}

/* A run as long as this would take hours if time were quadratic. */
static void test_long_run(void **state)
{
    static const char *const families[] = { "llama2", "gpt2", "qwen2", "flags" };
    enum { N = 1000 * 1000 };
    char *text = malloc(N);
    (void)state;
    assert_non_null(text);
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        struct se_tokenizer *t = golden_open(families[f]);
        for (int kind = 0; kind < 3; kind++) {
            struct se_ids ids = SE_IDS_NULL;
            for (size_t i = 0; i < N; i++)
                text[i] = kind == 0   ? 'a'
                          : kind == 1 ? ' '
                          : i % 2     ? '\xcc'
                                      : "\x81\xa3"[i / 2 % 2];
            size_t skip = kind == 2; /* marks of two classes in turn, all to be sorted */
            assert_int_equal(se_tokenizer_encode(t, text + skip, N - 2 * skip, 0, &ids), 0);
            assert_true(ids.n > 1000);
            se_ids_fini(&ids);
        }
        se_tokenizer_close(t);
    }
    free(text);
}

/* --- the fingerprint ----------------------------------------------------------------------- */

static uint64_t fingerprint_of(const char *json)
{
    struct se_tokenizer *t = golden_parse(json);
    uint64_t print = se_tokenizer_fingerprint(t);
    se_tokenizer_close(t);
    return print;
}

static void test_fingerprint(void **state)
{
    static const char base[] =
        "{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}}";
    static const char *const same[] = {
        /* another order, merges as pairs, what changes no id, what stands for a default */
        "{\"version\":\"1\",\"pre_tokenizer\":{\"add_prefix_space\":false,\"trim_offsets\":true,"
        "\"use_regex\":true,\"type\":\"ByteLevel\"},\"truncation\":null,\"model\":{\"merges\":"
        "[[\"a\",\"b\"]],\"vocab\":{\"<unk>\":3,\"ab\":2,\"b\":1,\"a\":0},\"dropout\":null,"
        "\"type\":\"BPE\",\"fuse_unk\":false},\"added_tokens\":[],\"normalizer\":null}",
        "{" MODEL ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]},\"post_processor\":"
        "{\"type\":\"ByteLevel\"}}",
    };
    static const char *const others[] = {
        base,
        "{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}}",
        "{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"use_regex\":false}}",
        "{" MODEL "}",
        "{" MODEL ",\"normalizer\":{\"type\":\"NFC\"}}",
        "{" MODEL ",\"normalizer\":{\"type\":\"NFD\"}}",
        "{" MODEL ",\"decoder\":{\"type\":\"ByteLevel\"}}",
        "{" MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"x\"}]}",
        "{" MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"x\",\"special\":true}]}",
        "{" MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"x\",\"rstrip\":true}]}",
        "{" MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"y\"}]}",
        "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[]}}",
        "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[],\"ignore_merges\":true}}",
        "{\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[],\"unk_token\":\"<unk>\"}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1,\"b\":0,\"ab\":2,\"<unk>\":3},"
        "\"merges\":[]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"aba\":3,\"ba\":4},"
        "\"merges\":[\"a b\",\"b a\",\"ab a\"]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"aba\":3,\"ba\":4},"
        "\"merges\":[\"b a\",\"a b\",\"ab a\"]}}",
        "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
        "{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{\"id\":\"A\"}}],"
        "\"special_tokens\":{\"x\":{\"ids\":[1]}}}}",
        "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
        "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"x\"}}],"
        "\"special_tokens\":{\"x\":{\"ids\":[1]}}}}",
    };
    enum { N = sizeof others / sizeof *others };
    uint64_t print[N];
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_int_equal(fingerprint_of(same[i]), fingerprint_of(base));
    for (size_t i = 0; i < N; i++) {
        print[i] = fingerprint_of(others[i]);
        for (size_t k = 0; k < i; k++)
            if (print[i] == print[k])
                fail_msg("the same fingerprint: %s and %s", others[i], others[k]);
    }
}

/* It is sent from one machine to another: it must not depend on the build. */
static void test_fingerprint_is_fixed(void **state)
{
    struct se_tokenizer *t = golden_open("tales");
    (void)state;
    assert_int_equal(se_tokenizer_fingerprint(t), 0xaf7ac70a4c9862b0u);
    se_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_by_name),
        cmocka_unit_test(test_patterns_by_name),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_added_and_processors),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_find_and_size),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_unknown_missing),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_fingerprint_is_fixed),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
