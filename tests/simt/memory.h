/* SPDX-License-Identifier: Apache-2.0 */
/* tests/simt/memory.h - memory of a device that is not there.
 *
 * A block ends where an unmapped page begins, so that whoever reads or writes beyond it is caught
 * in the act (to the 16 bytes that its address is a multiple of; the bytes between are watched,
 * and so are those before it). It starts as 0xff, which is NaN in every float format. */
#ifndef SE_TESTS_SIMT_MEMORY_H
#define SE_TESTS_SIMT_MEMORY_H

#include <stddef.h>

void *simt_alloc(size_t size_b);
void simt_free(void *block); /* NULL is fine */

/* Makes it the device's own: the host is caught that touches it, unless it holds the device, which
 * the emulator does for its kernels and copies. */
void simt_memory_hide(void *block);
void simt_memory_hold(void);
void simt_memory_release(void);

/* Ends the program, with a text, when somebody has written beside a block. */
void simt_memory_check(void);
/* What is to be said of an address that could not be touched; "" when it is none of ours. */
void simt_memory_tell(const void *address, char *text, size_t size_b);

size_t simt_memory_blocks(void); /* how many there are */

template <typename T>
static inline T *simt_array(size_t n)
{
    return (T *)simt_alloc(n * sizeof(T));
}

/* A copy of n elements from the host. */
template <typename T>
static inline T *simt_copy(const T *from, size_t n)
{
    T *to = simt_array<T>(n);
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
    return to;
}

#endif
