/* SPDX-License-Identifier: Apache-2.0 */
/* tools/top_picture.h - what one look at a server has shown. What is not known is not a number. */
#ifndef SE_TOOLS_TOP_PICTURE_H
#define SE_TOOLS_TOP_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/server/board.h"
#include "sched/server/counter.h"

enum { SE_TOP_PAST = 256, SE_TOP_NAME_B = 256 };

struct se_top_session {
    struct se_board_row row;
    struct se_board_round round[SE_BOARD_ROUNDS]; /* the oldest first */
    uint32_t n_rounds;
    double rate; /* tokens per second since the look before */
};

struct se_top_picture {
    char name[SE_TOP_NAME_B];    /* of the page, or of the one that is waited for; "": any */
    bool remote;                 /* it is asked over a link, and name is the URL */
    char trouble[SE_TOP_NAME_B]; /* why there is none, of one that is asked over a link; or "" */
    bool here;                   /* there is a server; if not, nothing below means anything */
    uint32_t place, servers;     /* this is the place-th (from 1) of so many on this machine */
    int64_t pid;
    uint64_t started_ns, now_ns;
    bool has_board; /* facts and sessions are known */
    struct se_board_facts facts;
    double count[SE_COUNT_END];

    /* Over the time since the look before. */
    double span_s;
    double steps_s, tokens_s, rounds_s;
    double rows;   /* of a step, on the average */
    double busy;   /* share of the time in which the engine ran */
    double wait_s; /* of a round, for its step */
    double step_s;
    double taken;  /* tokens of a round */
    double accept; /* share of the drafted nodes */

    float tokens_past[SE_TOP_PAST], rows_past[SE_TOP_PAST]; /* of each look */
    uint32_t n_past;

    struct se_top_session session[SE_BOARD_ROWS_MAX];
    uint32_t n_sessions;
};

#endif
