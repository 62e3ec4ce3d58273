/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/top_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tools/top_column.h"

enum { BAR = 12, FOOT = 1, ROUND_LINES = 10, COLUMNS_MAX = 32, SECOND = 44 };

/* ---- which sessions */

static bool has(const char *text, const char *part)
{
    size_t len = strlen(part);
    for (; *text; text++)
        if (strncasecmp(text, part, len) == 0)
            return true;
    return len == 0;
}

static bool passes(const struct se_top_session *session, const char *filter)
{
    char cell[SE_TOP_CELL_B];
    for (uint32_t i = 0; i < se_top_columns_n; i++) {
        const struct se_top_column *column = &se_top_columns[i];
        if (!column->word && i != 0) /* words, and the number of the session */
            continue;
        se_top_cell(cell, column, session, 0);
        if (has(cell, filter))
            return true;
    }
    return false;
}

void se_top_arrange(struct se_top_picture *p, const struct se_top_view *view)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_sessions; i++) {
        if (!passes(&p->session[i], view->filter))
            continue;
        if (n != i)
            p->session[n] = p->session[i];
        n++;
    }
    p->n_sessions = n;
    se_top_sort(p, view->sort, view->reverse);
}

/* ---- the server */

static const char *value(char text[SE_TOP_CELL_B], enum se_top_kind kind, double number)
{
    se_top_value(text, kind, number, 7);
    return text;
}

