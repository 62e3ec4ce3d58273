/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/coupling.c - how many tokens a verify brings, by how the draft ranks.
 *
 *     coupling MODELS [--temp 0.7] [--sharpen 2] [--budget 32] [--depth 6] ...
 *
 * MODELS holds tales-target, tales-draft and prompts.jsonl. In one process and without a network:
 * the draft grows a tree, the target verifies it, and so on. The ids must be those of plain
 * decoding. One line comes out: tokens per verify over all prompts, and the spread of the
 * prompts' own means. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/conf.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/step.h"
#include "runtime/text/tokenizer.h"
#include "sched/edge/draft.h"
#include "sched/edge/drafter.h"

enum { CHUNK = 64, LINE_B = 1 << 16, PATH_B = 4096 };

struct options {
    double temp, top_p, min_p, sharpen, decay;
    uint64_t top_k, seed, budget, depth, width, beams, prompts, tokens, longest;
    int drafter; /* enum kind */
    bool published, learned, check;
};
enum kind { MODEL, NGRAM };

static const struct se_conf_row rows[] = {
    { "temp", 'T', SE_CONF_REAL, offsetof(struct options, temp), "0.7", 0, 1000, "T",
      "temperature of the target" },
    { "top-k", 0, SE_CONF_UINT, offsetof(struct options, top_k), "0", 0, 4294967295.0, "K",
      "the target chooses among the K likeliest; 0: among all" },
    { "top-p", 0, SE_CONF_REAL, offsetof(struct options, top_p), "1", 0, 1, "P",
      "the target chooses among the likeliest that together reach probability P" },
    { "min-p", 0, SE_CONF_REAL, offsetof(struct options, min_p), "0", 0, 1, "P",
      "the target leaves out what is less likely than P times the likeliest" },
    { "seed", 's', SE_CONF_UINT, offsetof(struct options, seed), "1000", 0, 4294967295.0, "N",
      "of the first prompt; each further one has the next" },
    { "drafter", 'd', SE_CONF_CHOICE, offsetof(struct options, drafter), "model", 0, 0,
      "model|ngram", "who drafts" },
    { "longest", 0, SE_CONF_UINT, offsetof(struct options, longest), "4", 1, 16, "N",
      "ids that the ngram drafter looks for" },
    { "sharpen", 'k', SE_CONF_REAL, offsetof(struct options, sharpen), "2", 0, 1000, "K",
      "the draft ranks by K * (logit / T + noise), or so (drafter.h); 0: by logit / T" },
    { "published", 0, SE_CONF_FLAG, offsetof(struct options, published), NULL, 0, 0, NULL,
      "the draft ranks by its plain logits, whatever K says" },
    { "budget", 'b', SE_CONF_UINT, offsetof(struct options, budget), "32", 1, 1023, "N",
      "drafted nodes that are verified" },
    { "depth", 0, SE_CONF_UINT, offsetof(struct options, depth), "6", 0, 1023, "N",
      "levels that are drafted" },
    { "width", 0, SE_CONF_UINT, offsetof(struct options, width), "16", 1, 1024, "N",
      "successors looked at per node" },
    { "beams", 0, SE_CONF_UINT, offsetof(struct options, beams), "32", 1, 1024, "N",
      "nodes forwarded per level" },
    { "decay", 0, SE_CONF_REAL, offsetof(struct options, decay), "0.9", 0, 1, "D",
      "of the score, per level" },
    { "prompts", 'p', SE_CONF_UINT, offsetof(struct options, prompts), "8", 1, 1000000, "N",
      "of the file, from its beginning" },
    { "tokens", 'n', SE_CONF_UINT, offsetof(struct options, tokens), "64", 1, 1000000, "N",
      "new tokens of every prompt, at least" },
    { "learned", 0, SE_CONF_FLAG, offsetof(struct options, learned), NULL, 0, 0, NULL,
      "scores are what log-probabilities turned out to be worth, from the first prompt on" },
    { "check", 0, SE_CONF_FLAG, offsetof(struct options, check), NULL, 0, 0, NULL,
      "after every round the draft must be what a fresh pass would give; slow" },
};

