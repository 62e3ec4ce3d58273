/* SPDX-License-Identifier: Apache-2.0 */
/* The GPU's noise, draws and rankings against those of the processor.
 *
 * Noise is the same bit for bit, and so are draws and rankings but where rounding decides at
 * which entry a share of the mass is reached: then the processor must say the same with a top_p
 * that is a few millionths off. That may not be so often. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>

extern "C" {
#include "kernels/gumbel.h"
#include "kernels/softmax.h"
#include "kernels/topk.h"
#include "runtime/base/err.h"
#include "runtime/model/sample.h"
#include "tests/kernels/check.h"
}

#include "kernels/cuda/kernels.h"
#include "tests/gpu/batch.h"
#include "tests/gpu/probe.h"
#include "tests/gpu/trial.h"

namespace
{

struct se_rng rng;
uint32_t n_draws, n_rankings, n_rounded;

static uint64_t draw_seed(void) { return (uint64_t)se_rng_u32(&rng) << 32 | se_rng_u32(&rng); }

template <typename T, size_t n>
static T one_of(const T (&values)[n])
{
    return values[se_rng_below(&rng, (uint32_t)n)];
}

/* ---- noise and mass */

/* Words near those where the logarithms change, and any. */
static void check_words(uint32_t n)
{
    static const uint32_t places[] = { 0, 0x80000000u, 0x5e2d58d8u, 0xb504f333u };
    std::vector<uint32_t> word(n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t near = i % 4000 - 2000, random = se_rng_u32(&rng) >> se_rng_below(&rng, 32);
        word[i] = i < 16000 ? places[i / 4000] + near : i % 2 ? random : ~random;
    }
    const device_array<uint32_t> from(word);
    const device_array<float> noises(n), bounds(n);
    probe_noise_of_words(device_stream(), from.at, n, noises.at, bounds.at);
    device_wait();
    const std::vector<float> noise = noises.read(), bound = bounds.read();
    for (uint32_t i = 0; i < n; i++) {
        float want = se_gumbel_of_word(word[i]);
        assert_true(check_same_bits(&noise[i], &want, 1));
        assert_true(want <= bound[i] && want < PROBE_NOISE_MOST);
    }
}

static void noise_is_the_same(void) { check_words(40000); }

static void noise_belongs_to_its_place(void)
{
    enum { N = 1024 };
    const device_array<float> noises(N);
    for (unsigned again = 0; again < 10; again++) {
        uint64_t seed = draw_seed();
        uint32_t position = se_rng_u32(&rng) >> se_rng_below(&rng, 32);
        probe_noise_of_tokens(device_stream(), seed, position, N, noises.at);
        device_wait();
        const std::vector<float> noise = noises.read();
        for (uint32_t token = 0; token < N; token++) {
            float want = se_gumbel(seed, position, token);
            assert_true(check_same_bits(&noise[token], &want, 1));
        }
    }
}

/* What entries weigh, against exp() in double. Every second one is the best of the row before. */
static void mass_is_accurate(void)
{
    enum { N = 400000 };
    static const double temps[] = { 1e-6, 0.05, 0.7, 1, 1.5, 1e6 };
    const double one = ldexp(1, PROBE_MASS_BITS);
    std::vector<struct probe_entry> entry(N);
    std::vector<double> temp(N);
    for (uint32_t i = 0; i < N; i += 2) {
        const double scale = 1 / (temp[i] = one_of(temps)) * 1.4426950408889634;
        entry[i].best = (float)(20 * se_rng_normal(&rng));
        entry[i].scale = (float)scale;
        entry[i].scale_low = (float)(scale - (double)entry[i].scale);
        entry[i].value = (float)((double)entry[i].best - 30 * temp[i] * se_rng_unit(&rng));
        entry[i + 1] = entry[i];
        entry[i + 1].value = entry[i].best;
        temp[i + 1] = temp[i];
    }
    const device_array<struct probe_entry> entries(entry);
    const device_array<uint64_t> masses(N);
    probe_mass(device_stream(), entries.at, N, masses.at);
    device_wait();
    const std::vector<uint64_t> mass = masses.read();
    for (uint32_t i = 0; i < N; i++) {
        const double value = (double)entry[i].value, best = (double)entry[i].best;
        const double want = exp((value - best) / temp[i]) * one, got = (double)mass[i];
        if (!(fabs(got - want) <= 3e-7 * want + 1))
            fail_msg("%a below %a at %g: %.17g instead of %.17g", value, best, temp[i], got, want);
        assert_true(value < best || got == one);
    }
}

