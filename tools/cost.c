/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cost.h"

static double size_of(const struct se_matrix *m)
{
    double count = (double)m->n_out * m->n_in;
    switch (m->dtype) {
    case SE_DTYPE_F32:
        return 4 * count;
    case SE_DTYPE_Q8:
        return count + 2 * count / SE_Q8_GROUP;
    default:
        return 2 * count;
    }
}

static void add(struct se_cost *cost, const struct se_matrix *m, uint32_t n_rows)
{
    cost->bytes += size_of(m);
    cost->ops += 2.0 * m->n_out * m->n_in * n_rows;
}

struct se_cost se_cost_of(const struct se_model *model, enum se_dtype kv_dtype, uint32_t n_rows,
                          uint32_t n_seqs, uint32_t context, bool logits)
{
    const struct se_config *c = &model->config;
    /* Of the last layer nothing but keys and values is needed where nobody asks further. */
    const uint32_t whole = logits ? c->layers : c->layers - 1;
    struct se_cost cost = { 0 };
    for (uint32_t i = 0; i < c->layers; i++) {
        const struct se_layer *layer = &model->layer[i];
        const struct se_matrix *const all[] = { &layer->q,    &layer->k,  &layer->v,   &layer->o,
                                                &layer->gate, &layer->up, &layer->down };
        const size_t n = i < whole ? sizeof all / sizeof all[0] : 3;
        for (size_t k = 0; k < n; k++)
            add(&cost, all[k], n_rows);
    }
    if (logits)
        add(&cost, &model->output, n_rows);
    double kv_b = 2.0 * whole * c->kv_heads * c->head_dim * (kv_dtype == SE_DTYPE_F32 ? 4 : 2);
    cost.bytes += kv_b * context * n_seqs;
    cost.ops += 4.0 * whole * c->heads * c->head_dim * context * n_rows;
    return cost;
}