/* A model of the pair, made ready. */
struct side {
    struct se_model *model;
    struct se_engine *engine;
};

struct bench {
    struct options o;
    struct side target, small;
    struct se_tokenizer *tokenizer;
    struct se_seq *seq; /* the target's */
    struct se_drafter *drafter;
    struct se_sampling sampling;
    struct se_grow_config config;
    struct se_draft draft;
    /* One prompt. */
    struct se_ids text, plain;
    uint32_t n_prompt;
    uint32_t *path;
    size_t path_cap;
    /* Results. */
    uint64_t tokens, verifies, nodes;
    double sum, squares;
    uint32_t n;
};

static int open_side(struct side *side, const char *models, const char *name, uint32_t max_rows)
{
    char dir[PATH_B];
    snprintf(dir, sizeof dir, "%s/%s", models, name);
    int r = se_model_open(&side->model, dir, &(struct se_model_options){ 0 });
    if (r < 0)
        return r;
    uint32_t pages = side->model->config.context / SE_PAGE_SLOTS + 1;
    struct se_engine_options options = { .max_rows = max_rows,
                                         /* a text, an open tree, and all of it again to check */
                                         .n_pages = 2 * pages + 20 * max_rows / SE_PAGE_SLOTS,
                                         .kv_dtype = se_engine_kv_dtype(side->model) };
    return se_engine_new(&side->engine, side->model, &options);
}

static void close_side(struct side *side)
{
    se_engine_free(side->engine);
    se_model_close(side->model);
}

static int open_bench(struct bench *b, const char *models)
{
    const struct options *o = &b->o;
    char dir[PATH_B];
    uint32_t max_rows = (uint32_t)(o->budget >= o->beams ? o->budget + 1 : o->beams);
    max_rows = max_rows < CHUNK ? CHUNK : max_rows;
    snprintf(dir, sizeof dir, "%s/tales-target", models);
    int r = se_tokenizer_open(&b->tokenizer, dir);
    if (r == 0)
        r = open_side(&b->target, models, "tales-target", max_rows);
    if (r == 0)
        r = open_side(&b->small, models, "tales-draft", max_rows);
    if (r == 0)
        r = se_seq_new(&b->seq, se_engine_kv(b->target.engine));
    if (r < 0)
        return r;
    const struct se_config *config = &b->small.model->config;
    r = o->drafter == NGRAM ? se_drafter_ngram(&b->drafter, config->vocab, (uint32_t)o->longest)
                            : se_drafter_model(&b->drafter, b->small.engine, config->vocab,
                                               config->context, max_rows);
    b->sampling = (struct se_sampling){
        .temp = o->temp, .top_k = (uint32_t)o->top_k, .top_p = o->top_p, .min_p = o->min_p
    };
    b->config = (struct se_grow_config){ .max_n_beams = (uint32_t)o->beams,
                                         .max_beam_len = (uint32_t)o->depth,
                                         .max_branch_width = (uint32_t)o->width,
                                         .max_budget = (uint32_t)o->budget,
                                         .max_depth = UINT32_MAX,
                                         .decay = o->decay };
    se_draft_init(&b->draft, b->drafter, o->learned);
    return r < 0 ? r : se_sampling_check(&b->sampling);
}

static void close_bench(struct bench *b)
{
    se_drafter_close(b->drafter);
    se_seq_free(b->seq);
    close_side(&b->small);
    close_side(&b->target);
    se_tokenizer_close(b->tokenizer);
    se_draft_fini(&b->draft);
    se_ids_fini(&b->text);
    se_ids_fini(&b->plain);
    se_mem_free(b->path);
}

static int add_id(struct se_ids *ids, uint32_t id)
{
    int r = se_mem_grow(&ids->id, &ids->cap, ids->n + 1, sizeof *ids->id);
    if (r == 0)
        ids->id[ids->n++] = id;
    return r;
}

