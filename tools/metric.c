/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are written from integers, digit by digit: exact, and the same in every locale. */
#include "tools/metric.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/text/utf8.h"

enum { NS = 9, PPM = 6, DIGITS_B = 32 };

const struct se_metric se_metrics[] = {
    { SE_COUNT_FRAMES_IN, "received_frames_total", 0, "Messages from edges." },
    { SE_COUNT_FRAMES_OUT, "sent_frames_total", 0, "Messages to edges." },
    { SE_COUNT_BYTES_IN, "received_bytes_total", 0, "Bytes of messages from edges." },
    { SE_COUNT_BYTES_OUT, "sent_bytes_total", 0, "Bytes of messages to edges." },
    { SE_COUNT_SEND_WAITS, "send_waits_total", 0,
      "Answers that found no room on the link and were tried again." },
    { SE_COUNT_PEERS, "peers", 0, "Edges that are connected." },
    { SE_COUNT_SESSIONS, "sessions", 0, "Sessions that are open, the parked ones included." },
    { SE_COUNT_PARKED, "sessions_parked", 0, "Open sessions whose edge is gone." },
    { SE_COUNT_AT_WORK, "sessions_at_work", 0,
      "Open sessions that are in the middle of an answer." },
    { SE_COUNT_OPENED, "sessions_opened_total", 0, "Sessions opened." },
    { SE_COUNT_RESUMED, "sessions_resumed_total", 0, "Sessions that an edge came back to." },
    { SE_COUNT_CLOSED, "sessions_closed_total", 0, "Sessions that their edge closed." },
    { SE_COUNT_EXPIRED, "sessions_expired_total", 0,
      "Sessions given up: parked for too long, or for others' sake." },
    { SE_COUNT_EVICTIONS, "evictions_total", 0,
      "Sessions that lost their keys and values to others, to be computed again." },
    { SE_COUNT_ROUNDS, "rounds_total", 0, "Rounds answered." },
    { SE_COUNT_PUSHES, "pushes_total", 0,
      "Rounds that the server made by itself, for texts that it writes on." },
    { SE_COUNT_REPEATS, "repeats_total", 0, "Rounds asked for again and answered from memory." },
    { SE_COUNT_STALE, "stale_rounds_total", 0, "Rounds dropped: they were over, or asked twice." },
    { SE_COUNT_TOKENS, "tokens_total", 0, "Tokens that became text." },
    { SE_COUNT_DRAFTED, "drafted_tokens_total", 0, "Drafted tokens that were verified." },
    { SE_COUNT_ACCEPTED, "accepted_tokens_total", 0, "Drafted tokens that became text." },
    { SE_COUNT_PREFILLED, "prefilled_tokens_total", 0, "Tokens of prompts that were computed." },
    { SE_COUNT_STEPS, "steps_total", 0, "Steps of the engine." },
    { SE_COUNT_PASSED_MAX, "passed_steps_max", 0,
      "Most steps that ever left without a round that was ready." },
    { SE_COUNT_STEP_FAULTS, "step_faults_total", 0, "Rounds whose step failed." },
    { SE_COUNT_PAGES, "kv_pages", 0, "Pages for keys and values." },
    { SE_COUNT_PAGES_FREE, "kv_pages_free", 0, "Pages for keys and values that are free." },
    { SE_COUNT_REFUSED, "refused_hellos_total", 0,
      "Edges refused: another version, tokenizer or model, or the server leaves." },
    { SE_COUNT_BUSY, "busy_total", 0, "Edges and rounds told to come again later." },
    { SE_COUNT_GAPS, "gaps_total", 0, "Messages that belong behind a longer text than is there." },
    { SE_COUNT_HASH_FAULTS, "hash_faults_total", 0, "Rounds drafted from another text." },
    { SE_COUNT_MALFORMED, "malformed_frames_total", 0, "Messages that are none." },
    { SE_COUNT_FOREIGN, "foreign_frames_total", 0,
      "Messages about another edge's session, or with a wrong token." },
    { SE_COUNT_FLOODED, "flooded_frames_total", 0, "Messages beyond an edge's rate, not read." },
    { SE_COUNT_CUT, "peers_cut_total", 0, "Edges cut off for their faults." },
    { SE_COUNT_CYCLE_MAX_NS, "cycle_max_seconds", NS, "Longest round of the server's duty." },
};
const size_t se_metrics_n = sizeof se_metrics / sizeof se_metrics[0];

