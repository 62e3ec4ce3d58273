/* SPDX-License-Identifier: Apache-2.0 */
/* A card's half of tests/gpu/array.h. What is written beside an array is found in its guards:
 *
 *   | guard | the array | guard |     the second one begins behind the last byte */
#include <stdio.h>
#include <string.h>

#include "tests/gpu/array.h"

enum { GUARD_B = 256 /* arrays stay aligned */, GUARD = 0xa5 };

namespace
{

struct block {
    unsigned char *start; /* of the array */
    size_t size_b, guard_b;
};

std::vector<struct block> blocks;

} // namespace

void device_order(unsigned order) { (void)order; /* it has its own */ }

void *device_alloc(size_t size_b, bool guards)
{
    const size_t guard_b = guards ? GUARD_B : 0, all_b = size_b + 2 * guard_b;
    unsigned char *memory = (unsigned char *)se_gpu_alloc(all_b, "an array");
    if (memory == NULL)
        return NULL;
    if ((guards && se_gpu_fill(memory, GUARD, all_b) < 0) ||
        (size_b > 0 && se_gpu_fill(memory + guard_b, 0xff, size_b) < 0)) {
        se_gpu_free(memory);
        return NULL;
    }
    blocks.push_back({ memory + guard_b, size_b, guard_b });
    return memory + guard_b;
}

void device_free(void *memory)
{
    for (size_t i = 0; i < blocks.size(); i++)
        if (blocks[i].start == memory) {
            se_gpu_free(blocks[i].start - blocks[i].guard_b);
            blocks.erase(blocks.begin() + (ptrdiff_t)i);
            return;
        }
}

static bool is_whole(const unsigned char *guard)
{
    unsigned char seen[GUARD_B], whole[GUARD_B];
    memset(whole, GUARD, sizeof whole);
    return se_gpu_download(seen, guard, sizeof seen) == 0 && memcmp(seen, whole, sizeof seen) == 0;
}

const char *device_look(void)
{
    static char text[80];
    for (const struct block &block : blocks) {
        const bool before = block.guard_b > 0 && !is_whole(block.start - GUARD_B);
        if (!before && (block.guard_b == 0 || is_whole(block.start + block.size_b)))
            continue;
        snprintf(text, sizeof text, "something was written %s an array of %zu bytes",
                 before ? "before" : "behind", block.size_b);
        return text;
    }
    return NULL;
}
