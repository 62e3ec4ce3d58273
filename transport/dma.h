/* SPDX-License-Identifier: Apache-2.0 */
/* transport/dma.h - the order between a processor and a device that reads and writes its memory.
 *
 * Between processors order is made by atomic operations, and docs/memory-model.md lists those. A
 * device knows none of them. It reads memory because a work request told it to, and tells of what
 * it wrote by a completion; what must hold there has names of its own:
 *
 *   [dma.post]  Bytes are written before the request that lets the device read them, or write over
 *               what they were, is posted. Else it would send what lay there before, or fill a
 *               chunk that is still being read.
 *   [dma.done]  The bytes of a received chunk are read after the completion that announces them was
 *               seen. Else what the chunk held before could be taken for the frame.
 *   [dma.keep]  A chunk that was posted is left alone until its completion was seen, or until its
 *               queue pair is destroyed. Else the device sends half of one frame and half of the
 *               next, also when it sends again because a packet was lost.
 *   [dma.arm]   Who is about to sleep asks for an event first and looks for completions once more
 *               after that. Else one that came in between makes no event, and nobody wakes.
 *   [dma.slot]  A slot that the other end writes by itself is read after the completion of the word
 *               that came behind its bytes, and its credit is sent after it was copied. Else half
 *               of a frame is taken for one, or a frame changes while it is copied.
 *   [dma.end]   A queue pair is in error, or destroyed, before its last completions are looked for;
 *               what arrived before then has been seen when its end is told. Else a frame could be
 *               found after GONE.
 *
 * With a real adapter the doorbell is a store to its registers, and the provider's library puts the
 * processor's own barrier before it and behind the look at a completion. A device in software is
 * the kernel on another processor. The two fences below hold for that one, keep the compiler from
 * moving our copies across a call that it may see into, and say where the rule is needed. On
 * x86-64 they are no instructions. */
#ifndef SE_TRANSPORT_DMA_H
#define SE_TRANSPORT_DMA_H

#include <stdatomic.h>

/* Before a request is posted: what was read and written before stays before. */
static inline void se_dma_post(void) { atomic_thread_fence(memory_order_release); }

/* After a completion was seen: what is read comes after. */
static inline void se_dma_done(void) { atomic_thread_fence(memory_order_acquire); }

#endif
