/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/sample.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "kernels/gumbel.h"
#include "kernels/topk.h"
#include "runtime/base/err.h"

int se_sampling_check(const struct se_sampling *sampling)
{
    if (!(sampling->temp == 0 || (sampling->temp >= 1e-6 && sampling->temp <= 1e6)))
        return se_fail(-EINVAL, "temperature %g is neither 0 nor from 1e-6 to 1e6", sampling->temp);
    if (!(sampling->top_p > 0 && sampling->top_p <= 1))
        return se_fail(-EINVAL, "top-p %g is not above 0 and at most 1", sampling->top_p);
    if (!(sampling->min_p >= 0 && sampling->min_p < 1))
        return se_fail(-EINVAL, "min-p %g is not at least 0 and below 1", sampling->min_p);
    return 0;
}

/* Blocks of a fixed size, which the compiler turns into vectors. */
enum { BLOCK = 64 };

static uint32_t bad_in(const float *x)
{
    uint32_t bad[BLOCK], any = 0;
    for (int i = 0; i < BLOCK; i++)
        bad[i] = !(x[i] < INFINITY); /* NaN, or +infinity */
    for (int i = 0; i < BLOCK; i++)
        any |= bad[i];
    return any;
}

int se_sample_best(const float *logits, uint32_t n, uint32_t *best)
{
    uint32_t i = 0, bad = 0;
    float value = -INFINITY;
    for (; n - i >= BLOCK; i += BLOCK)
        bad |= bad_in(logits + i);
    for (; i < n; i++)
        bad |= !(logits[i] < INFINITY);
    if (bad)
        return se_fail(-EDOM, "a logit is not a number");
    if (n > 0)
        se_topk_pick()->run(logits, n, 1, best, &value);
    if (value == -INFINITY)
        return se_fail(-EDOM, "there is no finite logit");
    return 0;
}

/* exp(t) for -700 <= t <= 0, within a few units of the last place. Plain arithmetic without
 * a call or a branch, so that a block of it becomes vectors: the mass of a whole vocabulary
 * is summed for every token that is drawn with top-p. */
static inline double exp_below(double t)
{
    static const double log2e = 1.4426950408889634, round = 0x1.8p52;
    static const double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    double whole = t * log2e + round; /* its low bits are the whole number */
    double k = whole - round;
    double r = (t - k * ln2_high) - k * ln2_low, r2 = r * r;
    double even = 1 / 3628800.0 + r2 * (1 / 479001600.0);
    double odd = 1 / 362880.0 + r2 * (1 / 39916800.0);
    even = 1 / 720.0 + r2 * (1 / 40320.0 + r2 * even);
    odd = 1 / 120.0 + r2 * (1 / 5040.0 + r2 * odd);
    even = 1 + r2 * (1 / 2.0 + r2 * (1 / 24.0 + r2 * even));
    odd = r * (1 + r2 * (1 / 6.0 + r2 * odd));
    double power = even + odd;
    int64_t bits, shift;
    memcpy(&shift, &whole, sizeof shift);
    memcpy(&bits, &power, sizeof bits);
    bits += (int64_t)((uint64_t)shift << 52);
    memcpy(&power, &bits, sizeof power);
    return power;
}

struct head {
    float *x;
    uint32_t n;
    bool counts; /* every entry has mass 1; otherwise exp((x - best) / temp) */
    double best, inv_temp;
};

/* Beyond 700 the mass is as good as none (10^-304), and its exponent still fits. */
static inline double distance(const struct head *head, float value)
{
    double t = ((double)value - head->best) * head->inv_temp;
    return t > -700 ? t : -700;
}

static double mass_of(const struct head *head, float value)
{
    return head->counts ? 1 : exp_below(distance(head, value));
}

/* Of all entries, in an order that depends on their number alone. */
static double whole_mass(const struct head *head)
{
    double lane[BLOCK] = { 0 }, t[BLOCK], sum = 0;
    uint32_t i = 0;
    for (; head->n - i >= BLOCK; i += BLOCK) {
        for (uint32_t k = 0; k < BLOCK; k++)
            t[k] = distance(head, head->x[i + k]);
        for (uint32_t k = 0; k < BLOCK; k++)
            lane[k] += exp_below(t[k]);
    }
    for (uint32_t k = 0; k < BLOCK; k++)
        sum += lane[k];
    for (; i < head->n; i++)
        sum += exp_below(distance(head, head->x[i]));
    return sum;
}

/* Cutting a head of the ranking, best first, lower index first in a tie: an entry stays while
 * the mass of those before it is below a target. Most heads are short: the best few entries
 * are ranked and looked at one by one. */
enum { SHORT_MAX = 512 };

static void keep_only(const struct head *head, const uint32_t *index, const float *value,
                      uint32_t n)
{
    for (uint32_t i = 0; i < head->n; i++)
        head->x[i] = -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        head->x[index[i]] = value[i];
}

/* The best k, and of these a head with the given share of their mass. */
static void cut_best(const struct head *head, uint32_t k, double share)
{
    uint32_t index[SHORT_MAX], kept = 0;
    float value[SHORT_MAX];
    double before = 0, target = 0;
    k = se_topk_pick()->run(head->x, head->n, k, index, value);
    for (uint32_t i = 0; i < k; i++)
        target += mass_of(head, value[i]);
    target = share < 1 ? target * share : INFINITY;
    for (; kept < k && before < target; kept++)
        before += mass_of(head, value[kept]);
    keep_only(head, index, value, kept);
}

/* A head with the given mass. false: it is not short; nothing changed. */
static bool cut_short(const struct head *head, double target)
{
    uint32_t index[SHORT_MAX], kept = 0;
    float value[SHORT_MAX];
    double before = 0;
    uint32_t k = se_topk_pick()->run(head->x, head->n, SHORT_MAX, index, value);
    for (; kept < k && before < target; kept++)
        before += mass_of(head, value[kept]);
    if (before < target)
        return false;
    keep_only(head, index, value, kept);
    return true;
}

