/* SPDX-License-Identifier: Apache-2.0 */
/* Attention against the C reference, and the bits of a row in a tree against its bits alone, in
 * other tiles and slots, and with its path committed. */
#include <math.h>
#include <string.h>

#include <algorithm>
#include <vector>

extern "C" {
#include "kernels/attend.h"
#include "kernels/float16.h"
#include "runtime/base/rng.h"
}

#include "kernels/cuda/kernels.h"
#include "tests/gpu/batch.h"
#include "tests/gpu/trial.h"

namespace
{

struct se_rng rng;

typedef std::vector<uint16_t> halves;

struct node {
    int parent; /* < 0: the end of the text */
    halves key, value, q;
};

/* A text and a tree behind it; each node is a row. */
struct part {
    std::vector<halves> key, value; /* per position: kv_heads times dim */
    std::vector<struct node> node;
};

static halves draw(size_t n, float size)
{
    halves result;
    for (size_t i = 0; i < n; i++)
        result.push_back(se_f32_to_f16(size * (float)se_rng_normal(&rng)));
    return result;
}

enum growth { CHAIN, BUSH };

static struct part draw_part(const struct se_gpu_heads *heads, uint32_t len, uint32_t n_nodes,
                             enum growth growth)
{
    struct part part;
    const size_t n = (size_t)heads->kv_heads * heads->dim;
    const float size = se_rng_below(&rng, 3) ? 1.0f : 4.0f; /* one position takes nearly all */
    for (uint32_t i = 0; i < len; i++) {
        part.key.push_back(draw(n, size));
        part.value.push_back(draw(n, 1));
    }
    for (uint32_t i = 0; i < n_nodes; i++) {
        int parent = growth == CHAIN ? (int)i - 1 : (int)se_rng_below(&rng, i + 1) - 1;
        part.node.push_back(
            { parent, draw(n, size), draw(n, 1), draw((size_t)heads->heads * heads->dim, 1) });
    }
    return part;
}

/* Nodes from the text's end down to this one. */
static std::vector<uint32_t> path_to(const struct part *part, uint32_t node)
{
    std::vector<uint32_t> path;
    for (int at = (int)node; at >= 0; at = part->node[(size_t)at].parent)
        path.insert(path.begin(), (uint32_t)at);
    return path;
}

/* How the rows of a part lie there. */
enum lay {
    TREE,      /* nodes behind the text, the path of each as its tail */
    SCATTERED, /* in any slots behind it; some of the text lies there too */
    COMMITTED, /* a chain, or one row: each in the slot of its position */
    AHEAD,     /* the same, and positions beyond a row's own count as plain too */
};

/* Rows of one part in a batch. */
struct group {
    const struct part *part;
    std::vector<uint32_t> node;
    enum lay lay;
};

/* A batch, with what lies in its pages. */
struct laid : batch {
    const struct se_gpu_heads *heads;
    halves q, pages; /* a slot that nobody fills is no number */
    std::vector<uint32_t> free_pages;
};

static void store(struct laid *b, uint32_t page, uint32_t slot, const halves *key,
                  const halves *value)
{
    const uint32_t dim = b->heads->dim;
    for (uint32_t head = 0; head < b->heads->kv_heads; head++) {
        const size_t plane = ((size_t)page * b->heads->kv_heads + head) * 2;
        uint16_t *keys = b->pages.data() + plane * SE_GPU_PAGE_SLOTS * dim;
        uint16_t *values = keys + (size_t)SE_GPU_PAGE_SLOTS * dim;
        memcpy(keys + (size_t)slot * dim, &(*key)[(size_t)head * dim], dim * sizeof *keys);
        memcpy(values + (size_t)slot * dim, &(*value)[(size_t)head * dim], dim * sizeof *values);
    }
}

/* Tiles of this part's rows, of any size that is allowed. */
static void add_tiles(struct laid *b, uint32_t first, uint32_t n)
{
    const uint32_t most = SE_GPU_TILE / (b->heads->heads / b->heads->kv_heads);
    while (n > 0) {
        uint32_t here = se_rng_below(&rng, 2) ? most : 1 + (uint32_t)se_rng_below(&rng, most);
        here = std::min(here, n);
        b->tile.push_back({ first, here });
        first += here;
        n -= here;
    }
}

static void add_group(struct laid *b, const struct group *group)
{
    const struct part *part = group->part;
    const uint32_t len = (uint32_t)part->key.size(), n_nodes = (uint32_t)part->node.size();
    const bool in_place = group->lay == COMMITTED || group->lay == AHEAD;
    const uint32_t n_slots = len + n_nodes + 20, first_page = (uint32_t)b->page.size();
    uint32_t plain = len;
    if (group->lay == SCATTERED)
        plain = len - (uint32_t)se_rng_below(&rng, std::min(len, 20u) + 1);
    std::vector<uint32_t> text(len), slot(n_nodes), spare;
    for (uint32_t i = plain; i < n_slots; i++)
        spare.push_back(i);
    for (size_t i = spare.size(); i > 1 && group->lay == SCATTERED; i--)
        std::swap(spare[i - 1], spare[se_rng_below(&rng, (uint32_t)i)]);
    for (uint32_t i = 0; i < len; i++)
        text[i] = i < plain ? i : spare[i - plain];
    for (uint32_t i = 0; i < n_nodes; i++)
        slot[i] = spare[len - plain + i];
    for (uint32_t i = 0; i * SE_GPU_PAGE_SLOTS < n_slots; i++) {
        b->page.push_back(b->free_pages.back());
        b->free_pages.pop_back();
    }
    auto put = [&](uint32_t at, const halves *key, const halves *value) {
        store(b, b->page[first_page + at / SE_GPU_PAGE_SLOTS], at % SE_GPU_PAGE_SLOTS, key, value);
    };
    for (uint32_t i = 0; i < len; i++)
        put(text[i], &part->key[i], &part->value[i]);
    const uint32_t first_row = (uint32_t)b->row.size();
    for (uint32_t node : group->node) {
        std::vector<uint32_t> path = path_to(part, node);
        struct se_gpu_row row = {};
        row.position = len + (uint32_t)path.size() - 1;
        row.part = (uint32_t)b->part.size();
        row.plain = in_place ? row.position + 1 : plain;
        if (group->lay == AHEAD)
            row.plain = len + n_nodes;
        row.tail = (uint32_t)b->tail.size();
        for (uint32_t i = plain; i < len && !in_place; i++)
            b->tail.push_back(text[i]);
        for (uint32_t i = 0; i < path.size(); i++) {
            const struct node *seen = &part->node[path[i]];
            put(in_place ? len + i : slot[path[i]], &seen->key, &seen->value);
            if (!in_place)
                b->tail.push_back(slot[path[i]]);
        }
        b->row.push_back(row);
        b->q.insert(b->q.end(), part->node[node].q.begin(), part->node[node].q.end());
    }
    struct se_gpu_part entry = {};
    entry.first_row = first_row;
    entry.n_rows = (uint32_t)group->node.size();
    entry.first_page = first_page;
    entry.len = len;
    b->part.push_back(entry);
    add_tiles(b, first_row, entry.n_rows);
}

/* What comes of each row, bf16, in the order of the groups. */
static std::vector<halves> run(const struct se_gpu_heads *heads,
                               const std::vector<struct group> &groups)
{
    struct laid b = {};
    size_t n_pages = 3;
    b.heads = heads;
    for (const struct group &group : groups)
        n_pages += (group.part->key.size() + group.part->node.size() + 20) / SE_GPU_PAGE_SLOTS + 1;
    for (uint32_t i = 0; i < n_pages; i++)
        b.free_pages.push_back(i);
    for (size_t i = n_pages; i > 1; i--)
        std::swap(b.free_pages[i - 1], b.free_pages[se_rng_below(&rng, (uint32_t)i)]);
    b.pages.resize(n_pages * heads->kv_heads * 2 * SE_GPU_PAGE_SLOTS * heads->dim, 0xffff);
    for (const struct group &group : groups)
        add_group(&b, &group);

    const uint32_t n = (uint32_t)b.row.size(), bucket = n + (uint32_t)se_rng_below(&rng, 5);
    const size_t width = (size_t)heads->heads * heads->dim;
    const struct batch_there in(b);
    const device_array<uint16_t> q(b.q), pages(b.pages), out(bucket * width);
    const device_array<float> work(se_gpu_attend_work(heads, bucket));
    device_order((unsigned)se_rng_below(&rng, 4));
    se_gpu_attend(device_stream(), in.at(), bucket, heads, q.at, pages.at, work.at, out.at);
    device_wait();
    const halves got = out.read();
    assert_true(is_poison(got, n * width));
    assert_true(pages.read() == b.pages);
    std::vector<halves> result;
    for (uint32_t i = 0; i < n; i++)
        result.push_back(
            halves(got.begin() + (long)(i * width), got.begin() + (long)((i + 1) * width)));
    return result;
}

static const struct se_attend_impl *reference(void)
{
    const struct se_attend_impl *impl = se_attend_table;
    while (impl->dtype != SE_DTYPE_F16 || impl->cpu)
        impl++;
    return impl;
}

static void widen(const uint16_t *from, uint32_t n, float *to)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] = se_f16_to_f32(from[i]);
}