/* Outcomes are errors here: there is room for everything. */
static int target_step(struct bench *b, struct se_part *part)
{
    int r = se_step(b->target.engine, part, 1);
    return r == SE_KV_FULL ? se_fail(-ENOMEM, "the target's pool of pages is full") : r;
}

/* The text but its last token. */
static int feed(struct bench *b)
{
    int r = 0;
    se_seq_rewind(b->seq, 0);
    for (uint32_t at = 0; r == 0 && at + 1 < b->text.n; at += CHUNK) {
        uint32_t left = (uint32_t)b->text.n - 1 - at;
        struct se_part part = { .seq = b->seq,
                                .token = b->text.id + at,
                                .n_rows = left < CHUNK ? left : CHUNK };
        r = target_step(b, &part);
    }
    return r;
}

/* What the target says token by token. */
static int decode(struct bench *b)
{
    int r = feed(b);
    uint32_t token = b->text.id[b->text.n - 1], path[1];
    b->plain.n = 0;
    while (r == 0 && b->plain.n < b->o.tokens) {
        struct se_part part = { .seq = b->seq,
                                .token = &token,
                                .n_rows = 1,
                                .want = SE_WANT_VERDICT,
                                .sampling = &b->sampling,
                                .path = path };
        r = target_step(b, &part);
        token = part.bonus;
        if (r == 0)
            r = add_id(&b->plain, token);
    }
    return r;
}

static int draft(struct bench *b)
{
    const uint32_t *text = b->text.id;
    uint32_t n = (uint32_t)b->text.n;
    int r;
    while ((r = se_draft_follow(&b->draft, text, n)) == SE_DRAFT_MORE)
        continue;
    b->config.max_depth = b->small.model->config.context - n;
    if (r == 0)
        r = se_draft_begin(&b->draft, &b->config);
    if (r == 0)
        while ((r = se_draft_level(&b->draft, text, n)) == SE_DRAFT_MORE)
            continue;
    return r < 0 ? r : se_draft_finish(&b->draft, UINT32_MAX);
}

static int verify(struct bench *b)
{
    const struct se_tree *tree = &b->draft.tree;
    bool hit;
    int r = se_mem_grow(&b->path, &b->path_cap, tree->n, sizeof *b->path);
    struct se_part part = { .seq = b->seq,
                            .token = tree->token,
                            .parent = tree->parent,
                            .n_rows = tree->n,
                            .want = SE_WANT_VERDICT,
                            .sampling = &b->sampling,
                            .path = b->path };
    if (r == 0)
        r = target_step(b, &part);
    for (uint32_t i = 1; r == 0 && i < part.n_path; i++)
        r = add_id(&b->text, tree->token[b->path[i]]);
    if (r == 0)
        r = add_id(&b->text, part.bonus);
    b->nodes += tree->n - 1;
    if (r == 0)
        r = se_draft_answer(&b->draft, b->path, part.n_path, part.bonus, &hit);
    return r == 0 && b->o.check ? se_drafter_check(b->drafter) : r;
}

static int compare(const struct bench *b, uint32_t number)
{
    const uint32_t *id = b->text.id + b->n_prompt;
    for (uint32_t i = 0; i < b->plain.n; i++)
        if (id[i] != b->plain.id[i])
            return se_fail(-EBADMSG, "prompt %u, new token %u: %u, and %u in plain decoding",
                           number, i, id[i], b->plain.id[i]);
    return 0;
}

