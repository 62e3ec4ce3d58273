/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_edge.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/base/err.h"
#include "tools/se_run_faults.h"
#include "transport/link.h"
#include "transport/wire.h"

enum { FRAMES = 256 };

static int new_edge(struct se_run_edge *e, const struct se_sampling *sampling)
{
    struct se_edge_options options = se_edge_options();
    se_run_options_edge(e->o, &options);
    options.link = e->link;
    options.frames = e->frames;
    options.drafter = e->drafter.drafter;
    options.fingerprint = se_tokenizer_fingerprint(e->words->tokenizer);
    options.tokens = se_tokenizer_size(e->words->tokenizer);
    options.sampling = *sampling;
    options.watch = e->watch;
    if (getrandom(&options.nonce, sizeof options.nonce, 0) != (ssize_t)sizeof options.nonce)
        return se_fail(-errno, "no random number: %s", strerror(errno));
    int r = se_edge_new(&e->edge, &options);
    return r < 0 ? se_trace(r) : 0;
}

/* A link of its own for each edge, which expects one that is about to connect. */
static int new_link(struct se_run_edge *e)
{
    struct se_link_options options = se_link_options(e->frames);
    options.guard = e->guard;
    int r = se_link_connect(&e->link, se_run_server_url(e->server), &options);
    if (r == 0)
        r = se_run_faults_wrap(&e->link, e->frames);
    return r < 0 ? se_trace(r) : 0;
}

static void disconnect(struct se_run_edge *e)
{
    se_edge_free(e->edge);
    if (e->link) {
        se_link_close(e->link);
        se_link_drain(e->link, 100000000); /* the goodbye */
    }
    se_link_fini(e->link);
    e->edge = NULL;
    e->link = NULL;
}

int se_run_edge_open(struct se_run_edge *e, const struct se_run_options *o,
                     const struct se_run_words *words, const struct se_sampling *sampling,
                     const struct se_edge_watch *watch)
{
    *e = (struct se_run_edge){ .o = o, .words = words, .watch = *watch };
    int r = se_run_drafter_check(o, words);
    if (r == 0)
        r = se_frames_new(&e->frames, FRAMES, SE_WIRE_FRAME_MAX);
    if (r == 0)
        r = se_pass_open(&e->guard, &e->pass, o->key, o->server_key);
    if (r == 0)
        r = se_run_server_open(&e->server, o);
    if (r == 0) /* before the draft is loaded: what is wrong with a URL is known at once */
        r = new_link(e);
    if (r == 0)
        r = se_run_drafter_open(&e->drafter, o, words);
    if (r == 0)
        r = new_edge(e, sampling);
    if (r != 0)
        se_run_edge_close(e);
    return r < 0 ? se_trace(r) : r;
}

int se_run_edge_renew(struct se_run_edge *e, const struct se_sampling *sampling)
{
    disconnect(e);
    se_run_drafter_reset(&e->drafter);
    int r = new_link(e);
    return r < 0 ? r : new_edge(e, sampling);
}

void se_run_edge_close(struct se_run_edge *e)
{
    disconnect(e);
    se_run_drafter_close(&e->drafter);
    se_run_server_close(e->server);
    se_frames_free(e->frames);
    se_pass_close(e->guard);
    *e = SE_RUN_EDGE_NULL;
}
