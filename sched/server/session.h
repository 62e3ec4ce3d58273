/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/session.h - what the server knows of each edge's text.
 *
 *   text  0 ............... computed ............ n   (root: comes with the tree)
 *         keys and values   prompt, to be         ▲
 *         are there         computed              base of the next round
 *
 * A session outlives its connection: without an edge it is parked. The one that was parked
 * longest loses first its keys and values and then its place, when others need them, and so does
 * one whose edge was silent for as long as parked ones are kept; the edge owns the text and
 * brings it again. Idle, a session is this struct and four bytes per id. */
#ifndef SE_SCHED_SERVER_SESSION_H
#define SE_SCHED_SERVER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/map.h"
#include "runtime/model/kv.h"
#include "runtime/model/sample.h"
#include "sched/server/account.h"
#include "sched/server/board.h"
#include "transport/link.h"
#include "transport/wire.h"

#define SE_SESSION_NONE UINT32_MAX

struct se_session {
    uint64_t id; /* 0: free */
    uint64_t token[2];
    uint64_t nonce;             /* of the HELLO or RESUME that was answered last */
    se_link_peer peer;          /* 0: parked */
    struct se_account *account; /* whose it is; NULL: nobody asks for keys */
    uint64_t heard_ns;          /* its edge's last frame; parked: since when */
    uint32_t next, prev;        /* of one edge; free: the next free one */
    bool closing;               /* over as soon as no job has it */
    struct se_sampling sampling;

    uint32_t *text; /* ids before the root */
    uint32_t n;
    size_t cap;
    uint64_t hash; /* of text[0..n-1] */

    struct se_seq *seq; /* NULL: it has no keys and values */
    uint32_t computed;  /* of the first so many ids */
    uint32_t pages;     /* that it has, or may need in its job */
    bool in_job;
    uint32_t job_rows;
    uint32_t valid;   /* while in a job: the text was cut back to here meanwhile */
    uint32_t slot;    /* the round under way, or SE_SLOT_NONE */
    bool wants;       /* in the queue of prompts */
    uint64_t want_ns; /* since when */
    uint32_t want_next, want_prev;

    uint32_t round; /* the last that was answered, or that CANCEL or RESUME named */
    bool loose;     /* after RESUME the next round may also be this one again */
    bool answered;  /* answer is that of round */
    struct se_wire_result answer;
    uint16_t ahead;        /* rounds to push after the one under way */
    uint32_t stream_round; /* the VERIFY that asked for them */

    /* What the policy expects of it. */
    uint64_t answered_ns;                  /* when the last answer left, 0: none did */
    float turn_ns, turn_dev_ns, turn_rows; /* from an answer to the next round, and its size */
    bool at_work;
    uint32_t work_next, work_prev;

    /* For whoever looks in (show.c). */
    bool touched; /* in the list of those to be shown */
    bool answered_new;
    uint32_t asked_think_us, asked_trip_us; /* of the round under way; 0: not known */
    struct se_board_round answered_last;
    struct se_board_row shown;
};

struct se_sessions {
    struct se_session *session;
    uint32_t max, used, n, first_free; /* used: of the array, ever */
    uint32_t parked;
    uint64_t evictions; /* sessions that lost their keys and values */
    struct se_map by_id, by_nonce;
    uint64_t secret[2], opened;
    uint32_t *touched, n_touched; /* changed since they were shown last */
};

int se_sessions_init(struct se_sessions *all, uint32_t max, const uint64_t secret[2]);
/* Sequences must be gone. */
void se_sessions_fini(struct se_sessions *all);

/* A new session, parked, or SE_SESSION_NONE: no memory, or no place. */
uint32_t se_session_open(struct se_sessions *all, uint64_t nonce);
void se_session_close(struct se_sessions *all, uint32_t at);
/* Whose it is from now on. */
void se_session_charge(struct se_session *session, struct se_account *account);
uint32_t se_session_find(const struct se_sessions *all, uint64_t id);
uint32_t se_session_find_nonce(const struct se_sessions *all, uint64_t nonce);
/* The nonce of a RESUME; a repeat of it finds the session. 0 or -ENOMEM. */
int se_session_set_nonce(struct se_sessions *all, uint32_t at, uint64_t nonce);
bool se_session_token_is(const struct se_session *session, const uint64_t token[2]);

/* Text grows at its end. 0 or -ENOMEM. */
int se_session_append(struct se_session *session, const uint32_t *id, uint32_t n);
/* Room for n more, while nobody waits; if there is none, append will say so. */
void se_session_reserve(struct se_session *session, uint32_t n);
/* Something of it has changed that others may see. */
void se_session_touch(struct se_sessions *all, uint32_t at);
/* Text is cut to n ids. */
void se_session_cut(struct se_session *session, uint32_t n);

#endif
