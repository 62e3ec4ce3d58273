/* SPDX-License-Identifier: Apache-2.0 */
/* se-serverd: verifies what many edges drafted, with one large model. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/cpu.h"
#include "runtime/base/log.h"
#include "runtime/model/config.h"
#include "runtime/model/split.h"
#include "tools/address.h"
#include "tools/exporter.h"
#include "tools/program.h"
#include "tools/published.h"
#include "tools/rig.h"
#include "tools/se_serverd.h"

enum log_level { AS_ENVIRONMENT, ERRORS, WARNINGS, INFOS, DEBUGS };

#define AT(member) offsetof(struct se_serverd_settings, member)
#define S_NS 1e9

const struct se_conf_row se_serverd_rows[] = {
    { SE_CONF_FILE_ROW, 'c', SE_CONF_TEXT, AT(config), NULL, 0, 0, "FILE",
      "configuration file, YAML with the names of these options; FILE.d/*.yaml come behind it, the "
      "command line rules over all" },
    { "model", 'm', SE_CONF_TEXT, AT(model), NULL, 0, 0, "DIR",
      "folder of the target model, as Hugging Face lays it out" },
    { "listen", 'l', SE_CONF_TEXT, AT(listen), "tcp://127.0.0.1:7077", 0, 0, "URL[,URL]",
      "where edges find it: tcp://HOST:PORT (* for every address of this machine), ipc:///PATH, "
      "shm:///PATH, rdma://HOST:PORT; several with commas between" },
    { "keys", 'k', SE_CONF_TEXT, AT(keys), NULL, 0, 0, "FILE",
      "list of the keys that may come and of what each may have, see specedge-keys(5); it is read "
      "again on SIGHUP; without it anybody may come who reaches the server" },
    { "key", 0, SE_CONF_TEXT, AT(key), NULL, 0, 0, "FILE",
      "the server's own secret key, made by se-key new; with --keys" },
    { "insecure", 0, SE_CONF_FLAG, AT(insecure), NULL, 0, 0, NULL,
      "without --keys: listen where other machines can reach it, though anybody there may connect "
      "and read along" },
    SE_RIG_OPTION_ROWS(struct se_serverd_settings, rig),
    { "context", 0, SE_CONF_UINT, AT(context), "0", 0, 2147483647.0, "N",
      "tokens that a text may come to; 0: as many as the model can" },
    { "max-sessions", 0, SE_CONF_UINT, AT(max_sessions), "64", 1, 65536, "N",
      "sessions open at once, the parked ones included" },
    { "kv-mem", 0, SE_CONF_BYTES, AT(kv_b), "0", 0, 0x1p50, "SIZE",
      "memory for keys and values; 0: what all sessions need, but a quarter of what is free at "
      "most" },
    { "max-rows", 0, SE_CONF_UINT, AT(max_rows), "256", 1, 65536, "N", "rows of a step, at most" },
    { "max-nodes", 0, SE_CONF_UINT, AT(max_nodes), "128", 1, 1024, "N",
      "nodes of a tree, the root included, at most" },
    { "policy", 0, SE_CONF_CHOICE, AT(live.policy), "pipeline", 0, 0, "pipeline|dynamic|static",
      "when a step leaves: when waiting costs more than it saves; as soon as anything is ready; "
      "when max-batch rounds are ready",
      SE_CONF_LIVE },
    { "max-batch", 0, SE_CONF_UINT, AT(live.max_batch), "64", 1, 65536, "N",
      "rounds of a step, at most; with policy static: so many are waited for", SE_CONF_LIVE },
    { "wait", 0, SE_CONF_TIME, AT(live.wait_ns), "20ms", 0, 60 * S_NS, "TIME",
      "no round waits longer for others (pipeline, static)", SE_CONF_LIVE },
    { "prefill-time", 0, SE_CONF_TIME, AT(live.prefill_ns), "10ms", 0, 60 * S_NS, "TIME",
      "prompts may make a step so much longer while others are at work", SE_CONF_LIVE },
    { "park", 0, SE_CONF_TIME, AT(live.park_ns), "2m", 0, 86400 * S_NS, "TIME",
      "a session whose edge is gone is kept for so long", SE_CONF_LIVE },
    { "peer-sessions", 0, SE_CONF_UINT, AT(live.peer_sessions), "64", 1, 65536, "N",
      "sessions of one edge at once", SE_CONF_LIVE },
    { "peer-frames", 0, SE_CONF_UINT, AT(live.peer_frames), "2000", 1, 1e9, "N",
      "messages of one edge in a second, on the average", SE_CONF_LIVE },
    { "peer-faults", 0, SE_CONF_UINT, AT(live.peer_faults), "32", 1, 1e9, "N",
      "after so many faults an edge is cut off", SE_CONF_LIVE },
    { "idle", 0, SE_CONF_CHOICE, AT(idle), "park", 0, 0, "park|yield|spin",
      "threads without work: sleep; give their processor away; keep it, which answers fastest and "
      "wants a processor for each" },
    { "step-log", 0, SE_CONF_TEXT, AT(step_log), NULL, 0, 0, "FILE",
      "adds a line of JSON to it for every step" },
    { "trace", 0, SE_CONF_TEXT, AT(trace), NULL, 0, 0, "FILE",
      "when every round came, was computed and left, for the timelines of se-trace" },
    { "stat", 0, SE_CONF_TEXT, AT(stat), NULL, 0, 0, "NAME",
      "page of counters in /dev/shm; se-serverd if not given, with the process id behind it if "
      "that "
      "one is taken; \"\": none" },
    { "admin", 0, SE_CONF_TEXT, AT(admin), "auto", 0, 0, "URL",
      "where se-top --server looks at counters and sessions: ipc:///PATH, which the file's owner "
      "and group may use, or tcp://HOST:PORT, which keys that are called admin may use; auto: "
      "ipc:// in the service's runtime directory, PAGE.admin by the name of --stat, none without "
      "one; \"\": none" },
    { "metrics", 0, SE_CONF_TEXT, AT(metrics), NULL, 0, 0, "HOST:PORT",
      "what is counted, for Prometheus: http://HOST:PORT/metrics, and /healthz; :PORT for this "
      "machine alone, PORT 0 for one that is free" },
    { "drain", 0, SE_CONF_TIME, AT(drain_ns), "10s", 0, 3600 * S_NS, "TIME",
      "what is under way may take so long when it is told to leave" },
    { "log-level", 0, SE_CONF_CHOICE, AT(live.log_level), "auto", 0, 0,
      "auto|error|warn|info|debug", "what is told on standard error; auto: as SE_LOG says, or info",
      SE_CONF_LIVE },
    { "check", 0, SE_CONF_FLAG, AT(check), NULL, 0, 0, NULL,
      "look at settings and model, tell what is wrong, and leave", SE_CONF_ARGS_ONLY },
    { "print-conf", 0, SE_CONF_FLAG, AT(print_conf), NULL, 0, 0, NULL,
      "print a configuration file with every setting at its default, and leave",
      SE_CONF_ARGS_ONLY },
};
const size_t se_serverd_rows_n = sizeof se_serverd_rows / sizeof se_serverd_rows[0];
_Static_assert(sizeof se_serverd_rows / sizeof se_serverd_rows[0] <= SE_SERVERD_ROWS_MAX,
               "room for all rows");

struct se_server_live se_serverd_live_of(const struct se_serverd_live *live)
{
    return (struct se_server_live){ .policy = (enum se_policy)live->policy,
                                    .max_batch = (uint32_t)live->max_batch,
                                    .wait_ns = live->wait_ns,
                                    .prefill_ns = live->prefill_ns,
                                    .park_ns = live->park_ns,
                                    .peer_sessions = (uint32_t)live->peer_sessions,
                                    .peer_frames = (uint32_t)live->peer_frames,
                                    .peer_faults = (uint32_t)live->peer_faults };
}

void se_serverd_log_level(const struct se_serverd_live *live)
{
    se_log_init("se-serverd");
    if (live->log_level != AS_ENVIRONMENT)
        se_log_set_level((enum se_log_level)(live->log_level - ERRORS));
}

static bool is_set(const char *text) { return text && *text; }

const char *se_serverd_admin_url(const struct se_serverd_settings *s, char *buffer, uint32_t size_b)
{
    return se_admin_url(s->admin, is_set(s->stat) ? s->stat : "se-serverd", buffer, size_b);
}

static int check_doors(const struct se_serverd_settings *s)
{
    int len = 0;
    char buffer[256];
    if (is_set(s->keys) != is_set(s->key))
        return se_fail(
            -EINVAL,
            is_set(s->keys)
                ? "--keys %s: and the server's own key? Make one with \"se-key new FILE\", "
                  "and say --key FILE"
                : "--key %s: and who may come? Write their keys into a list, see "
                  "specedge-keys(5), and say --keys FILE",
            is_set(s->keys) ? s->keys : s->key);
    const char *url = se_serverd_admin_url(s, buffer, sizeof buffer);
    int r = url ? se_admin_check(url) : 0;
    if (r < 0)
        return se_fail(-EINVAL, "--admin: %s", se_err_text());
    if (url && se_address_open(url, &len) && !is_set(s->keys))
        return se_fail(-EINVAL,
                       "--admin: other machines can reach %s: that wants --keys, for it is open to "
                       "admins alone",
                       url);
    return 0;
}

int se_serverd_settings_check(const struct se_serverd_settings *s)
{
    int len = 0;
    if (!s->model || !*s->model)
        return se_fail(-EINVAL, "which model? Say --model DIR, or \"model: DIR\" in the "
                                "configuration file");
    if (s->max_nodes > s->max_rows)
        return se_fail(-EINVAL,
                       "--max-nodes %" PRIu64 ": a tree does not fit into steps of --max-rows "
                       "%" PRIu64,
                       s->max_nodes, s->max_rows);
    int r = se_rig_options_check(&s->rig);
    if (r < 0)
        return se_trace(r);
    r = se_address_check(s->listen);
    if (r < 0)
        return se_fail(r, "--listen: %s", se_err_text());
    if (strstr(s->listen, "loop://"))
        return se_fail(-EINVAL, "--listen: nobody but this process can reach %s", s->listen);
    r = s->metrics && *s->metrics ? se_exporter_check(s->metrics) : 0;
    if (r < 0)
        return se_fail(-EINVAL, "--metrics: %s", se_err_text());
    r = check_doors(s);
    if (r < 0)
        return se_trace(r);
    const char *open = se_address_open(s->listen, &len);
    if (open && !s->insecure && !is_set(s->keys))
        return se_fail(
            -EINVAL,
            "--listen: other machines can reach %.*s, and anybody there may connect and "
            "read along: say who may with --keys FILE, or --insecure if that is all right",
            len, open);
    return 0;
}

/* The keys are read as for serving. */
static int check_keys(const struct se_serverd_settings *s)
{
    struct se_door door = { .ring = NULL };
    if (!is_set(s->keys))
        return 0;
    int r = se_door_open(&door, s->key, s->keys, false);
    if (r == 0)
        printf("%s: %" PRIu32 " keys\n", s->keys, se_keyring_n(door.ring));
    se_door_close(&door);
    return r;
}

