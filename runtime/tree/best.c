/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tree/best.h"

#include <math.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

void se_best_fini(struct se_best *best)
{
    se_mem_free(best->score);
    *best = SE_BEST_NULL;
}

int se_best_reset(struct se_best *best, uint32_t k)
{
    int r = se_mem_grow(&best->score, &best->cap, k, sizeof *best->score);
    if (r < 0)
        return se_trace(r);
    best->n = 0;
    best->k = k;
    return 0;
}

static void rise(float *heap, uint32_t at, float score)
{
    for (; at > 0 && score < heap[(at - 1) / 2]; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = score;
}

static void sink(float *heap, uint32_t n, float score)
{
    uint32_t at = 0, below;
    while ((below = 2 * at + 1) < n) {
        if (below + 1 < n && heap[below + 1] < heap[below])
            below++;
        if (heap[below] >= score)
            break;
        heap[at] = heap[below];
        at = below;
    }
    heap[at] = score;
}

void se_best_offer(struct se_best *best, float score)
{
    if (best->n < best->k)
        rise(best->score, best->n++, score);
    else if (score > best->score[0])
        sink(best->score, best->n, score);
}

float se_best_floor(const struct se_best *best)
{
    return best->n < best->k ? -INFINITY : best->score[0];
}

int se_best_pick(struct se_best *best, const float *score, uint32_t *node, uint32_t n, uint32_t k)
{
    uint32_t kept = 0, ties = k;
    if (n <= k)
        return (int)n;
    int r = se_best_reset(best, k);
    if (r < 0)
        return se_trace(r);
    for (uint32_t i = 0; i < n; i++)
        se_best_offer(best, score[node[i]]);
    float floor = se_best_floor(best);
    for (uint32_t i = 0; i < n; i++)
        ties -= score[node[i]] > floor; /* what is left is for those at the floor */
    for (uint32_t i = 0; i < n; i++) {
        if (score[node[i]] > floor || (score[node[i]] == floor && ties > 0)) {
            ties -= score[node[i]] == floor;
            node[kept++] = node[i];
        }
    }
    return (int)kept;
}
