/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads and two rings: numbers of boxes go there full and come back empty. What is in a
 * box is plain memory, so a number that comes before its contents shows, at once under
 * ThreadSanitizer: this is the test of [ring.fill] and [ring.free]. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "sched/ring.h"
#include "tests/sched/seed.h"

enum { BOXES = 24, WORDS = 8, TRIPS = 60000 };
#define DEADLINE_NS 100000000000u

struct road {
    struct se_ring *there, *back;
    uint64_t box[BOXES][WORDS];
    uint64_t seed, deadline;
    _Atomic bool failed;
};

static bool fault(struct road *road, const char *what, uint64_t trip)
{
    fprintf(stderr, "trip %llu: %s\n", (unsigned long long)trip, what);
    atomic_store(&road->failed, true);
    return false;
}

/* Looks again in a moment; false when there is no sense in it any more. */
static bool again(struct road *road, uint64_t trip)
{
    if (atomic_load(&road->failed))
        return false;
    if (se_clock_ns() > road->deadline)
        return fault(road, "nothing moves", trip);
    sched_yield();
    return true;
}

static bool push(struct road *road, struct se_ring *ring, uint32_t number, uint64_t trip)
{
    while (!se_ring_push(ring, number)) {
        if (!again(road, trip))
            return false;
    }
    return true;
}

static bool pop(struct road *road, struct se_ring *ring, uint32_t *number, uint64_t trip)
{
    while (!se_ring_pop(ring, number)) {
        if (!again(road, trip))
            return false;
    }
    return *number < BOXES || fault(road, "a number that nobody pushed", trip);
}

/* Now and then a side dawdles, so that the rings are found full and empty. */
static void dawdle(struct se_rng *rng)
{
    if (se_rng_below(rng, 64) == 0)
        sched_yield();
    for (uint32_t i = se_rng_below(rng, 32); i > 0; i--)
        __asm__ volatile("");
}

static void *receive(void *context)
{
    struct road *road = context;
    struct se_rng rng;
    se_rng_init(&rng, road->seed + 1, SE_RNG_TEST);
    for (uint64_t trip = 1; trip <= TRIPS; trip++) {
        uint32_t number;
        if (!pop(road, road->there, &number, trip))
            return NULL;
        for (uint64_t i = 0; i < WORDS; i++) {
            if (road->box[number][i] != trip * WORDS + i) {
                fault(road, "the box is not what was sent, or out of turn", trip);
                return NULL;
            }
            road->box[number][i] = 0;
        }
        dawdle(&rng);
        if (!push(road, road->back, number, trip))
            return NULL;
    }
    return NULL;
}

static void send(struct road *road)
{
    struct se_rng rng;
    se_rng_init(&rng, road->seed, SE_RNG_TEST);
    for (uint64_t trip = 1; trip <= TRIPS; trip++) {
        uint32_t number;
        if (!pop(road, road->back, &number, trip))
            return;
        for (uint64_t i = 0; i < WORDS; i++) {
            if (road->box[number][i] != 0) {
                fault(road, "a box that comes back is not empty", trip);
                return;
            }
            road->box[number][i] = trip * WORDS + i;
        }
        dawdle(&rng);
        if (!push(road, road->there, number, trip))
            return;
    }
}

/* So much room, counters from so far below 2^32. */
static bool travel(uint64_t seed, uint32_t room, uint32_t counter)
{
    static struct road road;
    pthread_t thread;
    road = (struct road){ .seed = seed, .deadline = se_clock_ns() + DEADLINE_NS };
    if (se_ring_new(&road.there, room) < 0 || se_ring_new(&road.back, BOXES) < 0) {
        fprintf(stderr, "%s\n", se_err_text());
        return false;
    }
    se_ring_place(road.there, counter);
    se_ring_place(road.back, counter);
    for (uint32_t i = 0; i < BOXES; i++)
        se_ring_push(road.back, i);
    if (pthread_create(&thread, NULL, receive, &road) != 0)
        return false;
    send(&road);
    pthread_join(thread, NULL);
    if (!atomic_load(&road.failed) && !se_ring_empty(road.there))
        fault(&road, "a number is left over", TRIPS);
    se_ring_free(road.there);
    se_ring_free(road.back);
    return !atomic_load(&road.failed);
}

int main(void)
{
    static const uint32_t room[] = { 1, 3, 7, BOXES };
    const uint64_t seed = seed_of_test();
    for (uint32_t i = 0; i < sizeof room / sizeof *room; i++) {
        if (!travel(seed + i, room[i], 0) || !travel(seed + i, room[i], UINT32_MAX - TRIPS / 2))
            return 1;
    }
    printf("every number came once, in order, with what it stands for\n");
    return 0;
}
