/* SPDX-License-Identifier: Apache-2.0 */
/* check_attend - every usable row of se_attend_table against the C reference, and the bits of
 * a row against its bits alone, with other batch mates, and with its history stored elsewhere.
 *
 *   check_attend            SE_TEST_SEED=N repeats a run
 *   check_attend --bench    times the rows instead */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/attend.h"
#include "kernels/float16.h"
#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "tests/kernels/check.h"

static struct se_rng rng;

/* A history of n positions, of which any number lies in slots elsewhere than its own. */
struct history {
    enum se_dtype dtype;
    uint32_t dim, n, n_slots;
    float *k, *v; /* [n][dim]: what was stored */
    uint32_t *tail;
    void **key, **value;
    struct check_area *area; /* of the keys, then of the values, page by page */
    uint32_t n_pages;
};

enum fill { NORMAL, SHARP, LARGE, FLAT, FILLS };
static const char *const fill_names[FILLS] = { "normal", "sharp", "large", "flat" };

static float draw(enum fill fill)
{
    float value = (float)se_rng_normal(&rng);
    switch (fill) {
    case SHARP: /* one position takes nearly all */
        return se_rng_below(&rng, 40) ? value : 20 * value;
    case LARGE: /* scores far beyond what exp() bears */
        return 60 * value;
    case FLAT:
        return 0.001f * value;
    default:
        return value;
    }
}

static void history_init(struct history *h, enum se_dtype dtype, uint32_t dim, uint32_t n,
                         enum fill fill)
{
    *h = (struct history){ .dtype = dtype, .dim = dim, .n = n };
    h->k = se_mem_new((size_t)n * dim, sizeof(float));
    h->v = se_mem_new((size_t)n * dim, sizeof(float));
    h->tail = se_mem_new(n, sizeof(uint32_t));
    for (size_t i = 0; i < (size_t)n * dim; i++) {
        h->k[i] = draw(fill);
        h->v[i] = (float)se_rng_normal(&rng);
    }
}

static void pages_fini(struct history *h)
{
    for (uint32_t p = 0; p < 2 * h->n_pages; p++)
        assert_true(check_area_fini(&h->area[p]));
    se_mem_free(h->area);
    se_mem_free(h->key);
    se_mem_free(h->value);
    h->n_pages = 0;
}

/* Stores the history anew: positions below plain in their slots, the others anywhere above,
 * ascending or not, among slots that hold NaN. */
