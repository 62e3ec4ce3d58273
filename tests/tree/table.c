/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tree/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/clock.h"
#include "runtime/base/rng.h"

uint64_t table_context(uint64_t before, uint32_t token)
{
    uint64_t mixed = (before ^ (token + 1)) * 0x9e3779b97f4a7c15u;
    return mixed ^ mixed >> 29;
}

uint64_t table_context_of(const struct se_tree *tree, uint32_t node, uint64_t before)
{
    if (node > 0)
        before = table_context_of(tree, (uint32_t)tree->parent[node], before);
    return table_context(before, tree->token[node]);
}

struct successor {
    uint32_t id;
    float logprob;
};

static int by_logprob(const void *a, const void *b)
{
    const struct successor *x = a, *y = b;
    if (x->logprob != y->logprob)
        return x->logprob > y->logprob ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

void table_row(const struct table *table, uint64_t context, uint32_t k, uint32_t *id,
               float *logprob)
{
    struct successor row[TABLE_VOCAB];
    struct se_rng rng;
    double sum = 0, logit[TABLE_VOCAB];
    se_rng_init(&rng, table->seed ^ context, SE_RNG_TEST);
    for (uint32_t i = 0; i < TABLE_VOCAB; i++) {
        logit[i] = 3 * se_rng_normal(&rng);
        sum += exp(logit[i]);
    }
    for (uint32_t i = 0; i < TABLE_VOCAB; i++) {
        float plain = (float)(logit[i] - log(sum));
        float stepped = -0.25f * (float)se_rng_below(&rng, table->steps + 1);
        row[i] = (struct successor){ i, table->steps ? stepped : plain };
    }
    qsort(row, TABLE_VOCAB, sizeof *row, by_logprob);
    for (uint32_t i = 0; i < k; i++) {
        id[i] = row[i].id;
        logprob[i] = row[i].logprob;
    }
}

uint64_t test_seed(void)
{
    const char *text = getenv("SE_TEST_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : se_clock_ns();
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}
