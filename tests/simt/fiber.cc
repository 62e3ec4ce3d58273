/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/simt/fiber.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
enum { STACK_B = 512 * 1024 }; /* frames are several times larger then */
#else
enum { STACK_B = 64 * 1024 };
#endif

static void map_stack(struct simt_fiber *fiber)
{
    size_t page_b = (size_t)sysconf(_SC_PAGESIZE);
    void *map = mmap(NULL, page_b + STACK_B, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED || mprotect(map, page_b, PROT_NONE) != 0)
        abort();
    fiber->stack = (unsigned char *)map + page_b;
    fiber->stack_b = STACK_B;
}

bool simt_fiber_overflow(const struct simt_fiber *fiber, const void *address)
{
    size_t page_b = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t at = (uintptr_t)address, low = (uintptr_t)fiber->stack;
    return fiber->stack != NULL && at >= low - page_b && at < low;
}

#if defined(__x86_64__)

/* Saves what a called function must keep on the stack that is left, and takes it from the other.
 * The C library's swapcontext does the same with a system call at each switch. */
extern "C" void simt_fiber_swap(void **from_top, void *to_top);
__asm__(".text\n"
        ".p2align 4\n"
        ".type simt_fiber_swap, @function\n"
        "simt_fiber_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size simt_fiber_swap, .-simt_fiber_swap\n");

void simt_fiber_start(struct simt_fiber *fiber, void (*entry)(void))
{
    enum { REGISTERS = 6 };
    if (fiber->stack == NULL)
        map_stack(fiber);
    void **top = (void **)(fiber->stack + fiber->stack_b);
    *--top = NULL; /* where entry would return to: a function begins 8 below a multiple of 16 */
    *--top = (void *)entry;
    for (int i = 0; i < REGISTERS; i++)
        *--top = NULL;
    fiber->top = top;
}

static void swap(struct simt_fiber *from, struct simt_fiber *to)
{
    simt_fiber_swap(&from->top, to->top);
}

#else

void simt_fiber_start(struct simt_fiber *fiber, void (*entry)(void))
{
    if (fiber->stack == NULL)
        map_stack(fiber);
    if (getcontext(&fiber->context) != 0)
        abort();
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = fiber->stack_b;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, entry, 0);
}

static void swap(struct simt_fiber *from, struct simt_fiber *to)
{
    if (swapcontext(&from->context, &to->context) != 0)
        abort();
}

#endif

#if defined(__SANITIZE_ADDRESS__)

static struct simt_fiber *coming_from;

void simt_fiber_arrived(void)
{
    const void *bottom;
    size_t size_b;
    __sanitizer_finish_switch_fiber(NULL, &bottom, &size_b);
    if (coming_from->stack == NULL) { /* the first stack's place is learnt when it is left */
        coming_from->stack_b = size_b;
        memcpy(&coming_from->stack, &bottom, sizeof bottom);
    }
}

void simt_fiber_switch(struct simt_fiber *from, struct simt_fiber *to)
{
    void *fake = NULL;
    coming_from = from;
    __sanitizer_start_switch_fiber(&fake, to->stack, to->stack_b);
    swap(from, to);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
}

#else

void simt_fiber_arrived(void) {}

void simt_fiber_switch(struct simt_fiber *from, struct simt_fiber *to) { swap(from, to); }

#endif
