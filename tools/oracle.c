/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/oracle.h"

#include <errno.h>
#include <stdbool.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

void se_oracle_init(struct se_oracle *o, uint32_t nodes, uint32_t depth, double acceptance,
                    uint32_t ids)
{
    const uint32_t drafted = nodes - 1;
    *o = (struct se_oracle){ .nodes = nodes, .ids = ids, .acceptance = acceptance };
    o->depth = depth < drafted ? depth : drafted;
    o->parent[0] = -1;
    uint32_t at = 1, lead = 0;
    for (uint32_t level = 1; level <= o->depth; level++) {
        const uint32_t first = at;
        const uint32_t width = drafted / o->depth + (level <= drafted % o->depth);
        for (uint32_t i = 0; i < width; i++, at++) {
            o->parent[at] = (int32_t)lead;
            o->level[at] = (uint16_t)level;
        }
        lead = first;
    }
}

void se_oracle_draft(const struct se_oracle *o, struct se_rng *rng, uint32_t root,
                     const uint32_t *next, uint32_t *id)
{
    bool right = true;
    id[0] = root;
    for (uint32_t i = 1; i < o->nodes; i++) {
        const uint32_t truth = next[o->level[i] - 1];
        const bool leads = o->level[i] != o->level[i - 1];
        if (leads)
            right = right && se_rng_unit(rng) < o->acceptance;
        id[i] = leads && right ? truth : (truth + 1 + i) % o->ids; /* siblings must differ */
    }
}

double se_oracle_tokens(const struct se_oracle *o)
{
    double tokens = 1, all = 1;
    for (uint32_t level = 0; level < o->depth; level++)
        tokens += all *= o->acceptance;
    return tokens;
}

/* The struct of each and the ids of all in one block. */
int se_oracle_texts_new(struct se_oracle_text **out, uint32_t n, uint32_t prompt, uint32_t want,
                        uint32_t ids, uint64_t seed)
{
    struct se_rng rng;
    struct se_oracle_text *texts = se_mem_zero(n, sizeof *texts + want * sizeof *texts->id);
    if (!texts)
        return se_trace(-ENOMEM);
    uint32_t *id = (uint32_t *)(void *)(texts + n);
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (uint32_t i = 0; i < n; i++, id += want) {
        texts[i] = (struct se_oracle_text){ .id = id, .prompt = prompt, .n = prompt, .want = want };
        for (uint32_t k = 0; k < prompt; k++)
            id[k] = se_rng_below(&rng, ids);
    }
    *out = texts;
    return 0;
}

void se_oracle_texts_free(struct se_oracle_text *texts) { se_mem_free(texts); }
