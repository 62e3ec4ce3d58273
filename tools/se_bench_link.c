/* SPDX-License-Identifier: Apache-2.0 */
/* se-bench link: how long a frame takes there and back over one link, beside what sockets and
 * memory of this machine take without it.
 *
 *   alone      the other end is started here, and the floor is measured after it
 *   --serve    this is the other end, for whoever comes
 *   --connect  the other end is elsewhere, and so is its floor */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "tools/bare.h"
#include "tools/bench_url.h"
#include "tools/echo.h"
#include "tools/figures.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/pin.h"
#include "tools/pingpong.h"
#include "tools/se_bench.h"
#include "transport/link.h"

enum { FRAMES = 64, TEXT_B = 64, WAYS_MAX = 3, OF_WAY = 2 + SE_PINGPONG_GAPS_MAX };
#define PATIENCE_NS UINT64_C(10000000000)

struct options {
    uint64_t size_b, rounds, warm_up, gap_rounds;
    const char *gaps;
    struct se_conf_uints pin;
    bool spin, serve, connect, no_floor, keys;
    struct se_figures_options figures;
};

/* The link is the first way; floors are the others. */
struct way {
    const char *key, *text;
    enum se_bare_kind bare;
    struct se_pingpong_plan plan;
    struct se_pingpong_times times;
};

struct bench {
    const struct options *o;
    char url[SE_ECHO_URL_B];
    struct way way[WAYS_MAX];
    size_t n_ways;
    struct se_hist connect;
    struct se_figure figure[1 + WAYS_MAX * OF_WAY];
    char key[WAYS_MAX * OF_WAY][TEXT_B], text[WAYS_MAX * OF_WAY][TEXT_B];
    struct se_figures figures;
    /* The edge, while it is measured. */
    struct se_frames *frames;
    struct se_link *link;
    struct se_frame *frame;
    uint64_t turn;
    /* With keys: what the two ends ask of each other. */
    struct se_guard server, edge;
    struct se_keyring *ring;
};

/* ---- what is measured */

/* "1ms" for a key and "1 ms" for people. */
static void name_of_gap(uint64_t ns, const char *blank, char text[TEXT_B])
{
    if (ns >= 1000000)
        snprintf(text, TEXT_B, "%.4g%sms", (double)ns * 1e-6, blank);
    else
        snprintf(text, TEXT_B, "%.4g%sus", (double)ns * 1e-3, blank);
}

static void add_figure(struct bench *b, struct way *way, const char *key, const char *text,
                       struct se_hist *hist)
{
    const size_t n = b->figures.n++;
    const bool is_link = way == b->way;
    snprintf(b->key[n - 1], TEXT_B, "%s%s", is_link ? "" : way->key, key);
    snprintf(b->text[n - 1], TEXT_B, "%s", text);
    b->figure[n] = (struct se_figure){ b->key[n - 1], b->text[n - 1], hist,
                                       is_link && hist == &way->times.back_to_back };
}

static void add_figures(struct bench *b, struct way *way)
{
    add_figure(b, way, "first", "first message", &way->times.first);
    add_figure(b, way, "back_to_back", "back to back", &way->times.back_to_back);
    for (uint32_t g = 0; g < way->plan.n_gaps; g++) {
        char name[TEXT_B], key[TEXT_B], text[TEXT_B];
        name_of_gap(way->plan.gap_ns[g], "", name);
        snprintf(key, sizeof key, "gap_%.40s", name);
        name_of_gap(way->plan.gap_ns[g], " ", name);
        snprintf(text, sizeof text, "after %.40s of silence", name);
        add_figure(b, way, key, text, &way->times.gap[g]);
    }
}

static void add_floor(struct bench *b, enum se_bare_kind kind, const struct se_pingpong_plan *plan)
{
    static const struct {
        const char *key, *text;
    } kinds[SE_BARE_KINDS] = {
        [SE_BARE_TCP] = { "tcp_", "floor: TCP sockets on 127.0.0.1" },
        [SE_BARE_UNIX] = { "unix_", "floor: a pair of Unix sockets" },
        [SE_BARE_MEMORY] = { "memory_", "floor: shared memory, both ends spin" },
    };
    struct way *way = &b->way[b->n_ways++];
    *way = (struct way){ kinds[kind].key, kinds[kind].text, kind, *plan, { .first = { 0 } } };
    way->plan.spin |= kind == SE_BARE_MEMORY;
    add_figures(b, way);
}

