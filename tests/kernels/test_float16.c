/* SPDX-License-Identifier: Apache-2.0 */
/* Every 16-bit pattern, and drawn 32-bit ones, against values computed in double. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/float16.h"
#include "runtime/base/rng.h"

enum { PATTERNS = 65536, DRAWS = 400000 };

static uint64_t seed;

struct format {
    const char *name;
    uint32_t fraction, bias, top; /* bits of fraction; exponent bias; largest exponent field */
    float (*widen)(uint16_t);
    uint16_t (*narrow)(float);
};

static const struct format formats[] = {
    { "f16", 10, 15, 31, se_f16_to_f32, se_f32_to_f16 },
    { "bf16", 7, 127, 255, se_bf16_to_f32, se_f32_to_bf16 },
};

/* What the bits mean; NaN for NaN. */
static double meaning(const struct format *f, uint32_t bits)
{
    uint32_t exponent = (bits & 0x7fffu) >> f->fraction, part = bits & ((1u << f->fraction) - 1);
    double value;

    if (exponent == f->top)
        value = part ? (double)NAN : (double)INFINITY;
    else if (exponent)
        value = ldexp(part + ldexp(1, (int)f->fraction), (int)(exponent - f->bias - f->fraction));
    else
        value = ldexp(part, (int)(1 - f->bias - f->fraction));
    return bits & 0x8000u ? -value : value;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void every_pattern_widens_and_comes_back(void **state)
{
    (void)state;
    for (uint32_t f = 0; f < 2; f++)
        for (uint32_t bits = 0; bits < PATTERNS; bits++) {
            double want = meaning(&formats[f], bits);
            float got = formats[f].widen((uint16_t)bits);
            uint16_t back = formats[f].narrow(got);
            if (isnan(want)) {
                assert_true(isnan(got));
                assert_true(isnan(formats[f].widen(back)));
                assert_int_equal(back & 0x8000u, bits & 0x8000u);
                continue;
            }
            if ((double)got != want || !signbit(got) != !signbit(want) || back != bits)
                fail_msg("%s %04x: widened %a, not %a; back %04x", formats[f].name, bits,
                         (double)got, want, back);
        }
}

/* The nearest of the two neighbours, the even one in a tie, all computed in double. */
static uint32_t nearest(const struct format *f, float value)
{
    uint32_t sign = signbit(value) ? 0x8000u : 0, low = 0, high = f->top << f->fraction;
    double want = fabs((double)value);

    if (isinf(value))
        return sign | high;
    while (high - low > 1) { /* meaning(low) <= want < meaning(high) */
        uint32_t middle = (low + high) / 2;
        *(meaning(f, middle) <= want ? &low : &high) = middle;
    }
    /* the largest finite number's upper neighbour counts as the next power of two */
    double above =
        high == f->top << f->fraction ? ldexp(1, (int)(f->top - f->bias)) : meaning(f, high);
    double to_low = want - meaning(f, low), to_high = above - want;
    if (to_low == to_high)
        return sign | (low & 1 ? high : low);
    return sign | (to_low < to_high ? low : high);
}

static void check_narrow(const struct format *f, uint32_t bits)
{
    float value = float_of(bits);
    uint16_t got = f->narrow(value);

    if (isnan(value)) {
        /* a quiet NaN: the top bit of the fraction */
        if (!isnan(meaning(f, got)) || !(got >> (f->fraction - 1) & 1))
            fail_msg("%s: NaN %08x became %04x", f->name, bits, got);
    } else if (got != nearest(f, value)) {
        fail_msg("%s: %08x (%a) became %04x, not %04x (seed %llu)", f->name, bits, (double)value,
                 got, nearest(f, value), (unsigned long long)seed);
    }
}

/* Values between the neighbours of every pattern, exactly in the middle and next to it. */
static void midpoints_round_to_even(void **state)
{
    (void)state;
    for (uint32_t f = 0; f < 2; f++)
        for (uint32_t bits = 0; bits < (formats[f].top << formats[f].fraction); bits++) {
            float low = (float)meaning(&formats[f], bits);
            uint32_t there, middle;
            double next = meaning(&formats[f], bits + 1);
            float half = isinf(next) ? low : (float)(((double)low + next) / 2);
            memcpy(&there, &low, 4);
            memcpy(&middle, &half, 4);
            for (uint32_t step = 0; step < 3; step++) {
                check_narrow(&formats[f], middle + step - 1 + (middle == 0));
                check_narrow(&formats[f], (middle + step - 1 + (middle == 0)) | 0x80000000u);
            }
            check_narrow(&formats[f], there);
        }
}

static void drawn_floats_round_to_nearest(void **state)
{
    struct se_rng rng;

    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t bits = se_rng_u32(&rng);
        if (i % 2) /* half of them where f16 has its numbers */
            bits = (bits & 0x807fffffu) | (95 + se_rng_below(&rng, 55)) << 23;
        check_narrow(&formats[0], bits);
        if (i % 8 < 2)
            check_narrow(&formats[1], bits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pattern_widens_and_comes_back),
        cmocka_unit_test(midpoints_round_to_even),
        cmocka_unit_test(drawn_floats_round_to_nearest),
    };
    const char *given = getenv("SE_TEST_SEED");

    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
