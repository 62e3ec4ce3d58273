/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks that meet in shared memory, or over TCP, as threads and as processes: sums in the order of
 * the ranks to the bit, bytes whole and in order, whoever is late; and the ways in which a group
 * ends.
 *
 *   stress_collective [shm | tcp]
 *
 * What a rank brings to operation k is drawn from (seed, k, rank), so that every other rank can
 * tell what has to come out. The numbers of operations go round early in every group. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/collective.h"
#include "runtime/model/socket.h"

enum { RANKS = 5, ROUNDS = 400, SMALL = 700, LARGE = 300000, BUFFER_B = 100000 };
#define DEADLINE_NS 20000000000u
#define SHORT_NS 200000000u

static uint64_t seed;
static bool over_tcp;

/* Where a group of ranks meets. */
struct place {
    struct se_collective_memory *memory;
    int middle[RANKS], outer[RANKS]; /* a connection for each rank beyond 0: its two ends */
    uint32_t size;
};

/* Buffers that are far smaller than what goes through, so that both ends are full now and then. */
static void shrink(int fd)
{
    const int size_b = BUFFER_B;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size_b, sizeof size_b), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size_b, sizeof size_b), 0);
}

static void connect_two(int *one, int *other)
{
    char address[SE_SOCKET_NAME_B], name[SE_SOCKET_NAME_B];
    int listener;
    assert_int_equal(se_socket_listen(&listener, "127.0.0.1:0", address), 0);
    assert_int_equal(se_socket_connect(one, address, se_clock_ns() + DEADLINE_NS), 0);
    while (se_socket_accept(other, listener, name) == -EAGAIN)
        sched_yield();
    close(listener);
    shrink(*one);
    shrink(*other);
}

static void place_init(struct place *place, uint32_t size)
{
    *place = (struct place){ .size = size };
    if (!over_tcp) {
        assert_int_equal(se_collective_memory_new(&place->memory, size), 0);
        return;
    }
    for (uint32_t i = 1; i < size; i++)
        connect_two(&place->outer[i], &place->middle[i]);
}

static int place_open(struct se_collective **out, const struct place *place, uint32_t rank,
                      const struct se_collective_options *options)
{
    if (place->memory)
        return se_collective_shm_open(out, place->memory, rank, options);
    return se_collective_tcp_open(out, rank ? &place->outer[rank] : &place->middle[1], rank,
                                  place->size, options);
}

/* Connections go with the handles. */
static void place_fini(struct place *place) { se_collective_memory_free(place->memory); }

struct player {
    const struct place *place;
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
    if (place_open(&group, p->place, p->rank, &options) == 0) {
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
        struct place place;
        place_init(&place, size);
        for (uint32_t i = 0; i < size; i++) {
            player[i] = (struct player){
                .place = &place, .rank = i, .size = size, .rounds = ROUNDS, .spin = size == 2
            };
            assert_int_equal(pthread_create(&player[i].thread, NULL, player_main, &player[i]), 0);
        }
        for (uint32_t i = 0; i < size; i++) {
            assert_int_equal(pthread_join(player[i].thread, NULL), 0);
            if (player[i].fault[0])
                fail_msg("rank %u of %u: %s", i, size, player[i].fault);
        }
        place_fini(&place);
    }
}

static void processes_meet(void **state)
{
    enum { SIZE = 3 };
    struct place place;
    pid_t process[SIZE];
    (void)state;
    place_init(&place, SIZE);
    for (uint32_t i = 0; i < SIZE; i++) {
        process[i] = fork();
        assert_true(process[i] >= 0);
        if (process[i] == 0) {
            struct player player = { .place = &place, .rank = i, .size = SIZE, .rounds = ROUNDS };
            player_main(&player);
            _exit(player.fault[0] ? 1 : 0);
        }
    }
    for (uint32_t i = 0; i < SIZE; i++) {
        int status;
        assert_int_equal(waitpid(process[i], &status, 0), process[i]);
        assert_int_equal(status, 0);
    }
    for (uint32_t i = 1; over_tcp && i < SIZE; i++) {
        close(place.middle[i]);
        close(place.outer[i]);
    }
    place_fini(&place);
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

static void open_endings(struct place *place, struct ending *e, uint32_t size,
                         const struct se_collective_options *options)
{
    place_init(place, size);
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(place_open(&e[i].group, place, i, options), 0);
}

static void close_endings(struct place *place, struct ending *e, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        e[i].group->ops->close(e[i].group);
    place_fini(place);
}

/* "rank 2 of 3", over TCP with its address, and what became of it. */
static void check_sentence(const char *text, const char *who, const char *what)
{
    const char *at = strstr(text, who);
    const size_t len = strlen(text), end = strlen(what);
    if (!at || len < end || strcmp(text + len - end, what) != 0 ||
        (over_tcp && !strstr(at, " at 127.0.0.1:")))
        fail_msg("'%s' does not say that %s%s", text, who, what);
}

/* Two wait, the third gives up: they hear why, long before the deadline, and for good. */
static void who_gives_up_is_named(void **state)
{
    struct ending e[3];
    struct place place;
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS };
    (void)state;
    open_endings(&place, e, 3, &options);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&e[i].thread, NULL, reduce_main, &e[i]), 0);
    e[2].group->ops->give_up(e[2].group, "out of paper");
    e[2].group->ops->give_up(e[2].group, "and ink");
    for (int i = 0; i < 2; i++) {
        pthread_join(e[i].thread, NULL);
        assert_int_equal(e[i].r, -EPIPE);
        check_sentence(e[i].text, "rank 2 of 3", " gave up: out of paper");
        reduce_main(&e[i]);
        assert_int_equal(e[i].r, -EPIPE);
    }
    close_endings(&place, e, 3);
}