/* What the link is made of: its floor. A link within the machine that sleeps is woken by the
 * kernel, which is what Unix sockets show. */
static int choose(struct bench *b)
{
    const struct options *o = b->o;
    struct se_pingpong_plan plan = { .warm_up = o->warm_up,
                                     .rounds = o->rounds,
                                     .gap_rounds = o->gap_rounds,
                                     .spin = o->spin,
                                     .unit_ns = 1e3 };
    const int r = se_pingpong_gaps(&plan, o->gaps);
    if (r != 0)
        return r;
    b->figures = (struct se_figures){
        .figure = b->figure, .unit_ns = 1e3, .unit = "us", .suffix = "_us", .digits = 3
    };
    b->figure[b->figures.n++] =
        (struct se_figure){ "connect", "until connected (no round trip)", &b->connect, false };
    b->way[b->n_ways++] = (struct way){ "", "the link", 0, plan, { .first = { 0 } } };
    add_figures(b, b->way);
    if (o->no_floor || o->connect)
        return 0;
    const bool within = strncmp(b->url, "loop:", 5) == 0 || strncmp(b->url, "shm:", 4) == 0;
    const bool is_unix = strncmp(b->url, "ipc:", 4) == 0 || (within && !o->spin);
    if (within)
        add_floor(b, SE_BARE_MEMORY, &plan);
    if (is_unix)
        add_floor(b, SE_BARE_UNIX, &plan);
    if (!within && !is_unix)
        add_floor(b, SE_BARE_TCP, &plan);
    return 0;
}

/* ---- the edge */

/* What is next: 0, an outcome but AGAIN, or -errno. */
static int next(struct bench *b, struct se_frame **frame)
{
    const uint64_t end_ns = se_clock_ns() + PATIENCE_NS;
    se_link_peer peer;
    int r;
    while ((r = se_link_recv(b->link, &peer, frame)) == SE_LINK_AGAIN) {
        if (se_link_wait(b->link, PATIENCE_NS) == SE_LINK_AGAIN || se_clock_ns() > end_ns)
            return se_fail(-ETIMEDOUT, "'%s': nothing comes", b->url);
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
    }
    return r;
}

/* A frame that came is the next one to go: links that copy give one back each time. */
static int trip(void *of, bool check)
{
    struct bench *b = of;
    const uint32_t size_b = (uint32_t)b->o->size_b;
    const unsigned char mark = (unsigned char)(++b->turn % 251);
    if (check)
        memset(b->frame->data, mark, size_b);
    b->frame->len_b = size_b;
    int r = se_link_send(b->link, SE_LINK_SERVER, b->frame);
    if (r == 0) {
        b->frame = NULL;
        r = next(b, &b->frame);
    }
    if (r > 0)
        return se_interrupt_came() ? SE_OUTCOME_INTERRUPTED
                                   : se_fail(-EPIPE, "'%s': the other end is gone", b->url);
    for (uint32_t i = 0; r == 0 && check && i < size_b; i++)
        if (b->frame->len_b != size_b || b->frame->data[i] != mark)
            return se_fail(-EIO, "'%s': a frame came back changed", b->url);
    return r;
}

static int connect_to(struct bench *b, const char *url)
{
    const uint64_t start_ns = se_clock_ns();
    struct se_link_options options = se_link_options(b->frames);
    options.spin_ns = b->o->spin ? PATIENCE_NS : 0;
    options.retry_ns = 1000000;
    options.guard = b->o->keys ? &b->edge : NULL;
    int r = se_link_connect(&b->link, url, &options);
    if (r == 0)
        r = next(b, &b->frame);
    if (r < 0 || se_interrupt_came())
        return r < 0 ? se_trace(r) : SE_OUTCOME_INTERRUPTED;
    if (r != SE_LINK_JOINED)
        return se_fail(-EPIPE, "'%s': the other end is gone", b->url);
    b->frame = se_frame_get(b->frames);
    return se_hist_add(&b->connect, (double)(se_clock_ns() - start_ns) * 1e-3);
}

