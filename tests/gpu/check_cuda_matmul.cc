/* SPDX-License-Identifier: Apache-2.0 */
/* check_cuda_matmul - products on the emulated device against the C reference, and the bits of a
 * row alone against its bits in any batch, place and tile.
 *
 *   check_cuda_matmul       SE_TEST_SEED=N repeats a run */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <vector>

extern "C" {
#include <cmocka.h>

#include "kernels/float16.h"
#include "kernels/matmul.h"
#include "runtime/base/rng.h"
}

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

static struct se_rng rng;

struct matrix {
    uint32_t n_out, n_in;
    std::vector<uint16_t> bf16;
    std::vector<float> bias;
    enum se_gpu_store store;
    unsigned char *packed;
    float *bias_there;
};

static uint16_t draw(void) { return se_f32_to_bf16((float)se_rng_normal(&rng)); }

/* Packs the weights to 8 bits, and puts in their place what they then stand for. */
static void make_q8(struct matrix *m)
{
    struct se_matrix from = { SE_DTYPE_BF16, m->n_out, m->n_in, m->bf16.data(), NULL };
    size_t scale_at_b, size_b = se_matrix_q8_size(m->n_out, m->n_in, &scale_at_b);
    unsigned char *block = (unsigned char *)aligned_alloc(64, (size_b + 63) / 64 * 64);
    const uint16_t *scale = (const uint16_t *)(block + scale_at_b);
    assert_int_equal(se_matrix_pack_q8(&from, block, 0, m->n_out), 0);
    m->packed = simt_array<unsigned char>(se_gpu_matrix_q8_size(m->n_out, m->n_in));
    se_gpu_matrix_q8_pack(block, scale, m->n_out, m->n_in, m->packed);
    for (uint32_t out = 0; out < m->n_out; out++) {
        const uint32_t first = out / 64 * 64, spans = (m->n_in + 31) / 32;
        const uint32_t width = std::min(64u, (m->n_out - first + 15) / 16 * 16);
        for (uint32_t at = 0; at < m->n_in; at++) {
            int q = block[(size_t)first * spans * 32 + (at / 4 * width + out % 64) * 4 + at % 4];
            float by = se_f16_to_f32(scale[(size_t)first * spans + at / 32 * width + out % 64]);
            m->bf16[(size_t)out * m->n_in + at] = se_f32_to_bf16((float)(q - 128) * by);
        }
    }
    free(block);
}

static void matrix_init(struct matrix *m, enum se_gpu_store store, uint32_t n_out, uint32_t n_in)
{
    m->n_out = n_out;
    m->n_in = n_in;
    m->store = store;
    m->bf16.resize((size_t)n_out * n_in);
    for (uint16_t &weight : m->bf16)
        weight = draw();
    for (uint32_t i = 0; i < n_out; i++)
        m->bias.push_back((float)se_rng_normal(&rng));
    m->bias_there = simt_copy(m->bias.data(), n_out);
    if (store == SE_GPU_Q8) {
        make_q8(m);
        return;
    }
    m->packed = simt_array<unsigned char>(se_gpu_matrix_size(n_out, n_in));
    se_gpu_matrix_pack(m->bf16.data(), n_out, n_in, m->packed);
}

static void matrix_fini(struct matrix *m)
{
    simt_free(m->packed);
    simt_free(m->bias_there);
}

/* Rows of inputs and of what y has before the product. */
struct rows {
    uint32_t n;
    std::vector<uint16_t> x;
    std::vector<float> y;
};

static struct rows draw_rows(const struct matrix *m, uint32_t n)
{
    struct rows rows = { n, {}, {} };
    for (size_t i = 0; i < (size_t)n * m->n_in; i++)
        rows.x.push_back(draw());
    for (size_t i = 0; i < (size_t)n * m->n_out; i++)
        rows.y.push_back((float)se_rng_normal(&rng));
    return rows;
}

enum ending { PLAIN, BIAS, ADDS, BOTH, ENDINGS };

