/* SPDX-License-Identifier: Apache-2.0 */
/* se-model random: a model folder of random weights, for tests and measurements. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "runtime/model/config.h"
#include "tools/folder.h"
#include "tools/interrupt.h"
#include "tools/rig_options.h"
#include "tools/se_model.h"
#include "tools/shape.h"
#include "tools/shards.h"
#include "tools/vocabulary.h"

struct options {
    struct se_rig_options rig;
    const char *shape, *config;
    uint64_t seed;
    double shard_mib;
    int dtype; /* index into dtypes */
};

static const struct {
    enum se_dtype dtype;
    const char *torch;
} dtypes[] = { { SE_DTYPE_F32, "float32" },
               { SE_DTYPE_F16, "float16" },
               { SE_DTYPE_BF16, "bfloat16" } };

static int load_config(const struct options *o, json_t **out)
{
    json_error_t error;
    if (o->shape) {
        *out = se_shape_config(o->shape);
        return *out ? 0 : SE_OUTCOME_USAGE;
    }
    *out = json_load_file(o->config, JSON_REJECT_DUPLICATES, &error);
    if (!*out && error.line < 0)
        return se_fail(-EINVAL, "%s", error.text); /* could not be read: names the file itself */
    if (!*out)
        return se_fail(-EINVAL, "%s:%d: %s", o->config, error.line, error.text);
    if (!json_is_object(*out))
        return se_fail(-EINVAL, "%s: not a JSON object", o->config);
    return 0;
}

/* What depends on the folder, not on the shape. */
static int complete_config(const struct options *o, json_t *json, const struct se_config *config)
{
    struct se_vocabulary_ids ids = se_vocabulary_ids(config->vocab);
    int bad = json_object_set_new(json, "torch_dtype", json_string(dtypes[o->dtype].torch));
    bad |= json_object_set_new(json, "bos_token_id", json_integer(ids.bos));
    bad |= json_object_set_new(json, "eos_token_id", json_integer(ids.eos));
    json_object_del(json, "dtype"); /* the newer name of torch_dtype */
    json_object_del(json, "pad_token_id");
    return bad ? se_fail(-ENOMEM, "out of memory") : 0;
}

static int write_json(struct se_folder *folder, const char *name, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    int r = text ? se_folder_write(folder, name, text, strlen(text))
                 : se_fail(-ENOMEM, "out of memory");
    free(text);
    return r;
}

static int write_generation_config(struct se_folder *folder, const struct se_config *config)
{
    struct se_vocabulary_ids ids = se_vocabulary_ids(config->vocab);
    json_t *json = json_pack("{s:I, s:[I, I], s:I, s:b}", "bos_token_id", (json_int_t)ids.bos,
                             "eos_token_id", (json_int_t)ids.eos, (json_int_t)ids.end,
                             "pad_token_id", (json_int_t)ids.eos, "do_sample", 0);
    int r = write_json(folder, "generation_config.json", json);
    json_decref(json);
    return r;
}

static int write_tokenizer(struct se_folder *folder, const struct se_config *config)
{
    char *text = NULL;
    size_t len = 0;
    int r = se_vocabulary_tokenizer(config->vocab, &text, &len);
    if (r == 0)
        r = se_folder_write(folder, "tokenizer.json", text, len);
    free(text);
    text = NULL;
    if (r == 0)
        r = se_vocabulary_config(config->vocab, config->context, &text, &len);
    if (r == 0)
        r = se_folder_write(folder, "tokenizer_config.json", text, len);
    free(text);
    return r;
}

