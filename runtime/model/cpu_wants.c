/* SPDX-License-Identifier: Apache-2.0 */
/* From hidden states to what is asked for: logits, the best of them, or a sampled token. */
#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/model/backend_cpu.h"
#include "runtime/model/rank.h"

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

int se_cpu_wants(struct se_backend *b, const struct se_batch *batch)
{
    const struct se_config *config = &b->model->config;
    struct finish finish = { b, se_cpu_row_step(b, b->n_rows, config->hidden) };
    se_cpu_run(b, norm_item, &finish, (b->n_rows + finish.step - 1) / finish.step);
    hand_out_hidden(b, batch);
    for (uint32_t first = 0; first < b->n_rows; first += SE_CPU_LOGIT_ROWS) {
        uint32_t n = b->n_rows - first;
        n = n < SE_CPU_LOGIT_ROWS ? n : SE_CPU_LOGIT_ROWS;
        const struct se_cpu_product product = { &b->model->output, b->logits, NULL, NULL };
        struct wants wants = { b, batch, first };
        se_cpu_prepare(b, b->matmul_out, b->h + (size_t)first * config->hidden, n, config->hidden,
                       NULL, NULL);
        se_cpu_multiply(b, b->matmul_out, &product, 1, n, false);
        se_cpu_run(b, want_item, &wants, n);
        int r = check_rows(&wants, n);
        if (r < 0)
            return r;
    }
    return 0;
}
