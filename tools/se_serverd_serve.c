/* SPDX-License-Identifier: Apache-2.0 */
/* se-serverd: from the loading of the model to the last answer. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "sched/server/counter.h"
#include "tools/address.h"
#include "tools/exporter.h"
#include "tools/notify.h"
#include "tools/rig.h"
#include "tools/se_serverd.h"
#include "tools/signals.h"

enum { LINE_B = 256, NAME_B = 64, DESCRIPTORS = 65536 };
static const char usual_page[] = "se-serverd";

static void on_note(void *context, enum se_server_note level, const char *text)
{
    static const enum se_log_level levels[] = { [SE_SERVER_INFO] = SE_LOG_INFO,
                                                [SE_SERVER_WARN] = SE_LOG_WARN,
                                                [SE_SERVER_ERROR] = SE_LOG_ERROR };
    (void)context;
    se_log(levels[level], "%s", text);
}

static struct se_host_options host_options(const struct se_serverd_settings *s,
                                           const struct se_serverd_told *told,
                                           const char *other_page)
{
    const struct se_idle_options idle[] = { SE_IDLE_PARK, SE_IDLE_YIELD, SE_IDLE_SPIN };
    struct se_host_options o = se_host_options();
    o.model = s->model;
    o.rig = s->rig;
    o.listen = s->listen;
    o.kv_b = s->kv_b;
    o.context = (uint32_t)s->context;
    o.max_sessions = (uint32_t)s->max_sessions;
    o.max_rows = (uint32_t)s->max_rows;
    o.max_nodes = (uint32_t)s->max_nodes;
    o.live = se_serverd_live_of(&s->live);
    o.idle = idle[s->idle];
    o.step_log = s->step_log && *s->step_log ? s->step_log : NULL;
    o.trace = s->trace && *s->trace ? s->trace : NULL;
    o.stat = s->stat ? (*s->stat ? s->stat : NULL) : usual_page;
    o.stat_else = s->stat ? NULL : other_page;
    o.watch.note = on_note;
    o.guard = told->door ? &told->door->guard : NULL;
    return o;
}

static double mib(uint64_t b) { return (double)b / (1 << 20); }

/* "1: 0.2, 4: 0.3" rows and milliseconds, as far as steps go. */
static const char *pace_text(const struct se_host_facts *f, char line[LINE_B])
{
    size_t len = 0;
    line[0] = '\0';
    for (uint32_t rows = 1; rows <= f->max_rows && rows <= 256 && len < LINE_B; rows *= 4)
        len += (size_t)snprintf(line + len, LINE_B - len, "%s%" PRIu32 ": %.2f", len ? ", " : "",
                                rows, (double)se_pace_ns(&f->pace, rows) * 1e-6);
    return line;
}

static void tell_model(const struct se_host_facts *f, const char *dir)
{
    char line[LINE_B];
    se_log(SE_LOG_INFO, "model %s: %s, weights %s (%.1f MiB), %s, %" PRIu32 " threads", dir,
           se_arch_name(f->config->arch), f->weights, mib(f->weight_b), f->backend, f->threads);
    se_log(SE_LOG_INFO,
           "keys and values: %" PRIu32 " pages, %.1f MiB of %s; texts of up to %" PRIu32 " tokens",
           f->pages, mib(f->kv_b), f->kv, f->context);
    se_log(SE_LOG_INFO,
           "up to %" PRIu32 " sessions, trees of %" PRIu32 " nodes, steps of %" PRIu32 " rows",
           f->max_sessions, f->max_nodes, f->max_rows);
    se_log(SE_LOG_INFO, "ms of a step by rows: %s", pace_text(f, line));
}

/* What an edge has to say to get in. */
static void tell_way(const struct se_host_facts *f, const struct se_door *door)
{
    char line[LINE_B], key[SE_KEY_TEXT_B];
    const char *url = se_address_reach(f->url, line, sizeof line);
    if (door)
        se_log(SE_LOG_INFO, "to use it: se-run --server %s --server-key %s --key FILE --draft DIR",
               url, se_key_text(&door->guard.own.open, key));
    else
        se_log(SE_LOG_INFO, "to use it: se-run --server %s --draft DIR", url);
}

static void tell_address(const struct se_host_facts *f, const struct se_serverd_told *told)
{
    if (f->stat)
        se_log(SE_LOG_INFO, "counters in /dev/shm/%s", f->stat);
    if (told->door)
        se_log(SE_LOG_INFO, "listening on %s, for %" PRIu32 " keys", f->url,
               se_keyring_n(told->door->ring));
    else
        se_log(SE_LOG_INFO, "listening on %s", f->url);
    if (told->admin)
        se_log(SE_LOG_INFO, "se-top --server %s looks at it", se_admin_where(told->admin));
    tell_way(f, told->door);
}

static void tell_end(const struct se_host *host, uint64_t begun_ns)
{
    const struct se_stat *stat = se_host_stat(host);
    se_log(SE_LOG_INFO,
           "left after %.0f s: %" PRIu64 " sessions, %" PRIu64 " rounds, %" PRIu64 " tokens",
           (double)(se_clock_ns() - begun_ns) * 1e-9, se_stat_get(stat, SE_COUNT_OPENED),
           se_stat_get(stat, SE_COUNT_ROUNDS), se_stat_get(stat, SE_COUNT_TOKENS));
}

/* Until something is there that would be left behind, these signals may do what they always do:
 * to load a large model takes long. */
static int watch_endings(void)
{
    int r = se_signals_watch(SIGTERM);
    return r == 0 ? se_signals_watch(SIGINT) : r;
}

