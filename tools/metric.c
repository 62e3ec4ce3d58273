/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are written from integers, digit by digit: exact, and the same in every locale. */
#include "tools/metric.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/text/utf8.h"

enum { NS = 9, PPM = 6, DIGITS_B = 32, BUCKETS_MAX = 32 };
_Static_assert(SE_BOUNDS_N(SE_BOUNDS_STEP_NS) < BUCKETS_MAX &&
                   SE_BOUNDS_N(SE_BOUNDS_QUEUE_NS) < BUCKETS_MAX,
               "room for the buckets");

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
    { SE_COUNT_KEY_UNKNOWN, "keys_unknown_total", 0,
      "Connections turned away: their key is not in the list." },
    { SE_COUNT_KEY_REVOKED, "keys_revoked_total", 0,
      "Connections turned away or ended: their key is revoked." },
    { SE_COUNT_KEY_FORGED, "keys_forged_total", 0,
      "Connections turned away: they did not have the key that they named." },
    { SE_COUNT_KEY_ADMIN, "keys_not_admin_total", 0,
      "Connections to the admin endpoint turned away: their key is no admin's." },
    { SE_COUNT_KEY_FULL, "keys_full_total", 0,
      "Sessions refused: their key had as many as it may." },
    { SE_COUNT_THROTTLED, "throttled_total", 0,
      "Rounds told to come later: their key had its tokens of this second." },
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

const struct se_metric_key se_metric_keys[] = {
    { SE_ACCOUNT_SESSIONS, SE_STAT_GAUGE, "key_sessions", "Sessions that the key has open." },
    { SE_ACCOUNT_OPENED, SE_STAT_COUNTER, "key_sessions_opened_total",
      "Sessions that the key has opened." },
    { SE_ACCOUNT_FULL, SE_STAT_COUNTER, "key_full_total",
      "Sessions refused: the key had as many as it may." },
    { SE_ACCOUNT_THROTTLED, SE_STAT_COUNTER, "key_throttled_total",
      "Rounds told to come later: the key had its tokens of this second." },
    { SE_ACCOUNT_ROUNDS, SE_STAT_COUNTER, "key_rounds_total", "Rounds answered, by key." },
    { SE_ACCOUNT_TOKENS, SE_STAT_COUNTER, "key_tokens_total", "Tokens that became text, by key." },
    { SE_ACCOUNT_DRAFTED, SE_STAT_COUNTER, "key_drafted_tokens_total",
      "Drafted tokens that were verified, by key." },
    { SE_ACCOUNT_ACCEPTED, SE_STAT_COUNTER, "key_accepted_tokens_total",
      "Drafted tokens that became text, by key." },
};
const size_t se_metric_keys_n = sizeof se_metric_keys / sizeof se_metric_keys[0];

const struct se_metric_key_histogram se_metric_key_histograms[] = {
    { SE_HISTOGRAM_VERIFY, "key_verify_tokens" },
    { SE_HISTOGRAM_SHARE, "key_verify_accepted_ratio" },
};
const size_t se_metric_key_histograms_n =
    sizeof se_metric_key_histograms / sizeof se_metric_key_histograms[0];

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

static const char *const type[] = { [SE_STAT_COUNTER] = "counter", [SE_STAT_GAUGE] = "gauge" };

static void write_one(FILE *to, const struct se_metric *metric, const struct se_stat *stat)
{
    char name[96], digits[DIGITS_B];
    snprintf(name, sizeof name, SE_METRIC_PREFIX "%s", metric->name);
    write_head(to, name, type[se_counter_labels[metric->counter].kind], metric->help);
    fprintf(to, "%s %s\n", name,
            number(digits, se_stat_get(stat, metric->counter), metric->decimals));
}

/* What a distribution has counted, of all or of one key. */
struct counted {
    uint64_t sum, bucket[BUCKETS_MAX];
};

/* key: "" or key="NAME". The count is what the buckets come to, so that the last of them and it
 * are always the same, whatever the server adds meanwhile. */
static void write_buckets(FILE *to, const char *name, enum se_histogram which, const char *key,
                          const struct counted *of)
{
    const struct se_histogram_shape *shape = &se_histograms[which];
    const unsigned decimals = se_metric_histograms[which].decimals;
    const char *left = *key ? "{" : "", *right = *key ? "}" : "", *comma = *key ? "," : "";
    char digits[DIGITS_B];
    uint64_t count = 0;
    for (uint32_t i = 0; i < shape->n; i++) {
        count += of->bucket[i];
        fprintf(to, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, key, comma,
                number(digits, shape->bound[i], decimals), count);
    }
    count += of->bucket[shape->n];
    fprintf(to, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, key, comma, count);
    fprintf(to, "%s_sum%s%s%s %s\n", name, left, key, right, number(digits, of->sum, decimals));
    fprintf(to, "%s_count%s%s%s %" PRIu64 "\n", name, left, key, right, count);
}

static void write_histogram(FILE *to, enum se_histogram which, const struct se_stat *stat)
{
    const struct se_histogram_shape *shape = &se_histograms[which];
    struct counted of = { .sum = se_stat_get(stat, shape->sum) };
    char name[96];
    for (uint32_t i = 0; i <= shape->n; i++)
        of.bucket[i] = se_stat_get(stat, shape->first + i);
    snprintf(name, sizeof name, SE_METRIC_PREFIX "%s", se_metric_histograms[which].name);
    write_head(to, name, "histogram", se_metric_histograms[which].help);
    write_buckets(to, name, which, "", &of);
}

/* ---- keys: their names are letters, digits and a few signs, which need no care */

static void write_key_counts(FILE *to, const struct se_metric_key *metric,
                             const struct se_accounts *all, uint32_t n)
{
    char name[96];
    snprintf(name, sizeof name, SE_METRIC_PREFIX "%s", metric->name);
    write_head(to, name, type[metric->kind], metric->help);
    for (uint32_t i = 0; i < n; i++)
        fprintf(to, "%s{key=\"%s\"} %" PRIu64 "\n", name, all->of[i]->name,
                se_account_get(all->of[i], metric->count));
}

static void write_key_histogram(FILE *to, const struct se_metric_key_histogram *metric,
                                const struct se_accounts *all, uint32_t n)
{
    const enum se_account_count first = se_account_first(metric->which);
    char name[96], key[SE_KEYRING_NAME_B + 8];
    snprintf(name, sizeof name, SE_METRIC_PREFIX "%s", metric->name);
    write_head(to, name, "histogram", se_metric_histograms[metric->which].help);
    for (uint32_t i = 0; i < n; i++) {
        const struct se_account *account = all->of[i];
        struct counted of = { .sum = se_account_get(account, se_account_sum(metric->which)) };
        for (uint32_t k = 0; k <= se_histograms[metric->which].n; k++)
            of.bucket[k] = se_account_get(account, (enum se_account_count)(first + k));
        snprintf(key, sizeof key, "key=\"%s\"", account->name);
        write_buckets(to, name, metric->which, key, &of);
    }
}

static void write_keys(FILE *to, const struct se_accounts *all)
{
    const uint32_t n = se_accounts_n(all);
    for (size_t i = 0; n > 0 && i < se_metric_keys_n; i++)
        write_key_counts(to, &se_metric_keys[i], all, n);
    for (size_t i = 0; n > 0 && i < se_metric_key_histograms_n; i++)
        write_key_histogram(to, &se_metric_key_histograms[i], all, n);
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
    if (source->accounts)
        write_keys(to, source->accounts);
}
