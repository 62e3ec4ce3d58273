/* SPDX-License-Identifier: Apache-2.0 */
/* One thread writes a row over and over, all its words of the same number; another reads, and may
 * never get words of two writings. This is the test of [board.row]. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "sched/server/board.h"
#include "sched/server/counter.h"

enum { WHOLE = 2000 }; /* rows to be read */
#define DEADLINE_NS UINT64_C(60000000000)

static struct se_board *board;
static _Atomic bool stop;

static void *write_rows(void *context)
{
    (void)context;
    for (uint32_t i = 1; !atomic_load(&stop); i++) {
        const struct se_board_row row = { .number = 1,
                                          .peer = i,
                                          .opened_ns = i,
                                          .heard_ns = i,
                                          .rounds = i,
                                          .tokens = i,
                                          .drafted = i,
                                          .accepted = i,
                                          .trees = i,
                                          .bets = i,
                                          .text = i,
                                          .pages = i };
        const struct se_board_round round = { .trip_us = i, .wait_us = i, .step_us = i };
        se_board_put(board, 0, &row, &round);
    }
    return NULL;
}

static bool is_whole(const struct se_board_row *r, const struct se_board_round *newest)
{
    const uint64_t i = r->peer;
    return r->opened_ns == i && r->heard_ns == i && r->rounds == i && r->tokens == i &&
           r->drafted == i && r->accepted == i && r->trees == i && r->bets == i && r->text == i &&
           r->pages == i && newest->trip_us == i && newest->wait_us == i && newest->step_us == i;
}

static int read_rows(void)
{
    const uint64_t end_ns = se_clock_ns() + DEADLINE_NS;
    for (uint32_t seen = 0; seen < WHOLE;) {
        struct se_board_row row;
        struct se_board_round round[SE_BOARD_ROUNDS];
        uint32_t n;
        if (se_board_get(board, 0, &row, round, &n)) {
            seen++;
            if (n == 0 || !is_whole(&row, &round[n - 1]))
                return se_fail(-1, "a row of two writings, after %u whole ones", seen - 1);
        }
        if (se_clock_ns() > end_ns)
            return se_fail(-1, "%u whole rows in a minute", seen);
    }
    return 0;
}

int main(void)
{
    struct se_stat *stat = NULL;
    pthread_t writer;
    char name[64];
    const struct se_board_facts facts = { .max_sessions = 1 };
    snprintf(name, sizeof name, "se-stress-board-%ld", (long)getpid());
    int r = se_stat_create(&stat, NULL, se_counter_labels, SE_COUNT_END);
    if (r == 0)
        r = se_board_create(&board, name, stat, &facts);
    if (r == 0)
        r = -pthread_create(&writer, NULL, write_rows, NULL);
    if (r == 0) {
        r = read_rows();
        atomic_store(&stop, true);
        pthread_join(writer, NULL);
    }
    if (r < 0)
        fprintf(stderr, "%s\n", se_err_text());
    se_board_free(board);
    se_stat_free(stat);
    return r < 0;
}
