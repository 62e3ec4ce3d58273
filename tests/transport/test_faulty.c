/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "tests/transport/link_suite.h"
#include "transport/faulty.h"

enum { N = 400 };
static uint64_t seed = 1, time_ns;

static uint64_t real_now(void *clock)
{
    (void)clock;
    return se_clock_ns();
}

static uint64_t set_now(void *clock) { return *(uint64_t *)clock; }

static struct se_link *no_faults(struct se_link *link)
{
    const struct se_faulty_options options = { .now_ns = real_now };
    struct se_link *out = NULL;
    assert_int_equal(se_faulty_wrap(&out, link, &options), 0);
    return out;
}

/* N numbered frames through a link with such faults; how often each arrived, and in order? */
static int passed(const struct se_faulty_options *faults, int *count, int *inversions,
                  uint64_t cut_ns)
{
    struct se_frames *frames;
    struct se_link *server, *edge;
    struct se_frame *frame;
    se_link_peer peer;
    uint32_t number, last = 0;
    int total = 0;
    assert_int_equal(se_frames_new(&frames, 4 * N, 16), 0);
    struct se_faulty_options options = *faults;
    options.seed = seed;
    options.now_ns = set_now;
    options.clock = &time_ns;
    options.frames = frames;
    const struct se_link_options o = se_link_options(frames);
    assert_int_equal(se_link_listen(&server, "loop://faults", &o), 0);
    assert_int_equal(se_link_connect(&edge, "loop://faults", &o), 0);
    assert_int_equal(se_faulty_wrap(&edge, edge, &options), 0);
    time_ns = 1000;
    link_suite_expect(edge, SE_LINK_JOINED, &peer);
    link_suite_expect(server, SE_LINK_JOINED, &peer);
    memset(count, 0, N * sizeof(*count));
    *inversions = 0;
    if (cut_ns > 0)
        se_faulty_cut(edge, time_ns + cut_ns);
    for (uint32_t i = 0; i < N || se_faulty_next_ns(edge) != UINT64_MAX; i++) {
        if (i < N) {
            frame = se_frame_get(frames);
            assert_non_null(frame);
            frame->len_b = sizeof(i);
            memcpy(frame->data, &i, sizeof(i));
            assert_int_equal(se_link_send(edge, SE_LINK_SERVER, frame), 0);
        }
        time_ns += 1000;
        assert_int_equal(se_link_recv(edge, &peer, &frame), SE_LINK_AGAIN);
        while (se_link_recv(server, &peer, &frame) == 0) {
            memcpy(&number, frame->data, sizeof(number));
            assert_true(number < N);
            count[number]++;
            total++;
            *inversions += number < last;
            last = number;
            se_frame_put(frame);
        }
    }
    se_link_fini(edge);
    se_link_fini(server);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
    return total;
}

static void each_fault_does_what_it_says(void **state)
{
    int count[N], again[N], inversions;
    (void)state;
    assert_int_equal(
        passed(&(struct se_faulty_options){ .delay_max_ns = 9000 }, count, &inversions, 0), N);
    assert_int_equal(inversions, 0);
    const struct se_faulty_options drop = { .drop = 0.2 };
    int total = passed(&drop, count, &inversions, 0);
    assert_true(total > N / 2 && total < N && inversions == 0);
    passed(&drop, again, &inversions, 0);
    assert_memory_equal(count, again, sizeof(count)); /* the seed decides */
    total = passed(&(struct se_faulty_options){ .twice = 0.2 }, count, &inversions, 0);
    assert_true(total > N && total < 2 * N && inversions == 0);
    total = passed(&(struct se_faulty_options){ .late = 0.2, .delay_max_ns = 5000 }, count,
                   &inversions, 0);
    assert_true(total == N && inversions > 0);
    /* The cut ends while frame 100 is sent. */
    total = passed(&(struct se_faulty_options){ 0 }, count, &inversions, 100 * 1000);
    assert_int_equal(total, N - 100);
    assert_true(count[99] == 0 && count[100] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_fault_does_what_it_says) };
    const char *text = getenv("SE_TEST_SEED");
    if (text != NULL)
        seed = strtoull(text, NULL, 0);
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    int failed = link_suite_run(&(struct link_suite){
        .name = "no faults", .url = "loop://faulty", .farewell = true, .wrap = no_faults });
    failed += cmocka_run_group_tests_name("faults", tests, NULL, NULL);
    return failed != 0;
}
