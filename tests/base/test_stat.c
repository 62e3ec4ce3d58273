/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/stat.h"

enum { TOKENS, ROUNDS, SESSIONS, N_LABELS };
static const struct se_stat_label labels[N_LABELS] = {
    [TOKENS] = { "tokens", SE_STAT_COUNTER },
    [ROUNDS] = { "rounds", SE_STAT_COUNTER },
    [SESSIONS] = { "a name of exactly as many bytes as a label of ours fits", SE_STAT_GAUGE },
};
enum { HEADER_B = 64, PAGE_B = HEADER_B + N_LABELS * 128 };

static char name[64], path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(name, sizeof name, "se-test-stat-%ld", (long)getpid());
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    unlink(path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static struct se_stat *create(void)
{
    struct se_stat *stat = NULL;
    assert_int_equal(se_stat_create(&stat, name, labels, N_LABELS), 0);
    return stat;
}

static void assert_tables_equal(const struct se_stat *stat)
{
    assert_int_equal(se_stat_count(stat), N_LABELS);
    for (uint32_t i = 0; i < N_LABELS; i++) {
        assert_string_equal(se_stat_name(stat, i), labels[i].name);
        assert_int_equal(se_stat_kind(stat, i), labels[i].kind);
    }
}

/* As it goes over a link: the copy stays as it was, and any byte of its tables that is another is
 * noticed. */
static void test_images(void **state)
{
    unsigned char image[PAGE_B];
    struct se_stat *writer = create(), *copy = NULL;
    (void)state;
    se_stat_add(writer, TOKENS, 41);
    assert_int_equal(se_stat_image_size(writer), PAGE_B);
    se_stat_image(writer, image);
    se_stat_add(writer, TOKENS, 1);
    assert_int_equal(se_stat_open_image(&copy, image, sizeof image, "there"), 0);
    assert_tables_equal(copy);
    assert_int_equal(se_stat_get(copy, TOKENS), 41);
    assert_int_equal(se_stat_writer(copy, NULL), getpid());
    assert_false(se_stat_is_live(copy));
    se_stat_free(copy);
    for (size_t i = 0; i < HEADER_B + N_LABELS * 64; i++) {
        image[i] ^= 4;
        assert_int_equal(se_stat_open_image(&copy, image, sizeof image, "there"), -EPROTO);
        image[i] ^= 4;
    }
    for (size_t len = 0; len < sizeof image; len++)
        assert_int_equal(se_stat_open_image(&copy, image, len, "there"), -EPROTO);
    se_stat_free(writer);
}

static void test_anonymous(void **state)
{
    (void)state;
    struct se_stat *stat = NULL;
    assert_int_equal(se_stat_create(&stat, NULL, labels, N_LABELS), 0);
    assert_tables_equal(stat);
    se_stat_add(stat, TOKENS, 5);
    se_stat_add(stat, TOKENS, 6);
    se_stat_set(stat, SESSIONS, UINT64_MAX);
    se_stat_add_shared(stat, ROUNDS, 7);
    assert_int_equal(se_stat_get(stat, TOKENS), 11);
    assert_int_equal(se_stat_get(stat, ROUNDS), 7);
    assert_true(se_stat_get(stat, SESSIONS) == UINT64_MAX);
    se_stat_add(stat, SESSIONS, 2); /* goes round */
    assert_int_equal(se_stat_get(stat, SESSIONS), 1);
    /* A number beyond the table touches nothing. */
    se_stat_add(stat, N_LABELS, 1);
    se_stat_set(stat, UINT32_MAX, 1);
    se_stat_add_shared(stat, N_LABELS, 1);
    assert_int_equal(se_stat_get(stat, N_LABELS), 0);
    assert_string_equal(se_stat_name(stat, N_LABELS), "");
    se_stat_free(stat);
    se_stat_free(NULL);
    assert_int_equal(se_stat_create(&stat, NULL, labels, 0), 0);
    assert_int_equal(se_stat_count(stat), 0);
    se_stat_free(stat);
}

static void test_reader(void **state)
{
    (void)state;
    uint64_t started = 0, before = se_clock_ns();
    struct se_stat *reader = NULL, *writer = create();
    assert_int_equal(se_stat_open(&reader, name), 0);
    assert_tables_equal(reader);
    assert_int_equal(se_stat_writer(reader, &started), getpid());
    assert_true(started >= before && started <= se_clock_ns());
    assert_int_equal(se_stat_get(reader, TOKENS), 0);
    se_stat_add(writer, TOKENS, 3);
    se_stat_set(writer, SESSIONS, 4);
    assert_int_equal(se_stat_get(reader, TOKENS), 3);
    assert_int_equal(se_stat_get(reader, SESSIONS), 4);
    se_stat_free(writer); /* the name goes, what the reader holds stays */
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(se_stat_get(reader, TOKENS), 3);
    se_stat_free(reader);
    assert_int_equal(se_stat_open(&reader, name), -ENOENT);
    assert_non_null(strstr(se_err_text(), path));
}

/* A child makes the page, counts, tells its counterpart, and dies without a word. */
static void die_after_counting(void)
{
    int up[2];
    char byte;
    assert_int_equal(pipe(up), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct se_stat *stat = NULL;
        if (se_stat_create(&stat, name, labels, N_LABELS) < 0)
            _exit(1);
        se_stat_add(stat, TOKENS, 41);
        _exit(write(up[1], "x", 1) == 1 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(up[0], &byte, 1), 1);
    close(up[0]);
    close(up[1]);
}

static void test_survives_and_is_replaced(void **state)
{
    (void)state;
    struct se_stat *reader = NULL, *fresh;
    die_after_counting();
    assert_int_equal(se_stat_open(&reader, name), 0); /* for whoever asks what happened */
    assert_int_equal(se_stat_get(reader, TOKENS), 41);
    assert_int_not_equal(se_stat_writer(reader, NULL), getpid());
    assert_false(se_stat_is_live(reader));
    fresh = create();
    se_stat_add(fresh, TOKENS, 1);
    assert_int_equal(se_stat_get(reader, TOKENS), 41); /* another page */
    se_stat_free(reader);
    assert_int_equal(se_stat_open(&reader, name), 0);
    assert_int_equal(se_stat_get(reader, TOKENS), 1);
    assert_int_equal(se_stat_writer(reader, NULL), getpid());
    se_stat_free(reader);
    se_stat_free(fresh);
}

static void test_living_writer(void **state)
{
    (void)state;
    struct se_stat *other = NULL, *writer = create();
    se_stat_add(writer, TOKENS, 9);
    assert_int_equal(se_stat_create(&other, name, labels, N_LABELS), -EEXIST);
    assert_non_null(strstr(se_err_text(), path));
    assert_null(other);
    assert_int_equal(se_stat_open(&other, name), 0);
    assert_int_equal(se_stat_get(other, TOKENS), 9);
    assert_true(se_stat_is_live(other));
    se_stat_free(other);
    assert_int_equal(access(path, F_OK), 0); /* a reader removes nothing */
    /* Somebody removed the name and another took it: ours to leave alone. */
    assert_int_equal(unlink(path), 0);
    struct se_stat *second = create();
    se_stat_free(writer);
    assert_int_equal(access(path, F_OK), 0);
    se_stat_free(second);
    assert_int_equal(access(path, F_OK), -1);
}

static void write_bytes(const void *data, size_t len_b)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len_b), len_b);
    close(fd);
}