static int write_weights(const struct options *o, struct se_folder *folder,
                         const struct se_config *config)
{
    struct se_shards shards = { .folder = folder,
                                .dtype = dtypes[o->dtype].dtype,
                                .seed = o->seed,
                                .shard_b = (uint64_t)(o->shard_mib * (1 << 20)) };
    struct se_tensor *tensors = NULL;
    uint32_t threads = o->rig.threads ? (uint32_t)o->rig.threads : se_cpu_count();
    int r = se_tensors_of(config, &tensors, &shards.n_tensors);
    shards.tensor = tensors;
    if (r == 0)
        r = se_pool_new(&shards.pool, threads, false);
    if (r == 0)
        r = se_shards_write(&shards);
    se_pool_free(shards.pool);
    se_mem_free(tensors);
    return r;
}

/* The shape as an object, and as what the engine makes of it: what it would not load is not
 * written either. */
static int read_shape(const struct options *o, json_t **json, struct se_config *config)
{
    int r = load_config(o, json);
    if (r != 0)
        return r;
    char *text = json_dumps(*json, 0);
    if (!text)
        return se_fail(-ENOMEM, "out of memory");
    r = se_config_parse(config, o->shape ? o->shape : o->config, text, strlen(text));
    free(text);
    if (r < 0)
        return r;
    if (config->vocab < SE_VOCABULARY_MIN || config->vocab > SE_VOCABULARY_MAX)
        return se_fail(-EINVAL,
                       "%s: a vocabulary of %" PRIu32 ": a byte-level tokenizer takes from "
                       "%d to %d",
                       o->shape ? o->shape : o->config, config->vocab, SE_VOCABULARY_MIN,
                       SE_VOCABULARY_MAX);
    return complete_config(o, *json, config);
}

static int write_folder(const struct options *o, const char *path, json_t *json,
                        const struct se_config *config)
{
    struct se_folder folder = SE_FOLDER_NULL;
    se_interrupt_watch();
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is an error like a full disk */
    int r = se_folder_begin(&folder, path);
    if (r < 0)
        return r;
    r = write_json(&folder, "config.json", json);
    if (r == 0)
        r = write_generation_config(&folder, config);
    if (r == 0)
        r = write_tokenizer(&folder, config);
    if (r == 0)
        r = write_weights(o, &folder, config);
    se_folder_end(&folder, r == 0);
    return r;
}

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    struct se_config config;
    json_t *json = NULL;
    if (!o->shape == !o->config)
        return se_usage(o->shape ? "--shape or --config: not both"
                                 : "of which shape? Say --shape NAME or --config FILE");
    int r = read_shape(o, &json, &config);
    if (r == 0)
        r = write_folder(o, argument[0], json, &config);
    json_decref(json);
    return r;
}

static const struct se_conf_row rows[] = {
    { "shape", 0, SE_CONF_TEXT, offsetof(struct options, shape), NULL, 0, 0, "NAME",
      SE_SHAPE_NAMES },
    { "config", 0, SE_CONF_TEXT, offsetof(struct options, config), NULL, 0, 0, "FILE",
      "the shape that this config.json tells" },
    { "seed", 's', SE_CONF_UINT, offsetof(struct options, seed), "0", 0, 18446744073709551615.0,
      "N", "of the weights: the same seed, the same bytes" },
    { "dtype", 0, SE_CONF_CHOICE, offsetof(struct options, dtype), "bf16", 0, 0, "f32|f16|bf16",
      "how the weights are stored" },
    { "shard-mib", 0, SE_CONF_REAL, offsetof(struct options, shard_mib), "4096", 0, 1048576, "X",
      "largest size of one file, in MiB; a tensor larger than that has a file of its own" },
    SE_RIG_OPTION_ROWS(struct options, rig),
};
static struct options chosen;

const struct se_verb se_verb_random = {
    .name = "random",
    .arguments = "OUT",
    .n_arguments = 1,
    .summary = "make a model folder of random weights",
    .more =
        "Writes config.json, generation_config.json, tokenizer.json, tokenizer_config.json and\n"
        "the safetensors into OUT, a new folder or an empty one. The tokenizer is byte-level\n"
        "and has as many ids as the shape; the text the model writes is noise.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