/* ---- rows */

enum fill { NORMAL, COARSE, FLAT, PEAKED, CUT, ALONE, TIES, SINKING, HOARD, FILLS };
static const char *const fill_names[FILLS] = { "normal", "coarse", "flat",    "peaked", "cut",
                                               "alone",  "ties",   "sinking", "hoard" };

static float draw_logit(enum fill fill, uint32_t i)
{
    float value = (float)se_rng_normal(&rng);
    switch (fill) {
    case COARSE: /* many ties */
        return rintf(value * 8) / 4;
    case FLAT:
        return 1.5f;
    case PEAKED:
        return se_rng_below(&rng, 1000) ? 2 * value : 20 + value;
    case CUT:
        return se_rng_below(&rng, 30) ? -INFINITY : value;
    case ALONE: /* one is added by the caller */
        return -INFINITY;
    case TIES: /* too large for the noise to tell them apart */
        return se_rng_below(&rng, 3) ? 1e30f : -1e30f;
    case SINKING: /* scores overflow downwards */
        return i % 3 ? -3e38f : -INFINITY;
    case HOARD: /* what is large is in the hands of half the threads */
        return i / 4 % PROBE_RANK_THREADS < PROBE_RANK_THREADS / 2 ? 10 + value / 100 : value;
    default:
        return 3 * value;
    }
}

struct ask {
    uint32_t want, k;
    float sharpen;
    struct se_sampling sampling;
    enum fill fill;
};

static struct ask draw_ask(uint32_t n)
{
    static const uint32_t wants[] = {
        SE_GPU_NOTHING, SE_GPU_LOGITS,  SE_GPU_TOPK,    SE_GPU_TOPK,
        SE_GPU_VERDICT, SE_GPU_VERDICT, SE_GPU_VERDICT, SE_GPU_VERDICT
    };
    static const double temps[] = { 0, 0, 1, 1, 1, 0.7, 1.5, 0.05, 1e-6, 1e6 };
    static const double top_ps[] = { 1, 1, 1, 0.95, 0.5, 0.1, 0.999, 1e-9 };
    static const double min_ps[] = { 0, 0, 0, 0.05, 0.5, 0.99 };
    static const float sharpens[] = { 0, 0, 1, 0.5f, 3 };
    const uint32_t top_ks[] = { 0, 0, 0, 1, 5, 50, 511, 512, 513, 700, n, n + 5 };
    struct ask ask = {};
    ask.want = one_of(wants);
    ask.k = 1 + se_rng_below(&rng, SE_GPU_TOPK_MAX);
    ask.sharpen = one_of(sharpens);
    ask.sampling.temp = one_of(temps);
    ask.sampling.top_k = one_of(top_ks);
    ask.sampling.top_p = one_of(top_ps);
    ask.sampling.min_p = one_of(min_ps);
    ask.sampling.seed = draw_seed();
    ask.fill = (enum fill)se_rng_below(&rng, FILLS);
    return ask;
}

struct step {
    struct batch batch;
    std::vector<struct ask> ask; /* per part */
    std::vector<float> logits;   /* per wanted row */
    uint32_t vocab;
};

