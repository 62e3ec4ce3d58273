/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/config.h - the shape of a model, read from config.json.
 *
 * LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM. Whatever in
 * the file would change the arithmetic and is not known here is refused by name
 * (-ENOTSUP): a model that loads is a model that is computed right. */
#ifndef SE_RUNTIME_MODEL_CONFIG_H
#define SE_RUNTIME_MODEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

enum se_arch { SE_ARCH_LLAMA, SE_ARCH_MISTRAL, SE_ARCH_QWEN2, SE_ARCH_QWEN3 };

enum se_rope_kind { SE_ROPE_DEFAULT, SE_ROPE_LINEAR, SE_ROPE_LLAMA3, SE_ROPE_YARN };

struct se_rope_config {
    enum se_rope_kind kind;
    double theta;
    double factor;
    double low_freq_factor, high_freq_factor; /* llama3 */
    double beta_fast, beta_slow;              /* yarn */
    double attention_factor;                  /* yarn; 0: from factor */
    double mscale, mscale_all_dim;            /* yarn; 0: not given */
    bool truncate;                            /* yarn: whole-numbered correction range */
    uint32_t original_context;                /* llama3, yarn */
};

enum { SE_CONFIG_EOS_MAX = 8 };

struct se_config {
    enum se_arch arch;
    uint32_t vocab, hidden, layers, heads, kv_heads, head_dim, mlp;
    uint32_t context; /* max_position_embeddings, or the window when that is shorter */
    uint32_t window;  /* sliding_window where the model uses one, 0: none. Within a context no
                       * longer than it every position is seen, so it changes nothing */
    float norm_eps;
    bool tied;               /* the output projection is the embedding */
    bool qkv_bias, out_bias; /* biases of q, k, v and of o */
    bool mlp_bias;
    bool qk_norm; /* RMS norm of each q and k head (Qwen3) */
    struct se_rope_config rope;
    uint32_t bos;                    /* UINT32_MAX: none */
    uint32_t eos[SE_CONFIG_EOS_MAX]; /* from generation_config.json when it is there */
    uint32_t n_eos;
};

/* Reads dir/config.json (and generation_config.json). 0 or -errno, file and key in the text. */
int se_config_read(struct se_config *config, const char *dir);
/* The same from bytes; name is used in errors. Without generation_config. */
int se_config_parse(struct se_config *config, const char *name, const void *json, uint64_t len_b);

const char *se_arch_name(enum se_arch arch); /* "LlamaForCausalLM" */

/* The rotation frequencies: head_dim / 2 values in inv_freq, and the factor that scales cos
 * and sin (1 but for yarn). */
void se_rope_frequencies(const struct se_config *config, double *inv_freq, double *attention_scale);

#endif