/* Rank 2 never comes. */
static void who_does_not_come_is_named(void **state)
{
    struct ending e[3];
    struct place place;
    const struct se_collective_options options = { .deadline_ns = SHORT_NS };
    const uint64_t from = se_clock_ns();
    (void)state;
    open_endings(&place, e, 3, &options);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&e[i].thread, NULL, reduce_main, &e[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(e[i].thread, NULL);
        assert_true(e[i].r == -ETIMEDOUT || e[i].r == -EPIPE);
        check_sentence(e[i].text, "rank 2 of 3", " did not come within 0.2 s");
    }
    assert_true(se_clock_ns() - from >= SHORT_NS);
    reduce_main(&e[2]); /* late, and told so */
    assert_int_equal(e[2].r, -EPIPE);
    close_endings(&place, e, 3);
}

static int says_no(void *context)
{
    (void)context;
    return se_fail(-EPIPE, "the neighbour has moved");
}

static void a_check_ends_the_wait(void **state)
{
    struct ending e[2];
    struct place place;
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS, .check = says_no };
    (void)state;
    open_endings(&place, e, 2, &options);
    reduce_main(&e[0]);
    assert_int_equal(e[0].r, -EPIPE);
    assert_string_equal(e[0].text, "the neighbour has moved");
    reduce_main(&e[1]);
    check_sentence(e[1].text, "rank 0 of 2", " gave up: the neighbour has moved");
    close_endings(&place, e, 2);
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
    struct place place;
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS };
    uint32_t word = 77;
    (void)state;
    open_endings(&place, e, 2, &options);
    assert_int_equal(e[1].group->ops->await(e[1].group, 1000000), SE_COLLECTIVE_IDLE);
    assert_int_equal(pthread_create(&e[1].thread, NULL, await_main, &e[1]), 0);
    assert_int_equal(e[0].group->ops->broadcast(e[0].group, &word, sizeof word), 0);
    pthread_join(e[1].thread, NULL);
    assert_int_equal(e[1].r, 0);
    close_endings(&place, e, 2);
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
    assert_int_equal(se_collective_tcp_open(&group, NULL, 2, 2, &options), -EINVAL);
    assert_int_equal(se_collective_tcp_open(&group, NULL, 0, 65, &options), -EINVAL);
    se_collective_memory_free(memory);
    se_collective_memory_free(NULL);
}

/* Over TCP: who is at the other end may be anybody. */

static int raw_rank(struct ending *e, const void *bytes, size_t n_b)
{
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS };
    int fd[2];
    connect_two(&fd[0], &fd[1]);
    assert_int_equal(se_collective_tcp_open(&e->group, &fd[1], 0, 2, &options), 0);
    assert_int_equal(write(fd[0], bytes, n_b), n_b);
    return fd[0];
}

