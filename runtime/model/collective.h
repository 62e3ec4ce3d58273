/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/collective.h - what the ranks of one model do together.
 *
 * A group has size ranks, each with a handle of its own. All of them call the same operations
 * in the same order with the same sizes; that is all the agreement there is:
 *
 *   rank 0   broadcast  all_reduce  all_reduce  gather   (next step)  broadcast ...
 *   rank 1   await ...  broadcast   all_reduce  all_reduce  gather  await ...
 *
 * Every wait has a deadline. A rank that ended, gave up or did not come in time breaks the
 * group: each operation of each rank then fails, now and later, with a sentence that says who
 * and why. There is no way back: whoever wants to go on makes a new group.
 *
 * One implementation per file; each exports a function that opens a handle. All calls on one
 * handle come from one thread. */
#ifndef SE_RUNTIME_MODEL_COLLECTIVE_H
#define SE_RUNTIME_MODEL_COLLECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SE_COLLECTIVE_IDLE = 1 }; /* rank 0 has begun nothing yet */
enum { SE_COLLECTIVE_RANKS_MAX = 64 };

struct se_collective;

struct se_collective_ops {
    const char *name; /* "shm", "tcp" */

    /* x[i] of every rank becomes the sum of x[i] over all ranks, from rank 0 on upwards: the
     * same bits on every rank, whatever n is and whoever comes first. */
    int (*all_reduce)(struct se_collective *group, float *x, size_t n);

    /* The bytes of rank 0 come to all others. Rank 0 does not wait until they are there. */
    int (*broadcast)(struct se_collective *group, void *bytes, size_t n_b);

    /* Rank 0 gets the n_b bytes of every rank, one behind the other, in all (size * n_b bytes;
     * NULL on the others). */
    int (*gather)(struct se_collective *group, const void *mine, size_t n_b, void *all);

    /* For ranks beyond 0, between steps: waits until rank 0 begins its next operation.
     * SE_COLLECTIVE_IDLE when ns have passed: nothing is broken by that. */
    int (*await)(struct se_collective *group, uint64_t ns);

    /* Whether the group still stands: 0, or what the next operation would fail with. For a rank
     * that waits for something else meanwhile. */
    int (*check)(struct se_collective *group);

    /* The sentence of the last operation that failed, in this thread: for a module that calls, and
     * has a se_err_text() of its own. */
    const char *(*error)(void);

    /* Breaks the group: what the others' operations fail with is this rank and the sentence. */
    void (*give_up)(struct se_collective *group, const char *why);

    /* The handle's end; it says nothing to the others. NULL is fine. */
    void (*close)(struct se_collective *group);
};

struct se_collective {
    const struct se_collective_ops *ops;
    uint32_t rank, size;
    uint64_t deadline_ns; /* of every wait but await(); may be set between operations */
};

/* Between threads, or processes that one of them forked: the ranks meet in memory that was
 * mapped before. */
struct se_collective_memory;

struct se_collective_options {
    uint64_t deadline_ns; /* to begin with */
    bool spin;            /* every rank has processors of its own: worth looking before sleeping */
    /* (optional) Called while waiting, every few milliseconds at first: < 0, with the sentence,
     * breaks the group. For who can tell that a process has ended. */
    int (*check)(void *context);
    void *context;
};

/* size from 1 to SE_COLLECTIVE_RANKS_MAX. On 0 *out is the caller's; it outlives the handles
 * of its process. */
int se_collective_memory_new(struct se_collective_memory **out, uint32_t size);
void se_collective_memory_free(struct se_collective_memory *memory); /* NULL is fine */

/* The handle of a rank, one for each. On 0 *out is the caller's, to close. */
int se_collective_shm_open(struct se_collective **out, struct se_collective_memory *memory,
                           uint32_t rank, const struct se_collective_options *options);

/* Between machines: rank 0 is connected with every other, and they with rank 0 alone. fd: of rank
 * 0 size - 1 sockets, by rank, rank 1's first; of another rank one. Sockets as socket.h makes them.
 * On 0 they belong to *out, which is the caller's, to close; otherwise they stay the caller's.
 * What the others wait for is rank 0 waiting for one of them: they have twice the deadline. */
int se_collective_tcp_open(struct se_collective **out, const int *fd, uint32_t rank, uint32_t size,
                           const struct se_collective_options *options);

#endif
