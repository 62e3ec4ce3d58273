/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/tree/best.h - the k best of the scores seen so far. One thread at a time. */
#ifndef SE_RUNTIME_TREE_BEST_H
#define SE_RUNTIME_TREE_BEST_H

#include <stddef.h>
#include <stdint.h>

struct se_best {
    float *score; /* a heap, the worst first */
    uint32_t n, k;
    size_t cap;
};
#define SE_BEST_NULL ((struct se_best){ 0 })

void se_best_fini(struct se_best *best);
/* Empties it, to hold k >= 1. 0 or -ENOMEM. */
int se_best_reset(struct se_best *best, uint32_t k);
void se_best_offer(struct se_best *best, float score); /* not NaN */
/* The k-th best score seen, or -infinity while fewer were. */
float se_best_floor(const struct se_best *best);

/* Of n nodes (ascending) keeps the k >= 1 with the best score[node], the lower number in a tie;
 * still ascending. Returns how many. Overwrites best. < 0: -ENOMEM, nothing changed. */
int se_best_pick(struct se_best *best, const float *score, uint32_t *node, uint32_t n, uint32_t k);

#endif
