/* SPDX-License-Identifier: Apache-2.0 */
/* The library has one thread and bounds what a request may be. What it does not bound is how many
 * connections may do nothing, or a byte now and then: when few places are left, the guest who has
 * been there longest is shown out, so a scrape always finds room. */
#include "tools/exporter.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <microhttpd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/socket.h"

enum {
    GUESTS = 64,
    SPARE = 16, /* places that are kept free: more than are taken between two looks */
    REQUEST_B = 8192,
    WHY_B = 256,
    URL_B = SE_SOCKET_NAME_B + 16,
    HOME_B = 280
};
static const char here[] = "127.0.0.1"; /* where no host is said */

struct guest {
    struct MHD_Connection *connection; /* NULL: a free place */
    uint64_t number;
    bool leaves;
};

struct se_exporter {
    struct MHD_Daemon *daemon;
    char url[URL_B];

    /* The library's thread alone. */
    struct guest guest[GUESTS];
    uint64_t guests; /* that ever came */

    pthread_mutex_t lock; /* of what follows */
    enum se_exporter_health health;
    char why[WHY_B];
    struct se_metric_source source;
};

/* ---- pages */

static unsigned write_help(struct se_exporter *e, FILE *to)
{
    (void)e;
    fputs("se-serverd " SE_VERSION ": /metrics for Prometheus, /healthz\n", to);
    return MHD_HTTP_OK;
}

static unsigned write_metrics(struct se_exporter *e, FILE *to)
{
    pthread_mutex_lock(&e->lock);
    e->source.ready = e->health == SE_EXPORTER_SERVING;
    se_metric_write(to, &e->source);
    pthread_mutex_unlock(&e->lock);
    return MHD_HTTP_OK;
}

static unsigned write_health(struct se_exporter *e, FILE *to)
{
    static const char *const words[] = { [SE_EXPORTER_STARTING] = "starting",
                                         [SE_EXPORTER_SERVING] = "ok",
                                         [SE_EXPORTER_DRAINING] = "draining",
                                         [SE_EXPORTER_FAILED] = "failed" };
    pthread_mutex_lock(&e->lock);
    bool ok = e->health == SE_EXPORTER_SERVING;
    fprintf(to, "%s%s%s\n", words[e->health], ok || !e->why[0] ? "" : ": ", ok ? "" : e->why);
    pthread_mutex_unlock(&e->lock);
    return ok ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned write_absent(struct se_exporter *e, FILE *to)
{
    (void)e;
    fputs("not here: /metrics, /healthz\n", to);
    return MHD_HTTP_NOT_FOUND;
}

static unsigned write_refusal(struct se_exporter *e, FILE *to)
{
    (void)e;
    fputs("GET and HEAD alone\n", to);
    return MHD_HTTP_METHOD_NOT_ALLOWED;
}

struct page {
    const char *path;
    const char *type;
    unsigned (*write)(struct se_exporter *e, FILE *to); /* returns the status */
};

static const char plain[] = "text/plain; charset=utf-8";
static const struct page pages[] = {
    { "/metrics", SE_METRIC_TYPE, write_metrics },
    { "/healthz", plain, write_health },
    { "/", plain, write_help },
};
static const struct page absent = { NULL, plain, write_absent };
static const struct page refusal = { NULL, plain, write_refusal };

static const struct page *page_of(const char *path)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (!strcmp(pages[i].path, path))
            return &pages[i];
    return &absent;
}

/* ---- answers */

static enum MHD_Result send_text(struct MHD_Connection *connection, const struct page *page,
                                 unsigned status, char *text, size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

/* MHD_NO: the connection is closed. */
static enum MHD_Result answer(struct se_exporter *e, struct MHD_Connection *connection,
                              const struct page *page)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        return MHD_NO;
    unsigned status = page->write(e, to);
    bool broken = ferror(to);
    if (fclose(to) != 0 || broken) {
        free(text);
        return MHD_NO;
    }
    return send_text(connection, page, status, text, len);
}

/* A body is read by nobody: a method that has one is refused before it, and a GET with one is
 * hung up on. The library calls a first time when it has the head of a request, and an answer to
 * that would end the connection; so others are answered the second time. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *body, size_t *body_b, void **seen)
{
    static char yes;
    (void)version;
    (void)body;
    if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
        return answer(context, connection, &refusal);
    if (*body_b > 0)
        return MHD_NO;
    if (!*seen) {
        *seen = &yes;
        return MHD_YES;
    }
    return answer(context, connection, page_of(path));
}

/* ---- guests */