static void add_part(struct step *step, const struct ask &ask, uint32_t n_rows)
{
    struct batch *batch = &step->batch;
    struct se_gpu_part part = {};
    part.first_row = (uint32_t)batch->row.size();
    part.n_rows = n_rows;
    part.want = ask.want;
    part.k = ask.k;
    part.sharpen = ask.sharpen;
    part.cuts = ask.sampling.temp > 0;
    part.temp = ask.sampling.temp;
    part.top_k = ask.sampling.top_k;
    part.top_p = ask.sampling.top_p;
    part.min_p = ask.sampling.min_p;
    part.seed = ask.sampling.seed;
    for (uint32_t i = 0; i < n_rows; i++) {
        struct se_gpu_row row = {};
        row.part = (uint32_t)batch->part.size();
        row.position = se_rng_below(&rng, 3000);
        if (ask.want != SE_GPU_NOTHING || se_rng_below(&rng, 2)) { /* a hidden state is asked for */
            batch->wanted.push_back((uint32_t)batch->row.size());
            for (uint32_t j = 0; j < step->vocab; j++)
                step->logits.push_back(draw_logit(ask.fill, j));
            uint32_t one = se_rng_below(&rng, step->vocab);
            float *last = &step->logits[step->logits.size() - step->vocab];
            if (ask.fill == ALONE || ask.fill == CUT || ask.fill == SINKING)
                last[one] = ask.fill == SINKING ? -3e38f : (float)se_rng_normal(&rng);
        }
        batch->row.push_back(row);
    }
    batch->part.push_back(part);
    step->ask.push_back(ask);
}

struct answer {
    struct answers out;
    std::vector<float> logits;
};

static struct answer run(const struct step &step)
{
    uint32_t rows = (uint32_t)step.batch.row.size(), bucket = rows + se_rng_below(&rng, 3);
    const struct batch_there in(step.batch);
    const struct answers_there out {
        answers(bucket)
    };
    const device_array<float> logits(step.logits);
    device_order(se_rng_below(&rng, 4));
    se_gpu_sample(device_stream(), in.at(), bucket, logits.at, step.vocab, out.at());
    device_wait();
    return { out.read(), logits.read() };
}

/* ---- what the CPU says */

static uint32_t sampled_by_cpu(const struct ask &ask, std::vector<float> x, uint32_t position)
{
    uint32_t token = UINT32_MAX;
    assert_int_equal(se_sample(&ask.sampling, x.data(), (uint32_t)x.size(), position + 1, &token),
                     0);
    return token;
}

struct ranked {
    std::vector<uint32_t> id;
    std::vector<float> logprob;
};

/* As runtime/model/cpu_wants.c has it. */
static struct ranked ranked_by_cpu(const struct ask &ask, std::vector<float> x, uint32_t position)
{
    uint32_t n = (uint32_t)x.size();
    const struct se_sampling *sampling = &ask.sampling;
    if (sampling->temp > 0) {
        float factor = ask.sharpen, inv_t = (float)(1 / sampling->temp);
        assert_int_equal(se_sample_cut(sampling, x.data(), n), 0);
        if (factor == 0)
            factor = inv_t;
        else
            se_gumbel_pick()->add(x.data(), n, inv_t, sampling->seed, position + 1, x.data());
        for (float &value : x)
            value *= factor;
    }
    float whole = se_softmax_pick()->logsumexp(x.data(), n);
    struct ranked ranked = { std::vector<uint32_t>(ask.k), std::vector<float>(ask.k) };
    uint32_t k = se_topk_pick()->run(x.data(), n, ask.k, ranked.id.data(), ranked.logprob.data());
    ranked.id.resize(k);
    ranked.logprob.resize(k);
    for (float &value : ranked.logprob)
        value -= whole;
    return ranked;
}

/* Scores beyond what a float holds have no softmax: then the order alone is compared. */
static bool same_ranking(const struct ranked &want, const uint32_t *id, const float *logprob,
                         bool tells)
{
    size_t n = want.id.size();
    for (size_t i = 0; i < n; i++) {
        if (id[i] != want.id[i]) {
            if (tells)
                printf("rank %zu of %zu: %u instead of %u\n", i, n, id[i], want.id[i]);
            return false;
        }
        double apart = fabs((double)logprob[i] - (double)want.logprob[i]);
        if (!isfinite(want.logprob[i]) ? !isfinite(logprob[i])
                                       : apart <= 2e-6 * fabs((double)want.logprob[i]) + 4e-6)
            continue;
        if (tells)
            printf("rank %zu of %zu: %.9g instead of %.9g\n", i, n, (double)logprob[i],
                   (double)want.logprob[i]);
        return false;
    }
    return true;
}

