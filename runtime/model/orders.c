/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/orders.h"

#include <errno.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

struct order_part {
    uint32_t first_row, n_rows, n_pages;
    uint32_t want, hidden; /* hidden: a bool */
};
enum {
    PART_NUMBERS = sizeof(struct order_part) / sizeof(uint32_t),
    ROW_NUMBERS = sizeof(struct se_batch_row) / sizeof(uint32_t),
    MOVE_NUMBERS = sizeof(struct se_kv_move) / sizeof(uint32_t)
};

/* Where the arrays of a batch lie in the numbers. */
struct layout {
    struct order_part *part;
    struct se_batch_row *row;
    int32_t *parent;
    uint32_t *tail, *page;
};

void se_orders_fini(struct se_orders *orders)
{
    se_mem_free(orders->number);
    se_mem_free(orders->part);
    se_mem_free(orders->ask);
    se_mem_free(orders->aside);
    *orders = (struct se_orders){ 0 };
}

static size_t numbers_of(const struct se_order_head *head)
{
    return (size_t)head->n_parts * PART_NUMBERS + (size_t)head->n_rows * (ROW_NUMBERS + 1) +
           head->n_tail + head->n_pages + (size_t)head->n_moves * MOVE_NUMBERS;
}

static int grow(struct se_orders *orders)
{
    return se_mem_grow(&orders->number, &orders->number_cap, numbers_of(&orders->head),
                       sizeof *orders->number);
}

static struct layout layout_of(const struct se_orders *orders)
{
    uint32_t *row = orders->number + (size_t)orders->head.n_parts * PART_NUMBERS;
    uint32_t *parent = row + (size_t)orders->head.n_rows * ROW_NUMBERS;
    uint32_t *tail = parent + orders->head.n_rows;
    return (struct layout){ .part = (void *)orders->number,
                            .row = (void *)row,
                            .parent = (void *)parent,
                            .tail = tail,
                            .page = tail + orders->head.n_tail };
}

/* How many ancestors by name a row has. */
static uint32_t tail_of(const struct se_batch_row *row) { return row->position + 1 - row->plain; }

/* Sending. */

static int send(struct se_orders *orders, struct se_collective *group)
{
    const int r = group->ops->broadcast(group, &orders->head, sizeof orders->head);
    if (r < 0)
        return r;
    return group->ops->broadcast(group, orders->number,
                                 numbers_of(&orders->head) * sizeof *orders->number);
}

static struct se_order_head head_of(const struct se_batch *batch)
{
    struct se_order_head head = { .order = SE_ORDER_FORWARD,
                                  .n_parts = batch->n_parts,
                                  .n_rows = batch->n_rows };
    for (uint32_t i = 0; i < batch->n_parts; i++)
        head.n_pages += batch->part[i].n_pages;
    for (uint32_t i = 0; i < batch->n_rows; i++) {
        const uint32_t end = batch->row[i].tail + tail_of(&batch->row[i]);
        head.n_tail = end > head.n_tail ? end : head.n_tail;
    }
    return head;
}

/* Of a part that wants a verdict parents are its own rows; other parts may go on from nodes of the
 * sequence, and nobody asks for their parents behind the books. */
static void pack_part(const struct se_batch_part *from, struct order_part *to, int32_t *parent)
{
    const struct se_part *ask = from->ask;
    const int32_t *known = ask->want == SE_WANT_VERDICT ? ask->parent : NULL;
    *to = (struct order_part){ from->first_row, from->n_rows, from->n_pages, (uint32_t)ask->want,
                               ask->hidden != NULL };
    for (uint32_t i = 0; i < from->n_rows; i++)
        parent[i] = known ? known[i] : (int32_t)i - 1;
}

