/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/top_column.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "transport/wire.h"

enum { NAMES_B = 256 };

static double seconds(double ns) { return ns * 1e-9; }
static double age(uint64_t then_ns, uint64_t now_ns)
{
    return then_ns && now_ns > then_ns ? seconds((double)(now_ns - then_ns)) : 0;
}
static double known(double value, bool is) { return is ? value : (double)NAN; }
static double share(uint64_t part, uint64_t whole)
{
    return known((double)part / (double)(whole ? whole : 1), whole > 0);
}

/* Sorts as the first letters do. */
static double name_value(const char *name)
{
    double value = 0;
    for (int i = 0; i < 7; i++) {
        value = value * 128 + (*name & 0x7f);
        name += *name != 0;
    }
    return value;
}

static const char *draft_of(const struct se_top_session *s)
{
    const bool off = s->row.speculate == SE_WIRE_SPECULATE_OFF;
    return off ? "off" : *s->row.draft ? s->row.draft : "none";
}

/* A function for each column: what it is called after. */
#define VALUE(name, expression) \
    static double name(const struct se_top_session *s, uint64_t now_ns) \
    { \
        (void)now_ns; \
        return expression; \
    }
VALUE(of_session, (double)s->row.number)
VALUE(of_edge, (double)s->row.peer)
VALUE(of_key, name_value(s->row.key))
VALUE(of_state, (double)s->row.state)
VALUE(of_text, (double)s->row.text)
VALUE(of_rate, s->rate)
VALUE(of_verify, known((double)s->row.taken, s->row.rounds > 0))
VALUE(of_tree, known((double)s->row.nodes, s->row.rounds > 0))
VALUE(of_accept, share(s->row.accepted, s->row.drafted))
VALUE(of_bets, share(s->row.bets, s->row.trees))
VALUE(of_trip, known(seconds((double)s->row.trip_ns), s->row.turns > 0))
VALUE(of_think, known(seconds((double)s->row.think_ns), s->row.turns > 0))
VALUE(of_wait, known(seconds((double)s->row.wait_ns), s->row.rounds > 0))
VALUE(of_step, known(seconds((double)s->row.step_ns), s->row.rounds > 0))
VALUE(of_pages, (double)s->row.pages)
VALUE(of_rounds, (double)s->row.rounds)
VALUE(of_tokens, (double)s->row.tokens)
VALUE(of_silent, age(s->row.heard_ns, now_ns))
VALUE(of_age, age(s->row.opened_ns, now_ns))
VALUE(of_draft, name_value(draft_of(s)))
VALUE(of_temp, (double)s->row.temp)
#undef VALUE

static void edge_word(const struct se_top_session *s, char text[SE_TOP_CELL_B])
{
    snprintf(text, SE_TOP_CELL_B, s->row.peer ? "%" PRIx64 : "-", s->row.peer);
}

static void key_word(const struct se_top_session *s, char text[SE_TOP_CELL_B])
{
    snprintf(text, SE_TOP_CELL_B, "%.*s", SE_TOP_CELL_B - 1, *s->row.key ? s->row.key : "-");
}

static void state_word(const struct se_top_session *s, char text[SE_TOP_CELL_B])
{
    snprintf(text, SE_TOP_CELL_B, "%s", se_top_state_name(s->row.state));
}

static void draft_word(const struct se_top_session *s, char text[SE_TOP_CELL_B])
{
    snprintf(text, SE_TOP_CELL_B, "%.*s", SE_TOP_CELL_B - 1, draft_of(s));
}