static void what_is_no_frame_breaks(void **state)
{
    static const struct {
        uint32_t magic, kind;
        uint64_t at, size_b;
        const char *what;
    } cases[] = {
        { 1, 0, 1, 16, " sends are no frames" },
        { 0x6b6e7253, 77, 1, 16, " sends are no frames" },
        { 0x6b6e7253, 4, 0, 512, " sends are no frames" }, /* last words that are too long */
        { 0x6b6e7253, 4, 2, 5, " sends are no frames" },
        { 0x6b6e7253, 0, 2, 16,
          ", 16 bytes for operation 2, and not a rank's part of a sum, 16 for 1" },
        { 0x6b6e7253, 3, 1, 16,
          " sent a rank's bytes, 16 bytes for operation 1, and not a rank's "
          "part of a sum, 16 for 1" },
        { 0x6b6e7253, 0, 1, 1ull << 63, "and not a rank's part of a sum, 16 for 1" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ending e;
        const int fd = raw_rank(&e, &cases[i], 24);
        reduce_main(&e);
        assert_int_equal(e.r, -EBADMSG);
        assert_non_null(strstr(e.text, "rank 1 of 2 at 127.0.0.1:"));
        if (!strstr(e.text, cases[i].what))
            fail_msg("'%s' does not say '%s'", e.text, cases[i].what);
        e.group->ops->close(e.group);
        close(fd);
    }
}

/* It ends in the middle of a frame, or without a word. */
static void who_has_gone_is_named(void **state)
{
    const uint32_t head[8] = { 0x6b6e7253, 0, 1, 0, 16, 0, 1, 2 };
    (void)state;
    for (size_t n_b = 0; n_b <= sizeof head; n_b += 8) {
        struct ending e;
        close(raw_rank(&e, head, n_b));
        reduce_main(&e);
        assert_int_equal(e.r, -EPIPE);
        check_sentence(e.text, "rank 1 of 2", " has gone");
        e.group->ops->close(e.group);
    }
}

/* What it says goes to a terminal. */
static void last_words_are_cleaned(void **state)
{
    struct {
        uint32_t magic, kind;
        uint64_t at, size_b;
        char text[8];
    } frame = { 0x6b6e7253, 4, 0, 7, "a\033[2Jb\n" };
    struct ending e;
    const int fd = raw_rank(&e, &frame, 24 + 7);
    (void)state;
    reduce_main(&e);
    check_sentence(e.text, "rank 1 of 2", " gave up: a?[2Jb?");
    e.group->ops->close(e.group);
    close(fd);
}

/* Rank 1 does not read: rank 0 is late with a frame, and cannot say so behind half of it. */
static void who_cannot_be_told_sees_an_end(void **state)
{
    struct ending e[2];
    struct place place;
    const struct se_collective_options options = { .deadline_ns = SHORT_NS };
    float *x = calloc(4 * LARGE, sizeof *x);
    (void)state;
    assert_non_null(x);
    open_endings(&place, e, 2, &options);
    assert_int_equal(e[0].group->ops->broadcast(e[0].group, x, 4 * LARGE * sizeof *x), -ETIMEDOUT);
    assert_int_equal(e[1].group->ops->broadcast(e[1].group, x, 4 * LARGE * sizeof *x), -EPIPE);
    check_sentence(se_err_text(), "rank 0 of 2", " has gone");
    close_endings(&place, e, 2);
    free(x);
}

static int option_of(int fd, int level, int option)
{
    int value = 0;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

/* A peer that vanishes without a word cannot be had here; what has the system look for it is set at
 * both ends. */
static void silence_is_looked_into(void **state)
{
    int fd[2];
    (void)state;
    connect_two(&fd[0], &fd[1]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(option_of(fd[i], SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(option_of(fd[i], IPPROTO_TCP, TCP_NODELAY), 1);
        assert_in_range(option_of(fd[i], IPPROTO_TCP, TCP_USER_TIMEOUT), 1000, 60000);
        assert_in_range(option_of(fd[i], IPPROTO_TCP, TCP_KEEPIDLE), 1, 10);
        assert_in_range(option_of(fd[i], IPPROTO_TCP, TCP_KEEPINTVL), 1, 5);
        close(fd[i]);
    }
}

static void addresses_are_read(void **state)
{
    static const char *const good[] = { "127.0.0.1:0", "localhost:65535", "[::1]:7", "a.b-c:1" };
    static const char *const bad[] = { "",           "127.0.0.1", ":7",          "host:",
                                       "host:65536", "host:7x",   "::1:7",       "[]:7",
                                       "[::1]",      "host:-1",   "host:000007", "[::1:7" };
    char name[SE_SOCKET_NAME_B];
    int fd;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(se_socket_check(good[i]), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (se_socket_check(bad[i]) != -EINVAL)
            fail_msg("'%s' is taken for an address", bad[i]);
    assert_true(se_socket_listen(&fd, "192.0.2.1:0", name) < 0);
    assert_int_equal(se_socket_listen(&fd, "127.0.0.1:0", name), 0);
    close(fd);
    assert_int_equal(se_socket_connect(&fd, name, se_clock_ns() + DEADLINE_NS), -EAGAIN);
    assert_non_null(strstr(se_err_text(), "nobody answers at 127.0.0.1:"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_meet),          cmocka_unit_test(processes_meet),
        cmocka_unit_test(who_gives_up_is_named), cmocka_unit_test(who_does_not_come_is_named),
        cmocka_unit_test(a_check_ends_the_wait), cmocka_unit_test(idle_is_no_fault),
        cmocka_unit_test(sizes_are_checked),
    };
    const struct CMUnitTest of_tcp[] = {
        cmocka_unit_test(what_is_no_frame_breaks),        cmocka_unit_test(who_has_gone_is_named),
        cmocka_unit_test(last_words_are_cleaned),         cmocka_unit_test(silence_is_looked_into),
        cmocka_unit_test(who_cannot_be_told_sees_an_end), cmocka_unit_test(addresses_are_read),
    };
    const char *text = getenv("SE_TEST_SEED");
    over_tcp = argc > 1 && strcmp(argv[1], "tcp") == 0;
    seed = text && *text ? strtoull(text, NULL, 0) : se_clock_ns();
    print_message("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    int r = cmocka_run_group_tests_name("collective", tests, NULL, NULL);
    if (over_tcp)
        r += cmocka_run_group_tests_name("strangers", of_tcp, NULL, NULL);
    return r;
}
