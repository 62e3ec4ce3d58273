/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"

/* What the four families do by themselves; the rest is in the file. */
static const struct family {
    const char *name;
    uint32_t head_dim;   /* when the file does not say; 0: hidden / heads */
    bool kv_heads_given; /* the file has to say num_key_value_heads */
    bool qkv_bias;       /* always, whatever the file says */
    bool reads_attention_bias, reads_mlp_bias;
    bool qk_norm;
    bool window;        /* sliding_window counts unless the file switches it off */
    bool window_switch; /* use_sliding_window has to switch it on */
} families[] = {
    [SE_ARCH_LLAMA] = { .name = "LlamaForCausalLM",
                        .reads_attention_bias = true,
                        .reads_mlp_bias = true },
    [SE_ARCH_MISTRAL] = { .name = "MistralForCausalLM", .kv_heads_given = true, .window = true },
    [SE_ARCH_QWEN2] = { .name = "Qwen2ForCausalLM",
                        .kv_heads_given = true,
                        .qkv_bias = true,
                        .window_switch = true },
    [SE_ARCH_QWEN3] = { .name = "Qwen3ForCausalLM",
                        .head_dim = 128,
                        .kv_heads_given = true,
                        .reads_attention_bias = true,
                        .qk_norm = true,
                        .window_switch = true },
};
enum { N_FAMILIES = sizeof families / sizeof *families };

/* Keys that change what is computed, with the one value that leaves it alone. */
static const struct {
    const char *key;
    double harmless; /* true counts as 1 and false as 0 */
} changes[] = {
    { "pretraining_tp", 1 },          { "partial_rotary_factor", 1 },  { "logit_scale", 1 },
    { "logits_scaling", 1 },          { "embedding_multiplier", 1 },   { "residual_multiplier", 1 },
    { "final_logit_softcapping", 0 }, { "attn_logit_softcapping", 0 }, { "num_local_experts", 0 },
    { "is_encoder_decoder", 0 },      { "add_cross_attention", 0 },    { "tie_encoder_decoder", 0 },
};
enum { N_CHANGES = sizeof changes / sizeof *changes };

enum { HEAD_DIM_MAX = 512, SIZE_MAX_CONFIG = 1 << 24, LAYERS_MAX = 4096 };
static const double position_max = 1 << 30;

const char *se_arch_name(enum se_arch arch) { return families[arch].name; }

/* A key's value; a null is as good as none. */
static const json_t *find(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static int read_u32(const json_t *object, const char *name, const char *key, double max,
                    uint32_t *out)
{
    const json_t *value = find(object, key);
    if (!value)
        return se_fail(-EINVAL, "%s: %s is missing", name, key);
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        (double)json_integer_value(value) > max)
        return se_fail(-EINVAL, "%s: %s is not a whole number from 1 to %.0f", name, key, max);
    *out = (uint32_t)json_integer_value(value);
    return 0;
}

/* Leaves *out alone when the key is not there. */
static int read_real(const json_t *object, const char *name, const char *key, double *out)
{
    const json_t *value = find(object, key);
    if (!value)
        return 0;
    if (!json_is_number(value) || !(json_number_value(value) > 0) ||
        json_number_value(value) > 1e30)
        return se_fail(-EINVAL, "%s: %s is not a positive number", name, key);
    *out = json_number_value(value);
    return 0;
}

static int read_flag(const json_t *object, const char *name, const char *key, bool *out)
{
    const json_t *value = find(object, key);
    if (!value)
        return 0;
    if (!json_is_boolean(value))
        return se_fail(-EINVAL, "%s: %s is neither true nor false", name, key);
    *out = json_is_true(value);
    return 0;
}

static int read_arch(struct se_config *config, const char *name, const json_t *root)
{
    const json_t *list = find(root, "architectures");
    const char *text = json_string_value(json_array_get(list, 0));
    if (!text || json_array_size(list) != 1)
        return se_fail(-EINVAL, "%s: architectures does not name one architecture", name);
    for (int i = 0; i < N_FAMILIES; i++) {
        if (strcmp(text, families[i].name) == 0) {
            config->arch = (enum se_arch)i;
            return 0;
        }
    }
    return se_fail(-ENOTSUP, "%s: architecture %s is not supported (there are %s, %s, %s, %s)",
                   name, text, families[0].name, families[1].name, families[2].name,
                   families[3].name);
}

