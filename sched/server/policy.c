/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline policy.
 *
 *   now ──────── wait for k ────────┬─── step: the ready and k ───┬─── step: the others ───┬──►
 *                                 L(k)                          E(k)                     F(k)
 *
 * S are the rounds that are ready and those expected before a step that is launched at once
 * would end. For every k, from none to all of those expected, let
 *
 *   L(k) = start, or the arrival of the k-th           T(n) = measured time of n rows
 *   E(k) = L(k) + T(rows that are ready, and of the first k)
 *   F(k) = E(k) + T(rows of the others in S)
 *
 *   cost(k) = (ready + k) * E(k) + others * F(k)       the rounds of S, until they are answered
 *           + busy * at_work * (F(k) - L(k))           everybody, for the engine's time
 *
 * and the least cost wins, the smallest k in a tie. The first two terms weigh the wait against
 * the fixed cost of a second step. They say nothing of those who are not in S: with an engine
 * that is idle half of the time these lose nothing when two steps are run for one, but with
 * one that is always busy each of the sessions at work waits for every step. Hence the third.
 *
 * The wait for others is bounded by wait_ns, from the moment on that a round is there and the
 * engine is free. The time of a step that runs is not wait for others: counted as such, whoever
 * came during a long step would be launched behind it without the many who come a moment later,
 * and those wait for two steps.
 *
 * A round that is late is not waited for: nothing is known of when it comes, and a server that
 * waits for what fell asleep or was lost does so for all the others. */
#include "sched/server/policy.h"

#include <stdbool.h>

static uint64_t add(uint64_t a, uint64_t b) { return a < UINT64_MAX - b ? a + b : UINT64_MAX; }

static bool is_full(const struct se_policy_view *view)
{
    return view->rows >= view->max_rows || (view->batch > 0 && view->ready >= view->batch);
}

/* S beyond the ready rounds. */
struct expected {
    const struct se_arrival *arrival;
    uint32_t n, rows;
};

/* The first who is not late. */
static uint32_t find_on_time(const struct se_policy_view *view)
{
    uint32_t low = 0, high = view->n_next;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (view->next[middle].at_ns <= view->start_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct expected expect(const struct se_policy_view *view)
{
    const uint64_t end_ns = add(view->start_ns, se_pace_ns(view->pace, view->rows));
    const uint32_t late = find_on_time(view);
    struct expected expected = { .arrival = view->next + late };
    while (expected.n < SE_POLICY_LOOK && late + expected.n < view->n_next &&
           expected.arrival[expected.n].at_ns < end_ns)
        expected.rows += expected.arrival[expected.n++].rows;
    return expected;
}

/* With the first k, who bring so many rows; from start_ns on. */
static double cost(const struct se_policy_view *view, const struct expected *expected, uint32_t k,
                   uint32_t rows)
{
    const uint32_t others = expected->n - k, other_rows = expected->rows - rows;
    const double wait = k > 0 ? (double)(expected->arrival[k - 1].at_ns - view->start_ns) : 0;
    const double first = (double)se_pace_ns(view->pace, view->rows + rows);
    const double second = others > 0 ? (double)se_pace_ns(view->pace, other_rows) : 0;
    return ((double)view->ready + k) * (wait + first) + others * (wait + first + second) +
           (double)view->busy * view->at_work * (first + second);
}

static uint64_t pipeline(const struct se_policy_view *view)
{
    const struct expected expected = expect(view);
    const uint64_t since_ns = view->free_ns > view->oldest_ns ? view->free_ns : view->oldest_ns;
    const uint64_t limit_ns = add(since_ns, view->wait_ns);
    uint64_t when_ns = view->start_ns;
    uint32_t rows = 0;
    double least = cost(view, &expected, 0, 0);
    for (uint32_t k = 1; k <= expected.n; k++) {
        const struct se_arrival *arrival = &expected.arrival[k - 1];
        rows += arrival->rows;
        if (arrival->at_ns > limit_ns || (uint64_t)view->rows + rows > view->max_rows ||
            (view->batch > 0 && view->ready + k > view->batch))
            break;
        const double this = cost(view, &expected, k, rows);
        if (this < least) {
            least = this;
            when_ns = arrival->at_ns;
        }
    }
    return when_ns;
}

uint64_t se_policy_when(enum se_policy policy, const struct se_policy_view *view)
{
    if (policy == SE_POLICY_DYNAMIC || is_full(view))
        return view->start_ns;
    if (policy == SE_POLICY_STATIC)
        return add(view->oldest_ns, view->wait_ns);
    return view->n_next > 0 ? pipeline(view) : view->start_ns;
}
