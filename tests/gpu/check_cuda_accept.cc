/* SPDX-License-Identifier: Apache-2.0 */
/* The walk, the moves and what the host sees, against the processor's. */
#include <stdio.h>
#include <string.h>

extern "C" {
#include "runtime/base/rng.h"
#include "runtime/model/kv.h"
#include "runtime/tree/accept.h"
}

#include "kernels/cuda/kernels.h"
#include "tests/gpu/batch.h"
#include "tests/gpu/trial.h"

namespace
{

struct se_rng rng;

/* Trees of one step, and the books of their sequences as the runtime keeps them. */
struct forest {
    struct batch batch;
    struct se_gpu_heads heads;
    uint32_t layers;
    struct se_kv *kv;
    std::vector<struct se_seq *> seq;         /* per part */
    std::vector<std::vector<int32_t>> parent; /* per part */
    std::vector<uint32_t> sampled;            /* per row */
    std::vector<uint16_t> pages;              /* of all layers */

    ~forest()
    {
        for (struct se_seq *each : seq)
            se_seq_free(each);
        se_kv_free(kv);
    }
};

enum shape { CHAIN, TREE, DEEP, STAR, SHAPES };

static int32_t draw_parent(enum shape shape, uint32_t i)
{
    if (i == 0)
        return -1;
    if (shape == CHAIN)
        return (int32_t)i - 1;
    if (shape == STAR)
        return 0;
    return (int32_t)(shape == DEEP && i > 3 ? i - 1 - se_rng_below(&rng, 3)
                                            : se_rng_below(&rng, i));
}

/* A few tokens only, so that siblings carry the same and walks go far. */
static void add_part(struct forest *forest, uint32_t n_rows, uint32_t want)
{
    enum shape shape = (enum shape)se_rng_below(&rng, SHAPES);
    struct batch *batch = &forest->batch;
    uint32_t len = se_rng_below(&rng, 50), number = (uint32_t)batch->part.size();
    uint32_t tokens = 1 + se_rng_below(&rng, 4);
    struct se_seq *seq;
    struct se_gpu_part part = {};
    std::vector<int32_t> parent;
    std::vector<uint32_t> token;
    assert_int_equal(se_seq_new(&seq, forest->kv), 0);
    std::vector<uint32_t> text(len + 1);
    if (len > 0)
        assert_int_equal(se_seq_add(seq, text.data(), NULL, len), 0);
    se_seq_settle(seq);
    part.first_row = (uint32_t)batch->row.size();
    part.n_rows = n_rows;
    part.first_page = (uint32_t)batch->page.size();
    part.len = len;
    part.want = want;
    for (uint32_t i = 0; i < n_rows; i++) {
        struct se_gpu_row row = {};
        row.token = se_rng_below(&rng, tokens);
        row.parent = draw_parent(shape, i);
        row.part = number;
        row.slot = len + i;
        batch->row.push_back(row);
        parent.push_back(row.parent);
        token.push_back(row.token);
        forest->sampled.push_back(se_rng_below(&rng, tokens));
    }
    assert_int_equal(se_seq_add(seq, token.data(), parent.data(), n_rows), 0);
    batch->page.insert(batch->page.end(), seq->page, seq->page + seq->n_pages);
    batch->part.push_back(part);
    forest->seq.push_back(seq);
    forest->parent.push_back(parent);
}

static size_t layer_size(const struct forest &forest)
{
    const struct se_gpu_heads &heads = forest.heads;
    size_t n = (size_t)se_kv_pages(forest.kv) * heads.kv_heads * 2 * SE_GPU_PAGE_SLOTS * heads.dim;
    return (n + 7) / 8 * 8;
}

static void fill_pages(struct forest *forest)
{
    forest->pages.resize(layer_size(*forest) * forest->layers);
    for (size_t i = 0; i + 1 < forest->pages.size(); i += 2) { /* layers are of eights */
        uint32_t bits = se_rng_u32(&rng);
        forest->pages[i] = (uint16_t)bits;
        forest->pages[i + 1] = (uint16_t)(bits >> 16);
    }
}

enum { N_PAGES = 64 };

static void plant(struct forest *forest)
{
    static const uint32_t dims[] = { 2, 16, 34, 64, 128, 12 };
    static const uint32_t sizes[] = { 1, 2, 7, 31, 32, 33, 65, 130 };
    forest->heads.dim = dims[se_rng_below(&rng, 6)];
    forest->heads.kv_heads = forest->heads.heads = 1 + se_rng_below(&rng, 3);
    forest->layers = 1 + se_rng_below(&rng, 3);
    assert_int_equal(se_kv_new(&forest->kv, N_PAGES), 0);
    for (uint32_t n = 1 + se_rng_below(&rng, 5); n > 0; n--)
        add_part(forest, sizes[se_rng_below(&rng, 8)],
                 se_rng_below(&rng, 4) ? SE_GPU_VERDICT : SE_GPU_TOPK);
    fill_pages(forest);
    forest->batch.number = 1 + se_rng_u32(&rng);
}

/* ---- what the CPU does */

static void move_slot(const struct se_gpu_heads &heads, uint16_t *layer,
                      const struct se_kv_move &move)
{
    size_t slot = heads.dim, plane = SE_GPU_PAGE_SLOTS * slot, page = 2 * plane * heads.kv_heads;
    for (uint32_t i = 0; i < 2 * heads.kv_heads; i++)
        memcpy(layer + move.to_page * page + i * plane + move.to_slot * slot,
               layer + move.from_page * page + i * plane + move.from_slot * slot,
               slot * sizeof *layer);
}

struct verdict {
    std::vector<uint32_t> path;
    uint32_t bonus;
};

static struct verdict walk_by_cpu(const struct forest &forest, uint32_t part)
{
    const struct se_gpu_part &at = forest.batch.part[part];
    struct verdict verdict = { std::vector<uint32_t>(at.n_rows), 0 };
    std::vector<uint32_t> token;
    for (uint32_t i = 0; i < at.n_rows; i++)
        token.push_back(forest.batch.row[at.first_row + i].token);
    uint32_t n =
        se_accept_walk(forest.parent[part].data(), token.data(), &forest.sampled[at.first_row],
                       at.n_rows, verdict.path.data(), &verdict.bonus);
    verdict.path.resize(n);
    return verdict;
}

static void commit_by_cpu(struct forest *forest, uint32_t part, const struct verdict &verdict)
{
    std::vector<struct se_kv_move> moves(verdict.path.size());
    uint32_t n_moves;
    assert_int_equal(se_seq_commit(forest->seq[part], verdict.path.data(),
                                   (uint32_t)verdict.path.size(), NULL, 0, moves.data(), &n_moves),
                     0);
    for (uint32_t i = 0; i < n_moves; i++)
        for (uint32_t layer = 0; layer < forest->layers; layer++)
            move_slot(forest->heads, forest->pages.data() + layer * layer_size(*forest), moves[i]);
}

/* ---- steps */

struct after {
    struct answers out, seen;
    std::vector<uint16_t> pages;
};

static struct after run(const struct forest &forest, uint32_t fault)
{
    uint32_t rows = (uint32_t)forest.batch.row.size(), bucket = rows + se_rng_below(&rng, 3);
    struct answers before(bucket);
    before.fault = fault;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t want = forest.batch.part[forest.batch.row[i].part].want;
        if (want == SE_GPU_VERDICT)
            before.sampled[i] = forest.sampled[i];
    }
    const struct batch_there in(forest.batch);
    const struct answers_there out(before), seen{ answers(bucket) };
    const device_array<uint16_t> pages(forest.pages);
    device_order(se_rng_below(&rng, 4));
    se_gpu_accept(device_stream(), in.at(), bucket, &forest.heads, (unsigned char *)pages.at,
                  layer_size(forest) * 2, forest.layers, out.at());
    device_wait();
    assert_true(seen.read().done == UINT64_MAX);
    se_gpu_publish(device_stream(), in.at(), out.at(), seen.at());
    device_wait();
    struct after after = { out.read(), seen.read(), pages.read() };
    assert_true(after.seen.done == forest.batch.number);
    assert_int_equal(after.out.fault, 0);
    return after;
}