/* Refuses what would be computed wrong. */
static int refuse_changes(const char *name, const json_t *root)
{
    const json_t *value = find(root, "hidden_act");
    const char *act = value ? json_string_value(value) : "silu";
    if (!act || strcmp(act, "silu"))
        return se_fail(-ENOTSUP, "%s: hidden_act %s is not supported, only silu", name,
                       act ? act : "(not a text)");
    if (find(root, "quantization_config"))
        return se_fail(-ENOTSUP, "%s: quantization_config: quantized weights are not supported",
                       name);
    for (int i = 0; i < N_CHANGES; i++) {
        value = find(root, changes[i].key);
        if (!value)
            continue;
        double is = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
        if ((!json_is_boolean(value) && !json_is_number(value)) || is != changes[i].harmless)
            return se_fail(-ENOTSUP, "%s: %s other than %g is not supported", name, changes[i].key,
                           changes[i].harmless);
    }
    return 0;
}

static int read_sizes(struct se_config *config, const char *name, const json_t *root)
{
    const struct family *family = &families[config->arch];
    const struct {
        const char *key;
        double max;
        uint32_t *to;
    } size[] = {
        { "vocab_size", SIZE_MAX_CONFIG, &config->vocab },
        { "hidden_size", SIZE_MAX_CONFIG, &config->hidden },
        { "intermediate_size", SIZE_MAX_CONFIG, &config->mlp },
        { "num_hidden_layers", LAYERS_MAX, &config->layers },
        { "num_attention_heads", 65536, &config->heads },
        { "max_position_embeddings", position_max, &config->context },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof size / sizeof *size; i++)
        r = read_u32(root, name, size[i].key, size[i].max, size[i].to);
    if (r < 0)
        return r;
    config->kv_heads = config->heads;
    if (family->kv_heads_given || find(root, "num_key_value_heads"))
        r = read_u32(root, name, "num_key_value_heads", 65536, &config->kv_heads);
    if (r < 0)
        return r;
    if (config->heads % config->kv_heads)
        return se_fail(-EINVAL,
                       "%s: num_attention_heads %u is no multiple of "
                       "num_key_value_heads %u",
                       name, config->heads, config->kv_heads);
    if (find(root, "head_dim"))
        return read_u32(root, name, "head_dim", HEAD_DIM_MAX, &config->head_dim);
    config->head_dim = family->head_dim;
    if (config->head_dim == 0 && config->hidden % config->heads)
        return se_fail(-EINVAL, "%s: hidden_size %u is no multiple of num_attention_heads %u", name,
                       config->hidden, config->heads);
    if (config->head_dim == 0)
        config->head_dim = config->hidden / config->heads;
    return 0;
}

static int check_sizes(const struct se_config *config, const char *name)
{
    if (config->head_dim % 2 || config->head_dim > HEAD_DIM_MAX)
        return se_fail(-ENOTSUP, "%s: head_dim %u is not an even number up to %d", name,
                       config->head_dim, HEAD_DIM_MAX);
    if ((uint64_t)config->heads * config->head_dim > SIZE_MAX_CONFIG)
        return se_fail(-EINVAL, "%s: %u heads of %u are too large", name, config->heads,
                       config->head_dim);
    return 0;
}

static int read_flags(struct se_config *config, const char *name, const json_t *root)
{
    const struct family *family = &families[config->arch];
    double eps = 1e-6;
    bool attention_bias = false;
    int r = read_real(root, name, "rms_norm_eps", &eps);
    if (r == 0)
        r = read_flag(root, name, "tie_word_embeddings", &config->tied);
    if (r == 0 && family->reads_attention_bias)
        r = read_flag(root, name, "attention_bias", &attention_bias);
    if (r == 0 && family->reads_mlp_bias)
        r = read_flag(root, name, "mlp_bias", &config->mlp_bias);
    config->norm_eps = (float)eps;
    config->qkv_bias = family->qkv_bias || attention_bias;
    config->out_bias = attention_bias;
    config->qk_norm = family->qk_norm;
    return r;
}

/* A window that is no shorter than the text changes nothing, so a model that has one is
 * run with a context no longer than the window. */
static int read_window(struct se_config *config, const char *name, const json_t *root)
{
    const struct family *family = &families[config->arch];
    bool on = family->window;
    int r = 0;
    if (family->window_switch)
        r = read_flag(root, name, "use_sliding_window", &on);
    if (r < 0 || !on || !find(root, "sliding_window"))
        return r;
    r = read_u32(root, name, "sliding_window", UINT32_MAX, &config->window);
    if (r < 0)
        return r;
    if (config->window < config->context)
        config->context = config->window;
    return 0;
}

