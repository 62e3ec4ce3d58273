/* SPDX-License-Identifier: Apache-2.0 */
/* Embedding, norm, rotation and gated unit against the C reference; sums and logits of ranks. */
#include <math.h>
#include <stdio.h>
#include <string.h>

extern "C" {
#include "kernels/float16.h"
#include "kernels/glu.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "tests/kernels/check.h"
}

#include "kernels/cuda/kernels.h"
#include "tests/gpu/batch.h"
#include "tests/gpu/trial.h"

namespace
{

struct se_rng rng;

enum { BUCKET = 8, LARGE_BUCKET = 264 };

static float normal(void) { return (float)se_rng_normal(&rng); }

static std::vector<float> normals(size_t n, float times)
{
    std::vector<float> x(n);
    for (float &value : x)
        value = normal() * times;
    return x;
}

/* Rows of one part, one of them wanted in two. */
static struct batch rows_of(uint32_t n_rows)
{
    struct batch batch;
    batch.part.push_back({});
    batch.part[0].n_rows = n_rows;
    for (uint32_t i = 0; i < n_rows; i++) {
        batch.row.push_back({});
        if (se_rng_below(&rng, 2))
            batch.wanted.push_back(i);
    }
    return batch;
}

static std::vector<float> widened(const uint16_t *bits, size_t n)
{
    std::vector<float> x(n);
    for (size_t i = 0; i < n; i++)
        x[i] = se_bf16_to_f32(bits[i]);
    return x;
}

static const uint32_t sizes[] = { 1, 2, 3, 5, 64, 130, 576, 1023, 1024, 2049, 5120 };
static const size_t n_sizes = sizeof sizes / sizeof *sizes;

static void check_embed_case(uint32_t vocab, uint32_t n, uint32_t bucket)
{
    uint32_t n_rows = 1 + se_rng_below(&rng, bucket);
    std::vector<uint16_t> table((size_t)vocab * n);
    for (uint16_t &bits : table)
        bits = (uint16_t)se_rng_u32(&rng);
    struct batch batch = rows_of(n_rows);
    for (struct se_gpu_row &row : batch.row)
        row.token = se_rng_below(&rng, 4) ? se_rng_below(&rng, vocab) : vocab - 1;
    const struct batch_there in(batch);
    const device_array<uint16_t> there(table);
    const device_array<float> x((size_t)bucket * n);
    device_order(n_rows);
    se_gpu_embed(device_stream(), in.at(), bucket, there.at, n, x.at);
    device_wait();
    const std::vector<float> got = x.read();
    for (uint32_t i = 0; i < n_rows; i++) {
        std::vector<float> want = widened(table.data() + (size_t)batch.row[i].token * n, n);
        assert_true(check_same_bits(got.data() + (size_t)i * n, want.data(), n));
    }
    assert_true(is_poison(got, (size_t)n_rows * n));
}

static void embedding_is_looked_up(void)
{
    for (uint32_t n : sizes)
        check_embed_case(50, n, BUCKET);
}

/* ---- norm */

struct normed {
    std::vector<uint16_t> out;
    std::vector<float> plain;
};

static struct normed run_norm(const struct batch &batch, const std::vector<float> &x,
                              const std::vector<float> &weight, uint32_t n, uint32_t bucket,
                              bool wanted)
{
    const size_t n_out = (wanted ? batch.wanted.size() : batch.row.size()) * n;
    const struct batch_there in(batch);
    const device_array<float> from(x), by(weight), plain((size_t)bucket * n);
    const device_array<uint16_t> to((size_t)bucket * n);
    if (wanted)
        se_gpu_norm_wanted(device_stream(), in.at(), bucket, from.at, by.at, 1e-6f, n, to.at,
                           plain.at);
    else
        se_gpu_norm(device_stream(), in.at(), bucket, from.at, by.at, 1e-6f, n, to.at);
    device_wait();
    struct normed normed = { to.read(), plain.read() };
    assert_true(is_poison(normed.out, n_out));
    assert_true(is_poison(normed.plain, wanted ? n_out : 0));
    return normed;
}

static void check_norm_case(uint32_t n, float times, uint32_t bucket)
{
    uint32_t n_rows = 1 + se_rng_below(&rng, bucket);
    struct batch batch = rows_of(n_rows), alone = rows_of(1);
    alone.wanted = { 0 };
    std::vector<float> x = normals((size_t)n_rows * n, times), weight = normals(n, 1), want(n);
    for (float &value : x)
        value *= se_rng_below(&rng, 100) ? 1.0f : 300.0f; /* as some channels are */
    struct normed all = run_norm(batch, x, weight, n, bucket, false);
    struct normed wanted = run_norm(batch, x, weight, n, bucket, true);
    size_t at = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        const float *first = x.data() + (size_t)i * n;
        std::vector<float> own(first, first + n);
        se_norm_table[se_norm_table_n - 1].run(own.data(), weight.data(), 1e-6f, n, want.data());
        std::vector<float> got = widened(all.out.data() + (size_t)i * n, n);
        assert_true(check_close(got.data(), want.data(), n, 0x1.01p-8, 1e-38));
        struct normed single = run_norm(alone, own, weight, n, BUCKET, true);
        assert_memory_equal(single.out.data(), all.out.data() + (size_t)i * n, n * 2);
        if (at == batch.wanted.size() || batch.wanted[at] != i)
            continue;
        assert_true(check_close(wanted.plain.data() + at * n, want.data(), n, 2e-6, 1e-44));
        assert_true(check_same_bits(wanted.plain.data() + at * n, single.plain.data(), n));
        assert_memory_equal(wanted.out.data() + at * n, single.out.data(), n * 2);
        at++;
    }
}

