/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a folder: what is converted, and what is refused. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "kernels/float16.h"
#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/model/folder.h"
#include "runtime/model/model.h"
#include "tests/model/tiny.h"

static const struct tiny_spec small = {
    .arch = SE_ARCH_QWEN2,
    .stored = SE_DTYPE_BF16,
    .vocab = 70,
    .hidden = 40,
    .layers = 2,
    .heads = 4,
    .kv_heads = 2,
    .head_dim = 12,
    .mlp = 50,
    .context = 64,
    .seed = 3,
};

/* The folder's weight file in memory, to be damaged and written back. */
struct image {
    char dir[TINY_PATH_MAX_B];
    unsigned char *data;
    size_t len_b;
};

static void make_image(struct image *image, const struct tiny_spec *spec)
{
    char path[TINY_PATH_MAX_B * 2];
    struct se_file file;
    tiny_write(image->dir, spec);
    snprintf(path, sizeof path, "%s/model.safetensors", image->dir);
    assert_int_equal(se_file_open(&file, path), 0);
    image->len_b = file.len_b;
    image->data = malloc(file.len_b);
    assert_non_null(image->data);
    memcpy(image->data, file.data, file.len_b);
    se_file_close(&file);
}

static void drop_image(struct image *image)
{
    tiny_remove(image->dir);
    free(image->data);
}

/* The place of a tensor's bytes in the image. */
static unsigned char *tensor_in(const struct image *image, const char *name)
{
    struct se_safetensors file;
    assert_int_equal(se_safetensors_parse(&file, "image", image->data, image->len_b), 0);
    const struct se_tensor *tensor = se_safetensors_find(&file, name);
    assert_non_null(tensor);
    size_t at = (size_t)(tensor->data - image->data);
    se_safetensors_fini(&file);
    return image->data + at;
}

static void write_back(const struct image *image)
{
    tiny_file(image->dir, "model.safetensors", image->data, image->len_b);
}

static void replace_text(const struct image *image, const char *from, const char *to)
{
    assert_int_equal(strlen(from), strlen(to));
    unsigned char *at = memmem(image->data, image->len_b, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(to));
}

static int try_open(const char *dir, enum se_weights weights)
{
    struct se_model *model = NULL;
    struct se_model_options options = { .weights = weights };
    se_err_clear();
    int r = se_model_open(&model, dir, &options);
    se_model_close(model);
    return r;
}

/* Refused with one line that holds both texts. */
static void refused(const char *dir, enum se_weights weights, int code, const char *file,
                    const char *fault)
{
    int r = try_open(dir, weights);
    if (r != code || !strstr(se_err_text(), file) || !strstr(se_err_text(), fault) ||
        strchr(se_err_text(), '\n'))
        fail_msg("%d \"%s\", not %d naming %s and %s", r, se_err_text(), code, file, fault);
}

static struct se_model *opened(const char *dir, const struct se_model_options *options)
{
    struct se_model *model;
    if (se_model_open(&model, dir, options) != 0)
        fail_msg("%s", se_err_text());
    return model;
}

static float value_at(const struct se_matrix *m, uint32_t row, uint32_t col)
{
    size_t at = (size_t)row * m->n_in + col;
    if (m->dtype == SE_DTYPE_F32)
        return ((const float *)m->data)[at];
    uint16_t bits = ((const uint16_t *)m->data)[at];
    return m->dtype == SE_DTYPE_F16 ? se_f16_to_f32(bits) : se_bf16_to_f32(bits);
}

/* The values of a packed matrix, column by column: its products with unit vectors. */
static float *unpacked(const struct se_matrix *m)
{
    const struct se_matmul_impl *matmul = se_matmul_pick(SE_DTYPE_Q8);
    size_t n_in = m->n_in;
    float *unit = calloc(n_in * n_in, sizeof *unit);
    float *y = calloc(n_in * m->n_out, sizeof *y);
    void *rows = se_mem_new(se_matmul_rows_size(SE_DTYPE_Q8, m->n_in, m->n_in), 1);
    assert_true(unit && y && rows);
    for (size_t i = 0; i < n_in; i++)
        unit[i * n_in + i] = 1;
    matmul->prepare(unit, n_in, m->n_in, m->n_in, rows, 0, m->n_in);
    matmul->run(m, rows, m->n_in, y, m->n_out, 0, m->n_out);
    se_mem_free(rows);
    free(unit);
    return y;
}

