/* SPDX-License-Identifier: Apache-2.0 */
/* The rotation frequencies of a model, as transformers computes them: its float32 steps are
 * repeated, because a model was trained with the frequencies that they give. */
#include <math.h>

#include "runtime/model/config.h"

static const double two_pi = 6.283185307179586476925;

/* theta^(2i/dim) in float32. */
static float period(const struct se_config *config, uint32_t i)
{
    float exponent = (float)(2 * i) / (float)config->head_dim;
    return (float)pow(config->rope.theta, (double)exponent);
}

/* Long waves are stretched by the factor, short ones are kept, and between the two lies a
 * smooth passage. */
static double llama3(const struct se_rope_config *rope, float frequency)
{
    double original = rope->original_context;
    double wave = two_pi / (double)frequency;
    if (wave < original / rope->high_freq_factor)
        return (double)frequency;
    if (wave > original / rope->low_freq_factor)
        return (double)frequency / rope->factor;
    double smooth = (original / wave - rope->low_freq_factor) /
                    (rope->high_freq_factor - rope->low_freq_factor);
    return (1 - smooth) * (double)frequency / rope->factor + smooth * (double)frequency;
}

/* The index of the frequency that turns so many times within the trained length. */
static double turning_index(const struct se_config *config, double turns)
{
    const struct se_rope_config *rope = &config->rope;
    return config->head_dim * log(rope->original_context / (turns * two_pi)) /
           (2 * log(rope->theta));
}

static void yarn(const struct se_config *config, double *inv_freq)
{
    const struct se_rope_config *rope = &config->rope;
    double low = turning_index(config, rope->beta_fast);
    double high = turning_index(config, rope->beta_slow);
    if (rope->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, config->head_dim - 1.0);
    if (low == high)
        high += 0.001;
    for (uint32_t i = 0; i < config->head_dim / 2; i++) {
        double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
        double frequency = 1 / (double)period(config, i);
        inv_freq[i] = frequency / rope->factor * ramp + frequency * (1 - ramp);
    }
}

static double yarn_scale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static double yarn_attention(const struct se_rope_config *rope)
{
    if (rope->attention_factor > 0)
        return rope->attention_factor;
    if (rope->mscale > 0 && rope->mscale_all_dim > 0)
        return yarn_scale(rope->factor, rope->mscale) /
               yarn_scale(rope->factor, rope->mscale_all_dim);
    return yarn_scale(rope->factor, 1);
}

void se_rope_frequencies(const struct se_config *config, double *inv_freq, double *attention_scale)
{
    const struct se_rope_config *rope = &config->rope;
    uint32_t n = config->head_dim / 2;
    *attention_scale = 1;
    for (uint32_t i = 0; i < n; i++)
        inv_freq[i] = (double)(1.0f / period(config, i));
    switch (rope->kind) {
    case SE_ROPE_DEFAULT:
        break;
    case SE_ROPE_LINEAR:
        for (uint32_t i = 0; i < n; i++)
            inv_freq[i] /= rope->factor;
        break;
    case SE_ROPE_LLAMA3:
        for (uint32_t i = 0; i < n; i++)
            inv_freq[i] = llama3(rope, (float)inv_freq[i]);
        break;
    case SE_ROPE_YARN:
        yarn(config, inv_freq);
        *attention_scale = yarn_attention(rope);
        break;
    }
    for (uint32_t i = 0; i < n; i++)
        inv_freq[i] = (double)(float)inv_freq[i];
}