static int run_edge(struct bench *b, const char *url)
{
    int r = se_frames_new(&b->frames, FRAMES, SE_FRAME_MAX);
    if (r == 0)
        r = connect_to(b, url);
    if (r == 0)
        r = se_pingpong_run(trip, b, &b->way[0].plan, &b->way[0].times);
    se_frame_put(b->frame);
    se_link_fini(b->link);
    se_frames_free(b->frames);
    b->frame = NULL;
    b->link = NULL;
    b->frames = NULL;
    return r;
}

/* ---- all of it */

static int processor(const struct bench *b, size_t number)
{
    return number < b->o->pin.n ? (int)b->o->pin.value[number] : -1;
}

static struct se_echo_options other_end(struct bench *b)
{
    return (struct se_echo_options){ .url = b->url,
                                     .spin = b->o->spin,
                                     .processor = processor(b, !b->o->serve),
                                     .guard = b->o->keys ? &b->server : NULL,
                                     .frame_b = SE_FRAME_MAX };
}

/* For this run alone. */
static int make_keys(struct bench *b)
{
    char line[SE_KEY_TEXT_B + 16], key[SE_KEY_TEXT_B];
    int r = se_key_make(&b->server.own);
    if (r == 0)
        r = se_key_make(&b->edge.own);
    if (r < 0)
        return se_trace(r);
    b->edge.server = b->server.own.open;
    snprintf(line, sizeof line, "%s bench\n", se_key_text(&b->edge.own.open, key));
    r = se_keyring_parse(&b->ring, line, strlen(line), "keys of this run");
    b->server.ring = b->ring;
    return r < 0 ? se_trace(r) : 0;
}

static int measure_link(struct bench *b)
{
    struct se_echo echo;
    int r = b->o->keys ? make_keys(b) : 0;
    const struct se_echo_options options = other_end(b);
    if (r < 0)
        return se_trace(r);
    if (b->o->connect)
        return run_edge(b, b->url);
    r = se_echo_open(&echo, &options);
    if (r < 0)
        return se_trace(r);
    memcpy(b->url, echo.url, sizeof b->url); /* now with the port */
    r = run_edge(b, b->url);
    se_echo_close(&echo, r != 0);
    se_keyring_free(b->ring);
    b->ring = NULL;
    return r;
}

static int measure_floor(struct bench *b, struct way *way)
{
    const struct se_bare_options options = { .kind = way->bare,
                                             .size_b = (uint32_t)b->o->size_b,
                                             .spin = b->o->spin,
                                             .processor = processor(b, 1) };
    struct se_bare bare;
    int r = se_bare_open(&bare, &options);
    if (r == 0)
        r = se_pingpong_run(se_bare_trip, &bare, &way->plan, &way->times);
    se_bare_close(&bare);
    return r;
}

static int measure(struct bench *b)
{
    int r = se_pin(processor(b, 0));
    if (r == 0)
        r = measure_link(b);
    for (size_t i = 1; i < b->n_ways && r == 0; i++)
        r = measure_floor(b, &b->way[i]);
    return r;
}

static double over_floor(struct bench *b, size_t way)
{
    return se_hist_at(&b->way[0].times.back_to_back, 0.5) /
           se_hist_at(&b->way[way].times.back_to_back, 0.5);
}

static void print_table(void *of)
{
    struct bench *b = of;
    printf("round trips over %s of %" PRIu64 " bytes; both ends %s; all samples are kept\n", b->url,
           b->o->size_b, b->o->spin ? "spin" : "sleep");
    for (size_t i = 0, from = 0; i < b->n_ways; i++) {
        const size_t end = from + (i == 0) + 2 + b->way[i].plan.n_gaps;
        se_figures_table(&b->figures, b->way[i].text, from, end);
        from = end;
    }
    for (size_t i = 1; i < b->n_ways; i++)
        printf("%sback to back the link takes %.2f times what %s take\n", i == 1 ? "\n" : "",
               over_floor(b, i), b->way[i].text + strlen("floor: "));
    if (b->o->connect)
        printf("\nno floor: the other end is elsewhere\n");
}

