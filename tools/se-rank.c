/* SPDX-License-Identifier: Apache-2.0 */
/* se-rank: computes a part of a model whose rank 0 is on another machine. */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "runtime/base/cpu.h"
#include "runtime/model/backend.h"
#include "runtime/model/config.h"
#include "runtime/model/identity.h"
#include "runtime/model/ranks.h"
#include "runtime/model/socket.h"
#include "tools/interrupt.h"
#include "tools/program.h"
#include "tools/rig.h"

struct options {
    const char *model, *join;
    struct se_rig_options rig;
};

static void say(void *context, const char *text)
{
    (void)context;
    se_program_say("%s", text);
}

static int check_user(void *context)
{
    (void)context;
    return se_interrupt_came() ? se_fail(-EINTR, "it was interrupted") : 0;
}

static const struct se_nodes_watch watch = { .say = say, .check = check_user };

/* The ranks are there until rank 0 tells them to leave. */
static int serve(struct se_rig *rig, const struct options *o, const struct se_nodes_terms *terms)
{
    const uint32_t all = se_cpu_count();
    const struct se_engine_options options = {
        .backend = rig->backend,
        .devices = rig->devices,
        .rank_threads = o->rig.threads   ? (uint32_t)o->rig.threads
                        : all > terms->n ? all / terms->n
                                         : 1,
    };
    se_pool_free(rig->pool); /* what is forked has one thread, and makes others then */
    rig->pool = NULL;
    se_interrupt_watch();
    int r = se_ranks_serve(rig->model, o->join, terms, &options, &watch);
    if (r == -EINTR)
        return SE_OUTCOME_INTERRUPTED;
    if (r == 0)
        se_program_say("told to leave by rank 0 at %s", o->join);
    return r < 0 ? se_trace(r) : 0;
}

static int load_and_serve(const struct options *o, const struct se_nodes_terms *terms)
{
    struct se_rig rig = SE_RIG_NULL;
    struct se_rig_options options = o->rig;
    options.weights = (int)terms->weights;
    se_program_say("joined %s: ranks %" PRIu32 " to %" PRIu32 " of %" PRIu32 ", weights %s",
                   o->join, terms->first, terms->first + terms->n - 1, terms->size,
                   se_weights_name((enum se_weights)terms->weights));
    int r = se_rig_load(&rig, o->model, &options, NULL);
    if (r == 0)
        r = serve(&rig, o, terms);
    se_rig_close(&rig);
    return r;
}

static int check(const struct options *o)
{
    struct se_engine_options engine = { 0 };
    if (!o->model || !*o->model)
        return se_usage("which model? Say --model DIR, a copy of the folder that rank 0 has");
    if (!o->join || !*o->join)
        return se_usage("whom to join? Say --join HOST:PORT, as --meet of rank 0's program has it");
    if (se_socket_check(o->join) < 0)
        return se_usage("--join: %s", se_err_text());
    if (se_backend_read(o->rig.backend, &engine.backend, &engine.devices) < 0)
        return SE_OUTCOME_USAGE;
    return 0;
}

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    struct se_nodes_terms terms;
    struct se_config config;
    int fd = -1;
    (void)argument;
    int r = check(o);
    if (r != 0)
        return r;
    r = se_config_read(&config, o->model);
    if (r < 0)
        return se_trace(r);
    r = se_nodes_join(&fd, &terms, o->join, se_identity_shape(&config), &watch);
    if (r < 0)
        return se_trace(r);
    r = load_and_serve(o, &terms);
    close(fd);
    return r;
}

static const struct se_conf_row rows[] = {
    { "model", 'm', SE_CONF_TEXT, offsetof(struct options, model), NULL, 0, 0, "DIR",
      "folder of the model: the same as rank 0 has" },
    { "join", 'j', SE_CONF_TEXT, offsetof(struct options, join), NULL, 0, 0, "HOST:PORT",
      "where the machines meet, as --meet of rank 0's program has it; waited for" },
    SE_RIG_THREADS_ROW(struct options, rig),
    SE_RIG_PRELOAD_ROW(struct options, rig),
    SE_RIG_BACKEND_ROW(struct options, rig),
};

static struct options chosen;

static const struct se_verb verb = {
    .summary = "computes a part of a model whose rank 0 is on another machine",
    .more = "Rank 0 is a program with --tp N --nodes M --meet HOST:PORT. Serves it until told to\n"
            "leave, and fails when it, or any other of the ranks, is gone: start it again then.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
static const struct se_verb *const verbs[] = { &verb };

static const struct se_program program = {
    .name = "se-rank",
    .verb = verbs,
    .n_verbs = 1,
    .begin = se_cpu_init,
};

int main(int argc, char **argv) { return se_program_main(&program, argc, argv); }
