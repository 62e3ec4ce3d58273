/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"

static char folder[] = "/tmp/se-test-file-XXXXXX";

static const char *path_to(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t len_b)
{
    FILE *out = fopen(path_to(name), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, len_b, out), len_b);
    assert_int_equal(fclose(out), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = { "bytes", "empty", "fifo", "link", "secret" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_to(names[i]));
    return rmdir(folder);
}

static void test_bytes(void **state)
{
    (void)state;
    struct se_file file = SE_FILE_NULL;
    unsigned char data[10000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    write_file("bytes", data, sizeof data);
    assert_int_equal(se_file_open(&file, path_to("bytes")), 0);
    assert_int_equal(file.len_b, sizeof data);
    assert_memory_equal(file.data, data, sizeof data);
    se_file_close(&file);
    assert_null(file.data);
    se_file_close(&file);
}

static void test_empty(void **state)
{
    (void)state;
    struct se_file file = SE_FILE_NULL;
    write_file("empty", "", 0);
    assert_int_equal(se_file_open(&file, path_to("empty")), 0);
    assert_int_equal(file.len_b, 0);
    assert_non_null(file.data);
    se_file_close(&file);
}

static void assert_refused(const char *path, int code)
{
    struct se_file file = SE_FILE_NULL;
    se_err_clear();
    assert_int_equal(se_file_open(&file, path), code);
    assert_non_null(strstr(se_err_text(), path));
    assert_null(file.data);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_refused(path_to("absent"), -ENOENT);
    assert_refused(folder, -EISDIR);
    assert_refused("/dev/null", -EINVAL);
    assert_int_equal(mkfifo(path_to("fifo"), 0600), 0); /* nobody writes: must not hang */
    assert_refused(path_to("fifo"), -EINVAL);
    assert_int_equal(symlink("absent", path_to("link")), 0);
    assert_refused(path_to("link"), -ENOENT);
    if (geteuid() == 0)
        return; /* root may read what the mode forbids */
    write_file("secret", "x", 1);
    assert_int_equal(chmod(path_to("secret"), 0), 0);
    assert_refused(path_to("secret"), -EACCES);
}

/* "models/x/config.json" where a folder was to be named, to which a file's name was added. */
static void test_no_folder(void **state)
{
    (void)state;
    static const char *const behind[] = { "/config.json", "//config.json", "/deep/config.json" };
    struct se_file file = SE_FILE_NULL;
    char path[256], wanted[600];
    write_file("bytes", "x", 1);
    snprintf(wanted, sizeof wanted, "%s is no folder; the folder it lies in is %s",
             path_to("bytes"), folder);
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        snprintf(path, sizeof path, "%s/bytes%s", folder, behind[i]);
        assert_int_equal(se_file_open(&file, path), -ENOTDIR);
        assert_string_equal(se_err_text(), wanted);
    }
    char here[PATH_MAX];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(se_file_open(&file, "bytes/config.json"), -ENOTDIR);
    assert_string_equal(se_err_text(), "bytes is no folder; the folder it lies in is .");
    assert_int_equal(chdir(here), 0);
    assert_null(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