/* Whether the answer is right for settings that round otherwise. */
template <typename Same>
static bool rounded(const struct ask &ask, Same same)
{
    static const double nudges[] = { -3e-6, -1e-6, -3e-7, 3e-7, 1e-6, 3e-6 };
    for (double nudge : nudges) {
        struct ask other = ask;
        other.sampling.top_p = std::min(1.0, ask.sampling.top_p * (1 + nudge));
        if (ask.sampling.top_p < 1 && same(other)) {
            n_rounded++;
            return true;
        }
    }
    return false;
}

static void fail_case(const struct ask &ask, uint32_t n)
{
    const struct se_sampling *sampling = &ask.sampling;
    fail_msg(
        "n %u, %s, want %u, k %u, sharpen %g, temp %g, top-k %u, top-p %g, min-p %g, seed %#llx", n,
        fill_names[ask.fill], ask.want, ask.k, (double)ask.sharpen, sampling->temp, sampling->top_k,
        sampling->top_p, sampling->min_p, (unsigned long long)sampling->seed);
}

static bool row_is_right(const struct ask &ask, const std::vector<float> &x, uint32_t position,
                         uint32_t row, const struct answer &answer)
{
    const uint32_t *id = &answer.out.topk_id[(size_t)row * SE_GPU_TOPK_MAX];
    const float *logprob = &answer.out.topk_logprob[(size_t)row * SE_GPU_TOPK_MAX];
    if (ask.want == SE_GPU_VERDICT) {
        uint32_t got = answer.out.sampled[row], want = sampled_by_cpu(ask, x, position);
        n_draws++;
        if (got == want || rounded(ask, [&](const struct ask &other) {
                return sampled_by_cpu(other, x, position) == got;
            }))
            return true;
        printf("token %u instead of %u\n", got, want);
        return false;
    }
    struct ranked want = ranked_by_cpu(ask, x, position);
    n_rankings++;
    return same_ranking(want, id, logprob, false) ||
           rounded(ask,
                   [&](const struct ask &other) {
                       return same_ranking(ranked_by_cpu(other, x, position), id, logprob, false);
                   }) ||
           same_ranking(want, id, logprob, true);
}

/* What is not asked for stays as it was. */
static void compare_rest(const struct step &step, const struct answer &answer)
{
    for (uint32_t i = 0; i < answer.out.sampled.size(); i++) {
        const struct ask *ask =
            i < step.batch.row.size() ? &step.ask[step.batch.row[i].part] : NULL;
        bool ranks = ask && ask->want == SE_GPU_TOPK;
        uint32_t k = ranks ? std::min(ask->k, step.vocab) : 0;
        if (!ask || ask->want != SE_GPU_VERDICT)
            assert_int_equal(answer.out.sampled[i], UINT32_MAX);
        for (; k < SE_GPU_TOPK_MAX; k++)
            assert_int_equal(answer.out.topk_id[(size_t)i * SE_GPU_TOPK_MAX + k], UINT32_MAX);
    }
}

static void compare(const struct step &step, const struct answer &answer)
{
    uint32_t n = step.vocab;
    assert_int_equal(answer.out.fault, 0);
    for (uint32_t i = 0; i < step.batch.wanted.size(); i++) {
        uint32_t number = step.batch.wanted[i];
        const struct ask &ask = step.ask[step.batch.row[number].part];
        std::vector<float> x(step.logits.begin() + (long)i * n,
                             step.logits.begin() + (long)(i + 1) * n);
        if ((ask.want == SE_GPU_TOPK || ask.want == SE_GPU_VERDICT) &&
            !row_is_right(ask, x, step.batch.row[number].position, number, answer))
            fail_case(ask, n);
        if (ask.want != SE_GPU_TOPK) /* logits may be handed out behind this */
            assert_memory_equal(x.data(), &answer.logits[(size_t)i * n], n * sizeof(float));
    }
    compare_rest(step, answer);
}

