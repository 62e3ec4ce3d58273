/* SPDX-License-Identifier: Apache-2.0 */
/* Distributions: where a value falls, and whose counters they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sched/server/histogram.h"

static void a_value_falls_into_its_bucket(void **state)
{
    (void)state;
    for (int i = 0; i < SE_HISTOGRAM_END; i++) {
        const struct se_histogram_shape *shape = &se_histograms[i];
        const enum se_histogram which = (enum se_histogram)i;
        assert_int_equal(se_histogram_bucket(which, 0), shape->first);
        for (uint32_t k = 0; k < shape->n; k++) {
            assert_true(k == 0 || shape->bound[k] > shape->bound[k - 1]);
            assert_int_equal(se_histogram_bucket(which, shape->bound[k]), shape->first + k);
            assert_int_equal(se_histogram_bucket(which, shape->bound[k] + 1), shape->first + k + 1);
        }
        assert_int_equal(se_histogram_bucket(which, UINT64_MAX), shape->first + shape->n);
    }
}

/* "step_ns_le_100000" is the counter of that bound, and nobody else's. */
static void counters_are_named_by_their_bounds(void **state)
{
    unsigned uses[SE_COUNT_END] = { 0 };
    (void)state;
    for (int i = 0; i < SE_HISTOGRAM_END; i++) {
        const struct se_histogram_shape *shape = &se_histograms[i];
        char end[32];
        uses[shape->sum]++;
        for (uint32_t k = 0; k < shape->n; k++) {
            const char *name = se_counter_labels[shape->first + k].name;
            uses[shape->first + k]++;
            snprintf(end, sizeof end, "_le_%llu", (unsigned long long)shape->bound[k]);
            assert_string_equal(strstr(name, "_le_"), end);
        }
        uses[shape->first + shape->n]++;
        assert_string_equal(strrchr(se_counter_labels[shape->first + shape->n].name, '_'),
                            "_above");
    }
    for (int i = 0; i < SE_COUNT_END; i++) {
        assert_non_null(se_counter_labels[i].name);
        assert_true(uses[i] <= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_falls_into_its_bucket),
        cmocka_unit_test(counters_are_named_by_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
