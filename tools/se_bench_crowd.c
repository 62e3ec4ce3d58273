/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench crowd: what many idle sessions cost a server, and those who are at work beside them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "runtime/base/hist.h"
#include "sched/server/session.h"
#include "tools/bench_url.h"
#include "tools/crowd_server.h"
#include "tools/figures.h"
#include "tools/herd.h"
#include "tools/se_bench.h"

enum { CONTEXT = 2048, URL_B = 512, FDS_ELSE = 64, FDS_OF_EDGE = 6 };
#define WARM_UP_NS UINT64_C(300000000)

struct options {
    uint64_t idle, active, shared, seconds, every_ns, text, nodes, seed;
    const char *link;
    struct se_figures_options figures;
};

/* One crowd: each idle session on a connection of its own, or many on one. */
struct crowd {
    const char *key, *text;
    uint32_t connections;                /* of the idle */
    struct se_crowd_facts before, after; /* the idle came */
    struct se_hist alone, beside;        /* round trips of the active, us */
};

struct bench {
    const struct options *o;
    char url[URL_B];
    struct se_flock_tree tree;
    struct crowd crowd[2];
    struct se_figure figure[4]; /* two of each crowd */
    struct se_figures figures;
};

/* ---- descriptors */

/* Either side's. The limit is raised as far as it can be. */
static int room_for(uint64_t connections)
{
    struct rlimit limit;
    const uint64_t needs = connections * FDS_OF_EDGE + FDS_ELSE;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return se_fail(-errno, "no limit of open files: %s", strerror(errno));
    if (limit.rlim_cur < needs) {
        limit.rlim_cur = needs < limit.rlim_max ? needs : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= needs)
        return 0;
    return se_fail(-EMFILE,
                   "%" PRIu64 " connections may take %" PRIu64
                   " open files at the edges' end, and the hard limit is %llu (ulimit -Hn)",
                   connections, needs, (unsigned long long)limit.rlim_max);
}

/* ---- one crowd */

static struct se_herd_options herd_options(const struct bench *b, const char *url)
{
    return (struct se_herd_options){
        .url = url, .tree = &b->tree, .context = CONTEXT, .text = (uint32_t)b->o->text
    };
}

static int measure_both(struct bench *b, struct crowd *crowd, struct se_crowd_server *server,
                        struct se_herd *active, struct se_herd *idle)
{
    const uint64_t ns = b->o->seconds * 1000000000;
    struct se_herd_options o = herd_options(b, server->url);
    o.flocks = o.sessions = (uint32_t)b->o->active;
    o.nonce = 1 << 20;
    int r = se_herd_open(active, &o);
    if (r == 0)
        r = se_herd_run(active, b->o->every_ns, WARM_UP_NS, NULL);
    if (r == 0)
        r = se_herd_run(active, b->o->every_ns, ns, &crowd->alone);
    if (r == 0)
        r = se_crowd_server_ask(server, &crowd->before);
    o.flocks = crowd->connections;
    o.sessions = (uint32_t)b->o->idle;
    o.nonce = 1 << 24;
    if (r == 0)
        r = se_herd_open(idle, &o);
    if (r == 0)
        r = se_crowd_server_ask(server, &crowd->after);
    if (r == 0)
        r = se_herd_run(active, b->o->every_ns, WARM_UP_NS, NULL);
    if (r == 0)
        r = se_herd_run(active, b->o->every_ns, ns, &crowd->beside);
    return r < 0 ? se_trace(r) : 0;
}

static int measure(struct bench *b, struct crowd *crowd)
{
    const uint32_t sessions = (uint32_t)(b->o->idle + b->o->active);
    const struct se_hollow_options o = { .url = b->url,
                                         .sessions = sessions,
                                         .nodes = b->tree.nodes,
                                         .peers = sessions,
                                         .peer_sessions = (uint32_t)b->o->shared,
                                         .context = CONTEXT,
                                         .engine_thread = true,
                                         .idle = SE_IDLE_PARK };
    struct se_crowd_server server = { .child = SE_CHILD_NULL };
    struct se_herd active = { .n = 0 }, idle = { .n = 0 };
    int r = room_for(b->o->active + crowd->connections);
    if (r == 0)
        r = se_crowd_server_open(&server, &o);
    if (r == 0)
        r = measure_both(b, crowd, &server, &active, &idle);
    se_herd_close(&idle);
    se_herd_close(&active);
    se_crowd_server_close(&server);
    return r < 0 ? se_trace(r) : 0;
}

/* ---- what it says */

static double per_idle(const struct bench *b, uint64_t before, uint64_t after)
{
    return ((double)after - (double)before) / (double)b->o->idle;
}

/* Bytes of a session: what the process grew by, less the text. */
static double resident(const struct bench *b, const struct crowd *c)
{
    return per_idle(b, c->before.resident_b, c->after.resident_b) -
           per_idle(b, c->before.text_b, c->after.text_b);
}