const struct se_metric_histogram se_metric_histograms[SE_HISTOGRAM_END] = {
    [SE_HISTOGRAM_VERIFY] = { "verify_tokens", 0,
                              "Tokens that became text, by round that an edge asked for." },
    [SE_HISTOGRAM_SHARE] = { "verify_accepted_ratio", PPM,
                             "Share of a tree's drafted tokens that became text." },
    [SE_HISTOGRAM_STEP_ROWS] = { "step_rows", 0, "Rows of a step, trees and prompts together." },
    [SE_HISTOGRAM_STEP_NS] = { "step_duration_seconds", NS, "Time that a step took." },
    [SE_HISTOGRAM_QUEUE_NS] = { "queue_wait_seconds", NS,
                                "Time that a round waited for its step, from its arrival." },
};

/* ---- numbers and lines */

static const char *number(char digits[DIGITS_B], uint64_t value, unsigned decimals)
{
    uint64_t one = 1;
    for (unsigned i = 0; i < decimals; i++)
        one *= 10;
    int len = snprintf(digits, DIGITS_B, "%" PRIu64, value / one);
    if (value % one == 0)
        return digits;
    len +=
        snprintf(digits + len, (size_t)(DIGITS_B - len), ".%0*" PRIu64, (int)decimals, value % one);
    while (digits[len - 1] == '0')
        digits[--len] = '\0';
    return digits;
}

static void write_head(FILE *to, const char *name, const char *type, const char *help)
{
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* What belongs to one user of many, once there are keys, has its label key="..." here, behind
 * the name; the counters are then those of the key, and the row says which of them it is. */
static void write_one(FILE *to, const struct se_metric *metric, const struct se_stat *stat)
{
    static const char *const type[] = { [SE_STAT_COUNTER] = "counter", [SE_STAT_GAUGE] = "gauge" };
    char name[96], digits[DIGITS_B];
    snprintf(name, sizeof name, SE_METRIC_PREFIX "%s", metric->name);
    write_head(to, name, type[se_counter_labels[metric->counter].kind], metric->help);
    fprintf(to, "%s %s\n", name,
            number(digits, se_stat_get(stat, metric->counter), metric->decimals));
}

/* The count is what the buckets come to, so that the last of them and it are always the same,
 * whatever the server adds meanwhile. */
static void write_histogram(FILE *to, enum se_histogram which, const struct se_stat *stat)
{
    const struct se_metric_histogram *metric = &se_metric_histograms[which];
    const struct se_histogram_shape *shape = &se_histograms[which];
    char name[96], digits[DIGITS_B];
    uint64_t count = 0;
    snprintf(name, sizeof name, SE_METRIC_PREFIX "%s", metric->name);
    write_head(to, name, "histogram", metric->help);
    for (uint32_t i = 0; i < shape->n; i++) {
        count += se_stat_get(stat, shape->first + i);
        fprintf(to, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name,
                number(digits, shape->bound[i], metric->decimals), count);
    }
    count += se_stat_get(stat, shape->first + shape->n);
    fprintf(to, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    fprintf(to, "%s_sum %s\n", name,
            number(digits, se_stat_get(stat, shape->sum), metric->decimals));
    fprintf(to, "%s_count %" PRIu64 "\n", name, count);
}

/* ---- what is no counter */

/* A label's value of any bytes. One that is no UTF-8 would have the whole page refused. */
static void write_label(FILE *to, const char *name, const char *value)
{
    const bool valid = se_utf8_valid(value, strlen(value));
    fprintf(to, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", to);
        else if (*value == '"' || *value == '\\')
            fprintf(to, "\\%c", *value);
        else
            fputc(valid || (unsigned char)*value < 0x80 ? *value : '?', to);
    }
    fputc('"', to);
}

static void write_build(FILE *to, const struct se_metric_source *source)
{
    static const char name[] = SE_METRIC_PREFIX "build_info";
    write_head(to, name, "gauge", "1, with what serves.");
    fprintf(to, "%s{version=\"" SE_VERSION "\",", name);
    write_label(to, "backend", source->backend ? source->backend : "");
    fputc(',', to);
    write_label(to, "model", source->model ? source->model : "");
    fputs("} 1\n", to);
}

static void write_process(FILE *to, const struct se_metric_source *source)
{
    char digits[DIGITS_B];
    static const char start[] = "process_start_time_seconds", ready[] = SE_METRIC_PREFIX "ready";
    write_head(to, start, "gauge", "When the process started, in seconds since 1970.");
    fprintf(to, "%s %s\n", start, number(digits, source->start_ns, NS));
    write_head(to, ready, "gauge", "1 while edges are served; 0 while it starts or leaves.");
    fprintf(to, "%s %d\n", ready, source->ready);
}

void se_metric_write(FILE *to, const struct se_metric_source *source)
{
    write_build(to, source);
    write_process(to, source);
    if (!source->stat)
        return;
    for (size_t i = 0; i < se_metrics_n; i++)
        write_one(to, &se_metrics[i], source->stat);
    for (uint32_t i = 0; i < SE_HISTOGRAM_END; i++)
        write_histogram(to, (enum se_histogram)i, source->stat);
}