static void norm_matches(void)
{
    static const float times[] = { 1, 1e6f, 1e-20f, 0 };
    for (size_t s = 0; s < n_sizes; s++) {
        for (size_t t = 0; t < 4; t++) {
            device_order((unsigned)(s + t));
            check_norm_case(sizes[s], times[t], BUCKET);
        }
    }
}

/* ---- rotation */

enum { CONTEXT = 40 };

/* Parts with rows in pages of their own. */
struct turned_shape {
    uint32_t parts, rows; /* most rows of a part */
    uint32_t pages_each, pages;
};
static const struct turned_shape small_step = { 2, BUCKET / 2, 2, 7 };
static const struct turned_shape large_step = { 8, LARGE_BUCKET / 8, 5, 50 };

struct turned {
    std::vector<uint16_t> q, pages;
};

struct turning {
    struct se_gpu_heads heads;
    std::vector<float> norm_q, norm_k, cos, sin;
};

static size_t row_floats(const struct se_gpu_heads &heads)
{
    return (size_t)(heads.heads + 2 * heads.kv_heads) * heads.dim;
}

static struct turned run_rope(const struct batch &batch, const struct turning &turning,
                              const struct turned_shape &shape, const std::vector<float> &qkv)
{
    const struct se_gpu_heads &heads = turning.heads;
    const uint32_t bucket = shape.parts * shape.rows;
    const size_t row_q = (size_t)heads.heads * heads.dim;
    const struct batch_there in(batch);
    const device_array<float> from(qkv), cos(turning.cos), sin(turning.sin);
    const device_array<float> norm_q(turning.norm_q), norm_k(turning.norm_k);
    const bool norms = norm_q.n > 0;
    const device_array<uint16_t> q(bucket * row_q);
    const device_array<uint16_t> pages((size_t)shape.pages * heads.kv_heads * 2 *
                                       SE_GPU_PAGE_SLOTS * heads.dim);
    se_gpu_rope(device_stream(), in.at(), bucket, &heads, from.at, norms ? norm_q.at : NULL,
                norms ? norm_k.at : NULL, 1e-6f, cos.at, sin.at, q.at, pages.at);
    device_wait();
    struct turned turned = { q.read(), pages.read() };
    assert_true(is_poison(turned.q, batch.row.size() * row_q));
    turned.q.resize(batch.row.size() * row_q);
    return turned;
}

