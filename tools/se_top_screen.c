/* SPDX-License-Identifier: Apache-2.0 */
/* se-top at a terminal. Whatever ends it, the terminal is given back as it was. */
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"
#include "tools/se_top.h"
#include "tools/top_column.h"

enum {
    TAB = '\t',
    ENTER = '\r',
    ESCAPE = 27,
    ERASE = 127,
    NAP_MS = 200,
    PAIR_BUSY = 1,
    PAIR_WAITS
};

struct screen {
    SCREEN *terminal;
    struct se_lines *lines;
    struct se_top_look *look;
    struct se_top_picture *picture;
    struct se_top_view *view;
    uint64_t delay_ns, due_ns;
    bool utf8, color, over;
};

static attr_t attribute(const struct screen *s, enum se_line_style style)
{
    switch (style) {
    case SE_LINE_TITLE:
        return A_BOLD;
    case SE_LINE_HEADING:
    case SE_LINE_CHOSEN:
        return A_REVERSE;
    case SE_LINE_BUSY:
        return s->color ? COLOR_PAIR(PAIR_BUSY) : A_NORMAL;
    case SE_LINE_WAITS:
        return s->color ? COLOR_PAIR(PAIR_WAITS) : A_NORMAL;
    case SE_LINE_DIM:
        return s->color ? A_DIM : A_NORMAL;
    default:
        return A_NORMAL;
    }
}

static void draw(struct screen *s)
{
    struct se_lines *lines = s->lines;
    se_lines_begin(lines, (uint32_t)COLS, (uint32_t)LINES, s->utf8);
    se_top_draw(lines, s->picture, s->view);
    erase();
    for (uint32_t i = 0; i < lines->n; i++) {
        attrset(attribute(s, lines->line[i].style));
        mvaddnstr((int)i, 0, lines->line[i].text, (int)lines->line[i].len_b);
    }
    refresh();
}

static void take(struct screen *s)
{
    s->due_ns = se_clock_ns() + s->delay_ns;
    if (s->view->paused)
        return;
    se_top_look_take(s->look, s->picture);
    se_top_arrange(s->picture, s->view);
}

/* ---- keys */

static void choose(struct screen *s, int by)
{
    const struct se_top_picture *p = s->picture;
    uint32_t at = 0;
    if (p->n_sessions == 0)
        return;
    while (at < p->n_sessions && p->session[at].row.number != s->view->chosen)
        at++;
    if (at == p->n_sessions) /* none yet */
        at = 0;
    else if (by < 0)
        at -= at > 0;
    else
        at += at + 1 < p->n_sessions;
    s->view->chosen = p->session[at].row.number;
}

static void sort_by(struct screen *s, uint32_t more)
{
    s->view->sort = (s->view->sort + more) % se_top_columns_n;
    se_top_arrange(s->picture, s->view);
}

static void type(struct screen *s, int key)
{
    char *filter = s->view->filter;
    size_t len = strlen(filter);
    if (key == ENTER || key == '\n' || key == KEY_ENTER) {
        s->view->typing = false;
    } else if (key == ESCAPE) {
        s->view->typing = false;
        filter[0] = '\0';
    } else if (key == ERASE || key == KEY_BACKSPACE || key == '\b') {
        filter[len - (len > 0)] = '\0';
    } else if (key > 0x20 && key < 0x7f && len + 1 < SE_TOP_FILTER_B) {
        filter[len] = (char)key;
        filter[len + 1] = '\0';
    }
    s->due_ns = 0; /* the picture has only what the filter left */
}

static void command(struct screen *s, int key)
{
    struct se_top_view *view = s->view;
    switch (key) {
    case 'q':
        s->over = true;
        break;
    case 'h':
    case '?':
        view->help = !view->help;
        break;
    case 'p':
    case ' ':
        view->paused = !view->paused;
        break;
    case 'r':
        view->reverse = !view->reverse;
        sort_by(s, 0);
        break;
    case '>':
        sort_by(s, 1);
        break;
    case '<':
        sort_by(s, se_top_columns_n - 1);
        break;
    case '/':
        view->typing = true;
        view->paused = false;
        break;
    case KEY_UP:
    case 'k':
        choose(s, -1);
        break;
    case KEY_DOWN:
    case 'j':
        choose(s, 1);
        break;
    case ENTER:
    case '\n':
    case KEY_ENTER:
        view->rounds = !view->rounds;
        if (view->chosen == 0)
            choose(s, 0);
        break;
    case TAB:
        se_top_look_next(s->look);
        s->due_ns = 0;
        break;
    default: /* a resize too: it is drawn again */
        break;
    }
}

/* The next key, or ERR when it is time to look, or at most a nap later, to ask for signals. */
static int next_key(const struct screen *s)
{
    const uint64_t now_ns = se_clock_ns();
    const uint64_t left_ms = s->due_ns > now_ns ? (s->due_ns - now_ns) / 1000000 + 1 : 0;
    timeout(left_ms < NAP_MS ? (int)left_ms : NAP_MS);
    return getch();
}

static int show(struct screen *s)
{
    while (!s->over && !se_interrupt_came()) {
        bool changed = se_clock_ns() >= s->due_ns;
        if (changed)
            take(s);
        int key = changed ? ERR : next_key(s);
        if (key != ERR) {
            if (s->view->typing)
                type(s, key);
            else
                command(s, key);
        }
        if (changed || key != ERR)
            draw(s);
    }
    return s->over ? 0 : SE_OUTCOME_INTERRUPTED;
}

static void set_up(struct screen *s)
{
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    set_escdelay(25);
    keypad(stdscr, TRUE);
    s->color = s->color && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (s->color) {
        init_pair(PAIR_BUSY, COLOR_GREEN, -1);
        init_pair(PAIR_WAITS, COLOR_YELLOW, -1);
    }
}

int se_top_screen(struct se_top_look *look, struct se_top_picture *picture,
                  struct se_top_view *view, uint64_t delay_ns, bool color)
{
    struct screen s = {
        .look = look, .picture = picture, .view = view, .delay_ns = delay_ns, .color = color
    };
    setlocale(LC_CTYPE, "");
    s.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    s.lines = se_mem_zero(1, sizeof *s.lines);
    if (!s.lines)
        return se_trace(-ENOMEM);
    se_interrupt_watch(); /* before the library looks for handlers */
    s.terminal = newterm(NULL, stdout, stdin);
    int r =
        s.terminal ? 0 : se_usage("this terminal cannot be drawn on: say -b for text, or --json");
    if (s.terminal) {
        set_up(&s);
        r = show(&s);
        endwin();
        delscreen(s.terminal);
    }
    se_mem_free(s.lines);
    return r;
}
