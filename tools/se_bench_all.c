/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench all: the verbs one after the other, and a page with what they say.
 *
 *   every section: this program once more with --json ─► tables; links and stages ─► drawings
 *
 * So there is one source of every figure, and the command that stands above a table gives it. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "tools/again.h"
#include "tools/interrupt.h"
#include "tools/machine.h"
#include "tools/model_server.h"
#include "tools/output.h"
#include "tools/page.h"
#include "tools/plot.h"
#include "tools/se_bench.h"
#include "transport/link.h"

enum { WORDS_MAX = 24, COMMAND_B = 512, BARS_MAX = 24, SESSIONS = 256 };
static const char page_name[] = "latency.md", links_name[] = "links.svg",
                  serve_name[] = "serve.svg";

struct options {
    const char *out, *model, *rdma;
    bool quick;
    struct se_rig_options rig;
};

enum kind { LINK, FIGURES, SERVE };

struct section {
    const char *title;
    const char *scheme; /* the link that must be built in, or NULL */
    enum kind kind;
    const char *suffix, *unit; /* of its figures */
    const char *
        words; /* of the command; URL stands for the server's, RDMA for --rdma, MODEL for --model */
    const char *quick; /* more of them, to be quick */
};

#define LINK_QUICK "--rounds 300 --gap 1ms --gap-rounds 10"
#define SERVE_QUICK "--seconds 1 --warm-up 200ms --texts 2 --tokens 16 --most 4"
static const struct section sections[] = {
    { "Link: loop", "loop", LINK, "_us", "us", "link loop", LINK_QUICK },
    { "Link: shm", "shm", LINK, "_us", "us", "link shm", LINK_QUICK },
    { "Link: ipc", "ipc", LINK, "_us", "us", "link ipc", LINK_QUICK },
    { "Link: tcp", "tcp", LINK, "_us", "us", "link tcp", LINK_QUICK },
    { "Link: rdma", "rdma", LINK, "_us", "us", "link RDMA", LINK_QUICK },
    { "Rings between threads", NULL, FIGURES, "_ns", "ns", "ring", "--rounds 1000" },
    { "Wire", NULL, FIGURES, "", "ns", "wire", "--repeat 500" },
    { "Scheduler", NULL, FIGURES, "_us", "us", "sched --rounds 1000 --steps 40",
      "--rounds 30 --steps 3 --step 2ms" },
    { "A step of the model", NULL, FIGURES, "_ms", "ms", "step MODEL --rows 1,8,33,33t,128",
      "--repeat 3 --warm-up 1" },
    { "A round with a server", NULL, FIGURES, "_us", "us", "round URL --rounds 300",
      "--rounds 20" },
    { "Load, 1 ms away", NULL, SERVE, "_ms", "ms", "serve URL --trip 1ms --again 2", SERVE_QUICK },
    { "Load, 15 ms away", NULL, SERVE, "_ms", "ms", "serve URL --trip 15ms --again 2",
      SERVE_QUICK },
    { "Load, 50 ms away", NULL, SERVE, "_ms", "ms", "serve URL --trip 50ms --again 2",
      SERVE_QUICK },
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

struct bench {
    const struct options *o;
    struct se_model_server server;
    struct se_machine machine;
    double load; /* at the beginning */
    time_t begun;
    json_t *run[N_SECTIONS];         /* NULL: left out, or it failed */
    char why[N_SECTIONS][COMMAND_B]; /* it failed */
    uint32_t failed;
};

/* ---- what is run */

static bool has_word(const struct section *s, const char *word)
{
    const char *at = strstr(s->words, word);
    return at && (at[strlen(word)] == ' ' || at[strlen(word)] == '\0');
}

static bool is_wanted(const struct bench *b, const struct section *s)
{
    char schemes[128];
    if (has_word(s, "URL") || has_word(s, "MODEL"))
        return b->o->model != NULL;
    if (has_word(s, "RDMA") && !b->o->rdma)
        return false;
    return !s->scheme || strstr(se_link_schemes(schemes, sizeof schemes), s->scheme) != NULL;
}

/* As somebody would type it. */
static const char *command_of(const struct bench *b, const struct section *s, char text[COMMAND_B])
{
    snprintf(text, COMMAND_B, "%s%s%s", s->words, b->o->quick ? " " : "",
             b->o->quick ? s->quick : "");
    return text;
}

/* Its words, in text, with what URL and RDMA stand for. */
static void split(const struct bench *b, char *text, const char *word[WORDS_MAX])
{
    size_t n = 0;
    char *rest = NULL;
    for (char *at = strtok_r(text, " ", &rest); at && n < WORDS_MAX - 2;
         at = strtok_r(NULL, " ", &rest))
        word[n++] = strcmp(at, "URL") == 0     ? b->server.url
                    : strcmp(at, "MODEL") == 0 ? b->o->model
                    : strcmp(at, "RDMA") == 0  ? b->o->rdma
                                               : at;
    word[n++] = "--json";
    word[n] = NULL;
}

static int run_section(struct bench *b, size_t number)
{
    const struct section *s = &sections[number];
    char text[COMMAND_B];
    const char *word[WORDS_MAX];
    const uint64_t begun_ns = se_clock_ns();
    printf("%2zu of %d  %-28s", number + 1, (int)N_SECTIONS, s->title);
    int r = se_output_flush();
    if (r != 0)
        return r;
    split(b, (char *)(uintptr_t)command_of(b, s, text), word);
    r = is_wanted(b, s) ? se_again(&b->run[number], word) : 0;
    if (r == SE_OUTCOME_INTERRUPTED) {
        printf("\n");
        return r;
    }
    if (r < 0) {
        b->failed++;
        snprintf(b->why[number], sizeof b->why[number], "%s", se_err_text());
    }
    if (b->run[number])
        printf(" %5.1f s\n", (double)(se_clock_ns() - begun_ns) * 1e-9);
    else
        printf(" %s%s\n", r < 0 ? "failed: " : "left out", r < 0 ? b->why[number] : "");
    return se_output_flush();
}

static int start_server(struct bench *b)
{
    char schemes[128];
    const bool tcp = strstr(se_link_schemes(schemes, sizeof schemes), "tcp") != NULL;
    const struct se_model_server_options o = { .where = b->o->model,
                                               .rig = b->o->rig,
                                               .link = tcp ? "tcp" : "shm",
                                               .max_sessions = SESSIONS };
    return b->o->model ? se_model_server_open(&b->server, &o) : 0;
}

/* ---- the page */

static void say_machine(struct bench *b, struct se_page *page)
{
    char date[64] = "";
    struct tm tm;
    if (gmtime_r(&b->begun, &tm))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    se_page_say(
        page,
        "Made by `se-bench all%s`, %s, on %" PRIu32 " processors: %s; %s.\n"
        "Load: %.1f when it began, %.1f when it ended; what others did on the machine is in "
        "all of it.\n\n",
        b->o->quick ? " --quick" : "", date, b->machine.processors, b->machine.processor,
        b->machine.system, b->load, se_machine_load());
    se_page_say(page, "All samples are kept; `man se-bench` tells what each figure is.\n"
                      "Times of links, rings and rounds are there and back.\n\n");
}

static void say_section(struct bench *b, struct se_page *page, size_t number)
{
    const struct section *s = &sections[number];
    char text[COMMAND_B];
    if (!b->run[number] && !*b->why[number])
        return;
    se_page_say(page, "## %s\n\n", s->title);
    if (has_word(s, "URL"))
        se_page_say(page, "    se-serverd --model %s --max-sessions %d --listen URL\n", b->o->model,
                    (int)SESSIONS);
    se_page_say(page, "    se-bench %s\n\n", command_of(b, s, text));
    if (!b->run[number]) {
        se_page_say(page, "It failed: %s\n\n", b->why[number]);
        return;
    }
    if (s->kind == SERVE)
        se_page_stages(page, b->run[number]);
    else
        se_page_figures(page, b->run[number], s->suffix, s->unit);
}

static bool is_there(const struct bench *b, enum kind kind)
{
    for (size_t i = 0; i < N_SECTIONS; i++)
        if (b->run[i] && sections[i].kind == kind)
            return true;
    return false;
}

static int write_page(struct bench *b)
{
    struct se_page page;
    int r = se_page_open(&page, b->o->out, page_name, "Latency on this machine");
    if (r == 0) {
        say_machine(b, &page);
        if (is_there(b, LINK))
            se_page_say(&page, "![Links beside their floors](%s)\n\n", links_name);
        if (is_there(b, SERVE))
            se_page_say(&page, "![Load](%s)\n\n", serve_name);
        for (size_t i = 0; i < N_SECTIONS; i++)
            say_section(b, &page, i);
    }
    const int closed = se_page_close(&page);
    return r == 0 ? closed : r;
}

/* ---- drawings */

static const char *path_of(const struct bench *b, const char *name, char *path, size_t size_b)
{
    snprintf(path, size_b, "%s/%s", b->o->out, name);
    return path;
}

static void add_bar(struct se_plot_bar *bar, size_t *n, const json_t *run, const char *key,
                    const char *text, bool floor)
{
    char name[64];
    snprintf(name, sizeof name, "%s.p50", key);
    const double value = se_page_number(run, name);
    snprintf(name, sizeof name, "%s.p99", key);
    if (!(value > 0) || *n == BARS_MAX)
        return;
    bar[*n] =
        (struct se_plot_bar){ .value = value, .most = se_page_number(run, name), .floor = floor };
    snprintf(bar[(*n)++].text, sizeof bar->text, "%s", text);
}

static int draw_links(struct bench *b)
{
    static const struct {
        const char *key, *text;
    } floors[] = { { "memory_back_to_back_us", "floor: shared memory, spinning" },
                   { "unix_back_to_back_us", "floor: Unix sockets" },
                   { "tcp_back_to_back_us", "floor: TCP sockets" } };
    struct se_plot_bar bar[BARS_MAX];
    char path[4096];
    size_t n = 0;
    for (size_t i = 0; i < N_SECTIONS; i++) {
        if (!b->run[i] || sections[i].kind != LINK)
            continue;
        add_bar(bar, &n, b->run[i], "back_to_back_us", sections[i].scheme, false);
        for (size_t k = 0; k < sizeof floors / sizeof floors[0]; k++)
            add_bar(bar, &n, b->run[i], floors[k].key, floors[k].text, true);
    }
    return n ? se_plot_bars(path_of(b, links_name, path, sizeof path),
                            "132 bytes there and back, back to back: p50, and the line to p99",
                            "us", bar, n)
             : 0;
}

/* Of stages in the order of their edges: a search goes back and forth. The last try counts. */
static void add_line(struct se_plot_line *line, const json_t *run)
{
    const json_t *stages = json_object_get(run, "stages"), *stage;
    for (double edges = 0;;) {
        double next = INFINITY, p95 = NAN;
        for (size_t i = 0; (stage = json_array_get(stages, i)) != NULL; i++) {
            const double own = se_page_number(stage, "edges");
            if (own > edges && own <= next && se_page_number(stage, "round_ms.p95") > 0) {
                next = own;
                p95 = se_page_number(stage, "round_ms.p95");
            }
        }
        if (isinf(next) || line->n == SE_PLOT_POINTS_MAX)
            return;
        line->x[line->n] = edges = next;
        line->y[line->n++] = p95;
    }
}

static int draw_serve(struct bench *b)
{
    static struct se_plot_line line[N_SECTIONS];
    char path[4096];
    size_t n = 0;
    double limit = 0;
    for (size_t i = 0; i < N_SECTIONS; i++) {
        if (!b->run[i] || sections[i].kind != SERVE)
            continue;
        line[n] = (struct se_plot_line){ .n = 0 };
        snprintf(line[n].text, sizeof line[n].text, "%.3g ms away",
                 se_page_number(b->run[i], "trip_ms"));
        add_line(&line[n], b->run[i]);
        n += line[n].n > 0;
        limit = se_page_number(b->run[i], "limit_ms");
    }
    return n ? se_plot_lines(path_of(b, serve_name, path, sizeof path),
                             "p95 of a round without the way, and the limit", "edges", "ms", line,
                             n, limit)
             : 0;
}

/* ---- all of it */

static int make_folder(const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return 0;
    return se_fail(-errno, "%s: %s", path, strerror(errno));
}

static int measure_all(struct bench *b)
{
    int r = make_folder(b->o->out);
    if (r == 0)
        r = start_server(b);
    for (size_t i = 0; i < N_SECTIONS && r == 0; i++)
        r = run_section(b, i);
    return r;
}

static int write_all(struct bench *b)
{
    int r = draw_links(b);
    if (r == 0)
        r = draw_serve(b);
    if (r == 0)
        r = write_page(b);
    if (r == 0)
        printf("%s/%s\n", b->o->out, page_name);
    if (r == 0 && b->failed > 0)
        r = se_fail(-EIO, "%" PRIu32 " of them failed; the page tells why", b->failed);
    return r;
}

static int run(const void *values, char **argument)
{
    static struct bench b;
    (void)argument;
    memset(&b, 0, sizeof b);
    b.o = values;
    b.server.child = SE_CHILD_NULL;
    b.begun = time(NULL);
    b.load = se_machine_load();
    se_machine_look(&b.machine);
    se_interrupt_watch();
    int r = measure_all(&b);
    se_model_server_close(&b.server);
    if (r == 0)
        r = write_all(&b);
    for (size_t i = 0; i < N_SECTIONS; i++)
        json_decref(b.run[i]);
    return r;
}

static const struct se_conf_row rows[] = {
    { "out", 'o', SE_CONF_TEXT, offsetof(struct options, out), "latency", 0, 0, "DIR",
      "folder for the page and its drawings; it is made if it is not there" },
    { "model", 'm', SE_CONF_TEXT, offsetof(struct options, model), NULL, 0, 0, "DIR",
      "of a server that is started here, for round and serve; without it they are left out" },
    { "rdma", 0, SE_CONF_TEXT, offsetof(struct options, rdma), NULL, 0, 0, "URL",
      "rdma://HOST:PORT of this machine, to measure that link as well" },
    { "quick", 'q', SE_CONF_FLAG, offsetof(struct options, quick), NULL, 0, 0, NULL,
      "a few samples of each, to see that all of it works" },
    SE_RIG_THREADS_ROW(struct options, rig),
    SE_RIG_WEIGHTS_ROW("weights", 0, struct options, rig),
    SE_RIG_PRELOAD_ROW(struct options, rig),
    SE_RIG_BACKEND_ROW(struct options, rig),
    SE_RIG_TP_ROW(struct options, rig),
};
static struct options chosen;

const struct se_verb se_bench_all = {
    .name = "all",
    .summary = "a page with what the other verbs say of this machine",
    .more = "Runs link, ring, wire, sched, round and serve one after the other, a few minutes in "
            "all, and writes latency.md with a table and the command of each, links.svg and "
            "serve.svg.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
