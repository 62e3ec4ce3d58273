/* SPDX-License-Identifier: Apache-2.0 */
/* Lines with one slope that hold for all bounds lie between the lowest bound from above and the
 * highest from below, both seen along that slope. How far these are apart is a concave function of
 * the slope, so the widest place is found by closing in on it, and only corners of the bounds' hulls
 * have to be looked at. The set of all lines that hold is convex too: what they say of a moment lies
 * between a lowest and a highest, and the moments at both ends of the trace are the worst. */
#include "tools/offset.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { CLOSINGS = 100 };
#define ROUNDING_NS 0.25 /* what doubles may do to a bound that is met exactly */

struct hull {
    struct se_offset_bound *corner;
    size_t n;
    double sign; /* 1: bounds from above; -1: from below, turned upside down */
};

struct fit {
    struct hull up, down;
};

void se_offset_fini(struct se_offset *o)
{
    se_mem_free(o->up.bound);
    se_mem_free(o->down.bound);
    *o = SE_OFFSET_NULL;
}

static int add(struct se_offset *o, struct se_offset_bounds *to, uint64_t edge_ns,
               uint64_t server_ns)
{
    const int64_t at = (int64_t)edge_ns, ns = (int64_t)(server_ns - edge_ns);
    if (!o->begun) {
        o->begun = true;
        o->at_ns = at;
        o->ns = ns;
    }
    int r = se_mem_grow(&to->bound, &to->cap, to->n + 1, sizeof *to->bound);
    if (r == 0)
        to->bound[to->n++] =
            (struct se_offset_bound){ .at = (double)(at - o->at_ns), .ns = (double)(ns - o->ns) };
    return se_trace(r);
}

int se_offset_up(struct se_offset *o, uint64_t edge_ns, uint64_t server_ns)
{
    return add(o, &o->up, edge_ns, server_ns);
}

int se_offset_down(struct se_offset *o, uint64_t edge_ns, uint64_t server_ns)
{
    return add(o, &o->down, edge_ns, server_ns);
}

/* ---- hulls */

static int by_time(const void *a, const void *b)
{
    const struct se_offset_bound *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* Whether b lies on or above the line from a to c, which is what hides it from below. */
static bool is_hidden(const struct se_offset_bound *a, const struct se_offset_bound *b,
                      const struct se_offset_bound *c)
{
    return (b->ns - a->ns) * (c->at - a->at) >= (c->ns - a->ns) * (b->at - a->at);
}

/* The corners that a line from below may touch. */
static int make_hull(struct hull *hull, const struct se_offset_bounds *of, double sign)
{
    size_t n = 0, corners = 0;
    struct se_offset_bound *c = se_mem_new(of->n + 1, sizeof *c);
    *hull = (struct hull){ .corner = c, .sign = sign };
    if (!c)
        return se_trace(-ENOMEM);
    for (size_t i = 0; i < of->n; i++)
        if (!of->bound[i].out)
            c[n++] = (struct se_offset_bound){ of->bound[i].at, sign * of->bound[i].ns, false };
    qsort(c, n, sizeof *c, by_time);
    for (size_t i = 0; i < n; i++) {
        const struct se_offset_bound next = c[i];
        if (corners > 0 && c[corners - 1].at == next.at) {
            if (c[corners - 1].ns <= next.ns)
                continue;
            corners--;
        }
        while (corners >= 2 && is_hidden(&c[corners - 2], &c[corners - 1], &next))
            corners--;
        c[corners++] = next;
    }
    hull->n = corners;
    return 0;
}

/* Where a line of that slope may be at most, or at least, when it passes moment at. */
static double limit(const struct hull *hull, double slope, double at)
{
    double least = INFINITY;
    for (size_t i = 0; i < hull->n; i++) {
        const double ns = hull->corner[i].ns - hull->sign * slope * (hull->corner[i].at - at);
        least = ns < least ? ns : least;
    }
    return hull->sign * least;
}

static double width(const struct fit *f, double slope)
{
    return limit(&f->up, slope, 0) - limit(&f->down, slope, 0);
}

/* ---- closing in */

typedef double height_fn(const struct fit *f, double slope, double at);

static double width_at(const struct fit *f, double slope, double at)
{
    (void)at;
    return width(f, slope);
}

static double highest_at(const struct fit *f, double slope, double at)
{
    return limit(&f->up, slope, at);
}

static double lowest_at(const struct fit *f, double slope, double at)
{
    return -limit(&f->down, slope, at);
}

/* The slope from low to high at which a concave height is greatest. */
static double top(const struct fit *f, height_fn *height, double at, double low, double high)
{
    for (int i = 0; i < CLOSINGS; i++) {
        const double a = low + (high - low) / 3, b = high - (high - low) / 3;
        if (height(f, a, at) < height(f, b, at))
            low = a;
        else
            high = b;
    }
    return (low + high) / 2;
}

/* The slope farthest from middle, on the way to end, at which some line holds. */
static double border(const struct fit *f, double middle, double end)
{
    if (width(f, end) >= 0)
        return end;
    for (int i = 0; i < CLOSINGS; i++) {
        const double half = (middle + end) / 2;
        if (width(f, half) >= 0)
            middle = half;
        else
            end = half;
    }
    return middle;
}

static void put_worst(const struct se_offset *o, const struct fit *f, double at, double low,
                      double high, double *worst)
{
    const double middle = o->shift + o->drift * at;
    const double above = highest_at(f, top(f, highest_at, at, low, high), at) - middle;
    const double below = middle + lowest_at(f, top(f, lowest_at, at, low, high), at);
    *worst = above > *worst ? above : *worst;
    *worst = below > *worst ? below : *worst;
}

static void span_of(const struct se_offset *o, double *first, double *last)
{
    const struct se_offset_bounds *const side[] = { &o->up, &o->down };
    *first = *last = 0; /* a bound was there */
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < side[k]->n; i++) {
            const double at = side[k]->bound[i].at;
            *first = at < *first ? at : *first;
            *last = at > *last ? at : *last;
        }
}

