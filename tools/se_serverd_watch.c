/* SPDX-License-Identifier: Apache-2.0 */
/* se-serverd: what is done beside serving. This thread waits for signals and the clock; the
 * server's thread is told through a few words of memory, and woken. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/conf_load.h"
#include "runtime/base/log.h"
#include "sched/server/counter.h"
#include "tools/exporter.h"
#include "tools/notify.h"
#include "tools/se_serverd.h"
#include "tools/signals.h"

enum { ENDED = 100, WHY_B = 512, NAMES_B = 512 }; /* ENDED: no signal has this number */
static const uint64_t status_ns = 5000000000, nudge_ns = 20000000;
/* How often the server's thread is looked at for /healthz, and how long it may stand still. */
static const uint64_t look_ns = 1000000000, still_ns = 10000000000;

struct watch {
    struct se_host *host;
    const struct se_serverd_settings *settings;
    const struct se_notify *notify;
    struct se_exporter *exporter; /* or NULL */
    struct se_door *door;         /* or NULL; its guard is the server's thread's */
    struct se_admin *admin;       /* or NULL */

    /* Between the two threads. */
    _Atomic int order;      /* enum se_host_order */
    _Atomic uint64_t beats; /* rounds of the server's duty */
    _Atomic bool live_due; /* the news are the server's to read; otherwise they are this thread's */
    struct se_server_live live;
    struct se_keyring *ring; /* NULL: the list of keys is still good */

    /* The server's, and read when it has ended. */
    int result;
    char why[WHY_B]; /* of a result below 0: a text belongs to the thread that wrote it */

    /* This thread's. */
    bool ended;
    struct se_server_live live_next;
    struct se_keyring *ring_next; /* or NULL */
    bool live_waits;              /* these two are to be handed over */
    uint64_t drain_end_ns;
    uint64_t status_due_ns, counted_ns, tokens;
    uint64_t alive_due_ns, alive_ns, beats_seen; /* alive_ns: when it was seen to go round */
    bool stands_still;                           /* and /healthz says so */
};

/* ---- the server's thread */

static enum se_host_order on_round(void *context)
{
    struct watch *w = context;
    /* relaxed: one writer, and nothing hangs on the number but that it grows. */
    uint64_t beats = atomic_load_explicit(&w->beats, memory_order_relaxed);
    atomic_store_explicit(&w->beats, beats + 1, memory_order_relaxed);
    /* [serverd.live] acquire, pairs with the release in hand_over(): who sees the mark sees the
     * settings. Release, pairs with its acquire: they are written again only after they were
     * read. */
    if (atomic_load_explicit(&w->live_due, memory_order_acquire)) {
        se_host_set_live(w->host, &w->live);
        if (w->ring)
            se_host_set_keys(w->host, w->ring);
        atomic_store_explicit(&w->live_due, false, memory_order_release);
    }
    /* relaxed: the order is all there is to know. */
    return (enum se_host_order)atomic_load_explicit(&w->order, memory_order_relaxed);
}

static void *serve(void *context)
{
    struct watch *w = context;
    w->result = se_host_run(w->host, on_round, w);
    if (w->result < 0) {
        snprintf(w->why, sizeof w->why, "%s", se_err_text());
        se_exporter_tell(w->exporter, SE_EXPORTER_FAILED, w->why);
    }
    se_signals_send(ENDED);
    return NULL;
}

/* ---- settings */

/* The server has taken another list: the one before it is nobody's any more. */
static void keep_ring(struct watch *w)
{
    if (!w->ring)
        return;
    se_log(SE_LOG_INFO, "%s: read again, %" PRIu32 " keys", w->settings->keys,
           se_keyring_n(w->ring));
    se_keyring_free(w->door->ring);
    w->door->ring = w->ring;
    w->ring = NULL;
}

static void hand_over(struct watch *w)
{
    /* [serverd.live] acquire and release, pair with those in on_round(). */
    if (atomic_load_explicit(&w->live_due, memory_order_acquire))
        return;
    keep_ring(w);
    if (!w->live_waits)
        return;
    w->live = w->live_next;
    w->ring = w->ring_next;
    w->ring_next = NULL;
    w->live_waits = false;
    atomic_store_explicit(&w->live_due, true, memory_order_release);
    se_host_wake(w->host);
}

