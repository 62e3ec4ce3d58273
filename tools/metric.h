/* SPDX-License-Identifier: Apache-2.0 */
/* tools/metric.h - a server's counters as Prometheus names them, and their text.
 *
 * One row for each counter that is a metric by itself; the others are sums and buckets of the
 * distributions (sched/server/histogram.h), which have rows of their own. Any thread. */
#ifndef SE_TOOLS_METRIC_H
#define SE_TOOLS_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/stat.h"
#include "sched/server/account.h"
#include "sched/server/counter.h"
#include "sched/server/histogram.h"

#define SE_METRIC_PREFIX "specedge_"
#define SE_METRIC_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct se_metric {
    enum se_counter counter;
    const char *name;  /* behind the prefix */
    unsigned decimals; /* of the metric: 9 where the counter has nanoseconds and it has seconds */
    const char *help;
};
extern const struct se_metric se_metrics[];
extern const size_t se_metrics_n;

struct se_metric_histogram {
    const char *name;
    unsigned decimals;
    const char *help;
};
extern const struct se_metric_histogram se_metric_histograms[SE_HISTOGRAM_END];

/* Of each key that has come, with its name as the label. */
struct se_metric_key {
    enum se_account_count count;
    enum se_stat_kind kind;
    const char *name;
    const char *help;
};
extern const struct se_metric_key se_metric_keys[];
extern const size_t se_metric_keys_n;
struct se_metric_key_histogram {
    enum se_histogram which;
    const char *name;
};
extern const struct se_metric_key_histogram se_metric_key_histograms[];
extern const size_t se_metric_key_histograms_n;

/* What there is to tell. What is not known yet is left out. */
struct se_metric_source {
    uint64_t start_ns;                  /* of the process, by the clock of the day */
    bool ready;                         /* edges are served */
    const char *backend;                /* or NULL */
    const char *model;                  /* a name of any bytes, or NULL */
    const struct se_stat *stat;         /* of se_counter_labels, or NULL */
    const struct se_accounts *accounts; /* or NULL: there are no keys */
};

/* Writes all of it in Prometheus's text format. What cannot be written, to's error tells. */
void se_metric_write(FILE *to, const struct se_metric_source *source);

#endif
