/* SPDX-License-Identifier: Apache-2.0 */
/* Which backend computes, and what is said when it cannot. The modules of this test stand for
 * builds that are not this one's; no GPU is asked for anything.
 *
 *   test_backend FOLDER    where they lie */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "runtime/model/backend.h"
#include "tests/model/tiny.h"

enum { PATH_B = 512 };
static const char *folder;

static void is_read(void **state)
{
    static const struct {
        const char *text;
        enum se_backend_kind kind;
        struct se_devices devices;
    } good[] = {
        { "auto", SE_BACKEND_AUTO, { 0 } },
        { "cpu", SE_BACKEND_CPU, { 0 } },
        { "cuda", SE_BACKEND_CUDA, { 0 } },
        { "cuda:0", SE_BACKEND_CUDA, { 1, { 0 } } },
        { "cuda:7", SE_BACKEND_CUDA, { 1, { 7 } } },
        { "cuda:3,0,1", SE_BACKEND_CUDA, { 3, { 3, 0, 1 } } },
    };
    static const char *const bad[] = { "",        "gpu",        "cuda:",     "cuda:x",
                                       "cuda:-1", "cuda:1x",    "cuda:4096", "cuda:0,",
                                       "cuda:,1", "cuda:2,1,2", "cuda:0,1x" };
    enum se_backend_kind kind;
    struct se_devices devices;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(se_backend_read(good[i].text, &kind, &devices), 0);
        assert_int_equal(kind, good[i].kind);
        assert_memory_equal(&devices, &good[i].devices, sizeof devices);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(se_backend_read(bad[i], &kind, &devices), -EINVAL);
        assert_non_null(strstr(se_err_text(), bad[i]));
    }
}

/* Opens an engine of a tiny model; what is said when it cannot. */
static int open_with(const char *module, enum se_backend_kind kind)
{
    const struct tiny_spec spec = tiny_draw(1, SE_DTYPE_F32);
    struct se_model_options of_model = { .weights = SE_WEIGHTS_STORED };
    char path[TINY_PATH_MAX_B], name[PATH_B];
    struct se_model *model = NULL;
    struct se_engine *engine = NULL;
    struct se_engine_options options = {
        .backend = kind, .max_rows = 4, .n_pages = 4, .kv_dtype = SE_DTYPE_F32
    };
    snprintf(name, sizeof name, "%s/%s", folder, module);
    setenv("SE_CUDA_MODULE", name, 1);
    tiny_write(path, &spec);
    assert_int_equal(se_model_open(&model, path, &of_model), 0);
    const int r = se_engine_new(&engine, model, &options);
    if (r == 0)
        assert_memory_equal(se_engine_backend(engine), "cpu", 3);
    se_engine_free(engine);
    se_model_close(model);
    tiny_remove(path);
    return r;
}

static void says_what_is_missing(void **state)
{
    static const struct {
        const char *module, *words;
    } cases[] = {
        { "none.so", "cannot be opened" },
        { "libse_model_module_other.so", "of another build" },
        { "libse_model_module_half.so", "lacks a part of its table" },
        { "libse_model_module_stranger.so", "no module of ours" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(open_with(cases[i].module, SE_BACKEND_CUDA), -ENODEV);
        if (!strstr(se_err_text(), cases[i].words) || strchr(se_err_text(), '\n'))
            fail_msg("%s: '%s'", cases[i].module, se_err_text());
        assert_int_equal(open_with(cases[i].module, SE_BACKEND_AUTO), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read),
        cmocka_unit_test(says_what_is_missing),
    };
    if (argc != 2)
        return 2;
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
