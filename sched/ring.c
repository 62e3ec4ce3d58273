/* SPDX-License-Identifier: Apache-2.0 */
/*   p_tail ── next to fill, the pusher's ──┐
 *   cell   [ ][ ][5][2][7][ ][ ][ ]        │   one cell stays empty, so that full and empty
 *   c_head ── next to read, the popper's ──┘   differ
 *
 * The counters only grow, modulo 2^32, and a cell is a counter modulo the size, which is a
 * power of two. Concurrency Kit moves them; what its fences leave open on processors that
 * reorder more than x86 does is closed here:
 *
 *   push   its fence holds back the new tail behind earlier stores. Ours before it also waits
 *          for earlier loads: the pusher may still be reading what it hands over.
 *   pop    its fence holds back the new head behind the store of the copy, which waits for the
 *          load from the cell. So the copy must be a store: it goes straight to the caller's
 *          word, in a function that is never inlined. In a local variable it would be a
 *          register, and the cell might be filled again before it is read. */
#include "sched/ring.h"

#include <ck_pr.h>
#include <ck_ring.h>
#include <errno.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { ROOM_MAX = 1 << 20 };

struct number {
    uint32_t value;
};
CK_RING_PROTOTYPE(number, number)

struct se_ring {
    struct ck_ring ck; /* its two counters stand in cache lines of their own */
    struct number *cell;
};

/* ThreadSanitizer does not see the counters move, because Concurrency Kit does that in
 * assembly. Where it watches, it is told what the ring promises, at the moment the ring does
 * it: the edges are those of the counters, and hang on their addresses. */
#if defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif

#ifdef WATCHED
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);

static void tell_acquire(unsigned int *counter) { __tsan_acquire(counter); }

static void tell_release(unsigned int *counter) { __tsan_release(counter); }

/* The copy out of the cell and the new head are one call, and what belongs between them has no
 * place there. So the cell is read here for ThreadSanitizer to see, and its eyes are shut while
 * the ring reads it again. False: it was empty, and what came since is for the next pop. */
static bool tell_pop(struct se_ring *ring)
{
    if (ck_ring_size(&ring->ck) == 0)
        return false;
    tell_acquire(&ring->ck.p_tail); /* [ring.fill] */
    (void)*(volatile uint32_t *)&ring->cell[ring->ck.c_head & ring->ck.mask].value;
    tell_release(&ring->ck.c_head); /* [ring.free] */
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    return true;
}

static void tell_popped(void) { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
#else
static void tell_acquire(unsigned int *counter) { (void)counter; }

static void tell_release(unsigned int *counter) { (void)counter; }

static bool tell_pop(struct se_ring *ring)
{
    (void)ring;
    return true;
}

static void tell_popped(void) {}
#endif

int se_ring_new(struct se_ring **out, uint32_t n)
{
    uint32_t size = 2;
    if (n < 1 || n > ROOM_MAX)
        return se_fail(-EINVAL, "a ring for %u numbers: there is room for 1 to %d", n, ROOM_MAX);
    while (size < n + 1)
        size *= 2;
    struct se_ring *ring = se_mem_zero(1, sizeof *ring);
    if (!ring)
        return se_trace(-ENOMEM);
    ck_ring_init(&ring->ck, size);
    ring->cell = se_mem_new(size, sizeof *ring->cell);
    if (!ring->cell) {
        se_ring_free(ring);
        return se_trace(-ENOMEM);
    }
    *out = ring;
    return 0;
}

void se_ring_free(struct se_ring *ring)
{
    if (!ring)
        return;
    se_mem_free(ring->cell);
    se_mem_free(ring);
}

bool se_ring_push(struct se_ring *ring, uint32_t number)
{
    /* [ring.free] acquire, pairs with the release in se_ring_pop(): a cell is given out when
     * the head is past it, and filled after that look because it depends on it. */
    struct number *cell = ck_ring_enqueue_reserve_spsc_number(&ring->ck, ring->cell);
    if (!cell)
        return false;
    tell_acquire(&ring->ck.c_head);
    cell->value = number;
    /* [ring.fill] release, pairs with the acquire in se_ring_pop(): whoever sees the new tail
     * sees the cell and what the number stands for, which nobody here reads any more. */
    tell_release(&ring->ck.p_tail);
    ck_pr_fence_release();
    ck_ring_enqueue_commit_spsc(&ring->ck);
    return true;
}

__attribute__((noinline)) bool se_ring_pop(struct se_ring *ring, uint32_t *number)
{
    if (!tell_pop(ring))
        return false;
    /* [ring.fill] acquire, pairs with the release in se_ring_push().
     * [ring.free] release, pairs with the acquire in se_ring_push(): the head goes on when the
     * cell is read. */
    const bool popped = ck_ring_dequeue_spsc_number(&ring->ck, ring->cell, (struct number *)number);
    tell_popped();
    /* Concurrency Kit orders the load of the tail before later loads; this, before stores as
     * well: the number's new owner may write. */
    ck_pr_fence_acquire();
    return popped;
}

bool se_ring_empty(const struct se_ring *ring) { return ck_ring_size(&ring->ck) == 0; }

void se_ring_place(struct se_ring *ring, uint32_t counter)
{
    ring->ck.p_tail = ring->ck.p_head = ring->ck.c_head = counter;
}