/* Parts with pages of their own, in an order of their own. */
static struct batch turning_rows(const struct turned_shape &shape)
{
    struct batch batch;
    std::vector<uint32_t> page(shape.pages);
    for (uint32_t i = 0; i < shape.pages; i++)
        page[i] = i;
    for (uint32_t i = shape.pages; i > 1; i--)
        std::swap(page[i - 1], page[se_rng_below(&rng, i)]);
    batch.page.assign(page.begin(), page.begin() + shape.parts * shape.pages_each);
    batch.part.resize(shape.parts);
    for (uint32_t p = 0; p < shape.parts; p++) {
        struct se_gpu_part &part = batch.part[p];
        part.first_page = p * shape.pages_each;
        part.first_row = (uint32_t)batch.row.size();
        part.n_rows = 1 + se_rng_below(&rng, shape.rows);
        uint32_t slots = shape.pages_each * SE_GPU_PAGE_SLOTS;
        uint32_t slot = se_rng_below(&rng, slots - part.n_rows + 1);
        for (uint32_t i = 0; i < part.n_rows; i++) {
            struct se_gpu_row row = {};
            row.slot = slot + i;
            row.position = se_rng_below(&rng, CONTEXT);
            row.part = p;
            batch.row.push_back(row);
        }
    }
    return batch;
}

static uint16_t to_f16(float value)
{
    return se_f32_to_f16(value > 65504 ? 65504 : value < -65504 ? -65504 : value);
}

static void turn_row(const struct turning &turning, uint32_t position, float *row)
{
    const struct se_gpu_heads &heads = turning.heads;
    uint32_t dim = heads.dim, half = dim / 2, turned = heads.heads + heads.kv_heads;
    for (uint32_t head = 0; !turning.norm_q.empty() && head < turned; head++) {
        const float *weight = head < heads.heads ? turning.norm_q.data() : turning.norm_k.data();
        float *x = row + (size_t)head * dim;
        se_norm_table[se_norm_table_n - 1].run(x, weight, 1e-6f, dim, x);
    }
    se_rope_table[se_rope_table_n - 1].run(row, turned, dim,
                                           turning.cos.data() + (size_t)position * half,
                                           turning.sin.data() + (size_t)position * half);
}

/* The bits, or within what the other order of a norm's sum may do. */
static bool same_f16(const uint16_t *got, const float *want, size_t n, bool exactly)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t bits = to_f16(want[i]);
        double apart = fabs((double)se_f16_to_f32(got[i]) - (double)want[i]);
        if (exactly ? got[i] == bits : apart <= 0x1.01p-11 * fabs((double)want[i]) + 4e-6)
            continue;
        printf("element %zu of %zu: %#x instead of %#x\n", i, n, got[i], bits);
        return false;
    }
    return true;
}

static void compare_row(const struct batch &batch, uint32_t i, const struct turning &turning,
                        const float *want, struct turned *turned)
{
    const struct se_gpu_heads &heads = turning.heads;
    const struct se_gpu_row &row = batch.row[i];
    uint32_t dim = heads.dim, page = batch.page[batch.part[row.part].first_page + row.slot / 16];
    size_t row_q = (size_t)heads.heads * dim;
    bool exactly = turning.norm_q.empty();
    assert_true(same_f16(turned->q.data() + i * row_q, want, row_q, exactly));
    for (uint32_t head = 0; head < 2 * heads.kv_heads; head++) {
        uint32_t kv = head % heads.kv_heads, of = head / heads.kv_heads;
        size_t plane = ((size_t)page * heads.kv_heads + kv) * 2 + of;
        uint16_t *at = turned->pages.data() + (plane * 16 + row.slot % 16) * dim;
        assert_true(same_f16(at, want + row_q + (size_t)head * dim, dim, exactly || of == 1));
        memset(at, 0xff, dim * 2); /* what is left over at the end was not to be written */
    }
}

