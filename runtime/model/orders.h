/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/orders.h - what rank 0 tells the others to do, over their collective.
 *
 *   head ── kind and counts
 *   numbers ── parts | rows | parents | tails | pages,   or moves
 *
 * Both go as they lie in memory: ranks are of one build, and of one kind of machine. What comes is
 * checked all the same, so that no rank computes with a number that leads nowhere. */
#ifndef SE_RUNTIME_MODEL_ORDERS_H
#define SE_RUNTIME_MODEL_ORDERS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/model/backend.h"
#include "runtime/model/collective.h"

enum se_order { SE_ORDER_FORWARD, SE_ORDER_MOVE, SE_ORDER_LEAVE, SE_ORDERS };

struct se_order_head {
    uint32_t order;
    uint32_t n_parts, n_rows, n_tail, n_pages; /* FORWARD */
    uint32_t n_moves;                          /* MOVE */
};

/* What an order may have in it, at most. */
struct se_order_limits {
    uint32_t max_rows, n_pages; /* of a step; of the pool */
    uint32_t vocab, context, hidden;
};

/* All zeroes is fine to begin with. */
struct se_orders {
    struct se_order_head head;
    uint32_t *number;
    size_t number_cap;

    /* Of a rank that receives: the order as its backend is told it. */
    struct se_batch batch;
    const struct se_kv_move *move; /* head.n_moves of them */
    struct se_batch_part *part;
    struct se_part *ask;
    float *aside; /* where states go that only rank 0 hands out */
    size_t part_cap, ask_cap, aside_cap;
};

void se_orders_fini(struct se_orders *orders);

/* Rank 0: to all. */
int se_orders_send_batch(struct se_orders *orders, struct se_collective *group,
                         const struct se_batch *batch);
int se_orders_send_moves(struct se_orders *orders, struct se_collective *group,
                         const struct se_kv_move *move, uint32_t n);
int se_orders_send_leave(struct se_collective *group);

/* A number of how orders lie in memory: ranks of which it differs do not understand each other. */
uint32_t se_orders_layout(void);

/* The others: enum se_order, with batch or move set, which stand until the next call; or -errno.
 * -EBADMSG: an order that cannot be. */
int se_orders_receive(struct se_orders *orders, struct se_collective *group,
                      const struct se_order_limits *limits);

#endif