const struct se_top_column se_top_columns[] = {
    { "session", 7, 0, SE_TOP_COUNT, false, of_session, NULL,
      "number of the session, in the order of opening" },
    { "edge", 8, 1, SE_TOP_WORD, false, of_edge, edge_word,
      "the edge's connection, as the server's log names it" },
    { "key", 10, 2, SE_TOP_WORD, false, of_key, key_word, "whose it is; where there are keys" },
    { "state", 6, 3, SE_TOP_WORD, true, of_state, state_word,
      "parked: no edge; idle; waits for a step; prompt or step: is in one" },
    { "text", 6, 6, SE_TOP_COUNT, true, of_text, NULL, "tokens of its text" },
    { "rate", 6, 4, SE_TOP_REAL, true, of_rate, NULL, "tokens per second, since the look before" },
    { "verify", 6, 5, SE_TOP_REAL, true, of_verify, NULL, "tokens of a round, lately" },
    { "tree", 5, 7, SE_TOP_REAL, true, of_tree, NULL,
      "nodes of a round's tree, lately, the root included" },
    { "accept", 6, 8, SE_TOP_SHARE, true, of_accept, NULL,
      "share of its drafted nodes that became text" },
    { "bets", 5, 14, SE_TOP_SHARE, true, of_bets, NULL,
      "share of its trees that grew before the last answer was there" },
    { "trip", 6, 9, SE_TOP_TIME, true, of_trip, NULL,
      "of an answer to its edge and of the next round back, lately" },
    { "think", 6, 10, SE_TOP_TIME, true, of_think, NULL,
      "from that answer to that round at the edge, as it says: drafting" },
    { "wait", 6, 11, SE_TOP_TIME, true, of_wait, NULL,
      "of a round for its step, from its arrival, lately" },
    { "step", 6, 13, SE_TOP_TIME, true, of_step, NULL, "the step that a round was in, lately" },
    { "pages", 5, 12, SE_TOP_COUNT, true, of_pages, NULL, "pages of keys and values" },
    { "rounds", 7, 15, SE_TOP_COUNT, true, of_rounds, NULL, "rounds that were answered" },
    { "tokens", 8, 16, SE_TOP_COUNT, true, of_tokens, NULL, "tokens that it was given" },
    { "silent", 6, 17, SE_TOP_TIME, true, of_silent, NULL,
      "since its edge was heard; parked: since it went" },
    { "age", 6, 18, SE_TOP_TIME, true, of_age, NULL, "since it was opened" },
    { "draft", 12, 19, SE_TOP_WORD, false, of_draft, draft_word,
      "who drafts, as its edge says: a model; ngram; none; off" },
    { "temp", 5, 20, SE_TOP_REAL, true, of_temp, NULL, "temperature" },
};
const uint32_t se_top_columns_n = sizeof se_top_columns / sizeof se_top_columns[0];

const char *se_top_state_name(uint32_t state)
{
    static const char *const name[SE_BOARD_STATES] = { [SE_BOARD_PARKED] = "parked",
                                                       [SE_BOARD_IDLE] = "idle",
                                                       [SE_BOARD_WAITS] = "waits",
                                                       [SE_BOARD_PROMPT] = "prompt",
                                                       [SE_BOARD_STEP] = "step" };
    return state < SE_BOARD_STATES ? name[state] : "?";
}

int se_top_column_find(const char *name)
{
    char names[NAMES_B] = "";
    for (uint32_t i = 0; i < se_top_columns_n; i++) {
        size_t len = strlen(names);
        if (strcmp(se_top_columns[i].name, name) == 0)
            return (int)i;
        snprintf(names + len, sizeof names - len, "%s%s", i ? ", " : "", se_top_columns[i].name);
    }
    return se_fail(-EINVAL, "'%.40s' is no column; there are %s", name, names);
}

static void count_text(char text[SE_TOP_CELL_B], double value, uint32_t width)
{
    static const char units[] = "kMGT";
    int len = snprintf(text, SE_TOP_CELL_B, "%.0f", value);
    for (int i = 0; len > (int)width && units[i]; i++) {
        value /= 1000;
        len = snprintf(text, SE_TOP_CELL_B, value < 10 ? "%.1f%c" : "%.0f%c", value, units[i]);
    }
}

