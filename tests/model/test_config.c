/* SPDX-License-Identifier: Apache-2.0 */
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

#include "runtime/base/err.h"
#include "runtime/model/config.h"
#include "tests/model/tiny.h"

/* A whole config but for what a case adds; a key given twice counts as given last. */
#define BASE(arch) \
    "\"architectures\":[\"" arch "\"],\"vocab_size\":100,\"hidden_size\":64," \
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2," \
    "\"intermediate_size\":96,\"max_position_embeddings\":256,\"hidden_act\":\"silu\""
#define LLAMA BASE("LlamaForCausalLM")

static int parse(struct se_config *config, const char *fields)
{
    char text[4096];
    snprintf(text, sizeof text, "{%s}", fields);
    return se_config_parse(config, "config.json", text, strlen(text));
}

static struct se_config parsed(const char *fields)
{
    struct se_config config;
    if (parse(&config, fields) != 0)
        fail_msg("%s: %s", fields, se_err_text());
    return config;
}

static void the_families_differ_in_what_they_add(void **state)
{
    (void)state;
    struct se_config c = parsed(LLAMA ",\"bos_token_id\":1,\"eos_token_id\":2");
    assert_int_equal(c.arch, SE_ARCH_LLAMA);
    assert_int_equal(c.head_dim, 16);
    assert_int_equal(c.bos, 1);
    assert_int_equal(c.n_eos, 1);
    assert_int_equal(c.eos[0], 2);
    assert_false(c.qkv_bias || c.out_bias || c.mlp_bias || c.qk_norm || c.tied);
    c = parsed(LLAMA ",\"attention_bias\":true,\"mlp_bias\":true,\"tie_word_embeddings\":true");
    assert_true(c.qkv_bias && c.out_bias && c.mlp_bias && c.tied);
    assert_int_equal(c.bos, UINT32_MAX);
    assert_int_equal(c.n_eos, 0);
    c = parsed(BASE("Qwen2ForCausalLM"));
    assert_true(c.qkv_bias && !c.out_bias);
    c = parsed(BASE("Qwen3ForCausalLM"));
    assert_true(c.qk_norm && !c.qkv_bias);
    assert_int_equal(c.head_dim, 128);
    c = parsed(BASE("Qwen3ForCausalLM") ",\"head_dim\":32");
    assert_int_equal(c.head_dim, 32);
    c = parsed(BASE("MistralForCausalLM") ",\"attention_bias\":true,\"sliding_window\":null");
    assert_false(c.qkv_bias); /* Mistral knows no such key */
    assert_int_equal(c.context, 256);
}

static void a_window_caps_the_context(void **state)
{
    (void)state;
    struct se_config c = parsed(BASE("MistralForCausalLM") ",\"sliding_window\":64");
    assert_int_equal(c.context, 64);
    assert_int_equal(c.window, 64);
    c = parsed(BASE("MistralForCausalLM") ",\"sliding_window\":4096");
    assert_int_equal(c.context, 256);
    c = parsed(BASE("Qwen2ForCausalLM") ",\"sliding_window\":64,\"use_sliding_window\":false");
    assert_int_equal(c.context, 256);
    assert_int_equal(c.window, 0);
    c = parsed(BASE("Qwen2ForCausalLM") ",\"sliding_window\":64,\"use_sliding_window\":true");
    assert_int_equal(c.context, 64);
    c = parsed(LLAMA ",\"sliding_window\":64");
    assert_int_equal(c.context, 256);
}

