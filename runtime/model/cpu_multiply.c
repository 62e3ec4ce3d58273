/* SPDX-License-Identifier: Apache-2.0 */
/* Products and norms of rows, shared out to the pool. Every item writes columns or rows of
 * its own and no sum crosses items, so the cut does not show in the bits. */
#include "runtime/model/backend_cpu.h"

struct multiply {
    const struct se_backend *backend;
    const struct se_matmul_impl *matmul;
    const struct se_cpu_product *product;
    uint32_t n_products, n_rows;
    uint32_t step[SE_CPU_PRODUCTS_MAX];  /* outputs per item */
    uint32_t items[SE_CPU_PRODUCTS_MAX]; /* of each product */
    bool gated;
};

/* Outputs per item: big products in about eight items a thread, small ones in as few as
 * keep an item worth its hand-over. */
static uint32_t choose_step(const struct multiply *m, const struct se_matrix *w)
{
    enum { ITEM_COST = 1 << 16, ITEMS = 8 };
    uint32_t n_threads = m->backend->n_threads;
    if (n_threads == 1)
        return w->n_out;
    uint64_t column_cost = (uint64_t)w->n_in * (1 + m->n_rows / 4);
    uint64_t least = ITEM_COST / column_cost + 1;
    uint64_t fair = (w->n_out + ITEMS * n_threads - 1) / (ITEMS * n_threads);
    uint64_t step = fair > least ? fair : least;
    return (uint32_t)((step + SE_MATMUL_STEP - 1) / SE_MATMUL_STEP * SE_MATMUL_STEP);
}

static void add_row(float *to, const float *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] += from[i];
}

static void multiply_range(const struct multiply *m, const struct se_cpu_product *product,
                           uint32_t from, uint32_t to)
{
    size_t n_out = product->w->n_out;
    m->matmul->run(product->w, m->backend->prepared, m->n_rows, product->y, n_out, from, to);
    for (uint32_t row = 0; row < m->n_rows; row++) {
        float *y = product->y + row * n_out + from;
        if (product->bias)
            add_row(y, product->bias + from, to - from);
        if (product->sum)
            add_row(product->sum + row * n_out + from, y, to - from);
    }
}

static void gate_range(const struct multiply *m, uint32_t from, uint32_t to)
{
    size_t n_out = m->product[0].w->n_out;
    for (uint32_t row = 0; row < m->n_rows; row++) {
        float *gate = m->product[0].y + row * n_out + from;
        m->backend->glu->run(gate, m->product[1].y + row * n_out + from, to - from, gate);
    }
}

static void multiply_item(void *context, uint32_t item, uint32_t thread)
{
    const struct multiply *m = context;
    uint32_t which = 0;
    (void)thread;
    while (item >= m->items[which])
        item -= m->items[which++];
    uint32_t n_out = m->product[which].w->n_out, from = item * m->step[which];
    uint32_t to = n_out - from < m->step[which] ? n_out : from + m->step[which];
    multiply_range(m, &m->product[which], from, to);
    if (m->gated) {
        multiply_range(m, &m->product[1], from, to);
        gate_range(m, from, to);
    }
}

void se_cpu_multiply(struct se_backend *backend, const struct se_matmul_impl *matmul,
                     const struct se_cpu_product *product, uint32_t n_products, uint32_t n_rows,
                     bool gated)
{
    struct multiply m = {
        .backend = backend,
        .matmul = matmul,
        .product = product,
        .n_products = gated ? 1 : n_products, /* the second one goes with the first */
        .n_rows = n_rows,
        .gated = gated,
    };
    uint32_t n_items = 0;
    for (uint32_t i = 0; i < m.n_products; i++) {
        m.step[i] = choose_step(&m, product[i].w);
        m.items[i] = (product[i].w->n_out + m.step[i] - 1) / m.step[i];
        n_items += m.items[i];
    }
    se_cpu_run(backend, multiply_item, &m, n_items);
}

struct prepare {
    const struct se_backend *backend;
    const struct se_matmul_impl *matmul;
    const float *from, *weight;
    float *norms;
    uint32_t n_rows, n_in, step;
};

static void prepare_item(void *context, uint32_t item, uint32_t thread)
{
    const struct prepare *p = context;
    const struct se_backend *backend = p->backend;
    uint32_t from = item * p->step;
    uint32_t to = p->n_rows - from < p->step ? p->n_rows : from + p->step;
    const float *x = p->from;
    (void)thread;
    if (p->weight) {
        for (uint32_t row = from; row < to; row++)
            backend->norm->run(x + (size_t)row * p->n_in, p->weight,
                               backend->model->config.norm_eps, p->n_in,
                               p->norms + (size_t)row * p->n_in);
        x = p->norms;
    }
    p->matmul->prepare(x, p->n_in, p->n_rows, p->n_in, backend->prepared, from, to);
}

void se_cpu_prepare(struct se_backend *backend, const struct se_matmul_impl *matmul,
                    const float *from, uint32_t n_rows, uint32_t n_in, const float *weight,
                    float *norms)
{
    struct prepare p = {
        .backend = backend,
        .matmul = matmul,
        .from = from,
        .weight = weight,
        .norms = norms,
        .n_rows = n_rows,
        .n_in = n_in,
        .step = se_cpu_row_step(backend, n_rows, n_in),
    };
    se_cpu_run(backend, prepare_item, &p, (n_rows + p.step - 1) / p.step);
}