static void lay_out(struct history *h, uint32_t plain, uint32_t spare)
{
    if (h->n_pages)
        pages_fini(h);
    h->n_slots = h->n + spare;
    h->n_pages = (h->n_slots + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS;
    h->area = se_mem_new(2 * (size_t)h->n_pages, sizeof *h->area);
    h->key = se_mem_new(h->n_pages, sizeof *h->key);
    h->value = se_mem_new(h->n_pages, sizeof *h->value);
    size_t page_b = (size_t)SE_PAGE_SLOTS * h->dim * (h->dtype == SE_DTYPE_F16 ? 2 : 4);
    for (uint32_t p = 0; p < h->n_pages; p++) {
        h->key[p] = check_area_init(&h->area[2 * p], page_b);
        h->value[p] = check_area_init(&h->area[2 * p + 1], page_b);
    }
    uint32_t n_tail = h->n - plain, free_slots = h->n_slots - plain;
    bool *taken = se_mem_zero(free_slots + 1, sizeof *taken);
    for (uint32_t i = 0; i < n_tail; i++) {
        uint32_t at = se_rng_below(&rng, free_slots);
        while (taken[at])
            at = (at + 1) % free_slots;
        taken[at] = true;
        h->tail[i] = plain + at;
    }
    se_mem_free(taken);
    for (uint32_t p = 0; p < h->n; p++) {
        uint32_t slot = p < plain ? p : h->tail[p - plain];
        se_attend_store(h->dtype, h->key[slot / SE_PAGE_SLOTS], h->value[slot / SE_PAGE_SLOTS],
                        slot % SE_PAGE_SLOTS, h->dim, h->k + (size_t)p * h->dim,
                        h->v + (size_t)p * h->dim);
    }
}

static void history_fini(struct history *h)
{
    pages_fini(h);
    se_mem_free(h->k);
    se_mem_free(h->v);
    se_mem_free(h->tail);
}

struct batch {
    uint32_t n_rows, n_q;
    float *q, *out, *want;
    struct se_attend_row *row;
    struct check_area q_area, out_area;
    size_t row_floats;
};

static void batch_init(struct batch *b, const struct history *h, uint32_t n_rows, uint32_t n_q,
                       enum fill fill)
{
    b->n_rows = n_rows;
    b->n_q = n_q;
    b->row_floats = (size_t)n_q * h->dim;
    size_t n = n_rows * b->row_floats;
    b->q = check_area_init(&b->q_area, n * sizeof(float));
    b->out = check_area_init(&b->out_area, n * sizeof(float));
    b->want = se_mem_new(n, sizeof(float));
    b->row = se_mem_zero(n_rows, sizeof *b->row);
    for (size_t i = 0; i < n; i++)
        b->q[i] = draw(fill);
    for (uint32_t r = 0; r < n_rows; r++)
        b->row[r] = (struct se_attend_row){ .q = b->q + r * b->row_floats,
                                            .out = b->out + r * b->row_floats };
}

static void batch_fini(struct batch *b)
{
    assert_true(check_area_fini(&b->q_area));
    assert_true(check_area_fini(&b->out_area));
    se_mem_free(b->want);
    se_mem_free(b->row);
}

/* Runs rows [from, to) of the batch with scratch of just the promised size, full of NaN. */
static void run(const struct se_attend_impl *impl, const struct history *h, const struct batch *b,
                uint32_t from, uint32_t to)
{
    struct se_attend_job job = { .key = (const void *const *)h->key,
                                 .value = (const void *const *)h->value,
                                 .row = b->row + from,
                                 .n_rows = to - from,
                                 .n_q = b->n_q,
                                 .dim = h->dim,
                                 .scale = 1 / sqrtf((float)h->dim) };
    uint32_t max_seen = 0;
    for (uint32_t r = from; r < to; r++)
        max_seen = b->row[r].n_seen > max_seen ? b->row[r].n_seen : max_seen;
    struct check_area area;
    float *scratch =
        check_area_init(&area, se_attend_scratch(&job, max_seen, h->n_slots) * sizeof(float));
    memset(b->row[from].out, 0xff, (to - from) * b->row_floats * sizeof(float));
    impl->run(&job, scratch);
    assert_true(check_area_fini(&area));
}

static const uint32_t dims[] = { 2, 6, 16, 32, 34, 64, 80, 96, 128, 256, 512 };
static const uint32_t heads[] = { 1, 2, 3, 4, 6, 7, 8, 13, 16 };
enum { N_DIMS = sizeof dims / sizeof *dims, N_HEADS = sizeof heads / sizeof *heads };

struct shape {
    enum fill fill;
    uint32_t dim, n_q, n_rows, n, plain, spare;
    enum se_dtype dtype;
};

static struct shape draw_shape(enum se_dtype dtype, uint32_t number)
{
    struct shape s = { .fill = se_rng_below(&rng, FILLS), .dtype = dtype };
    s.dim = number % 3 ? 64 : dims[se_rng_below(&rng, N_DIMS)];
    s.n_q = heads[se_rng_below(&rng, N_HEADS)];
    s.n_rows = 1 + se_rng_below(&rng, number % 4 ? 9 : 40);
    s.n = 1 + se_rng_below(&rng, number % 4 ? 100 : 1000);
    if (s.dim > 128 || s.n_q > 8) { /* the reference takes its time */
        s.n = 1 + s.n % 120;
        s.n_rows = 1 + s.n_rows % 5;
    }
    uint32_t n_tail = se_rng_below(&rng, number % 5 ? 12 : 50);
    s.plain = n_tail < s.n ? s.n - n_tail : 0;
    s.spare = se_rng_below(&rng, 40);
    return s;
}

static void print_shape(const char *name, const struct shape *s)
{
    printf("%s %s/%s: %s, dim %u, %u heads, %u rows, %u positions, %u of them plain, %u spare\n",
           "case", se_dtype_name(s->dtype), name, fill_names[s->fill], s->dim, s->n_q, s->n_rows,
           s->n, s->plain, s->spare);
}

/* How far each row sees: all of it for the first, then any length, often alike. */
static void draw_views(struct batch *b, const struct history *h, uint32_t plain)
{
    for (uint32_t r = 0; r < b->n_rows; r++) {
        uint32_t n = r == 0 || se_rng_below(&rng, 3) == 0 ? h->n : 1 + se_rng_below(&rng, h->n);
        b->row[r].n_seen = n;
        b->row[r].plain = n < plain ? n : plain;
        b->row[r].tail = n > plain ? h->tail : NULL;
    }
}

static const struct se_attend_impl *reference(enum se_dtype dtype)
{
    const struct se_attend_impl *impl = se_attend_table;
    while (impl->dtype != dtype || impl->cpu)
        impl++;
    return impl;
}

/* How far a score may lie from the exact one. Every step of its sum rounds by at most half a
 * unit of the sum so far, to either side: four standard deviations of such a walk. (What bounds
 * it for certain grows with dim instead of its root, and would let faults pass.) */
static double score_drift(const struct history *h, const struct batch *b, uint32_t row,
                          uint32_t head)
{
    const float *q = b->row[row].q + (size_t)head * h->dim;
    double most = 0;
    for (uint32_t p = 0; p < b->row[row].n_seen; p++) {
        double sum = 0, squares = 0;
        for (uint32_t d = 0; d < h->dim; d++) {
            double product = (double)q[d] * (double)h->k[(size_t)p * h->dim + d];
            sum += product;
            squares += sum * sum + product * product; /* of the sum; of q * scale */
        }
        squares += 2 * sum * sum; /* the reference's score, and the distance to the largest */
        most = squares > most ? squares : most;
    }
    return 4 * (double)FLT_EPSILON / sqrt(12) * sqrt(most / h->dim);
}

/* A score that is off by x moves its share by x of it, and the mix by as much of a value's
 * distance from the mix. Beyond that, what float32 leaves of exp() and of sums of values. */
static bool close_to_reference(const struct history *h, const struct batch *b)
{
    double value = 0;
    for (size_t i = 0; i < (size_t)h->n * h->dim; i++)
        value = fmax(value, fabs((double)h->v[i]));
    for (uint32_t r = 0; r < b->n_rows; r++) {
        for (uint32_t head = 0; head < b->n_q; head++) {
            size_t at = r * b->row_floats + (size_t)head * h->dim;
            double allowed = 4e-6 + 2 * value * score_drift(h, b, r, head);
            if (!check_close(b->out + at, b->want + at, h->dim, 4e-6, allowed)) {
                printf("... of row %u, head %u; %.3g is allowed\n", r, head, allowed);
                return false;
            }
        }
    }
    return true;
}

/* The same positions lie in their own slots, then as a tail between others' slots. */
static void check_case(const struct se_attend_impl *impl, const struct shape *s)
{
    struct history h;
    struct batch b;
    size_t n = (size_t)s->n_rows * s->n_q * s->dim;
    history_init(&h, s->dtype, s->dim, s->n, s->fill);
    batch_init(&b, &h, s->n_rows, s->n_q, s->fill);
    lay_out(&h, s->plain, s->spare);
    draw_views(&b, &h, s->plain);
    run(reference(s->dtype), &h, &b, 0, b.n_rows);
    memcpy(b.want, b.out, n * sizeof(float));
    run(impl, &h, &b, 0, b.n_rows);
    assert_true(close_to_reference(&h, &b));

    memcpy(b.want, b.out, n * sizeof(float));
    for (uint32_t r = 0; r < b.n_rows; r++) /* alone */
        run(impl, &h, &b, r, r + 1);
    assert_true(check_same_bits(b.out, b.want, n));
    lay_out(&h, s->plain, s->spare + 7); /* in other slots */
    run(impl, &h, &b, b.n_rows / 2, b.n_rows);
    run(impl, &h, &b, 0, b.n_rows / 2 ? b.n_rows / 2 : b.n_rows);
    assert_true(check_same_bits(b.out, b.want, n));
    lay_out(&h, s->n, 0); /* all committed */
    for (uint32_t r = 0; r < b.n_rows; r++) {
        b.row[r].plain = b.row[r].n_seen;
        b.row[r].tail = NULL;
    }
    run(impl, &h, &b, 0, b.n_rows);
    assert_true(check_same_bits(b.out, b.want, n));
    history_fini(&h);
    batch_fini(&b);
}

static void rows_match_and_keep_their_bits(void **state)
{
    (void)state;
    for (uint32_t t = 0; t < se_attend_table_n; t++) {
        const struct se_attend_impl *impl = &se_attend_table[t];
        if (impl->cpu & ~se_cpu_flags())
            continue;
        for (uint32_t i = 0; i < (impl->cpu ? 60 : 10); i++) {
            struct shape s = draw_shape(impl->dtype, i);
            print_shape(impl->name, &s);
            check_case(impl, &s);
        }
    }
}

/* Every dim and number of heads once, at a length where all tiles and tails occur. */
static void every_shape_matches(void **state)
{
    (void)state;
    for (uint32_t t = 0; t < se_attend_table_n; t++) {
        const struct se_attend_impl *impl = &se_attend_table[t];
        if (!impl->cpu || (impl->cpu & ~se_cpu_flags()))
            continue;
        for (uint32_t i = 0; i < N_DIMS + N_HEADS; i++) {
            struct shape s = { .dtype = impl->dtype, .n_rows = 3, .spare = 5 };
            s.dim = i < N_DIMS ? dims[i] : 34;
            s.n_q = i < N_DIMS ? 3 : heads[i - N_DIMS];
            s.n = 37 + i;
            s.plain = s.n - 3 - i / 2;
            print_shape(impl->name, &s);
            check_case(impl, &s);
        }
    }
}

static void slots_move_whole(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 40; i++) {
        enum se_dtype dtype = i % 2 ? SE_DTYPE_F16 : SE_DTYPE_F32;
        uint32_t dim = dims[se_rng_below(&rng, N_DIMS)];
        struct history h;
        history_init(&h, dtype, dim, 40, NORMAL);
        lay_out(&h, 40, 0);
        uint32_t from = se_rng_below(&rng, 40), to = se_rng_below(&rng, 40);
        size_t page_b = (size_t)SE_PAGE_SLOTS * dim * (dtype == SE_DTYPE_F16 ? 2 : 4);
        void *want_key = se_mem_new(page_b, 1), *want_value = se_mem_new(page_b, 1);
        memcpy(want_key, h.key[to / 16], page_b);
        memcpy(want_value, h.value[to / 16], page_b);
        se_attend_store(dtype, want_key, want_value, to % 16, dim, h.k + (size_t)from * dim,
                        h.v + (size_t)from * dim);
        se_attend_move(dtype, h.key[from / 16], h.value[from / 16], from % 16, h.key[to / 16],
                       h.value[to / 16], to % 16, dim);
        assert_memory_equal(want_key, h.key[to / 16], page_b);
        assert_memory_equal(want_value, h.value[to / 16], page_b);
        se_mem_free(want_key);
        se_mem_free(want_value);
        history_fini(&h);
    }
}

