/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_drafter.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/tree/tree.h"

int se_run_drafter_check(const struct se_run_options *o, const struct se_run_words *words)
{
    const char *dir = se_run_options_draft_model(o);
    struct se_config config;
    struct se_tokenizer *own = NULL;
    if (!dir)
        return 0;
    int r = se_config_read(&config, dir);
    if (r == 0)
        r = se_rig_tokenizer(&own, dir, &config);
    if (r < 0)
        return se_trace(r);
    uint64_t a = se_tokenizer_fingerprint(own), b = se_tokenizer_fingerprint(words->tokenizer);
    se_tokenizer_close(own);
    if (a == b)
        return 0;
    se_fail(-EINVAL,
            "the draft model %s has another tokenizer than %s (fingerprints %016" PRIx64
            " and %016" PRIx64 "): it would guess in tokens that mean something else",
            dir, words->dir, a, b);
    return SE_RUN_DRAFTER_OTHER;
}

static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Rows that may be open at once: those of a tree and of the bet below it, and as many again that
 * were dropped from it but not yet forgotten. A page that is never used costs nothing. */
static uint32_t open_rows(const struct se_run_options *o)
{
    uint64_t rows =
        o->tree.n_beams * (o->tree.beam_len + 1) + o->ahead.n_beams * (o->ahead.beam_len + 2);
    return (uint32_t)least(most(2 * rows, 2 * SE_TREE_MAX), 64 * SE_TREE_MAX);
}

static int open_model(struct se_run_drafter *d, const struct se_run_options *o)
{
    int r = se_rig_load(&d->rig, o->draft, &o->rig, NULL);
    if (r < 0)
        return se_trace(r);
    /* Nobody shares a draft, and what has used a GPU cannot start others that do: the first one. */
    d->rig.devices.n = d->rig.devices.n > 0;
    d->rig.tp = d->rig.here = 1;
    const struct se_config *config = &d->rig.model->config;
    uint32_t context = (uint32_t)least(config->context, o->context ? o->context : UINT32_MAX);
    uint32_t rows = (uint32_t)most(SE_RIG_ROWS, most(o->tree.n_beams, o->ahead.n_beams));
    /* The check wants the same again, for the fresh pass. */
    r = se_rig_start(&d->rig, rows, o->check ? 3 : 1, context + open_rows(o));
    if (r == 0)
        r = se_drafter_model(&d->drafter, d->rig.engine, config->vocab, context, rows);
    if (r < 0)
        return se_trace(r);
    d->drafter->name = se_rig_name(o->draft, d->folder);
    return 0;
}

int se_run_drafter_open(struct se_run_drafter *d, const struct se_run_options *o,
                        const struct se_run_words *words)
{
    *d = SE_RUN_DRAFTER_NULL;
    int r = 0;
    if (se_run_options_draft_model(o))
        r = open_model(d, o);
    else if (o->draft)
        r = se_drafter_ngram(&d->drafter, se_tokenizer_size(words->tokenizer), (uint32_t)o->ngram);
    if (r < 0)
        se_run_drafter_close(d);
    return r < 0 ? se_trace(r) : 0;
}

void se_run_drafter_reset(struct se_run_drafter *d)
{
    if (d->drafter)
        d->drafter->ops->rewind(d->drafter, 0);
}

void se_run_drafter_close(struct se_run_drafter *d)
{
    se_drafter_close(d->drafter);
    se_rig_close(&d->rig);
    *d = SE_RUN_DRAFTER_NULL;
}
