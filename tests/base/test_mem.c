/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

static void assert_aligned(const void *block)
{
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % SE_MEM_ALIGN, 0);
}

static void test_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 63, 64, 65, 4096, 2097151, 2097152, 2097153, 5000000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *block = se_mem_new(sizes[i], 1);
        assert_aligned(block);
        memset(block, 0xa5, sizes[i]);
        se_mem_free(block);
        block = se_mem_zero(sizes[i], 1);
        assert_aligned(block);
        for (size_t k = 0; k < sizes[i]; k++)
            if (block[k])
                fail_msg("byte %zu of %zu is not zero", k, sizes[i]);
        se_mem_free(block);
    }
    se_mem_free(NULL);
}

static void test_overflow(void **state)
{
    (void)state;
    se_err_clear();
    assert_null(se_mem_new(SIZE_MAX / 2, 3));
    assert_non_null(strstr(se_err_text(), "out of memory"));
    assert_null(se_mem_new(SIZE_MAX, 1));          /* overflows only when rounded up */
    assert_null(se_mem_zero(SIZE_MAX / 4 + 2, 4)); /* wraps to a small number */
    assert_null(se_mem_new(1, SIZE_MAX / 2));      /* does not overflow, cannot be had */
}

static void test_grow(void **state)
{
    (void)state;
    uint32_t *array = NULL;
    size_t cap = 0;
    for (uint32_t n = 0; n < 5000; n++) {
        size_t before = cap;
        assert_int_equal(se_mem_grow(&array, &cap, n + 1, sizeof *array), 0);
        assert_true(cap >= n + 1);
        assert_true(cap == before || cap >= 2 * before);
        array[n] = n * 7;
    }
    for (uint32_t n = 0; n < 5000; n++)
        assert_int_equal(array[n], n * 7);
    size_t before = cap;
    uint32_t *same = array;
    assert_int_equal(se_mem_grow(&array, &cap, SIZE_MAX / 2, sizeof *array), -ENOMEM);
    assert_ptr_equal(array, same);
    assert_int_equal(cap, before);
    assert_int_equal(array[4999], 4999 * 7);
    se_mem_free(array);
}

static void test_arena(void **state)
{
    (void)state;
    struct se_arena arena = SE_ARENA_NULL;
    unsigned char *block[300];
    for (size_t i = 0; i < 300; i++) {
        size_t size_b = i % 50 == 49 ? 100000 : i * 13; /* some larger than a chunk */
        block[i] = se_arena_take(&arena, size_b, 1);
        assert_aligned(block[i]);
        memset(block[i], (int)(i & 255), size_b);
    }
    for (size_t i = 0; i < 300; i++) {
        size_t size_b = i % 50 == 49 ? 100000 : i * 13;
        for (size_t k = 0; k < size_b; k++)
            if (block[i][k] != (i & 255))
                fail_msg("block %zu was written over at %zu", i, k);
    }
    assert_string_equal(se_arena_text(&arena, "tailcut", 4), "tail");
    assert_string_equal(se_arena_text(&arena, "", 0), "");
    assert_null(se_arena_take(&arena, SIZE_MAX / 2, 4));
    assert_null(se_arena_take(&arena, SIZE_MAX - 200, 1));
    assert_string_equal(se_arena_text(&arena, "still", 5), "still");
    se_arena_fini(&arena);
    assert_null(arena.chunk);
    se_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
