/* SPDX-License-Identifier: Apache-2.0 */
/* bench_link - round trips of one frame over each link.
 *
 *   bench_link [--json] [-n TRIPS] [-b BYTES] [KIND...]      loop, shm, ipc, tcp: all, one by one
 *   SE_BENCH_RDMA=ADDRESS bench_link rdma                  an address of an RDMA device
 *
 * The server is a thread of this process for loop and a process of its own for the others. It
 * sends back what it gets. "spin": both ends look until something is there; "sleep": both
 * sleep at once. Every sample is kept, and is a round trip. The first thousand are checked byte
 * by byte and are not counted. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/hist.h"
#include "transport/link.h"

enum { WARM_UP = 1000, FRAMES = 16, URL_B = 256 };
#define LIMIT_NS 10000000000u

struct row {
    const char *kind, *way;
    uint64_t spin_ns;
    uint32_t trips;
};

static char folder[] = "/tmp/specedge-bench-XXXXXX";
static uint32_t len_b = 132, trips;
static bool json;

static void url_of(const char *kind, char *url)
{
    if (strcmp(kind, "loop") == 0)
        snprintf(url, URL_B, "loop://bench");
    else if (strcmp(kind, "tcp") == 0)
        snprintf(url, URL_B, "tcp://127.0.0.1:0");
    else if (strcmp(kind, "rdma") == 0)
        snprintf(url, URL_B, "rdma://%s:0", getenv("SE_BENCH_RDMA"));
    else
        snprintf(url, URL_B, "%s://%s/%s", kind, folder, kind);
}

/* Receives what is next: 0, an outcome but AGAIN, or -errno. */
static int next(struct se_link *link, se_link_peer *peer, struct se_frame **frame)
{
    int r;
    while ((r = se_link_recv(link, peer, frame)) == SE_LINK_AGAIN) {
        if (se_link_wait(link, LIMIT_NS) == SE_LINK_AGAIN)
            return se_fail(-ETIMEDOUT, "'%s': nothing came", se_link_url(link));
    }
    return r;
}

/* ---- the server: sends back what it gets, until its edge leaves */

static int serve(struct se_link *link)
{
    struct se_frame *frame;
    se_link_peer peer;
    int r;
    while ((r = next(link, &peer, &frame)) != SE_LINK_GONE) {
        if (r < 0)
            return r;
        if (r == 0 && se_link_send(link, peer, frame) != 0)
            se_frame_put(frame);
    }
    return 0;
}

static void *serve_main(void *link)
{
    if (serve(link) < 0)
        fprintf(stderr, "bench_link: %s\n", se_err_text());
    return NULL;
}

static int listen_for(struct se_link **link, struct se_frames **frames, const struct row *row)
{
    char url[URL_B];
    int r = se_frames_new(frames, FRAMES, SE_FRAME_MAX);
    if (r < 0)
        return r;
    struct se_link_options options = se_link_options(*frames);
    options.spin_ns = row->spin_ns;
    url_of(row->kind, url);
    return se_link_listen(link, url, &options);
}

/* The child: tells its URL, and serves. */
static void child_main(const struct row *row, int out)
{
    struct se_frames *frames;
    struct se_link *link;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int r = listen_for(&link, &frames, row);
    if (r == 0 && write(out, se_link_url(link), strlen(se_link_url(link)) + 1) < 0)
        r = -errno;
    if (r == 0) {
        r = serve(link);
        se_link_fini(link);
    }
    if (r < 0)
        fprintf(stderr, "bench_link: %s\n", se_err_text());
    _exit(r < 0);
}

/* ---- the edge */

static int trip(struct se_link *edge, struct se_frame **frame, uint32_t number)
{
    const bool check = number < WARM_UP;
    se_link_peer peer;
    if (check)
        memset((*frame)->data, (int)(number % 251), len_b);
    (*frame)->len_b = len_b;
    int r = se_link_send(edge, SE_LINK_SERVER, *frame);
    if (r == 0)
        r = next(edge, &peer, frame);
    if (r > 0)
        return se_fail(-EPIPE, "'%s': outcome %d", se_link_url(edge), r);
    for (uint32_t i = 0; r == 0 && check && i < len_b; i++) {
        if ((*frame)->len_b != len_b || (*frame)->data[i] != number % 251)
            return se_fail(-EIO, "'%s': a frame came back changed", se_link_url(edge));
    }
    return r;
}

/* A frame received is the next one sent: the links that copy give one back each time. */
static int travel(struct se_link *edge, struct se_frames *frames, const struct row *row,
                  struct se_hist *hist)
{
    struct se_frame *frame = NULL;
    se_link_peer peer;
    int r = next(edge, &peer, &frame);
    if (r != SE_LINK_JOINED)
        return r < 0 ? r : se_fail(-EIO, "'%s': outcome %d", se_link_url(edge), r);
    frame = se_frame_get(frames);
    r = 0;
    for (uint32_t i = 0; r == 0 && i < WARM_UP + row->trips; i++) {
        const uint64_t start = se_clock_ns();
        r = trip(edge, &frame, i);
        if (r == 0 && i >= WARM_UP)
            r = se_hist_add(hist, (double)(se_clock_ns() - start));
    }
    if (r == 0)
        se_frame_put(frame);
    return r;
}

