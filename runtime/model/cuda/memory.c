/* SPDX-License-Identifier: Apache-2.0 */
/* Pages, buffers and the block: all of it is there from the start and stays where it is, because
 * a captured step has its addresses. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/collective.h"
#include "runtime/model/cuda/inside.h"

enum { OUTPUT_HEAD_B = (sizeof(struct se_gpu_output) + 63) / 64 * 64 };

static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

static int take(struct se_backend *b, const char *what, size_t count, size_t size_b, void *out)
{
    size_t total_b;
    if (__builtin_mul_overflow(count, size_b, &total_b))
        return se_fail(-ENOMEM, "%s: too many bytes", what);
    void *at = se_gpu_alloc(total_b, what);
    if (!at)
        return se_cuda_pass_on(-ENOMEM);
    memcpy(out, &at, sizeof at);
    b->memory_b += total_b;
    return 0;
}

/* The angle is rounded to float32, as the models' own code does it, and as the CPU does. */
static int open_rotations(struct se_backend *b)
{
    const struct se_config *config = &b->model->config;
    const size_t half = config->head_dim / 2, n = (size_t)config->context * half;
    double *frequency = se_mem_new(half, sizeof *frequency), scale;
    float *cos_to = se_mem_new(n, sizeof *cos_to), *sin_to = se_mem_new(n, sizeof *sin_to);
    int r = frequency && cos_to && sin_to ? 0 : -ENOMEM;
    if (r == 0)
        r = take(b, "rotations", n, sizeof *b->cos, &b->cos);
    if (r == 0)
        r = take(b, "rotations", n, sizeof *b->sin, &b->sin);
    if (r == 0)
        se_rope_frequencies(config, frequency, &scale);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const float angle = (float)(uint32_t)(i / half) * (float)frequency[i % half];
        cos_to[i] = (float)cos((double)angle) * (float)scale;
        sin_to[i] = (float)sin((double)angle) * (float)scale;
    }
    if (r == 0)
        r = se_cuda_pass_on(se_gpu_upload(b->cos, cos_to, n * sizeof *cos_to));
    if (r == 0)
        r = se_cuda_pass_on(se_gpu_upload(b->sin, sin_to, n * sizeof *sin_to));
    se_mem_free(frequency);
    se_mem_free(cos_to);
    se_mem_free(sin_to);
    return r;
}

static size_t work_size(const struct se_backend *b)
{
    const struct se_cuda_layer *layer = b->layer;
    const struct se_cuda_matrix *const of[] = { &layer->qkv, &layer->o, &layer->gate_up,
                                                &layer->down };
    size_t n = se_gpu_attend_work(&b->heads, b->max_rows);
    for (int i = 0; i < 4; i++)
        n = max_size(n, se_gpu_matmul_work(of[i]->n_out, of[i]->n_in, b->max_rows));
    if (b->output.n_out == 0)
        return n;
    return max_size(n, se_gpu_matmul_work(b->output.n_out, b->output.n_in, b->max_wanted));
}

static int open_buffers(struct se_backend *b)
{
    const struct se_config *config = &b->model->config;
    const size_t rows = b->max_rows, wanted = b->max_wanted;
    const size_t q = (size_t)config->heads * config->head_dim;
    const size_t kv = (size_t)config->kv_heads * config->head_dim;
    const bool samples = !b->group || b->group->rank == 0;
    const size_t input = max_size(max_size(config->hidden, q), config->mlp);
    int r = take(b, "rows", rows * config->hidden, sizeof *b->x, &b->x);
    if (r == 0)
        r = take(b, "rows", rows * input, sizeof *b->h, &b->h);
    if (r == 0)
        r = take(b, "rows", rows * max_size(q + 2 * kv, 2 * (size_t)config->mlp), sizeof *b->wide,
                 &b->wide);
    if (r == 0)
        r = take(b, "queries", rows * q, sizeof *b->q, &b->q);
    if (r == 0 && samples)
        r = take(b, "logits", wanted * config->vocab, sizeof *b->logits, &b->logits);
    if (r == 0 && b->group)
        r = take(b, "parts of other ranks", se_cuda_ranks_room(b), sizeof *b->parts, &b->parts);
    if (r == 0)
        r = take(b, "hidden states", wanted * config->hidden, sizeof *b->plain, &b->plain);
    if (r == 0)
        r = take(b, "sums", work_size(b), sizeof *b->work, &b->work);
    if (r == 0)
        r = take(b, "arrivals", SE_GPU_ARRIVALS, sizeof *b->arrived, &b->arrived);
    if (r == 0)
        r = se_cuda_pass_on(se_gpu_fill(b->arrived, 0, SE_GPU_ARRIVALS * sizeof *b->arrived));
    return r;
}