int se_orders_send_batch(struct se_orders *orders, struct se_collective *group,
                         const struct se_batch *batch)
{
    orders->head = head_of(batch);
    const int r = grow(orders);
    if (r < 0)
        return r;
    const struct layout to = layout_of(orders);
    uint32_t *page = to.page;
    memcpy(to.row, batch->row, batch->n_rows * sizeof *batch->row);
    if (orders->head.n_tail)
        memcpy(to.tail, batch->tail, orders->head.n_tail * sizeof *to.tail);
    for (uint32_t i = 0; i < batch->n_parts; page += batch->part[i++].n_pages) {
        const struct se_batch_part *from = &batch->part[i];
        pack_part(from, &to.part[i], to.parent + from->first_row);
        memcpy(page, from->page, from->n_pages * sizeof *page);
    }
    return send(orders, group);
}

int se_orders_send_moves(struct se_orders *orders, struct se_collective *group,
                         const struct se_kv_move *move, uint32_t n)
{
    orders->head = (struct se_order_head){ .order = SE_ORDER_MOVE, .n_moves = n };
    const int r = grow(orders);
    if (r < 0)
        return r;
    memcpy(orders->number, move, n * sizeof *move);
    return send(orders, group);
}

int se_orders_send_leave(struct se_collective *group)
{
    struct se_order_head head = { .order = SE_ORDER_LEAVE };
    return group->ops->broadcast(group, &head, sizeof head);
}

/* A digit for each of the structs, to the base of 64. */
uint32_t se_orders_layout(void)
{
    return (uint32_t)(((sizeof(struct se_order_head) * 64 + sizeof(struct order_part)) * 64 +
                       sizeof(struct se_batch_row)) *
                          64 +
                      sizeof(struct se_kv_move)) *
               64 +
           SE_PAGE_SLOTS;
}

/* Receiving. */

static int refuse(const char *what) { return se_fail(-EBADMSG, "an order of rank 0: %s", what); }

static int check_head(const struct se_order_head *head, const struct se_order_limits *limits)
{
    const uint64_t slots = (uint64_t)limits->n_pages * SE_PAGE_SLOTS;
    if (head->order >= SE_ORDERS)
        return refuse("of no kind that is known");
    if (head->order == SE_ORDER_LEAVE)
        return 0;
    if (numbers_of(head) == 0)
        return refuse("of nothing to do");
    if (head->n_rows > limits->max_rows || head->n_parts > head->n_rows)
        return refuse("more rows than a step has, or parts than rows");
    if (head->n_tail > (uint64_t)limits->max_rows * limits->context)
        return refuse("more ancestors than there are positions");
    if (head->n_pages > (uint64_t)head->n_parts * limits->n_pages || head->n_moves > slots)
        return refuse("more pages or moves than there are");
    return 0;
}

static int check_row(const struct se_orders *orders, const struct se_order_limits *limits,
                     const struct se_batch_row *row, uint32_t slots, const uint32_t *tail)
{
    const uint32_t end = row->position + 1;
    if (row->token >= limits->vocab || row->position >= limits->context)
        return refuse("a token or a position beyond the model's");
    if (row->slot >= slots || row->plain > end || row->plain > slots)
        return refuse("a slot beyond its pages");
    if (row->tail > orders->head.n_tail || tail_of(row) > orders->head.n_tail - row->tail)
        return refuse("ancestors that did not come");
    for (uint32_t i = 0; i < tail_of(row); i++) {
        if (tail[row->tail + i] >= slots)
            return refuse("an ancestor's slot beyond its pages");
    }
    return 0;
}

/* first and n_pages: rows and pages of the parts before it. */
static int check_part(const struct se_orders *orders, const struct se_order_limits *limits,
                      uint32_t number, uint32_t first, uint32_t n_pages)
{
    const struct layout of = layout_of(orders);
    const struct order_part *part = &of.part[number];
    const uint32_t slots = part->n_pages * SE_PAGE_SLOTS;
    if (part->first_row != first || part->n_rows == 0 ||
        part->n_rows > orders->head.n_rows - first ||
        part->n_pages > orders->head.n_pages - n_pages || part->n_pages > limits->n_pages ||
        part->want > SE_WANT_VERDICT)
        return refuse("a part of what did not come");
    for (uint32_t i = 0; i < part->n_pages; i++) {
        if (of.page[n_pages + i] >= limits->n_pages)
            return refuse("a page beyond the pool");
    }
    for (uint32_t i = 0; i < part->n_rows; i++) {
        const int r = check_row(orders, limits, &of.row[first + i], slots, of.tail);
        if (r < 0)
            return r;
        if (of.parent[first + i] < SE_NODE_ROOT || of.parent[first + i] >= (int32_t)i)
            return refuse("a parent behind its child, or none at all");
        if (part->want == SE_WANT_VERDICT && of.row[first + i].slot != of.row[first].slot + i)
            return refuse("a tree that is in pieces");
    }
    return 0;
}

