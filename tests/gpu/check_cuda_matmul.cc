/* SPDX-License-Identifier: Apache-2.0 */
/* Products against the C reference, and the bits of a row alone against its bits in any batch,
 * place and tile. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <vector>

extern "C" {
#include "kernels/float16.h"
#include "kernels/matmul.h"
#include "tests/kernels/check.h"
}

#include "kernels/cuda/kernels.h"
#include "tests/gpu/array.h"
#include "tests/gpu/trial.h"

namespace
{

struct se_rng rng;

static uint16_t draw(void) { return se_f32_to_bf16((float)se_rng_normal(&rng)); }

/* Of many, two are picked at a time out of a few that are normal. */
static std::vector<uint16_t> draw_weights(size_t n)
{
    enum { FEW = 1 << 16 };
    std::vector<uint16_t> drawn(std::min(n, (size_t)FEW)), weights(n);
    for (uint16_t &weight : drawn)
        weight = draw();
    if (n <= FEW)
        return drawn;
    for (size_t i = 0; i < n; i += 2) {
        const uint32_t which = se_rng_u32(&rng);
        weights[i] = drawn[which % FEW];
        if (i + 1 < n)
            weights[i + 1] = drawn[which / FEW];
    }
    return weights;
}

/* What packing writes, into memory that is guarded at both ends. */
template <typename Pack>
static std::vector<unsigned char> packed_by(size_t size_b, Pack pack)
{
    struct check_area area;
    unsigned char *at = (unsigned char *)check_area_init(&area, size_b);
    assert_int_equal(size_b % 16, 0);
    pack(at);
    std::vector<unsigned char> packed(at, at + size_b);
    assert_true(check_area_fini(&area));
    return packed;
}

/* Packs the weights to 8 bits, and puts in their place what they then stand for. */
static std::vector<unsigned char> pack_q8(uint32_t n_out, uint32_t n_in,
                                          std::vector<uint16_t> *bf16)
{
    struct se_matrix from = { SE_DTYPE_BF16, n_out, n_in, bf16->data(), NULL };
    size_t scale_at_b, size_b = se_matrix_q8_size(n_out, n_in, &scale_at_b);
    unsigned char *block = (unsigned char *)aligned_alloc(64, (size_b + 63) / 64 * 64);
    const uint16_t *scale = (const uint16_t *)(block + scale_at_b);
    assert_int_equal(se_matrix_pack_q8(&from, block, 0, n_out), 0);
    std::vector<unsigned char> packed =
        packed_by(se_gpu_matrix_q8_size(n_out, n_in),
                  [&](void *to) { se_gpu_matrix_q8_pack(block, scale, n_out, n_in, to); });
    for (uint32_t out = 0; out < n_out; out++) {
        const size_t first = out / 64 * 64, spans = (n_in + 31) / 32;
        const size_t width = std::min((size_t)64, (n_out - first + 15) / 16 * 16);
        for (uint32_t at = 0; at < n_in; at++) {
            int q = block[first * spans * 32 + (at / 4 * width + out % 64) * 4 + at % 4];
            float by = se_f16_to_f32(scale[first * spans + at / 32 * width + out % 64]);
            (*bf16)[(size_t)out * n_in + at] = se_f32_to_bf16((float)(q - 128) * by);
        }
    }
    free(block);
    return packed;
}

static std::vector<unsigned char> pack(enum se_gpu_store store, uint32_t n_out, uint32_t n_in,
                                       std::vector<uint16_t> *bf16)
{
    if (store == SE_GPU_Q8)
        return pack_q8(n_out, n_in, bf16);
    return packed_by(se_gpu_matrix_size(n_out, n_in),
                     [&](void *to) { se_gpu_matrix_pack(bf16->data(), n_out, n_in, to); });
}

static std::vector<float> normals(size_t n)
{
    std::vector<float> values(n);
    for (float &value : values)
        value = (float)se_rng_normal(&rng);
    return values;
}

struct matrix {
    enum se_gpu_store store;
    uint32_t n_out, n_in;
    std::vector<uint16_t> bf16;
    std::vector<unsigned char> packed;
    std::vector<float> bias;
    device_array<unsigned char> packed_there;
    device_array<float> bias_there;

    matrix(enum se_gpu_store as, uint32_t outs, uint32_t ins)
        : store(as), n_out(outs), n_in(ins), bf16(draw_weights((size_t)outs * ins)),
          packed(pack(as, outs, ins, &bf16)), bias(normals(outs)), packed_there(packed),
          bias_there(bias)
    {
    }
};

