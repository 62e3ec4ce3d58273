/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mutex>
#include <vector>

#include "tests/simt/memory.h"
#include "tests/simt/simt.h"

/*   | unmapped | watched ... | block | watched (< 16) | unmapped |   */
struct block {
    unsigned char *map, *start;
    size_t map_b, size_b;
    bool hidden;
};

enum { ALIGN = 16, WATCHED_BEFORE = 64, FILL = 0xa5 };

static std::vector<struct block> blocks;
static std::mutex blocks_lock;
static unsigned holders;

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

void *simt_alloc(size_t size_b)
{
    size_t page_b = page_size(), room_b = (size_b + ALIGN - 1) / ALIGN * ALIGN;
    size_t inner_b = (room_b + WATCHED_BEFORE + page_b - 1) / page_b * page_b;
    struct block block = { NULL, NULL, inner_b + 2 * page_b, size_b, false };
    block.map = (unsigned char *)mmap(NULL, block.map_b, PROT_NONE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block.map == MAP_FAILED ||
        mprotect(block.map + page_b, inner_b, PROT_READ | PROT_WRITE) != 0)
        simt_fault("there is no memory for %zu bytes", size_b);
    unsigned char *end = block.map + page_b + inner_b;
    block.start = end - room_b;
    memset(block.start - WATCHED_BEFORE, FILL, WATCHED_BEFORE);
    memset(block.start, 0xff, size_b);
    memset(block.start + size_b, FILL, room_b - size_b);
    std::lock_guard<std::mutex> hold(blocks_lock);
    blocks.push_back(block);
    return block.start;
}

static void protect(const struct block *block, int access)
{
    if (mprotect(block->map + page_size(), block->map_b - 2 * page_size(), access) != 0)
        simt_fault("a block of %zu bytes cannot be shown or hidden", block->size_b);
}

void simt_memory_hide(void *start)
{
    std::lock_guard<std::mutex> hold(blocks_lock);
    for (struct block &block : blocks)
        if (block.start == start) {
            block.hidden = true;
            if (holders == 0)
                protect(&block, PROT_NONE);
        }
}

void simt_memory_hold(void)
{
    std::lock_guard<std::mutex> hold(blocks_lock);
    if (holders++ == 0)
        for (const struct block &block : blocks)
            if (block.hidden)
                protect(&block, PROT_READ | PROT_WRITE);
}

void simt_memory_release(void)
{
    std::lock_guard<std::mutex> hold(blocks_lock);
    if (--holders == 0)
        for (const struct block &block : blocks)
            if (block.hidden)
                protect(&block, PROT_NONE);
}

static void check(const struct block *block)
{
    const unsigned char *end = block->map + block->map_b - page_size();
    for (const unsigned char *at = block->start - WATCHED_BEFORE; at < block->start; at++)
        if (*at != FILL)
            simt_fault("wrote %zu bytes before a block of %zu bytes", (size_t)(block->start - at),
                       block->size_b);
    for (const unsigned char *at = block->start + block->size_b; at < end; at++)
        if (*at != FILL)
            simt_fault("wrote %zu bytes beyond a block of %zu bytes",
                       (size_t)(at - block->start) - block->size_b, block->size_b);
}

void simt_free(void *start)
{
    if (start == NULL)
        return;
    std::lock_guard<std::mutex> hold(blocks_lock);
    for (size_t i = 0; i < blocks.size(); i++)
        if (blocks[i].start == start) {
            if (blocks[i].hidden)
                protect(&blocks[i], PROT_READ | PROT_WRITE);
            check(&blocks[i]);
            munmap(blocks[i].map, blocks[i].map_b);
            blocks.erase(blocks.begin() + (ptrdiff_t)i);
            return;
        }
    simt_fault("%p is freed, which is no block", start);
}

void simt_memory_check(void)
{
    std::lock_guard<std::mutex> hold(blocks_lock);
    for (const struct block &block : blocks)
        check(&block);
}

size_t simt_memory_blocks(void)
{
    std::lock_guard<std::mutex> hold(blocks_lock);
    return blocks.size();
}

/* Called from a signal handler: takes no lock. */
void simt_memory_tell(const void *address, char *text, size_t size_b)
{
    const unsigned char *at = (const unsigned char *)address;
    text[0] = '\0';
    for (const struct block &block : blocks) {
        if (at < block.map || at >= block.map + block.map_b)
            continue;
        const unsigned char *end = block.start + block.size_b;
        if (at >= block.start && at < end)
            snprintf(text, size_b, "the host touched a block of %zu bytes of the device",
                     block.size_b);
        else if (at >= end)
            snprintf(text, size_b, "touched %zu bytes beyond a block of %zu bytes",
                     (size_t)(at - end), block.size_b);
        else
            snprintf(text, size_b, "touched %zu bytes before a block of %zu bytes",
                     (size_t)(block.start - at), block.size_b);
    }
}
