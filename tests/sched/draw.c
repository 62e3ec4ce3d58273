/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sched/draw.h"

void draw_edge_options(struct se_rng *rng, struct se_edge_options *o)
{
    static const double temp[] = { 0, 0.7, 1, 1.5 };
    o->sampling.temp = temp[se_rng_below(rng, 4)];
    o->sampling.top_k = se_rng_below(rng, 3) == 0 ? 1 + se_rng_below(rng, 20) : 0;
    o->sampling.top_p = se_rng_below(rng, 3) == 0 ? 0.5 + se_rng_unit(rng) / 2 : 1;
    o->speculate = (enum se_wire_speculate)se_rng_below(rng, 3);
    o->shape = (enum se_edge_shape)se_rng_below(rng, 2);
    o->depth = (enum se_edge_depth)se_rng_below(rng, 3);
    o->proactive = (enum se_proactive)se_rng_below(rng, 3);
    o->sharpen = se_rng_below(rng, 2) ? 2 : 0;
    o->grow.max_budget = 1 + se_rng_below(rng, 63);
    o->grow.max_beam_len = 1 + se_rng_below(rng, 8);
    o->grow.max_n_beams = 1 + se_rng_below(rng, 32);
    o->grow.max_branch_width = 1 + se_rng_below(rng, 16);
    o->ahead.max_budget = 1 + se_rng_below(rng, 31);
    o->ahead.max_beam_len = 1 + se_rng_below(rng, 6);
    o->check = se_rng_below(rng, 4) == 0;
}

float draw_stray(struct se_rng *rng)
{
    static const float stray[] = { -1, 0, 0.1f, 0.3f, 1 };
    return stray[se_rng_below(rng, 5)];
}
