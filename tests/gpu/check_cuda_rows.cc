/* SPDX-License-Identifier: Apache-2.0 */
/* check_cuda_rows - embedding, norm, rotation and gated unit against the C reference.
 *
 *   check_cuda_rows       SE_TEST_SEED=N repeats a run */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

extern "C" {
#include <cmocka.h>

#include "kernels/float16.h"
#include "kernels/glu.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "tests/kernels/check.h"
}

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"
#include "tests/gpu/batch.h"

static struct se_rng rng;

enum { BUCKET = 8 };

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

/* Nothing was written there. */
static bool untouched(const void *from, size_t size_b)
{
    const unsigned char *bytes = (const unsigned char *)from;
    for (size_t i = 0; i < size_b; i++)
        if (bytes[i] != 0xff)
            return false;
    return true;
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

static void embedding_is_looked_up(void **state)
{
    enum { VOCAB = 50 };
    (void)state;
    for (size_t s = 0; s < n_sizes; s++) {
        uint32_t n = sizes[s], n_rows = 1 + se_rng_below(&rng, BUCKET);
        std::vector<uint16_t> table(VOCAB * n);
        for (uint16_t &bits : table)
            bits = (uint16_t)se_rng_u32(&rng);
        struct batch batch = rows_of(n_rows);
        for (struct se_gpu_row &row : batch.row)
            row.token = se_rng_below(&rng, 4) ? se_rng_below(&rng, VOCAB) : VOCAB - 1;
        struct se_gpu_input *in = batch_upload(batch);
        uint16_t *on_device = simt_copy(table.data(), table.size());
        float *x = simt_array<float>((size_t)BUCKET * n);
        simt_order((unsigned)s);
        se_gpu_embed(NULL, in, BUCKET, on_device, n, x);
        for (uint32_t i = 0; i < n_rows; i++) {
            std::vector<float> want = widened(table.data() + (size_t)batch.row[i].token * n, n);
            assert_true(check_same_bits(x + (size_t)i * n, want.data(), n));
        }
        assert_true(untouched(x + (size_t)n_rows * n, (size_t)(BUCKET - n_rows) * n * 4));
        simt_free(x);
        simt_free(on_device);
        batch_free(in);
    }
}

/* ---- norm */

struct normed {
    std::vector<uint16_t> out;
    std::vector<float> plain;
};

static struct normed run_norm(const struct batch &batch, const std::vector<float> &x,
                              const std::vector<float> &weight, uint32_t n, bool wanted)
{
    uint32_t n_out = (uint32_t)(wanted ? batch.wanted.size() : batch.row.size());
    struct se_gpu_input *in = batch_upload(batch);
    float *from = simt_copy(x.data(), x.size()), *by = simt_copy(weight.data(), weight.size());
    uint16_t *to = simt_array<uint16_t>((size_t)BUCKET * n);
    float *plain = simt_array<float>((size_t)BUCKET * n);
    if (wanted)
        se_gpu_norm_wanted(NULL, in, BUCKET, from, by, 1e-6f, n, to, plain);
    else
        se_gpu_norm(NULL, in, BUCKET, from, by, 1e-6f, n, to);
    struct normed normed;
    normed.out.assign(to, to + (size_t)n_out * n);
    normed.plain.assign(plain, plain + (size_t)n_out * n);
    assert_true(untouched(to + (size_t)n_out * n, (size_t)(BUCKET - n_out) * n * 2));
    assert_true(untouched(plain + (wanted ? (size_t)n_out * n : 0),
                          (size_t)(BUCKET - (wanted ? n_out : 0)) * n * 4));
    simt_free(from);
    simt_free(by);
    simt_free(to);
    simt_free(plain);
    batch_free(in);
    return normed;
}

static void check_norm_case(uint32_t n, float times)
{
    uint32_t n_rows = 1 + se_rng_below(&rng, BUCKET);
    struct batch batch = rows_of(n_rows), alone = rows_of(1);
    alone.wanted = { 0 };
    std::vector<float> x = normals((size_t)n_rows * n, times), weight = normals(n, 1), want(n);
    for (float &value : x)
        value *= se_rng_below(&rng, 100) ? 1.0f : 300.0f; /* as some channels are */
    struct normed all = run_norm(batch, x, weight, n, false);
    struct normed wanted = run_norm(batch, x, weight, n, true);
    size_t at = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        std::vector<float> own(x.begin() + (long)(i * n), x.begin() + (long)((i + 1) * n));
        se_norm_table[se_norm_table_n - 1].run(own.data(), weight.data(), 1e-6f, n, want.data());
        std::vector<float> got = widened(all.out.data() + (size_t)i * n, n);
        assert_true(check_close(got.data(), want.data(), n, 0x1.01p-8, 1e-38));
        struct normed single = run_norm(alone, own, weight, n, true);
        assert_memory_equal(single.out.data(), all.out.data() + (size_t)i * n, n * 2);
        if (at == batch.wanted.size() || batch.wanted[at] != i)
            continue;
        assert_true(check_close(wanted.plain.data() + at * n, want.data(), n, 2e-6, 1e-44));
        assert_true(check_same_bits(wanted.plain.data() + at * n, single.plain.data(), n));
        assert_memory_equal(wanted.out.data() + at * n, single.out.data(), n * 2);
        at++;
    }
}