static void choose(struct se_offset *o, const struct fit *f, double slope)
{
    double first, last;
    span_of(o, &first, &last);
    const bool is_short = last - first < (double)SE_OFFSET_DRIFT_NS;
    o->drift = is_short && width(f, 0) >= 0 ? 0 : slope;
    const double high = limit(&f->up, o->drift, 0), low = limit(&f->down, o->drift, 0);
    o->uncertainty_ns = 0;
    if (isinf(high) || isinf(low)) {
        o->shift = isinf(high) ? low : high;
        o->uncertainty_ns = INFINITY;
        return;
    }
    o->shift = (high + low) / 2;
    const double least = border(f, slope, -SE_OFFSET_DRIFT_MAX);
    const double most = border(f, slope, SE_OFFSET_DRIFT_MAX);
    put_worst(o, f, first, least, most, &o->uncertainty_ns);
    put_worst(o, f, last, least, most, &o->uncertainty_ns);
}

/* ---- the line */

static double over(const struct se_offset_bound *bound, double sign, double slope)
{
    return sign * (bound->ns - slope * bound->at);
}

static int by_height(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The n bounds that are the most in the way of lines with that slope are left out. */
static int leave_out(struct se_offset_bounds *of, double sign, double slope, size_t n)
{
    size_t all = 0;
    double *height = se_mem_new(of->n + 1, sizeof *height);
    if (!height)
        return se_trace(-ENOMEM);
    for (size_t i = 0; i < of->n; i++)
        if (!of->bound[i].out)
            height[all++] = over(&of->bound[i], sign, slope);
    qsort(height, all, sizeof *height, by_height);
    const double most = all == 0 ? 0 : height[(n < all ? n : all) - 1];
    for (size_t i = 0; i < of->n; i++)
        of->bound[i].out |= over(&of->bound[i], sign, slope) <= most;
    se_mem_free(height);
    return 0;
}

/* Of two bounds that contradict each other one may have been right: the line says which. */
static void take_back(struct se_offset *o, struct se_offset_bounds *of, double sign)
{
    for (size_t i = 0; i < of->n; i++) {
        const struct se_offset_bound *b = &of->bound[i];
        const double room = over(b, sign, 0) - sign * (o->shift + o->drift * b->at);
        of->bound[i].out = room < -ROUNDING_NS;
        o->out += of->bound[i].out;
    }
}

/* Drift with a line that is flat in the middle of nowhere is as good as none. */
static double best_slope(const struct fit *f)
{
    const double slope = top(f, width_at, 0, -SE_OFFSET_DRIFT_MAX, SE_OFFSET_DRIFT_MAX);
    return width(f, 0) >= width(f, slope) ? 0 : slope;
}

/* 1: it was contradictory, less so now, by n bounds on each side: again. */
static int fit_once(struct se_offset *o, size_t n)
{
    struct fit f;
    int up = make_hull(&f.up, &o->up, 1), down = make_hull(&f.down, &o->down, -1);
    int r = up < 0 ? up : down;
    if (r == 0 && f.up.n + f.down.n == 0)
        r = -ENODATA; /* no two of them agree */
    if (r == 0) {
        const double slope = best_slope(&f);
        r = width(&f, slope) < 0;
        if (r == 0)
            choose(o, &f, slope);
        else if (leave_out(&o->up, 1, slope, n) < 0 || leave_out(&o->down, -1, slope, n) < 0)
            r = -ENOMEM;
    }
    se_mem_free(f.up.corner);
    se_mem_free(f.down.corner);
    return r;
}

int se_offset_fit(struct se_offset *o)
{
    size_t n = 1;
    int r;
    if (o->up.n + o->down.n == 0)
        return -ENODATA;
    o->out = 0;
    /* More each time, for half of a long trace may be wrong; who is right is taken back. */
    for (; (r = fit_once(o, n)) == 1; n *= 2)
        ;
    if (r < 0)
        return r == -ENODATA ? r : se_trace(r);
    take_back(o, &o->up, 1);
    take_back(o, &o->down, -1);
    return 0;
}

int64_t se_offset_at(const struct se_offset *o, uint64_t edge_ns)
{
    const double at = (double)((int64_t)edge_ns - o->at_ns);
    return (int64_t)edge_ns + o->ns + llround(o->shift + o->drift * at);
}