static void both_spellings_of_rope_mean_the_same(void **state)
{
    static const char *const pair[][2] = {
        { ",\"rope_theta\":5e5", ",\"rope_parameters\":{\"rope_type\":\"default\","
                                 "\"rope_theta\":5e5}" },
        { ",\"rope_theta\":1e4,\"rope_scaling\":{\"type\":\"linear\",\"factor\":3}",
          ",\"rope_parameters\":{\"rope_type\":\"linear\",\"rope_theta\":1e4,\"factor\":3.0}" },
        { ",\"rope_theta\":1e4,\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,"
          "\"original_max_position_embeddings\":64}",
          ",\"rope_parameters\":{\"rope_type\":\"yarn\",\"rope_theta\":1e4,\"factor\":4,"
          "\"original_max_position_embeddings\":64}" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        char old[1024], new[1024];
        double a[8], b[8], scale_a, scale_b;
        snprintf(old, sizeof old, "%s%s", LLAMA, pair[i][0]);
        snprintf(new, sizeof new, "%s%s", LLAMA, pair[i][1]);
        struct se_config x = parsed(old), y = parsed(new);
        assert_int_equal(x.rope.kind, y.rope.kind);
        se_rope_frequencies(&x, a, &scale_a);
        se_rope_frequencies(&y, b, &scale_b);
        assert_memory_equal(a, b, sizeof a);
        assert_true(scale_a == scale_b);
    }
}

static void check_near(double is, double wanted)
{
    if (fabs(is - wanted) > 1e-6 * fabs(wanted))
        fail_msg("%.9g is not %.9g", is, wanted);
}

/* Values worked out by hand from the formulas: theta 10000, dim 8, so periods 1, 10, 100,
 * 1000 for the four frequencies. */
static void frequencies_are_those_of_the_formulas(void **state)
{
    double f[4], scale;
    (void)state;
    struct se_config c = parsed(LLAMA ",\"head_dim\":8");
    se_rope_frequencies(&c, f, &scale);
    for (int i = 0; i < 4; i++)
        check_near(f[i], pow(10, -i));
    check_near(scale, 1);
    c = parsed(LLAMA ",\"head_dim\":8,\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":4}");
    se_rope_frequencies(&c, f, &scale);
    for (int i = 0; i < 4; i++)
        check_near(f[i], pow(10, -i) / 4);
    /* wave lengths 6.28, 62.8, 628, 6283; kept below 50, divided above 200, between: smooth
     * = (200 / 62.83 - 1) / 3 = 0.7276 */
    c = parsed(LLAMA ",\"head_dim\":8,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
                     "\"low_freq_factor\":1,\"high_freq_factor\":4,"
                     "\"original_max_position_embeddings\":200}");
    se_rope_frequencies(&c, f, &scale);
    double smooth = (200 / (20 * acos(-1)) - 1) / 3;
    check_near(f[0], 1);
    check_near(f[1], (1 - smooth) * 0.1 / 8 + smooth * 0.1);
    check_near(f[2], 0.01 / 8);
    check_near(f[3], 0.001 / 8);
    /* correction range: 8 ln(original / (turns 2 pi)) / (2 ln 10000), original 1000: for 32
     * turns 0.697 -> 0, for 1 turn 2.2018 -> 3; ramp 0, 1/3, 2/3, 1 */
    c = parsed(LLAMA ",\"head_dim\":8,\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,"
                     "\"original_max_position_embeddings\":1000}");
    se_rope_frequencies(&c, f, &scale);
    for (int i = 0; i < 4; i++)
        check_near(f[i], pow(10, -i) * (1 - i / 3.0 + i / 12.0));
    check_near(scale, 0.1 * log(4) + 1);
}

static void what_would_be_computed_wrong_is_refused_by_name(void **state)
{
    static const struct {
        const char *fields;
        int code;
        const char *names;
    } bad[] = {
        { BASE("GemmaForCausalLM"), -ENOTSUP, "GemmaForCausalLM" },
        { BASE("MixtralForCausalLM"), -ENOTSUP, "MixtralForCausalLM" },
        { LLAMA ",\"hidden_act\":\"gelu\"", -ENOTSUP, "gelu" },
        { LLAMA ",\"quantization_config\":{\"bits\":4}", -ENOTSUP, "quantization_config" },
        { LLAMA ",\"partial_rotary_factor\":0.5", -ENOTSUP, "partial_rotary_factor" },
        { LLAMA ",\"rope_parameters\":{\"partial_rotary_factor\":0.5}", -ENOTSUP,
          "partial_rotary_factor" },
        { LLAMA ",\"pretraining_tp\":2", -ENOTSUP, "pretraining_tp" },
        { LLAMA ",\"residual_multiplier\":0.22", -ENOTSUP, "residual_multiplier" },
        { LLAMA ",\"attn_logit_softcapping\":50.0", -ENOTSUP, "attn_logit_softcapping" },
        { LLAMA ",\"rope_scaling\":{\"rope_type\":\"dynamic\",\"factor\":2}", -ENOTSUP, "dynamic" },
        { LLAMA ",\"rope_scaling\":{\"type\":\"su\",\"factor\":2}", -ENOTSUP, "su" },
        { LLAMA ",\"rope_parameters\":{\"full_attention\":{}}", -ENOTSUP, "kind of layer" },
        { LLAMA ",\"rope_scaling\":{\"rope_type\":\"linear\"}", -EINVAL, "factor" },
        { LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}", -EINVAL,
          "low_freq_factor" },
        { LLAMA ",\"rope_scaling\":{\"factor\":2,\"type\":\"linear\"},\"rope_parameters\":{}",
          -EINVAL, "differ" },
        { LLAMA ",\"rope_theta\":-1", -EINVAL, "rope_theta" },
        { LLAMA ",\"head_dim\":15", -ENOTSUP, "head_dim" },
        { LLAMA ",\"head_dim\":1024", -EINVAL, "head_dim" },
        { LLAMA ",\"num_key_value_heads\":3", -EINVAL, "num_key_value_heads" },
        { LLAMA ",\"num_attention_heads\":0", -EINVAL, "num_attention_heads" },
        { LLAMA ",\"num_hidden_layers\":-1", -EINVAL, "num_hidden_layers" },
        { LLAMA ",\"num_hidden_layers\":2.5", -EINVAL, "num_hidden_layers" },
        { LLAMA ",\"vocab_size\":4294967296", -EINVAL, "vocab_size" },
        { LLAMA ",\"hidden_size\":\"big\"", -EINVAL, "hidden_size" },
        { LLAMA ",\"hidden_size\":null", -EINVAL, "hidden_size" },
        { LLAMA ",\"hidden_size\":66", -EINVAL, "hidden_size" },
        { LLAMA ",\"tie_word_embeddings\":1", -EINVAL, "tie_word_embeddings" },
        { LLAMA ",\"rms_norm_eps\":0", -EINVAL, "rms_norm_eps" },
        { LLAMA ",\"eos_token_id\":-2", -EINVAL, "eos_token_id" },
        { LLAMA ",\"eos_token_id\":[1,2,3,4,5,6,7,8,9]", -ENOTSUP, "eos_token_id" },
        { LLAMA ",\"bos_token_id\":\"<s>\"", -EINVAL, "bos_token_id" },
        { LLAMA ",\"architectures\":[]", -EINVAL, "architectures" },
        { "\"architectures\":[\"Qwen2ForCausalLM\"],\"vocab_size\":8,\"hidden_size\":8,"
          "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"intermediate_size\":8,"
          "\"max_position_embeddings\":8",
          -EINVAL, "num_key_value_heads is missing" },
        { "\"vocab_size\":8", -EINVAL, "architectures" },
        { "]", -EINVAL, "line 1" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct se_config config = { .vocab = 12345 };
        se_err_clear();
        int r = parse(&config, bad[i].fields);
        if (r != bad[i].code || !strstr(se_err_text(), bad[i].names) ||
            !strstr(se_err_text(), "config.json") || strchr(se_err_text(), '\n'))
            fail_msg("%s: %d \"%s\"", bad[i].fields, r, se_err_text());
        assert_int_equal(config.vocab, 12345); /* untouched */
    }
}

static void generation_config_has_the_last_word_on_the_end(void **state)
{
    static const char config_text[] = "{" LLAMA ",\"bos_token_id\":1,\"eos_token_id\":2}";
    static const char generation[] = "{\"eos_token_id\":[5,6],\"temperature\":0.6}";
    char dir[TINY_PATH_MAX_B];
    struct se_config config;
    (void)state;
    tiny_folder(dir);
    assert_int_equal(se_config_read(&config, dir), -ENOENT);
    assert_non_null(strstr(se_err_text(), "config.json"));
    tiny_file(dir, "config.json", config_text, strlen(config_text));
    assert_int_equal(se_config_read(&config, dir), 0);
    assert_int_equal(config.eos[0], 2);
    tiny_file(dir, "generation_config.json", generation, strlen(generation));
    assert_int_equal(se_config_read(&config, dir), 0);
    assert_int_equal(config.bos, 1);
    assert_int_equal(config.n_eos, 2);
    assert_int_equal(config.eos[0], 5);
    assert_int_equal(config.eos[1], 6);
    tiny_file(dir, "generation_config.json", "{", 1);
    assert_int_equal(se_config_read(&config, dir), -EINVAL);
    assert_non_null(strstr(se_err_text(), "generation_config.json"));
    tiny_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_families_differ_in_what_they_add),
        cmocka_unit_test(a_window_caps_the_context),
        cmocka_unit_test(both_spellings_of_rope_mean_the_same),
        cmocka_unit_test(frequencies_are_those_of_the_formulas),
        cmocka_unit_test(what_would_be_computed_wrong_is_refused_by_name),
        cmocka_unit_test(generation_config_has_the_last_word_on_the_end),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
