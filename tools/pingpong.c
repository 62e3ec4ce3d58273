/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/pingpong.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/base/conf_value.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"

static void be_silent(uint64_t ns, bool spin)
{
    const uint64_t end_ns = se_clock_ns() + ns;
    struct timespec pause = { .tv_sec = (time_t)(ns / 1000000000),
                              .tv_nsec = (long)(ns % 1000000000) };
    if (!spin)
        nanosleep(&pause, NULL);
    while (spin && se_clock_ns() < end_ns) {
    }
}

static int run_some(se_pingpong_trip *trip, void *of, uint64_t n, bool check, double unit_ns,
                    struct se_hist *hist)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t start_ns = se_clock_ns();
        int r = trip(of, check);
        if (r == 0 && hist)
            r = se_hist_add(hist, (double)(se_clock_ns() - start_ns) / unit_ns);
        if (r != 0)
            return se_trace(r);
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
    }
    return 0;
}

int se_pingpong_run(se_pingpong_trip *trip, void *of, const struct se_pingpong_plan *plan,
                    struct se_pingpong_times *times)
{
    int r = run_some(trip, of, 1, true, plan->unit_ns, &times->first);
    if (r == 0)
        r = run_some(trip, of, plan->warm_up, true, 1, NULL);
    if (r == 0)
        r = run_some(trip, of, plan->rounds, false, plan->unit_ns, &times->back_to_back);
    for (uint32_t g = 0; g < plan->n_gaps && r == 0; g++)
        for (uint64_t i = 0; i < plan->gap_rounds && r == 0; i++) {
            be_silent(plan->gap_ns[g], plan->spin);
            r = run_some(trip, of, 1, false, plan->unit_ns, &times->gap[g]);
        }
    return r;
}

int se_pingpong_gaps(struct se_pingpong_plan *plan, const char *text)
{
    static const struct se_conf_row row = {
        .name = "gap", .type = SE_CONF_TIME, .min = 1000, .max = 6e10
    };
    for (const char *at = text; *at != '\0';) {
        char one[32];
        const size_t len = strcspn(at, ",");
        if (plan->n_gaps == SE_PINGPONG_GAPS_MAX || len >= sizeof one)
            return se_usage("gap: '%s' is not up to %d times, as in 1ms,10ms", text,
                            SE_PINGPONG_GAPS_MAX);
        snprintf(one, sizeof one, "%.*s", (int)len, at);
        if (se_conf_value_set(&row, &plan->gap_ns[plan->n_gaps++], one, "gap") < 0)
            return SE_OUTCOME_USAGE;
        at += len + (at[len] == ',');
    }
    return 0;
}
