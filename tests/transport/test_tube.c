/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/rng.h"
#include "transport/tube.h"

enum { MANY = 1000 };
static struct se_tube *tube;
static struct se_tube_end writer, reader;
static unsigned char in[SE_FRAME_MAX], out[SE_FRAME_MAX];
static uint64_t seed = 1;

/* An empty tube, of which so many lines and frames have gone through. */
static void begin_at(uint32_t lines, uint32_t frames)
{
    memset(tube, 0xee, sizeof(*tube));
    writer = (struct se_tube_end){
        .tube = tube, .lines = lines, .frames = frames, .seen_lines = lines, .seen_frames = frames
    };
    reader = writer;
    atomic_init(&tube->tail, lines);
    atomic_init(&tube->head, (uint64_t)frames << 32 | lines);
}

static int put(unsigned char byte, uint32_t len_b)
{
    memset(in, byte, len_b);
    return se_tube_put(&writer, in, len_b, MANY);
}

static void gets(unsigned char byte, uint32_t len_b)
{
    uint32_t found_b = 0;
    assert_int_equal(se_tube_next(&reader, SE_FRAME_MAX, &found_b), 0);
    assert_int_equal(found_b, len_b);
    memset(out, ~byte, len_b);
    se_tube_take(&reader, out);
    for (uint32_t i = 0; i < len_b; i++)
        assert_int_equal(out[i], byte);
}

static int next(void)
{
    uint32_t len_b;
    return se_tube_next(&reader, SE_FRAME_MAX, &len_b);
}

/* Through the end of the tube and through the end of the counts, with frames of all sizes. */
static void what_is_put_comes_out(void **state)
{
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    begin_at(UINT32_MAX - 30000, UINT32_MAX - 500);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t len[2];
        for (int k = 0; k < 2; k++) {
            const double unit = se_rng_unit(&rng);
            len[k] = i % 7 == 0 ? SE_FRAME_MAX : 1 + (uint32_t)(unit * unit * 10000);
            assert_int_equal(put((unsigned char)(i + (uint32_t)k), len[k]), 0);
        }
        gets((unsigned char)i, len[0]);
        gets((unsigned char)(i + 1), len[1]);
        assert_int_equal(next(), SE_TUBE_EMPTY);
    }
    assert_true(reader.lines < 1u << 30 && reader.frames < 1u << 30); /* they went round */
}