static const char *uptime(char text[SE_TOP_CELL_B], uint64_t ns)
{
    uint64_t s = ns / 1000000000;
    if (s < 86400)
        snprintf(text, SE_TOP_CELL_B, "up %02u:%02u:%02u", (unsigned)(s / 3600),
                 (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    else
        snprintf(text, SE_TOP_CELL_B, "up %ud %02u:%02u", (unsigned)(s / 86400),
                 (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60));
    return text;
}

static void draw_name(struct se_lines *lines, const struct se_top_picture *p)
{
    char text[SE_TOP_CELL_B];
    se_lines_print(lines, "%s", p->name);
    if (p->servers > 1)
        se_lines_print(lines, " (%" PRIu32 " of %" PRIu32 " servers)", p->place, p->servers);
    if (p->has_board)
        se_lines_print(lines, "  %s", p->facts.url);
    se_lines_right(lines, uptime(text, p->now_ns > p->started_ns ? p->now_ns - p->started_ns : 0));
    se_lines_end(lines, SE_LINE_TITLE);
    if (p->has_board)
        se_lines_print(lines, "%s, weights %s, keys and values %s, %s", p->facts.model,
                       p->facts.weights, p->facts.kv, p->facts.backend);
    se_lines_end(lines, SE_LINE_PLAIN);
}

static void draw_sessions(struct se_lines *lines, const struct se_top_picture *p)
{
    char text[SE_TOP_CELL_B];
    se_lines_print(lines, "sessions %s", value(text, SE_TOP_COUNT, p->count[SE_COUNT_SESSIONS]));
    if (p->has_board)
        se_lines_print(lines, " of %" PRIu32, p->facts.max_sessions);
    se_lines_print(lines, ", %s at work", value(text, SE_TOP_COUNT, p->count[SE_COUNT_AT_WORK]));
    se_lines_print(lines, ", %s parked", value(text, SE_TOP_COUNT, p->count[SE_COUNT_PARKED]));
    se_lines_to(lines, SECOND);
    se_lines_print(lines, "edges %s", value(text, SE_TOP_COUNT, p->count[SE_COUNT_PEERS]));
    se_lines_end(lines, SE_LINE_PLAIN);
}

/* How full its steps are, of all that they could hold. */
static void draw_steps(struct se_lines *lines, const struct se_top_picture *p)
{
    char text[SE_TOP_CELL_B];
    se_lines_print(lines, "steps  %6s/s  %6s", value(text, SE_TOP_REAL, p->steps_s), "");
    se_lines_print(lines, "each %s", value(text, SE_TOP_TIME, p->step_s));
    se_lines_to(lines, SECOND);
    se_lines_print(lines, "rows  ");
    if (p->has_board)
        se_lines_bar(lines, BAR, p->rows / p->facts.max_rows);
    se_lines_print(lines, " %s", value(text, SE_TOP_REAL, p->rows));
    if (p->has_board)
        se_lines_print(lines, " of %" PRIu32, p->facts.max_rows);
    se_lines_end(lines, SE_LINE_PLAIN);
}

static void draw_tokens(struct se_lines *lines, const struct se_top_picture *p)
{
    char text[SE_TOP_CELL_B];
    se_lines_print(lines, "tokens %6s/s  %6s", value(text, SE_TOP_REAL, p->tokens_s), "");
    se_lines_print(lines, "verify %s", value(text, SE_TOP_REAL, p->taken));
    se_lines_to(lines, SECOND);
    const double pages = p->count[SE_COUNT_PAGES];
    const double used = pages - p->count[SE_COUNT_PAGES_FREE];
    se_lines_print(lines, "pages ");
    se_lines_bar(lines, BAR, used / pages);
    se_lines_print(lines, " %s", value(text, SE_TOP_COUNT, used));
    se_lines_print(lines, " of %s", value(text, SE_TOP_COUNT, pages));
    se_lines_end(lines, SE_LINE_PLAIN);
}

static void draw_rounds(struct se_lines *lines, const struct se_top_picture *p)
{
    char text[SE_TOP_CELL_B];
    se_lines_print(lines, "rounds %6s/s  %6s", value(text, SE_TOP_REAL, p->rounds_s), "");
    se_lines_print(lines, "accept %s", value(text, SE_TOP_SHARE, p->accept));
    se_lines_to(lines, SECOND);
    se_lines_print(lines, "busy  ");
    se_lines_bar(lines, BAR, p->busy);
    se_lines_print(lines, " %s", value(text, SE_TOP_SHARE, p->busy));
    se_lines_print(lines, ", wait %s", value(text, SE_TOP_TIME, p->wait_s));
    se_lines_end(lines, SE_LINE_PLAIN);
}

/* Two curves, each over half of the width. */
static void draw_past(struct se_lines *lines, const struct se_top_picture *p)
{
    const uint32_t half = lines->width / 2;
    const uint32_t room = half > 10 ? half - 10 : 0;
    se_lines_print(lines, "tokens ");
    se_lines_curve(lines, room, p->tokens_past, p->n_past);
    se_lines_to(lines, half);
    se_lines_print(lines, "rows ");
    se_lines_curve(lines, room, p->rows_past, p->n_past);
    se_lines_end(lines, SE_LINE_DIM);
}

void se_top_draw_server(struct se_lines *lines, const struct se_top_picture *p)
{
    draw_name(lines, p);
    draw_sessions(lines, p);
    draw_steps(lines, p);
    draw_tokens(lines, p);
    draw_rounds(lines, p);
}

/* ---- the sessions */

static void print_cell(struct se_lines *lines, const struct se_top_column *column, const char *text,
                       bool first)
{
    const bool left = column->kind == SE_TOP_WORD;
    const size_t len = strlen(text);
    if (left && len > column->width) /* of an edge's number the end tells more */
        text += len - column->width;
    se_lines_print(lines, left ? "%s%-*.*s" : "%s%*.*s", first ? "" : " ", (int)column->width,
                   (int)column->width, text);
}

static void draw_headings(struct se_lines *lines, const struct se_top_view *view,
                          const uint32_t *fit, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct se_top_column *column = &se_top_columns[fit[i]];
        print_cell(lines, column, column->name, i == 0);
    }
    se_lines_to(lines, lines->width); /* its colour goes as far as the screen */
    se_lines_end(lines, SE_LINE_HEADING);
    (void)view;
}

static enum se_line_style style_of(const struct se_top_session *session,
                                   const struct se_top_view *view)
{
    static const enum se_line_style style[SE_BOARD_STATES] = {
        [SE_BOARD_PARKED] = SE_LINE_DIM,  [SE_BOARD_IDLE] = SE_LINE_PLAIN,
        [SE_BOARD_WAITS] = SE_LINE_WAITS, [SE_BOARD_PROMPT] = SE_LINE_BUSY,
        [SE_BOARD_STEP] = SE_LINE_BUSY,
    };
    return session->row.number == view->chosen ? SE_LINE_CHOSEN : style[session->row.state];
}

void se_top_draw_table(struct se_lines *lines, const struct se_top_picture *p,
                       const struct se_top_view *view, uint32_t most)
{
    uint32_t fit[COLUMNS_MAX];
    const uint32_t n = se_top_columns_fit(lines->width, p, fit);
    draw_headings(lines, view, fit, n);
    for (uint32_t i = view->scroll; i < p->n_sessions && i - view->scroll < most; i++) {
        const struct se_top_session *session = &p->session[i];
        for (uint32_t k = 0; k < n; k++) {
            char cell[SE_TOP_CELL_B];
            const struct se_top_column *column = &se_top_columns[fit[k]];
            se_top_cell(cell, column, session, p->now_ns);
            print_cell(lines, column, cell, k == 0);
        }
        se_lines_end(lines, style_of(session, view));
    }
}

/* ---- the last rounds of one session */

static const struct se_top_session *find_chosen(const struct se_top_picture *p,
                                                const struct se_top_view *view, uint32_t *at)
{
    for (*at = 0; *at < p->n_sessions; ++*at)
        if (p->session[*at].row.number == view->chosen)
            return &p->session[*at];
    return NULL;
}

static uint64_t whole_us(const struct se_board_round *round)
{
    return (uint64_t)round->think_us + round->trip_us + round->wait_us + round->step_us;
}

static uint32_t cells_of(uint32_t us, uint64_t longest_us, uint32_t room)
{
    return longest_us ? (uint32_t)((double)us * room / (double)longest_us + 0.5) : 0;
}

static void repeat(struct se_lines *lines, const char *what, uint32_t n)
{
    while (n-- > 0)
        se_lines_print(lines, "%s", what);
}

static void draw_round(struct se_lines *lines, const struct se_board_round *round,
                       uint64_t longest_us)
{
    char trip[SE_TOP_CELL_B], think[SE_TOP_CELL_B], wait[SE_TOP_CELL_B], step[SE_TOP_CELL_B];
    const uint32_t room = lines->width > 47 ? lines->width - 47 : 0;
    const bool known = round->trip_us || round->think_us;
    se_top_value(trip, SE_TOP_TIME, known ? round->trip_us * 1e-6 : (double)NAN, 6);
    se_top_value(think, SE_TOP_TIME, known ? round->think_us * 1e-6 : (double)NAN, 6);
    se_top_value(wait, SE_TOP_TIME, round->wait_us * 1e-6, 6);
    se_top_value(step, SE_TOP_TIME, round->step_us * 1e-6, 6);
    se_lines_print(lines, "%6u %6u %6s %6s %6s %6s  ", round->nodes, round->taken, trip, think,
                   wait, step);
    repeat(lines, ".", cells_of(round->trip_us, longest_us, room));
    repeat(lines, "~", cells_of(round->think_us, longest_us, room));
    repeat(lines, "-", cells_of(round->wait_us, longest_us, room));
    repeat(lines, "#", cells_of(round->step_us, longest_us, room));
    se_lines_end(lines, SE_LINE_PLAIN);
}

static void draw_last(struct se_lines *lines, const struct se_top_session *session)
{
    uint64_t longest_us = 0;
    const uint32_t n = session->n_rounds;
    const uint32_t most = ROUND_LINES - 2, first = n > most ? n - most : 0;
    for (uint32_t i = first; i < n; i++)
        if (whole_us(&session->round[i]) > longest_us)
            longest_us = whole_us(&session->round[i]);
    se_lines_print(
        lines, "last rounds of session %" PRIu64 ", the newest below: . trip ~ think - wait # step",
        session->row.number);
    se_lines_end(lines, SE_LINE_TITLE);
    se_lines_print(lines, "%6s %6s %6s %6s %6s %6s", "nodes", "taken", "trip", "think", "wait",
                   "step");
    se_lines_end(lines, SE_LINE_DIM);
    for (uint32_t i = first; i < n; i++)
        draw_round(lines, &session->round[i], longest_us);
}

/* ---- the whole screen */

const char *se_top_waiting(const struct se_top_picture *p, char text[SE_TOP_WAITING_B])
{
    snprintf(text, SE_TOP_WAITING_B, "waiting for a server %s %s%s%s", p->remote ? "at" : "named",
             p->name, *p->trouble ? ": " : "", p->trouble);
    return text;
}

static void draw_waiting(struct se_lines *lines, const struct se_top_picture *p)
{
    char text[SE_TOP_WAITING_B];
    se_lines_print(lines, "%s", se_top_waiting(p, text));
    se_lines_end(lines, SE_LINE_TITLE);
    if (p->servers > 0 && !p->remote)
        se_lines_print(lines, "%" PRIu32 " others are there: Tab", p->servers);
    se_lines_end(lines, SE_LINE_PLAIN);
}

/* Two lines, so that all columns fit below them on 24. */
static const char *const keys[] = {
    "Up, Down  choose a session   Enter  its last rounds, or not   Tab  next server",
    "<, >  sort by a column   r  the other way   /  filter   p  pause   q  leave",
};

static void draw_help(struct se_lines *lines)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        se_lines_print(lines, "%s", keys[i]);
        se_lines_end(lines, SE_LINE_PLAIN);
    }
    for (uint32_t i = 0; i < se_top_columns_n && se_lines_left(lines) > FOOT; i++) {
        se_lines_print(lines, "%-9s%s", se_top_columns[i].name, se_top_columns[i].help);
        se_lines_end(lines, SE_LINE_PLAIN);
    }
}

