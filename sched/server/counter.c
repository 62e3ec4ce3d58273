/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/counter.h"

#define COUNTER(text) \
    { \
        .name = text, .kind = SE_STAT_COUNTER \
    }
#define GAUGE(text) \
    { \
        .name = text, .kind = SE_STAT_GAUGE \
    }

/* The rows of a distribution, each behind the one before it. */
#define VERIFY(bound) COUNTER("verify_tokens_le_" #bound),
#define SHARE(bound) COUNTER("accepted_ppm_le_" #bound),
#define STEP_ROWS(bound) COUNTER("step_rows_le_" #bound),
#define STEP_NS(bound) COUNTER("step_ns_le_" #bound),
#define QUEUE_NS(bound) COUNTER("queue_ns_le_" #bound),

const struct se_stat_label se_counter_labels[SE_COUNT_END] = {
    [SE_COUNT_FRAMES_IN] = COUNTER("frames_in"),
    [SE_COUNT_FRAMES_OUT] = COUNTER("frames_out"),
    [SE_COUNT_BYTES_IN] = COUNTER("bytes_in"),
    [SE_COUNT_BYTES_OUT] = COUNTER("bytes_out"),
    [SE_COUNT_SEND_WAITS] = COUNTER("send_waits"),
    [SE_COUNT_PEERS] = GAUGE("peers"),
    [SE_COUNT_SESSIONS] = GAUGE("sessions"),
    [SE_COUNT_PARKED] = GAUGE("sessions_parked"),
    [SE_COUNT_AT_WORK] = GAUGE("sessions_at_work"),
    [SE_COUNT_OPENED] = COUNTER("sessions_opened"),
    [SE_COUNT_RESUMED] = COUNTER("sessions_resumed"),
    [SE_COUNT_CLOSED] = COUNTER("sessions_closed"),
    [SE_COUNT_EXPIRED] = COUNTER("sessions_expired"),
    [SE_COUNT_EVICTIONS] = COUNTER("evictions"),
    [SE_COUNT_ROUNDS] = COUNTER("rounds"),
    [SE_COUNT_PUSHES] = COUNTER("pushes"),
    [SE_COUNT_REPEATS] = COUNTER("repeats"),
    [SE_COUNT_STALE] = COUNTER("stale_rounds"),
    [SE_COUNT_TOKENS] = COUNTER("tokens"),
    [SE_COUNT_DRAFTED] = COUNTER("drafted"),
    [SE_COUNT_ACCEPTED] = COUNTER("accepted"),
    [SE_COUNT_PREFILLED] = COUNTER("prefilled"),
    [SE_COUNT_STEPS] = COUNTER("steps"),
    [SE_COUNT_STEP_ROWS] = COUNTER("step_rows"),
    [SE_COUNT_STEP_NS] = COUNTER("step_ns"),
    [SE_COUNT_QUEUE_NS] = COUNTER("queue_ns"),
    [SE_COUNT_PASSED_MAX] = GAUGE("passed_max"),
    [SE_COUNT_STEP_FAULTS] = COUNTER("step_faults"),
    [SE_COUNT_PAGES] = GAUGE("kv_pages"),
    [SE_COUNT_PAGES_FREE] = GAUGE("kv_pages_free"),
    [SE_COUNT_REFUSED] = COUNTER("refused"),
    [SE_COUNT_BUSY] = COUNTER("busy"),
    [SE_COUNT_GAPS] = COUNTER("gaps"),
    [SE_COUNT_HASH_FAULTS] = COUNTER("hash_faults"),
    [SE_COUNT_MALFORMED] = COUNTER("malformed_frames"),
    [SE_COUNT_FOREIGN] = COUNTER("foreign_frames"),
    [SE_COUNT_FLOODED] = COUNTER("flooded_frames"),
    [SE_COUNT_CUT] = COUNTER("peers_cut"),
    [SE_COUNT_KEY_UNKNOWN] = COUNTER("keys_unknown"),
    [SE_COUNT_KEY_REVOKED] = COUNTER("keys_revoked"),
    [SE_COUNT_KEY_FORGED] = COUNTER("keys_forged"),
    [SE_COUNT_KEY_ADMIN] = COUNTER("keys_not_admin"),
    [SE_COUNT_KEY_FULL] = COUNTER("keys_full"),
    [SE_COUNT_THROTTLED] = COUNTER("throttled"),
    [SE_COUNT_CYCLE_MAX_NS] = GAUGE("cycle_max_ns"),
    [SE_COUNT_VERIFY_SUM] = COUNTER("verify_tokens"),
    [SE_COUNT_SHARE_SUM] = COUNTER("accepted_ppm"),
    [SE_COUNT_VERIFY_LE] = SE_BOUNDS_VERIFY(VERIFY) COUNTER("verify_tokens_above"),
    [SE_COUNT_SHARE_LE] = SE_BOUNDS_SHARE_PPM(SHARE) COUNTER("accepted_ppm_above"),
    [SE_COUNT_STEP_ROWS_LE] = SE_BOUNDS_STEP_ROWS(STEP_ROWS) COUNTER("step_rows_above"),
    [SE_COUNT_STEP_NS_LE] = SE_BOUNDS_STEP_NS(STEP_NS) COUNTER("step_ns_above"),
    [SE_COUNT_QUEUE_NS_LE] = SE_BOUNDS_QUEUE_NS(QUEUE_NS) COUNTER("queue_ns_above"),
};

uint64_t se_counter_schema(void)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < SE_COUNT_END; i++) {
        for (const char *at = se_counter_labels[i].name; *at; at++)
            sum = (sum ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
        sum = (sum ^ (uint64_t)se_counter_labels[i].kind ^ 0x100) * UINT64_C(0x100000001b3);
    }
    return sum;
}