static void print_json(void *of)
{
    struct bench *b = of;
    printf("{\"idle\": %" PRIu64 ", \"active\": %" PRIu64 ", \"link\": \"%s\", \"text\": %" PRIu64
           ", \"seconds\": %" PRIu64 ",\n  \"struct_bytes\": %zu",
           b->o->idle, b->o->active, b->o->link, b->o->text, b->o->seconds,
           sizeof(struct se_session));
    for (int i = 0; i < 2; i++) {
        struct crowd *c = &b->crowd[i];
        printf(",\n  \"%s\": {\"connections\": %" PRIu32 ", \"fds_before\": %" PRIu32
               ", \"fds_after\": %" PRIu32 ",\n   \"held_bytes\": %.1f, \"text_bytes\": %.1f, "
               "\"resident_bytes\": %.1f,\n",
               c->key, c->connections, c->before.fds, c->after.fds,
               per_idle(b, c->before.held_b, c->after.held_b),
               per_idle(b, c->before.text_b, c->after.text_b), resident(b, c));
        printf("   \"alone_us\": ");
        se_figures_json_one(&b->figures, (size_t)i * 2);
        printf(",\n   \"beside_us\": ");
        se_figures_json_one(&b->figures, (size_t)i * 2 + 1);
        printf("}");
    }
    se_figures_json_end(&b->figures);
}

static void print_table(void *of)
{
    struct bench *b = of;
    printf("%" PRIu64 " idle sessions and %" PRIu64 " active ones over %s, a round per %.3g ms\n",
           b->o->idle, b->o->active, b->o->link, (double)b->o->every_ns * 1e-6);
    for (int i = 0; i < 2; i++) {
        struct crowd *c = &b->crowd[i];
        printf("\n%s: %" PRIu32 " connections\n", c->text, c->connections);
        printf("  of an idle session: %.0f bytes of text; beside it %.0f of books, and the process "
               "grew by %.0f\n",
               per_idle(b, c->before.text_b, c->after.text_b),
               per_idle(b, c->before.held_b, c->after.held_b), resident(b, c));
        printf("  open files of the server: %" PRIu32 " before, %" PRIu32 " with them\n",
               c->before.fds, c->after.fds);
        se_figures_table(&b->figures, "round trips of the active", (size_t)i * 2,
                         (size_t)i * 2 + 2);
    }
}

static int run(const void *values, char **argument)
{
    static struct bench b;
    (void)argument;
    memset(&b, 0, sizeof b);
    b.o = values;
    int r = se_bench_url(b.o->link, b.url, sizeof b.url);
    if (r != 0)
        return r;
    if (strncmp(b.url, "loop:", 5) == 0)
        return se_usage("link: the server is a process of its own, and a loop stays in one");
    const uint32_t idle = (uint32_t)b.o->idle, shared = (uint32_t)b.o->shared;
    b.crowd[0] =
        (struct crowd){ "shared", "idle sessions share connections", (idle + shared - 1) / shared };
    b.crowd[1] = (struct crowd){ "own", "each idle session has its own", idle };
    b.figure[0] =
        (struct se_figure){ "shared.alone", "without the idle", &b.crowd[0].alone, false };
    b.figure[1] = (struct se_figure){ "shared.beside", "beside them", &b.crowd[0].beside, true };
    b.figure[2] = (struct se_figure){ "own.alone", "without the idle", &b.crowd[1].alone, false };
    b.figure[3] = (struct se_figure){ "own.beside", "beside them", &b.crowd[1].beside, true };
    b.figures = (struct se_figures){
        .figure = b.figure, .n = 4, .unit_ns = 1e3, .unit = "us", .suffix = "_us", .digits = 1
    };
    r = se_figures_open(&b.figures, &b.o->figures);
    se_flock_tree_draw(&b.tree, (uint32_t)b.o->nodes + 1, b.o->seed);
    for (int i = 0; i < 2 && r == 0; i++)
        r = measure(&b, &b.crowd[i]);
    return se_figures_end(&b.figures, r, print_table, print_json, &b);
}

static const struct se_conf_row rows[] = {
    { "idle", 'i', SE_CONF_UINT, offsetof(struct options, idle), "1000", 1, 100000, "N",
      "sessions that have a text and say nothing" },
    { "active", 'a', SE_CONF_UINT, offsetof(struct options, active), "100", 1, 10000, "N",
      "sessions that ask, each on a connection of its own" },
    { "shared", 0, SE_CONF_UINT, offsetof(struct options, shared), "50", 1, 1000, "N",
      "idle sessions on one connection, where they share them" },
    { "every", 'e', SE_CONF_TIME, offsetof(struct options, every_ns), "50ms", 1000, 6e10, "TIME",
      "an active session asks once in so long" },
    { "seconds", 't', SE_CONF_UINT, offsetof(struct options, seconds), "5", 1, 86400, "N",
      "of round trips without the idle, and beside them" },
    { "text", 'x', SE_CONF_UINT, offsetof(struct options, text), "256", 0, 1024, "N",
      "ids of a session's text before its first round" },
    { "nodes", 'n', SE_CONF_UINT, offsetof(struct options, nodes), "32", 0, SE_WIRE_NODES_MAX - 1,
      "N", "drafted nodes of a tree; the root comes on top" },
    { "link", 'l', SE_CONF_TEXT, offsetof(struct options, link), "tcp", 0, 0, "shm|tcp|ipc|URL",
      "between edges and server" },
    { "seed", 's', SE_CONF_UINT, offsetof(struct options, seed), "1", 0, 0x1p64, "N",
      "of the tree" },
    SE_FIGURES_OPTION_ROWS(struct options, figures),
};
static struct options chosen;

const struct se_verb se_bench_crowd = {
    .name = "crowd",
    .summary = "what many idle sessions cost a server",
    .more = "A real server with a hollow engine is a process of its own; the edges are this one. "
            "\"Books\" are what the server holds of a session, counted; \"grew by\" is the growth "
            "of its resident memory, connections included, less the room for the texts.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
