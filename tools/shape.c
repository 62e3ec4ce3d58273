/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/shape.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/err.h"

struct shape {
    const char *name, *class, *type;
    int hidden, layers, heads, kv_heads, head_dim, mlp, vocab, context;
    double theta, eps;
    bool tied;
};

#define LLAMA "LlamaForCausalLM", "llama"
#define MISTRAL "MistralForCausalLM", "mistral"
#define QWEN2 "Qwen2ForCausalLM", "qwen2"
#define QWEN3 "Qwen3ForCausalLM", "qwen3"

static const struct shape shapes[] = {
    /* hidden, layers, heads, kv heads, head_dim, MLP, vocabulary, context, theta, eps, tied */
    { "tiny-llama", LLAMA, 64, 2, 4, 2, 16, 160, 512, 1024, 1e4, 1e-5, false },
    { "tiny-mistral", MISTRAL, 64, 2, 8, 1, 8, 160, 512, 1024, 1e6, 1e-5, false },
    { "tiny-qwen2", QWEN2, 64, 2, 4, 2, 16, 160, 512, 1024, 1e6, 1e-6, true },
    { "tiny-qwen3", QWEN3, 64, 2, 4, 2, 32, 160, 512, 1024, 1e6, 1e-6, true },
    { "llama-150m", LLAMA, 768, 16, 12, 4, 64, 2048, 32000, 2048, 1e4, 1e-5, false },
    { "llama-1b", LLAMA, 2048, 22, 32, 4, 64, 5632, 32000, 2048, 1e4, 1e-5, false },
    { "qwen3-0.6b", QWEN3, 1024, 28, 16, 8, 128, 3072, 151936, 40960, 1e6, 1e-6, true },
    { "qwen3-1.7b", QWEN3, 2048, 28, 16, 8, 128, 6144, 151936, 40960, 1e6, 1e-6, true },
    { "qwen3-14b", QWEN3, 5120, 40, 40, 8, 128, 17408, 151936, 40960, 1e6, 1e-6, false },
};

static json_t *config_of(const struct shape *s)
{
    json_t *config = json_pack(
        "{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:i, s:f, s:f, s:n, s:b, s:b}",
        "architectures", s->class, "model_type", s->type, "vocab_size", s->vocab, "hidden_size",
        s->hidden, "intermediate_size", s->mlp, "num_hidden_layers", s->layers,
        "num_attention_heads", s->heads, "num_key_value_heads", s->kv_heads, "head_dim",
        s->head_dim, "hidden_act", "silu", "max_position_embeddings", s->context, "rms_norm_eps",
        s->eps, "rope_theta", s->theta, "rope_scaling", "tie_word_embeddings", (int)s->tied,
        "attention_bias", 0);
    if (!config)
        se_fail(-ENOMEM, "out of memory");
    return config;
}

json_t *se_shape_config(const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strcmp(name, shapes[i].name) == 0)
            return config_of(&shapes[i]);
    se_fail(-EINVAL, "no shape \"%s\": there are %s", name, SE_SHAPE_NAMES);
    return NULL;
}