/* Rows of inputs and of what y has before the product. */
struct rows {
    uint32_t n;
    std::vector<uint16_t> x;
    std::vector<float> y;
};

static struct rows draw_rows(const struct matrix *m, uint32_t n)
{
    struct rows rows = { n, {}, normals((size_t)n * m->n_out) };
    for (size_t i = 0; i < (size_t)n * m->n_in; i++)
        rows.x.push_back(draw());
    return rows;
}

enum ending { PLAIN, BIAS, ADDS, BOTH, ENDINGS };

/* The rows named by `order`, in that order, of rows of n values. */
template <typename T>
static std::vector<T> picked(const std::vector<T> &from, const std::vector<uint32_t> &order,
                             size_t n)
{
    std::vector<T> to;
    for (uint32_t row : order)
        to.insert(to.end(), from.begin() + (long)(row * n), from.begin() + (long)((row + 1) * n));
    return to;
}

/* These rows as a batch of this bucket. */
static std::vector<float> run(const struct matrix *m, const struct rows *rows,
                              const std::vector<uint32_t> &order, uint32_t bucket,
                              enum ending ending, enum se_gpu_rows which)
{
    const uint32_t n = (uint32_t)order.size();
    const size_t n_used = (size_t)n * m->n_out;
    assert_true(n <= bucket);
    std::vector<struct se_gpu_input> input(1);
    input[0].n_rows = which == SE_GPU_ALL_ROWS ? n : n + 3;
    input[0].n_wanted = which == SE_GPU_ALL_ROWS ? n + 3 : n;
    const device_array<struct se_gpu_input> in(input);
    const device_array<uint16_t> x(picked(rows->x, order, m->n_in));
    const device_array<float> work(se_gpu_matmul_work(m->n_out, m->n_in, bucket));
    const device_array<uint32_t> arrived{ std::vector<uint32_t>(SE_GPU_ARRIVALS) };
    device_array<float> y((size_t)bucket * m->n_out);
    struct se_gpu_product product = {};
    product.matrix = m->packed_there.at;
    product.store = m->store;
    product.n_out = m->n_out;
    product.n_in = m->n_in;
    product.bias = ending == BIAS || ending == BOTH ? m->bias_there.at : NULL;
    product.x = x.at;
    product.y = y.at;
    product.adds = ending == ADDS || ending == BOTH;
    product.rows = which;
    product.arrived = se_rng_below(&rng, 2) ? arrived.at : NULL; /* or another kernel adds */
    if (product.adds)
        y.write(0, picked(rows->y, order, m->n_out).data(), n_used);
    device_order((unsigned)se_rng_below(&rng, 4));
    se_gpu_matmul(device_stream(), in.at, bucket, &product, work.at);
    device_wait();
    for (uint32_t count : arrived.read())
        assert_int_equal(count, 0);
    std::vector<float> result = y.read();
    assert_true(is_poison(result, n_used));
    result.resize(n_used);
    return result;
}

static const struct se_matmul_impl *reference(void)
{
    const struct se_matmul_impl *impl = se_matmul_table;
    while (impl->dtype != SE_DTYPE_BF16 || impl->cpu)
        impl++;
    return impl;
}

static std::vector<float> product_of(const uint16_t *weights, uint32_t n_out, uint32_t n_in,
                                     const std::vector<uint16_t> &x, uint32_t n)
{
    struct se_matrix matrix = { SE_DTYPE_BF16, n_out, n_in, weights, NULL };
    std::vector<float> wide, y((size_t)n * n_out);
    std::vector<char> ready(se_matmul_rows_size(SE_DTYPE_BF16, n, n_in));
    for (uint16_t value : x)
        wide.push_back(se_bf16_to_f32(value));
    reference()->prepare(wide.data(), n_in, n, n_in, ready.data(), 0, n);
    reference()->run(&matrix, ready.data(), n, y.data(), n_out, 0, n_out);
    return y;
}

static std::vector<uint16_t> sizes_of(std::vector<uint16_t> values)
{
    for (uint16_t &value : values)
        value &= 0x7fff;
    return values;
}

/* How far a sum may be off depends on the sizes of what is summed. Tensor cores may cut off what
 * does not fit into a sum, so that in long ones errors are all to one side. */
