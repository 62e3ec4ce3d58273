/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes from another rank: a hello, a reply, frames to rank 0 and to another rank, an order. The
 * first byte says which. All is refused, or is what it says to be. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernels/attend.h"
#include "runtime/base/mem.h"
#include "runtime/model/greeting.h"
#include "runtime/model/orders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLOATS = 9, WORDS = 3 };
#define DEADLINE_NS 2000000000u

static volatile unsigned sink; /* so that the reading is not left out */

static void touch(const void *bytes, size_t n_b)
{
    for (size_t i = 0; i < n_b; i++)
        sink += ((const unsigned char *)bytes)[i];
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void try_hello(const uint8_t *data, size_t size)
{
    struct se_hello hello = { 0 };
    memcpy(&hello, data, size < sizeof hello ? size : sizeof hello);
    if (se_hello_check(&hello) == 0) {
        must(hello.kind < SE_HELLO_KINDS);
        touch(hello.backend, strlen(hello.backend));
    }
}

static void try_reply(const uint8_t *data, size_t size)
{
    struct se_reply reply = { 0 };
    memcpy(&reply, data, size < sizeof reply ? size : sizeof reply);
    if (se_reply_check(&reply) == 0 && se_nodes_terms_check(&reply.terms) == 0)
        must(reply.terms.first + reply.terms.n <= reply.terms.size && reply.terms.n > 0 &&
             reply.terms.size <= SE_COLLECTIVE_RANKS_MAX);
}

/* Operations of a rank whose only other one has sent these bytes, and nothing more. */
static void try_frames(uint32_t rank, const uint8_t *data, size_t size)
{
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS };
    struct se_collective *group = NULL;
    float x[FLOATS] = { 1 };
    uint32_t mine[WORDS] = { 1, 2, 3 }, all[2 * WORDS];
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
        return;
    must(se_collective_tcp_open(&group, fd, rank, 2, &options) == 0);
    if (write(fd[1], data, size) >= 0 && shutdown(fd[1], SHUT_WR) == 0) {
        int r = rank ? group->ops->await(group, DEADLINE_NS) : group->ops->check(group);
        while (r == 0) {
            r = group->ops->broadcast(group, mine, sizeof mine);
            if (r == 0)
                r = group->ops->all_reduce(group, x, FLOATS);
            if (r == 0)
                r = group->ops->gather(group, mine, sizeof mine, all);
        }
        must(r < 0); /* the bytes have an end */
    }
    group->ops->close(group);
    close(fd[1]);
}

/* A group that hands out what is in the data. */
struct tape {
    struct se_collective base;
    const uint8_t *data;
    size_t size;
};

static int tape_broadcast(struct se_collective *group, void *bytes, size_t n_b)
{
    struct tape *tape = (struct tape *)(void *)group;
    if (n_b > tape->size)
        return -EPIPE;
    if (n_b == 0)
        return 0;
    memcpy(bytes, tape->data, n_b);
    tape->data += n_b;
    tape->size -= n_b;
    return 0;
}

static void check_batch(const struct se_batch *batch, const struct se_order_limits *limits)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < batch->n_parts; i++) {
        const struct se_batch_part *part = &batch->part[i];
        must(part->first_row == rows && part->n_rows > 0);
        rows += part->n_rows;
        must(rows <= batch->n_rows);
        for (uint32_t k = 0; k < part->n_pages; k++)
            must(part->page[k] < limits->n_pages);
        for (uint32_t k = 0; k < part->n_rows; k++) {
            const struct se_batch_row *row = &batch->row[part->first_row + k];
            must(row->token < limits->vocab && row->position < limits->context);
            must(row->slot < part->n_pages * SE_PAGE_SLOTS && row->plain <= row->position + 1);
            must(part->ask->parent[k] >= SE_NODE_ROOT && part->ask->parent[k] < (int32_t)k);
            for (uint32_t t = row->plain; t <= row->position; t++)
                must(batch->tail[row->tail + t - row->plain] < part->n_pages * SE_PAGE_SLOTS);
        }
        if (part->ask->hidden)
            memset(part->ask->hidden, 0,
                   (size_t)part->n_rows * limits->hidden * sizeof *part->ask->hidden);
    }
    must(rows == batch->n_rows);
}

static void try_orders(const uint8_t *data, size_t size)
{
    static const struct se_collective_ops ops = { .broadcast = tape_broadcast };
    const struct se_order_limits limits = {
        .max_rows = 8, .n_pages = 6, .vocab = 50, .context = 64, .hidden = 4
    };
    struct tape tape = { { .ops = &ops, .rank = 1, .size = 2 }, data, size };
    struct se_orders orders = { 0 };
    for (;;) {
        const int r = se_orders_receive(&orders, &tape.base, &limits);
        if (r < 0 || r == SE_ORDER_LEAVE)
            break;
        if (r == SE_ORDER_FORWARD)
            check_batch(&orders.batch, &limits);
        else
            touch(orders.move, orders.head.n_moves * sizeof *orders.move);
    }
    se_orders_fini(&orders);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t kind = size ? data[0] % 5 : 0;
    if (size == 0)
        return 0;
    data++;
    size--;
    switch (kind) {
    case 0:
        try_hello(data, size);
        break;
    case 1:
        try_reply(data, size);
        break;
    case 2:
    case 3:
        try_frames(kind - 2u, data, size);
        break;
    default:
        try_orders(data, size);
    }
    return 0;
}
