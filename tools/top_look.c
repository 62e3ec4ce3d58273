/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/top_look.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/top_remote.h"

enum { SERVERS_MAX = 64, DEAD_MAX = 16 };
static const char usual[] = "se-serverd", folder[] = "/dev/shm";

/* A page that stayed behind: it is not asked again whether somebody writes it. */
struct dead {
    int64_t pid;
    uint64_t started_ns;
};

struct before {
    uint64_t number, tokens;
};

struct se_top_look {
    const char *wanted;           /* or NULL */
    struct se_top_remote *remote; /* or NULL: the server is on this machine */
    const char *url;              /* of it */
    struct dead met;              /* whose pages these are, in remote looks */
    uint64_t now_ns;              /* by the server's clock */
    char name[SE_TOP_NAME_B];
    uint32_t place, servers;
    struct se_stat *stat; /* NULL: there is no server */
    struct se_board *board;
    uint32_t number[SE_COUNT_END]; /* of our counters in its page */
    struct dead dead[DEAD_MAX];
    uint32_t n_dead;
    uint64_t taken_ns; /* the look before, of the same server; 0: there was none */
    double count[SE_COUNT_END];
    struct before before[SE_BOARD_ROWS_MAX]; /* by the places of the table */
};

int se_top_look_new(struct se_top_look **out, const char *name)
{
    struct se_top_look *look = se_mem_zero(1, sizeof *look);
    if (!look)
        return se_trace(-ENOMEM);
    look->wanted = name;
    *out = look;
    return 0;
}

int se_top_look_new_remote(struct se_top_look **out, const char *url, struct se_guard *guard)
{
    struct se_top_look *look = NULL;
    int r = se_top_look_new(&look, NULL);
    if (r == 0)
        r = se_top_remote_open(&look->remote, url, guard);
    if (r < 0) {
        se_top_look_free(look);
        return se_trace(r);
    }
    look->url = url;
    *out = look;
    return 0;
}

static void drop_pages(struct se_top_look *look)
{
    se_board_free(look->board);
    se_stat_free(look->stat);
    look->board = NULL;
    look->stat = NULL;
}

static void part(struct se_top_look *look)
{
    drop_pages(look);
    look->taken_ns = 0;
    memset(look->before, 0, sizeof look->before);
}

void se_top_look_free(struct se_top_look *look)
{
    if (!look)
        return;
    part(look);
    se_top_remote_close(look->remote);
    se_mem_free(look);
}

/* ---- which server */

static struct dead who(const struct se_stat *stat)
{
    struct dead it = { 0 };
    it.pid = se_stat_writer(stat, &it.started_ns);
    return it;
}

static bool is_live(struct se_top_look *look, const struct se_stat *stat)
{
    const struct dead it = who(stat);
    for (uint32_t i = 0; i < DEAD_MAX; i++)
        if (look->dead[i].pid == it.pid && look->dead[i].started_ns == it.started_ns)
            return false;
    if (se_stat_is_live(stat))
        return true;
    look->dead[look->n_dead++ % DEAD_MAX] = it;
    return false;
}

/* By name, since a server of another version may have other counters beside those. */
static void find_numbers(const struct se_stat *stat, uint32_t number[SE_COUNT_END])
{
    for (uint32_t k = 0; k < SE_COUNT_END; k++) {
        number[k] = UINT32_MAX;
        for (uint32_t i = 0; i < se_stat_count(stat); i++)
            if (strcmp(se_stat_name(stat, i), se_counter_labels[k].name) == 0)
                number[k] = i;
    }
}

static bool is_server(const struct se_stat *stat)
{
    uint32_t number[SE_COUNT_END];
    find_numbers(stat, number);
    return number[SE_COUNT_STEPS] != UINT32_MAX && number[SE_COUNT_SESSIONS] != UINT32_MAX;
}

/* The page of a server that lives, or NULL. */
static struct se_stat *open_page(struct se_top_look *look, const char *name)
{
    struct se_stat *stat = NULL;
    if (se_stat_open(&stat, name) < 0)
        return NULL;
    if (is_server(stat) && is_live(look, stat))
        return stat;
    se_stat_free(stat);
    return NULL;
}

