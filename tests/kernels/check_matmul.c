/* SPDX-License-Identifier: Apache-2.0 */
/* check_matmul - every usable row of se_matmul_table against sums in double, and the bits of
 * a row alone against its bits in any batch, range and division of the work.
 *
 *   check_matmul            SE_TEST_SEED=N repeats a run
 *   check_matmul --bench    rates instead (see bench_matmul.c)
 *
 * The reference here starts from the unpacked weights and rounds by the words of the
 * headers, so the plain C rows are compared too. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kernels/float16.h"
#include "kernels/matmul.h"
#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "tests/kernels/bench_matmul.h"

enum { GROUP = SE_Q8_GROUP, MOST_ROWS = 150 };

static uint64_t seed;
static struct se_rng rng;

/* A block that ends where an unmapped page begins, so that reading past it is a fault. */
struct fence {
    char *map;
    size_t map_b;
    void *data;
};

static void fence_init(struct fence *fence, size_t size_b)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    fence->map_b = (size_b + page - 1) / page * page + page;
    fence->map =
        mmap(NULL, fence->map_b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(fence->map, MAP_FAILED);
    assert_int_equal(mprotect(fence->map + fence->map_b - page, page, PROT_NONE), 0);
    memset(fence->map, 0xff, fence->map_b - page); /* NaN in every format, before the data */
    fence->data = fence->map + fence->map_b - page - size_b;
}

static void fence_fini(struct fence *fence) { munmap(fence->map, fence->map_b); }

/* Inputs that hurt, each in its own way. */
enum fill { NORMAL, SPREAD, CANCEL, TINY, SPARSE, TIES, FILLS };
static const char *const fill_names[FILLS] = { "normal", "spread", "cancel",
                                               "tiny",   "sparse", "ties" };

static float draw(enum fill fill, uint32_t k, float before)
{
    double value = se_rng_normal(&rng);
    switch (fill) {
    case SPREAD: /* magnitudes 2^-12 .. 2^12: large and small in one sum */
        return (float)(value * exp2((double)se_rng_below(&rng, 25) - 12));
    case CANCEL: /* pairs that nearly take each other away */
        return k % 2 ? -before * (1 + 0x1p-6f * (float)value) : (float)(value * 100);
    case TINY: /* products at and below the smallest normal number */
        return (float)(value * 0x1p-66);
    case SPARSE: /* zeros of both signs, whole groups of them, and a few large ones */
        if (k / GROUP % 3 == 1 || se_rng_below(&rng, 8))
            return se_rng_below(&rng, 2) ? 0.0f : -0.0f;
        return (float)(value * 1000);
    case TIES: /* halves, and the same largest magnitude in every group */
        return k % GROUP == 0 ? -127.0f : (float)se_rng_below(&rng, 509) / 2 - 127;
    default:
        return (float)value;
    }
}

struct setup {
    enum se_dtype dtype;
    uint32_t n_out, n_in, n_rows;
    enum fill fill;
    struct fence w_fence, x_fence;
    float *w; /* what the stored weights stand for */
    float *x; /* what the rows are rounded to */
    size_t ldx;
    struct se_matrix matrix;
    void *packed;
};

static void store(enum se_dtype dtype, void *data, size_t at, float value)
{
    uint16_t half = dtype == SE_DTYPE_BF16 ? se_f32_to_bf16(value) : se_f32_to_f16(value);
    if (dtype == SE_DTYPE_F32)
        memcpy((char *)data + at * 4, &value, 4);
    else
        memcpy((char *)data + at * 2, &half, 2);
}

static float stored(enum se_dtype dtype, const void *data, size_t at)
{
    uint16_t half;
    float value;
    if (dtype == SE_DTYPE_F32) {
        memcpy(&value, (const char *)data + at * 4, 4);
        return value;
    }
    memcpy(&half, (const char *)data + at * 2, 2);
    return dtype == SE_DTYPE_BF16 ? se_bf16_to_f32(half) : se_f16_to_f32(half);
}

