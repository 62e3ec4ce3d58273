/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/err.h"
#include "runtime/base/journal.h"
#include "runtime/base/log.h"

static char folder[] = "/tmp/test_journal.XXXXXX", path[64], entry[16384];
static int receiver; /* what journald would read from */

static int listen_for_entries(void **state)
{
    (void)state;
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    strcpy(at.sun_path, path);
    receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(receiver >= 0);
    assert_int_equal(bind(receiver, (struct sockaddr *)&at, sizeof at), 0);
    return 0;
}

static int tidy_up(void **state)
{
    (void)state;
    close(receiver);
    unlink(path);
    return rmdir(folder);
}

/* The next entry as one text of n bytes; "" when there is none. */
static const char *next_entry(size_t *n)
{
    ssize_t len = recv(receiver, entry, sizeof entry - 1, 0);
    *n = len < 0 ? 0 : (size_t)len;
    entry[*n] = '\0';
    return entry;
}

static void test_protocol(void **state)
{
    (void)state;
    static const struct se_journal_field fields[] = {
        { "PRIORITY", "4" }, { "LEFT_OUT", NULL }, { "EMPTY", "" }, { "MESSAGE", "two\nlines\n" }
    };
    static const char wanted[] = "PRIORITY=4\nEMPTY=\nMESSAGE\n\x0a\0\0\0\0\0\0\0two\nlines\n\n";
    static char huge[100000];
    size_t n;
    int fd = se_journal_open(path);
    assert_true(fd >= 0);
    assert_int_equal(se_journal_send(fd, fields, 4), 0);
    const char *got = next_entry(&n);
    assert_int_equal(n, sizeof wanted - 1);
    assert_memory_equal(got, wanted, n);

    memset(huge, 'x', sizeof huge - 1);
    assert_int_equal(se_journal_send(fd, &(struct se_journal_field){ "MESSAGE", huge }, 1),
                     -EMSGSIZE);
    next_entry(&n);
    assert_int_equal(n, 0);

    int r = 0; /* nobody reads: it does not wait */
    for (int i = 0; i < 100000 && r == 0; i++)
        r = se_journal_send(fd, fields, 4);
    assert_int_equal(r, -EAGAIN);
    do
        next_entry(&n);
    while (n);
    close(fd);

    assert_int_equal(se_journal_open("/nowhere/socket"), -ENOENT);
    memset(huge, 'x', 200);
    huge[200] = '\0';
    assert_int_equal(se_journal_open(huge), -ENAMETOOLONG);
}

static bool has(const char *text, const char *line)
{
    const char *found = strstr(text, line);
    return found && (found == text || found[-1] == '\n');
}

/* Standard error becomes the stream that JOURNAL_STREAM names; what is written there instead of
 * sent is left in the file. */
static void test_log(void **state)
{
    (void)state;
    char stream[64], text[256];
    struct stat info;
    size_t n;
    FILE *file = tmpfile();
    assert_non_null(file);
    int before = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    unsetenv("JOURNAL_STREAM");
    bool is_without = se_journal_is(STDERR_FILENO);
    assert_int_equal(fstat(STDERR_FILENO, &info), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino + 1);
    setenv("JOURNAL_STREAM", stream, 1);
    bool is_another = se_journal_is(STDERR_FILENO);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    bool is_this = se_journal_is(STDERR_FILENO);
    unsetenv("SE_LOG");
    se_log_init_at("tester", path);

    se_log(SE_LOG_WARN, "peer says '%s'", "a\nPRIORITY=0");
    const char *got = next_entry(&n);
    assert_true(has(got, "PRIORITY=4\n"));
    assert_true(has(got, "SYSLOG_IDENTIFIER=tester\n"));
    assert_true(has(got, "CODE_FILE="));
    assert_non_null(strstr(got, "tests/base/test_journal.c\n"));
    assert_true(has(got, "CODE_LINE="));
    assert_true(has(got, "CODE_FUNC=test_log\n"));
    assert_true(has(got, "MESSAGE=peer says 'a PRIORITY=0'\n"));
    assert_null(strstr(got, "TRAIL"));

    se_fail(-EIO, "the disk is gone");
    se_log(SE_LOG_ERROR, "%s; nothing has changed", se_err_text());
    got = next_entry(&n);
    assert_true(has(got, "PRIORITY=3\n"));
    assert_true(has(got, "SPECEDGE_TRAIL="));
    assert_non_null(strstr(got, "test_journal.c:"));
    assert_true(has(got, "MESSAGE=the disk is gone; nothing has changed\n"));
    assert_string_equal(se_err_text(), "the disk is gone");

    /* A journal that is full, or gone, loses nothing: the line goes to standard error. */
    int fd = se_journal_open(path);
    while (se_journal_send(fd, &(struct se_journal_field){ "MESSAGE", "x" }, 1) == 0)
        ;
    close(fd);
    errno = EBADF;
    se_log(SE_LOG_INFO, "full");
    int after = errno;
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "<6>tester: full\n");
    assert_int_equal(after, EBADF);
    assert_false(is_without);
    assert_false(is_another);
    assert_true(is_this);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_protocol),
                                        cmocka_unit_test(test_log) };
    return cmocka_run_group_tests(tests, listen_for_entries, tidy_up);
}