static void compare_part(struct forest *forest, uint32_t part, const struct answers &seen)
{
    const struct se_gpu_part &at = forest->batch.part[part];
    if (at.want != SE_GPU_VERDICT) {
        assert_int_equal(seen.n_path[part], UINT32_MAX);
        assert_int_equal(seen.sampled[at.first_row], UINT32_MAX);
        assert_int_equal(seen.path[at.first_row], UINT32_MAX);
        return;
    }
    const struct verdict want = walk_by_cpu(*forest, part);
    assert_int_equal(seen.n_path[part], want.path.size());
    assert_int_equal(seen.bonus[part], want.bonus);
    for (uint32_t i = 0; i < at.n_rows; i++) {
        uint32_t row = at.first_row + i, n_path = (uint32_t)want.path.size();
        assert_int_equal(seen.sampled[row], forest->sampled[row]);
        assert_int_equal(seen.path[row], i < n_path ? want.path[i] : UINT32_MAX);
    }
    commit_by_cpu(forest, part, want);
}

/* Returns the longest path. */
static uint32_t compare(struct forest *forest, const struct after &after)
{
    uint32_t deepest = 0;
    for (uint32_t part = 0; part < forest->batch.part.size(); part++) {
        compare_part(forest, part, after.seen);
        if (forest->batch.part[part].want == SE_GPU_VERDICT && after.seen.n_path[part] > deepest)
            deepest = after.seen.n_path[part];
    }
    assert_int_equal(after.seen.fault, 0);
    assert_memory_equal(after.pages.data(), forest->pages.data(), forest->pages.size() * 2);
    return deepest;
}