/* The words of the headers: x in groups, scale = max / 127, nearest even. */
static void round_x_group(float *x, uint32_t n)
{
    float top = 0;
    for (uint32_t i = 0; i < n; i++)
        top = fmaxf(top, fabsf(x[i]));
    if (top < 0x1p-100f) {
        memset(x, 0, n * sizeof *x);
        return;
    }
    float inverse = 127.0f / top, scale = top / 127.0f;
    for (uint32_t i = 0; i < n; i++)
        x[i] = rintf(x[i] * inverse) * scale;
}

/* The same for weights; also what a good scale has to satisfy. */
static void round_w_group(float *w, uint32_t n)
{
    float top = 0;
    for (uint32_t i = 0; i < n; i++)
        top = fmaxf(top, fabsf(w[i]));
    uint16_t bits = se_f32_to_f16(top / 127.0f);
    if (top == 0)
        return;
    if (rintf(top / se_f16_to_f32(bits)) > 127)
        bits++;
    float scale = se_f16_to_f32(bits);
    for (uint32_t i = 0; i < n; i++) {
        w[i] = rintf(w[i] / scale);
        assert_true(fabsf(w[i]) <= 127);
        w[i] *= scale;
    }
}

static void round_groups(float *row, uint32_t n, void (*round)(float *, uint32_t))
{
    for (uint32_t k = 0; k < n; k += GROUP)
        round(row + k, n - k < GROUP ? n - k : GROUP);
}

static void pack(struct setup *s)
{
    size_t scale_at, size = se_matrix_q8_size(s->n_out, s->n_in, &scale_at);
    uint32_t blocks = (s->n_out + 15) / 16, cut = se_rng_below(&rng, blocks + 1) * 16;
    struct se_matrix from = s->matrix;

    from.dtype = SE_DTYPE_F32;
    s->packed = se_mem_new(size, 1);
    assert_non_null(s->packed);
    memset(s->packed, 0xff, size);
    cut = cut < s->n_out ? cut : s->n_out;
    assert_int_equal(se_matrix_pack_q8(&from, s->packed, cut, s->n_out), 0);
    assert_int_equal(se_matrix_pack_q8(&from, s->packed, 0, cut), 0);
    s->matrix.data = s->packed;
    s->matrix.scale = (const uint16_t *)(const void *)((char *)s->packed + scale_at);
    for (uint32_t n = 0; n < s->n_out; n++)
        round_groups(s->w + (size_t)n * s->n_in, s->n_in, round_w_group);
}

static void setup_init(struct setup *s, enum se_dtype dtype, uint32_t n_out, uint32_t n_in,
                       uint32_t n_rows, enum fill fill)
{
    enum se_dtype kept = dtype == SE_DTYPE_Q8 ? SE_DTYPE_F32 : dtype;
    size_t n_w = (size_t)n_out * n_in, element = kept == SE_DTYPE_F32 ? 4 : 2;

    *s = (struct setup){
        .dtype = dtype, .n_out = n_out, .n_in = n_in, .n_rows = n_rows, .fill = fill
    };
    s->ldx = n_in + se_rng_below(&rng, 5);
    fence_init(&s->w_fence, n_w * element);
    fence_init(&s->x_fence, ((n_rows - 1) * s->ldx + n_in) * sizeof(float));
    s->w = se_mem_new(n_w, sizeof(float));
    s->x = se_mem_new((size_t)n_rows * n_in, sizeof(float));
    assert_true(s->w && s->x);

    float value = 0;
    for (size_t i = 0; i < n_w; i++) {
        value = draw(fill, (uint32_t)(i % n_in), value);
        store(kept, s->w_fence.data, i, value);
        s->w[i] = stored(kept, s->w_fence.data, i);
    }
    for (uint32_t m = 0; m < n_rows; m++)
        for (uint32_t k = 0; k < n_in; k++) {
            value = draw(fill == TIES ? NORMAL : fill, k, value);
            ((float *)s->x_fence.data)[m * s->ldx + k] = value;
            s->x[(size_t)m * n_in + k] =
                dtype == SE_DTYPE_BF16 ? se_bf16_to_f32(se_f32_to_bf16(value)) : value;
        }
    s->matrix = (struct se_matrix){ dtype, n_out, n_in, s->w_fence.data, NULL };
    if (dtype == SE_DTYPE_Q8) {
        pack(s);
        for (uint32_t m = 0; m < n_rows; m++)
            round_groups(s->x + (size_t)m * n_in, n_in, round_x_group);
    }
}