static void check_rope_case(uint32_t n_heads, uint32_t kv_heads, uint32_t dim, bool norms,
                            const struct turned_shape &shape)
{
    struct turning turning = { { n_heads, kv_heads, dim, 1, CONTEXT }, {}, {}, {}, {} };
    turning.cos = normals(CONTEXT * dim / 2, 1);
    turning.sin = normals(CONTEXT * dim / 2, 1);
    if (norms) {
        turning.norm_q = normals(dim, 1);
        turning.norm_k = normals(dim, 1);
    }
    struct batch batch = turning_rows(shape);
    size_t n = row_floats(turning.heads);
    std::vector<float> qkv = normals(batch.row.size() * n, norms ? 1.0f : 3.0f);
    for (float &value : qkv)
        value *= se_rng_below(&rng, 200) || norms ? 1.0f : 1e6f; /* beyond what f16 holds */
    struct turned turned = run_rope(batch, turning, shape, qkv);
    for (uint32_t i = 0; i < batch.row.size(); i++) {
        struct batch alone = batch;
        alone.row = { batch.row[i] };
        std::vector<float> own(qkv.begin() + (long)(i * n), qkv.begin() + (long)((i + 1) * n));
        struct turned single = run_rope(alone, turning, shape, own);
        assert_memory_equal(single.q.data(), turned.q.data() + i * single.q.size(),
                            single.q.size() * 2);
        turn_row(turning, batch.row[i].position, own.data());
        compare_row(batch, i, turning, own.data(), &turned);
    }
    assert_true(is_poison(turned.pages));
}

