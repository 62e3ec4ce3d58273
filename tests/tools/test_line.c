/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that come through a pipe, and where what is remembered lies. The terminal's side is tried
 * by test_se_run.sh, with a terminal. */
#include <errno.h>
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

#include "runtime/base/err.h"
#include "tools/line.h"
#include "tools/state.h"

/* Standard input becomes a file with this text. */
static struct se_line *open_text(const char *text, size_t len_b)
{
    struct se_line *line = NULL;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len_b, file), len_b);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    assert_true(dup2(fileno(file), STDIN_FILENO) >= 0);
    fclose(file);
    assert_int_equal(se_line_open(&line, NULL), 0);
    assert_false(se_line_typed(line));
    return line;
}

static void expect(struct se_line *line, const char *wanted)
{
    const char *text = NULL;
    assert_int_equal(se_line_read(line, "> ", &text), 0);
    assert_string_equal(text, wanted);
}

static void test_plain(void **state)
{
    (void)state;
    static const char text[] = "one\n\n two\t\r\ncaf\303\251\nlast";
    const char *got;
    struct se_line *line = open_text(text, sizeof text - 1);
    expect(line, "one");
    expect(line, "");
    expect(line, " two\t");
    expect(line, "caf\303\251");
    expect(line, "last");
    assert_int_equal(se_line_read(line, "> ", &got), SE_LINE_END);
    assert_int_equal(se_line_read(line, "> ", &got), SE_LINE_END);
    se_line_close(line);
    line = open_text("", 0);
    assert_int_equal(se_line_read(line, "> ", &got), SE_LINE_END);
    se_line_close(line);
    se_line_close(NULL);
}

/* What is no line is refused, and the next one is there. */
static void test_refused(void **state)
{
    (void)state;
    static const char zero[] = "a\0b\nnext\n";
    const char *got;
    struct se_line *line = open_text(zero, sizeof zero - 1);
    assert_int_equal(se_line_read(line, "> ", &got), -EILSEQ);
    expect(line, "next");
    se_line_close(line);

    for (int more = 0; more < 3; more++) { /* just fits, just not, far too long */
        size_t len = (size_t)SE_LINE_MAX_B + (more == 2 ? 3 * SE_LINE_MAX_B : more);
        char *text = malloc(len + 6);
        assert_non_null(text);
        memset(text, 'x', len);
        memcpy(text + len, "\nnext\n", 6);
        line = open_text(text, len + 6);
        assert_int_equal(se_line_read(line, "> ", &got), more ? -EFBIG : 0);
        if (!more)
            assert_int_equal(strlen(got), len);
        expect(line, "next");
        se_line_close(line);
        free(text);
    }
}

/* Folders are made for the user alone, and an environment without a home is told. */
static void test_state(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_line.XXXXXX", wanted[256], home[256];
    char *path = NULL;
    struct stat found;
    assert_non_null(mkdtemp(dir));
    snprintf(home, sizeof home, "%s/a/b", dir);
    setenv("XDG_STATE_HOME", home, 1);
    setenv("HOME", "/nowhere", 1);
    assert_int_equal(se_state_path(&path, "lines"), 0);
    snprintf(wanted, sizeof wanted, "%s/a/b/specedge/lines", dir);
    assert_string_equal(path, wanted);
    snprintf(wanted, sizeof wanted, "%s/a/b/specedge", dir);
    assert_int_equal(stat(wanted, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    free(path);

    setenv("XDG_STATE_HOME", "relative", 1);
    setenv("HOME", dir, 1);
    assert_int_equal(se_state_path(&path, "lines"), 0);
    snprintf(wanted, sizeof wanted, "%s/.local/state/specedge/lines", dir);
    assert_string_equal(path, wanted);
    free(path);

    unsetenv("XDG_STATE_HOME");
    setenv("HOME", "", 1);
    assert_int_equal(se_state_path(&path, "lines"), -ENOENT);
    assert_non_null(strstr(se_err_text(), "XDG_STATE_HOME"));
    setenv("XDG_STATE_HOME", "/dev/null/x", 1);
    assert_true(se_state_path(&path, "lines") < 0);
    assert_non_null(strstr(se_err_text(), "/dev/null"));
    char command[320];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