static void print_json(void *of)
{
    struct bench *b = of;
    printf("{\"verb\": \"link\", \"url\": \"%s\", \"way\": \"round trip\", \"bytes\": %" PRIu64
           ", \"spin\": %s",
           b->url, b->o->size_b, b->o->spin ? "true" : "false");
    for (size_t i = 1; i < b->n_ways; i++)
        printf(",\n  \"over_%.*s\": %.3f", (int)strlen(b->way[i].key) - 1, b->way[i].key,
               over_floor(b, i));
    se_figures_json(&b->figures);
}

static void tell(const char *url)
{
    printf("sends back what comes to %s\n", url);
    se_output_flush();
}

static int check(const struct options *o)
{
    if (o->keys && (o->serve || o->connect))
        return se_usage("--keys is for two ends that are both started here");
    if (o->serve && o->connect)
        return se_usage("serve: that is the one end, and connect the other");
    if (o->pin.n > (o->serve || o->connect ? 1 : 2) || (!o->serve && !o->connect && o->pin.n == 1))
        return se_usage("pin: one processor for each end that is here, as in %s",
                        o->serve || o->connect ? "0" : "0,1");
    return 0;
}

static int run(const void *values, char **argument)
{
    static struct bench b;
    memset(&b, 0, sizeof b);
    b.o = values;
    int r = check(b.o);
    if (r == 0)
        r = se_bench_url(argument[0], b.url, sizeof b.url);
    if (r == 0)
        r = choose(&b);
    if (r != 0)
        return r;
    const struct se_echo_options options = other_end(&b);
    if (b.o->serve)
        return se_echo_serve(&options, tell);
    se_interrupt_watch();
    r = se_figures_open(&b.figures, &b.o->figures);
    if (r == 0)
        r = measure(&b);
    return se_figures_end(&b.figures, r, print_table, print_json, &b);
}

static const struct se_conf_row rows[] = {
    { "size", 'b', SE_CONF_BYTES, offsetof(struct options, size_b), "132", 1, SE_FRAME_MAX, "B",
      "of a message, each way" },
    { "rounds", 'r', SE_CONF_UINT, offsetof(struct options, rounds), "10000", 1, 100000000, "N",
      "back to back" },
    { "warm-up", 'w', SE_CONF_UINT, offsetof(struct options, warm_up), "1000", 0, 100000000, "N",
      "before them, which are not counted, and looked at byte by byte" },
    { "gap", 'g', SE_CONF_TEXT, offsetof(struct options, gaps), "1ms,10ms", 0, 0, "TIME,...",
      "and then each after so much silence; at most four times, or \"\"" },
    { "gap-rounds", 0, SE_CONF_UINT, offsetof(struct options, gap_rounds), "200", 1, 100000000, "N",
      "of each gap" },
    { "spin", 's', SE_CONF_FLAG, offsetof(struct options, spin), NULL, 0, 0, NULL,
      "both ends look for what comes, in place of sleeping" },
    { "pin", 'p', SE_CONF_UINTS, offsetof(struct options, pin), NULL, 0, 1023, "A,B",
      "processors that this end and the other keep to" },
    { "serve", 0, SE_CONF_FLAG, offsetof(struct options, serve), NULL, 0, 0, NULL,
      "be the other end, until interrupted" },
    { "connect", 0, SE_CONF_FLAG, offsetof(struct options, connect), NULL, 0, 0, NULL,
      "the other end runs --serve at the URL; otherwise it is started here" },
    { "keys", 0, SE_CONF_FLAG, offsetof(struct options, keys), NULL, 0, 0, NULL,
      "as between a server and an edge with keys, which are made for this run" },
    { "no-floor", 0, SE_CONF_FLAG, offsetof(struct options, no_floor), NULL, 0, 0, NULL,
      "leave out what sockets and memory take" },
    SE_FIGURES_OPTION_ROWS(struct options, figures),
};
static struct options chosen;

const struct se_verb se_bench_link = {
    .name = "link",
    .arguments = "URL",
    .n_arguments = 1,
    .summary = "how long a message takes there and back over a link",
    .more =
        "URL: loop, shm, tcp or ipc choose an address that is free. Every time is a round trip; "
        "the other end sends back what it gets. Beside it the floor: the same through sockets "
        "or shared memory alone.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