static bool may_be_page(const char *name)
{
    static const char other[] = ".sessions";
    size_t len = strlen(name), tail = sizeof other - 1;
    return name[0] != '.' && len < SE_TOP_NAME_B &&
           (len < tail || strcmp(name + len - tail, other) != 0);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static uint32_t list(struct se_top_look *look, char (*name)[SE_TOP_NAME_B], uint32_t max)
{
    uint32_t n = 0;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && n < max && (entry = readdir(dir))) {
        struct se_stat *stat = may_be_page(entry->d_name) ? open_page(look, entry->d_name) : NULL;
        if (stat)
            snprintf(name[n++], SE_TOP_NAME_B, "%s", entry->d_name);
        se_stat_free(stat);
    }
    if (dir)
        closedir(dir);
    qsort(name, n, sizeof name[0], by_name);
    return n;
}

uint32_t se_top_look_list(char (*name)[SE_TOP_NAME_B], uint32_t max)
{
    struct se_top_look *look = NULL;
    if (se_top_look_new(&look, NULL) < 0)
        return 0;
    uint32_t n = list(look, name, max);
    se_top_look_free(look);
    return n;
}

/* The one that is wanted, or of those that there are the usual one, or the first. */
static bool choose(struct se_top_look *look)
{
    char name[SERVERS_MAX][SE_TOP_NAME_B];
    uint32_t n = list(look, name, SERVERS_MAX), at = 0;
    const char *best = look->wanted ? look->wanted : usual;
    while (at < n && strcmp(name[at], best) != 0)
        at++;
    if (at == n && !look->wanted)
        at = 0;
    look->servers = n;
    look->place = at < n ? at + 1 : 0;
    snprintf(look->name, sizeof look->name, "%s", at < n ? name[at] : best);
    return at < n;
}

void se_top_look_next(struct se_top_look *look)
{
    char name[SERVERS_MAX][SE_TOP_NAME_B];
    uint32_t n = look->remote ? 0 : list(look, name, SERVERS_MAX), at = 0;
    if (n < 2)
        return;
    while (at < n && strcmp(name[at], look->name) <= 0)
        at++;
    at = at < n ? at : 0;
    part(look);
    memcpy(look->name, name[at], sizeof look->name);
    look->wanted = look->name;
}

static const uint64_t patience_ns = 400000000;

/* Pages come anew for each look; what was counted before is of the same server, or forgotten. */
static bool meet_remote(struct se_top_look *look)
{
    drop_pages(look);
    snprintf(look->name, sizeof look->name, "%s", look->url);
    const bool came =
        se_top_remote_take(look->remote, patience_ns, &look->stat, &look->board, &look->now_ns);
    const struct dead it = came ? who(look->stat) : look->met;
    if (!came || !is_server(look->stat) || it.pid != look->met.pid ||
        it.started_ns != look->met.started_ns)
        look->taken_ns = 0;
    look->met = it;
    if (came && is_server(look->stat)) {
        find_numbers(look->stat, look->number);
        se_err_clear();
        return true;
    }
    part(look);
    se_err_clear();
    return false;
}

/* The board comes a moment after the counters, so it is looked for each time until it is there. */
static bool meet(struct se_top_look *look)
{
    if (look->stat && !is_live(look, look->stat))
        part(look);
    if (!look->stat && choose(look)) {
        look->stat = open_page(look, look->name);
        if (look->stat)
            find_numbers(look->stat, look->number);
    }
    if (look->stat && !look->board)
        se_board_open(&look->board, look->name, look->stat);
    se_err_clear();
    return look->stat != NULL;
}

/* ---- what it shows */