/* As far as headers tell: nothing is converted and nothing listens. */
static int check_model(const struct se_serverd_settings *s)
{
    struct se_tokenizer *tokenizer = NULL;
    struct se_rig rig = SE_RIG_NULL;
    struct se_rig_options options = { .threads = 1, .weights = SE_WEIGHTS_STORED };
    int r = se_rig_load(&rig, s->model, &options, NULL);
    if (r == 0)
        r = se_rig_tokenizer(&tokenizer, s->model, &rig.model->config);
    const uint32_t tp = se_rig_ranks(&s->rig);
    if (r == 0 && tp > 1)
        r = se_split_check(&rig.model->config,
                           s->rig.weights == SE_WEIGHTS_Q8 ? SE_DTYPE_Q8 : rig.model->dtype, tp);
    if (r == 0 && s->context > rig.model->config.context)
        r = se_fail(-ERANGE, "--context %" PRIu64 " is beyond the context of %s: %" PRIu32,
                    s->context, s->model, rig.model->config.context);
    if (r == 0)
        printf("%s: %s of %" PRIu32 " layers, context %" PRIu32 "; would listen on %s\n", s->model,
               se_arch_name(rig.model->config.arch), rig.model->config.layers,
               rig.model->config.context, s->listen);
    se_tokenizer_close(tokenizer);
    se_rig_close(&rig);
    return r < 0 ? SE_SERVERD_MODEL : 0;
}