static void check_some(const struct matrix *m, const struct rows *rows, enum ending ending,
                       const std::vector<float> &got, uint32_t first, uint32_t n_out)
{
    const double share = m->n_in > 4096 ? 1e-5 : 3e-6;
    const uint16_t *at = &m->bf16[(size_t)first * m->n_in];
    const std::vector<uint16_t> weights(at, at + (size_t)n_out * m->n_in);
    std::vector<float> want = product_of(at, n_out, m->n_in, rows->x, rows->n);
    std::vector<float> size =
        product_of(sizes_of(weights).data(), n_out, m->n_in, sizes_of(rows->x), rows->n);
    for (size_t i = 0; i < want.size(); i++) {
        const size_t row = i / n_out, out = first + i % n_out, all = row * m->n_out + out;
        double value = (double)want[i], room = share * ((double)size[i] + 4);
        if (ending == BIAS || ending == BOTH)
            value += (double)m->bias[out];
        if (ending == ADDS || ending == BOTH)
            value += (double)rows->y[all];
        if (!(fabs((double)got[all] - value) <= room))
            fail_msg("row %zu, output %zu: %.9g instead of %.9g", row, out, (double)got[all],
                     value);
    }
}

static void check_values(const struct matrix *m, const struct rows *rows, enum ending ending,
                         const std::vector<float> &got)
{
    check_some(m, rows, ending, got, 0, m->n_out);
}

static std::vector<uint32_t> all_of(uint32_t n)
{
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < n; i++)
        order.push_back(i);
    return order;
}

static void check_case(enum se_gpu_store store, uint32_t n_out, uint32_t n_in, uint32_t n_rows,
                       uint32_t bucket)
{
    enum ending ending = (enum ending)se_rng_below(&rng, ENDINGS);
    enum se_gpu_rows which = (enum se_gpu_rows)se_rng_below(&rng, 2);
    const struct matrix m(store, n_out, n_in);
    struct rows rows = draw_rows(&m, n_rows);
    trial_case("%s, %u x %u, %u rows in a bucket of %u, ending %d",
               store == SE_GPU_Q8 ? "q8" : "bf16", n_out, n_in, n_rows, bucket, (int)ending);
    check_values(&m, &rows, ending, run(&m, &rows, all_of(n_rows), bucket, ending, which));
}

static void products_match_the_reference(void)
{
    static const uint32_t outs[] = { 1, 15, 16, 17, 40, 64, 65, 100, 150, 260 };
    static const uint32_t ins[] = {
        1, 7, 8, 16, 31, 32, 40, 64, 100, 128, 136, 250, 260, 352, 600
    };
    static const uint32_t buckets[] = { 1, 2, 4, 8, 16, 17, 24, 33, 40, 64, 66, 96, 128, 264 };
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t bucket = buckets[i % (sizeof buckets / sizeof *buckets)];
        uint32_t n_in = ins[se_rng_below(&rng, sizeof ins / sizeof *ins)];
        uint32_t n_out = outs[se_rng_below(&rng, sizeof outs / sizeof *outs)];
        check_case((enum se_gpu_store)(i / 14 % 2), n_out, n_in, 1 + se_rng_below(&rng, bucket),
                   bucket);
    }
    check_case(SE_GPU_BF16, 100, 700, 264, 264);
    check_case(SE_GPU_Q8, 33, 300, 130, 520);
}

/* Each kind of tile, each split with blocks of its own and one block for all. */
static void check_bits(enum se_gpu_store store, enum ending ending)
{
    static const uint32_t buckets[] = { 1, 2, 8, 16, 24, 40, 64, 96, 128, 264, 512, 1100, 4096 };
    const struct matrix m(store, 1000, 300);
    assert_true(se_gpu_matmul_work(1000, 300, 1) > 0);
    assert_true(se_gpu_matmul_work(1000, 300, 4096) < (size_t)1000 * 2 * 4096);
    struct rows rows = draw_rows(&m, 5);
    std::vector<float> want = run(&m, &rows, { 0, 1, 2, 3, 4 }, 5, ending, SE_GPU_ALL_ROWS);
    check_values(&m, &rows, ending, want);
    for (uint32_t bucket : buckets) {
        std::vector<uint32_t> order;
        for (uint32_t i = 0; i < std::min(bucket, 20u); i++)
            order.push_back((uint32_t)se_rng_below(&rng, 5));
        trial_case("bucket %u, store %d, ending %d", bucket, (int)store, (int)ending);
        std::vector<float> got = run(&m, &rows, order, bucket, ending, SE_GPU_ALL_ROWS);
        for (size_t i = 0; i < order.size(); i++)
            assert_memory_equal(&got[i * m.n_out], &want[order[i] * m.n_out],
                                m.n_out * sizeof(float));
    }
}

