/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/tiny.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "kernels/float16.h"
#include "runtime/base/clock.h"
#include "runtime/base/rng.h"

/* A safetensors file while it is written: the header as text, the data as bytes. */
struct writer {
    enum se_dtype stored;
    struct se_rng rng;
    char *header;
    size_t header_b, header_cap;
    unsigned char *data;
    size_t data_b, data_cap;
};

static void grow(void *array, size_t *cap, size_t need)
{
    void *old;
    memcpy(&old, array, sizeof old);
    if (need > *cap) {
        *cap = need * 2;
        old = realloc(old, *cap);
        assert_non_null(old);
        memcpy(array, &old, sizeof old);
    }
}

static void put_header(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    grow(&w->header, &w->header_cap, w->header_b + len + 1);
    memcpy(w->header + w->header_b, text, len + 1);
    w->header_b += len;
}

static void put_value(struct writer *w, double value)
{
    float single = (float)value;
    uint16_t half = w->stored == SE_DTYPE_F16 ? se_f32_to_f16(single) : se_f32_to_bf16(single);
    size_t size_b = w->stored == SE_DTYPE_F32 ? sizeof single : sizeof half;
    grow(&w->data, &w->data_cap, w->data_b + size_b);
    memcpy(w->data + w->data_b, w->stored == SE_DTYPE_F32 ? (void *)&single : (void *)&half,
           size_b);
    w->data_b += size_b;
}

/* n_in 0: a vector. Values are normal around the middle. */
static void put_tensor(struct writer *w, const char *name, uint32_t n_out, uint32_t n_in,
                       double middle, double deviation)
{
    static const char *const dtype[] = {
        [SE_DTYPE_F32] = "F32",
        [SE_DTYPE_F16] = "F16",
        [SE_DTYPE_BF16] = "BF16",
    };
    char text[512], shape[64];
    size_t from = w->data_b;
    for (size_t i = 0; i < (size_t)n_out * (n_in ? n_in : 1); i++)
        put_value(w, middle + deviation * se_rng_normal(&w->rng));
    snprintf(shape, sizeof shape, n_in ? "[%u,%u]" : "[%u]", n_out, n_in);
    snprintf(text, sizeof text,
             "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
             w->header_b > 1 ? "," : "", name, dtype[w->stored], shape, from, w->data_b);
    put_header(w, text);
}

static void put_matrix(struct writer *w, int layer, const char *part, uint32_t n_out, uint32_t n_in,
                       bool biased)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, part);
    put_tensor(w, name, n_out, n_in, 0, 1.5 / sqrt(n_in));
    snprintf(name, sizeof name, "model.layers.%d.%s.bias", layer, part);
    if (biased)
        put_tensor(w, name, n_out, 0, 0, 0.2);
}

static void put_norm(struct writer *w, int layer, const char *part, uint32_t n)
{
    char name[128];
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, part);
    put_tensor(w, name, n, 0, 1, 0.2);
}

static void put_layer(struct writer *w, const struct tiny_spec *s, int layer)
{
    uint32_t q = s->heads * s->head_dim, kv = s->kv_heads * s->head_dim;
    bool biased = s->arch == SE_ARCH_QWEN2;
    put_norm(w, layer, "input_layernorm", s->hidden);
    put_norm(w, layer, "post_attention_layernorm", s->hidden);
    if (s->arch == SE_ARCH_QWEN3) {
        put_norm(w, layer, "self_attn.q_norm", s->head_dim);
        put_norm(w, layer, "self_attn.k_norm", s->head_dim);
    }
    put_matrix(w, layer, "self_attn.q_proj", q, s->hidden, biased);
    put_matrix(w, layer, "self_attn.k_proj", kv, s->hidden, biased);
    put_matrix(w, layer, "self_attn.v_proj", kv, s->hidden, biased);
    put_matrix(w, layer, "self_attn.o_proj", s->hidden, q, false);
    put_matrix(w, layer, "mlp.gate_proj", s->mlp, s->hidden, false);
    put_matrix(w, layer, "mlp.up_proj", s->mlp, s->hidden, false);
    put_matrix(w, layer, "mlp.down_proj", s->hidden, s->mlp, false);
}

