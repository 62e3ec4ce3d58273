/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks that meet in shared memory, as threads and as processes: sums in the order of the ranks
 * to the bit, bytes whole and in order, whoever is late; and the ways in which a group ends.
 *
 * What a rank brings to operation k is drawn from (seed, k, rank), so that every other rank can
 * tell what has to come out. The numbers of operations go round early in every group. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/collective.h"

enum { RANKS = 5, ROUNDS = 400, SMALL = 700, LARGE = 300000 };
#define DEADLINE_NS 20000000000u
#define SHORT_NS 200000000u

static uint64_t seed;

struct player {
    struct se_collective_memory *memory;
    uint32_t rank, size, rounds;
    bool spin;
    pthread_t thread;
    char fault[256]; /* what went wrong, or "" */
};

static struct se_rng draw_from(uint32_t round, uint32_t rank)
{
    struct se_rng rng;
    se_rng_init(&rng, seed + round * 1000003ull + rank * 7919ull, SE_RNG_TEST);
    return rng;
}

static size_t size_of(uint32_t round)
{
    struct se_rng rng = draw_from(round, RANKS);
    if (se_rng_below(&rng, 50) == 0)
        return 1 + se_rng_below(&rng, LARGE);
    return 1 + se_rng_below(&rng, SMALL);
}

static void fill(float *x, size_t n, uint32_t round, uint32_t rank)
{
    struct se_rng rng = draw_from(round, rank);
    for (size_t i = 0; i < n; i++) /* of very different sizes: another order shows */
        x[i] = ((float)se_rng_below(&rng, 2000001) - 1e6f) * (i % 3 ? 1.0f : 1e-4f);
}

static const char *check_sum(struct player *p, struct se_collective *group, uint32_t round,
                             float *x, float *other)
{
    const size_t n = size_of(round);
    fill(x, n, round, p->rank);
    if (group->ops->all_reduce(group, x, n) < 0)
        return se_err_text();
    float *sum = other + LARGE;
    for (uint32_t rank = 0; rank < p->size; rank++) {
        fill(other, n, round, rank);
        for (size_t i = 0; i < n; i++)
            sum[i] = rank ? sum[i] + other[i] : other[i];
    }
    return memcmp(sum, x, n * sizeof *x) ? "a sum differs" : NULL;
}

static const char *check_broadcast(struct player *p, struct se_collective *group, uint32_t round,
                                   float *x, float *other)
{
    const size_t n = size_of(round);
    fill(other, n, round, 0);
    if (p->rank == 0)
        memcpy(x, other, n * sizeof *x);
    if (group->ops->broadcast(group, x, n * sizeof *x) < 0)
        return se_err_text();
    return memcmp(other, x, n * sizeof *x) ? "what rank 0 sent came changed" : NULL;
}

static const char *check_gather(struct player *p, struct se_collective *group, uint32_t round,
                                float *x, float *other)
{
    const size_t n = size_of(round) % SMALL + 1;
    fill(other, n, round, p->rank);
    if (group->ops->gather(group, other, n * sizeof *x, p->rank ? NULL : x) < 0)
        return se_err_text();
    for (uint32_t rank = 0; p->rank == 0 && rank < p->size; rank++) {
        fill(other, n, round, rank);
        if (memcmp(other, x + rank * n, n * sizeof *x))
            return "what a rank sent came changed";
    }
    return NULL;
}

static const char *play(struct player *p, struct se_collective *group)
{
    float *x = calloc(LARGE, sizeof *x), *other = calloc(2 * LARGE, sizeof *other);
    const char *fault = x && other ? NULL : "no memory";
    for (uint32_t round = 0; !fault && round < p->rounds; round++) {
        struct se_rng rng = draw_from(round, RANKS + 1 + p->rank);
        struct se_rng what = draw_from(round, RANKS);
        if (se_rng_below(&rng, 4) == 0)
            sched_yield();
        se_rng_below(&what, 7);
        switch (se_rng_below(&what, 3)) {
        case 0:
            fault = check_sum(p, group, round, x, other);
            break;
        case 1:
            fault = check_broadcast(p, group, round, x, other);
            break;
        default:
            fault = check_gather(p, group, round, x, other);
        }
    }
    free(x);
    free(other);
    return fault;
}

