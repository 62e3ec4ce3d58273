/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "transport/key.h"

static char folder[] = "/tmp/specedge-test-key-XXXXXX", path[sizeof(folder) + 16];

static void write_file(const char *text, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void refused(const char *text, mode_t mode, const char *part)
{
    struct se_key_pair pair;
    write_file(text, mode);
    assert_true(se_key_load(&pair, path) < 0);
    if (strstr(se_err_text(), part) == NULL || strstr(se_err_text(), path) == NULL)
        fail_msg("'%s' does not say '%s' of %s", se_err_text(), part, path);
}

static void a_pair_is_kept_in_a_file_of_its_owners(void **state)
{
    struct se_key_pair a, b;
    struct stat info;
    (void)state;
    assert_int_equal(se_key_make(&a), 0);
    unlink(path);
    const mode_t mask = umask(0);
    assert_int_equal(se_key_save(&a, path, "ann"), 0);
    umask(mask);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(se_key_load(&b, path), 0);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(se_key_save(&a, path, "ann"), -EEXIST);
    assert_non_null(strstr(se_err_text(), path));
    se_key_wipe(&b);
    assert_memory_not_equal(a.secret, b.secret, sizeof(a.secret));
    assert_memory_not_equal(a.curve_secret, b.curve_secret, sizeof(a.curve_secret));
    assert_true(se_key_save(&a, "/nowhere/at/all", "ann") < 0);
}

static void files_that_hold_no_key_are_refused(void **state)
{
    static const char good[] = "secret AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    static char much[5000];
    struct se_key_pair pair;
    char text[256];
    (void)state;
    snprintf(text, sizeof(text), "# words\r\n\n%s \r\n", good);
    write_file(text, 0400);
    assert_int_equal(se_key_load(&pair, path), 0);
    refused(text, 0640, "chmod 600");
    refused(text, 0604, "chmod 600");
    refused("", 0600, "no secret in it");
    refused("# words\n", 0600, "no secret in it");
    refused("# words\nsecret AAAA\n", 0600, ":2: no secret");
    refused("open AAAA\n", 0600, ":1: neither");
    refused("secretAAAA\n", 0600, ":1: neither");
    refused("secret\n", 0600, ":1: neither");
    snprintf(text, sizeof(text), "%s\n%s\n", good, good);
    refused(text, 0600, ":2: a second secret");
    snprintf(text, sizeof(text), "%s=\n", good);
    refused(text, 0600, ":1: no secret");
    snprintf(text, sizeof(text), "%.*sB\n", (int)sizeof(good) - 2, good); /* leftover bits */
    refused(text, 0600, ":1: no secret");
    memset(much, '#', sizeof(much) - 1);
    refused(much, 0600, "too long");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(se_key_load(&pair, path), -ENOENT);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(se_key_load(&pair, path), -EINVAL);
    unlink(path);
}

static void a_key_is_a_text_and_back(void **state)
{
    /* Of small order: zero, one, and minus one. */
    static const char *const small[] = { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                         "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                         "7P___________________________________________" };
    char text[SE_KEY_TEXT_B + 1];
    struct se_key_pair pair;
    struct se_key key, curve;
    int good = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(se_key_make(&pair), 0);
        assert_int_equal(strlen(se_key_text(&pair.open, text)), SE_KEY_TEXT_B - 1);
        assert_int_equal(se_key_parse_both(&key, &curve, text, SE_KEY_TEXT_B - 1), 0);
        assert_true(se_key_equal(&key, &pair.open));
        assert_true(se_key_equal(&curve, &pair.curve_open));
        text[10] = text[10] == 'A' ? 'B' : 'A'; /* a slip of the pen: most are no points at all */
        good += se_key_parse(&key, text, SE_KEY_TEXT_B - 1) == 0;
    }
    assert_true(good < 30);
    se_key_text(&pair.open, text);
    assert_int_equal(se_key_parse(&key, text, SE_KEY_TEXT_B - 2), -EINVAL);
    strcat(text, "A");
    assert_int_equal(se_key_parse(&key, text, SE_KEY_TEXT_B), -EINVAL);
    text[5] = '+';
    assert_int_equal(se_key_parse(&key, text, SE_KEY_TEXT_B - 1), -EINVAL);
    assert_int_equal(se_key_parse(&key, "", 0), -EINVAL);
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
        assert_int_equal(se_key_parse(&key, small[i], SE_KEY_TEXT_B - 1), -EINVAL);
}

static void a_signature_is_of_one_key_and_one_message(void **state)
{
    uint8_t seal[SE_KEY_SEAL_B], other[16] = { 0 };
    struct se_key_pair a, b;
    (void)state;
    assert_int_equal(se_key_make(&a), 0);
    assert_int_equal(se_key_make(&b), 0);
    assert_int_equal(se_key_sign(seal, &a, "words", 5), 0);
    assert_true(se_key_signed(seal, &a.open, "words", 5));
    assert_false(se_key_signed(seal, &b.open, "words", 5));
    assert_false(se_key_signed(seal, &a.open, "Words", 5));
    assert_false(se_key_signed(seal, &a.open, "words", 4));
    seal[40] ^= 1;
    assert_false(se_key_signed(seal, &a.open, "words", 5));
    assert_int_equal(se_key_random(other, sizeof(other)), 0);
    assert_memory_not_equal(other, (uint8_t[16]){ 0 }, sizeof(other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_is_kept_in_a_file_of_its_owners),
        cmocka_unit_test(files_that_hold_no_key_are_refused),
        cmocka_unit_test(a_key_is_a_text_and_back),
        cmocka_unit_test(a_signature_is_of_one_key_and_one_message),
    };
    struct se_key_pair pair;
    if (se_key_make(&pair) == -ENOTSUP) {
        printf("skipped: %s\n", se_err_text());
        return 77;
    }
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof(path), "%s/secret", folder);
    const int failed = cmocka_run_group_tests_name("key", tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed != 0;
}