static void setup_fini(struct setup *s)
{
    fence_fini(&s->w_fence);
    fence_fini(&s->x_fence);
    se_mem_free(s->w);
    se_mem_free(s->x);
    se_mem_free(s->packed);
}

#define NOTHING 0x7fc0beefu /* what y holds where nobody wrote */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Rows [first, first + n_rows) through one implementation, in the given range of outputs.
 * y: n_rows x ldy, poisoned here. */
static void run(const struct se_matmul_impl *impl, const struct setup *s, uint32_t first,
                uint32_t n_rows, float *y, size_t ldy, uint32_t from, uint32_t to)
{
    const float *x = (const float *)s->x_fence.data + first * s->ldx;
    size_t size = se_matmul_rows_size(s->dtype, n_rows, s->n_in);
    char *rows = se_mem_new(size + 64, 1);
    uint32_t cut = se_rng_below(&rng, n_rows + 1), poison = NOTHING;

    assert_non_null(rows);
    memset(rows, 0xff, size + 64);
    for (size_t i = 0; i < n_rows * ldy; i++)
        memcpy(&y[i], &poison, sizeof poison);
    impl->prepare(x, s->ldx, n_rows, s->n_in, rows, cut, n_rows);
    impl->prepare(x, s->ldx, n_rows, s->n_in, rows, 0, cut);
    for (int i = 0; i < 64; i++)
        assert_int_equal((unsigned char)rows[size + (size_t)i], 0xff);
    impl->run(&s->matrix, rows, n_rows, y, ldy, from, to);
    for (uint32_t m = 0; m < n_rows; m++)
        for (uint32_t n = 0; n < ldy; n++)
            if ((n < from || n >= to) && bits_of(y[m * ldy + n]) != NOTHING)
                fail_msg("%s %s: y[%u][%u] written outside [%u, %u)", impl->name,
                         se_dtype_name(impl->dtype), m, n, from, to);
    se_mem_free(rows);
}

/* The rounding of float32 sums in lanes of 4 or more, and of subnormals made zero. */
static double tolerance(uint32_t n_in, double magnitude)
{
    return magnitude * 0x1p-24 * (n_in / 4.0 + 8) + n_in * 0x1p-125;
}

static void check_values(const struct se_matmul_impl *impl, const struct setup *s)
{
    size_t ldy = s->n_out + 3;
    float *y = se_mem_new(s->n_rows * ldy, sizeof *y);

    assert_non_null(y);
    run(impl, s, 0, s->n_rows, y, ldy, 0, s->n_out);
    for (uint32_t m = 0; m < s->n_rows; m++)
        for (uint32_t n = 0; n < s->n_out; n++) {
            const float *x = s->x + (size_t)m * s->n_in, *w = s->w + (size_t)n * s->n_in;
            double sum = 0, magnitude = 0;
            for (uint32_t k = 0; k < s->n_in; k++) {
                sum += (double)x[k] * w[k];
                magnitude += fabs((double)x[k] * w[k]);
            }
            double error = fabs(y[m * ldy + n] - sum);
            if (!(error <= tolerance(s->n_in, magnitude)))
                fail_msg("%s %s %s n_in %u n_out %u rows %u: y[%u][%u] is %.9g, not %.9g "
                         "(error %.3g, allowed %.3g)",
                         impl->name, se_dtype_name(impl->dtype), fill_names[s->fill], s->n_in,
                         s->n_out, s->n_rows, m, n, (double)y[m * ldy + n], sum, error,
                         tolerance(s->n_in, magnitude));
        }
    se_mem_free(y);
}

