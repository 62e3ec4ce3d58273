/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/topk_lanes.h - the k largest over lanes.
 *
 * The row is scanned once for entries above a threshold. They gather as keys in a pool; when
 * the pool is full, all but its k best go and the worst of those is the new threshold. A key
 * orders as the answer does: the value's place in the order of floats on top (both zeros at
 * one place, as they compare equal), the complement of the index below, so that keys are
 * distinct and nothing is left to the order of the scan. */
#ifndef SE_KERNELS_TOPK_LANES_H
#define SE_KERNELS_TOPK_LANES_H

#include <string.h>

#include "kernels/lanes.h"
#include "kernels/lanes_set.h"

#if SE_LANES
enum { TOPK_MAX = 1024, TOPK_POOL = 2 * TOPK_MAX, TOPK_SHORT = 12 };

static inline uint64_t key_of(float value, uint32_t index)
{
    uint32_t bits;
    value += 0.0f; /* -0 becomes +0 */
    memcpy(&bits, &value, sizeof bits);
    bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u;
    return (uint64_t)bits << 32 | (uint32_t)~index;
}

static inline uint32_t index_of(uint64_t key) { return ~(uint32_t)key; }

/* Puts keys that are at least a middle one in front: returns the length of a front part that
 * is neither empty nor whole, all of it >= all of the rest. n >= 3. */
static inline uint32_t part_keys(uint64_t *key, uint32_t n)
{
    uint64_t a = key[0], b = key[n / 2], c = key[n - 1];
    uint64_t least = a < b ? a : b, most = a < b ? b : a;
    uint64_t middle = c < least ? least : c > most ? most : c;
    uint32_t i = 0, j = n - 1;
    for (;;) {
        while (key[i] > middle)
            i++;
        while (key[j] < middle)
            j--;
        if (i >= j)
            return j + 1;
        uint64_t swap = key[i];
        key[i++] = key[j];
        key[j--] = swap;
    }
}

/* Puts the k largest of n keys in front, in no order. 1 <= k <= n. */
static inline void keep_keys(uint64_t *key, uint32_t n, uint32_t k)
{
    while (n > k && n > 2) {
        uint32_t front = part_keys(key, n);
        if (front >= k) {
            n = front;
        } else {
            key += front;
            n -= front;
            k -= front;
        }
    }
    if (n == 2 && k == 1 && key[1] > key[0]) {
        uint64_t swap = key[0];
        key[0] = key[1];
        key[1] = swap;
    }
}

static inline void sort_short(uint64_t *key, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        uint64_t moving = key[i];
        uint32_t j = i;
        for (; j > 0 && key[j - 1] < moving; j--)
            key[j] = key[j - 1];
        key[j] = moving;
    }
}

/* Largest first. The stack of the parts still to sort stays short, because the longer part
 * waits. */
static inline void sort_keys(uint64_t *key, uint32_t n)
{
    struct {
        uint64_t *key;
        uint32_t n;
    } waiting[32];
    uint32_t n_waiting = 0;
    for (;;) {
        while (n > TOPK_SHORT) {
            uint32_t front = part_keys(key, n);
            uint64_t *rest = key + front;
            uint32_t n_rest = n - front;
            if (front > n_rest) {
                waiting[n_waiting].key = key;
                waiting[n_waiting++].n = front;
                key = rest;
                n = n_rest;
            } else {
                waiting[n_waiting].key = rest;
                waiting[n_waiting++].n = n_rest;
                n = front;
            }
        }
        sort_short(key, n);
        if (n_waiting == 0)
            return;
        key = waiting[--n_waiting].key;
        n = waiting[n_waiting].n;
    }
}

struct topk_pool {
    uint64_t key[TOPK_POOL];
    uint32_t n, k, full;
    float above; /* entries must be larger than this */
};

static inline void thin_pool(struct topk_pool *pool, const float *x)
{
    keep_keys(pool->key, pool->n, pool->k);
    pool->n = pool->k;
    uint64_t worst = UINT64_MAX;
    for (uint32_t i = 0; i < pool->k; i++)
        worst = pool->key[i] < worst ? pool->key[i] : worst;
    pool->above = x[index_of(worst)];
}

static inline void pool_take(struct topk_pool *pool, const float *x, uint32_t index)
{
    if (!(x[index] > pool->above))
        return;
    pool->key[pool->n++] = key_of(x[index], index);
    if (pool->n == pool->full)
        thin_pool(pool, x);
}

/* Takes what is above the threshold of SE_LANES elements from i. */
static inline void pool_scan(struct topk_pool *pool, const float *x, uint32_t i)
{
    uint32_t mask = vf_mask_gt(vf_load(x + i), vf_set(pool->above));
    for (; mask; mask &= mask - 1)
        pool_take(pool, x, i + (uint32_t)__builtin_ctz(mask));
}

static inline uint32_t topk_lanes(const float *x, uint32_t n, uint32_t k, uint32_t *index,
                                  float *value)
{
    if (k > TOPK_MAX || k >= n)
        return se_topk_c(x, n, k, index, value);
    struct topk_pool pool; /* the keys are not worth clearing */
    pool.k = k;
    pool.full = 2 * k < 64 ? 64 : 2 * k;
    uint32_t i = 0;
    for (; i < k; i++)
        pool.key[i] = key_of(x[i], i);
    pool.n = k;
    thin_pool(&pool, x);
    for (; n - i >= 4 * SE_LANES; i += 4 * SE_LANES) {
        vf a = vf_max(vf_load(x + i), vf_load(x + i + SE_LANES));
        vf b = vf_max(vf_load(x + i + 2 * SE_LANES), vf_load(x + i + 3 * SE_LANES));
        if (vf_mask_gt(vf_max(a, b), vf_set(pool.above)) == 0)
            continue;
        for (uint32_t j = 0; j < 4; j++)
            pool_scan(&pool, x, i + j * SE_LANES);
    }
    for (; i < n; i++)
        pool_take(&pool, x, i);
    keep_keys(pool.key, pool.n, k);
    sort_keys(pool.key, k);
    for (uint32_t j = 0; j < k; j++) {
        index[j] = index_of(pool.key[j]);
        value[j] = x[index[j]];
    }
    return k;
}
#endif

#endif