static int read_rope_kind(struct se_rope_config *rope, const char *name, const json_t *object)
{
    static const char *const kinds[] = {
        [SE_ROPE_DEFAULT] = "default",
        [SE_ROPE_LINEAR] = "linear",
        [SE_ROPE_LLAMA3] = "llama3",
        [SE_ROPE_YARN] = "yarn",
    };
    const json_t *value = find(object, "rope_type");
    if (!value)
        value = find(object, "type"); /* as older files write it */
    const char *text = value ? json_string_value(value) : "default";
    for (int i = 0; text && i < (int)(sizeof kinds / sizeof *kinds); i++) {
        if (strcmp(text, kinds[i]) == 0) {
            rope->kind = (enum se_rope_kind)i;
            return 0;
        }
    }
    return se_fail(-ENOTSUP,
                   "%s: rope_type %s is not supported (there are default, linear, "
                   "llama3, yarn)",
                   name, text ? text : "(not a text)");
}

/* The length that was trained: beside the rope settings, or among them, or the context. */
static int read_original(struct se_config *config, const char *name, const json_t *root,
                         const json_t *object)
{
    static const char key[] = "original_max_position_embeddings";
    const json_t *from = find(root, key) ? root : object;
    if (find(from, key))
        return read_u32(from, name, key, position_max, &config->rope.original_context);
    return read_u32(root, name, "max_position_embeddings", position_max,
                    &config->rope.original_context);
}

static int read_factor(struct se_config *config, const char *name, const json_t *object)
{
    struct se_rope_config *rope = &config->rope;
    int r = read_real(object, name, "factor", &rope->factor);
    if (r == 0 && rope->factor == 0 && rope->kind == SE_ROPE_YARN && config->context)
        rope->factor = (double)config->context / rope->original_context;
    if (r == 0 && rope->factor < 1)
        r = se_fail(-EINVAL, "%s: the rope settings lack a factor of at least 1", name);
    return r;
}

static int read_llama3(struct se_config *config, const char *name, const json_t *object)
{
    struct se_rope_config *rope = &config->rope;
    int r = read_real(object, name, "low_freq_factor", &rope->low_freq_factor);
    if (r == 0)
        r = read_real(object, name, "high_freq_factor", &rope->high_freq_factor);
    if (r == 0 && !(rope->low_freq_factor > 0 && rope->high_freq_factor > rope->low_freq_factor))
        r = se_fail(-EINVAL, "%s: rope llama3 needs low_freq_factor below high_freq_factor", name);
    return r;
}

static int read_yarn(struct se_config *config, const char *name, const json_t *object)
{
    struct se_rope_config *rope = &config->rope;
    const struct {
        const char *key;
        double *to;
    } real[] = {
        { "beta_fast", &rope->beta_fast },
        { "beta_slow", &rope->beta_slow },
        { "attention_factor", &rope->attention_factor },
        { "mscale", &rope->mscale },
        { "mscale_all_dim", &rope->mscale_all_dim },
    };
    rope->beta_fast = 32;
    rope->beta_slow = 1;
    rope->truncate = true;
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof real / sizeof *real; i++)
        r = read_real(object, name, real[i].key, real[i].to);
    if (r == 0)
        r = read_flag(object, name, "truncate", &rope->truncate);
    return r;
}

/* Both spellings: rope_theta beside rope_scaling, and all of it in rope_parameters. */
static int read_rope(struct se_config *config, const char *name, const json_t *root)
{
    struct se_rope_config *rope = &config->rope;
    const json_t *scaling = find(root, "rope_scaling");
    const json_t *object = find(root, "rope_parameters");
    if (scaling && object && !json_equal(scaling, object))
        return se_fail(-EINVAL, "%s: rope_scaling and rope_parameters differ", name);
    if (!object)
        object = scaling;
    if (object && !json_is_object(object))
        return se_fail(-EINVAL, "%s: the rope settings are no object", name);
    if (find(object, "full_attention") || find(object, "sliding_attention"))
        return se_fail(-ENOTSUP, "%s: rope settings by kind of layer are not supported", name);
    rope->theta = 10000;
    int r = read_real(root, name, "rope_theta", &rope->theta);
    if (r == 0)
        r = read_real(object, name, "rope_theta", &rope->theta);
    if (r == 0 && rope->theta <= 1)
        r = se_fail(-EINVAL, "%s: rope_theta is not above 1", name);
    double partial = 1;
    if (r == 0)
        r = read_real(object, name, "partial_rotary_factor", &partial);
    if (r == 0 && partial != 1)
        r = se_fail(-ENOTSUP, "%s: partial_rotary_factor other than 1 is not supported", name);
    if (r == 0)
        r = read_rope_kind(rope, name, object);
    if (r == 0 && (rope->kind == SE_ROPE_LLAMA3 || rope->kind == SE_ROPE_YARN))
        r = read_original(config, name, root, object);
    if (r == 0 && rope->kind != SE_ROPE_DEFAULT)
        r = read_factor(config, name, object);
    if (r == 0 && rope->kind == SE_ROPE_LLAMA3)
        r = read_llama3(config, name, object);
    if (r == 0 && rope->kind == SE_ROPE_YARN)
        r = read_yarn(config, name, object);
    return r;
}

