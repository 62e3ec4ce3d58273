/* SPDX-License-Identifier: Apache-2.0 */
/* tests/simt/fiber.h - a function with a stack of its own, which can stop and be gone on with. */
#ifndef SE_TESTS_SIMT_FIBER_H
#define SE_TESTS_SIMT_FIBER_H

#include <stddef.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct simt_fiber {
#if defined(__x86_64__)
    void *top; /* of its stack, where its registers lie while it stands */
#else
    ucontext_t context;
#endif
    unsigned char *stack; /* NULL: the stack that the program was started with */
    size_t stack_b;
};

/* Makes `entry` what runs at the first switch to the fiber; it never returns. A stack that the
 * fiber has already is used again. */
void simt_fiber_start(struct simt_fiber *fiber, void (*entry)(void));
void simt_fiber_switch(struct simt_fiber *from, struct simt_fiber *to);

/* Whether an address lies in the unmapped page under one of the stacks. */
bool simt_fiber_overflow(const struct simt_fiber *fiber, const void *address);

/* What the first lines of `entry` are: a sanitizer wants to know that it has arrived. */
void simt_fiber_arrived(void);

#endif