/* The library sees that nothing comes any more, and closes. */
static void show_out(struct guest *guest)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(guest->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    guest->leaves = true;
    if (info)
        shutdown(info->connect_fd, SHUT_RDWR);
}

static void make_room(struct se_exporter *e)
{
    struct guest *oldest = NULL;
    unsigned stay = 0;
    for (int i = 0; i < GUESTS; i++) {
        struct guest *guest = &e->guest[i];
        if (!guest->connection || guest->leaves)
            continue;
        stay++;
        if (!oldest || guest->number < oldest->number)
            oldest = guest;
    }
    if (stay > GUESTS - SPARE)
        show_out(oldest);
}

static void on_guest(void *context, struct MHD_Connection *connection, void **place,
                     enum MHD_ConnectionNotificationCode code)
{
    struct se_exporter *e = context;
    struct guest *guest = *place;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (guest)
            guest->connection = NULL;
        return;
    }
    guest = e->guest;
    while (guest < e->guest + GUESTS && guest->connection)
        guest++;
    if (guest == e->guest + GUESTS)
        return; /* the library lets no more in */
    *guest = (struct guest){ .connection = connection, .number = e->guests++ };
    *place = guest;
    make_room(e);
}

/* ---- life */

struct se_exporter_options se_exporter_options(const char *address)
{
    return (struct se_exporter_options){ .address = address, .idle_s = 10 };
}

/* ":9464" is this machine's own. */
static const char *whole(const char *address, char buffer[HOME_B])
{
    if (strrchr(address, ':') != address)
        return address;
    snprintf(buffer, HOME_B, "%s%.250s", here, address);
    return buffer;
}

int se_exporter_check(const char *address)
{
    char buffer[HOME_B];
    return se_socket_check(whole(address, buffer));
}

/* Signals are the program's, see se_stepper_start(). The library closes the socket. It polls: with
 * epoll it may take an end that comes with the last bytes for nothing, until the time is up. */
static int start(struct se_exporter *e, int socket, unsigned idle_s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    e->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, e, MHD_OPTION_LISTEN_SOCKET,
        (MHD_socket)socket, MHD_OPTION_NOTIFY_CONNECTION, on_guest, e, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)GUESTS, MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)REQUEST_B, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e->daemon ? 0 : se_fail(-EIO, "libmicrohttpd does not start at %s", e->url);
}

static uint64_t day_ns(void)
{
    struct timespec t = { 0 };
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int se_exporter_open(struct se_exporter **out, const struct se_exporter_options *options)
{
    char buffer[HOME_B], name[SE_SOCKET_NAME_B];
    int socket = -1;
    struct se_exporter *e = se_mem_zero(1, sizeof *e);
    if (!e)
        return se_trace(-ENOMEM);
    pthread_mutex_init(&e->lock, NULL);
    e->source.start_ns = day_ns(); /* a program opens this first of all */
    int r = se_socket_listen(&socket, whole(options->address, buffer), name);
    if (r == 0) {
        snprintf(e->url, sizeof e->url, "http://%s", name);
        r = start(e, socket, options->idle_s);
    }
    if (r < 0) {
        se_exporter_close(e);
        return se_trace(r);
    }
    *out = e;
    return 0;
}

const char *se_exporter_url(const struct se_exporter *e) { return e ? e->url : ""; }

void se_exporter_tell(struct se_exporter *e, enum se_exporter_health health, const char *why)
{
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    e->health = health;
    snprintf(e->why, sizeof e->why, "%s", why);
    pthread_mutex_unlock(&e->lock);
}

void se_exporter_show(struct se_exporter *e, const struct se_metric_source *source)
{
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    const uint64_t start_ns = e->source.start_ns;
    e->source = *source;
    e->source.start_ns = start_ns;
    pthread_mutex_unlock(&e->lock);
}

void se_exporter_close(struct se_exporter *e)
{
    if (!e)
        return;
    if (e->daemon)
        MHD_stop_daemon(e->daemon);
    pthread_mutex_destroy(&e->lock);
    se_mem_free(e);
}
