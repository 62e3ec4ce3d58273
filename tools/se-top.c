/* SPDX-License-Identifier: Apache-2.0 */
/* se-top: what a server of this machine and its sessions are doing. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "tools/admin.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/pass.h"
#include "tools/program.h"
#include "tools/se_top.h"
#include "tools/top_column.h"

enum { TEXT_WIDTH = 200, SERVERS_MAX = 64 };
static const uint64_t nap_ns = 200000000;

struct options {
    const char *stat, *server, *key, *server_key, *sort, *filter;
    double delay_s;
    uint64_t looks;
    bool reverse, plain, json, once, list, no_color;
};

/* ---- text and JSON */

/* No blanks at the ends of lines, which are there for a screen's colours. */
static void print_lines(const struct se_lines *lines, uint32_t first)
{
    for (uint32_t i = first; i < lines->n; i++) {
        const struct se_line *line = &lines->line[i];
        uint32_t len = line->len_b;
        while (len > 0 && line->text[len - 1] == ' ')
            len--;
        printf("%.*s\n", (int)len, line->text);
    }
}

static void print_text(const struct se_top_picture *p, const struct se_top_view *view,
                       struct se_lines *lines)
{
    char text[SE_TOP_WAITING_B];
    se_lines_begin(lines, TEXT_WIDTH, SE_LINES_HEIGHT_MAX, false);
    if (p->here)
        se_top_draw_server(lines, p);
    print_lines(lines, 0);
    if (!p->here) {
        printf("%s\n\n", se_top_waiting(p, text));
        return;
    }
    struct se_top_view part = *view;
    for (part.scroll = 0; part.scroll == 0 || part.scroll < p->n_sessions;
         part.scroll += SE_LINES_HEIGHT_MAX - 1) {
        se_lines_begin(lines, TEXT_WIDTH, SE_LINES_HEIGHT_MAX, false);
        se_top_draw_table(lines, p, &part, SE_LINES_HEIGHT_MAX - 1);
        print_lines(lines, part.scroll > 0);
    }
    printf("\n");
}

static json_t *number(double value) { return isnan(value) ? json_null() : json_real(value); }

static json_t *session_object(const struct se_top_session *session, uint64_t now_ns)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < se_top_columns_n; i++) {
        char word[SE_TOP_CELL_B];
        const struct se_top_column *column = &se_top_columns[i];
        const double value = column->value(session, now_ns);
        json_t *cell;
        if (column->word) {
            column->word(session, word);
            cell = json_string(word);
        } else {
            cell = column->kind == SE_TOP_COUNT ? json_integer((json_int_t)value) : number(value);
        }
        json_object_set_new(object, column->name, cell);
    }
    return object;
}

static void add_facts(json_t *object, const struct se_board_facts *f)
{
    json_object_set_new(object, "model", json_string(f->model));
    json_object_set_new(object, "url", json_string(f->url));
    json_object_set_new(object, "backend", json_string(f->backend));
    json_object_set_new(object, "weights", json_string(f->weights));
    json_object_set_new(object, "kv", json_string(f->kv));
    json_object_set_new(object, "max_rows", json_integer(f->max_rows));
    json_object_set_new(object, "max_nodes", json_integer(f->max_nodes));
    json_object_set_new(object, "max_sessions", json_integer(f->max_sessions));
    json_object_set_new(object, "context", json_integer(f->context));
}

static void add_rates(json_t *object, const struct se_top_picture *p)
{
    json_object_set_new(object, "span_s", number(p->span_s));
    json_object_set_new(object, "steps_per_s", number(p->steps_s));
    json_object_set_new(object, "tokens_per_s", number(p->tokens_s));
    json_object_set_new(object, "rounds_per_s", number(p->rounds_s));
    json_object_set_new(object, "rows_per_step", number(p->rows));
    json_object_set_new(object, "step_s", number(p->step_s));
    json_object_set_new(object, "wait_s", number(p->wait_s));
    json_object_set_new(object, "busy", number(p->busy));
    json_object_set_new(object, "accept", number(p->accept));
    json_object_set_new(object, "tokens_per_round", number(p->taken));
}