static float converted(enum se_weights weights, float value)
{
    return weights == SE_WEIGHTS_BF16 ? se_bf16_to_f32(se_f32_to_bf16(value)) : value;
}

static void check_matrix(const struct se_matrix *is, const struct se_matrix *stored,
                         enum se_weights weights)
{
    assert_int_equal(is->n_out, stored->n_out);
    assert_int_equal(is->n_in, stored->n_in);
    float *packed = weights == SE_WEIGHTS_Q8 ? unpacked(is) : NULL;
    for (uint32_t row = 0; row < is->n_out; row++) {
        for (uint32_t col = 0; col < is->n_in; col++) {
            float from = value_at(stored, row, col);
            if (!packed)
                assert_true(value_at(is, row, col) == converted(weights, from));
            else /* a step of the grid is 1/127 of the group's largest, here below 7 */
                assert_true(fabsf(packed[(size_t)col * is->n_out + row] - from) < 3.6f / 127);
        }
    }
    free(packed);
}

static void conversion_keeps_the_values(void **state)
{
    static const enum se_dtype stored[] = { SE_DTYPE_F32, SE_DTYPE_F16, SE_DTYPE_BF16 };
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct tiny_spec spec = small;
        char dir[TINY_PATH_MAX_B];
        spec.stored = stored[i];
        spec.tied = i == 1;
        tiny_write(dir, &spec);
        struct se_model *plain = opened(dir, &(struct se_model_options){ 0 });
        assert_int_equal(plain->dtype, stored[i]);
        for (enum se_weights w = SE_WEIGHTS_F32; w <= SE_WEIGHTS_Q8; w++) {
            struct se_model *model = opened(dir, &(struct se_model_options){ .weights = w });
            assert_int_equal(model->embed.dtype, stored[i]); /* rows are looked up in it */
            assert_int_equal(model->dtype, model->output.dtype);
            check_matrix(&model->output, &plain->output, w);
            for (uint32_t k = 0; k < spec.layers; k++) {
                check_matrix(&model->layer[k].q, &plain->layer[k].q, w);
                check_matrix(&model->layer[k].down, &plain->layer[k].down, w);
                assert_memory_equal(model->layer[k].bias_k, plain->layer[k].bias_k,
                                    spec.kv_heads * spec.head_dim * sizeof(float));
            }
            assert_true(model->weight_b > 0);
            se_model_close(model);
        }
        se_model_close(plain);
        tiny_remove(dir);
    }
}

struct seen {
    size_t done_b, total_b;
    int calls;
};

static void note_progress(void *context, size_t done_b, size_t total_b)
{
    struct seen *seen = context;
    assert_true(done_b > seen->done_b && done_b <= total_b);
    *seen = (struct seen){ done_b, total_b, seen->calls + 1 };
}

/* And by several threads the bytes are the same. */
static void progress_is_told_and_threads_agree(void **state)
{
    struct tiny_spec spec = small;
    struct se_pool *pool;
    char dir[TINY_PATH_MAX_B];
    (void)state;
    spec.hidden = 512;
    spec.mlp = 1030;
    tiny_write(dir, &spec);
    assert_int_equal(se_pool_new(&pool, 2, false), 0);
    struct seen seen = { 0 };
    struct se_model_options options = {
        .weights = SE_WEIGHTS_Q8, .pool = pool, .progress = note_progress, .progress_context = &seen
    };
    struct se_model *two = opened(dir, &options);
    struct se_model *one = opened(dir, &(struct se_model_options){ .weights = SE_WEIGHTS_Q8 });
    assert_int_equal(seen.done_b, seen.total_b);
    assert_int_equal(seen.calls, 7 * 2 + 1);
    size_t scale_at_b;
    size_t size_b = se_matrix_q8_size(spec.mlp, spec.hidden, &scale_at_b);
    assert_memory_equal(two->layer[1].up.data, one->layer[1].up.data, size_b);
    se_model_close(one);
    se_model_close(two);
    se_pool_free(pool);
    tiny_remove(dir);
}

