/* SPDX-License-Identifier: Apache-2.0 */
/* What se-top shows, without a terminal: pictures made by hand, drawn, and held against files.
 *
 *   test_top_view FOLDER [--write]      --write: makes the files anew */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "tools/top_column.h"
#include "tools/top_view.h"

enum { FILE_B = 1 << 19, PATH_B = 512 };
#define S_NS UINT64_C(1000000000)

static struct se_lines lines;
static struct se_top_picture picture;
static uint32_t checks, faults;

static void fault(const char *what, const char *file)
{
    faults++;
    printf("FAULT: %s: %s\n", file, what);
}

/* ---- made-up pictures */

static void make_server(struct se_top_picture *p, uint32_t sessions)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "se-serverd");
    p->here = p->has_board = true;
    p->place = p->servers = 1;
    p->started_ns = 5 * S_NS;
    p->now_ns = p->started_ns + 3725 * S_NS;
    snprintf(p->facts.model, sizeof p->facts.model, "/srv/models/tales-target");
    snprintf(p->facts.url, sizeof p->facts.url, "tcp://192.0.2.7:7077");
    snprintf(p->facts.backend, sizeof p->facts.backend, "cpu (avx512 vnni bf16)");
    snprintf(p->facts.weights, sizeof p->facts.weights, "bf16");
    snprintf(p->facts.kv, sizeof p->facts.kv, "f16");
    p->facts.max_rows = 256;
    p->facts.max_sessions = 256;
    p->count[SE_COUNT_SESSIONS] = p->count[SE_COUNT_PEERS] = sessions;
    p->count[SE_COUNT_AT_WORK] = sessions / 2;
    p->count[SE_COUNT_PARKED] = sessions / 10;
    p->count[SE_COUNT_PAGES] = 4096;
    p->count[SE_COUNT_PAGES_FREE] = 4096 - 17.0 * sessions;
}

static void make_rates(struct se_top_picture *p, uint32_t sessions)
{
    const double none = (double)NAN;
    p->span_s = 1;
    p->steps_s = sessions ? 41.2 : 0;
    p->tokens_s = 7.5 * sessions;
    p->rounds_s = 3.1 * sessions;
    p->rows = sessions ? 88.4 : none;
    p->busy = sessions ? 0.83 : 0;
    p->wait_s = sessions ? 0.0031 : none;
    p->step_s = sessions ? 0.0202 : none;
    p->taken = sessions ? 2.42 : none;
    p->accept = sessions ? 0.61 : none;
    for (uint32_t i = 0; sessions && i < 150; i++) {
        p->tokens_past[i] = (float)(100 + i % 30 * 10);
        p->rows_past[i] = (float)(i % 9 * i % 9);
        p->n_past++;
    }
}

static void make_session(struct se_top_session *s, uint32_t i, uint64_t now_ns)
{
    static const char *const draft[] = { "tales-draft", "", "ngram",
                                         "a-draft-whose-name-is-very-long" };
    const bool fresh = i % 7 == 6; /* it has not asked yet */
    s->row = (struct se_board_row){
        .number = i + 1,
        .peer = i % SE_BOARD_STATES == SE_BOARD_PARKED ? 0 : 0x100000001u + i,
        .opened_ns = now_ns - (i + 1) * 37 * S_NS,
        .heard_ns = now_ns - i * 900000000u,
        .rounds = fresh ? 0 : 100 * i + 7,
        .tokens = fresh ? 0 : 60001u * i + 19,
        .drafted = fresh ? 0 : 3100 * i + 310,
        .accepted = fresh ? 0 : 1300 * i + 120,
        .trees = fresh ? 0 : 100 * i + 7,
        .bets = 41 * i,
        .state = i % SE_BOARD_STATES,
        .text = 37 * i + 12,
        .pages = i + 1,
        .nodes = 32.4f,
        .taken = 1.0f + (float)(i % 40) / 10,
        .turns = fresh ? 0 : 100 * i + 6,
        .think_ns = 1.3e6f * (float)(i * i),
        .trip_ns = 1.45e7f + 2e5f * (float)i,
        .wait_ns = 7.0e5f * (float)i,
        .step_ns = 2.02e7f,
        .temp = 0.7f,
        .speculate = (uint8_t)(i % 3),
    };
    snprintf(s->row.draft, sizeof s->row.draft, "%s", draft[i % 4]);
    s->rate = i % 5 == 4 ? (double)NAN : 250.0 / (i + 1);
    s->n_rounds = fresh ? 0 : i < 12 ? i + 3 : SE_BOARD_ROUNDS;
    for (uint32_t k = 0; k < s->n_rounds; k++)
        s->round[k] = (struct se_board_round){ .nodes = (uint16_t)(20 + k),
                                               .taken = (uint16_t)(1 + k % 5),
                                               .think_us = k ? 9000 + 3000 * (k % 4) : 0,
                                               .trip_us = k ? 14000 + 500 * (k % 3) : 0,
                                               .wait_us = 700 * k,
                                               .step_us = 20200 };
}

static void make_picture(uint32_t sessions)
{
    make_server(&picture, sessions);
    make_rates(&picture, sessions);
    picture.n_sessions = sessions;
    for (uint32_t i = 0; i < sessions; i++)
        make_session(&picture.session[i], i, picture.now_ns);
}

static void give_keys(void)
{
    static const char *const name[] = { "carol", "alice", "bob", "dave.of.the.third.floor" };
    for (uint32_t i = 0; i < picture.n_sessions; i++)
        snprintf(picture.session[i].row.key, sizeof picture.session[i].row.key, "%s", name[i % 4]);
}