static int check_batch(const struct se_orders *orders, const struct se_order_limits *limits)
{
    const struct layout of = layout_of(orders);
    uint32_t first = 0, n_pages = 0;
    for (uint32_t i = 0; i < orders->head.n_parts; i++) {
        const int r = check_part(orders, limits, i, first, n_pages);
        if (r < 0)
            return r;
        first += of.part[i].n_rows;
        n_pages += of.part[i].n_pages;
    }
    return first == orders->head.n_rows ? 0 : refuse("rows of no part");
}

static int take_batch(struct se_orders *orders, const struct se_order_limits *limits)
{
    const struct layout from = layout_of(orders);
    const struct se_order_head *head = &orders->head;
    const uint32_t *page = from.page;
    int r = check_batch(orders, limits);
    if (r == 0)
        r = se_mem_grow(&orders->part, &orders->part_cap, head->n_parts, sizeof *orders->part);
    if (r == 0)
        r = se_mem_grow(&orders->ask, &orders->ask_cap, head->n_parts, sizeof *orders->ask);
    if (r == 0)
        r = se_mem_grow(&orders->aside, &orders->aside_cap, (size_t)head->n_rows * limits->hidden,
                        sizeof *orders->aside);
    for (uint32_t i = 0; r == 0 && i < head->n_parts; page += from.part[i++].n_pages) {
        const struct order_part *part = &from.part[i];
        float *aside = orders->aside + (size_t)part->first_row * limits->hidden;
        orders->ask[i] = (struct se_part){ .parent = from.parent + part->first_row,
                                           .n_rows = part->n_rows,
                                           .want = (enum se_want)part->want,
                                           .hidden = part->hidden ? aside : NULL };
        orders->part[i] = (struct se_batch_part){ .ask = &orders->ask[i],
                                                  .page = page,
                                                  .n_pages = part->n_pages,
                                                  .first_row = part->first_row,
                                                  .n_rows = part->n_rows };
    }
    orders->batch = (struct se_batch){ .part = orders->part,
                                       .row = from.row,
                                       .tail = from.tail,
                                       .n_parts = head->n_parts,
                                       .n_rows = head->n_rows };
    return r;
}

static int take_moves(struct se_orders *orders, const struct se_order_limits *limits)
{
    const struct se_kv_move *move = (const void *)orders->number;
    for (uint32_t i = 0; i < orders->head.n_moves; i++) {
        if (move[i].from_page >= limits->n_pages || move[i].to_page >= limits->n_pages ||
            move[i].from_slot >= SE_PAGE_SLOTS || move[i].to_slot >= SE_PAGE_SLOTS)
            return refuse("a move beyond the pool");
    }
    orders->move = move;
    return 0;
}

int se_orders_receive(struct se_orders *orders, struct se_collective *group,
                      const struct se_order_limits *limits)
{
    int r = group->ops->broadcast(group, &orders->head, sizeof orders->head);
    if (r == 0)
        r = check_head(&orders->head, limits);
    if (r < 0 || orders->head.order == SE_ORDER_LEAVE)
        return r < 0 ? r : SE_ORDER_LEAVE;
    r = grow(orders);
    if (r == 0)
        r = group->ops->broadcast(group, orders->number,
                                  numbers_of(&orders->head) * sizeof *orders->number);
    if (r == 0)
        r = orders->head.order == SE_ORDER_FORWARD ? take_batch(orders, limits)
                                                   : take_moves(orders, limits);
    return r < 0 ? r : (int)orders->head.order;
}