static void norm_matches(void **state)
{
    static const float times[] = { 1, 1e6f, 1e-20f, 0 };
    (void)state;
    for (size_t s = 0; s < n_sizes; s++) {
        for (size_t t = 0; t < 4; t++) {
            simt_order((unsigned)(s + t));
            check_norm_case(sizes[s], times[t]);
        }
    }
}

/* ---- rotation */

enum { PAGES = 7, CONTEXT = 40 };

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

static size_t pages_size(const struct se_gpu_heads &heads)
{
    return (size_t)PAGES * heads.kv_heads * 2 * SE_GPU_PAGE_SLOTS * heads.dim;
}

static struct turned run_rope(const struct batch &batch, const struct turning &turning,
                              const std::vector<float> &qkv)
{
    const struct se_gpu_heads &heads = turning.heads;
    size_t row_q = (size_t)heads.heads * heads.dim, n = batch.row.size();
    struct se_gpu_input *in = batch_upload(batch);
    float *from = simt_copy(qkv.data(), qkv.size());
    float *cos = simt_copy(turning.cos.data(), turning.cos.size());
    float *sin = simt_copy(turning.sin.data(), turning.sin.size());
    float *norm_q = NULL, *norm_k = NULL;
    if (!turning.norm_q.empty()) {
        norm_q = simt_copy(turning.norm_q.data(), turning.norm_q.size());
        norm_k = simt_copy(turning.norm_k.data(), turning.norm_k.size());
    }
    uint16_t *q = simt_array<uint16_t>(BUCKET * row_q);
    uint16_t *pages = simt_array<uint16_t>(pages_size(heads));
    se_gpu_rope(NULL, in, BUCKET, &heads, from, norm_q, norm_k, 1e-6f, cos, sin, q, pages);
    assert_true(untouched(q + n * row_q, (BUCKET - n) * row_q * 2));
    struct turned turned;
    turned.q.assign(q, q + n * row_q);
    turned.pages.assign(pages, pages + pages_size(heads));
    void *const blocks[] = { from, cos, sin, norm_q, norm_k, q, pages };
    for (void *block : blocks)
        simt_free(block);
    batch_free(in);
    return turned;
}

