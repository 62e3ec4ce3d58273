/* SPDX-License-Identifier: Apache-2.0 */
/* Orders over a group in shared memory, with numbers changed on their way: what a rank takes is
 * within what it has, and everything else is refused. (Any bytes at all: fuzz_ranks.) */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "kernels/attend.h"
#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/model/orders.h"

enum { ROUNDS = 1500, PARTS = 3, ROWS = 12, PAGES = 6, VOCAB = 50, CONTEXT = 64, NUMBERS = 4096 };
#define DEADLINE_NS 10000000000u

static const struct se_order_limits limits = {
    .max_rows = ROWS, .n_pages = PAGES, .vocab = VOCAB, .context = CONTEXT, .hidden = 4
};
static uint64_t seed;

/* A group of one that keeps what is said. */
struct tape {
    struct se_collective base;
    struct se_order_head head;
    uint32_t number[NUMBERS];
    size_t n; /* of numbers */
    bool headed;
};

static int tape_broadcast(struct se_collective *group, void *bytes, size_t n_b)
{
    struct tape *tape = (struct tape *)(void *)group;
    if (!tape->headed) {
        assert_int_equal(n_b, sizeof tape->head);
        memcpy(&tape->head, bytes, n_b);
    } else {
        assert_true(n_b <= sizeof tape->number);
        memcpy(tape->number, bytes, n_b);
        tape->n = n_b / sizeof *tape->number;
    }
    tape->headed = true;
    return 0;
}

/* One that rank 0 could give. */
static void draw_batch(struct se_rng *rng, struct tape *tape)
{
    struct se_batch_part part[PARTS];
    struct se_part ask[PARTS];
    struct se_batch_row row[ROWS];
    uint32_t page[PARTS][PAGES], tail[ROWS * 2];
    int32_t parent[ROWS];
    float hidden[1];
    struct se_batch batch = { .part = part, .row = row, .tail = tail };
    uint32_t n_tail = 0;
    while (batch.n_parts < 1 + se_rng_below(rng, PARTS)) {
        const uint32_t i = batch.n_parts++, n = 1 + se_rng_below(rng, ROWS / PARTS);
        const uint32_t n_pages = 1 + se_rng_below(rng, PAGES - 2);
        ask[i] = (struct se_part){ .parent = parent + batch.n_rows,
                                   .n_rows = n,
                                   .want = (enum se_want)se_rng_below(rng, SE_WANT_VERDICT + 1),
                                   .hidden = se_rng_below(rng, 2) ? hidden : NULL };
        part[i] = (struct se_batch_part){ &ask[i], page[i], n_pages, batch.n_rows, n };
        for (uint32_t k = 0; k < n_pages; k++)
            page[i][k] = se_rng_below(rng, PAGES);
        for (uint32_t k = 0; k < n; k++, batch.n_rows++) {
            const uint32_t slots = n_pages * SE_PAGE_SLOTS;
            const uint32_t most = slots < CONTEXT ? slots : CONTEXT;
            const uint32_t position = se_rng_below(rng, most), down = se_rng_below(rng, 3);
            const uint32_t plain = position + 1 - (down < position ? down : 0);
            /* A tree's nodes lie in slots one behind the other. */
            const uint32_t slot = k > 0 && ask[i].want == SE_WANT_VERDICT
                                      ? row[batch.n_rows - 1].slot + 1
                                      : se_rng_below(rng, slots - n + 1);
            row[batch.n_rows] =
                (struct se_batch_row){ se_rng_below(rng, VOCAB), position, slot, plain, n_tail };
            for (uint32_t t = plain; t <= position; t++)
                tail[n_tail++] = se_rng_below(rng, slots);
            parent[batch.n_rows] = (int32_t)se_rng_below(rng, k + 1) - 1;
        }
    }
    struct se_orders orders = { 0 };
    assert_int_equal(se_orders_send_batch(&orders, &tape->base, &batch), 0);
    se_orders_fini(&orders);
}