/* Names what has changed and cannot, in one line. */
static void tell_frozen(const struct watch *w, const struct se_serverd_settings *fresh)
{
    const struct se_conf_row *changed[SE_SERVERD_ROWS_MAX];
    char names[NAMES_B] = "";
    size_t len = 0;
    size_t n = se_conf_frozen(se_serverd_rows, se_serverd_rows_n, w->settings, fresh, changed);
    for (size_t i = 0; i < n && len < sizeof names; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i ? ", " : "",
                                changed[i]->name);
    if (n > 0)
        se_log(SE_LOG_WARN, "%s: cannot change while it runs; the next start will see it", names);
}

/* Lists of keys, of the server and of its admin endpoint. */
static int read_keys_again(struct watch *w)
{
    struct se_keyring *ring = NULL, *other = NULL;
    const char *path = w->settings->keys;
    int r = w->door ? se_keyring_load(&ring, path) : 0;
    if (r == 0 && w->admin && se_admin_asks(w->admin))
        r = se_keyring_load(&other, path);
    if (r < 0) {
        se_keyring_free(ring);
        return se_trace(r);
    }
    if (ring) {
        se_keyring_free(w->ring_next);
        w->ring_next = ring;
        w->live_waits = true;
    }
    if (other)
        se_admin_set_ring(w->admin, other);
    return 0;
}

static int read_again(struct watch *w, struct se_conf_files *files)
{
    struct se_serverd_settings fresh;
    int r =
        se_conf_load_again(se_serverd_rows, se_serverd_rows_n, &fresh, files, &se_serverd_files);
    if (r == 0)
        r = se_serverd_settings_check(&fresh);
    if (r < 0)
        return se_trace(r);
    se_serverd_log_level(&fresh.live);
    tell_frozen(w, &fresh);
    w->live_next = se_serverd_live_of(&fresh.live);
    w->live_waits = true;
    se_log(SE_LOG_INFO, "%s: read again", w->settings->config);
    return 0;
}

/* A file that makes no sense changes nothing of what it would have changed. */
static void reload(struct watch *w)
{
    struct se_conf_files files = SE_CONF_FILES_NULL;
    const bool has_file = w->settings->config && *w->settings->config;
    if (!has_file && !w->door) {
        se_log(SE_LOG_WARN,
               "there is neither a configuration file nor a list of keys to read again");
        return;
    }
    se_notify_say(w->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, se_clock_ns() / 1000);
    if (has_file && read_again(w, &files) < 0)
        se_log(SE_LOG_ERROR, "%s; nothing has changed of the settings", se_err_text());
    if (read_keys_again(w) < 0)
        se_log(SE_LOG_ERROR, "%s; nothing has changed of the keys", se_err_text());
    hand_over(w);
    se_conf_files_fini(&files);
    se_notify_say(w->notify, "READY=1");
}

/* ---- the end */

/* relaxed: see on_round(). */
static enum se_host_order ordered(const struct watch *w)
{
    return (enum se_host_order)atomic_load_explicit(&w->order, memory_order_relaxed);
}

static void order(struct watch *w, enum se_host_order what)
{
    atomic_store_explicit(&w->order, (int)what, memory_order_relaxed);
    se_host_wake(w->host);
}

static void leave(struct watch *w, int number)
{
    if (ordered(w) != SE_HOST_GO) {
        se_log(SE_LOG_WARN, "%s again: leaves at once", strsignal(number));
        order(w, SE_HOST_STOP);
        return;
    }
    se_log(SE_LOG_INFO, "%s: finishes what is under way; a second signal ends it at once",
           strsignal(number));
    se_notify_say(w->notify, "STOPPING=1\nSTATUS=leaving");
    se_exporter_tell(w->exporter, SE_EXPORTER_DRAINING, "finishes what is under way");
    w->drain_end_ns = se_clock_ns() + w->settings->drain_ns;
    order(w, SE_HOST_DRAIN);
}

/* ---- what is due by time */

static void tell_status(struct watch *w, uint64_t now_ns)
{
    const struct se_stat *stat = se_host_stat(w->host);
    uint64_t tokens = se_stat_get(stat, SE_COUNT_TOKENS);
    double s = (double)(now_ns - w->counted_ns) * 1e-9;
    se_notify_say(w->notify, "STATUS=%" PRIu64 " sessions, %" PRIu64 " at work, %.1f tokens/s",
                  se_stat_get(stat, SE_COUNT_SESSIONS), se_stat_get(stat, SE_COUNT_AT_WORK),
                  s > 0 ? (double)(tokens - w->tokens) / s : 0.0);
    w->tokens = tokens;
    w->counted_ns = now_ns;
    w->status_due_ns = now_ns + status_ns;
}

