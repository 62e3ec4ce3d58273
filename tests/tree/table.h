/* SPDX-License-Identifier: Apache-2.0 */
/* tests/tree/table.h - a stand-in for a model: a fixed table of what follows a context.
 *
 * A context is a number made from its tokens in order, so that two ways to one text agree and
 * a row mistaken for another shows. */
#ifndef SE_TESTS_TREE_TABLE_H
#define SE_TESTS_TREE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/tree/tree.h"

enum { TABLE_VOCAB = 48 };

struct table {
    uint64_t seed;
    uint32_t steps; /* 0: log-probabilities as they come; n: of n values only, so they tie */
};

uint64_t table_context(uint64_t before, uint32_t token);
/* The context that ends with a node; before: the text up to, and without, the root. */
uint64_t table_context_of(const struct se_tree *tree, uint32_t node, uint64_t before);

/* k <= TABLE_VOCAB successors, best first, the lower id in a tie. */
void table_row(const struct table *table, uint64_t context, uint32_t k, uint32_t *id,
               float *logprob);

/* The seed of SE_TEST_SEED or a new one; printed. */
uint64_t test_seed(void);

#endif
