/* SPDX-License-Identifier: Apache-2.0 */
/* se-model logits: what the model thinks of every token that may follow. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "tools/ids.h"
#include "tools/prompt.h"
#include "tools/rig.h"
#include "tools/se_model.h"

enum { SHOWN = 10 }; /* of one position, when a person reads */

struct options {
    struct se_rig_options rig;
    const char *ids;
    bool all, json;
};

static void print_row(const float *logits, uint32_t n)
{
    putchar('[');
    for (uint32_t i = 0; i < n; i++)
        printf(i ? ", %.9g" : "%.9g", (double)logits[i]);
    putchar(']');
}

/* The largest few, for the eye. */
static void print_best(size_t position, const float *logits, uint32_t n)
{
    double sum = 0;
    float best = -INFINITY, below = INFINITY;
    uint32_t shown[SHOWN];
    for (uint32_t i = 0; i < n; i++)
        best = fmaxf(best, logits[i]);
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - best);
    printf("position %zu\n", position);
    for (uint32_t k = 0; k < SHOWN && k < n; k++) {
        uint32_t top = UINT32_MAX;
        for (uint32_t i = 0; i < n; i++) {
            bool fresh = logits[i] < below || (logits[i] == below && i > shown[k - 1]);
            if (fresh && (top == UINT32_MAX || logits[i] > logits[top]))
                top = i;
        }
        if (top == UINT32_MAX)
            break;
        shown[k] = top;
        below = logits[top];
        printf("  %8" PRIu32 "  logit %10.5f  probability %.5f\n", top, (double)logits[top],
               exp((double)logits[top] - best) / sum);
    }
}

static int check_row(const char *dir, const float *logits, uint32_t n, size_t position)
{
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(logits[i]))
            return se_fail(-EDOM, "%s: the logit of id %" PRIu32 " at position %zu is %f", dir, i,
                           position, (double)logits[i]);
    return 0;
}

static int print_rows(const struct options *o, const struct se_rig *rig, const float *logits,
                      size_t from, size_t n, size_t total)
{
    uint32_t vocab = rig->model->config.vocab;
    for (size_t i = 0; i < n; i++) {
        if (!o->all && from + i + 1 < total)
            continue;
        int r = check_row(rig->dir, logits + i * vocab, vocab, from + i);
        if (r < 0)
            return r;
        if (!o->json) {
            print_best(from + i, logits + i * vocab, vocab);
            continue;
        }
        print_row(logits + i * vocab, vocab);
        fputs(from + i + 1 < total ? ",\n  " : "", stdout);
    }
    return 0;
}

static void print_head(const struct options *o, const struct se_ids *ids, uint32_t vocab)
{
    if (!o->json)
        return;
    printf("{\"ids\": [");
    for (size_t i = 0; i < ids->n; i++)
        printf(i ? ", %" PRIu32 : "%" PRIu32, ids->id[i]);
    printf("], \"vocab\": %" PRIu32 ", \"positions\": [", vocab);
    for (size_t i = o->all ? 0 : ids->n - 1; i < ids->n; i++)
        printf(i + 1 < ids->n ? "%zu, " : "%zu", i);
    printf("],\n \"logits\": [\n  ");
}

static int run_rows(const struct options *o, struct se_rig *rig, struct se_seq *seq,
                    const struct se_ids *ids, float *logits)
{
    uint32_t vocab = rig->model->config.vocab;
    size_t at = 0;
    if (!o->all) { /* only the last row is worth its logits */
        at = ids->n - 1;
        int r = se_rig_feed(rig, seq, ids->id, at);
        if (r != 0)
            return r;
    }
    print_head(o, ids, vocab);
    while (at < ids->n) {
        size_t rows = ids->n - at < SE_RIG_ROWS ? ids->n - at : SE_RIG_ROWS;
        int r = se_rig_logits(rig, seq, ids->id + at, (uint32_t)rows, logits);
        if (r == 0)
            r = print_rows(o, rig, logits, at, rows, ids->n);
        if (r < 0)
            return r;
        at += rows;
    }
    if (o->json)
        printf("]}\n");
    return 0;
}

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    struct se_rig rig = SE_RIG_NULL;
    struct se_ids ids = SE_IDS_NULL;
    struct se_seq *seq = NULL;
    struct se_config config;
    float *logits = NULL;
    if (!o->ids)
        return se_usage("which ids? Say --ids \"1 2 3\"");
    int r = se_ids_parse(&ids, o->ids, strlen(o->ids));
    if (r < 0 || ids.n == 0) {
        r = r < 0 ? SE_OUTCOME_USAGE : se_usage("--ids is empty");
        goto out;
    }
    r = se_config_read(&config, argument[0]);
    if (r == 0)
        r = se_prompt_check(&ids, &config, argument[0]);
    if (r == 0)
        r = se_rig_load(&rig, argument[0], &o->rig, NULL);
    if (r == 0)
        r = se_rig_start(&rig, SE_RIG_ROWS, 1, (uint32_t)ids.n);
    if (r == 0)
        r = se_seq_new(&seq, se_engine_kv(rig.engine));
    if (r < 0)
        goto out;
    uint32_t rows = o->all ? SE_RIG_ROWS : 1;
    logits = se_mem_new((size_t)rows * config.vocab, sizeof *logits);
    r = logits ? run_rows(o, &rig, seq, &ids, logits) : -ENOMEM;
out:
    se_mem_free(logits);
    se_seq_free(seq);
    se_rig_close(&rig);
    se_ids_fini(&ids);
    return r;
}

static const struct se_conf_row rows[] = {
    { "ids", 0, SE_CONF_TEXT, offsetof(struct options, ids), NULL, 0, 0, "IDS",
      "the tokens so far, \"1 2 3\"" },
    { "all", 'a', SE_CONF_FLAG, offsetof(struct options, all), NULL, 0, 0, NULL,
      "at every position, not only the last" },
    { "json", 'j', SE_CONF_FLAG, offsetof(struct options, json), NULL, 0, 0, NULL,
      "all of them as JSON, not only the best for the eye" },
    SE_RIG_OPTION_ROWS(struct options, rig),
};
static struct options chosen;

const struct se_verb se_verb_logits = {
    .name = "logits",
    .arguments = "DIR",
    .n_arguments = 1,
    .summary = "the logits of what follows",
    .more = "The JSON has the keys ids, vocab, positions and logits: one list of vocab numbers\n"
            "for each of the positions, float32 with nine digits.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