static void time_text(char text[SE_TOP_CELL_B], double s)
{
    if (s < 1e-3)
        snprintf(text, SE_TOP_CELL_B, "%.0fus", s * 1e6);
    else if (s < 1)
        snprintf(text, SE_TOP_CELL_B, s < 10e-3 ? "%.1fms" : "%.0fms", s * 1e3);
    else if (s < 100)
        snprintf(text, SE_TOP_CELL_B, s < 10 ? "%.1fs" : "%.0fs", s);
    else if (s < 6000)
        snprintf(text, SE_TOP_CELL_B, "%.0fm", s / 60);
    else if (s < 360000)
        snprintf(text, SE_TOP_CELL_B, "%.0fh", s / 3600);
    else
        snprintf(text, SE_TOP_CELL_B, "%.0fd", s / 86400);
}

void se_top_value(char text[SE_TOP_CELL_B], enum se_top_kind kind, double value, uint32_t width)
{
    if (isnan(value))
        snprintf(text, SE_TOP_CELL_B, "-");
    else if (kind == SE_TOP_COUNT)
        count_text(text, value, width);
    else if (kind == SE_TOP_SHARE)
        snprintf(text, SE_TOP_CELL_B, "%.0f%%", 100 * value);
    else if (kind == SE_TOP_TIME)
        time_text(text, value);
    else if (value < 999.95)
        snprintf(text, SE_TOP_CELL_B, "%.1f", value);
    else
        count_text(text, value, width);
}

void se_top_cell(char text[SE_TOP_CELL_B], const struct se_top_column *column,
                 const struct se_top_session *session, uint64_t now_ns)
{
    if (column->word)
        column->word(session, text);
    else
        se_top_value(text, column->kind, column->value(session, now_ns), column->width);
}

static bool has_keys(const struct se_top_picture *picture)
{
    for (uint32_t i = 0; i < picture->n_sessions; i++)
        if (*picture->session[i].row.key)
            return true;
    return false;
}

uint32_t se_top_columns_fit(uint32_t width, const struct se_top_picture *picture, uint32_t *fit)
{
    const bool keys = has_keys(picture);
    uint32_t n = 0, used = 0, rank = 0;
    for (; rank < se_top_columns_n; rank++) { /* each has a rank of its own */
        uint32_t i = 0;
        while (i + 1 < se_top_columns_n && se_top_columns[i].rank != rank)
            i++;
        if (se_top_columns[i].value == of_key && !keys)
            continue;
        used += se_top_columns[i].width + (rank > 0);
        if (used > width)
            break;
    }
    for (uint32_t i = 0; i < se_top_columns_n; i++)
        if (se_top_columns[i].rank < rank && (keys || se_top_columns[i].value != of_key))
            fit[n++] = i;
    return n;
}

/* ---- order */

struct key {
    double value;
    uint64_t number;
    uint32_t at;
};

static int by_value(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    const bool no_x = isnan(x->value), no_y = isnan(y->value);
    if (no_x != no_y)
        return no_x - no_y;
    if (!no_x && x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

void se_top_sort(struct se_top_picture *picture, uint32_t column, bool reverse)
{
    static struct key key[SE_BOARD_ROWS_MAX]; /* large, and one thread calls */
    static struct se_top_session sorted[SE_BOARD_ROWS_MAX];
    const struct se_top_column *of = &se_top_columns[column];
    const double sign = of->falls != reverse ? -1 : 1;
    for (uint32_t i = 0; i < picture->n_sessions; i++) {
        const struct se_top_session *session = &picture->session[i];
        key[i] = (struct key){ sign * of->value(session, picture->now_ns), session->row.number, i };
    }
    qsort(key, picture->n_sessions, sizeof key[0], by_value);
    for (uint32_t i = 0; i < picture->n_sessions; i++)
        sorted[i] = picture->session[key[i].at];
    memcpy(picture->session, sorted, picture->n_sessions * sizeof sorted[0]);
}
