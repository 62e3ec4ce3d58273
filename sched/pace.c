/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/pace.h"

/* A mean is over all steps until there are so many, then the newest weighs one in so many. */
enum { MEMORY = 8 };

/* Four buckets an octave: 1, 2, 3, 4, 5, 6, 7, 8-9, 10-11, 12-13, 14-15, 16-19, ... */
static uint32_t bucket_of(uint32_t rows)
{
    const uint32_t octave = 31 - (uint32_t)__builtin_clz(rows);
    const uint32_t quarter = (uint32_t)(((uint64_t)rows << 2) >> octave) & 3;
    const uint32_t bucket = 4 * octave + quarter;
    return bucket < SE_PACE_BUCKETS ? bucket : SE_PACE_BUCKETS - 1;
}

static uint32_t weight_of(const struct se_pace *pace, uint32_t bucket)
{
    return pace->count[bucket] < MEMORY ? pace->count[bucket] : MEMORY;
}

/* Lays the line through the buckets: where one took longer than the next, both become one
 * point at their mean, and so on backwards (the nearest ascending line in least squares).
 * Done when a step is noted, because the line is read far more often. */
static void draw(struct se_pace *pace)
{
    double rows[SE_PACE_BUCKETS], ns[SE_PACE_BUCKETS], weight[SE_PACE_BUCKETS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < SE_PACE_BUCKETS; i++) {
        if (pace->count[i] == 0)
            continue;
        rows[n] = (double)pace->rows[i];
        ns[n] = (double)pace->ns[i];
        weight[n] = weight_of(pace, i);
        for (n++; n > 1 && ns[n - 2] >= ns[n - 1]; n--) {
            const double all = weight[n - 2] + weight[n - 1];
            rows[n - 2] = (rows[n - 2] * weight[n - 2] + rows[n - 1] * weight[n - 1]) / all;
            ns[n - 2] = (ns[n - 2] * weight[n - 2] + ns[n - 1] * weight[n - 1]) / all;
            weight[n - 2] = all;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        pace->line[i].rows = (float)rows[i];
        pace->line[i].ns = (float)ns[i];
    }
    pace->n_line = n;
}

void se_pace_note(struct se_pace *pace, uint32_t rows, uint64_t ns)
{
    const uint32_t i = bucket_of(rows);
    pace->count[i] += pace->count[i] < UINT32_MAX;
    const float share = 1 / (float)weight_of(pace, i);
    pace->rows[i] += ((float)rows - pace->rows[i]) * share;
    pace->ns[i] += ((float)(ns > 0 ? ns : 1) - pace->ns[i]) * share;
    draw(pace);
}

static double between(double x, double x0, double y0, double x1, double y1)
{
    return y0 + (y1 - y0) * ((x - x0) / (x1 - x0));
}

/* Beyond the last point. One slow step must not tilt the line, so its other end lies an
 * octave back, or at the first point when they are closer together than that. */
static double beyond(const struct se_pace *pace, double rows)
{
    const uint32_t last = pace->n_line - 1;
    const double x1 = (double)pace->line[last].rows, y1 = (double)pace->line[last].ns;
    uint32_t back = last;
    while (back > 0 && 2 * (double)pace->line[back].rows > x1)
        back--;
    if (back == last)
        return y1 * rows / x1;
    return between(rows, (double)pace->line[back].rows, (double)pace->line[back].ns, x1, y1);
}

/* The first point with more rows, or n_line. */
static uint32_t find_above(const struct se_pace *pace, double rows)
{
    uint32_t low = 0, high = pace->n_line;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if ((double)pace->line[middle].rows <= rows)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t se_pace_ns(const struct se_pace *pace, uint32_t rows)
{
    const double x = rows;
    const uint32_t above = find_above(pace, x);
    if (pace->n_line == 0)
        return 0;
    if (above == 0)
        return (uint64_t)pace->line[0].ns;
    double ns;
    if (above == pace->n_line) {
        ns = beyond(pace, x);
    } else {
        const double end = (double)pace->line[above].ns;
        ns = between(x, (double)pace->line[above - 1].rows, (double)pace->line[above - 1].ns,
                     (double)pace->line[above].rows, end);
        ns = ns < end ? ns : end; /* a rounding must not lift it above the next point */
    }
    return ns < 9e18 ? (uint64_t)ns : (uint64_t)9e18;
}

uint32_t se_pace_rows(const struct se_pace *pace, uint64_t ns, uint32_t least, uint32_t most)
{
    if (pace->n_line == 0)
        return most > least ? most : least;
    while (least < most) {
        const uint32_t middle = least + (most - least) / 2 + 1; /* least + 1 .. most */
        if (se_pace_ns(pace, middle) <= ns)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}