static void write_weights(const char *dir, const struct tiny_spec *s)
{
    struct writer w = { .stored = s->stored };
    se_rng_init(&w.rng, s->seed, SE_RNG_TEST);
    put_header(&w, "{");
    put_tensor(&w, "model.embed_tokens.weight", s->vocab, s->hidden, 0, 1);
    for (uint32_t layer = 0; layer < s->layers; layer++)
        put_layer(&w, s, (int)layer);
    put_tensor(&w, "model.norm.weight", s->hidden, 0, 1, 0.2);
    if (!s->tied)
        put_tensor(&w, "lm_head.weight", s->vocab, s->hidden, 0, 1.5 / sqrt(s->hidden));
    put_header(&w, "}");
    while (w.header_b % 8)
        put_header(&w, " ");
    unsigned char *file = malloc(8 + w.header_b + w.data_b);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)(w.header_b >> 8 * i);
    memcpy(file + 8, w.header, w.header_b);
    memcpy(file + 8 + w.header_b, w.data, w.data_b);
    tiny_file(dir, "model.safetensors", file, 8 + w.header_b + w.data_b);
    free(file);
    free(w.header);
    free(w.data);
}

static void write_config(const char *dir, const struct tiny_spec *s)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "{\"architectures\":[\"%s\"],\"vocab_size\":%u,\"hidden_size\":%u,"
                     "\"num_hidden_layers\":%u,\"num_attention_heads\":%u,"
                     "\"num_key_value_heads\":%u,\"head_dim\":%u,\"intermediate_size\":%u,"
                     "\"max_position_embeddings\":%u,\"tie_word_embeddings\":%s,"
                     "\"rope_theta\":10000.0,\"rms_norm_eps\":1e-5,\"sliding_window\":null,"
                     "\"bos_token_id\":1,\"eos_token_id\":2}\n",
                     se_arch_name(s->arch), s->vocab, s->hidden, s->layers, s->heads, s->kv_heads,
                     s->head_dim, s->mlp, s->context, s->tied ? "true" : "false");
    assert_in_range(n, 1, sizeof text - 1);
    tiny_file(dir, "config.json", text, (size_t)n);
}

struct tiny_spec tiny_draw(uint64_t seed, enum se_dtype stored)
{
    static const uint32_t dims[] = { 8, 12, 16, 32, 64 };
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    struct tiny_spec spec = {
        .arch = (enum se_arch)se_rng_below(&rng, 4),
        .stored = stored,
        .vocab = 40 + se_rng_below(&rng, 200),
        .hidden = 24 + 8 * se_rng_below(&rng, 16),
        .layers = 1 + se_rng_below(&rng, 3),
        .kv_heads = 1 + se_rng_below(&rng, 3),
        .head_dim = dims[se_rng_below(&rng, 5)],
        .mlp = 20 + 4 * se_rng_below(&rng, 50),
        .context = 512,
        .tied = se_rng_below(&rng, 2),
        .seed = seed,
    };
    spec.heads = spec.kv_heads * (1 + se_rng_below(&rng, 4));
    return spec;
}

void tiny_folder(char *path)
{
    const char *root = getenv("TMPDIR");
    snprintf(path, TINY_PATH_MAX_B, "%s/se-tiny-XXXXXX", root && *root ? root : "/tmp");
    assert_non_null(mkdtemp(path));
}

void tiny_file(const char *dir, const char *name, const void *data, size_t len_b)
{
    char path[TINY_PATH_MAX_B * 2];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len_b, file), len_b);
    assert_int_equal(fclose(file), 0);
}

void tiny_write(char *path, const struct tiny_spec *spec)
{
    tiny_folder(path);
    write_config(path, spec);
    write_weights(path, spec);
}

void tiny_remove(const char *dir)
{
    char path[TINY_PATH_MAX_B * 2];
    const struct dirent *entry;
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        snprintf(path, sizeof path, "%s/%.*s", dir, TINY_PATH_MAX_B, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(folder);
    rmdir(dir);
}

uint64_t tiny_seed(void)
{
    const char *text = getenv("SE_TEST_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : se_clock_ns();
    print_message("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}
