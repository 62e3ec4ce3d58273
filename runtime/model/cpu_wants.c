/* SPDX-License-Identifier: Apache-2.0 */
/* From hidden states to what is asked for: logits, the best of them, or a sampled token. */
#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/model/backend_cpu.h"
#include "runtime/model/collective.h"
#include "runtime/model/rank.h"
#include "runtime/model/split.h"

struct wants {
    const struct se_backend *backend;
    const struct se_batch *batch;
    uint32_t first; /* of the rows whose logits are there, in the list rows[] */
};

/* A row's number within its part. */
static uint32_t row_in_part(const struct se_batch *batch, uint32_t part, uint32_t number)
{
    return number - batch->part[part].first_row;
}

static void want_item(void *context, uint32_t item, uint32_t thread)
{
    const struct wants *w = context;
    const struct se_backend *b = w->backend;
    uint32_t vocab = b->model->config.vocab;
    uint32_t number = b->rows[w->first + item], part = b->part_of[number];
    uint32_t row = row_in_part(w->batch, part, number);
    uint32_t position = w->batch->row[number].position;
    const struct se_part *ask = w->batch->part[part].ask;
    float *logits = b->logits + (size_t)item * vocab;
    (void)thread;
    b->failed[item] = 0;
    if (ask->want == SE_WANT_LOGITS)
        memcpy(ask->logits + (size_t)row * vocab, logits, vocab * sizeof *logits);
    if (ask->want == SE_WANT_TOPK)
        b->failed[item] = se_rank(ask, logits, vocab, position, row);
    if (ask->want == SE_WANT_VERDICT)
        b->failed[item] =
            se_sample(ask->sampling, logits, vocab, position + 1, &w->batch->sampled[number]);
}

/* Hidden states go out; rows that want nothing but them leave the list, and h follows. */
static void hand_out_hidden(struct se_backend *b, const struct se_batch *batch)
{
    size_t hidden = b->model->config.hidden;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        uint32_t number = b->rows[i], part = b->part_of[number];
        const struct se_part *ask = batch->part[part].ask;
        const float *h = b->h + i * hidden;
        if (ask->hidden)
            memcpy(ask->hidden + row_in_part(batch, part, number) * hidden, h, hidden * sizeof *h);
        if (ask->want == SE_WANT_NOTHING)
            continue;
        if (kept != i)
            memcpy(b->h + kept * hidden, h, hidden * sizeof *h);
        b->rows[kept++] = number;
    }
    b->n_rows = kept;
}

static int check_rows(const struct wants *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct se_backend *b = w->backend;
        uint32_t number = b->rows[w->first + i], part = b->part_of[number];
        if (b->failed[i] < 0)
            return se_fail(b->failed[i],
                           "part %u, row %u: a logit is not a number, or none is "
                           "finite (weights that hold NaN do this)",
                           part, row_in_part(w->batch, part, number));
    }
    return 0;
}

struct finish {
    const struct se_backend *backend;
    uint32_t step;
};

static void norm_item(void *context, uint32_t item, uint32_t thread)
{
    const struct finish *f = context;
    const struct se_backend *b = f->backend;
    const struct se_config *config = &b->model->config;
    uint32_t from = item * f->step;
    uint32_t to = b->n_rows - from < f->step ? b->n_rows : from + f->step;
    (void)thread;
    for (uint32_t i = from; i < to; i++)
        b->norm->run(b->x + (size_t)i * config->hidden, b->model->norm, config->norm_eps,
                     config->hidden, b->h + (size_t)i * config->hidden);
}

/* Rank 0: from the ranks' parts, one behind the other, to rows. */
struct joining {
    const struct se_backend *backend;
    uint32_t n_rows, tokens;
};

static void join_item(void *context, uint32_t row, uint32_t thread)
{
    const struct joining *j = context;
    const struct se_backend *b = j->backend;
    const size_t vocab = b->model->config.vocab, tokens = j->tokens;
    (void)thread;
    for (size_t rank = 0, at = 0; at < vocab; rank++, at += tokens) {
        const size_t n = vocab - at < tokens ? vocab - at : tokens;
        memcpy(b->logits + row * vocab + at, b->shares + rank * j->n_rows * tokens + row * tokens,
               n * sizeof *b->logits);
    }
}

/* Logits of n rows of h, from first on, into logits; of a group every rank computes those of
 * some tokens, and rank 0 gets them all. */
static int project_out(struct se_backend *b, uint32_t first, uint32_t n)
{
    const struct se_config *config = &b->model->config;
    const struct se_matrix *w = &b->model->output;
    const struct se_cpu_product product = { w, b->group ? b->share : b->logits, NULL, NULL };
    se_cpu_prepare(b, b->matmul_out, b->h + (size_t)first * config->hidden, n, config->hidden, NULL,
                   NULL);
    if (w->n_out > 0) /* the last ranks may have no token of a small vocabulary */
        se_cpu_multiply(b, b->matmul_out, &product, 1, n, false);
    if (!b->group)
        return 0;
    struct joining joining = { b, n, se_split_tokens(config, b->group->size) };
    /* Rows of the last ranks are shorter than those of the others, and gathered like them. */
    for (uint32_t row = n; w->n_out < joining.tokens && row-- > 0;)
        memmove(b->share + (size_t)row * joining.tokens, b->share + (size_t)row * w->n_out,
                w->n_out * sizeof *b->share);
    const int r = b->group->ops->gather(b->group, b->share,
                                        (size_t)n * joining.tokens * sizeof *b->share, b->shares);
    if (r == 0 && b->group->rank == 0)
        se_cpu_run(b, join_item, &joining, n);
    return r;
}

int se_cpu_wants(struct se_backend *b, const struct se_batch *batch)
{
    const struct se_config *config = &b->model->config;
    int failed = 0;
    struct finish finish = { b, se_cpu_row_step(b, b->n_rows, config->hidden) };
    se_cpu_run(b, norm_item, &finish, (b->n_rows + finish.step - 1) / finish.step);
    hand_out_hidden(b, batch);
    for (uint32_t first = 0; first < b->n_rows; first += SE_CPU_LOGIT_ROWS) {
        uint32_t n = b->n_rows - first;
        n = n < SE_CPU_LOGIT_ROWS ? n : SE_CPU_LOGIT_ROWS;
        struct wants wants = { b, batch, first };
        int r = project_out(b, first, n);
        if (r < 0)
            return r;
        if (b->group && b->group->rank > 0)
            continue;
        se_cpu_run(b, want_item, &wants, n);
        if (failed == 0)
            failed = check_rows(&wants, n);
        if (failed < 0 && !b->group)
            return failed;
        /* The other ranks do not know, and go through to the end. */
    }
    return failed;
}