static int run_edge(const char *url, const struct row *row, struct se_hist *hist)
{
    struct se_frames *frames;
    struct se_link *edge;
    int r = se_frames_new(&frames, FRAMES, SE_FRAME_MAX);
    if (r < 0)
        return r;
    struct se_link_options options = se_link_options(frames);
    options.spin_ns = row->spin_ns;
    options.retry_ns = 1000000;
    r = se_link_connect(&edge, url, &options);
    if (r == 0) {
        r = travel(edge, frames, row, hist);
        se_link_fini(edge);
    }
    se_frames_free(frames);
    return r;
}

static int with_thread(const struct row *row, struct se_hist *hist)
{
    struct se_frames *frames;
    struct se_link *server;
    pthread_t thread;
    int r = listen_for(&server, &frames, row);
    if (r < 0)
        return r;
    r = -pthread_create(&thread, NULL, serve_main, server);
    if (r == 0) {
        r = run_edge(se_link_url(server), row, hist);
        pthread_join(thread, NULL);
    }
    se_link_fini(server);
    se_frames_free(frames);
    return r;
}

static int with_process(const struct row *row, struct se_hist *hist)
{
    char url[URL_B] = "";
    int out[2];
    if (pipe(out) < 0)
        return se_fail(-errno, "no pipe: %s", strerror(errno));
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        child_main(row, out[1]);
    close(out[1]);
    int r = child < 0 || read(out[0], url, sizeof(url) - 1) <= 0
                ? se_fail(-EPIPE, "no server for %s", row->kind)
                : 0;
    if (r == 0)
        r = run_edge(url, row, hist);
    close(out[0]);
    if (r < 0 && child > 0)
        kill(child, SIGKILL);
    if (child > 0)
        waitpid(child, NULL, 0);
    if (strcmp(row->kind, "ipc") == 0)
        unlink(strchr(url, '/') + 2); /* libzmq leaves it */
    return r;
}

static void print(const struct row *row, struct se_hist *hist)
{
    const double p50 = se_hist_at(hist, 0.5), p99 = se_hist_at(hist, 0.99);
    const double p999 = se_hist_at(hist, 0.999), max = se_hist_at(hist, 1);
    if (json)
        printf(
            "{\"link\": \"%s\", \"way\": \"%s\", \"bytes\": %u, \"trips\": %zu, \"p50_ns\": %.0f, "
            "\"p99_ns\": %.0f, \"p999_ns\": %.0f, \"max_ns\": %.0f}\n",
            row->kind, row->way, len_b, hist->n, p50, p99, p999, max);
    else
        printf("%-5s %-6s p50 %9.2f  p99 %9.2f  p99.9 %9.2f  max %10.2f  n %zu\n", row->kind,
               row->way, p50 / 1e3, p99 / 1e3, p999 / 1e3, max / 1e3, hist->n);
}

/* 1: failed; 0: done, or not built in. */
static int bench(const struct row *row)
{
    struct se_hist hist = SE_HIST_NULL;
    char there[64];
    if (strstr(se_link_schemes(there, sizeof(there)), row->kind) == NULL) {
        fprintf(stderr, "skipped: this build has no %s\n", row->kind);
        return 0;
    }
    const int r =
        strcmp(row->kind, "loop") == 0 ? with_thread(row, &hist) : with_process(row, &hist);
    if (r < 0)
        fprintf(stderr, "bench_link: %s\n", se_err_text());
    else
        print(row, &hist);
    se_hist_fini(&hist);
    return r < 0;
}

static bool is_wanted(const char *kind, char **kinds, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(kinds[i], kind) == 0)
            return true;
    }
    return n == 0;
}

/* A whole number, or an end with 2. */
static uint32_t number_of(const char *text, uint32_t most)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);
    if (*text < '1' || *text > '9' || *end != 0 || number > most) {
        fprintf(stderr, "bench_link: '%s' is no number from 1 to %u\n", text, most);
        exit(2);
    }
    return (uint32_t)number;
}

int main(int argc, char **argv)
{
    static const struct row rows[] = {
        { "loop", "spin", LIMIT_NS, 500000 }, { "shm", "spin", LIMIT_NS, 500000 },
        { "ipc", "spin", LIMIT_NS, 5000 },    { "tcp", "spin", LIMIT_NS, 5000 },
        { "loop", "sleep", 0, 20000 },        { "shm", "sleep", 0, 20000 },
        { "ipc", "sleep", 0, 20000 },         { "tcp", "sleep", 0, 20000 },
        { "rdma", "spin", LIMIT_NS, 5000 },   { "rdma", "sleep", 0, 5000 },
    };
    int at = 1, failed = 0;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--json") == 0) {
            json = true;
        } else if (at + 1 < argc && strcmp(argv[at], "-n") == 0) {
            trips = number_of(argv[++at], 100000000);
        } else if (at + 1 < argc && strcmp(argv[at], "-b") == 0) {
            len_b = number_of(argv[++at], SE_FRAME_MAX);
        } else {
            fprintf(stderr, "usage: bench_link [--json] [-n TRIPS] [-b BYTES] [KIND...]\n");
            return 2;
        }
    }
    if (mkdtemp(folder) == NULL)
        return 1;
    if (!json)
        printf("round trips of %u bytes, us\n", len_b);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct row row = rows[i];
        row.trips = trips ? trips : row.trips;
        if (strcmp(row.kind, "rdma") == 0 && getenv("SE_BENCH_RDMA") == NULL)
            continue;
        if (is_wanted(row.kind, argv + at, argc - at))
            failed += bench(&row);
    }
    rmdir(folder);
    return failed != 0;
}
