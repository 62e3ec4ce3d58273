/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/thread.h - a pool of threads that share one loop at a time.
 *
 * One thread owns the pool and calls se_pool_run(); it works too. Items are claimed one
 * by one from a shared counter, so a thread that the kernel took off its core costs at
 * most the item it holds. Waiting is a bounded spin, then a futex.
 *
 * The pool watches what the helpers contribute: when cores are shared with other programs
 * and waiting eats the gain, it works alone for a while and tries again later. Results
 * must therefore never depend on which thread ran an item: every item writes its own
 * output, and no sum crosses items. */
#ifndef SE_RUNTIME_BASE_THREAD_H
#define SE_RUNTIME_BASE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct se_pool;

enum { SE_POOL_THREADS_MAX = 1024 };

/* item is in [0, n_items); thread in [0, threads), for scratch memory of one's own. */
typedef void se_pool_fn(void *context, uint32_t item, uint32_t thread);

/* threads >= 1 counts the caller. pin: helper i runs on the i-th allowed processor after
 * the owner's. 0 or -errno. */
int se_pool_new(struct se_pool **out, uint32_t threads, bool pin);
/* Stops and joins the helpers. NULL is fine. */
void se_pool_free(struct se_pool *pool);

uint32_t se_pool_threads(const struct se_pool *pool);

/* Runs fn for every item and returns when all are done. What the items wrote is visible to
 * the caller, and what the caller wrote before is visible to the items. */
void se_pool_run(struct se_pool *pool, se_pool_fn *fn, void *context, uint32_t n_items);

/* True: share every loop and judge nothing, for tests and for measuring the pool itself. A
 * new pool judges. */
void se_pool_share_always(struct se_pool *pool, bool always);

/* How the pool fared since the last call, for benchmarks and tests. */
struct se_pool_stat {
    uint64_t runs;      /* loops shared */
    uint64_t alone;     /* loops the owner kept for itself */
    uint64_t helped;    /* items done by helpers */
    uint64_t waited_ns; /* the owner's wait for the last items */
};
struct se_pool_stat se_pool_stat_take(struct se_pool *pool);

#endif