static void a_weight_that_is_not_finite_is_named(void **state)
{
    static const uint16_t nan_bits = 0x7fc0, infinity_bits = 0xff80;
    struct image image;
    (void)state;
    make_image(&image, &small);
    unsigned char *up = tensor_in(&image, "model.layers.1.mlp.up_proj.weight");
    memcpy(up + 2 * 77, &nan_bits, 2);
    write_back(&image);
    for (enum se_weights w = SE_WEIGHTS_F32; w <= SE_WEIGHTS_Q8; w++) {
        if (w != SE_WEIGHTS_BF16) /* that is as stored: mapped */
            refused(image.dir, w, -EDOM, "model.safetensors", "model.layers.1.mlp.up_proj.weight");
    }
    assert_int_equal(try_open(image.dir, SE_WEIGHTS_STORED), 0);
    memcpy(tensor_in(&image, "model.layers.0.post_attention_layernorm.weight"), &infinity_bits, 2);
    write_back(&image);
    refused(image.dir, SE_WEIGHTS_STORED, -EDOM, "model.safetensors",
            "model.layers.0.post_attention_layernorm.weight");
    drop_image(&image);
}

static void a_float_too_large_for_16_bits_is_named(void **state)
{
    static const float large = 3.4e38f;
    struct tiny_spec spec = small;
    struct image image;
    (void)state;
    spec.stored = SE_DTYPE_F32;
    make_image(&image, &spec);
    memcpy(tensor_in(&image, "model.layers.0.self_attn.o_proj.weight"), &large, sizeof large);
    write_back(&image);
    refused(image.dir, SE_WEIGHTS_BF16, -EDOM, "model.safetensors", "o_proj.weight");
    refused(image.dir, SE_WEIGHTS_Q8, -EDOM, "model.safetensors", "o_proj.weight");
    assert_int_equal(try_open(image.dir, SE_WEIGHTS_F32), 0);
    drop_image(&image);
}

static void tensors_have_the_shapes_of_the_config(void **state)
{
    struct image image;
    (void)state;
    make_image(&image, &small);
    replace_text(&image, "\"shape\":[70,40]", "\"shape\":[40,70]");
    write_back(&image);
    refused(image.dir, SE_WEIGHTS_STORED, -EINVAL, "model.safetensors",
            "model.embed_tokens.weight has the shape [40, 70], config.json makes it [70, 40]");
    replace_text(&image, "\"shape\":[40,70]", "\"shape\":[70,40]");
    replace_text(&image, "layers.1.self_attn.v_proj.bias", "layers.1.self_attn.v_prog.bias");
    write_back(&image);
    refused(image.dir, SE_WEIGHTS_STORED, -EINVAL, image.dir,
            "tensor model.layers.1.self_attn.v_proj.bias is missing");
    drop_image(&image);
}

static void a_vocabulary_larger_than_the_embedding_is_refused(void **state)
{
    static const char config[] =
        "{\"architectures\":[\"Qwen2ForCausalLM\"],\"vocab_size\":71,\"hidden_size\":40,"
        "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,"
        "\"head_dim\":12,\"intermediate_size\":50,\"max_position_embeddings\":64}";
    struct image image;
    (void)state;
    make_image(&image, &small);
    tiny_file(image.dir, "config.json", config, strlen(config));
    refused(image.dir, SE_WEIGHTS_STORED, -EINVAL, "model.safetensors",
            "model.embed_tokens.weight has the shape [70, 40], config.json makes it [71, 40]");
    drop_image(&image);
}

static void other_dtypes_are_refused(void **state)
{
    struct image image;
    (void)state;
    make_image(&image, &small);
    /* The first of the header is the embedding, and U16 is as long. */
    replace_text(&image, "\"dtype\":\"BF16\",\"shape\":[70,40]",
                 "\"dtype\": \"U16\",\"shape\":[70,40]");
    write_back(&image);
    refused(image.dir, SE_WEIGHTS_STORED, -ENOTSUP, "model.safetensors", "U16");
    drop_image(&image);
}

static void mixed_precisions_need_a_choice(void **state)
{
    struct image image;
    (void)state;
    make_image(&image, &small);
    unsigned char *at = memmem(image.data, image.len_b, "model.layers.1.mlp.gate_proj.weight", 35);
    assert_non_null(at);
    at = memmem(at, 100, "\"BF16\"", 6);
    assert_non_null(at);
    memcpy(at, " \"F16\"", 6);
    write_back(&image);
    refused(image.dir, SE_WEIGHTS_STORED, -ENOTSUP, "model.safetensors", "--weights");
    assert_int_equal(try_open(image.dir, SE_WEIGHTS_F32), 0);
    drop_image(&image);
}

