/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/edge/worth.h"

#include <math.h>

/* In each bucket the draft's own word counts as so many observations. How big the grain of salt is
 * with which it is taken is learnt first, from all buckets together: of one that is never right a
 * few tokens tell. What was seen counts less with each further observation, so that about
 * 1 / (1 - FADE) matter. */
static const float PRIOR = 2, SALT_FIRST = 0.7f, SALT_PRIOR = 2, SALT_MOST = 1.1f, FADE = 0.998f,
                   SURE = 0.99f;

/* Upper ends of the buckets, as -log-probability. */
static const float edge[SE_WORTH_BUCKETS - 1] = { 0.01f, 0.03f, 0.07f, 0.12f, 0.2f,  0.3f,  0.42f,
                                                  0.57f, 0.75f, 1.0f,  1.3f,  1.65f, 2.05f, 2.5f,
                                                  3.1f,  3.8f,  4.7f,  6.0f,  8.0f };

uint32_t se_worth_bucket(float logprob)
{
    uint32_t low = 0, high = SE_WORTH_BUCKETS - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (-logprob <= edge[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The likelihood that the draft's word means. */
static float word_of(uint32_t bucket)
{
    float low = bucket > 0 ? edge[bucket - 1] : 0;
    float high = bucket < SE_WORTH_BUCKETS - 1 ? edge[bucket] : 2 * low;
    return expf(-(low + high) / 2);
}

/* Neighbours that stand in the wrong order are made one, until none do. */
void se_worth_settle(struct se_worth *worth)
{
    float sum[SE_WORTH_BUCKETS], weight[SE_WORTH_BUCKETS];
    uint32_t width[SE_WORTH_BUCKETS], n = 0;
    float salt = (worth->came + SALT_PRIOR * SALT_FIRST) / (worth->said + SALT_PRIOR);
    salt = salt < SALT_MOST ? salt : SALT_MOST;
    for (uint32_t i = 0; i < SE_WORTH_BUCKETS; i++) {
        sum[n] = worth->taken[i] + PRIOR * salt * word_of(i);
        weight[n] = worth->offered[i] + PRIOR;
        width[n++] = 1;
        while (n > 1 && sum[n - 1] * weight[n - 2] > sum[n - 2] * weight[n - 1]) {
            sum[n - 2] += sum[n - 1];
            weight[n - 2] += weight[n - 1];
            width[n - 2] += width[n - 1];
            n--;
        }
    }
    for (uint32_t group = 0, at = 0; group < n; group++)
        for (uint32_t i = 0; i < width[group]; i++)
            worth->share[at++] = fminf(sum[group] / weight[group], SURE);
}

void se_worth_init(struct se_worth *worth)
{
    *worth = (struct se_worth){ .seen = 0 };
    se_worth_settle(worth);
}

void se_worth_note(struct se_worth *worth, uint32_t bucket, bool taken)
{
    worth->taken[bucket] = worth->taken[bucket] * FADE + (taken ? 1 : 0);
    worth->offered[bucket] = worth->offered[bucket] * FADE + 1;
    worth->came = worth->came * FADE + (taken ? 1 : 0);
    worth->said = worth->said * FADE + word_of(bucket);
}
