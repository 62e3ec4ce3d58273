/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/sample.h - the token that follows, chosen without any state.
 *
 * temp 0: the largest logit (lowest id in a tie). Otherwise the kept set is made as users of
 * other engines expect (logits / temp, then top_k, then top_p, then min_p) and the winner is
 * the kept token with the largest logit / temp + gumbel(seed, position, token). position is
 * the one the chosen token will have in its sequence. */
#ifndef SE_RUNTIME_MODEL_SAMPLE_H
#define SE_RUNTIME_MODEL_SAMPLE_H

#include <stdint.h>

struct se_sampling {
    double temp;    /* >= 0 */
    uint32_t top_k; /* 0: all */
    double top_p;   /* (0, 1]; 1: all. Keeps the smallest head whose mass reaches top_p */
    double min_p;   /* [0, 1); 0: all. Cuts what is below min_p times the best */
    uint64_t seed;
};
#define SE_SAMPLING_GREEDY ((struct se_sampling){ .temp = 0, .top_p = 1 })

/* 0, or -EINVAL naming the value that is out of range. */
int se_sampling_check(const struct se_sampling *sampling);

/* logits: n of them, used as scratch (what is cut becomes -infinity). -EDOM, with the text
 * saying so, when there is no finite logit or one is NaN. */
int se_sample(const struct se_sampling *sampling, float *logits, uint32_t n, uint32_t position,
              uint32_t *token);

/* Index of the largest logit, the lowest in a tie. -EDOM as above. */
int se_sample_best(const float *logits, uint32_t n, uint32_t *best);

/* The cut alone: what is not kept becomes -infinity. */
int se_sample_cut(const struct se_sampling *sampling, float *logits, uint32_t n);

#endif