static void draw_foot(struct se_lines *lines, const struct se_top_picture *p,
                      const struct se_top_view *view)
{
    char right[64];
    while (se_lines_left(lines) > FOOT)
        se_lines_end(lines, SE_LINE_PLAIN);
    if (view->typing)
        se_lines_print(lines, "filter: %s_", view->filter);
    else if (view->help)
        se_lines_print(lines, "h back  q quit");
    else
        se_lines_print(lines, "%sq quit  h help  < > sort  r reverse  / filter  p pause",
                       view->paused ? "PAUSED  " : "");
    if (view->filter[0] && !view->typing)
        se_lines_print(lines, "  [%s]", view->filter);
    snprintf(right, sizeof right, "%s%s, %" PRIu32, view->reverse ? "-" : "",
             se_top_columns[view->sort].name, p->n_sessions);
    se_lines_right(lines, right);
    se_lines_end(lines, SE_LINE_DIM);
}

static void scroll(struct se_top_view *view, uint32_t n, uint32_t at, bool has_chosen,
                   uint32_t room)
{
    if (has_chosen && at < view->scroll)
        view->scroll = at;
    if (has_chosen && room > 0 && at >= view->scroll + room)
        view->scroll = at - room + 1;
    if (view->scroll + room > n)
        view->scroll = n > room ? n - room : 0;
}

static void draw_sessions_and_rounds(struct se_lines *lines, const struct se_top_picture *p,
                                     struct se_top_view *view)
{
    uint32_t at, left = se_lines_left(lines), foot = FOOT + 1; /* and the headings */
    const struct se_top_session *chosen = find_chosen(p, view, &at);
    if (view->rounds && chosen && left > ROUND_LINES + foot)
        foot += ROUND_LINES;
    const uint32_t room = left > foot ? left - foot : 0;
    scroll(view, p->n_sessions, at, chosen != NULL, room);
    se_top_draw_table(lines, p, view, room);
    if (foot <= FOOT + 1)
        return;
    while (se_lines_left(lines) > ROUND_LINES + FOOT)
        se_lines_end(lines, SE_LINE_PLAIN);
    draw_last(lines, chosen);
}

void se_top_draw(struct se_lines *lines, const struct se_top_picture *p, struct se_top_view *view)
{
    if (view->help) {
        draw_help(lines);
    } else if (p->here) {
        se_top_draw_server(lines, p);
        draw_past(lines, p);
        draw_sessions_and_rounds(lines, p, view);
    } else {
        draw_waiting(lines, p);
    }
    draw_foot(lines, p, view);
}