static void draw_moves(struct se_rng *rng, struct tape *tape)
{
    struct se_kv_move move[8];
    struct se_orders orders = { 0 };
    const uint32_t n = 1 + se_rng_below(rng, 8);
    for (uint32_t i = 0; i < n; i++)
        move[i] = (struct se_kv_move){ se_rng_below(rng, PAGES), se_rng_below(rng, SE_PAGE_SLOTS),
                                       se_rng_below(rng, PAGES), se_rng_below(rng, SE_PAGE_SLOTS) };
    assert_int_equal(se_orders_send_moves(&orders, &tape->base, move, n), 0);
    se_orders_fini(&orders);
}

/* What is near a limit, or what is there, or anything. */
static uint32_t draw_number(struct se_rng *rng, uint32_t was)
{
    static const uint32_t often[] = { 0,          1,          2,
                                      PAGES,      ROWS,       SE_PAGE_SLOTS,
                                      VOCAB,      CONTEXT,    PAGES * SE_PAGE_SLOTS,
                                      0x7fffffff, 0x80000000, 0xffffffff };
    const uint32_t n = sizeof often / sizeof *often;
    switch (se_rng_below(rng, 4)) {
    case 0:
        return was + se_rng_below(rng, 3) - 1;
    case 1:
        return was ^ 1u << se_rng_below(rng, 32);
    case 2:
        return often[se_rng_below(rng, n)] - se_rng_below(rng, 2);
    default:
        return se_rng_below(rng, 0x7fffffff);
    }
}

static void change(struct se_rng *rng, struct tape *tape)
{
    uint32_t head[sizeof tape->head / sizeof(uint32_t)];
    memcpy(head, &tape->head, sizeof head);
    for (uint32_t n = se_rng_below(rng, 3); n > 0; n--) {
        const uint32_t in_head = (uint32_t)(sizeof head / sizeof *head);
        uint32_t *at = se_rng_below(rng, 4) || tape->n == 0
                           ? &tape->number[se_rng_below(rng, tape->n ? (uint32_t)tape->n : 1)]
                           : &head[se_rng_below(rng, in_head)];
        *at = draw_number(rng, *at);
    }
    memcpy(&tape->head, head, sizeof head);
}

/* As many numbers as whoever believes the head waits for. */
static size_t numbers_of(const struct se_order_head *h)
{
    return (size_t)h->n_parts * 5 + (size_t)h->n_rows * 6 + h->n_tail + h->n_pages +
           (size_t)h->n_moves * 4;
}

struct sender {
    struct se_collective *group;
    struct tape *tape;
};

/* Rank 0. What the head makes of it is not heard out where it is refused. */
static void *send_main(void *context)
{
    struct sender *sender = context;
    const struct se_collective_ops *ops = sender->group->ops;
    const size_t n = numbers_of(&sender->tape->head);
    ops->broadcast(sender->group, &sender->tape->head, sizeof sender->tape->head);
    if (n <= NUMBERS)
        ops->broadcast(sender->group, sender->tape->number, n * sizeof *sender->tape->number);
    return NULL;
}

static void check_row(const struct se_batch *batch, const struct se_batch_row *row, uint32_t slots,
                      size_t n_tail)
{
    assert_true(row->token < VOCAB && row->position < CONTEXT && row->slot < slots);
    assert_true(row->plain <= row->position + 1 && row->plain <= slots);
    for (uint32_t t = row->plain; t <= row->position; t++) {
        assert_true(row->tail + t - row->plain < n_tail);
        assert_true(batch->tail[row->tail + t - row->plain] < slots);
    }
}