static void assert_damaged(const char *what)
{
    struct se_stat *reader = NULL;
    int r = se_stat_open(&reader, name);
    if (r != -EPROTO || reader || !strstr(se_err_text(), path))
        fail_msg("%s: %d, '%s'", what, r, se_err_text());
}

static void test_damaged(void **state)
{
    (void)state;
    unsigned char page[PAGE_B + 1] = { 0 }, bad[PAGE_B + 1];
    struct se_stat *stat = create();
    se_stat_set(stat, TOKENS, 1);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, page, sizeof page), PAGE_B);
    close(fd);
    se_stat_free(stat);

    write_bytes(page, PAGE_B);
    assert_int_equal(se_stat_open(&stat, name), 0); /* a copy is as good */
    assert_int_equal(se_stat_get(stat, TOKENS), 1);
    se_stat_free(stat);
    /* Every byte of header and labels counts; the counters themselves may be anything. */
    for (size_t i = 0; i < PAGE_B; i++) {
        char what[32];
        snprintf(what, sizeof what, "byte %zu", i);
        memcpy(bad, page, PAGE_B);
        bad[i] ^= 0x81;
        write_bytes(bad, PAGE_B);
        if (i < HEADER_B + N_LABELS * 64) {
            assert_damaged(what);
        } else {
            assert_int_equal(se_stat_open(&stat, name), 0);
            se_stat_free(stat);
        }
    }
    static const size_t lengths[] = { 0, 1, 8, 63, 64, 65, PAGE_B - 64, PAGE_B - 1, PAGE_B + 1 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        write_bytes(page, lengths[i]);
        assert_damaged("length");
    }
    memset(bad, 0, sizeof bad);
    write_bytes(bad, PAGE_B);
    assert_damaged("zeros");
}

static void test_not_ours(void **state)
{
    (void)state;
    struct se_stat *stat = NULL;
    write_bytes("somebody else's file", 20);
    assert_int_equal(se_stat_create(&stat, name, labels, N_LABELS), -EEXIST);
    assert_int_equal(access(path, F_OK), 0);
    /* Ours by its first bytes, but half a page and nobody's: replaced. */
    write_bytes("SE-STAT\0rest", 12);
    stat = create();
    se_stat_free(stat);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_true(se_stat_open(&stat, name) < 0);
    assert_true(se_stat_create(&stat, name, labels, N_LABELS) < 0);
}

static void test_refusals(void **state)
{
    (void)state;
    struct se_stat *stat = NULL;
    static const char *const bad[] = { "", ".", "..", "a/b", "../x", ".hidden" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(se_stat_create(&stat, bad[i], labels, N_LABELS), -EINVAL);
        assert_int_equal(se_stat_open(&stat, bad[i]), -EINVAL);
    }
    char longer[SE_STAT_LABEL_B + 1];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const struct se_stat_label too_long = { longer, SE_STAT_GAUGE };
    assert_int_equal(se_stat_create(&stat, NULL, &too_long, 1), -EINVAL);
    assert_int_equal(se_stat_create(&stat, NULL, labels, SE_STAT_MAX + 1), -EINVAL);
    assert_null(stat);
}

static void *count(void *stat)
{
    for (int i = 0; i < 20000; i++)
        se_stat_add_shared(stat, ROUNDS, 1);
    return NULL;
}

static void test_several_writers(void **state)
{
    (void)state;
    pthread_t thread[4];
    struct se_stat *reader = NULL, *writer = create();
    uint64_t last = 0;
    assert_int_equal(se_stat_open(&reader, name), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, count, writer), 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = se_stat_get(reader, ROUNDS);
        assert_true(now >= last);
        last = now;
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(se_stat_get(reader, ROUNDS), 80000);
    se_stat_free(reader);
    se_stat_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anonymous),
        cmocka_unit_test_setup_teardown(test_images, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_survives_and_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_living_writer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several_writers, set_up, tear_down),
    };
    if (access("/dev/shm", W_OK) < 0) {
        printf("skipped: no writable /dev/shm here\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