struct timing {
    const struct se_attend_impl *impl;
    struct se_attend_job job;
    float *scratch;
};

static void call(void *context)
{
    struct timing *t = context;
    t->impl->run(&t->job, t->scratch);
}

static void bench_one(const struct se_attend_impl *impl, uint32_t n_rows, uint32_t n_q,
                      uint32_t dim, uint32_t context)
{
    struct history h;
    struct batch b;
    history_init(&h, impl->dtype, dim, context, NORMAL);
    batch_init(&b, &h, n_rows, n_q, NORMAL);
    uint32_t n_tail = n_rows > 1 ? 6 : 0;
    lay_out(&h, context - n_tail, n_rows);
    for (uint32_t r = 0; r < n_rows; r++) {
        b.row[r].n_seen = context;
        b.row[r].plain = context - n_tail;
        b.row[r].tail = h.tail;
    }
    struct timing t = { .impl = impl };
    t.job = (struct se_attend_job){
        (const void *const *)h.key, (const void *const *)h.value, b.row, n_rows, n_q, dim, 0.125f
    };
    t.scratch = se_mem_new(se_attend_scratch(&t.job, context, h.n_slots), sizeof(float));
    double ns = check_time(call, &t);
    double flop = 4.0 * n_rows * n_q * dim * context;
    double kv_b = 2.0 * context * dim * (impl->dtype == SE_DTYPE_F16 ? 2 : 4);
    printf("%-7s %s  %3u rows  %2u q heads  dim %3u  context %5u  %9.1f us  %6.1f GFLOP/s  %5.1f "
           "GB/s\n",
           impl->name, se_dtype_name(impl->dtype), n_rows, n_q, dim, context, ns / 1e3, flop / ns,
           kv_b / ns);
    se_mem_free(t.scratch);
    history_fini(&h);
    batch_fini(&b);
}

static int bench(void)
{
    for (uint32_t t = 0; t < se_attend_table_n; t++) {
        const struct se_attend_impl *impl = &se_attend_table[t];
        if (!impl->cpu || (impl->cpu & ~se_cpu_flags()))
            continue;
        bench_one(impl, 1, 1, 64, 512);
        bench_one(impl, 1, 8, 64, 512);
        bench_one(impl, 1, 8, 64, 4096);
        bench_one(impl, 8, 8, 64, 545);
        bench_one(impl, 33, 8, 64, 545);
        bench_one(impl, 33, 1, 64, 545);
        bench_one(impl, 33, 5, 128, 545);
        bench_one(impl, 128, 8, 64, 545);
        bench_one(impl, 33, 8, 64, 8192);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_matches),
        cmocka_unit_test(rows_match_and_keep_their_bits),
        cmocka_unit_test(slots_move_whole),
    };
    check_begin(&rng);
    if (argc > 1 && !strcmp(argv[1], "--bench"))
        return bench();
    for (uint32_t t = 0; t < se_attend_table_n; t++)
        check_usable(se_attend_table[t].name, se_attend_table[t].cpu);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? 1 : check_nothing();
}
