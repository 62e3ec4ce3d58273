/* SPDX-License-Identifier: Apache-2.0 */
/* A writer and a reader that sleeps when there is nothing. Under ThreadSanitizer this is the
 * test of [tube.fill] and [tube.free]; it hangs when [tube.sleep] does not hold. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "transport/bell.h"
#include "transport/tube.h"

enum { FRAMES = 200000, LEN_MAX_B = 3000 };
#define DEADLINE_NS 60000000000u

static struct se_tube *tube;
static struct se_bell bell;
static _Atomic bool stop;

static uint32_t length_of(uint32_t number)
{
    const uint32_t mixed = number * 2654435761u >> 8;
    return mixed % 8 == 0 ? 1 + mixed % LEN_MAX_B : 4 + mixed % 150;
}

static void *write_all(void *context)
{
    const uint64_t end = se_clock_ns() + DEADLINE_NS;
    struct se_tube_end writer = { .tube = tube };
    unsigned char data[LEN_MAX_B];
    (void)context;
    for (uint32_t i = 0; i < FRAMES && !atomic_load(&stop); i++) {
        const uint32_t len_b = length_of(i);
        int r;
        memset(data, (int)(i % 251), len_b);
        while ((r = se_tube_put(&writer, data, len_b, 5 + i % 60)) == SE_TUBE_FULL) {
            if (atomic_load(&stop) || se_clock_ns() > end)
                return NULL;
            sched_yield(); /* there may be one processor only */
        }
        if (r == SE_TUBE_ASLEEP)
            se_bell_ring(&bell);
        if (i % 1000 == 0) /* the reader comes to an end now and then */
            while (!atomic_load(&stop) && (uint32_t)atomic_load(&tube->head) != writer.lines &&
                   se_clock_ns() < end)
                sched_yield();
    }
    return NULL;
}

static bool right(const unsigned char *data, uint32_t number, uint32_t len_b)
{
    bool good = len_b == length_of(number);
    for (uint32_t i = 0; good && i < len_b; i++)
        good = data[i] == number % 251;
    return good;
}

static const char *read_all(uint32_t *sleeps)
{
    struct se_tube_end reader = { .tube = tube };
    unsigned char data[LEN_MAX_B];
    for (uint32_t i = 0; i < FRAMES; i++) {
        uint32_t len_b;
        int r;
        while ((r = se_tube_next(&reader, LEN_MAX_B, &len_b)) == SE_TUBE_EMPTY) {
            if (!se_tube_sleep(&reader))
                continue;
            ++*sleeps;
            if (!se_bell_wait(&bell, DEADLINE_NS))
                return "a frame came and nobody rang";
        }
        if (r != 0)
            return "the tube is broken";
        se_tube_take(&reader, data);
        if (!right(data, i, len_b))
            return "a frame is wrong";
    }
    return NULL;
}

int main(void)
{
    pthread_t thread;
    uint32_t sleeps = 0;
    tube = aligned_alloc(_Alignof(struct se_tube), sizeof(*tube));
    if (tube == NULL)
        return 1;
    memset(tube, 0, sizeof(*tube));
    se_bell_init(&bell);
    if (pthread_create(&thread, NULL, write_all, NULL) != 0)
        return 1;
    const char *fault = read_all(&sleeps);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    free(tube);
    printf("%d frames, slept %u times%s%s\n", FRAMES, sleeps, fault ? ": " : "",
           fault ? fault : "");
    return fault != NULL;
}
