/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/mem.h - memory: aligned blocks, growing arrays, arenas.
 *
 * Blocks are SE_MEM_ALIGN-aligned. An allocation that cannot be had, or whose
 * size overflows, returns NULL with se_err_text() set; nothing here exits. */
#ifndef SE_RUNTIME_BASE_MEM_H
#define SE_RUNTIME_BASE_MEM_H

#include <stddef.h>

enum { SE_MEM_ALIGN = 64 };

/* count * size_b bytes, not zeroed (and of a large block no page costs anything until it
 * is touched). A count or size_b of 0 gives a block that may be freed. */
void *se_mem_new(size_t count, size_t size_b);
/* The same, zeroed. */
void *se_mem_zero(size_t count, size_t size_b);
/* Frees a block of either; NULL is fine. */
void se_mem_free(void *block);

/* Makes room for at least need items in the block that array, a pointer to a pointer,
 * points at (capacity in *cap, both may start as NULL and 0), doubling.
 * 0, or -ENOMEM and the array stays as it was. */
int se_mem_grow(void *array, size_t *cap, size_t need, size_t size_b);

/* An arena: many small things that die together. One thread at a time. */
struct se_arena {
    struct se_arena_chunk *chunk; /* newest first */
    size_t used_b;
};
#define SE_ARENA_NULL ((struct se_arena){ 0 })

void *se_arena_take(struct se_arena *arena, size_t count, size_t size_b);
/* A copy of text[0..len-1] with a terminating zero. */
char *se_arena_text(struct se_arena *arena, const char *text, size_t len);
void se_arena_fini(struct se_arena *arena);

#endif