static void truncated_files_are_refused_at_any_length(void **state)
{
    struct image image;
    (void)state;
    make_image(&image, &small);
    size_t whole_b = image.len_b;
    for (size_t cut_b = 1; cut_b < whole_b; cut_b = cut_b * 3 / 2 + 1) {
        image.len_b = whole_b - cut_b;
        write_back(&image);
        refused(image.dir, SE_WEIGHTS_STORED, -EINVAL, "model.safetensors", "");
    }
    image.len_b = 0;
    write_back(&image);
    refused(image.dir, SE_WEIGHTS_STORED, -EINVAL, "model.safetensors", "too short");
    drop_image(&image);
}

/* A folder in two shards: the whole file renamed, and a second one without tensors. */
static void write_index(const struct image *image, const char *index)
{
    char path[TINY_PATH_MAX_B * 2];
    snprintf(path, sizeof path, "%s/model.safetensors", image->dir);
    remove(path);
    tiny_file(image->dir, "a.safetensors", image->data, image->len_b);
    tiny_file(image->dir, "model.safetensors.index.json", index, strlen(index));
}

static void faults_of_the_index_are_named(void **state)
{
    static const struct {
        const char *index;
        int code;
        const char *file, *fault;
    } bad[] = {
        { "{\"weight_map\":{\"model.norm.weight\":\"b.safetensors\"}}", -ENOENT, "b.safetensors",
          "No such file" },
        { "{\"weight_map\":{\"lm_head.bias\":\"a.safetensors\"}}", -EINVAL,
          "model.safetensors.index.json", "lm_head.bias is not in a.safetensors" },
        { "{\"weight_map\":{\"model.norm.weight\":\"../a.safetensors\"}}", -EINVAL,
          "model.safetensors.index.json", "not the name of a file" },
        { "{\"weight_map\":{\"model.norm.weight\":7}}", -EINVAL, "model.safetensors.index.json",
          "not the name of a file" },
        { "{\"weight_map\":{\"model.norm.weight\":\"c.safetensors\"}}", -EINVAL, "c.safetensors",
          "too short" },
        { "{\"weight_map\":{\"model.norm.weight\":\"a.safetensors\","
          "\"lm_head.weight\":\"d.safetensors\"}}",
          -EINVAL, "d.safetensors", "is also in" },
        { "{\"weight_map\":[]}", -EINVAL, "model.safetensors.index.json", "weight_map" },
        { "{", -EINVAL, "model.safetensors.index.json", "" },
        { "{\"weight_map\":{}}", -EINVAL, "se-tiny", "is missing" },
    };
    struct image image;
    (void)state;
    make_image(&image, &small);
    tiny_file(image.dir, "c.safetensors", "", 0);
    tiny_file(image.dir, "d.safetensors", image.data, image.len_b);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_index(&image, bad[i].index);
        refused(image.dir, SE_WEIGHTS_STORED, bad[i].code, bad[i].file, bad[i].fault);
    }
    write_index(&image, "{\"weight_map\":{\"model.norm.weight\":\"a.safetensors\"}}");
    assert_int_equal(try_open(image.dir, SE_WEIGHTS_STORED), 0);
    drop_image(&image);
}

static void a_folder_without_weights_says_so(void **state)
{
    char dir[TINY_PATH_MAX_B], path[TINY_PATH_MAX_B * 2];
    (void)state;
    tiny_write(dir, &small);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    remove(path);
    refused(dir, SE_WEIGHTS_STORED, -ENOENT, dir, "neither model.safetensors nor");
    tiny_remove(dir);
    refused(dir, SE_WEIGHTS_STORED, -ENOENT, dir, "config.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversion_keeps_the_values),
        cmocka_unit_test(progress_is_told_and_threads_agree),
        cmocka_unit_test(a_weight_that_is_not_finite_is_named),
        cmocka_unit_test(a_float_too_large_for_16_bits_is_named),
        cmocka_unit_test(tensors_have_the_shapes_of_the_config),
        cmocka_unit_test(a_vocabulary_larger_than_the_embedding_is_refused),
        cmocka_unit_test(other_dtypes_are_refused),
        cmocka_unit_test(mixed_precisions_need_a_choice),
        cmocka_unit_test(truncated_files_are_refused_at_any_length),
        cmocka_unit_test(faults_of_the_index_are_named),
        cmocka_unit_test(a_folder_without_weights_says_so),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