static void rotation_matches(void)
{
    static const uint32_t shapes[][3] = { { 1, 1, 2 },   { 4, 2, 16 },  { 6, 2, 34 }, { 8, 8, 64 },
                                          { 5, 1, 128 }, { 7, 7, 256 }, { 40, 8, 96 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (unsigned again = 0; again < 4; again++) {
            device_order(again);
            check_rope_case(shapes[s][0], shapes[s][1], shapes[s][2], again % 2, small_step);
        }
    }
}

/* ---- gated unit */

static std::vector<uint16_t> run_glu(const struct batch &batch, const std::vector<float> &gate_up,
                                     uint32_t n, uint32_t bucket)
{
    const struct batch_there in(batch);
    const device_array<float> from(gate_up);
    const device_array<uint16_t> to((size_t)bucket * n);
    se_gpu_glu(device_stream(), in.at(), bucket, from.at, n, to.at);
    device_wait();
    std::vector<uint16_t> out = to.read();
    assert_true(is_poison(out, batch.row.size() * n));
    return out;
}

static void check_glu_case(uint32_t n, float times, uint32_t bucket)
{
    uint32_t n_rows = 1 + se_rng_below(&rng, bucket);
    struct batch batch = rows_of(n_rows), alone = rows_of(1);
    std::vector<float> x = normals((size_t)n_rows * 2 * n, times), want(n);
    std::vector<uint16_t> all = run_glu(batch, x, n, bucket);
    for (uint32_t i = 0; i < n_rows; i++) {
        const float *own = x.data() + (size_t)i * 2 * n;
        se_glu_table[se_glu_table_n - 1].run(own, own + n, n, want.data());
        std::vector<float> got = widened(all.data() + (size_t)i * n, n);
        /* Below -88 the device's exp(-g) is infinite and the unit is 0. */
        assert_true(check_close(got.data(), want.data(), n, 0x1.01p-8, 1e-33));
        std::vector<uint16_t> single = run_glu(alone, { own, own + 2 * n }, n, BUCKET);
        assert_memory_equal(single.data(), all.data() + (size_t)i * n, n * 2);
    }
}

static void gated_unit_matches(void)
{
    static const float times[] = { 1, 10, 100 };
    for (size_t s = 0; s < n_sizes * 3; s++) {
        device_order((unsigned)s);
        check_glu_case(sizes[s / 3], times[s % 3], BUCKET);
    }
}

/* ---- what several ranks have computed */

static void check_sum_case(uint32_t n, uint32_t ranks, bool biased, uint32_t bucket)
{
    const uint32_t n_rows = 1 + se_rng_below(&rng, bucket);
    const struct batch_there in(rows_of(n_rows));
    const std::vector<float> part = normals((size_t)ranks * bucket * n, 10), bias = normals(n, 1);
    const std::vector<float> before = normals((size_t)bucket * n, 5);
    const device_array<float> parts(part), biases(bias), x(before);
    se_gpu_sum_ranks(device_stream(), in.at(), bucket, parts.at, ranks, biased ? biases.at : NULL,
                     n, x.at);
    device_wait();
    std::vector<float> want = before, got = x.read();
    for (size_t i = 0; i < (size_t)n_rows * n; i++) {
        float sum = part[i];
        for (uint32_t rank = 1; rank < ranks; rank++)
            sum += part[(size_t)rank * bucket * n + i];
        want[i] += biased ? sum + bias[i % n] : sum;
    }
    assert_true(check_same_bits(got.data(), want.data(), got.size())); /* rows beyond too */
}

static void sums_of_ranks_are_made_in_their_order(void)
{
    for (size_t s = 0; s < n_sizes; s++) {
        device_order((unsigned)s);
        check_sum_case(sizes[s], 1 + se_rng_below(&rng, 8), s % 2, BUCKET);
    }
}

/* The last ranks have fewer tokens, or none. */
static void check_join_case(uint32_t vocab, uint32_t tokens, uint32_t ranks, uint32_t bucket)
{
    const struct batch batch = rows_of(1 + se_rng_below(&rng, bucket));
    const size_t wanted = batch.wanted.size();
    const struct batch_there in(batch);
    const std::vector<float> part = normals((size_t)ranks * bucket * tokens, 1);
    const device_array<float> parts(part), logits((size_t)bucket * vocab);
    se_gpu_join_ranks(device_stream(), in.at(), bucket, parts.at, tokens, vocab, logits.at);
    device_wait();
    const std::vector<float> got = logits.read();
    for (uint32_t first = 0, rank = 0; first < vocab; first += tokens, rank++) {
        const uint32_t width = vocab - first < tokens ? vocab - first : tokens;
        const float *from = part.data() + (size_t)rank * bucket * tokens;
        for (size_t row = 0; row < wanted; row++)
            assert_true(
                check_same_bits(got.data() + row * vocab + first, from + row * width, width));
    }
    assert_true(is_poison(got, wanted * vocab));
}

static void logits_of_ranks_are_joined(void)
{
    device_order(1);
    check_join_case(64, 64, 2, BUCKET);
    check_join_case(130, 64, 4, BUCKET);
    check_join_case(1000, 320, 4, BUCKET);
    check_join_case(2048, 1024, 2, BUCKET);
}

static void rows_of_large_models_match(void)
{
    check_sum_case(5120, 8, false, LARGE_BUCKET);
    check_join_case(151936, 19008, 8, LARGE_BUCKET);
    check_embed_case(8000, 5120, LARGE_BUCKET);
    for (unsigned again = 0; again < 2; again++) {
        check_norm_case(5120, 1, LARGE_BUCKET);
        check_rope_case(40, 8, 128, again % 2, large_step);
        check_rope_case(64, 4, 128, again % 2, large_step);
        check_glu_case(17408, again ? 30.0f : 1.0f, LARGE_BUCKET);
    }
}

const struct trial list[] = {
    TRIAL(embedding_is_looked_up),
    TRIAL(norm_matches),
    TRIAL(rotation_matches),
    TRIAL(gated_unit_matches),
    TRIAL(sums_of_ranks_are_made_in_their_order),
    TRIAL(logits_of_ranks_are_joined),
    TRIAL_LARGE(rows_of_large_models_match),
};

} // namespace

const struct trials check_cuda_rows = TRIALS(rng, list);