static json_t *server_object(const struct se_top_picture *p)
{
    json_t *object = json_object(), *counters = json_object(), *sessions = json_array();
    json_object_set_new(object, "server", json_string(p->name));
    json_object_set_new(object, "here", json_boolean(p->here));
    json_object_set_new(object, "counters", counters);
    json_object_set_new(object, "sessions", sessions);
    if (!p->here)
        return object;
    json_object_set_new(object, "pid", json_integer(p->pid));
    json_object_set_new(object, "uptime_s", json_real((double)(p->now_ns - p->started_ns) * 1e-9));
    if (p->has_board)
        add_facts(object, &p->facts);
    add_rates(object, p);
    for (uint32_t i = 0; i < SE_COUNT_END; i++)
        if (!isnan(p->count[i]))
            json_object_set_new(counters, se_counter_labels[i].name,
                                json_integer((json_int_t)p->count[i]));
    for (uint32_t i = 0; i < p->n_sessions; i++)
        json_array_append_new(sessions, session_object(&p->session[i], p->now_ns));
    return object;
}

static void print_json(const struct se_top_picture *p)
{
    json_t *object = server_object(p);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
}

/* A second, or less when the user wishes to stop. */
static void wait_until(uint64_t due_ns)
{
    uint64_t now_ns;
    while ((now_ns = se_clock_ns()) < due_ns && !se_interrupt_came()) {
        const uint64_t ns = due_ns - now_ns < nap_ns ? due_ns - now_ns : nap_ns;
        nanosleep(&(struct timespec){ .tv_nsec = (long)ns }, NULL);
    }
}

/* The first look only begins the time that rates are about. */
static int print_looks(const struct options *o, struct se_top_look *look, struct se_top_picture *p,
                       const struct se_top_view *view, struct se_lines *lines)
{
    const uint64_t delay_ns = (uint64_t)(o->delay_s * 1e9);
    const uint64_t looks = o->once ? 1 : o->looks;
    int r = 0;
    se_interrupt_watch();
    se_top_look_take(look, p);
    for (uint64_t i = 0; r == 0 && (looks == 0 || i < looks); i++) {
        wait_until(se_clock_ns() + delay_ns);
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
        se_top_look_take(look, p);
        se_top_arrange(p, view);
        if (o->json)
            print_json(p);
        else
            print_text(p, view, lines);
        r = se_output_flush();
    }
    if (r == 0 && !p->here)
        r = se_fail(-ENOENT, "there is no server %s%s%s%s", o->server ? "at " : "named ", p->name,
                    *p->trouble ? ": " : "", p->trouble);
    return r;
}

static int print_list(void)
{
    static char name[SERVERS_MAX][SE_TOP_NAME_B];
    const uint32_t n = se_top_look_list(name, SERVERS_MAX);
    for (uint32_t i = 0; i < n; i++)
        printf("%s\n", name[i]);
    return 0;
}

/* ---- which of them */

static bool wants_color(const struct options *o)
{
    const char *none = getenv("NO_COLOR");
    return !o->no_color && !(none && none[0]);
}

