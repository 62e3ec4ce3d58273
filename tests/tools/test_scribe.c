/* SPDX-License-Identifier: Apache-2.0 */
/* Lines in a file, a reader that is slow, one that leaves, and none. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "tools/scribe.h"

enum { ROOM = 20000 /* more than a pipe holds */, MANY = 400000, BLOCK_B = 1 << 16 };
#define PATIENCE_NS UINT64_C(20000000000)

static char dir[] = "/tmp/se-scribe-XXXXXX", path[64];

static int compose(char line[SE_SCRIBE_LINE_B], const void *item)
{
    return snprintf(line, SE_SCRIBE_LINE_B, "%" PRIu64 "\n", *(const uint64_t *)item);
}

static int count(char line[SE_SCRIBE_LINE_B], uint64_t lines, uint64_t dropped, bool last)
{
    return snprintf(line, SE_SCRIBE_LINE_B, "%s %" PRIu64 " %" PRIu64 "\n", last ? "end" : "lost",
                    last ? lines : 0, dropped);
}

static struct se_scribe *open_scribe(bool append, const char *head)
{
    struct se_scribe *scribe = NULL;
    const struct se_scribe_options options = { .path = path,
                                               .append = append,
                                               .head = head,
                                               .item_b = sizeof(uint64_t),
                                               .room = ROOM,
                                               .compose = compose,
                                               .count = count };
    assert_int_equal(se_scribe_open(&scribe, &options), 0);
    return scribe;
}

static void put(struct se_scribe *scribe, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        se_scribe_put(scribe, &i);
}

/* What fd gives until it ends; the caller's to free. */
static char *read_all(int fd)
{
    size_t len = 0, cap = BLOCK_B;
    char *text = malloc(cap + 1);
    ssize_t n;
    assert_non_null(text);
    while ((n = read(fd, text + len, cap - len)) > 0)
        if ((len += (size_t)n) == cap)
            assert_non_null(text = realloc(text, (cap *= 2) + 1));
    assert_int_equal(n, 0);
    text[len] = '\0';
    return text;
}

static char *read_file(void)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    char *text = read_all(fd);
    close(fd);
    return text;
}

static void test_file(void **state)
{
    (void)state;
    const uint64_t end_ns = se_clock_ns() + PATIENCE_NS;
    struct se_scribe *scribe = open_scribe(false, "head\n");
    put(scribe, 7, 9);
    char *text = read_file();
    while (strcmp(text, "head\n7\n8\n") != 0) { /* it comes by itself */
        assert_true(se_clock_ns() < end_ns);
        free(text);
        text = read_file();
    }
    free(text);
    put(scribe, 9, 10);
    assert_int_equal(se_scribe_check(scribe), 0);
    assert_int_equal(se_scribe_close(scribe), 0);
    text = read_file();
    assert_string_equal(text, "head\n7\n8\n9\nend 3 0\n");
    free(text);
    assert_int_equal(se_scribe_close(open_scribe(true, NULL)), 0);
    text = read_file();
    assert_string_equal(text, "head\n7\n8\n9\nend 3 0\nend 0 0\n");
    free(text);
    assert_int_equal(se_scribe_close(open_scribe(false, NULL)), 0);
    text = read_file();
    assert_string_equal(text, "end 0 0\n");
    free(text);
    unlink(path);
    assert_int_equal(se_scribe_close(NULL), 0);
}

static int open_pipe(void)
{
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    return fd;
}

struct reading {
    uint64_t lines, missing, ended, dropped; /* ended, dropped: as the end says */
};

/* Every line whole and in order; what is missing was told before the next line. */
static struct reading follow(char *text)
{
    struct reading r = { .lines = 0 };
    uint64_t next = 0, told = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && *line;) {
        uint64_t n;
        if (sscanf(line, "lost 0 %" SCNu64, &told) == 1)
            continue;
        if (sscanf(line, "end %" SCNu64 " %" SCNu64, &r.ended, &r.dropped) == 2)
            continue;
        assert_int_equal(sscanf(line, "%" SCNu64, &n), 1);
        assert_true(n >= next);
        r.missing += n - next;
        next = n + 1;
        r.lines++;
    }
    r.missing += MANY - next;
    assert_true(told == r.dropped);
    return r;
}

static void *read_late(void *context) { return read_all(*(const int *)context); }

/* Nobody reads until all is put: whoever puts does not wait for it. */
static void test_slow_reader(void **state)
{
    (void)state;
    int fd = open_pipe();
    struct se_scribe *scribe = open_scribe(false, NULL);
    put(scribe, 0, MANY); /* would never return if it waited */
    pthread_t reader;
    void *text = NULL;
    assert_int_equal(pthread_create(&reader, NULL, read_late, &fd), 0);
    const uint64_t lost = se_scribe_close(scribe);
    assert_int_equal(pthread_join(reader, &text), 0);
    const struct reading seen = follow(text);
    assert_true(lost > 0);
    assert_true(seen.missing == lost && seen.dropped == lost);
    assert_true(seen.ended == seen.lines && seen.lines + lost == MANY);
    free(text);
    close(fd);
    unlink(path);
}

static void test_no_reader(void **state)
{
    (void)state;
    struct se_scribe *scribe = NULL;
    const struct se_scribe_options options = {
        .path = path, .item_b = 1, .room = ROOM, .compose = compose
    };
    int fd = open_pipe();
    scribe = open_scribe(false, NULL);
    put(scribe, 0, MANY);
    const uint64_t begun_ns = se_clock_ns();
    const uint64_t lost = se_scribe_close(scribe); /* nobody reads, ever */
    assert_true(lost > 0 && lost <= MANY);
    assert_true(se_clock_ns() - begun_ns < PATIENCE_NS);
    close(fd);
    assert_int_equal(se_scribe_open(&scribe, &options), -ENXIO);
    assert_non_null(strstr(se_err_text(), "a pipe that nobody reads"));
    unlink(path);
}

static void test_reader_leaves(void **state)
{
    (void)state;
    const uint64_t end_ns = se_clock_ns() + PATIENCE_NS;
    int fd = open_pipe(), r;
    struct se_scribe *scribe = open_scribe(false, NULL);
    close(fd);
    do {
        put(scribe, 0, 1);
        r = se_scribe_check(scribe);
        assert_true(se_clock_ns() < end_ns);
    } while (r == 0);
    assert_int_equal(r, -EPIPE);
    assert_non_null(strstr(se_err_text(), path));
    assert_int_equal(se_scribe_check(scribe), 0); /* once */
    assert_true(se_scribe_close(scribe) > 0);
    unlink(path);
}

static void test_no_folder(void **state)
{
    (void)state;
    struct se_scribe *scribe = NULL;
    const struct se_scribe_options options = {
        .path = "/nowhere/lines", .item_b = 1, .room = ROOM, .compose = compose
    };
    assert_int_equal(se_scribe_open(&scribe, &options), -ENOENT);
    assert_string_equal(se_err_text(), "/nowhere/lines: No such file or directory");
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/lines", dir);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),      cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_no_reader), cmocka_unit_test(test_reader_leaves),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