/* Rows alone, once; then the same rows in a batch, for a range, compared as bits. */
static float *rows_alone(const struct se_matmul_impl *impl, const struct setup *s)
{
    float *alone = se_mem_new((size_t)s->n_rows * s->n_out, sizeof *alone);
    assert_non_null(alone);
    for (uint32_t m = 0; m < s->n_rows; m++)
        run(impl, s, m, 1, alone + (size_t)m * s->n_out, s->n_out, 0, s->n_out);
    return alone;
}

static void compare_batch(const struct se_matmul_impl *impl, const struct setup *s,
                          const float *alone, uint32_t first, uint32_t n_rows, uint32_t from,
                          uint32_t to)
{
    size_t ldy = s->n_out + se_rng_below(&rng, 4);
    float *y = se_mem_new(n_rows * ldy, sizeof *y);

    assert_non_null(y);
    run(impl, s, first, n_rows, y, ldy, from, to);
    for (uint32_t m = 0; m < n_rows; m++)
        for (uint32_t n = from; n < to; n++)
            if (bits_of(y[m * ldy + n]) != bits_of(alone[(size_t)(first + m) * s->n_out + n]))
                fail_msg("%s %s %s n_in %u n_out %u: row %u of %u in [%u, %u): y[%u] is %.9g, "
                         "alone %.9g",
                         impl->name, se_dtype_name(impl->dtype), fill_names[s->fill], s->n_in,
                         s->n_out, m, n_rows, from, to, n, (double)y[m * ldy + n],
                         (double)alone[(size_t)(first + m) * s->n_out + n]);
    se_mem_free(y);
}

static int usable(const struct se_matmul_impl *impl) { return !(impl->cpu & ~se_cpu_flags()); }

static const uint32_t some_n_in[] = {
    1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 257, 1000, 2048, 2049
};
static const uint32_t some_n_out[] = { 1, 8, 15, 17, 64, 65, 97, 130 };
enum {
    N_IN = sizeof some_n_in / sizeof *some_n_in,
    N_OUT = sizeof some_n_out / sizeof *some_n_out
};

/* x * w must stay within float32, and w within f16. */
static int fits(enum se_dtype dtype, enum fill fill)
{
    return !(fill == TINY && (dtype == SE_DTYPE_F16 || dtype == SE_DTYPE_Q8));
}

static void values_match_double_sums(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_IN * N_OUT; i++) {
        uint32_t n_in = some_n_in[i % N_IN], n_out = some_n_out[i / N_IN];
        uint32_t n_rows = 1 + se_rng_below(&rng, n_in * n_out > 100000 ? 5 : 14);
        enum fill fill = (enum fill)(se_rng_below(&rng, FILLS));
        for (uint32_t d = 0; d < SE_DTYPES; d++) {
            struct setup s;
            setup_init(&s, (enum se_dtype)d, n_out, n_in, n_rows,
                       fits((enum se_dtype)d, fill) ? fill : NORMAL);
            for (uint32_t t = 0; t < se_matmul_table_n; t++)
                if (se_matmul_table[t].dtype == d && usable(&se_matmul_table[t]))
                    check_values(&se_matmul_table[t], &s);
            setup_fini(&s);
        }
    }
}

static uint32_t step_below(uint32_t n_out)
{
    return se_rng_below(&rng, (n_out + SE_MATMUL_STEP - 1) / SE_MATMUL_STEP) * SE_MATMUL_STEP;
}

static void check_bits(const struct se_matmul_impl *impl, const struct setup *s, uint32_t every)
{
    float *alone = rows_alone(impl, s);

    for (uint32_t n = 1; n <= s->n_rows; n += every) {
        uint32_t first = se_rng_below(&rng, s->n_rows - n + 1), from = step_below(s->n_out);
        uint32_t to = from + SE_MATMUL_STEP * (1 + se_rng_below(&rng, 3));
        compare_batch(impl, s, alone, first, n, 0, s->n_out);
        compare_batch(impl, s, alone, first, n, from, to < s->n_out ? to : s->n_out);
    }
    se_mem_free(alone);
}

