/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/model.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/float16.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/folder.h"

/* A matrix that is to be converted. */
struct job {
    struct se_matrix *matrix;
    const struct se_shard *shard;
    const struct se_tensor *tensor;
};

struct se_weights_memory {
    struct se_folder folder;
    struct se_arena small; /* norms and biases as float32 */
    void *block;           /* all converted matrices; one block, so that huge pages fit */
};

struct loader {
    struct se_model *model;
    const struct se_model_options *options;
    const char *dir;
    struct job *job;
    size_t n_jobs, jobs_cap;
    size_t small_b;
};

/* The matrices of a layer, with the biases that go with them. */
struct part {
    const char *name;
    size_t matrix, bias; /* offsets in struct se_layer */
    uint32_t n_out, n_in;
    bool biased;
};
enum { N_PARTS = 7 };

static void list_parts(const struct se_config *c, struct part *part)
{
    uint32_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const struct part all[N_PARTS] = {
        { "self_attn.q_proj", offsetof(struct se_layer, q), offsetof(struct se_layer, bias_q), q,
          c->hidden, c->qkv_bias },
        { "self_attn.k_proj", offsetof(struct se_layer, k), offsetof(struct se_layer, bias_k), kv,
          c->hidden, c->qkv_bias },
        { "self_attn.v_proj", offsetof(struct se_layer, v), offsetof(struct se_layer, bias_v), kv,
          c->hidden, c->qkv_bias },
        { "self_attn.o_proj", offsetof(struct se_layer, o), offsetof(struct se_layer, bias_o),
          c->hidden, q, c->out_bias },
        { "mlp.gate_proj", offsetof(struct se_layer, gate), offsetof(struct se_layer, bias_gate),
          c->mlp, c->hidden, c->mlp_bias },
        { "mlp.up_proj", offsetof(struct se_layer, up), offsetof(struct se_layer, bias_up), c->mlp,
          c->hidden, c->mlp_bias },
        { "mlp.down_proj", offsetof(struct se_layer, down), offsetof(struct se_layer, bias_down),
          c->hidden, c->mlp, c->mlp_bias },
    };
    memcpy(part, all, sizeof all);
}

const char *se_weights_name(enum se_weights weights)
{
    static const char *const name[] = {
        [SE_WEIGHTS_STORED] = "stored",
        [SE_WEIGHTS_F32] = "f32",
        [SE_WEIGHTS_BF16] = "bf16",
        [SE_WEIGHTS_Q8] = "q8",
    };
    return name[weights];
}

/* Finding tensors, and holding them against the config. */

static int check_shape(const struct se_shard *shard, const struct se_tensor *tensor,
                       uint32_t n_dims, uint32_t dim0, uint32_t dim1)
{
    if (tensor->n_dims == n_dims && tensor->dim[0] == dim0 &&
        (n_dims == 1 || tensor->dim[1] == dim1))
        return 0;
    char has[128] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < tensor->n_dims && used < sizeof has; i++)
        used += (size_t)snprintf(has + used, sizeof has - used, "%s%llu", i ? ", " : "",
                                 (unsigned long long)tensor->dim[i]);
    char wants[32] = "";
    snprintf(wants, sizeof wants, n_dims == 1 ? "%u" : "%u, %u", dim0, dim1);
    return se_fail(-EINVAL, "%s: %s has the shape [%s], config.json makes it [%s]", shard->path,
                   tensor->name, has, wants);
}

static bool find_dtype(const char *name, enum se_dtype *dtype)
{
    static const struct {
        const char *name;
        enum se_dtype dtype;
    } known[] = { { "F32", SE_DTYPE_F32 }, { "F16", SE_DTYPE_F16 }, { "BF16", SE_DTYPE_BF16 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *dtype = known[i].dtype;
            return true;
        }
    }
    return false;
}

static int read_dtype(const struct se_shard *shard, const struct se_tensor *tensor,
                      enum se_dtype *dtype)
{
    if (find_dtype(tensor->dtype, dtype))
        return 0;
    return se_fail(-ENOTSUP, "%s: %s is of dtype %s; weights may be F32, F16 or BF16", shard->path,
                   tensor->name, tensor->dtype);
}

static int find_tensor(const struct loader *l, const char *name, const struct se_tensor **tensor,
                       const struct se_shard **shard)
{
    *tensor = se_folder_find(&l->model->memory->folder, name, shard);
    if (!*tensor)
        return se_fail(-EINVAL, "%s: tensor %s is missing", l->dir, name);
    return 0;
}

static int add_job(struct loader *l, struct se_matrix *matrix, const struct se_shard *shard,
                   const struct se_tensor *tensor)
{
    int r = se_mem_grow(&l->job, &l->jobs_cap, l->n_jobs + 1, sizeof *l->job);
    if (r < 0)
        return r;
    l->job[l->n_jobs++] = (struct job){ matrix, shard, tensor };
    return 0;
}