static void make_refused(void)
{
    picture.remote = true;
    snprintf(picture.name, sizeof picture.name, "tcp://server:7078");
    snprintf(picture.trouble, sizeof picture.trouble, "the server refuses this key");
}

/* ---- files */

static void join_lines(char *text)
{
    size_t len = 0;
    for (uint32_t i = 0; i < lines.n; i++)
        len += (size_t)snprintf(text + len, FILE_B - len, "%s|\n", lines.line[i].text);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        fault("cannot be written", path);
}

static void compare_file(const char *path, const char *text)
{
    char *known = se_mem_zero(1, FILE_B);
    FILE *file = fopen(path, "r");
    if (!file || !known || fread(known, 1, FILE_B - 1, file) == 0)
        fault("cannot be read", path);
    else if (strcmp(known, text) != 0) {
        fault("is not what is drawn:", path);
        printf("%s", text);
    }
    if (file)
        fclose(file);
    se_mem_free(known);
}

struct shot {
    const char *name;
    uint32_t sessions, width, height;
    bool keys, remote;
    bool ascii, gone;
    const char *sort;
    struct se_top_view view;
};

/* No line is wider or lower than the screen, and the screen is full. */
static void check_size(const struct shot *shot)
{
    checks++;
    if (lines.n != shot->height)
        fault("another height", shot->name);
    for (uint32_t i = 0; i < lines.n; i++)
        if (lines.line[i].cells > shot->width)
            fault("a line is too wide", shot->name);
}

static void take(const struct shot *shot, const char *folder, bool write)
{
    char path[PATH_B], *text = se_mem_zero(1, FILE_B);
    struct se_top_view view = shot->view;
    make_picture(shot->sessions);
    picture.here = !shot->gone;
    if (shot->keys)
        give_keys();
    if (shot->remote)
        make_refused();
    view.sort = (uint32_t)se_top_column_find(shot->sort);
    se_top_arrange(&picture, &view);
    se_lines_begin(&lines, shot->width, shot->height, !shot->ascii);
    se_top_draw(&lines, &picture, &view);
    check_size(shot);
    if (text) {
        join_lines(text);
        snprintf(path, sizeof path, "%s/%s.txt", folder, shot->name);
        checks++;
        if (write)
            write_file(path, text);
        else
            compare_file(path, text);
    }
    se_mem_free(text);
}

static const struct shot shots[] = {
    { "none_80x24", 0, 80, 24, .sort = "rate" },
    { "none_200x50", 0, 200, 50, .sort = "rate" },
    { "one_80x24", 1, 80, 24, .sort = "rate" },
    { "one_200x50", 1, 200, 50, .sort = "rate" },
    { "many_80x24", 200, 80, 24, .sort = "rate" },
    { "many_200x50", 200, 200, 50, .sort = "rate" },
    { "ascii_80x24", 200, 80, 24, .ascii = true, .sort = "rate" },
    { "gone_80x24", 0, 80, 24, .gone = true, .sort = "rate" },
    { "keys_80x24", 12, 80, 24, .keys = true, .sort = "key" },
    { "keys_200x50", 12, 200, 50, .keys = true, .sort = "rate", .view = { .filter = "bob" } },
    { "refused_80x24", 0, 80, 24, .gone = true, .remote = true, .sort = "rate" },
    { "help_80x24", 1, 80, 24, .sort = "rate", .view = { .help = true } },
    { "rounds_80x24", 200, 80, 24, .sort = "session", .view = { .rounds = true, .chosen = 12 } },
    { "rounds_200x50", 200, 200, 50, .sort = "wait", .view = { .rounds = true, .chosen = 199 } },
    { "scrolled_80x24", 200, 80, 24, .sort = "session", .view = { .chosen = 100, .paused = true } },
    { "filtered_80x24", 200, 80, 24, .sort = "tokens",
      .view = { .filter = "WAIT", .reverse = true } },
};

/* Whatever the size, nothing is written beyond the screen. */
static void try_sizes(void)
{
    for (uint32_t width = 0; width <= SE_LINES_WIDTH_MAX; width += width < 90 ? 1 : 31)
        for (uint32_t height = 1; height <= SE_LINES_HEIGHT_MAX; height += height < 30 ? 1 : 17) {
            const struct shot shot = { "a size", 3, width, height, .sort = "rate" };
            struct se_top_view view = { .rounds = true, .chosen = 2 };
            make_picture(shot.sessions);
            se_lines_begin(&lines, width, height, true);
            se_top_draw(&lines, &picture, &view);
            check_size(&shot);
        }
}

/* Every column's text fits its width, so that the table stays a table. */
static void try_widths(void)
{
    static const double value[] = { 0, 0.00042, 0.5, 9.96, 99.96, 999.96, 99999, 12345678, 1e12 };
    for (uint32_t i = 0; i < se_top_columns_n; i++)
        for (size_t k = 0; k < sizeof value / sizeof value[0]; k++) {
            char cell[SE_TOP_CELL_B];
            const struct se_top_column *column = &se_top_columns[i];
            const bool share = column->kind == SE_TOP_SHARE;
            se_top_value(cell, column->kind, share ? value[k] / 1e12 : value[k], column->width);
            checks++;
            if (column->kind != SE_TOP_WORD && column->kind != SE_TOP_TIME &&
                strlen(cell) > column->width)
                fault(cell, column->name);
        }
}

int main(int argc, char **argv)
{
    const bool write = argc > 2 && strcmp(argv[2], "--write") == 0;
    if (argc < 2) {
        fprintf(stderr, "usage: test_top_view FOLDER [--write]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof shots / sizeof shots[0]; i++)
        take(&shots[i], argv[1], write);
    try_sizes();
    try_widths();
    printf("%u checks, %u faults\n", checks, faults);
    return faults > 0;
}
