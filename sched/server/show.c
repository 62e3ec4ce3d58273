/* SPDX-License-Identifier: Apache-2.0 */
/* What a server shows of its sessions. Whatever changes one touches it, and at the end of a round of
 * duty, when all that somebody waits for has left, those that were touched are written. */
#include <string.h>

#include "sched/server/parts.h"

_Static_assert((int)SE_BOARD_KEY_B == (int)SE_KEYRING_NAME_B, "a key's name fits");
_Static_assert((int)SE_BOARD_DRAFT_B == (int)SE_WIRE_DRAFT_MAX + 1, "and so does a draft's");

/* A mean over some eight rounds; the first counts in full. */
static void mean(float *of, float value, uint64_t rounds)
{
    *of += rounds <= 1 ? value - *of : (value - *of) / 8;
}

static uint32_t us_of(uint64_t ns)
{
    return ns / 1000 < UINT32_MAX ? (uint32_t)(ns / 1000) : UINT32_MAX;
}

static uint64_t since(uint64_t begun_ns, uint64_t end_ns)
{
    return end_ns > begun_ns ? end_ns - begun_ns : 0;
}

void se_show_opened(struct se_server *s, uint32_t at, const struct se_wire_hello *hello,
                    uint64_t now_ns)
{
    struct se_session *session = se_server_session(s, at);
    session->shown = (struct se_board_row){ .number = s->sessions.opened,
                                            .opened_ns = now_ns,
                                            .temp = (float)hello->temp,
                                            .speculate = hello->speculate };
    memcpy(session->shown.draft, hello->draft, hello->n_draft + 1u);
    session->answered_new = false;
}

/* The time since the last answer is the edge's, as it says, and that of the way there and back. */
void se_show_asked(struct se_server *s, uint32_t at, const struct se_wire_verify *verify,
                   uint64_t now_ns)
{
    struct se_session *session = se_server_session(s, at);
    struct se_board_row *row = &session->shown;
    row->trees++;
    row->bets += (verify->flags & SE_WIRE_VERIFY_BET) != 0;
    session->asked_think_us = session->asked_trip_us = 0;
    if (verify->think_us == SE_WIRE_U24_MAX || session->answered_ns == 0)
        return;
    const uint64_t think_ns = UINT64_C(1000) * verify->think_us;
    const uint64_t trip_ns = since(session->answered_ns + think_ns, now_ns);
    row->turns++;
    mean(&row->think_ns, (float)think_ns, row->turns);
    mean(&row->trip_ns, (float)trip_ns, row->turns);
    session->asked_think_us = verify->think_us;
    session->asked_trip_us = us_of(trip_ns);
}

/* Before the session's time of the last answer is that of this one. */
void se_show_answered(struct se_server *s, const struct se_slot *slot)
{
    struct se_session *session = se_server_session(s, slot->session);
    struct se_board_row *row = &session->shown;
    const uint64_t wait_ns = since(slot->arrived_ns, slot->begun_ns);
    const uint64_t step_ns = since(slot->begun_ns, slot->ended_ns);
    row->rounds++;
    row->tokens += slot->n_path;
    row->drafted += slot->n - 1;
    row->accepted += slot->n_path - 1;
    mean(&row->nodes, (float)slot->n, row->rounds);
    mean(&row->taken, (float)slot->n_path, row->rounds);
    mean(&row->wait_ns, (float)wait_ns, row->rounds);
    mean(&row->step_ns, (float)step_ns, row->rounds);
    session->answered_last = (struct se_board_round){
        .nodes = (uint16_t)slot->n,
        .taken = (uint16_t)slot->n_path,
        .think_us = slot->pushed ? 0 : session->asked_think_us,
        .trip_us = slot->pushed ? 0 : session->asked_trip_us,
        .wait_us = us_of(wait_ns),
        .step_us = us_of(step_ns),
    };
    session->answered_new = true;
}

void se_show_round(struct se_server *s, const struct se_slot *slot, uint64_t sent_ns)
{
    if (!s->o.watch.round)
        return;
    const struct se_server_round round = {
        .session = se_server_session(s, slot->session)->id,
        .step = slot->step,
        .came_ns = slot->came_ns,
        /* A prompt that was computed before the round came does not count from then. */
        .ready_ns = slot->ready_ns > slot->came_ns ? slot->ready_ns : slot->came_ns,
        .begun_ns = slot->begun_ns,
        .ended_ns = slot->ended_ns,
        .sent_ns = sent_ns,
        .round = slot->round,
        .base = slot->base,
        .nodes = slot->n,
        .taken = slot->n_path,
        .pushed = slot->pushed,
    };
    s->o.watch.round(s->o.watch.context, &round);
}

static enum se_board_state state_of(const struct se_server *s, const struct se_session *session)
{
    const struct se_slot *slot =
        session->slot == SE_SLOT_NONE ? NULL : &s->pipeline.slots.slot[session->slot];
    if (session->peer == 0)
        return SE_BOARD_PARKED;
    if (session->in_job)
        return slot && slot->state == SE_SLOT_RUNNING ? SE_BOARD_STEP : SE_BOARD_PROMPT;
    return slot || session->wants ? SE_BOARD_WAITS : SE_BOARD_IDLE;
}

static void show(struct se_server *s, uint32_t at)
{
    struct se_session *session = se_server_session(s, at);
    struct se_board_row *row = &session->shown;
    session->touched = false;
    if (!s->o.board)
        return;
    if (session->id == 0) {
        const struct se_board_row nobody = { .number = 0 };
        se_board_put(s->o.board, at, &nobody, NULL);
        return;
    }
    row->peer = session->peer;
    memcpy(row->key, se_keys_name(session->account), strlen(se_keys_name(session->account)) + 1);
    row->heard_ns = session->heard_ns;
    row->state = (uint32_t)state_of(s, session);
    row->text = session->n;
    row->pages = session->pages;
    se_board_put(s->o.board, at, row, session->answered_new ? &session->answered_last : NULL);
    session->answered_new = false;
}

void se_show_touched(struct se_server *s)
{
    for (uint32_t i = 0; i < s->sessions.n_touched; i++)
        show(s, s->sessions.touched[i]);
    s->sessions.n_touched = 0;
}