/* Texts of other processes: nothing that a terminal would obey, or that is wider than a cell. */
static void make_plain(char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

static void take_facts(const struct se_top_look *look, struct se_top_picture *p)
{
    p->has_board = look->board != NULL;
    if (!p->has_board)
        return;
    p->facts = *se_board_facts(look->board);
    make_plain(p->facts.model);
    make_plain(p->facts.url);
    make_plain(p->facts.backend);
    make_plain(p->facts.weights);
    make_plain(p->facts.kv);
}

static void take_counts(const struct se_top_look *look, struct se_top_picture *p)
{
    for (uint32_t i = 0; i < SE_COUNT_END; i++)
        p->count[i] = look->number[i] == UINT32_MAX
                          ? (double)NAN
                          : (double)se_stat_get(look->stat, look->number[i]);
}

static void take_rates(const struct se_top_look *look, struct se_top_picture *p)
{
    double more[SE_COUNT_END], span = (double)(p->now_ns - look->taken_ns) * 1e-9;
    span = look->taken_ns && span > 0 ? span : (double)NAN;
    for (uint32_t i = 0; i < SE_COUNT_END; i++)
        more[i] = isnan(span) ? span : p->count[i] - look->count[i];
    const double steps = more[SE_COUNT_STEPS] > 0 ? more[SE_COUNT_STEPS] : (double)NAN;
    const double rounds = more[SE_COUNT_ROUNDS] > 0 ? more[SE_COUNT_ROUNDS] : (double)NAN;
    p->span_s = span;
    p->steps_s = more[SE_COUNT_STEPS] / span;
    p->tokens_s = more[SE_COUNT_TOKENS] / span;
    p->rounds_s = more[SE_COUNT_ROUNDS] / span;
    p->rows = more[SE_COUNT_STEP_ROWS] / steps;
    p->step_s = more[SE_COUNT_STEP_NS] * 1e-9 / steps;
    p->busy = more[SE_COUNT_STEP_NS] * 1e-9 / span;
    p->wait_s = more[SE_COUNT_QUEUE_NS] * 1e-9 / rounds;
    p->taken = more[SE_COUNT_TOKENS] / rounds;
    p->accept =
        more[SE_COUNT_DRAFTED] > 0 ? more[SE_COUNT_ACCEPTED] / more[SE_COUNT_DRAFTED] : (double)NAN;
}

static void add_past(struct se_top_picture *p)
{
    if (isnan(p->span_s))
        return;
    if (p->n_past == SE_TOP_PAST) {
        memmove(p->tokens_past, p->tokens_past + 1, sizeof p->tokens_past - sizeof(float));
        memmove(p->rows_past, p->rows_past + 1, sizeof p->rows_past - sizeof(float));
        p->n_past--;
    }
    p->tokens_past[p->n_past] = (float)p->tokens_s;
    p->rows_past[p->n_past++] = isnan(p->rows) ? 0 : (float)p->rows;
}

/* Of a session that was opened since the look before, all tokens are new. */
static double rate_of(const struct se_top_look *look, uint32_t at, const struct se_board_row *row,
                      double span_s)
{
    const struct before *before = &look->before[at];
    if (before->number == row->number)
        return (double)(row->tokens - before->tokens) / span_s;
    return row->opened_ns >= look->taken_ns ? (double)row->tokens / span_s : (double)NAN;
}

static void take_sessions(struct se_top_look *look, struct se_top_picture *p)
{
    p->n_sessions = 0;
    for (uint32_t at = 0; look->board && at < se_board_rows(look->board); at++) {
        struct se_top_session *session = &p->session[p->n_sessions];
        if (!se_board_get(look->board, at, &session->row, session->round, &session->n_rounds)) {
            look->before[at].number = 0;
            continue;
        }
        make_plain(session->row.key);
        session->rate = rate_of(look, at, &session->row, p->span_s);
        look->before[at] = (struct before){ session->row.number, session->row.tokens };
        p->n_sessions++;
    }
}

void se_top_look_take(struct se_top_look *look, struct se_top_picture *p)
{
    p->here = look->remote ? meet_remote(look) : meet(look);
    p->remote = look->remote != NULL;
    snprintf(p->trouble, sizeof p->trouble, "%s",
             look->remote && !p->here ? se_top_remote_trouble(look->remote) : "");
    make_plain(p->trouble);
    snprintf(p->name, sizeof p->name, "%s", look->name);
    make_plain(p->name);
    p->place = look->place;
    p->servers = look->servers;
    p->n_sessions = 0;
    if (!p->here || look->taken_ns == 0)
        p->n_past = 0;
    if (!p->here)
        return;
    p->pid = se_stat_writer(look->stat, &p->started_ns);
    take_facts(look, p);
    p->now_ns = look->remote ? look->now_ns : se_clock_ns();
    take_counts(look, p);
    take_rates(look, p);
    add_past(p);
    take_sessions(look, p);
    memcpy(look->count, p->count, sizeof look->count);
    look->taken_ns = p->now_ns;
}