static void bits_of_a_row_are_its_own(void)
{
    check_bits(SE_GPU_BF16, BOTH);
    check_bits(SE_GPU_Q8, PLAIN);
}

static void a_row_without_numbers_harms_no_other(void)
{
    const struct matrix m(SE_GPU_BF16, 40, 300);
    struct rows rows = draw_rows(&m, 9);
    std::vector<float> want = run(&m, &rows, { 0 }, 1, ADDS, SE_GPU_ALL_ROWS);
    for (size_t i = m.n_in; i < rows.x.size(); i++)
        rows.x[i] = i % 2 ? 0x7fc0 : 0x7f80;
    for (uint32_t bucket : { 9u, 20u, 30u, 60u, 100u }) {
        std::vector<float> got =
            run(&m, &rows, { 1, 2, 3, 0, 4, 5, 6, 7, 8 }, bucket, ADDS, SE_GPU_ALL_ROWS);
        assert_memory_equal(&got[3 * m.n_out], want.data(), m.n_out * sizeof(float));
        assert_true(isnan(got[2 * m.n_out]) && isnan(got[4 * m.n_out + 39]));
    }
}

static void parts_pack_to_the_whole(void)
{
    const struct matrix m(SE_GPU_BF16, 75, 70);
    const uint32_t first = 48;
    size_t before_b = se_gpu_matrix_size(first, m.n_in);
    size_t after_b = se_gpu_matrix_size(m.n_out - first, m.n_in);
    assert_int_equal(before_b + after_b, m.packed.size());
    const std::vector<unsigned char> parts = packed_by(before_b + after_b, [&](unsigned char *to) {
        se_gpu_matrix_pack(&m.bf16[(size_t)first * m.n_in], m.n_out - first, m.n_in, to + before_b);
        se_gpu_matrix_pack(m.bf16.data(), first, m.n_in, to);
    });
    assert_true(parts == m.packed);
}

/* Some outputs of all rows against the reference, and all outputs of some rows against their bits
 * alone, which are of other tiles. */
static void check_large(enum se_gpu_store store, uint32_t n_out, uint32_t n_in, uint32_t n_rows)
{
    enum { SOME = 16 };
    const struct matrix m(store, n_out, n_in);
    const struct rows rows = draw_rows(&m, n_rows);
    trial_case("%s, %u x %u, %u rows", store == SE_GPU_Q8 ? "q8" : "bf16", n_out, n_in, n_rows);
    const std::vector<float> got = run(&m, &rows, all_of(n_rows), n_rows, BOTH, SE_GPU_ALL_ROWS);
    check_some(&m, &rows, BOTH, got, 0, SOME);
    check_some(&m, &rows, BOTH, got, n_out - SOME, SOME);
    check_some(&m, &rows, BOTH, got, se_rng_below(&rng, n_out - SOME), SOME);
    for (uint32_t bucket : { 1u, 8u, 33u, 128u }) {
        std::vector<uint32_t> order;
        while (order.size() < std::min(bucket, 4u))
            order.push_back(se_rng_below(&rng, n_rows));
        const std::vector<float> few = run(&m, &rows, order, bucket, BOTH, SE_GPU_WANTED_ROWS);
        assert_memory_equal(few.data(), picked(got, order, n_out).data(),
                            few.size() * sizeof few[0]);
    }
}

static void products_of_large_models_match(void)
{
    check_large(SE_GPU_BF16, 5120, 17408, 264);
    check_large(SE_GPU_Q8, 5120, 17408, 33);
    check_large(SE_GPU_BF16, 34816, 5120, 33);
    check_large(SE_GPU_Q8, 1024, 5120, 2048);
}

const struct trial list[] = {
    TRIAL(products_match_the_reference),         TRIAL(bits_of_a_row_are_its_own),
    TRIAL(a_row_without_numbers_harms_no_other), TRIAL(parts_pack_to_the_whole),
    TRIAL_LARGE(products_of_large_models_match),
};

} // namespace

const struct trials check_cuda_matmul = TRIALS(rng, list);
