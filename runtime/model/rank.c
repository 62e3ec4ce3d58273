/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/rank.h"

#include "kernels/gumbel.h"
#include "kernels/softmax.h"
#include "kernels/topk.h"
#include "runtime/model/sample.h"

/* What the ranking is of: the logits, or the kept ones at a temperature, with noise. */
static int rescale(const struct se_part *ask, float *logits, uint32_t vocab, uint32_t position)
{
    const struct se_sampling *sampling = ask->sampling;
    float factor = ask->sharpen;
    if (!sampling || sampling->temp == 0)
        return 0;
    int r = se_sample_cut(sampling, logits, vocab);
    if (r < 0)
        return r;
    if (factor == 0)
        factor = (float)(1 / sampling->temp);
    else
        se_gumbel_pick()->add(logits, vocab, (float)(1 / sampling->temp), sampling->seed,
                              position + 1, logits);
    for (uint32_t i = 0; i < vocab; i++)
        logits[i] *= factor;
    return 0;
}

int se_rank(const struct se_part *ask, float *logits, uint32_t vocab, uint32_t position,
            uint32_t row)
{
    uint32_t *id = ask->topk_id + (size_t)row * ask->k;
    float *logprob = ask->topk_logprob + (size_t)row * ask->k;
    uint32_t best;
    int r = se_sample_best(logits, vocab, &best);
    if (r == 0)
        r = rescale(ask, logits, vocab, position);
    if (r < 0)
        return r;
    float whole = se_softmax_pick()->logsumexp(logits, vocab);
    se_topk_pick()->run(logits, vocab, ask->k, id, logprob);
    for (uint32_t i = 0; i < ask->k; i++)
        logprob[i] -= whole;
    return 0;
}