static int map_matrix(struct loader *l, const char *name, uint32_t n_out, uint32_t n_in,
                      struct se_matrix *matrix, bool convert)
{
    const struct se_tensor *tensor;
    const struct se_shard *shard;
    int r = find_tensor(l, name, &tensor, &shard);
    if (r == 0)
        r = check_shape(shard, tensor, 2, n_out, n_in);
    if (r < 0)
        return r;
    *matrix = (struct se_matrix){ .n_out = n_out, .n_in = n_in, .data = tensor->data };
    r = read_dtype(shard, tensor, &matrix->dtype);
    if (r == 0 && convert)
        r = add_job(l, matrix, shard, tensor);
    return r;
}

static float element(enum se_dtype dtype, const void *data, size_t i)
{
    if (dtype == SE_DTYPE_F32)
        return ((const float *)data)[i];
    uint16_t bits = ((const uint16_t *)data)[i];
    return dtype == SE_DTYPE_F16 ? se_f16_to_f32(bits) : se_bf16_to_f32(bits);
}

/* A norm or a bias, as float32 of our own. */
static int copy_vector(struct loader *l, const char *name, uint32_t n, const float **out)
{
    const struct se_tensor *tensor;
    const struct se_shard *shard;
    enum se_dtype dtype;
    int r = find_tensor(l, name, &tensor, &shard);
    if (r == 0)
        r = check_shape(shard, tensor, 1, n, 0);
    if (r == 0)
        r = read_dtype(shard, tensor, &dtype);
    if (r < 0)
        return r;
    float *copy = se_arena_take(&l->model->memory->small, n, sizeof *copy);
    if (!copy)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        copy[i] = element(dtype, tensor->data, i);
        if (!isfinite(copy[i]))
            return se_fail(-EDOM, "%s: %s holds a value that is not finite", shard->path, name);
    }
    l->small_b += n * sizeof *copy;
    *out = copy;
    return 0;
}

static int map_part(struct loader *l, uint32_t number, const struct part *part)
{
    struct se_layer *layer = &l->model->layer[number];
    char name[128];
    snprintf(name, sizeof name, "model.layers.%u.%s.weight", number, part->name);
    int r = map_matrix(l, name, part->n_out, part->n_in,
                       (struct se_matrix *)((char *)layer + part->matrix), true);
    if (r < 0 || !part->biased)
        return r;
    snprintf(name, sizeof name, "model.layers.%u.%s.bias", number, part->name);
    return copy_vector(l, name, part->n_out, (const float **)((char *)layer + part->bias));
}

static int copy_norms(struct loader *l, uint32_t number)
{
    const struct se_config *config = &l->model->config;
    struct se_layer *layer = &l->model->layer[number];
    const struct {
        const char *name;
        uint32_t n;
        const float **to;
        bool there;
    } norm[] = {
        { "input_layernorm", config->hidden, &layer->norm_attn, true },
        { "post_attention_layernorm", config->hidden, &layer->norm_mlp, true },
        { "self_attn.q_norm", config->head_dim, &layer->norm_q, config->qk_norm },
        { "self_attn.k_norm", config->head_dim, &layer->norm_k, config->qk_norm },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof norm / sizeof *norm; i++) {
        char name[128];
        snprintf(name, sizeof name, "model.layers.%u.%s.weight", number, norm[i].name);
        if (norm[i].there)
            r = copy_vector(l, name, norm[i].n, norm[i].to);
    }
    return r;
}