static void it_is_bounded_by_bytes_and_by_frames(void **state)
{
    (void)state;
    begin_at(UINT32_MAX, UINT32_MAX);
    assert_int_equal(put(1, SE_FRAME_MAX), 0);
    assert_int_equal(put(2, SE_FRAME_MAX), 0);
    assert_int_equal(put(3, 1), SE_TUBE_FULL);
    gets(1, SE_FRAME_MAX);
    assert_int_equal(put(3, 1), 0);
    gets(2, SE_FRAME_MAX);
    gets(3, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(se_tube_put(&writer, in, 1, 3), 0);
    assert_int_equal(se_tube_put(&writer, in, 1, 3), SE_TUBE_FULL);
    assert_int_equal(next(), 0);
    se_tube_take(&reader, out);
    assert_int_equal(se_tube_put(&writer, in, 1, 3), 0);
}

static void a_sleeper_is_told_of_once(void **state)
{
    (void)state;
    begin_at(UINT32_MAX, 0);
    assert_true(se_tube_sleep(&reader));
    assert_true(se_tube_sleep(&reader)); /* still */
    assert_false(se_tube_has(&reader));
    assert_int_equal(next(), SE_TUBE_EMPTY);
    assert_int_equal(put(1, 1), SE_TUBE_ASLEEP);
    assert_int_equal(put(2, 1), 0);
    assert_true(se_tube_has(&reader));
    assert_false(se_tube_sleep(&reader));
    gets(1, 1);
    assert_false(se_tube_sleep(&reader));
    gets(2, 1);
    assert_true(se_tube_sleep(&reader));
}

static void the_end_is_where_it_was_seen(void **state)
{
    (void)state;
    begin_at(0, 0);
    put(1, 100);
    se_tube_end(&reader);
    put(2, 100);
    assert_true(se_tube_has(&reader));
    gets(1, 100);
    assert_false(se_tube_has(&reader));
    assert_int_equal(next(), SE_TUBE_EMPTY);
    assert_true(se_tube_sleep(&reader));
}

static void broken_tail(uint64_t tail)
{
    begin_at(5, 5);
    atomic_store(&tube->tail, tail);
    assert_int_equal(next(), SE_TUBE_BROKEN);
}

static void broken_length(uint32_t len_b, uint32_t lines)
{
    begin_at(5, 5);
    memcpy(tube->line, &len_b, sizeof(len_b));
    atomic_store(&tube->tail, 5 + lines);
    assert_int_equal(next(), SE_TUBE_BROKEN);
}

static void broken_head(uint32_t lines, uint32_t frames)
{
    begin_at(5, 5);
    assert_int_equal(put(1, SE_FRAME_MAX), 0);
    assert_int_equal(put(1, SE_FRAME_MAX), 0);
    atomic_store(&tube->head, (uint64_t)frames << 32 | lines);
    assert_int_equal(put(1, 1), SE_TUBE_BROKEN);
}

static void an_end_that_breaks_the_rules_is_found_out(void **state)
{
    (void)state;
    broken_tail(5 + SE_TUBE_LINES + 1); /* more than it holds */
    broken_tail(4);
    broken_tail(UINT64_C(1) << 32 | 6);
    broken_tail(UINT64_C(1) << 62 | 5);
    broken_length(0, 1);
    broken_length(SE_FRAME_MAX + 1, SE_TUBE_LINES);
    broken_length(UINT32_MAX, SE_TUBE_LINES);
    broken_length(61, 1); /* two lines */
    broken_length(SE_FRAME_MAX, 1);
    broken_head(4, 5); /* given back */
    broken_head(5, 4);
    broken_head(5 + SE_TUBE_LINES + 1, 5); /* what was never put */
    broken_head(5, 8);
}

/* The next frame is what it was when its length was looked at, whatever is written since. */
static void a_length_is_read_once(void **state)
{
    const uint32_t other = 60000;
    (void)state;
    begin_at(0, 0);
    put(7, 32);
    assert_int_equal(next(), 0);
    memcpy(tube->line, &other, sizeof(other));
    gets(7, 32);
}

/* Any words and any bytes: each end stays within the tube and its own frame. */
static void chaos_stays_inside(void **state)
{
    struct se_rng rng;
    uint32_t len_b, taken = 0, broken = 0;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    begin_at(0, 0);
    for (uint32_t i = 0; i < 200000; i++) {
        const uint64_t any = (uint64_t)se_rng_u32(&rng) << 32 | se_rng_u32(&rng);
        len_b = (uint32_t)(any >> 20) % 3000;
        memcpy(tube->line + reader.at_b, &len_b, sizeof(len_b));
        atomic_store(&tube->tail, reader.lines + any % 64 + (any % 97 == 0 ? any : 0));
        int r = se_tube_next(&reader, 2500, &len_b);
        if (r == 0) {
            assert_in_range(len_b, 1, 2500);
            unsigned char *frame = malloc(len_b); /* exactly: a byte more is found out */
            se_tube_take(&reader, frame);
            free(frame);
            taken++;
        } else if (r == SE_TUBE_BROKEN) {
            broken++;
            reader.seen_lines = reader.lines;
        }
        atomic_store(&tube->head, any << 11 | any >> 3);
        r = se_tube_put(&writer, in, 1 + (uint32_t)(any % SE_FRAME_MAX), MANY);
        assert_in_range(writer.at_b, 0, SE_TUBE_B - 1);
        if (r == SE_TUBE_FULL || r == SE_TUBE_BROKEN) {
            writer.seen_lines = writer.lines;
            writer.seen_frames = writer.frames;
        }
    }
    assert_true(taken > 1000 && broken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_out),
        cmocka_unit_test(it_is_bounded_by_bytes_and_by_frames),
        cmocka_unit_test(a_sleeper_is_told_of_once),
        cmocka_unit_test(the_end_is_where_it_was_seen),
        cmocka_unit_test(an_end_that_breaks_the_rules_is_found_out),
        cmocka_unit_test(a_length_is_read_once),
        cmocka_unit_test(chaos_stays_inside),
    };
    const char *text = getenv("SE_TEST_SEED");
    if (text != NULL)
        seed = strtoull(text, NULL, 0);
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    tube = aligned_alloc(_Alignof(struct se_tube), sizeof(*tube));
    if (tube == NULL)
        return 1;
    const int failed = cmocka_run_group_tests_name("tube", tests, NULL, NULL);
    free(tube);
    return failed != 0;
}