static int run(const void *values, char **argument)
{
    const struct se_serverd_settings *s = values;
    (void)argument;
    if (s->print_conf) {
        se_conf_yaml(se_serverd_rows, se_serverd_rows_n, stdout,
                     "Settings of se-serverd: see se-serverd(1).");
        return 0;
    }
    if (se_serverd_settings_check(s) < 0)
        return SE_OUTCOME_USAGE;
    se_serverd_log_level(&s->live);
    if (s->check)
        return check_keys(s) < 0 ? SE_SERVERD_KEYS : check_model(s);
    return se_serverd_serve(s);
}

static void note(void *context, const char *file, int line, const char *key, const char *text)
{
    (void)context;
    se_log(SE_LOG_WARN, "%s:%d: %s: %s", file, line, key, text);
}

struct se_conf_files se_serverd_files = { .note = note };

static struct se_serverd_settings chosen;

static const struct se_verb verb = {
    .summary = "verifies what many edges drafted, with one large model",
    .more =
        "Serves until SIGTERM or SIGINT, then finishes what is under way; a second signal ends it\n"
        "at once. SIGHUP: reads the configuration file again.",
    .rows = se_serverd_rows,
    .n_rows = sizeof se_serverd_rows / sizeof se_serverd_rows[0],
    .values = &chosen,
    .files = &se_serverd_files,
    .run = run,
};
static const struct se_verb *const verbs[] = { &verb };

static const struct se_program_end ends[] = {
    { SE_SERVERD_DEAF, 3 },
    { SE_SERVERD_MODEL, 4 },
    { SE_SERVERD_KEYS, 5 },
};

static int begin(void)
{
    se_log_init("se-serverd");
    se_serverd_files.foreign = se_published_server;
    se_serverd_files.n_foreign = se_published_server_n;
    return se_cpu_init();
}

static const struct se_program program = {
    .name = "se-serverd",
    .verb = verbs,
    .n_verbs = 1,
    .end = ends,
    .n_ends = sizeof ends / sizeof ends[0],
    .begin = begin,
};

int main(int argc, char **argv) { return se_program_main(&program, argc, argv); }