static void walks_and_moves_match(void)
{
    size_t n_moved = 0, deepest = 0;
    for (unsigned again = 0; again < 120; again++) {
        struct forest forest = {};
        plant(&forest);
        const std::vector<uint16_t> before = forest.pages;
        const uint32_t deep = compare(&forest, run(forest, 0));
        deepest = deep > deepest ? deep : deepest;
        n_moved += before != forest.pages;
    }
    printf("%zu of 120 steps moved something; the longest path has %zu nodes\n", n_moved, deepest);
    assert_true(n_moved > 10 && deepest > 8);
}

/* As large as they come: layers, heads, rows of a step. */
static void a_step_of_a_large_model_matches(void)
{
    struct forest forest = {};
    forest.heads = { 40, 8, 128, 1, 0 };
    forest.layers = 40;
    assert_int_equal(se_kv_new(&forest.kv, N_PAGES), 0);
    for (uint32_t n = 0; n < 8; n++)
        add_part(&forest, 33, SE_GPU_VERDICT);
    fill_pages(&forest);
    compare(&forest, run(forest, 0));
}

/* Every node but the root has a sibling that nobody wants, so that all of a long path moves, each
 * slot onto one that an earlier move has read. */
static void long_paths_move(void)
{
    for (uint32_t n = 3; n < 100; n += 2) {
        struct forest forest = {};
        forest.heads = { 2, 2, 16, 1, 0 };
        forest.layers = 2;
        assert_int_equal(se_kv_new(&forest.kv, N_PAGES), 0);
        add_part(&forest, n, SE_GPU_VERDICT);
        se_seq_drop(forest.seq[0], 0);
        std::vector<uint32_t> token;
        for (uint32_t i = 0; i < n; i++) {
            int32_t parent = i == 0 ? -1 : i < 3 ? 0 : (int32_t)((i - 1) / 2 * 2);
            forest.batch.row[i].parent = forest.parent[0][i] = parent;
            forest.batch.row[i].token = 10 + i % 2;
            forest.sampled[i] = 10; /* the second of two, which has an even number */
            token.push_back(10 + i % 2);
        }
        assert_int_equal(se_seq_add(forest.seq[0], token.data(), forest.parent[0].data(), n), 0);
        fill_pages(&forest);
        const struct after after = run(forest, 0);
        assert_int_equal(after.seen.n_path[0], (n + 1) / 2);
        compare(&forest, after);
    }
}

/* Nothing is walked, moved or handed out, and the next step begins without it. */
static void faults_stop_all(void)
{
    struct forest forest = {};
    plant(&forest);
    const struct after after = run(forest, ~6u);
    assert_int_equal(after.seen.fault, 7);
    assert_memory_equal(after.pages.data(), forest.pages.data(), forest.pages.size() * 2);
    for (uint32_t i = 0; i < forest.batch.row.size(); i++) {
        assert_int_equal(after.seen.sampled[i], UINT32_MAX);
        assert_int_equal(after.out.path[i], UINT32_MAX);
    }
}

/* k of a row, and no more. */
static void rankings_are_handed_out(void)
{
    enum { PARTS = 5 };
    struct batch batch;
    for (uint32_t p = 0; p < PARTS; p++) {
        struct se_gpu_part part = {};
        part.first_row = (uint32_t)batch.row.size();
        part.n_rows = 1 + 17 * p;
        part.want = p == 2 ? SE_GPU_NOTHING : SE_GPU_TOPK;
        part.k = 1 + 15 * p + p / 2;
        batch.part.push_back(part);
        for (uint32_t i = 0; i < part.n_rows; i++) {
            struct se_gpu_row row = {};
            row.part = p;
            batch.row.push_back(row);
        }
    }
    uint32_t rows = (uint32_t)batch.row.size();
    struct answers found(rows);
    for (uint32_t i = 0; i < rows * SE_GPU_TOPK_MAX; i++) {
        found.topk_id[i] = i;
        found.topk_logprob[i] = (float)i;
    }
    const struct batch_there in(batch);
    const struct answers_there out(found), there{ answers(rows) };
    se_gpu_publish(device_stream(), in.at(), out.at(), there.at());
    device_wait();
    const struct answers seen = there.read();
    for (uint32_t i = 0; i < rows * SE_GPU_TOPK_MAX; i++) {
        const struct se_gpu_part &part = batch.part[batch.row[i / SE_GPU_TOPK_MAX].part];
        bool handed = part.want == SE_GPU_TOPK && i % SE_GPU_TOPK_MAX < part.k;
        assert_int_equal(seen.topk_id[i], handed ? i : UINT32_MAX);
        assert_true(handed ? seen.topk_logprob[i] == (float)i
                           : seen.topk_logprob[i] != seen.topk_logprob[i]);
    }
}

const struct trial list[] = {
    TRIAL(walks_and_moves_match),
    TRIAL(long_paths_move),
    TRIAL(faults_stop_all),
    TRIAL(rankings_are_handed_out),
    TRIAL_LARGE(a_step_of_a_large_model_matches),
};

} // namespace

const struct trials check_cuda_accept = TRIALS(rng, list);