static int open_pages(struct se_backend *b)
{
    const struct se_config *config = &b->model->config;
    size_t n;
    b->layer_b = (size_t)b->n_pages * config->kv_heads * 2 * SE_GPU_PAGE_SLOTS * config->head_dim *
                 sizeof(uint16_t);
    if (__builtin_mul_overflow(b->layer_b, (size_t)config->layers, &n))
        return se_fail(-ENOMEM, "%u pages are too many", b->n_pages);
    return take(b, "pages of keys and values", n, 1, &b->pages);
}

/* Where the arrays of an output lie that begins at `at`. */
static struct se_gpu_output output_at(const struct se_backend *b, unsigned char *at)
{
    const size_t rows = b->max_rows, best = rows * SE_GPU_TOPK_MAX;
    uint32_t *first = (uint32_t *)(at + OUTPUT_HEAD_B);
    return (struct se_gpu_output){
        .sampled = first,
        .path = first + rows,
        .n_path = first + 2 * rows,
        .bonus = first + 3 * rows,
        .topk_id = first + 4 * rows,
        .topk_logprob = (void *)(first + 4 * rows + best),
    };
}

static int open_output(struct se_backend *b)
{
    struct se_cuda_shared *s = &b->shared;
    const size_t words = (size_t)b->max_rows * (4 + 2 * SE_GPU_TOPK_MAX);
    const size_t size_b = OUTPUT_HEAD_B + words * sizeof(uint32_t);
    struct se_gpu_output there;
    int r = take(b, "answers", size_b, 1, &s->output);
    if (r < 0)
        return r;
    there = output_at(b, (unsigned char *)s->output);
    s->sampled_there = there.sampled;
    r = se_gpu_fill(s->output, 0, size_b);
    if (r == 0)
        r = se_gpu_upload(s->output, &there, sizeof there);
    if (r == 0)
        r = se_gpu_mapped_init(&s->seen, size_b, "answers");
    if (r < 0)
        return se_cuda_pass_on(r);
    *(struct se_gpu_output *)s->seen.host = output_at(b, s->seen.device);
    const struct se_gpu_output here = output_at(b, s->seen.host);
    s->sampled = here.sampled;
    s->path = here.path;
    s->n_path = here.n_path;
    s->bonus = here.bonus;
    s->topk_id = here.topk_id;
    s->topk_logprob = here.topk_logprob;
    return 0;
}

static int open_block(struct se_backend *b)
{
    struct se_cuda_shared *s = &b->shared;
    const size_t tail = max_size((size_t)b->max_rows * SE_CUDA_TAIL_ROW, SE_CUDA_TAIL_LEAST);
    const size_t row_b =
        sizeof(struct se_gpu_row) + sizeof(struct se_gpu_part) + sizeof(struct se_gpu_tile);
    const size_t words = b->max_wanted + (size_t)b->n_pages + tail;
    size_t block_b = sizeof(struct se_gpu_input) + b->max_rows * row_b + words * sizeof(uint32_t);
    block_b = (block_b + 8 * 16 + 63) & ~(size_t)63; /* each array is rounded up */
    int r = se_gpu_mapped_init(&s->block, block_b, "the step's block");
    if (r == 0)
        r = se_gpu_mapped_init(&s->move, SE_CUDA_MOVES * sizeof(struct se_kv_move), "moves");
    return r < 0 ? se_cuda_pass_on(r) : take(b, "the step's block", block_b, 1, &s->input);
}

int se_cuda_memory_open(struct se_backend *b)
{
    int r = open_rotations(b);
    if (r == 0)
        r = open_pages(b);
    if (r == 0)
        r = open_buffers(b);
    if (r == 0)
        r = open_block(b);
    if (r == 0)
        r = open_output(b);
    return r;
}

void se_cuda_memory_close(struct se_backend *b)
{
    struct se_cuda_shared *s = &b->shared;
    void *const of[] = { b->cos,    b->sin,   b->pages, b->x,       b->h,     b->wide,  b->q,
                         b->logits, b->plain, b->work,  b->arrived, b->parts, s->input, s->output };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        se_gpu_free(of[i]);
    se_gpu_mapped_fini(&s->block);
    se_gpu_mapped_fini(&s->move);
    se_gpu_mapped_fini(&s->seen);
}
