/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/err.h"
#include "sched/server/board.h"
#include "sched/server/counter.h"

static char name[64], path[128];
static const struct se_board_facts facts = { .model = "tales", .max_rows = 256, .max_sessions = 3 };

static int set_up(void **state)
{
    struct se_stat *stat = NULL;
    snprintf(name, sizeof name, "se-test-board-%ld", (long)getpid());
    snprintf(path, sizeof path, "/dev/shm/%s.sessions", name);
    if (se_stat_create(&stat, name, se_counter_labels, SE_COUNT_END) < 0)
        return -1;
    *state = stat;
    return 0;
}

static int tear_down(void **state)
{
    se_stat_free(*state);
    return access(path, F_OK) == 0 ? -1 : 0; /* nothing is left behind */
}

static struct se_board_round round_of(uint32_t i)
{
    return (struct se_board_round){ .nodes = (uint16_t)(i + 1), .taken = 1, .step_us = 10 * i };
}

static void test_rows_and_rounds(void **state)
{
    struct se_board *writer = NULL, *reader = NULL;
    struct se_board_row row = { .number = 7, .tokens = 9, .state = SE_BOARD_STEP }, got;
    struct se_board_round round[SE_BOARD_ROUNDS], one;
    uint32_t n = 99;
    assert_int_equal(se_board_create(&writer, name, *state, &facts), 0);
    assert_int_equal(se_board_open(&reader, name, *state), 0);
    assert_int_equal(se_board_rows(reader), 3);
    assert_string_equal(se_board_facts(reader)->model, "tales");
    assert_false(se_board_get(reader, 0, &got, round, &n)); /* nobody is there */
    se_board_put(writer, 2, &row, NULL);
    assert_true(se_board_get(reader, 2, &got, round, &n));
    assert_memory_equal(&got, &row, sizeof row);
    assert_int_equal(n, 0);
    for (uint32_t i = 0; i < SE_BOARD_ROUNDS + 5; i++) {
        one = round_of(i);
        se_board_put(writer, 2, &row, &one);
        se_board_put(writer, 2, &row, NULL); /* between two rounds: nothing new */
    }
    assert_true(se_board_get(reader, 2, &got, round, &n));
    assert_int_equal(n, SE_BOARD_ROUNDS);
    for (uint32_t i = 0; i < n; i++) {
        one = round_of(i + 5);
        assert_memory_equal(&round[i], &one, sizeof one);
    }
    row.number = 8; /* somebody else has the place now */
    one = round_of(40);
    se_board_put(writer, 2, &row, &one);
    assert_true(se_board_get(reader, 2, &got, round, &n));
    assert_int_equal(n, 1);
    assert_memory_equal(&round[0], &one, sizeof one);
    se_board_put(writer, 3, &row, NULL); /* beyond the table: nobody's */
    assert_false(se_board_get(reader, 3, &got, round, &n));
    row.number = 0;
    se_board_put(writer, 2, &row, NULL);
    assert_false(se_board_get(reader, 2, &got, round, &n));
    se_board_free(reader);
    assert_int_equal(access(path, F_OK), 0); /* a reader removes nothing */
    se_board_free(writer);
    se_board_free(NULL);
}

/* In parts of any size, as they go over a link. */
static size_t image_of(const struct se_board *board, unsigned char *image, size_t room_b)
{
    const size_t size_b = se_board_image_size(board);
    size_t have = 0;
    while (have < size_b) {
        const size_t n = se_board_image(board, size_b, have, image + have, room_b);
        if (n == 0)
            break;
        have += n;
    }
    assert_int_equal(have, size_b);
    return size_b;
}

static void test_images(void **state)
{
    static unsigned char image[1 << 16];
    struct se_board *writer = NULL, *copy = NULL;
    struct se_board_row row = { .number = 7, .tokens = 9, .key = "alice" }, got;
    struct se_board_round round[SE_BOARD_ROUNDS], one = round_of(4);
    uint32_t n = 0;
    assert_int_equal(se_board_create(&writer, name, *state, &facts), 0);
    const size_t empty_b = se_board_image_size(writer);
    se_board_put(writer, 1, &row, &one);
    const size_t row_b = (se_board_image_size(writer) - empty_b) / 2; /* there are two */
    const size_t least_b = row_b > empty_b ? row_b : empty_b;
    for (size_t room_b = least_b; room_b < sizeof image; room_b = room_b * 5 / 3) {
        const size_t size_b = image_of(writer, image, room_b);
        assert_true(size_b > empty_b);
        assert_int_equal(se_board_open_image(&copy, image, size_b, "there", *state), 0);
        assert_int_equal(se_board_rows(copy), 2); /* up to the last that is taken */
        assert_string_equal(se_board_facts(copy)->model, "tales");
        assert_false(se_board_get(copy, 0, &got, round, &n));
        assert_true(se_board_get(copy, 1, &got, round, &n));
        assert_memory_equal(&got, &row, sizeof row);
        assert_int_equal(n, 1);
        assert_memory_equal(&round[0], &one, sizeof one);
        se_board_free(copy);
        for (size_t cut = 0; cut < size_b; cut += cut < 1000 ? 1 : 97)
            assert_int_equal(se_board_open_image(&copy, image, cut, "there", *state), -EPROTO);
    }
    assert_int_equal(se_board_image(writer, se_board_image_size(writer), 1, image, 4096), 0);
    se_board_free(writer);
}

/* What a killed server left is replaced, and is nobody's before that. */
static void test_left_behind(void **state)
{
    struct se_stat *other = NULL;
    struct se_board *old = NULL, *writer = NULL, *reader = NULL;
    assert_int_equal(se_stat_create(&other, NULL, se_counter_labels, SE_COUNT_END), 0);
    assert_int_equal(se_board_create(&old, name, other, &facts), 0);
    assert_int_equal(se_board_open(&reader, name, *state), -EPROTO);
    assert_int_equal(se_board_create(&writer, name, *state, &facts), 0);
    assert_int_equal(se_board_open(&reader, name, *state), 0);
    se_board_free(reader);
    se_board_free(writer);
    se_board_free(old);
    se_stat_free(other);
    assert_int_equal(se_board_open(&reader, name, *state), -ENOENT);
}

static void test_no_board(void **state)
{
    struct se_board *reader = NULL;
    const char *const bad[] = { "", "SE-SESS", "something else that is as long as a header" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(bad[i], file);
        for (int k = 0; k < 4096; k++)
            fputc(i == 1 ? 0 : 'x', file);
        fclose(file);
        assert_int_equal(se_board_open(&reader, name, *state), -EPROTO);
    }
    unlink(path);
    assert_int_equal(se_board_open(&reader, "../x", *state), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_and_rounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_images, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_board, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
