/* SPDX-License-Identifier: Apache-2.0 */
/* Two lists: `mine`, which only the getting thread knows, and `back`, where any thread lays
 * down what it puts. The getting thread takes all of `back` at once when `mine` is empty. A
 * list of which nobody ever takes just the first has no ABA problem.
 *
 * Frames that were never out come last, when both lists are empty: one that was out lately is in
 * the processor's cache, and one that never was costs a page of the system's at its first byte. So
 * a pool takes as much memory as frames were ever out at once, however generous it is.
 *
 * `balance` counts puts, from far below zero; se_frames_free() takes the offset away and the
 * gets with it, so that zero means: given up, and everything is back. */
#include "transport/frame.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

#define IN_USE (INT64_MIN / 2)

enum { CACHE_LINE_B = 64 };

struct se_frames {
    struct se_frame *mine;
    int64_t got;
    uint32_t cap_b;
    uint32_t n, fresh; /* frame[fresh .. n-1] were never out */
    struct se_frame *frame;
    unsigned char *data;
    _Alignas(CACHE_LINE_B) struct se_frame *_Atomic back;
    _Atomic int64_t balance;
};

static void destroy(struct se_frames *frames)
{
    se_mem_free(frames->frame);
    se_mem_free(frames->data);
    se_mem_free(frames);
}

int se_frames_new(struct se_frames **out, uint32_t n, uint32_t cap_b)
{
    if (n == 0 || cap_b == 0 || cap_b > SE_FRAME_MAX)
        return se_fail(-EINVAL, "a pool of %u frames of %u bytes: 1 to %d bytes are allowed", n,
                       cap_b, SE_FRAME_MAX);
    const size_t stride = ((size_t)cap_b + SE_MEM_ALIGN - 1) / SE_MEM_ALIGN * SE_MEM_ALIGN;
    struct se_frames *frames = se_mem_zero(1, sizeof(*frames));
    if (frames == NULL)
        return se_trace(-ENOMEM);
    frames->frame = se_mem_zero(n, sizeof(*frames->frame));
    frames->data = se_mem_new(n, stride);
    if (frames->frame == NULL || frames->data == NULL) {
        destroy(frames);
        return se_trace(-ENOMEM);
    }
    frames->cap_b = cap_b;
    frames->n = n;
    for (uint32_t i = 0; i < n; i++)
        frames->frame[i] =
            (struct se_frame){ .data = frames->data + i * stride, .cap_b = cap_b, .home = frames };
    atomic_init(&frames->back, NULL);
    atomic_init(&frames->balance, IN_USE);
    *out = frames;
    return 0;
}

void se_frames_free(struct se_frames *frames)
{
    if (frames == NULL)
        return;
    /* [frame.last] acquire and release: see se_frame_put(). */
    const int64_t away = IN_USE + frames->got;
    if (atomic_fetch_sub_explicit(&frames->balance, away, memory_order_acq_rel) == away)
        destroy(frames);
}

struct se_frame *se_frame_get(struct se_frames *frames)
{
    /* relaxed: a look that saves the exchange; what it misses is found by the next one. */
    if (frames->mine == NULL && atomic_load_explicit(&frames->back, memory_order_relaxed) != NULL)
        /* [frame.back] acquire, pairs with the release in se_frame_put(): who gets a frame
         * comes after all that the thread that put it read and wrote there. */
        frames->mine = atomic_exchange_explicit(&frames->back, NULL, memory_order_acquire);
    struct se_frame *frame = frames->mine;
    if (frame == NULL && frames->fresh == frames->n)
        return NULL;
    if (frame == NULL)
        frame = &frames->frame[frames->fresh++];
    else
        frames->mine = frame->next;
    frames->got++;
    frame->next = NULL;
    frame->len_b = 0;
    return frame;
}

void se_frame_put(struct se_frame *frame)
{
    if (frame == NULL)
        return;
    struct se_frames *frames = frame->home;
    /* relaxed: a guess that the exchange confirms. */
    struct se_frame *first = atomic_load_explicit(&frames->back, memory_order_relaxed);
    do {
        frame->next = first;
        /* [frame.back] release, pairs with the acquire in se_frame_get(). Puts in between
         * are read-modify-writes and pass the release of earlier ones on. */
    } while (!atomic_compare_exchange_weak_explicit(&frames->back, &first, frame,
                                                    memory_order_release, memory_order_relaxed));
    /* [frame.last] release: this thread is done with the pool. Acquire: and whoever comes to
     * zero sees that all others are, and may free it. */
    if (atomic_fetch_add_explicit(&frames->balance, 1, memory_order_acq_rel) == -1)
        destroy(frames);
}

uint32_t se_frames_out(const struct se_frames *frames)
{
    /* relaxed: a count that stands for itself. */
    return (uint32_t)(frames->got + IN_USE -
                      atomic_load_explicit(&frames->balance, memory_order_relaxed));
}

uint32_t se_frames_cap_b(const struct se_frames *frames) { return frames->cap_b; }
