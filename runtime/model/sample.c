/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/sample.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "kernels/gumbel.h"
#include "runtime/base/err.h"

int se_sampling_check(const struct se_sampling *sampling)
{
    if (!(sampling->temp == 0 || (sampling->temp >= 1e-6 && sampling->temp <= 1e6)))
        return se_fail(-EINVAL, "temperature %g is neither 0 nor from 1e-6 to 1e6",
                       sampling->temp);
    if (!(sampling->top_p > 0 && sampling->top_p <= 1))
        return se_fail(-EINVAL, "top-p %g is not above 0 and at most 1", sampling->top_p);
    if (!(sampling->min_p >= 0 && sampling->min_p < 1))
        return se_fail(-EINVAL, "min-p %g is not at least 0 and below 1", sampling->min_p);
    return 0;
}

/* Index of the largest, the first one in a tie. */
static int find_best(const float *x, uint32_t n, uint32_t *best)
{
    bool bad = false;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        bad |= !(x[i] < INFINITY); /* NaN, or +infinity */
        if (x[i] > x[at])
            at = i;
    }
    if (bad)
        return se_fail(-EDOM, "a logit is not a number");
    if (n == 0 || x[at] == -INFINITY)
        return se_fail(-EDOM, "there is no finite logit");
    *best = at;
    return 0;
}

/* The cut of a head of the ranking, best first, lower index first in a tie: an entry stays
 * while the mass of those before it is below a target. The ranking is never written down:
 * the entry where the target is met is found digit by digit of its value, as in a radix
 * sort that follows one bucket only. */
enum { DIGITS = 3, DIGIT_BITS = 11, DIGIT_SIZE = 1 << DIGIT_BITS };

struct head {
    float *x;
    uint32_t n;
    bool counts; /* every entry has mass 1; otherwise exp((x - best) / temp) */
    double best, temp;
    double mass[DIGIT_SIZE]; /* by digit */
};

/* Smaller for larger values: the bits of a float, made to sort as whole numbers do. */
static uint32_t rank_key(float value)
{
    uint32_t bits;
    value += 0.0f; /* both zeros are one value */
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}

static double mass_of(const struct head *head, float value)
{
    return head->counts ? 1 : exp(((double)value - head->best) / head->temp);
}

/* Mass by the given digit of all entries whose higher digits are those of key. */
static void sum_digit(struct head *head, int digit, uint32_t key)
{
    int shift = (DIGITS - 1 - digit) * DIGIT_BITS;
    uint64_t above = (uint64_t)key >> (shift + DIGIT_BITS);
    memset(head->mass, 0, sizeof head->mass);
    for (uint32_t i = 0; i < head->n; i++) {
        uint64_t other = rank_key(head->x[i]);
        if (head->x[i] > -INFINITY && other >> (shift + DIGIT_BITS) == above)
            head->mass[other >> shift & (DIGIT_SIZE - 1)] += mass_of(head, head->x[i]);
    }
}

/* The digit in whose bucket the target is met; *before: the mass of all better ones. */
static uint32_t find_digit(const struct head *head, double target, double *before)
{
    uint32_t at = 0, last = 0;
    for (uint32_t i = 0; i < DIGIT_SIZE; i++)
        last = head->mass[i] > 0 ? i : last;
    while (at < last && *before + head->mass[at] < target) /* last: whatever rounding says */
        *before += head->mass[at++];
    return at;
}

static double whole_mass(const struct head *head)
{
    double sum = 0;
    for (uint32_t i = 0; i < DIGIT_SIZE; i++)
        sum += head->mass[i];
    return sum;
}

/* Cuts what is not in the head: the first count entries, or (count 0) a share of the mass. */
static void cut_head(struct head *head, uint32_t count, double share)
{
    double before = 0, target = count;
    uint32_t key = 0;
    head->counts = count > 0;
    for (int digit = 0; digit < DIGITS; digit++) {
        sum_digit(head, digit, key);
        if (digit == 0 && !head->counts)
            target = share * whole_mass(head);
        key |= find_digit(head, target, &before) << (DIGITS - 1 - digit) * DIGIT_BITS;
    }
    for (uint32_t i = 0; i < head->n; i++) {
        float value = head->x[i];
        uint32_t other = rank_key(value);
        if (other > key || (other == key && before >= target))
            head->x[i] = -INFINITY;
        if (other == key && before < target)
            before += mass_of(head, value);
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
    struct head head = { .x = logits, .n = n, .best = (double)best, .temp = sampling->temp };
    if (sampling->top_k > 0 && sampling->top_k < n)
        cut_head(&head, sampling->top_k, 0);
    if (sampling->top_p < 1)
        cut_head(&head, 0, sampling->top_p);
    if (sampling->min_p > 0)
        cut_below(logits, n, (double)best + sampling->temp * log(sampling->min_p));
}

int se_sample_cut(const struct se_sampling *sampling, float *logits, uint32_t n)
{
    uint32_t best = 0;
    int r = find_best(logits, n, &best);
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
    int r = find_best(logits, n, &best);
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