/* One row and kv head by the C reference: all it sees in a row of pages. */
static std::vector<float> reference_of(const struct se_gpu_heads *heads, const struct part *part,
                                       uint32_t node, uint32_t head)
{
    const uint32_t dim = heads->dim, ratio = heads->heads / heads->kv_heads;
    std::vector<uint32_t> path = path_to(part, node);
    const uint32_t len = (uint32_t)part->key.size(), seen = len + (uint32_t)path.size();
    const uint32_t n_pages = (seen + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS;
    std::vector<halves> keys(n_pages, halves((size_t)SE_PAGE_SLOTS * dim)), values = keys;
    std::vector<const void *> key, value;
    std::vector<float> q((size_t)ratio * dim), out((size_t)ratio * dim), k(dim), v(dim);
    for (uint32_t i = 0; i < seen; i++) {
        const struct node *own = i < len ? NULL : &part->node[path[i - len]];
        widen(&(own ? own->key : part->key[i])[(size_t)head * dim], dim, k.data());
        widen(&(own ? own->value : part->value[i])[(size_t)head * dim], dim, v.data());
        se_attend_store(SE_DTYPE_F16, keys[i / SE_PAGE_SLOTS].data(),
                        values[i / SE_PAGE_SLOTS].data(), i % SE_PAGE_SLOTS, dim, k.data(),
                        v.data());
    }
    for (uint32_t i = 0; i < n_pages; i++) {
        key.push_back(keys[i].data());
        value.push_back(values[i].data());
    }
    widen(&part->node[node].q[(size_t)head * ratio * dim], ratio * dim, q.data());
    struct se_attend_row row = { q.data(), out.data(), NULL, seen, seen };
    struct se_attend_job job = { key.data(), value.data(), &row, 1, ratio, dim, heads->scale };
    std::vector<float> scratch(se_attend_scratch(&job, seen, n_pages * SE_PAGE_SLOTS));
    reference()->run(&job, scratch.data());
    return out;
}

/* Shares are rounded to f16 and the result to bf16. */
static void check_values(const struct se_gpu_heads *heads, const struct part *part, uint32_t node,
                         const halves &got)
{
    const uint32_t n = heads->heads / heads->kv_heads * heads->dim;
    for (uint32_t head = 0; head < heads->kv_heads; head++) {
        std::vector<float> want = reference_of(heads, part, node, head);
        for (uint32_t i = 0; i < n; i++) {
            double value = (double)se_bf16_to_f32(got[head * n + i]);
            if (!(fabs(value - (double)want[i]) <= 5e-3 * fabs((double)want[i]) + 2e-3))
                fail_msg("node %u, kv head %u, element %u: %.9g instead of %.9g", node, head, i,
                         value, (double)want[i]);
        }
    }
}

static std::vector<uint32_t> all_of(const struct part *part)
{
    std::vector<uint32_t> nodes;
    for (uint32_t i = 0; i < part->node.size(); i++)
        nodes.push_back(i);
    return nodes;
}

static void check_same(const std::vector<halves> &got, size_t first,
                       const std::vector<halves> &want)
{
    for (size_t i = 0; i < want.size(); i++)
        for (size_t j = 0; j < want[i].size(); j++)
            if (got[first + i][j] != want[i][j])
                fail_msg("row %zu, element %zu: %#x instead of %#x", i, j, got[first + i][j],
                         want[i][j]);
}

struct shape {
    uint32_t heads, kv_heads, dim, context, len, nodes;
};

static struct se_gpu_heads heads_of(const struct shape *s)
{
    struct se_gpu_heads heads = {};
    heads.heads = s->heads;
    heads.kv_heads = s->kv_heads;
    heads.dim = s->dim;
    heads.scale = 1 / sqrtf((float)s->dim);
    heads.context = s->context;
    return heads;
}

static void check_shape(const struct shape *s, enum growth growth)
{
    struct se_gpu_heads heads = heads_of(s);
    trial_case("%u heads, %u for keys, dim %u, context %u, %u positions and %u nodes, %s", s->heads,
               s->kv_heads, s->dim, s->context, s->len, s->nodes,
               growth == CHAIN ? "a chain" : "a tree");
    struct part part = draw_part(&heads, s->len, s->nodes, growth);
    struct part other = draw_part(&heads, (uint32_t)se_rng_below(&rng, 40), 5, BUSH);
    std::vector<halves> want = run(&heads, { { &part, all_of(&part), TREE } });
    for (uint32_t i = 0; i < s->nodes; i++)
        check_values(&heads, &part, i, want[i]);
    /* Elsewhere, in company. */
    std::vector<halves> got = run(&heads, { { &other, all_of(&other), TREE },
                                            { &part, all_of(&part), SCATTERED },
                                            { &other, all_of(&other), TREE } });
    check_same(got, 5, want);
    if (growth == CHAIN) {
        check_same(run(&heads, { { &part, all_of(&part), COMMITTED } }), 0, want);
        check_same(
            run(&heads, { { &other, all_of(&other), SCATTERED }, { &part, all_of(&part), AHEAD } }),
            5, want);
    }
    for (uint32_t i = 0; i < 3; i++) { /* alone */
        uint32_t node = i == 0 ? s->nodes - 1 : (uint32_t)se_rng_below(&rng, s->nodes);
        check_same(run(&heads, { { &part, { node }, COMMITTED } }), 0, { want[node] });
        check_same(run(&heads, { { &part, { node }, SCATTERED } }), 0, { want[node] });
    }
}

static void rows_match_and_keep_their_bits(void)
{
    static const struct shape shapes[] = {
        { 4, 2, 32, 512, 37, 9 },   { 8, 4, 32, 512, 0, 12 },    { 5, 1, 128, 1000, 60, 20 },
        { 2, 2, 16, 300, 15, 40 },  { 3, 1, 64, 256, 16, 33 },   { 7, 1, 80, 600, 100, 8 },
        { 2, 1, 256, 512, 31, 10 }, { 64, 1, 16, 512, 33, 3 },   { 33, 1, 8, 512, 20, 4 },
        { 4, 4, 2, 512, 50, 9 },    { 4, 2, 6, 512, 50, 9 },     { 4, 2, 34, 512, 50, 9 },
        { 2, 1, 130, 512, 40, 9 },  { 1, 1, 198, 512, 40, 9 },   { 2, 1, 64, 1024, 250, 20 },
        { 8, 2, 32, 1024, 519, 6 }, { 2, 1, 16, 10000, 630, 4 }, { 4, 1, 32, 1024, 255, 1 },
    };
    for (const struct shape &shape : shapes) {
        check_shape(&shape, CHAIN);
        check_shape(&shape, BUSH);
    }
}

/* A value that is no number reaches the rows that see it, and no other. */
static void no_number_stays_where_it_is_seen(void)
{
    const struct shape s = { 4, 2, 32, 512, 27, 14 };
    struct se_gpu_heads heads = heads_of(&s);
    for (uint32_t i = 0; i < 4; i++) {
        enum growth growth = i % 2 ? CHAIN : BUSH;
        struct part part = draw_part(&heads, s.len, s.nodes, growth), ill = part;
        const uint32_t bad = i < 2 ? 3 : s.nodes - 1;
        for (uint16_t &value : ill.node[bad].value)
            value = i % 3 ? 0x7e00 : 0x7c00;
        for (uint16_t &value : ill.node[bad].key)
            value = 0x7e00;
        std::vector<halves> want = run(&heads, { { &part, all_of(&part), TREE } });
        for (enum lay lay : { TREE, SCATTERED, COMMITTED, AHEAD }) {
            if (growth == BUSH && (lay == COMMITTED || lay == AHEAD))
                continue;
            std::vector<halves> got = run(&heads, { { &ill, all_of(&ill), lay } });
            for (uint32_t node = 0; node < s.nodes; node++) {
                std::vector<uint32_t> path = path_to(&part, node);
                if (std::count(path.begin(), path.end(), bad) == 0)
                    check_same({ got[node] }, 0, { want[node] });
                else
                    assert_true(isnan(se_bf16_to_f32(got[node][0])));
            }
        }
    }
}

/* Long trees of a large model in one step: some rows of each against the reference, and all of
 * them against a step of their own. */
static void check_company(const struct shape *s, uint32_t n_parts, uint32_t n_compared)
{
    const struct se_gpu_heads heads = heads_of(s);
    std::vector<struct part> part;
    std::vector<struct group> groups;
    trial_case("%u parts of %u nodes behind %u positions, %u heads, %u for keys, dim %u", n_parts,
               s->nodes, s->len, s->heads, s->kv_heads, s->dim);
    for (uint32_t i = 0; i < n_parts; i++)
        part.push_back(draw_part(&heads, s->len, s->nodes, i % 3 ? BUSH : CHAIN));
    for (const struct part &one : part)
        groups.push_back({ &one, all_of(&one), TREE });
    const std::vector<halves> got = run(&heads, groups);
    for (uint32_t i = 0; i < n_parts; i++) {
        const size_t first = (size_t)i * s->nodes;
        for (uint32_t k = 0; k < n_compared; k++) {
            uint32_t node = k == 0 ? s->nodes - 1 : se_rng_below(&rng, s->nodes);
            check_values(&heads, &part[i], node, got[first + node]);
        }
        check_same(got, first, run(&heads, { { &part[i], all_of(&part[i]), SCATTERED } }));
        check_same(got, first, run(&heads, { { &part[i], { 0 }, COMMITTED } }));
    }
}

static void trees_of_large_models_match(void)
{
    static const struct shape eight = { 40, 8, 128, 40960, 1000, 33 };
    static const struct shape far = { 16, 2, 128, 32768, 30000, 33 };
    check_company(&eight, 8, 3);
    check_company(&far, 1, 4);
}

const struct trial list[] = {
    TRIAL(rows_match_and_keep_their_bits),
    TRIAL(no_number_stays_where_it_is_seen),
    TRIAL_LARGE(trees_of_large_models_match),
};

} // namespace

const struct trials check_cuda_attend = TRIALS(rng, list);