static void show_metrics(struct se_exporter *exporter, const struct se_host *host,
                         const char *model)
{
    const struct se_metric_source source = { .backend = se_host_facts(host)->backend,
                                             .model = model,
                                             .stat = se_host_stat(host),
                                             .accounts = se_host_accounts(host) };
    se_exporter_show(exporter, &source);
}

static int open_door(struct se_door *door, const struct se_serverd_settings *s, bool admins_only)
{
    return se_door_open(door, s->key, s->keys, admins_only) < 0 ? SE_SERVERD_KEYS : 0;
}

static int open_admin(struct se_serverd_told *told, struct se_door *door,
                      const struct se_serverd_settings *s)
{
    char buffer[LINE_B];
    const char *url = se_serverd_admin_url(s, buffer, sizeof buffer);
    if (!url)
        return 0;
    const bool asks = told->door && strncmp(url, "tcp", 3) == 0;
    int r = asks ? open_door(door, s, true) : 0;
    if (r == 0 && se_admin_open(&told->admin, url, asks ? door : NULL) < 0)
        r = SE_SERVERD_DEAF;
    return r;
}

static int serve(struct se_host *host, const struct se_serverd_settings *settings,
                 const struct se_serverd_told *told)
{
    char path[PATH_MAX];
    uint64_t begun_ns = se_clock_ns();
    tell_address(se_host_facts(host), told);
    show_metrics(told->exporter, host, se_rig_name(settings->model, path));
    se_exporter_tell(told->exporter, SE_EXPORTER_SERVING, "");
    se_admin_show(told->admin, se_host_stat(host), se_host_board(host));
    se_notify_say(&told->notify, "READY=1\nSTATUS=listening on %s", se_host_facts(host)->url);
    int r = se_serverd_watch(host, settings, told);
    se_exporter_show(told->exporter, &(struct se_metric_source){ 0 }); /* the counters go */
    se_admin_show(told->admin, NULL, NULL);
    if (r == 0)
        tell_end(host, begun_ns);
    return r;
}

/* What would be left behind in the file system comes when the endings are watched. */
static int listen_and_serve(struct se_host *host, const struct se_serverd_settings *settings,
                            struct se_serverd_told *told)
{
    struct se_door back = { .ring = NULL };
    int r = watch_endings();
    if (r < 0)
        return se_trace(r);
    r = se_host_listen(host);
    if (r != 0)
        return r < 0 ? se_trace(r) : SE_SERVERD_DEAF;
    r = open_admin(told, &back, settings);
    if (r == 0)
        r = serve(host, settings, told);
    se_admin_close(told->admin);
    told->admin = NULL;
    se_door_close(&back);
    return r;
}

/* Before the model is loaded, which may take minutes: /healthz says that it starts. */
static int open_exporter(struct se_exporter **out, const char *address)
{
    char url[LINE_B];
    int len = 0;
    const struct se_exporter_options options = se_exporter_options(address);
    if (se_exporter_open(out, &options) < 0)
        return SE_SERVERD_DEAF;
    se_exporter_tell(*out, SE_EXPORTER_STARTING, "loads the model");
    se_log(SE_LOG_INFO, "metrics on %s/metrics", se_exporter_url(*out));
    snprintf(url, sizeof url, "tcp%s", se_exporter_url(*out) + strlen("http"));
    if (se_address_open(url, &len))
        se_log(SE_LOG_WARN,
               "other machines can reach %s, and anybody there may read what is counted",
               se_exporter_url(*out));
    return 0;
}

static int load_and_serve(const struct se_serverd_settings *settings, struct se_serverd_told *told)
{
    char other_page[NAME_B];
    struct se_host *host = NULL;
    snprintf(other_page, sizeof other_page, "%s.%ld", usual_page, (long)getpid());
    struct se_host_options options = host_options(settings, told, other_page);
    se_notify_say(&told->notify, "STATUS=loading %s", settings->model);
    if (se_host_load(&host, &options) < 0)
        return SE_SERVERD_MODEL;
    tell_model(se_host_facts(host), settings->model);
    int r = listen_and_serve(host, settings, told);
    se_host_close(host);
    return r;
}

/* Keys are files: what is wrong with them is told before a model is loaded. */
static int open_door_and_serve(const struct se_serverd_settings *settings,
                               struct se_serverd_told *told)
{
    struct se_door door = { .ring = NULL };
    int r = 0;
    if (settings->keys && *settings->keys) {
        r = open_door(&door, settings, false);
        told->door = r == 0 ? &door : NULL;
    }
    if (r == 0)
        r = load_and_serve(settings, told);
    se_door_close(&door);
    return r;
}

/* Each connection is a descriptor, those of strangers too. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int se_serverd_serve(const struct se_serverd_settings *settings)
{
    struct se_serverd_told told = { .exporter = NULL };
    allow_descriptors();
    int r = se_signals_open();
    if (r < 0)
        return se_trace(r);
    if (se_notify_open(&told.notify) < 0)
        se_log(SE_LOG_WARN, "%s", se_err_text());
    r = se_signals_watch(SIGHUP); /* one that comes too early waits */
    if (r == 0 && settings->metrics && *settings->metrics)
        r = open_exporter(&told.exporter, settings->metrics);
    if (r == 0)
        r = open_door_and_serve(settings, &told);
    se_exporter_close(told.exporter);
    se_notify_close(&told.notify);
    se_signals_close();
    return r < 0 ? se_trace(r) : r;
}