static int look_at(const struct options *o, struct se_top_view *view)
{
    struct se_top_look *look = NULL;
    struct se_guard pass, *guard = NULL;
    struct se_top_picture *picture = se_mem_zero(1, sizeof *picture);
    struct se_lines *lines = se_mem_zero(1, sizeof *lines);
    int r = picture && lines ? 0 : -ENOMEM;
    if (r == 0 && o->server)
        r = se_pass_open(&guard, &pass, o->key, o->server_key);
    if (r == 0)
        r = o->server ? se_top_look_new_remote(&look, o->server, guard)
                      : se_top_look_new(&look, o->stat);
    if (r == 0 && (o->plain || o->json))
        r = print_looks(o, look, picture, view, lines);
    else if (r == 0)
        r = se_top_screen(look, picture, view, (uint64_t)(o->delay_s * 1e9), wants_color(o));
    se_top_look_free(look);
    se_pass_close(guard);
    se_mem_free(picture);
    se_mem_free(lines);
    return r < 0 ? se_trace(r) : r;
}

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    struct se_top_view view = { .reverse = o->reverse };
    (void)argument;
    if (o->list)
        return print_list();
    int column = se_top_column_find(o->sort);
    if (column < 0)
        return se_usage("--sort: %s", se_err_text());
    if (o->server && o->stat)
        return se_usage("--server or --stat: not both");
    if (!o->server && (o->key || o->server_key))
        return se_usage("--key and --server-key are for --server");
    if (o->server && se_admin_check(o->server) < 0)
        return se_usage("--server: %s", se_err_text());
    if (se_pass_check(o->key, o->server_key) < 0)
        return se_usage("%s", se_err_text());
    if (o->stat && !*o->stat)
        return se_usage("--stat: a page has a name; --list tells those that there are");
    if (!o->plain && !o->json && isatty(STDOUT_FILENO) != 1)
        return se_usage("standard output is no terminal: say -b for text, or --json");
    view.sort = (uint32_t)column;
    snprintf(view.filter, sizeof view.filter, "%s", o->filter ? o->filter : "");
    return look_at(o, &view);
}

#define AT(member) offsetof(struct options, member)
static const struct se_conf_row rows[] = {
    { "stat", 's', SE_CONF_TEXT, AT(stat), NULL, 0, 0, "NAME",
      "the server whose page has this name, as its own --stat says; if not given: se-serverd, or "
      "else the first that there is" },
    { "server", 0, SE_CONF_TEXT, AT(server), NULL, 0, 0, "URL",
      "a server's admin endpoint instead, also one of another machine: ipc:///PATH, "
      "tcp://HOST:PORT" },
    SE_PASS_ROWS(struct options, key, server_key),
    { "list", 'l', SE_CONF_FLAG, AT(list), NULL, 0, 0, NULL,
      "print the names of the servers that run on this machine, and leave" },
    { "delay", 'd', SE_CONF_REAL, AT(delay_s), "1", 0.05, 3600, "SECONDS", "between two looks" },
    { "sort", 'o', SE_CONF_TEXT, AT(sort), "rate", 0, 0, "COLUMN",
      "column that sessions are ordered by" },
    { "reverse", 'r', SE_CONF_FLAG, AT(reverse), NULL, 0, 0, NULL, "the other way round" },
    { "filter", 'f', SE_CONF_TEXT, AT(filter), NULL, 0, 0, "TEXT",
      "show sessions whose number, edge, key, state or draft has this in it" },
    { "batch", 'b', SE_CONF_FLAG, AT(plain), NULL, 0, 0, NULL,
      "print text, look after look, instead of a screen" },
    { "json", 'j', SE_CONF_FLAG, AT(json), NULL, 0, 0, NULL, "print a line of JSON for each look" },
    { "looks", 'n', SE_CONF_UINT, AT(looks), "0", 0, 1e9, "N",
      "with --batch and --json: leave after so many looks; 0: do not" },
    { "once", '1', SE_CONF_FLAG, AT(once), NULL, 0, 0, NULL, "the same as --looks 1" },
    { "no-colour", 0, SE_CONF_FLAG, AT(no_color), NULL, 0, 0, NULL,
      "no colours; nor if NO_COLOR is set" },
};

static struct options chosen;

static const struct se_verb verb = {
    .summary = "shows what a server and its sessions are doing",
    .more = "Reads what se-serverd on this machine writes into shared memory, and costs it "
            "nothing; or\n"
            "asks the admin endpoint of one.\n"
            "On the screen: q leaves, h tells the keys and the columns.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
static const struct se_verb *const verbs[] = { &verb };

static const struct se_program program = {
    .name = "se-top",
    .verb = verbs,
    .n_verbs = 1,
};

int main(int argc, char **argv) { return se_program_main(&program, argc, argv); }