/* The rows named by `order`, in that order, as a batch of this bucket. */
static std::vector<float> run(const struct matrix *m, const struct rows *rows,
                              const std::vector<uint32_t> &order, uint32_t bucket,
                              enum ending ending, enum se_gpu_rows which)
{
    const uint32_t n = (uint32_t)order.size();
    struct se_gpu_input input = {};
    struct se_gpu_product product = {};
    uint16_t *x = simt_array<uint16_t>((size_t)n * m->n_in);
    const size_t n_y = (size_t)bucket * m->n_out, n_used = (size_t)n * m->n_out;
    float *y = simt_array<float>(n_y);
    float *work = simt_array<float>(se_gpu_matmul_work(m->n_out, m->n_in, bucket));
    std::vector<unsigned char> poison((n_y - n_used) * sizeof(float), 0xff);
    assert_true(n <= bucket);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(x + (size_t)i * m->n_in, &rows->x[(size_t)order[i] * m->n_in], m->n_in * sizeof *x);
        if (ending == ADDS || ending == BOTH)
            memcpy(y + (size_t)i * m->n_out, &rows->y[(size_t)order[i] * m->n_out],
                   m->n_out * sizeof *y);
    }
    input.n_rows = which == SE_GPU_ALL_ROWS ? n : n + 3;
    input.n_wanted = which == SE_GPU_ALL_ROWS ? n + 3 : n;
    product.matrix = m->packed;
    product.store = m->store;
    product.n_out = m->n_out;
    product.n_in = m->n_in;
    product.bias = ending == BIAS || ending == BOTH ? m->bias_there : NULL;
    product.x = x;
    product.y = y;
    product.adds = ending == ADDS || ending == BOTH;
    product.rows = which;
    const bool counts = se_rng_below(&rng, 2); /* or another kernel adds the splits */
    uint32_t *arrived = simt_array<uint32_t>(SE_GPU_ARRIVALS);
    memset(arrived, 0, SE_GPU_ARRIVALS * sizeof *arrived);
    product.arrived = counts ? arrived : NULL;
    struct se_gpu_input *in = simt_copy(&input, 1);
    simt_order((unsigned)se_rng_below(&rng, 4));
    se_gpu_matmul(NULL, in, bucket, &product, work);
    simt_memory_check();
    for (uint32_t i = 0; i < SE_GPU_ARRIVALS; i++)
        assert_int_equal(arrived[i], 0);
    simt_free(arrived);
    if (!poison.empty())
        assert_memory_equal(y + n_used, poison.data(), poison.size());
    std::vector<float> result(y, y + n_used);
    simt_free(x);
    simt_free(y);
    simt_free(work);
    simt_free(in);
    return result;
}

static const struct se_matmul_impl *reference(void)
{
    const struct se_matmul_impl *impl = se_matmul_table;
    while (impl->dtype != SE_DTYPE_BF16 || impl->cpu)
        impl++;
    return impl;
}

static std::vector<float> product_of(const struct matrix *m, const uint16_t *weights,
                                     const std::vector<uint16_t> &x, uint32_t n)
{
    struct se_matrix matrix = { SE_DTYPE_BF16, m->n_out, m->n_in, weights, NULL };
    std::vector<float> wide, y((size_t)n * m->n_out);
    std::vector<char> ready(se_matmul_rows_size(SE_DTYPE_BF16, n, m->n_in));
    for (uint16_t value : x)
        wide.push_back(se_bf16_to_f32(value));
    reference()->prepare(wide.data(), m->n_in, n, m->n_in, ready.data(), 0, n);
    reference()->run(&matrix, ready.data(), n, y.data(), m->n_out, 0, m->n_out);
    return y;
}

static std::vector<uint16_t> sizes_of(std::vector<uint16_t> values)
{
    for (uint16_t &value : values)
        value &= 0x7fff;
    return values;
}