static int read_id(const json_t *value, const char *name, const char *key, uint32_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) >= SIZE_MAX_CONFIG)
        return se_fail(-EINVAL, "%s: %s is no token id", name, key);
    *out = (uint32_t)json_integer_value(value);
    return 0;
}

/* bos and eos; what is not there stays as it was. */
static int read_ids(struct se_config *config, const char *name, const json_t *root)
{
    const json_t *bos = find(root, "bos_token_id");
    const json_t *eos = find(root, "eos_token_id");
    int r = 0;
    if (bos)
        r = read_id(bos, name, "bos_token_id", &config->bos);
    if (r < 0 || !eos)
        return r;
    size_t n = json_is_array(eos) ? json_array_size(eos) : 1;
    if (n > SE_CONFIG_EOS_MAX)
        return se_fail(-ENOTSUP, "%s: more than %d values of eos_token_id", name,
                       SE_CONFIG_EOS_MAX);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = read_id(json_is_array(eos) ? json_array_get(eos, i) : eos, name, "eos_token_id",
                    &config->eos[i]);
    if (r == 0)
        config->n_eos = (uint32_t)n;
    return r;
}

static int parse_json(json_t **out, const char *name, const void *json, uint64_t len_b)
{
    json_error_t error;
    *out = json_loadb(json, (size_t)len_b, 0, &error);
    if (!*out)
        return se_fail(-EINVAL, "%s: line %d: %s", name, error.line, error.text);
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return se_fail(-EINVAL, "%s: not a JSON object", name);
    }
    return 0;
}

int se_config_parse(struct se_config *config, const char *name, const void *json, uint64_t len_b)
{
    static int (*const reader[])(struct se_config *, const char *, const json_t *) = {
        read_arch, read_sizes, read_flags, read_rope, read_window, read_ids,
    };
    struct se_config local = { .bos = UINT32_MAX };
    json_t *root;
    int r = parse_json(&root, name, json, len_b);
    if (r < 0)
        return se_trace(r);
    for (size_t i = 0; r == 0 && i < sizeof reader / sizeof *reader; i++) {
        r = reader[i](&local, name, root);
        if (r == 0 && i == 0) /* an unknown architecture is the better thing to name */
            r = refuse_changes(name, root);
    }
    if (r == 0)
        r = check_sizes(&local, name);
    if (r == 0)
        *config = local;
    json_decref(root);
    return r < 0 ? se_trace(r) : 0;
}

/* generation_config.json says more about where a text ends, when it is there. */
static int read_generation(struct se_config *config, const char *path)
{
    struct se_file file;
    int r = se_file_open(&file, path);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return se_trace(r);
    json_t *root;
    r = parse_json(&root, path, file.data, file.len_b);
    if (r == 0) {
        r = read_ids(config, path, root);
        json_decref(root);
    }
    se_file_close(&file);
    return r < 0 ? se_trace(r) : 0;
}

int se_config_read(struct se_config *config, const char *dir)
{
    char path[4096];
    struct se_config local;
    struct se_file file;
    if ((size_t)snprintf(path, sizeof path, "%s/config.json", dir) >= sizeof path)
        return se_fail(-ENAMETOOLONG, "%s: the path is too long", dir);
    int r = se_file_open(&file, path);
    if (r < 0)
        return se_trace(r);
    r = se_config_parse(&local, path, file.data, file.len_b);
    se_file_close(&file);
    if (r < 0)
        return se_trace(r);
    if ((size_t)snprintf(path, sizeof path, "%s/generation_config.json", dir) >= sizeof path)
        return se_fail(-ENAMETOOLONG, "%s: the path is too long", dir);
    r = read_generation(&local, path);
    if (r < 0)
        return se_trace(r);
    *config = local;
    return 0;
}