/* Two parts with pages of their own, in an order of their own. */
static struct batch turning_rows(void)
{
    struct batch batch;
    batch.page = { 5, 0, 3, 6, 1 };
    batch.part.resize(2);
    batch.part[1].first_page = 2;
    for (uint32_t p = 0; p < 2; p++) {
        struct se_gpu_part &part = batch.part[p];
        part.first_row = (uint32_t)batch.row.size();
        part.n_rows = 1 + se_rng_below(&rng, BUCKET / 2);
        uint32_t slot = se_rng_below(&rng, 32 - part.n_rows + 1);
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

static void check_rope_case(uint32_t n_heads, uint32_t kv_heads, uint32_t dim, bool norms)
{
    struct turning turning = { { n_heads, kv_heads, dim, 1, CONTEXT }, {}, {}, {}, {} };
    turning.cos = normals(CONTEXT * dim / 2, 1);
    turning.sin = normals(CONTEXT * dim / 2, 1);
    if (norms) {
        turning.norm_q = normals(dim, 1);
        turning.norm_k = normals(dim, 1);
    }
    struct batch batch = turning_rows();
    size_t n = row_floats(turning.heads);
    std::vector<float> qkv = normals(batch.row.size() * n, norms ? 1.0f : 3.0f);
    for (float &value : qkv)
        value *= se_rng_below(&rng, 200) || norms ? 1.0f : 1e6f; /* beyond what f16 holds */
    struct turned turned = run_rope(batch, turning, qkv);
    for (uint32_t i = 0; i < batch.row.size(); i++) {
        struct batch alone = batch;
        alone.row = { batch.row[i] };
        std::vector<float> own(qkv.begin() + (long)(i * n), qkv.begin() + (long)((i + 1) * n));
        struct turned single = run_rope(alone, turning, own);
        assert_memory_equal(single.q.data(), turned.q.data() + i * single.q.size(),
                            single.q.size() * 2);
        turn_row(turning, batch.row[i].position, own.data());
        compare_row(batch, i, turning, own.data(), &turned);
    }
    assert_true(untouched(turned.pages.data(), turned.pages.size() * 2));
}

static void rotation_matches(void **state)
{
    static const uint32_t shapes[][3] = { { 1, 1, 2 },   { 4, 2, 16 },  { 6, 2, 34 }, { 8, 8, 64 },
                                          { 5, 1, 128 }, { 7, 7, 256 }, { 40, 8, 96 } };
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (unsigned again = 0; again < 4; again++) {
            simt_order(again);
            check_rope_case(shapes[s][0], shapes[s][1], shapes[s][2], again % 2);
        }
    }
}

/* ---- gated unit */

static std::vector<uint16_t> run_glu(const struct batch &batch, const std::vector<float> &gate_up,
                                     uint32_t n)
{
    struct se_gpu_input *in = batch_upload(batch);
    size_t n_rows = batch.row.size();
    float *from = simt_copy(gate_up.data(), gate_up.size());
    uint16_t *to = simt_array<uint16_t>((size_t)BUCKET * n);
    se_gpu_glu(NULL, in, BUCKET, from, n, to);
    assert_true(untouched(to + n_rows * n, (BUCKET - n_rows) * n * 2));
    std::vector<uint16_t> out(to, to + n_rows * n);
    simt_free(from);
    simt_free(to);
    batch_free(in);
    return out;
}

static void gated_unit_matches(void **state)
{
    static const float times[] = { 1, 10, 100 };
    (void)state;
    for (size_t s = 0; s < n_sizes * 3; s++) {
        uint32_t n = sizes[s / 3], n_rows = 1 + se_rng_below(&rng, BUCKET);
        struct batch batch = rows_of(n_rows), alone = rows_of(1);
        std::vector<float> x = normals((size_t)n_rows * 2 * n, times[s % 3]), want(n);
        simt_order((unsigned)s);
        std::vector<uint16_t> all = run_glu(batch, x, n);
        for (uint32_t i = 0; i < n_rows; i++) {
            const float *own = x.data() + (size_t)i * 2 * n;
            se_glu_table[se_glu_table_n - 1].run(own, own + n, n, want.data());
            std::vector<float> got = widened(all.data() + (size_t)i * n, n);
            /* Below -88 the device's exp(-g) is infinite and the unit is 0. */
            assert_true(check_close(got.data(), want.data(), n, 0x1.01p-8, 1e-33));
            std::vector<uint16_t> single = run_glu(alone, { own, own + 2 * n }, n);
            assert_memory_equal(single.data(), all.data() + (size_t)i * n, n * 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedding_is_looked_up),
        cmocka_unit_test(norm_matches),
        cmocka_unit_test(rotation_matches),
        cmocka_unit_test(gated_unit_matches),
    };
    check_begin(&rng);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    simt_memory_check();
    return failed ? 1 : 0;
}
