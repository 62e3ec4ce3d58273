/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
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

#include "runtime/base/log.h"

enum { TEXT_B = 1 << 18 };
static char text[TEXT_B];
static FILE *sink;
static int before;

/* Standard error goes to a file until released. */
static void catch_lines(void)
{
    sink = tmpfile();
    assert_non_null(sink);
    before = dup(STDERR_FILENO);
    assert_true(before >= 0);
    assert_true(dup2(fileno(sink), STDERR_FILENO) >= 0);
}

static const char *release_lines(void)
{
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(sink);
    size_t len = fread(text, 1, sizeof text - 1, sink);
    text[len] = '\0';
    fclose(sink);
    return text;
}

static void init(const char *level)
{
    if (level)
        setenv("SE_LOG", level, 1);
    else
        unsetenv("SE_LOG");
    se_log_init_at("tester", "/nowhere/socket"); /* never to the journal of this machine */
}

static void log_all(void)
{
    se_log(SE_LOG_ERROR, "e%d", 1);
    se_log(SE_LOG_WARN, "w%d", 2);
    se_log(SE_LOG_INFO, "i%d", 3);
    se_log(SE_LOG_DEBUG, "d%d", 4);
}

static void test_levels(void **state)
{
    (void)state;
    static const char *const lines[] = { "tester: error: e1\n", "tester: warn: w2\n",
                                         "tester: i3\n", "tester: debug: d4\n" };
    static const struct {
        const char *word;
        int lines;
    } cases[] = { { "error", 1 }, { "warn", 2 }, { "info", 3 },  { "debug", 4 },
                  { NULL, 3 },    { "", 3 },     { "chatty", 3 } };
    unsetenv("JOURNAL_STREAM");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[256] = "";
        for (int k = 0; k < cases[i].lines; k++)
            strcat(wanted, lines[k]);
        init(cases[i].word);
        catch_lines();
        log_all();
        assert_string_equal(release_lines(), wanted);
    }
    se_log_set_level(SE_LOG_WARN);
    assert_true(se_log_wants(SE_LOG_WARN));
    assert_false(se_log_wants(SE_LOG_INFO));
}

static void test_journal(void **state)
{
    (void)state;
    char stream[64];
    struct stat info;
    int kept;
    catch_lines();
    assert_int_equal(fstat(STDERR_FILENO, &info), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    init("debug");
    log_all();
    kept = dup(STDERR_FILENO);
    assert_string_equal(release_lines(), "<3>tester: error: e1\n<4>tester: warn: w2\n"
                                         "<6>tester: i3\n<7>tester: debug: d4\n");
    /* Another file: the stream is not ours any more. The first one is still open, or the
     * second might get its number. */
    catch_lines();
    init("error");
    log_all();
    assert_string_equal(release_lines(), "tester: error: e1\n");
    unsetenv("JOURNAL_STREAM");
    close(kept);
}

/* What a peer sent must not look like a line of ours. */
static void test_hostile(void **state)
{
    (void)state;
    init("info");
    catch_lines();
    errno = EBADF;
    se_log(SE_LOG_WARN, "peer says '%s'",
           "a\ntester: b\r\x1b[2J\x7f"
           "\xc3\xa4");
    assert_int_equal(errno, EBADF);
    assert_string_equal(release_lines(), "tester: warn: peer says 'a tester: b  [2J \xc3\xa4'\n");
}

/* A full disk behind standard error is not the caller's business. */
static void test_nowhere_to_write(void **state)
{
    (void)state;
    init("info");
    int full = open("/dev/full", O_WRONLY);
    if (full < 0)
        skip();
    before = dup(STDERR_FILENO);
    assert_true(dup2(full, STDERR_FILENO) >= 0);
    errno = EBADF;
    se_log(SE_LOG_INFO, "lost");
    int after = errno;
    dup2(before, STDERR_FILENO);
    close(before);
    close(full);
    assert_int_equal(after, EBADF);
}

static void test_long(void **state)
{
    (void)state;
    static char many[10000];
    init("info");
    memset(many, 'x', sizeof many - 1);
    for (size_t len = 1900; len < 2200; len++) {
        catch_lines();
        se_log(SE_LOG_INFO, "%.*s", (int)len, many);
        const char *line = release_lines();
        size_t all = strlen(line);
        assert_memory_equal(line, "tester: xxx", 11);
        assert_int_equal(line[all - 1], '\n');
        assert_ptr_equal(strchr(line, '\n'), line + all - 1);
        if (all != 8 + len + 1) /* not whole, so cut, and said so */
            assert_memory_equal(line + all - 5, "x...", 4);
        assert_true(all <= 2048);
    }
}

static void *many_lines(void *unused)
{
    (void)unused;
    for (int i = 0; i < 500; i++)
        se_log(SE_LOG_INFO, "%s", "0123456789012345678901234567890123456789");
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t thread[4];
    init("info");
    catch_lines();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, many_lines, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    const char *line = release_lines();
    static const char wanted[] = "tester: 0123456789012345678901234567890123456789\n";
    int n = 0;
    for (; *line; line += sizeof wanted - 1, n++)
        assert_memory_equal(line, wanted, sizeof wanted - 1);
    assert_int_equal(n, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),  cmocka_unit_test(test_journal),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_long),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_nowhere_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
