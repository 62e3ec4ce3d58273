/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/board.h - what a server's sessions are doing, in shared memory, for others to see.
 *
 *   page: | facts of the server | row | row | ...      row: | sequence | words | last rounds |
 *
 * Lies beside the page of counters (runtime/base/stat.h), under its name with ".sessions" behind
 * it, and belongs to whoever has that one. One thread writes, at the cost of a few stores and
 * never waiting; readers get a row whole or not at all. Rows are those of the table of sessions,
 * the first SE_BOARD_ROWS_MAX of them. */
#ifndef SE_SCHED_SERVER_BOARD_H
#define SE_SCHED_SERVER_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/stat.h"

struct se_board;

enum {
    SE_BOARD_ROWS_MAX = 1024,
    SE_BOARD_ROUNDS = 16,
    SE_BOARD_TEXT_B = 128,
    SE_BOARD_KEY_B = 32,
    SE_BOARD_DRAFT_B = 33
};

/* What stays the same while the server runs. */
struct se_board_facts {
    char model[SE_BOARD_TEXT_B]; /* folder; texts that are longer are cut */
    char url[SE_BOARD_TEXT_B];
    char backend[SE_BOARD_TEXT_B];
    char weights[16], kv[16];
    uint32_t max_rows, max_nodes, max_sessions, context;
    uint64_t has_keys; /* sessions have names, which are not for everybody on the machine */
};

enum se_board_state {
    SE_BOARD_PARKED, /* its edge is gone */
    SE_BOARD_IDLE,   /* nothing is under way: its edge drafts, or has what it wanted */
    SE_BOARD_WAITS,  /* for a step, with a round or a prompt */
    SE_BOARD_PROMPT, /* a piece of its prompt is in a step, or about to be */
    SE_BOARD_STEP,   /* its round is */
    SE_BOARD_STATES
};

/* A round that was answered. */
struct se_board_round {
    uint16_t nodes, taken; /* of the tree, root included; that became text */
    uint32_t think_us;     /* from the answer before it, at the edge: drafting; and the way there */
    uint32_t trip_us;      /* and back. Both 0: the edge was not waited for, or did not say */
    uint32_t wait_us, step_us;
    uint32_t unused;
};

struct se_board_row {
    uint64_t number;              /* 1, 2, ... in the order of opening; 0: nobody is here */
    uint64_t peer;                /* the edge, as the log calls it; 0: parked */
    uint64_t opened_ns, heard_ns; /* by the server's clock */
    uint64_t rounds, tokens;      /* answered; that became text */
    uint64_t drafted, accepted;   /* nodes, roots apart */
    uint64_t trees, bets;         /* rounds that the edge sent; those that grew from a bet */
    uint64_t turns;               /* rounds that the edge sent right behind an answer */
    uint32_t state;               /* enum se_board_state */
    uint32_t text, pages;         /* ids before the root; of keys and values */
    /* Means over the last rounds, some eight of them. 0: there was none yet. */
    float nodes, taken, think_ns, trip_ns, wait_ns, step_ns;
    float temp;
    uint8_t speculate;            /* enum se_wire_speculate, as the edge said */
    char draft[SE_BOARD_DRAFT_B]; /* who drafts, as the edge said; "": nobody */
    uint8_t unused[2];
    char key[SE_BOARD_KEY_B]; /* whose it is; "": nobody asks for keys */
};

/* stat: the counters beside it; name: of that page, NULL: for this process alone. Rows are empty. 0
 * or -errno. */
int se_board_create(struct se_board **out, const char *name, const struct se_stat *stat,
                    const struct se_board_facts *facts);
/* Opens that of another process. -ENOENT, -EPROTO when it is none or belongs to other counters. */
int se_board_open(struct se_board **out, const char *name, const struct se_stat *stat);
/* A board as it is now, for somebody who cannot map it: the size of its image, up to the last row
 * that is taken, and of an image of that size a part, from a byte on at which another part has ended
 * (or 0) and to the end of its last row that there is room for. How many bytes that was. */
size_t se_board_image_size(const struct se_board *board);
size_t se_board_image(const struct se_board *board, size_t size_b, size_t from_b, void *to,
                      size_t room_b);
/* A copy of such bytes, all parts together, for reading. -EPROTO as with open; from: who sent them, for the words. */
int se_board_open_image(struct se_board **out, const void *image, size_t size_b, const char *from,
                        const struct se_stat *stat);
/* The creator also removes the name. NULL is fine. */
void se_board_free(struct se_board *board);

/* The writer's. Row and, if there was one since, the round that was answered last; a number that
 * is not the one before empties the list of rounds. A place beyond the table is nobody's. */
void se_board_put(struct se_board *board, uint32_t at, const struct se_board_row *row,
                  const struct se_board_round *round);

/* The readers'. */
uint32_t se_board_rows(const struct se_board *board);
const struct se_board_facts *se_board_facts(const struct se_board *board);
/* A whole row, and as many of its last rounds as there are, the oldest first: their number in
 * *n. False: nobody is there, or it was written each time that it was looked at. */
bool se_board_get(const struct se_board *board, uint32_t at, struct se_board_row *row,
                  struct se_board_round round[SE_BOARD_ROUNDS], uint32_t *n);

#endif