static void check_batch(const struct se_orders *orders)
{
    const struct se_batch *batch = &orders->batch;
    uint32_t rows = 0;
    assert_true(batch->n_rows <= ROWS && batch->n_parts <= batch->n_rows);
    for (uint32_t i = 0; i < batch->n_parts; i++) {
        const struct se_batch_part *part = &batch->part[i];
        assert_true(part->first_row == rows && part->n_rows > 0 &&
                    part->n_rows <= batch->n_rows - rows);
        assert_true(part->ask->want <= SE_WANT_VERDICT && part->ask->n_rows == part->n_rows);
        for (uint32_t k = 0; k < part->n_pages; k++)
            assert_true(part->page[k] < PAGES);
        for (uint32_t k = 0; k < part->n_rows; k++) {
            check_row(batch, &batch->row[rows + k], part->n_pages * SE_PAGE_SLOTS,
                      orders->head.n_tail);
            assert_true(part->ask->parent[k] >= SE_NODE_ROOT && part->ask->parent[k] < (int32_t)k);
            assert_true(part->ask->want != SE_WANT_VERDICT ||
                        batch->row[rows + k].slot == batch->row[rows].slot + k);
        }
        if (part->ask->hidden) /* there is room for all of it */
            memset(part->ask->hidden, 0,
                   (size_t)part->n_rows * limits.hidden * sizeof *part->ask->hidden);
        rows += part->n_rows;
    }
    assert_int_equal(rows, batch->n_rows);
}

static void check_moves(const struct se_orders *orders)
{
    assert_true(orders->head.n_moves <= PAGES * SE_PAGE_SLOTS);
    for (uint32_t i = 0; i < orders->head.n_moves; i++) {
        const struct se_kv_move *move = &orders->move[i];
        assert_true(move->from_page < PAGES && move->to_page < PAGES);
        assert_true(move->from_slot < SE_PAGE_SLOTS && move->to_slot < SE_PAGE_SLOTS);
    }
}

/* -EBADMSG, or the order that it was. */
static int receive(struct tape *tape)
{
    const struct se_collective_options options = { .deadline_ns = DEADLINE_NS };
    struct se_collective_memory *memory;
    struct se_collective *group;
    struct se_orders orders = { 0 };
    struct sender sender = { .tape = tape };
    pthread_t thread;
    assert_int_equal(se_collective_memory_new(&memory, 2), 0);
    assert_int_equal(se_collective_shm_open(&sender.group, memory, 0, &options), 0);
    assert_int_equal(se_collective_shm_open(&group, memory, 1, &options), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_main, &sender), 0);
    const int r = se_orders_receive(&orders, group, &limits);
    if (r < 0)
        group->ops->give_up(group, "refused");
    pthread_join(thread, NULL);
    if (r == SE_ORDER_FORWARD)
        check_batch(&orders);
    if (r == SE_ORDER_MOVE)
        check_moves(&orders);
    se_orders_fini(&orders);
    group->ops->close(group);
    sender.group->ops->close(sender.group);
    se_collective_memory_free(memory);
    return r;
}

static void what_cannot_be_is_refused(void **state)
{
    static const struct se_collective_ops ops = { .broadcast = tape_broadcast };
    struct se_rng rng;
    uint32_t taken = 0, refused = 0;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct tape *tape = calloc(1, sizeof *tape);
        assert_non_null(tape);
        tape->base.ops = &ops;
        if (se_rng_below(&rng, 4))
            draw_batch(&rng, tape);
        else
            draw_moves(&rng, tape);
        const bool changed = se_rng_below(&rng, 8) > 0;
        if (changed)
            change(&rng, tape);
        const int r = receive(tape);
        if (r < 0 && (r != -EBADMSG || !changed))
            fail_msg("round %u: %d, %s", round, r, se_err_text());
        taken += r >= 0;
        refused += r < 0;
        free(tape);
    }
    print_message("%u taken, %u refused\n", taken, refused);
    assert_true(taken > ROUNDS / 10 && refused > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    const char *text = getenv("SE_TEST_SEED");
    seed = text && *text ? strtoull(text, NULL, 0) : se_clock_ns();
    print_message("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests_name("orders", tests, NULL, NULL);
}