/* The first wanted row of the step, alone in another one. */
static void compare_alone(const struct step &step, const struct answer &answer)
{
    uint32_t number = step.batch.wanted[0], n = step.vocab;
    struct step alone;
    alone.vocab = n;
    alone.ask = { step.ask[step.batch.row[number].part] };
    alone.batch.part = { step.batch.part[step.batch.row[number].part] };
    alone.batch.row = { step.batch.row[number] };
    alone.batch.row[0].part = alone.batch.part[0].first_row = 0;
    alone.batch.part[0].n_rows = 1;
    alone.batch.wanted = { 0 };
    alone.logits.assign(step.logits.begin(), step.logits.begin() + n);
    struct answer single = run(alone);
    size_t at = (size_t)number * SE_GPU_TOPK_MAX;
    assert_int_equal(single.out.sampled[0], answer.out.sampled[number]);
    assert_memory_equal(&single.out.topk_id[0], &answer.out.topk_id[at], SE_GPU_TOPK_MAX * 4);
    assert_memory_equal(&single.out.topk_logprob[0], &answer.out.topk_logprob[at],
                        SE_GPU_TOPK_MAX * 4);
}

static void answers_match(void)
{
    static const uint32_t sizes[] = { 1, 2, 3, 17, 63, 300, 512, 513, 1000, 2000, 2049, 4100 };
    for (unsigned again = 0; again < 80; again++) {
        struct step step;
        step.vocab = one_of(sizes);
        for (uint32_t parts = 1 + se_rng_below(&rng, 4); parts > 0; parts--)
            add_part(&step, draw_ask(step.vocab), 1 + se_rng_below(&rng, 3));
        struct answer answer = run(step);
        compare(step, answer);
        if (!step.batch.wanted.empty())
            compare_alone(step, answer);
    }
}

/* Rows that are longer than the list, and such that do not fit it. */
static void check_long_rows(uint32_t vocab)
{
    static const struct ask asks[] = {
        { SE_GPU_VERDICT, 0, 0, { 0, 0, 1, 0, 0 }, COARSE },
        { SE_GPU_VERDICT, 0, 0, { 1, 0, 1, 0, 0 }, NORMAL },
        { SE_GPU_VERDICT, 0, 0, { 0.7, 0, 0.9, 0, 0 }, NORMAL },
        { SE_GPU_VERDICT, 0, 0, { 1.5, 0, 0.99, 0, 0 }, NORMAL },
        { SE_GPU_VERDICT, 0, 0, { 1, 20000, 0.95, 0, 0 }, COARSE },
        { SE_GPU_VERDICT, 0, 0, { 1, 0, 0.5, 0, 0 }, FLAT },
        { SE_GPU_VERDICT, 0, 0, { 1, 512, 0.5, 0.9, 0 }, HOARD },
        { SE_GPU_VERDICT, 0, 0, { 1, 0, 0.02, 0, 0 }, HOARD },
        { SE_GPU_TOPK, 64, 0, { 0, 0, 1, 0, 0 }, NORMAL },
        { SE_GPU_TOPK, 64, 2, { 1, 0, 0.9, 0, 0 }, HOARD },
        { SE_GPU_TOPK, 64, 0, { 1e6, 3000, 1, 0, 0 }, COARSE },
    };
    struct step step;
    step.vocab = vocab;
    for (struct ask ask : asks) {
        ask.sampling.seed = draw_seed();
        add_part(&step, ask, 1);
    }
    compare(step, run(step));
}

static void long_rows_match(void) { check_long_rows(32000); }

/* Among equals the lowest index wins, wherever the threads' shares of the row begin. */
static void lowest_of_equals_wins(void)
{
    for (unsigned again = 0; again < 20; again++) {
        struct step step;
        struct ask ask = draw_ask(1);
        ask.want = SE_GPU_VERDICT;
        ask.sampling.temp = 0;
        step.vocab = 5000;
        add_part(&step, ask, 1);
        uint32_t first = se_rng_below(&rng, 4900);
        for (uint32_t i = 0; i < 100; i++)
            step.logits[first + se_rng_below(&rng, 5000 - first)] = 40;
        step.logits[first] = 40;
        for (uint32_t i = 0; i < first; i++)
            step.logits[i] = std::min(step.logits[i], 30.0f);
        for (uint32_t i = first; i < 5000; i++)
            step.logits[i] = std::min(step.logits[i], 40.0f);
        assert_int_equal(run(step).out.sampled[0], first);
    }
}

