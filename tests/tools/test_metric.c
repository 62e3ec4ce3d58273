/* SPDX-License-Identifier: Apache-2.0 */
/* Every counter is part of one metric, named as Prometheus's users expect; and the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/metric.h"

static struct se_stat *new_stat(void)
{
    struct se_stat *stat = NULL;
    assert_int_equal(se_stat_create(&stat, NULL, se_counter_labels, SE_COUNT_END), 0);
    return stat;
}

/* What is written, the caller's to free. */
static char *text_of(const struct se_metric_source *source)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    se_metric_write(to, source);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(strlen(text), len);
    return text;
}

static void assert_has(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    if (!at || (at != text && at[-1] != '\n'))
        fail_msg("no line '%s' in\n%s", line, text);
}

static bool ends(const char *name, const char *with)
{
    size_t len = strlen(name), end = strlen(with);
    return len > end && !strcmp(name + len - end, with);
}

static void every_counter_has_one_metric(void **state)
{
    unsigned uses[SE_COUNT_END] = { 0 };
    (void)state;
    for (size_t i = 0; i < se_metrics_n; i++)
        uses[se_metrics[i].counter]++;
    for (int i = 0; i < SE_HISTOGRAM_END; i++) {
        uses[se_histograms[i].sum]++;
        for (uint32_t k = 0; k <= se_histograms[i].n; k++)
            uses[se_histograms[i].first + k]++;
    }
    for (int i = 0; i < SE_COUNT_END; i++) {
        assert_non_null(se_counter_labels[i].name);
        if (uses[i] != 1)
            fail_msg("counter %s is part of %u metrics", se_counter_labels[i].name, uses[i]);
    }
}

/* Letters, digits and single underscores; whole units; a sentence that explains. */
static void check_name(const char *name, const char *help, unsigned decimals)
{
    assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
    assert_null(strstr(name, "__"));
    assert_false(ends(name, "_ns") || ends(name, "_ms") || ends(name, "_us") || ends(name, "_ppm"));
    if (decimals == 9 && !strstr(name, "seconds"))
        fail_msg("%s does not say that it is in seconds", name);
    assert_true(strlen(help) > 3 && strlen(help) < 100 && ends(help, "."));
    assert_null(strpbrk(help, "\n\\\""));
}

static void names_follow_the_conventions(void **state)
{
    (void)state;
    for (size_t i = 0; i < se_metrics_n; i++) {
        const struct se_metric *m = &se_metrics[i];
        check_name(m->name, m->help, m->decimals);
        if (ends(m->name, "_total") != (se_counter_labels[m->counter].kind == SE_STAT_COUNTER))
            fail_msg("%s: _total is for counters alone, and for all of them", m->name);
        if (strstr(se_counter_labels[m->counter].name, "_ns") && m->decimals != 9)
            fail_msg("%s is not in seconds", m->name);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(m->name, se_metrics[k].name);
    }
    for (int i = 0; i < SE_HISTOGRAM_END; i++) {
        const struct se_metric_histogram *m = &se_metric_histograms[i];
        check_name(m->name, m->help, m->decimals);
        assert_false(ends(m->name, "_total") || ends(m->name, "_count") || ends(m->name, "_sum"));
    }
}

static void buckets_are_added_up(void **state)
{
    struct se_stat *stat = new_stat();
    const struct se_metric_source source = { .stat = stat };
    (void)state;
    const uint64_t took_ns[] = { 1, 100000, 100001, 2500000, 9000000000, 9000000001 };
    for (size_t i = 0; i < sizeof took_ns / sizeof took_ns[0]; i++) {
        se_stat_add(stat, se_histogram_bucket(SE_HISTOGRAM_STEP_NS, took_ns[i]), 1);
        se_stat_add(stat, SE_COUNT_STEP_NS, took_ns[i]);
    }
    char *text = text_of(&source);
    assert_has(text, "# TYPE specedge_step_duration_seconds histogram\n"
                     "specedge_step_duration_seconds_bucket{le=\"0.0001\"} 2\n"
                     "specedge_step_duration_seconds_bucket{le=\"0.0002\"} 3\n");
    assert_has(text, "specedge_step_duration_seconds_bucket{le=\"0.002\"} 3\n"
                     "specedge_step_duration_seconds_bucket{le=\"0.005\"} 4\n");
    assert_has(text, "specedge_step_duration_seconds_bucket{le=\"5\"} 4\n"
                     "specedge_step_duration_seconds_bucket{le=\"+Inf\"} 6\n"
                     "specedge_step_duration_seconds_sum 18.002700003\n"
                     "specedge_step_duration_seconds_count 6\n");
    free(text);
    se_stat_free(stat);
}

static void numbers_are_whole(void **state)
{
    struct se_stat *stat = new_stat();
    const struct se_metric_source source = { .start_ns = UINT64_C(1764164696000000001),
                                             .ready = true,
                                             .stat = stat };
    (void)state;
    se_stat_set(stat, SE_COUNT_TOKENS, UINT64_MAX);
    se_stat_set(stat, SE_COUNT_CYCLE_MAX_NS, 1020000000);
    se_stat_set(stat, SE_COUNT_SHARE_SUM, 250000);
    char *text = text_of(&source);
    assert_has(text, "# HELP specedge_tokens_total Tokens that became text.\n"
                     "# TYPE specedge_tokens_total counter\n"
                     "specedge_tokens_total 18446744073709551615\n");
    assert_has(text, "# TYPE specedge_cycle_max_seconds gauge\nspecedge_cycle_max_seconds 1.02\n");
    assert_has(text, "specedge_verify_accepted_ratio_sum 0.25\n");
    assert_has(text, "process_start_time_seconds 1764164696.000000001\n");
    assert_has(text, "specedge_ready 1\n");
    free(text);
    se_stat_free(stat);
}

static void labels_may_be_any_bytes(void **state)
{
    struct se_metric_source source = { .backend = "a\"b\\c\nd", .model = "\303\251t\303\251" };
    (void)state;
    char *text = text_of(&source);
    assert_has(text, "specedge_build_info{version=\"" SE_VERSION
                     "\",backend=\"a\\\"b\\\\c\\nd\",model=\"\303\251t\303\251\"} 1\n");
    assert_null(strstr(text, "tokens")); /* nothing is counted yet */
    free(text);
    source.model = "x\377y";
    text = text_of(&source);
    assert_non_null(strstr(text, ",model=\"x?y\"} 1\n"));
    free(text);
    source = (struct se_metric_source){ 0 };
    text = text_of(&source);
    assert_non_null(strstr(text, ",backend=\"\",model=\"\"} 1\n"));
    assert_has(text, "specedge_ready 0\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_has_one_metric),
        cmocka_unit_test(names_follow_the_conventions),
        cmocka_unit_test(buckets_are_added_up),
        cmocka_unit_test(numbers_are_whole),
        cmocka_unit_test(labels_may_be_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
