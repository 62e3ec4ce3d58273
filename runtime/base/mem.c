/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/base/err.h"

enum { CHUNK_B = 64 * 1024, HUGE_B = 2 * 1024 * 1024 };

struct se_arena_chunk {
    struct se_arena_chunk *older;
    size_t cap_b;
    _Alignas(SE_MEM_ALIGN) unsigned char data[];
};

/* count * size_b rounded up to the alignment; 0 when that overflows, or is more than any
 * allocator gives, so that further rounding cannot overflow either. */
static size_t block_size(size_t count, size_t size_b)
{
    size_t total;
    if (__builtin_mul_overflow(count, size_b, &total) || total > SIZE_MAX / 2)
        return 0;
    if (total == 0)
        total = 1;
    return (total + SE_MEM_ALIGN - 1) & ~(size_t)(SE_MEM_ALIGN - 1);
}

static void *no_memory(size_t count, size_t size_b)
{
    se_fail(-ENOMEM, "out of memory: %zu items of %zu bytes", count, size_b);
    return NULL;
}

void *se_mem_new(size_t count, size_t size_b)
{
    size_t total = block_size(count, size_b);
    if (total == 0)
        return no_memory(count, size_b);
    size_t align = total >= HUGE_B ? HUGE_B : SE_MEM_ALIGN;
    void *block = aligned_alloc(align, (total + align - 1) & ~(align - 1));
    if (!block)
        return no_memory(count, size_b);
    if (align == HUGE_B)
        madvise(block, total, MADV_HUGEPAGE); /* a wish: large weights miss the TLB less */
    return block;
}

void *se_mem_zero(size_t count, size_t size_b)
{
    void *block = se_mem_new(count, size_b);
    if (block)
        memset(block, 0, count * size_b);
    return block;
}

void se_mem_free(void *block) { free(block); }

int se_mem_grow(void *array, size_t *cap, size_t need, size_t size_b)
{
    if (need <= *cap)
        return 0;
    size_t wanted = *cap < 16 ? 16 : *cap * 2;
    if (wanted < need)
        wanted = need;
    void *old;
    memcpy(&old, array, sizeof old); /* array is some T **, read without a cast that aliases */
    void *grown = se_mem_new(wanted, size_b);
    if (!grown)
        return se_trace(-ENOMEM);
    if (old)
        memcpy(grown, old, *cap * size_b);
    se_mem_free(old);
    memcpy(array, &grown, sizeof grown);
    *cap = wanted;
    return 0;
}

void *se_arena_take(struct se_arena *arena, size_t count, size_t size_b)
{
    size_t total = block_size(count, size_b);
    if (total == 0)
        return no_memory(count, size_b);
    if (!arena->chunk || total > arena->chunk->cap_b - arena->used_b) {
        size_t cap_b = total > CHUNK_B ? total : CHUNK_B;
        if (cap_b > SIZE_MAX - sizeof(struct se_arena_chunk))
            return no_memory(count, size_b);
        struct se_arena_chunk *chunk = se_mem_new(1, sizeof *chunk + cap_b);
        if (!chunk)
            return NULL;
        chunk->older = arena->chunk;
        chunk->cap_b = cap_b;
        arena->chunk = chunk;
        arena->used_b = 0;
    }
    void *block = arena->chunk->data + arena->used_b;
    arena->used_b += total;
    return block;
}

char *se_arena_text(struct se_arena *arena, const char *text, size_t len)
{
    char *copy = se_arena_take(arena, len + 1, 1);
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

void se_arena_fini(struct se_arena *arena)
{
    struct se_arena_chunk *chunk = arena->chunk;
    while (chunk) {
        struct se_arena_chunk *older = chunk->older;
        se_mem_free(chunk);
        chunk = older;
    }
    *arena = SE_ARENA_NULL;
}