/* How many of equals stay, by the sum of what stays: none more and none less. */
static void cuts_fall_among_equals(void)
{
    enum { N = 1200 };
    struct step step;
    step.vocab = N;
    for (uint32_t i = 0; i < 24; i++) {
        struct ask ask = { SE_GPU_TOPK, 1, 0, { 1, 0, 1, 0, 0 }, NORMAL };
        ask.sampling.top_k =
            i < 4 ? N - i : PROBE_RANK_SHORT + 1 + se_rng_below(&rng, N - PROBE_RANK_SHORT);
        add_part(&step, ask, 1);
        for (uint32_t j = 0; j < N; j++)
            step.logits[i * N + j] = i < 12 ? -2 : (float)se_rng_below(&rng, 3);
    }
    compare(step, run(step));
}

/* Of logits that are the threshold of min_p, rounded, those that are not below it stay. */
static void threshold_is_exact(void)
{
    enum { N = 3 };
    struct step step;
    step.vocab = N;
    for (uint32_t i = 0; i < 60; i++) {
        struct ask ask = { SE_GPU_TOPK, 2, 0, { 0.7, 0, 1, 0, 0 }, NORMAL };
        ask.sampling.min_p = 0.05 + 0.9 * se_rng_unit(&rng);
        add_part(&step, ask, 1);
        float *x = &step.logits[i * N];
        x[0] = (float)se_rng_normal(&rng);
        x[1] = (float)((double)x[0] + ask.sampling.temp * log(ask.sampling.min_p));
        x[2] = x[0] - 20;
    }
    compare(step, run(step));
}

/* The smallest row with one counts; the others are answered. */
static void faults_are_told(void)
{
    static const float bad[] = { NAN, -NAN, INFINITY, -INFINITY };
    for (unsigned again = 0; again < 40; again++) {
        struct step step;
        step.vocab = 301;
        for (uint32_t i = 0; i < 5; i++) {
            struct ask ask = draw_ask(step.vocab);
            ask.want = i == 1 ? SE_GPU_LOGITS : i == 3 ? SE_GPU_TOPK : SE_GPU_VERDICT;
            ask.fill = NORMAL;
            add_part(&step, ask, 1);
        }
        uint32_t row = 2 + se_rng_below(&rng, 3);
        step.logits[301 + 7] = NAN; /* of a row whose logits are all that is wanted */
        for (uint32_t i = row; i < 5; i++) {
            float value = one_of(bad);
            for (uint32_t j = 0; j < 301; j++)
                if (value == -INFINITY || j == again * 7)
                    step.logits[i * 301 + j] = value;
        }
        struct answer answer = run(step);
        assert_int_equal(answer.out.fault, ~row);
        assert_int_equal(answer.out.sampled[row], UINT32_MAX);
        assert_int_not_equal(answer.out.sampled[0], UINT32_MAX);
    }
}

/* Vocabularies as large as models have them. */
static void rows_of_large_models_match(void)
{
    static const uint32_t vocabs[] = { 128256, 151936, 262144 };
    check_words(10000000);
    for (uint32_t vocab : vocabs) {
        check_long_rows(vocab);
        for (unsigned again = 0; again < 8; again++) {
            struct step step;
            step.vocab = vocab;
            for (unsigned part = 0; part < 3; part++)
                add_part(&step, draw_ask(vocab), 1 + se_rng_below(&rng, 3));
            compare(step, run(step));
        }
    }
}

static void few_are_decided_by_rounding(void)
{
    printf("%u draws, %u rankings, of these %u decided by rounding\n", n_draws, n_rankings,
           n_rounded);
    assert_true(n_rounded * 10 <= n_draws + n_rankings);
}

const struct trial list[] = {
    TRIAL(noise_is_the_same),
    TRIAL(noise_belongs_to_its_place),
    TRIAL(mass_is_accurate),
    TRIAL(answers_match),
    TRIAL(long_rows_match),
    TRIAL(lowest_of_equals_wins),
    TRIAL(cuts_fall_among_equals),
    TRIAL(threshold_is_exact),
    TRIAL(faults_are_told),
    TRIAL_LARGE(rows_of_large_models_match),
    TRIAL(few_are_decided_by_rounding),
};

} // namespace

const struct trials check_cuda_sample = TRIALS(rng, list);