/* Long heads: the ranking is never written down; the entry where the target is met is found
 * digit by digit of its value, as in a radix sort that follows one bucket only. */
enum { DIGITS = 3, DIGIT_BITS = 11, DIGIT_SIZE = 1 << DIGIT_BITS };

/* Smaller for larger values: the bits of a float, made to sort as whole numbers do. */
static uint32_t rank_key(float value)
{
    uint32_t bits;
    value += 0.0f; /* both zeros are one value */
    memcpy(&bits, &value, sizeof bits);
    return bits ^ (0x7fffffffu & ((bits >> 31) - 1)); /* what is negative sorts as it is */
}

/* Mass by the given digit of all entries whose higher digits are those of key; what ranks
 * behind worst is passed over. Who counts is found without a branch, which nobody could
 * predict. */
static void sum_digit(const struct head *head, int digit, uint32_t key, uint32_t worst,
                      double *mass)
{
    int shift = (DIGITS - 1 - digit) * DIGIT_BITS;
    uint64_t above = (uint64_t)key >> (shift + DIGIT_BITS);
    memset(mass, 0, DIGIT_SIZE * sizeof *mass);
    for (uint32_t from = 0; from < head->n; from += BLOCK) {
        float value[BLOCK];
        uint32_t n = 0, to = head->n - from < BLOCK ? head->n : from + BLOCK;
        for (uint32_t i = from; i < to; i++) {
            uint64_t other = rank_key(head->x[i]);
            value[n] = head->x[i];
            n += (other <= worst) & (other >> (shift + DIGIT_BITS) == above);
        }
        for (uint32_t i = 0; i < n; i++)
            mass[rank_key(value[i]) >> shift & (DIGIT_SIZE - 1)] += mass_of(head, value[i]);
    }
}

/* The digit in whose bucket the target is met; *before: the mass of all better ones. */
static uint32_t find_digit(const double *mass, double target, double *before)
{
    uint32_t at = 0, last = 0;
    for (uint32_t i = 0; i < DIGIT_SIZE; i++)
        last = mass[i] > 0 ? i : last;
    while (at < last && *before + mass[at] < target) /* last: whatever rounding says */
        *before += mass[at++];
    return at;
}

/* The rank behind which nothing can be in the head: all entries that are so far from the best
 * have together no more than the mass that is to be cut. */
static uint32_t worst_rank(const struct head *head, double target, double whole)
{
    double reach = log(head->n / (whole - target)) + 0.01; /* more than rounding */
    double value = head->best - reach / head->inv_temp;
    return rank_key(value > -FLT_MAX ? (float)value : -FLT_MAX);
}

/* A head with the given mass, of any length; worst bounds its ranks. */
static void cut_long(const struct head *head, double target, uint32_t worst)
{
    double mass[DIGIT_SIZE], before = 0;
    uint32_t key = 0;
    for (int digit = 0; digit < DIGITS; digit++) {
        sum_digit(head, digit, key, worst, mass);
        key |= find_digit(mass, target, &before) << (DIGITS - 1 - digit) * DIGIT_BITS;
    }
    for (uint32_t i = 0; i < head->n; i++) {
        float value = head->x[i];
        uint32_t other = rank_key(value);
        bool stays = (other < key) | ((other == key) & (before < target));
        head->x[i] = stays ? value : -INFINITY;
        if (stays && other == key)
            before += mass_of(head, value);
    }
}

static void cut_head(struct head *head, uint32_t top_k, double top_p)
{
    if (top_k > 0 && top_k <= SHORT_MAX) {
        cut_best(head, top_k, top_p);
        return;
    }
    if (top_k > 0 && top_k < head->n) {
        head->counts = true;
        cut_long(head, top_k, rank_key(-FLT_MAX));
        head->counts = false;
    }
    if (top_p < 1) {
        double whole = whole_mass(head), target = top_p * whole;
        if (!cut_short(head, target))
            cut_long(head, target, worst_rank(head, target, whole));
    }
}

static void cut_below(float *x, uint32_t n, double threshold)
{
    for (uint32_t i = 0; i < n; i++) {
        if ((double)x[i] < threshold)
            x[i] = -INFINITY;
    }
}

/* The cut proper, of logits whose largest is known. */
static void cut(const struct se_sampling *sampling, float *logits, uint32_t n, float best)
{
    struct head head = {
        .x = logits,
        .n = n,
        .best = (double)best,
        .inv_temp = 1 / sampling->temp,
    };
    cut_head(&head, sampling->top_k, sampling->top_p);
    if (sampling->min_p > 0)
        cut_below(logits, n, (double)best + sampling->temp * log(sampling->min_p));
}

int se_sample_cut(const struct se_sampling *sampling, float *logits, uint32_t n)
{
    uint32_t best = 0;
    int r = se_sample_best(logits, n, &best);
    if (r < 0)
        return r;
    if (sampling->temp > 0) {
        cut(sampling, logits, n, logits[best]);
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (i != best)
            logits[i] = -INFINITY;
    }
    return 0;
}

int se_sample(const struct se_sampling *sampling, float *logits, uint32_t n, uint32_t position,
              uint32_t *token)
{
    uint32_t best = 0;
    int r = se_sample_best(logits, n, &best);
    if (r < 0)
        return r;
    if (sampling->temp > 0) {
        cut(sampling, logits, n, logits[best]);
        best = se_gumbel_pick()->argmax(logits, n, (float)(1 / sampling->temp), sampling->seed,
                                        position);
    }
    *token = best;
    return 0;
}