static void *player_main(void *context)
{
    struct player *p = context;
    struct se_collective *group = NULL;
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS, .spin = p->spin };
    const char *fault = se_err_text();
    if (se_collective_shm_open(&group, p->memory, p->rank, &options) == 0) {
        fault = play(p, group);
        group->ops->close(group);
    }
    snprintf(p->fault, sizeof p->fault, "%s", fault ? fault : "");
    return NULL;
}

static void threads_meet(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= RANKS; size++) {
        struct player player[RANKS];
        struct se_collective_memory *memory;
        assert_int_equal(se_collective_memory_new(&memory, size), 0);
        for (uint32_t i = 0; i < size; i++) {
            player[i] = (struct player){
                .memory = memory, .rank = i, .size = size, .rounds = ROUNDS, .spin = size == 2
            };
            assert_int_equal(pthread_create(&player[i].thread, NULL, player_main, &player[i]), 0);
        }
        for (uint32_t i = 0; i < size; i++) {
            assert_int_equal(pthread_join(player[i].thread, NULL), 0);
            if (player[i].fault[0])
                fail_msg("rank %u of %u: %s", i, size, player[i].fault);
        }
        se_collective_memory_free(memory);
    }
}

static void processes_meet(void **state)
{
    enum { SIZE = 3 };
    struct se_collective_memory *memory;
    pid_t process[SIZE];
    (void)state;
    assert_int_equal(se_collective_memory_new(&memory, SIZE), 0);
    for (uint32_t i = 0; i < SIZE; i++) {
        process[i] = fork();
        assert_true(process[i] >= 0);
        if (process[i] == 0) {
            struct player player = { .memory = memory, .rank = i, .size = SIZE, .rounds = ROUNDS };
            player_main(&player);
            _exit(player.fault[0] ? 1 : 0);
        }
    }
    for (uint32_t i = 0; i < SIZE; i++) {
        int status;
        assert_int_equal(waitpid(process[i], &status, 0), process[i]);
        assert_int_equal(status, 0);
    }
    se_collective_memory_free(memory);
}

/* Endings. */

struct ending {
    struct se_collective *group;
    pthread_t thread;
    int r;
    char text[256];
};

static void *reduce_main(void *context)
{
    struct ending *e = context;
    float x[4] = { 0 };
    e->r = e->group->ops->all_reduce(e->group, x, 4);
    snprintf(e->text, sizeof e->text, "%s", se_err_text());
    return NULL;
}

static void open_endings(struct se_collective_memory **memory, struct ending *e, uint32_t size,
                         const struct se_collective_options *options)
{
    assert_int_equal(se_collective_memory_new(memory, size), 0);
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(se_collective_shm_open(&e[i].group, *memory, i, options), 0);
}

static void close_endings(struct se_collective_memory *memory, struct ending *e, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        e[i].group->ops->close(e[i].group);
    se_collective_memory_free(memory);
}

/* Two wait, the third gives up: they hear why, long before the deadline, and for good. */
static void who_gives_up_is_named(void **state)
{
    struct ending e[3];
    struct se_collective_memory *memory;
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS };
    (void)state;
    open_endings(&memory, e, 3, &options);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&e[i].thread, NULL, reduce_main, &e[i]), 0);
    e[2].group->ops->give_up(e[2].group, "out of paper");
    e[2].group->ops->give_up(e[2].group, "and ink");
    for (int i = 0; i < 2; i++) {
        pthread_join(e[i].thread, NULL);
        assert_int_equal(e[i].r, -EPIPE);
        assert_string_equal(e[i].text, "rank 2 of 3 gave up: out of paper");
        reduce_main(&e[i]);
        assert_int_equal(e[i].r, -EPIPE);
    }
    close_endings(memory, e, 3);
}