/* Every batch size on a small matrix, some on those that need several blocks along k. */
static void bits_do_not_depend_on_the_batch(void **state)
{
    static const struct {
        uint32_t n_out, n_in, n_rows, every;
    } shapes[] = {
        { 200, 75, 70, 1 }, { 81, 1300, 40, 13 }, { 130, 2049, 70, 23 }, { 20, 600, MOST_ROWS, 49 }
    };

    (void)state;
    for (uint32_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (uint32_t d = 0; d < SE_DTYPES; d++) {
            struct setup s;
            enum fill fill = (enum fill)se_rng_below(&rng, FILLS);
            setup_init(&s, (enum se_dtype)d, shapes[i].n_out, shapes[i].n_in, shapes[i].n_rows,
                       fits((enum se_dtype)d, fill) ? fill : SPREAD);
            for (uint32_t t = 0; t < se_matmul_table_n; t++)
                if (se_matmul_table[t].dtype == d && usable(&se_matmul_table[t]))
                    check_bits(&se_matmul_table[t], &s, shapes[i].every);
            setup_fini(&s);
        }
}

/* A fault upstream must show, not turn into a number. */
static void not_a_number_in_x_shows(void **state)
{
    (void)state;
    for (uint32_t t = 0; t < se_matmul_table_n; t++) {
        const struct se_matmul_impl *impl = &se_matmul_table[t];
        if (!usable(impl))
            continue;
        struct setup s;
        float y[5 * 40];
        setup_init(&s, impl->dtype, 40, 70, 5, NORMAL);
        ((float *)s.x_fence.data)[2 * s.ldx + 33] = NAN;
        run(impl, &s, 0, 5, y, 40, 0, 40);
        for (uint32_t i = 0; i < 5 * 40; i++)
            if (!isnan(y[i]) != (i / 40 != 2))
                fail_msg("%s %s: y[%u][%u] is %g", impl->name, se_dtype_name(impl->dtype), i / 40,
                         i % 40, (double)y[i]);
        setup_fini(&s);
    }
}

static void weights_without_a_number_are_refused(void **state)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY, 9e6f };
    float w[3 * 40];
    size_t scale_at;
    void *block = se_mem_new(se_matrix_q8_size(3, 40, &scale_at), 1);

    (void)state;
    assert_non_null(block);
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct se_matrix m = { SE_DTYPE_F32, 3, 40, w, NULL };
        for (uint32_t k = 0; k < 120; k++)
            w[k] = (float)se_rng_normal(&rng);
        assert_int_equal(se_matrix_pack_q8(&m, block, 0, 3), 0);
        w[se_rng_below(&rng, 120)] = bad[i];
        assert_int_equal(se_matrix_pack_q8(&m, block, 0, 3), -EDOM);
    }
    se_mem_free(block);
}

/* The pick is the first usable row of the table, and each dtype ends in plain C. */
static void pick_is_the_first_usable(void **state)
{
    (void)state;
    for (uint32_t d = 0; d < SE_DTYPES; d++) {
        const struct se_matmul_impl *pick = se_matmul_pick((enum se_dtype)d), *last = NULL;
        const struct se_matmul_impl *first = NULL;
        for (uint32_t t = 0; t < se_matmul_table_n; t++)
            if (se_matmul_table[t].dtype == d) {
                last = &se_matmul_table[t];
                if (!first && usable(last))
                    first = last;
            }
        assert_ptr_equal(pick, first);
        assert_int_equal(last->cpu, 0);
        assert_string_equal(last->name, "c");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pick_is_the_first_usable),
        cmocka_unit_test(values_match_double_sums),
        cmocka_unit_test(bits_do_not_depend_on_the_batch),
        cmocka_unit_test(not_a_number_in_x_shows),
        cmocka_unit_test(weights_without_a_number_are_refused),
    };
    const char *given = getenv("SE_TEST_SEED");

    if (argc > 1 && !strcmp(argv[1], "--bench"))
        return bench_matmul(argc - 2, argv + 2);
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("SE_TEST_SEED=%llu; rows compared:", (unsigned long long)seed);
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (uint32_t t = 0; t < se_matmul_table_n; t++)
        if (usable(&se_matmul_table[t]))
            printf(" %s/%s", se_dtype_name(se_matmul_table[t].dtype), se_matmul_table[t].name);
    printf("\n");
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
