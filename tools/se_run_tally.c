/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_tally.h"

#include <inttypes.h>
#include <math.h>

#include "runtime/base/err.h"

void se_run_tally_fini(struct se_run_tally *tally)
{
    se_hist_fini(&tally->first);
    se_hist_fini(&tally->between);
    *tally = SE_RUN_TALLY_NULL;
}

static int add_times(struct se_run_tally *t, const struct se_edge_round *round)
{
    if (t->last_ns == 0)
        return se_hist_add(&t->first, (double)round->at_ns * 1e-9);
    int r = 0;
    double each_s = (double)(round->at_ns - t->last_ns) * 1e-9 / round->tokens;
    for (uint32_t i = 0; r == 0 && i < round->tokens; i++)
        r = se_hist_add(&t->between, each_s);
    return r;
}

int se_run_tally_round(struct se_run_tally *t, const struct se_edge_round *round)
{
    t->rounds++;
    t->accepted += round->tokens;
    t->bets += round->hit || round->ahead_levels > 0 || round->ahead_ns > 0;
    t->won += round->hit;
    t->up_b += round->up_b;
    t->down_b += round->down_b;
    t->resent += round->sent > 1 ? round->sent - 1 : 0;
    int r = add_times(t, round);
    t->last_ns = round->at_ns;
    return r;
}

void se_run_tally_answer(struct se_run_tally *t, uint64_t tokens, uint64_t ns)
{
    t->answers++;
    t->tokens += tokens;
    t->ns += ns;
    t->last_ns = 0;
}

/* NaN where there is nothing to divide by. */
static double ratio(double a, double b) { return b > 0 ? a / b : NAN; }

/* What the numbers come to, for people and programs alike. */
struct figures {
    double seconds, per_second, per_round, first_s, p50_s, p95_s, hits, up_b, down_b;
};

static struct figures figures_of(struct se_run_tally *t)
{
    double tokens = (double)t->tokens;
    return (struct figures){
        .seconds = (double)t->ns * 1e-9,
        .per_second = ratio(tokens, (double)t->ns * 1e-9),
        .per_round = ratio((double)t->accepted, (double)t->rounds),
        .first_s = se_hist_at(&t->first, 0.5),
        .p50_s = se_hist_at(&t->between, 0.5),
        .p95_s = se_hist_at(&t->between, 0.95),
        .hits = ratio((double)t->won, (double)t->bets),
        .up_b = ratio((double)t->up_b, tokens),
        .down_b = ratio((double)t->down_b, tokens),
    };
}

/* "12.3 ms", or "-" for what was never measured. */
static const char *show_ms(double s, char text[32])
{
    snprintf(text, 32, isnan(s) ? "-" : "%.1f ms", s * 1e3);
    return text;
}

static const char *show(double value, char text[32])
{
    snprintf(text, 32, isnan(value) ? "-" : "%.2f", value);
    return text;
}

void se_run_tally_print(struct se_run_tally *t, FILE *to)
{
    struct figures f = figures_of(t);
    char a[32], b[32], c[32];
    fprintf(to, "%" PRIu64 " tokens in %" PRIu64 " rounds, %s tokens per verify; ", t->tokens,
            t->rounds, show(f.per_round, a));
    fprintf(to, "%.3f s, %s tok/s\n", f.seconds, show(f.per_second, a));
    fprintf(to, "first token after %s%s, between tokens %s p50, %s p95\n", show_ms(f.first_s, a),
            t->answers > 1 ? " p50" : "", show_ms(f.p50_s, b), show_ms(f.p95_s, c));
    fprintf(to, "bets won %" PRIu64 " of %" PRIu64, t->won, t->bets);
    if (t->bets > 0)
        fprintf(to, " (%.0f %%)", f.hits * 100);
    fprintf(to, "; bytes per token %s up, %s down; sent again %" PRIu64 "\n", show(f.up_b, a),
            show(f.down_b, b), t->resent);
}

void se_run_tally_line(struct se_run_tally *t, const char *name, FILE *to)
{
    struct figures f = figures_of(t);
    char a[32], b[32], c[32];
    fprintf(to,
            "%-16s %4" PRIu64 " answers, %6" PRIu64 " tokens, %s tokens per verify, %s tok/s, "
            "between tokens %s p50\n",
            name, t->answers, t->tokens, show(f.per_round, a), show(f.per_second, b),
            show_ms(f.p50_s, c));
}

/* JSON has no NaN. */
static json_t *real(double value) { return isnan(value) ? json_null() : json_real(value); }

json_t *se_run_tally_json(struct se_run_tally *t)
{
    struct figures f = figures_of(t);
    return json_pack(
        "{s:I, s:I, s:I, s:o, s:f, s:o, s:o, s:{s:o, s:o}, s:I, s:I, s:o, s:I, s:I, s:o, s:o, s:I}",
        "answers", (json_int_t)t->answers, "tokens", (json_int_t)t->tokens, "rounds",
        (json_int_t)t->rounds, "tokens_per_verify", real(f.per_round), "seconds", f.seconds,
        "tokens_per_s", real(f.per_second), "first_token_s", real(f.first_s), "inter_token_ms",
        "p50", real(f.p50_s * 1e3), "p95", real(f.p95_s * 1e3), "bets", (json_int_t)t->bets,
        "bets_won", (json_int_t)t->won, "hit_rate", real(f.hits), "up_bytes", (json_int_t)t->up_b,
        "down_bytes", (json_int_t)t->down_b, "up_bytes_per_token", real(f.up_b),
        "down_bytes_per_token", real(f.down_b), "resends", (json_int_t)t->resent);
}
