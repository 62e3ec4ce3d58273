/* SPDX-License-Identifier: Apache-2.0 */
/* se-model info: what is in a model folder, and what it takes to run it here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kernels/attend.h"
#include "runtime/base/cpu.h"
#include "runtime/text/chat.h"
#include "tools/rig.h"
#include "tools/se_model.h"

struct options {
    struct se_rig_options rig;
};

static const char *rope_name(enum se_rope_kind kind)
{
    static const char *const name[] = { [SE_ROPE_DEFAULT] = "default",
                                        [SE_ROPE_LINEAR] = "linear",
                                        [SE_ROPE_LLAMA3] = "llama3",
                                        [SE_ROPE_YARN] = "yarn" };
    return name[kind];
}

/* Numbers of the matrices, norms and biases. */
static uint64_t count_parameters(const struct se_config *c)
{
    uint64_t q = (uint64_t)c->heads * c->head_dim, kv = (uint64_t)c->kv_heads * c->head_dim;
    uint64_t layer = 2 * (q + kv) * c->hidden + 3ull * c->mlp * c->hidden + 2ull * c->hidden;
    if (c->qkv_bias)
        layer += q + 2 * kv;
    if (c->out_bias)
        layer += c->hidden;
    if (c->mlp_bias)
        layer += 2ull * c->mlp + c->hidden;
    if (c->qk_norm)
        layer += 2ull * c->head_dim;
    return layer * c->layers + c->hidden + (c->tied ? 1ull : 2ull) * c->vocab * c->hidden;
}

static void print_shape(const struct se_config *c)
{
    printf("architecture   %s\n", se_arch_name(c->arch));
    printf("parameters     %" PRIu64 "%s\n", count_parameters(c),
           c->tied ? " (embeddings tied)" : "");
    printf("layers         %" PRIu32 " of hidden %" PRIu32 ", MLP %" PRIu32 "\n", c->layers,
           c->hidden, c->mlp);
    printf("heads          %" PRIu32 ", %" PRIu32 " for keys and values, of %" PRIu32 "%s\n",
           c->heads, c->kv_heads, c->head_dim, c->qk_norm ? ", normalised" : "");
    printf("vocabulary     %" PRIu32 "\n", c->vocab);
    printf("context        %" PRIu32 " tokens, RoPE %s, theta %g\n", c->context,
           rope_name(c->rope.kind), c->rope.theta);
    printf("ends at        ");
    for (uint32_t i = 0; i < c->n_eos; i++)
        printf(i ? " %" PRIu32 : "%" PRIu32, c->eos[i]);
    printf("%s\n", c->n_eos ? "" : "nothing");
}

/* A folder without a tokenizer still has a model: say so and go on. */
static int print_text_side(const char *dir, const struct se_config *config)
{
    struct se_tokenizer *tokenizer = NULL;
    enum se_chat_family family;
    int r = se_rig_tokenizer(&tokenizer, dir, config);
    if (r == -ENOENT || r == -ENOTSUP) {
        printf("tokenizer      none to use: %s\n", se_err_text());
        return 0;
    }
    if (r < 0)
        return r;
    printf("tokenizer      %" PRIu32 " ids, fingerprint %016" PRIx64 "\n",
           se_tokenizer_size(tokenizer), se_tokenizer_fingerprint(tokenizer));
    r = se_chat_open(&family, dir, tokenizer, SE_CHAT_AUTO);
    printf("chat           %s\n", r == 0 ? se_chat_name(family) : se_err_text());
    se_tokenizer_close(tokenizer);
    return 0;
}

static int print_running(const char *dir, const struct se_rig_options *options)
{
    struct se_rig rig = SE_RIG_NULL;
    int r = se_rig_load(&rig, dir, options, NULL);
    if (r == 0)
        r = se_rig_start(&rig, 1, 1, SE_PAGE_SLOTS);
    if (r == 0) {
        const struct se_config *c = &rig.model->config;
        enum se_dtype kv = se_engine_kv_dtype(rig.model);
        uint64_t kv_b = 2ull * c->layers * c->kv_heads * c->head_dim * (kv == SE_DTYPE_F32 ? 4 : 2);
        printf("weights        %s, %.1f MiB\n", se_dtype_name(rig.model->dtype),
               (double)rig.model->weight_b / (1 << 20));
        printf("keys, values   %s, %" PRIu64 " bytes a token\n", se_dtype_name(kv), kv_b);
        printf("backend        %s, %" PRIu32 " threads\n", se_engine_backend(rig.engine),
               rig.threads * rig.here);
    }
    se_rig_close(&rig);
    return r;
}

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    struct se_config config;
    int r = se_config_read(&config, argument[0]);
    if (r < 0)
        return r;
    printf("folder         %s\n", argument[0]);
    print_shape(&config);
    r = print_text_side(argument[0], &config);
    if (r < 0)
        return r;
    return print_running(argument[0], &o->rig);
}

static const struct se_conf_row rows[] = { SE_RIG_OPTION_ROWS(struct options, rig) };
static struct options chosen;

const struct se_verb se_verb_info = {
    .name = "info",
    .arguments = "DIR",
    .n_arguments = 1,
    .summary = "what is in a model folder",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