static int run_prompt(struct bench *b, const char *prompt, uint32_t number)
{
    uint64_t verifies = 0;
    b->text.n = 0;
    int r = se_tokenizer_encode(b->tokenizer, prompt, strlen(prompt), SE_ENCODE_SPECIAL, &b->text);
    if (r < 0)
        return r;
    b->n_prompt = (uint32_t)b->text.n;
    b->sampling.seed = b->o.seed + number;
    b->drafter->sampling = b->sampling;
    b->drafter->sampling.temp = b->o.published ? 0 : b->sampling.temp;
    b->drafter->sharpen = b->o.published ? 0 : (float)b->o.sharpen;
    se_draft_cut(&b->draft, 0);
    r = decode(b);
    if (r == 0)
        r = feed(b);
    for (; r == 0 && b->text.n - b->n_prompt < b->plain.n; verifies++) {
        r = draft(b);
        if (r == 0)
            r = verify(b);
    }
    if (r < 0)
        return r;
    double made = (double)(b->text.n - b->n_prompt), mean = made / (double)verifies;
    b->tokens += b->text.n - b->n_prompt;
    b->verifies += verifies;
    b->sum += mean;
    b->squares += mean * mean;
    b->n++;
    return compare(b, number);
}

static int run_line(struct bench *b, const char *line, uint32_t number)
{
    json_error_t error;
    json_t *row = json_loads(line, 0, &error);
    const char *prompt = json_string_value(json_object_get(row, "prompt"));
    int r = prompt ? run_prompt(b, prompt, number)
                   : se_fail(-EINVAL, "prompts.jsonl, line %u: no prompt", number + 1);
    json_decref(row);
    return r;
}

static int run(struct bench *b, const char *models)
{
    static char line[LINE_B];
    char path[PATH_B];
    snprintf(path, sizeof path, "%s/prompts.jsonl", models);
    int r = open_bench(b, models);
    if (r < 0)
        return r;
    FILE *file = fopen(path, "r");
    if (!file)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    while (r == 0 && b->n < b->o.prompts && fgets(line, sizeof line, file))
        r = run_line(b, line, b->n);
    fclose(file);
    return r == 0 && b->n == 0 ? se_fail(-EINVAL, "%s: no prompts", path) : r;
}

static void print_result(const struct bench *b)
{
    const struct options *o = &b->o;
    double n = b->n, mean = b->sum / n, spread = b->squares / n - mean * mean;
    printf("T %g", o->temp);
    if (o->top_k)
        printf(" top-k %u", (unsigned)o->top_k);
    if (o->top_p < 1)
        printf(" top-p %g", o->top_p);
    if (o->min_p > 0)
        printf(" min-p %g", o->min_p);
    printf(", %s", b->drafter->ops->name);
    if (o->published)
        printf(", published");
    else
        printf(o->sharpen > 0 ? ", coupled %g" : ", log_softmax(logit / T)", o->sharpen);
    printf(o->learned ? ", learned" : "");
    printf(", budget %u depth %u width %u: %.3f tokens per verify (%u prompts, deviation %.2f; "
           "%.1f nodes), %u tokens as in plain decoding\n",
           (unsigned)o->budget, (unsigned)o->depth, (unsigned)o->width,
           (double)b->tokens / (double)b->verifies, b->n, sqrt(spread > 0 ? spread : 0),
           (double)b->nodes / (double)b->verifies, (unsigned)(b->n * o->tokens));
}

int main(int argc, char **argv)
{
    static struct bench b;
    int n_rest = 0;
    int r = se_conf_defaults(rows, sizeof rows / sizeof *rows, &b.o);
    char **words = se_mem_new((size_t)argc, sizeof *words);
    if (!words)
        r = -ENOMEM;
    if (r == 0)
        r = se_conf_args(rows, sizeof rows / sizeof *rows, &b.o, argc, argv, words, &n_rest);
    if (r == SE_CONF_HELP || (r == 0 && n_rest != 1)) {
        printf("coupling MODELS [option]...\n\n");
        se_conf_help(rows, sizeof rows / sizeof *rows, stdout);
        se_mem_free(words);
        return r == SE_CONF_HELP ? 0 : 2;
    }
    if (r == 0)
        r = run(&b, words[0]);
    if (r == 0)
        print_result(&b);
    else
        fprintf(stderr, "coupling: %s\n", se_err_text());
    close_bench(&b);
    se_mem_free(words);
    return r == 0 ? 0 : 1;
}
