/* SPDX-License-Identifier: Apache-2.0 */
/* se-model perplexity: how well the model foresees a text, in windows that know nothing of each
 * other. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "tools/interrupt.h"
#include "tools/progress.h"
#include "tools/rig.h"
#include "tools/se_model.h"

struct options {
    struct se_rig_options rig;
    uint64_t window, limit;
    bool documents, json;
};

struct sum {
    double nats;
    uint64_t tokens;
};

static int append(struct se_ids *ids, uint32_t id)
{
    int r = se_mem_grow(&ids->id, &ids->cap, ids->n + 1, sizeof ids->id[0]);
    if (r == 0)
        ids->id[ids->n++] = id;
    return r;
}

static bool blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!memchr(" \t\r\n\v\f", text[i], 6))
            return false;
    return true;
}

/* Documents end at an empty line; each opens as every text does and closes with EOS. */
static int encode_documents(const struct se_tokenizer *tokenizer, const struct se_config *config,
                            const struct se_file *file, struct se_ids *ids)
{
    const char *text = (const char *)file->data, *end = text + file->len_b;
    while (text < end) {
        const char *gap = memmem(text, (size_t)(end - text), "\n\n", 2);
        size_t len = (size_t)((gap ? gap : end) - text);
        if (!blank(text, len)) {
            int r = se_tokenizer_encode(tokenizer, text, len, SE_ENCODE_SPECIAL, ids);
            if (r == 0 && config->n_eos > 0)
                r = append(ids, config->eos[0]);
            if (r < 0)
                return se_trace(r);
        }
        text += len + (gap ? 2 : 0);
    }
    return 0;
}

static int encode_file(const struct options *o, const char *dir, const struct se_config *config,
                       const char *path, struct se_ids *ids)
{
    struct se_tokenizer *tokenizer = NULL;
    struct se_file file = SE_FILE_NULL;
    int r = se_rig_tokenizer(&tokenizer, dir, config);
    if (r == 0)
        r = se_file_open(&file, path);
    if (r == 0 && o->documents)
        r = encode_documents(tokenizer, config, &file, ids);
    else if (r == 0)
        r = se_tokenizer_encode(tokenizer, (const char *)file.data, file.len_b, SE_ENCODE_SPECIAL,
                                ids);
    if (r == 0 && ids->n < 2)
        r = se_fail(-EINVAL, "%s: a text of %zu tokens foretells nothing", path, ids->n);
    if (r == 0 && o->limit && ids->n > o->limit + 1)
        ids->n = o->limit + 1;
    se_file_close(&file);
    se_tokenizer_close(tokenizer);
    return r < 0 ? se_trace(r) : 0;
}

/* -log of the probability that the logits give to id. */
static double surprise(const float *logits, uint32_t n, uint32_t id)
{
    float best = logits[0];
    double sum = 0;
    for (uint32_t i = 1; i < n; i++)
        best = logits[i] > best ? logits[i] : best;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - best);
    return log(sum) - ((double)logits[id] - best);
}

/* n ids are told, and each foretells the one behind it: id[0..n] exist. */
static int window(struct se_rig *rig, struct se_seq *seq, const uint32_t *id, size_t n,
                  float *logits, struct sum *sum)
{
    uint32_t vocab = rig->model->config.vocab;
    for (size_t at = 0; at < n; at += SE_RIG_ROWS) {
        uint32_t rows = (uint32_t)(n - at < SE_RIG_ROWS ? n - at : SE_RIG_ROWS);
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
        int r = se_rig_logits(rig, seq, id + at, rows, logits);
        if (r < 0)
            return r;
        for (uint32_t i = 0; i < rows; i++)
            sum->nats += surprise(logits + (size_t)i * vocab, vocab, id[at + i + 1]);
        sum->tokens += rows;
    }
    if (!isfinite(sum->nats))
        return se_fail(-EDOM, "%s: no finite probability for some token", rig->dir);
    return 0;
}

static int measure(struct se_rig *rig, const struct se_ids *ids, size_t width, struct sum *sum)
{
    struct se_progress progress;
    struct se_seq *seq = NULL;
    float *logits = se_mem_new((size_t)SE_RIG_ROWS * rig->model->config.vocab, sizeof *logits);
    int r = logits ? se_seq_new(&seq, se_engine_kv(rig->engine)) : -ENOMEM;
    se_progress_begin(&progress, "reading");
    for (size_t at = 0; r == 0 && at + 1 < ids->n; at += width) {
        size_t n = ids->n - 1 - at < width ? ids->n - 1 - at : width;
        r = window(rig, seq, ids->id + at, n, logits, sum);
        se_seq_rewind(seq, 0);
        se_progress_at(&progress, at + n, ids->n - 1);
    }
    se_progress_end(&progress);
    se_seq_free(seq);
    se_mem_free(logits);
    return r;
}

static void print_sum(const struct options *o, const struct sum *sum, size_t width)
{
    double mean = sum->nats / (double)sum->tokens;
    const char *format = o->json ? "{\"perplexity\": %.9g, \"nats_per_token\": %.9g, "
                                   "\"tokens\": %" PRIu64 ", \"window\": %zu}\n"
                                 : "perplexity %.4f  (%.5f nats per token, %" PRIu64
                                   " tokens in windows of %zu)\n";
    printf(format, exp(mean), mean, sum->tokens, width);
}

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    struct se_config config;
    struct se_rig rig = SE_RIG_NULL;
    struct se_ids ids = SE_IDS_NULL;
    struct sum sum = { 0 };
    size_t width = 0;
    int r = se_config_read(&config, argument[0]);
    if (r < 0)
        return r;
    if (o->window > config.context)
        return se_fail(-ERANGE,
                       "--window %" PRIu64 " is longer than the context of %s: %" PRIu32 " tokens",
                       o->window, argument[0], config.context);
    width = o->window ? o->window : config.context < 512 ? config.context : 512;
    se_interrupt_watch();
    r = encode_file(o, argument[0], &config, argument[1], &ids);
    if (r == 0)
        r = se_rig_load(&rig, argument[0], &o->rig, NULL);
    if (r == 0)
        r = se_rig_start(&rig, SE_RIG_ROWS, 1, (uint32_t)width);
    if (r == 0)
        r = measure(&rig, &ids, width, &sum);
    if (r == 0)
        print_sum(o, &sum, width);
    se_rig_close(&rig);
    se_ids_fini(&ids);
    return r;
}

static const struct se_conf_row rows[] = {
    { "window", 0, SE_CONF_UINT, offsetof(struct options, window), "0", 0, 4294967295.0, "N",
      "tokens foretold with one window's knowledge; 0: 512, or the context if that is less" },
    { "limit", 0, SE_CONF_UINT, offsetof(struct options, limit), "0", 0, 4294967295.0, "N",
      "only the first N tokens; 0: all" },
    { "documents", 0, SE_CONF_FLAG, offsetof(struct options, documents), NULL, 0, 0, NULL,
      "empty lines part documents, each with its own opening token and EOS" },
    { "json", 'j', SE_CONF_FLAG, offsetof(struct options, json), NULL, 0, 0, NULL,
      "the result as JSON" },
    SE_RIG_OPTION_ROWS(struct options, rig),
};
static struct options chosen;

const struct se_verb se_verb_perplexity = {
    .name = "perplexity",
    .arguments = "DIR FILE",
    .n_arguments = 2,
    .summary = "how well the model foresees a text",
    .more =
        "The ids of FILE are cut into windows of N predicted ids. A window begins with nothing\n"
        "but its first id, which the window before it predicted.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