static void tell_health(struct watch *w, uint64_t now_ns)
{
    const bool stands_still = now_ns - w->alive_ns >= still_ns;
    if (stands_still == w->stands_still || ordered(w) != SE_HOST_GO)
        return;
    w->stands_still = stands_still;
    if (stands_still)
        se_exporter_tell(w->exporter, SE_EXPORTER_FAILED,
                         "the server's thread has stood still for ten seconds");
    else
        se_exporter_tell(w->exporter, SE_EXPORTER_SERVING, "");
}

static uint64_t look_every(const struct se_notify *notify)
{
    return notify->watchdog_ns && notify->watchdog_ns / 4 < look_ns ? notify->watchdog_ns / 4
                                                                    : look_ns;
}

/* Looks twice as often as it has to: a wake that comes just before the server goes to sleep is
 * not heard. */
static void tell_alive(struct watch *w, uint64_t now_ns)
{
    /* relaxed: see on_round(). */
    uint64_t beats = atomic_load_explicit(&w->beats, memory_order_relaxed);
    if (beats != w->beats_seen) {
        se_notify_say(w->notify, "WATCHDOG=1");
        w->alive_ns = now_ns;
    }
    w->beats_seen = beats;
    tell_health(w, now_ns);
    w->alive_due_ns = now_ns + look_every(w->notify);
    se_host_wake(w->host);
}

static void do_due(struct watch *w)
{
    uint64_t now_ns = se_clock_ns();
    if (now_ns >= w->alive_due_ns)
        tell_alive(w, now_ns);
    if (now_ns >= w->status_due_ns && ordered(w) == SE_HOST_GO)
        tell_status(w, now_ns);
    if (now_ns >= w->drain_end_ns && ordered(w) == SE_HOST_DRAIN) {
        se_log(SE_LOG_WARN, "not everything that was under way is finished; leaves all the same");
        order(w, SE_HOST_STOP);
    }
    hand_over(w);
}

/* The server is nudged while it has something to hear, see tell_alive(). */
static uint64_t due_in(struct watch *w)
{
    uint64_t now_ns = se_clock_ns(), due_ns = UINT64_MAX;
    /* relaxed: a nudge too many. */
    bool unheard = ordered(w) != SE_HOST_GO ||
                   atomic_load_explicit(&w->live_due, memory_order_relaxed) || w->live_waits;
    if (unheard) {
        se_host_wake(w->host);
        due_ns = now_ns + nudge_ns;
    }
    due_ns = w->alive_due_ns < due_ns ? w->alive_due_ns : due_ns;
    due_ns = w->status_due_ns < due_ns ? w->status_due_ns : due_ns;
    return due_ns > now_ns ? due_ns - now_ns : 0;
}

static void heed(struct watch *w, int number)
{
    switch (number) {
    case SIGHUP:
        reload(w);
        break;
    case SIGTERM:
    case SIGINT:
        leave(w, number);
        break;
    case ENDED:
        w->ended = true;
        break;
    default:
        break;
    }
}

int se_serverd_watch(struct se_host *host, const struct se_serverd_settings *settings,
                     const struct se_serverd_told *told)
{
    const struct se_notify *notify = &told->notify;
    uint64_t now_ns = se_clock_ns();
    pthread_t thread;
    struct watch w = { .host = host,
                       .settings = settings,
                       .notify = notify,
                       .exporter = told->exporter,
                       .door = told->door,
                       .admin = told->admin,
                       .live_next = se_serverd_live_of(&settings->live),
                       .counted_ns = now_ns,
                       .status_due_ns = notify->fd < 0 ? UINT64_MAX : now_ns + status_ns,
                       .alive_ns = now_ns,
                       .alive_due_ns =
                           notify->watchdog_ns || told->exporter ? now_ns : UINT64_MAX };
    int r = pthread_create(&thread, NULL, serve, &w);
    if (r != 0)
        return se_fail(-r, "no thread for the server: %s", strerror(r));
    pthread_setname_np(thread, "se-server");
    while (!w.ended) {
        heed(&w, se_signals_next(due_in(&w)));
        do_due(&w);
    }
    pthread_join(thread, NULL);
    /* relaxed: the other thread has ended. */
    if (atomic_load_explicit(&w.live_due, memory_order_relaxed))
        se_keyring_free(w.ring); /* not taken any more */
    else
        keep_ring(&w);
    se_keyring_free(w.ring_next);
    return w.result < 0 ? se_fail(w.result, "%s", w.why) : 0;
}