/* How far a sum may be off depends on the sizes of what is summed. */
static void check_values(const struct matrix *m, const struct rows *rows, enum ending ending,
                         const std::vector<float> &got)
{
    std::vector<float> want = product_of(m, m->bf16.data(), rows->x, rows->n);
    std::vector<float> size = product_of(m, sizes_of(m->bf16).data(), sizes_of(rows->x), rows->n);
    for (size_t i = 0; i < want.size(); i++) {
        double value = (double)want[i], room = 3e-6 * ((double)size[i] + 4);
        if (ending == BIAS || ending == BOTH)
            value += (double)m->bias[i % m->n_out];
        if (ending == ADDS || ending == BOTH)
            value += (double)rows->y[i];
        if (!(fabs((double)got[i] - value) <= room))
            fail_msg("row %zu, output %zu: %.9g instead of %.9g", i / m->n_out, i % m->n_out,
                     (double)got[i], value);
    }
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
    struct matrix m = {};
    enum ending ending = (enum ending)se_rng_below(&rng, ENDINGS);
    enum se_gpu_rows which = (enum se_gpu_rows)se_rng_below(&rng, 2);
    matrix_init(&m, store, n_out, n_in);
    struct rows rows = draw_rows(&m, n_rows);
    printf("case: %s, %u x %u, %u rows in a bucket of %u, ending %d\n",
           store == SE_GPU_Q8 ? "q8" : "bf16", n_out, n_in, n_rows, bucket, (int)ending);
    check_values(&m, &rows, ending, run(&m, &rows, all_of(n_rows), bucket, ending, which));
    matrix_fini(&m);
}

static void products_match_the_reference(void **state)
{
    (void)state;
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
    struct matrix m = {};
    matrix_init(&m, store, 1000, 300);
    assert_true(se_gpu_matmul_work(1000, 300, 1) > 0);
    assert_true(se_gpu_matmul_work(1000, 300, 4096) < (size_t)1000 * 2 * 4096);
    struct rows rows = draw_rows(&m, 5);
    std::vector<float> want = run(&m, &rows, { 0, 1, 2, 3, 4 }, 5, ending, SE_GPU_ALL_ROWS);
    check_values(&m, &rows, ending, want);
    for (uint32_t bucket : buckets) {
        std::vector<uint32_t> order;
        for (uint32_t i = 0; i < std::min(bucket, 20u); i++)
            order.push_back((uint32_t)se_rng_below(&rng, 5));
        std::vector<float> got = run(&m, &rows, order, bucket, ending, SE_GPU_ALL_ROWS);
        printf("bucket %u, store %d, ending %d\n", bucket, (int)store, (int)ending);
        for (size_t i = 0; i < order.size(); i++)
            assert_memory_equal(&got[i * m.n_out], &want[order[i] * m.n_out],
                                m.n_out * sizeof(float));
    }
    matrix_fini(&m);
}

static void bits_of_a_row_are_its_own(void **state)
{
    (void)state;
    check_bits(SE_GPU_BF16, BOTH);
    check_bits(SE_GPU_Q8, PLAIN);
}

static void a_row_without_numbers_harms_no_other(void **state)
{
    (void)state;
    struct matrix m = {};
    matrix_init(&m, SE_GPU_BF16, 40, 300);
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
    matrix_fini(&m);
}

static void parts_pack_to_the_whole(void **state)
{
    (void)state;
    struct matrix m = {};
    const uint32_t first = 48;
    matrix_init(&m, SE_GPU_BF16, 75, 70);
    size_t before_b = se_gpu_matrix_size(first, m.n_in);
    size_t after_b = se_gpu_matrix_size(m.n_out - first, m.n_in);
    assert_int_equal(before_b + after_b, se_gpu_matrix_size(m.n_out, m.n_in));
    unsigned char *parts = simt_array<unsigned char>(before_b + after_b);
    se_gpu_matrix_pack(&m.bf16[(size_t)first * m.n_in], m.n_out - first, m.n_in, parts + before_b);
    se_gpu_matrix_pack(m.bf16.data(), first, m.n_in, parts);
    assert_memory_equal(parts, m.packed, before_b + after_b);
    simt_memory_check();
    simt_free(parts);
    matrix_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_the_reference),
        cmocka_unit_test(bits_of_a_row_are_its_own),
        cmocka_unit_test(a_row_without_numbers_harms_no_other),
        cmocka_unit_test(parts_pack_to_the_whole),
    };
    const char *given = getenv("SE_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    se_rng_init(&rng, seed, SE_RNG_TEST);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
