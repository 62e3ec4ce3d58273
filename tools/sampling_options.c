/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sampling_options.h"

#include "tools/outcome.h"

int se_sampling_options_read(const struct se_sampling_options *options,
                             struct se_sampling *sampling)
{
    *sampling = (struct se_sampling){ .temp = options->temp,
                                      .top_k = (uint32_t)options->top_k,
                                      .top_p = options->top_p,
                                      .min_p = options->min_p,
                                      .seed = options->seed };
    return se_sampling_check(sampling) < 0 ? SE_OUTCOME_USAGE : 0;
}