static int map_layers(struct loader *l)
{
    struct se_model *model = l->model;
    struct part part[N_PARTS];
    list_parts(&model->config, part);
    for (uint32_t number = 0; number < model->config.layers; number++) {
        int r = copy_norms(l, number);
        for (int i = 0; r == 0 && i < N_PARTS; i++)
            r = map_part(l, number, &part[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The embedding stays as it is stored, for rows are looked up in it; what it is multiplied
 * with when it is tied is the output matrix. */
static int map_ends(struct loader *l)
{
    static const char embed[] = "model.embed_tokens.weight";
    struct se_model *model = l->model;
    const struct se_config *config = &model->config;
    int r = map_matrix(l, embed, config->vocab, config->hidden, &model->embed, false);
    if (r == 0)
        r = map_matrix(l, config->tied ? embed : "lm_head.weight", config->vocab, config->hidden,
                       &model->output, true);
    if (r == 0)
        r = copy_vector(l, "model.norm.weight", config->hidden, &model->norm);
    return r;
}

/* One kind of product serves a layer, so that its inputs are made ready once. */
static int check_same_dtype(const struct loader *l)
{
    for (size_t i = 0; i + 1 < l->n_jobs; i++) { /* the last one is the output */
        if (l->job[i].matrix->dtype != l->job[0].matrix->dtype)
            return se_fail(-ENOTSUP,
                           "%s: %s is %s, but %s is %s: stored precisions are mixed, "
                           "choose one with --weights",
                           l->job[i].shard->path, l->job[i].tensor->name, l->job[i].tensor->dtype,
                           l->job[0].tensor->name, l->job[0].tensor->dtype);
    }
    return 0;
}

/* Conversion. */

static size_t element_size(enum se_dtype dtype)
{
    return dtype == SE_DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
}

/* Bytes of a matrix as it is used, mapped or converted. */
static size_t used_size(const struct se_matrix *matrix)
{
    size_t scale_at_b, n = (size_t)matrix->n_out * matrix->n_in;
    if (matrix->dtype == SE_DTYPE_Q8)
        return se_matrix_q8_size(matrix->n_out, matrix->n_in, &scale_at_b);
    return n * element_size(matrix->dtype);
}

/* Bytes that a matrix takes in memory of our own; 0: it stays where it is mapped. */
static size_t converted_size(const struct loader *l, const struct se_matrix *from, enum se_dtype to)
{
    if (from->dtype == to && !l->options->preload)
        return 0;
    struct se_matrix done = { .dtype = to, .n_out = from->n_out, .n_in = from->n_in };
    return (used_size(&done) + SE_MEM_ALIGN - 1) & ~(size_t)(SE_MEM_ALIGN - 1);
}

struct conversion {
    const struct se_matrix *from;
    enum se_dtype to;
    void *block;
    uint32_t step; /* outputs per item */
    atomic_bool bad;
};

/* As they are: what is not finite is found by the step that meets it, as in a mapped file. */
static void copy_rows(const struct conversion *c, uint32_t from, uint32_t to)
{
    size_t row_b = c->from->n_in * element_size(c->to);
    memcpy((char *)c->block + from * row_b, (const char *)c->from->data + from * row_b,
           (to - from) * row_b);
}

static bool convert_rows(const struct conversion *c, uint32_t from, uint32_t to)
{
    bool good = true;
    if (c->from->dtype == c->to) {
        copy_rows(c, from, to);
        return true;
    }
    size_t end = (size_t)to * c->from->n_in;
    for (size_t i = (size_t)from * c->from->n_in; i < end; i++) {
        float value = element(c->from->dtype, c->from->data, i);
        if (c->to == SE_DTYPE_F32) {
            ((float *)c->block)[i] = value;
        } else {
            uint16_t bits = se_f32_to_bf16(value);
            ((uint16_t *)c->block)[i] = bits;
            value = se_bf16_to_f32(bits);
        }
        good &= isfinite(value) != 0;
    }
    return good;
}

static void convert_item(void *context, uint32_t item, uint32_t thread)
{
    struct conversion *c = context;
    uint32_t from = item * c->step;
    uint32_t to = c->from->n_out - from < c->step ? c->from->n_out : from + c->step;
    (void)thread;
    bool good = c->to == SE_DTYPE_Q8 ? se_matrix_pack_q8(c->from, c->block, from, to) == 0
                                     : convert_rows(c, from, to);
    if (!good)
        atomic_store_explicit(&c->bad, true, memory_order_relaxed); /* read after the pool */
}

/* Pages of a file that were read for conversion and are not needed any more. */
static void forget_source(const struct se_tensor *tensor)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)tensor->data + page - 1) & ~(page - 1);
    uintptr_t to = ((uintptr_t)tensor->data + tensor->len_b) & ~(page - 1);
    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

static int convert_matrix(struct loader *l, const struct job *job, enum se_dtype to, void *block)
{
    enum { ITEM_ELEMENTS = 1 << 17, BLOCK = 16 };
    struct se_matrix *matrix = job->matrix;
    uint32_t step = ITEM_ELEMENTS / matrix->n_in / BLOCK * BLOCK;
    struct conversion c = { .from = matrix, .to = to, .block = block };
    c.step = step ? step : BLOCK;
    uint32_t n_items = (matrix->n_out + c.step - 1) / c.step;
    if (l->options->pool)
        se_pool_run(l->options->pool, convert_item, &c, n_items);
    for (uint32_t i = 0; !l->options->pool && i < n_items; i++)
        convert_item(&c, i, 0);
    if (atomic_load_explicit(&c.bad, memory_order_relaxed))
        return se_fail(-EDOM, "%s: %s holds a value that is not finite or does not fit %s",
                       job->shard->path, job->tensor->name, se_dtype_name(to));
    struct se_matrix done = {
        .dtype = to, .n_out = matrix->n_out, .n_in = matrix->n_in, .data = block
    };
    if (to == SE_DTYPE_Q8) {
        size_t scale_at_b;
        se_matrix_q8_size(matrix->n_out, matrix->n_in, &scale_at_b);
        done.scale = (const uint16_t *)((const char *)block + scale_at_b);
    }
    *matrix = done;
    forget_source(job->tensor);
    return 0;
}

/* What a matrix becomes. */
static enum se_dtype target_of(const struct loader *l, const struct job *job)
{
    static const enum se_dtype target[] = {
        [SE_WEIGHTS_F32] = SE_DTYPE_F32,
        [SE_WEIGHTS_BF16] = SE_DTYPE_BF16,
        [SE_WEIGHTS_Q8] = SE_DTYPE_Q8,
    };
    enum se_weights weights = l->options->weights;
    return weights == SE_WEIGHTS_STORED ? job->matrix->dtype : target[weights];
}

static int convert_all(struct loader *l)
{
    const struct se_model_options *options = l->options;
    size_t total_b = 0, done_b = 0;
    for (size_t i = 0; i < l->n_jobs; i++)
        total_b += converted_size(l, l->job[i].matrix, target_of(l, &l->job[i]));
    if (total_b == 0)
        return 0;
    char *block = l->model->memory->block = se_mem_new(total_b, 1);
    if (!block)
        return -ENOMEM;
    for (size_t i = 0; i < l->n_jobs; i++) {
        enum se_dtype to = target_of(l, &l->job[i]);
        size_t size_b = converted_size(l, l->job[i].matrix, to);
        int r = size_b ? convert_matrix(l, &l->job[i], to, block + done_b) : 0;
        if (r < 0)
            return r;
        done_b += size_b;
        if (options->progress && size_b)
            options->progress(options->progress_context, done_b, total_b);
    }
    return 0;
}

static void count_bytes(struct loader *l)
{
    struct se_model *model = l->model;
    model->weight_b = l->small_b;
    for (size_t i = 0; i < l->n_jobs; i++)
        model->weight_b += used_size(l->job[i].matrix);
    if (model->embed.data != model->output.data)
        model->weight_b += used_size(&model->embed);
}

static int load(struct loader *l)
{
    struct se_model *model = l->model;
    int r = se_config_read(&model->config, l->dir);
    if (r < 0)
        return r;
    model->memory = se_mem_zero(1, sizeof *model->memory);
    model->layer = se_mem_zero(model->config.layers, sizeof *model->layer);
    if (!model->memory || !model->layer)
        return -ENOMEM;
    r = se_folder_open(&model->memory->folder, l->dir);
    if (r == 0)
        r = map_layers(l);
    if (r == 0)
        r = map_ends(l);
    if (r == 0 && l->options->weights == SE_WEIGHTS_STORED)
        r = check_same_dtype(l);
    if (r == 0)
        r = convert_all(l);
    if (r < 0)
        return r;
    model->dtype = model->layer[0].q.dtype;
    model->scan = se_model_scan;
    count_bytes(l);
    return 0;
}

int se_model_open(struct se_model **out, const char *dir, const struct se_model_options *options)
{
    struct se_model *model = se_mem_zero(1, sizeof *model);
    if (!model)
        return se_trace(-ENOMEM);
    struct loader loader = { .model = model, .options = options, .dir = dir };
    int r = load(&loader);
    se_mem_free(loader.job);
    if (r < 0) {
        se_model_close(model);
        return se_trace(r);
    }
    *out = model;
    return 0;
}

static bool all_finite(const struct se_tensor *tensor, enum se_dtype dtype)
{
    size_t n = tensor->len_b / (dtype == SE_DTYPE_F32 ? sizeof(float) : sizeof(uint16_t));
    bool good = true;
    for (size_t i = 0; i < n; i++)
        good &= isfinite(element(dtype, tensor->data, i)) != 0;
    return good;
}

int se_model_scan(const struct se_model *model)
{
    const struct se_folder *folder = &model->memory->folder;
    for (size_t i = 0; i < folder->n; i++) {
        const struct se_shard *shard = &folder->shard[i];
        for (size_t k = 0; k < shard->content.n; k++) {
            const struct se_tensor *tensor = &shard->content.tensor[k];
            enum se_dtype dtype;
            /* What is of another kind is no weight of ours. */
            if (find_dtype(tensor->dtype, &dtype) && !all_finite(tensor, dtype))
                return se_fail(-EDOM, "%s: %s holds a value that is not finite", shard->path,
                               tensor->name);
        }
    }
    return 0;
}

void se_model_close(struct se_model *model)
{
    if (!model)
        return;
    if (model->memory) {
        se_folder_close(&model->memory->folder);
        se_arena_fini(&model->memory->small);
        se_mem_free(model->memory->block);
    }
    se_mem_free(model->memory);
    se_mem_free(model->layer);
    se_mem_free(model);
}