/* Rank 2 never comes. */
static void who_does_not_come_is_named(void **state)
{
    struct ending e[3];
    struct se_collective_memory *memory;
    const struct se_collective_options options = { .deadline_ns = SHORT_NS };
    const uint64_t from = se_clock_ns();
    (void)state;
    open_endings(&memory, e, 3, &options);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&e[i].thread, NULL, reduce_main, &e[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(e[i].thread, NULL);
        assert_true(e[i].r == -ETIMEDOUT || e[i].r == -EPIPE);
        assert_non_null(strstr(e[i].text, "rank 2 of 3 did not come within 0.2 s"));
    }
    assert_true(se_clock_ns() - from >= SHORT_NS);
    reduce_main(&e[2]); /* late, and told so */
    assert_int_equal(e[2].r, -EPIPE);
    close_endings(memory, e, 3);
}

static int says_no(void *context)
{
    (void)context;
    return se_fail(-EPIPE, "the neighbour has moved");
}

static void a_check_ends_the_wait(void **state)
{
    struct ending e[2];
    struct se_collective_memory *memory;
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS, .check = says_no };
    (void)state;
    open_endings(&memory, e, 2, &options);
    reduce_main(&e[0]);
    assert_int_equal(e[0].r, -EPIPE);
    assert_string_equal(e[0].text, "the neighbour has moved");
    reduce_main(&e[1]);
    assert_string_equal(e[1].text, "rank 0 of 2 gave up: the neighbour has moved");
    close_endings(memory, e, 2);
}

static void *await_main(void *context)
{
    struct ending *e = context;
    uint32_t word = 0;
    e->r = e->group->ops->await(e->group, DEADLINE_NS);
    if (e->r == 0)
        e->r = e->group->ops->broadcast(e->group, &word, sizeof word);
    if (e->r == 0)
        e->r = word == 77 ? 0 : -EINVAL;
    return NULL;
}

static void idle_is_no_fault(void **state)
{
    struct ending e[2];
    struct se_collective_memory *memory;
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS };
    uint32_t word = 77;
    (void)state;
    open_endings(&memory, e, 2, &options);
    assert_int_equal(e[1].group->ops->await(e[1].group, 1000000), SE_COLLECTIVE_IDLE);
    assert_int_equal(pthread_create(&e[1].thread, NULL, await_main, &e[1]), 0);
    assert_int_equal(e[0].group->ops->broadcast(e[0].group, &word, sizeof word), 0);
    pthread_join(e[1].thread, NULL);
    assert_int_equal(e[1].r, 0);
    close_endings(memory, e, 2);
}

static void sizes_are_checked(void **state)
{
    struct se_collective_memory *memory = NULL;
    struct se_collective *group = NULL;
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS };
    (void)state;
    assert_int_equal(se_collective_memory_new(&memory, 0), -EINVAL);
    assert_int_equal(se_collective_memory_new(&memory, SE_COLLECTIVE_RANKS_MAX + 1), -EINVAL);
    assert_int_equal(se_collective_memory_new(&memory, 2), 0);
    assert_int_equal(se_collective_shm_open(&group, memory, 2, &options), -EINVAL);
    se_collective_memory_free(memory);
    se_collective_memory_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_meet),          cmocka_unit_test(processes_meet),
        cmocka_unit_test(who_gives_up_is_named), cmocka_unit_test(who_does_not_come_is_named),
        cmocka_unit_test(a_check_ends_the_wait), cmocka_unit_test(idle_is_no_fault),
        cmocka_unit_test(sizes_are_checked),
    };
    const char *text = getenv("SE_TEST_SEED");
    seed = text && *text ? strtoull(text, NULL, 0) : se_clock_ns();
    print_message("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests_name("collective", tests, NULL, NULL);
}
