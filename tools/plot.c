/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"

enum { WIDTH = 760, LABELS = 230, MARGIN = 30, TOP = 50, BAR = 22, HEIGHT = 380, LEFT = 70 };
static const char ink[] = "#333", pale[] = "#ddd", marked[] = "#c33";
static const char *const colours[] = { "#2a6f97", "#e07a1f", "#3d8b40", "#7b4397" };
enum { COLOURS = sizeof colours / sizeof colours[0] };

/* From value to place, through two pairs of them. */
struct axis {
    double low, high; /* whole powers of the base */
    double from, to;  /* where they lie */
    double base;
};

static struct axis axis_of(double low, double high, double base, double from, double to)
{
    struct axis a = { .from = from, .to = to, .base = base };
    a.low = pow(base, floor(log(low) / log(base) + 1e-9));
    a.high = pow(base, ceil(log(high) / log(base) - 1e-9));
    if (a.high <= a.low)
        a.high = a.low * base;
    return a;
}

static double place(const struct axis *a, double value)
{
    return a->from + (a->to - a->from) * log(value / a->low) / log(a->high / a->low);
}

/* ---- pieces */

static int begin(FILE **out, const char *path, const char *title, int height)
{
    *out = fopen(path, "we");
    if (!*out)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    fprintf(*out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" fill=\"%s\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, height, WIDTH, height, ink);
    fprintf(*out, "<text x=\"%d\" y=\"24\" font-size=\"15\">%s</text>\n", MARGIN / 2, title);
    return 0;
}

static int end(FILE *file, const char *path)
{
    fprintf(file, "</svg>\n");
    const bool bad = ferror(file) != 0;
    if (fclose(file) != 0 || bad)
        return se_fail(-EIO, "%s: cannot be written", path);
    return 0;
}

static void stroke(FILE *file, double x1, double y1, double x2, double y2, const char *colour)
{
    fprintf(file, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1,
            x2, y2, colour);
}

static void words(FILE *file, double x, double y, const char *anchor, const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, text);
}

static void number(FILE *file, double x, double y, const char *anchor, double value)
{
    char text[32];
    snprintf(text, sizeof text, value < 100 ? "%.3g" : "%.0f", value);
    words(file, x, y, anchor, text);
}

static void marks_below(FILE *file, const struct axis *a, double top, double bottom)
{
    for (double at = a->low; at < a->high * 1.001; at *= a->base) {
        stroke(file, place(a, at), top, place(a, at), bottom, pale);
        number(file, place(a, at), bottom + 16, "middle", at);
    }
}

static void marks_aside(FILE *file, const struct axis *a, double left, double right)
{
    for (double at = a->low; at < a->high * 1.001; at *= a->base) {
        stroke(file, left, place(a, at), right, place(a, at), pale);
        number(file, left - 6, place(a, at) + 4, "end", at);
    }
}

/* ---- bars */

int se_plot_bars(const char *path, const char *title, const char *unit,
                 const struct se_plot_bar *bar, size_t n)
{
    const int bottom = TOP + BAR * (int)n;
    double low = INFINITY, high = 0;
    FILE *file;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, bar[i].value);
        high = fmax(high, bar[i].most);
    }
    const struct axis a = axis_of(low, high, 10, LABELS, WIDTH - MARGIN);
    int r = begin(&file, path, title, bottom + 40);
    if (r < 0)
        return se_trace(r);
    marks_below(file, &a, TOP - 8, bottom);
    words(file, LABELS - 30, bottom + 16, "end", unit);
    for (size_t i = 0; i < n; i++) {
        const double y = TOP + BAR * (double)i, middle = y + BAR * 0.4;
        words(file, LABELS - 8, middle + 4, "end", bar[i].text);
        fprintf(file,
                "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                "fill-opacity=\"%s\"/>\n",
                LABELS, y, fmax(place(&a, bar[i].value) - LABELS, 1), BAR * 0.8, colours[0],
                bar[i].floor ? "0.35" : "1");
        stroke(file, place(&a, bar[i].value), middle, place(&a, bar[i].most), middle, ink);
    }
    return end(file, path);
}

/* ---- lines */

static void draw_line(FILE *file, const struct se_plot_line *line, const struct axis *x,
                      const struct axis *y, const char *colour)
{
    fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
    for (size_t i = 0; i < line->n; i++)
        fprintf(file, "%s%.1f,%.1f", i ? " " : "", place(x, line->x[i]), place(y, line->y[i]));
    fprintf(file, "\"/>\n");
    for (size_t i = 0; i < line->n; i++)
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                place(x, line->x[i]), place(y, line->y[i]), colour);
}

int se_plot_lines(const char *path, const char *title, const char *x_text, const char *unit,
                  const struct se_plot_line *line, size_t n, double limit)
{
    const double bottom = HEIGHT - 50, right = WIDTH - MARGIN;
    double x_low = INFINITY, x_high = 0, low = INFINITY, high = limit;
    FILE *file;
    for (size_t l = 0; l < n; l++)
        for (size_t i = 0; i < line[l].n; i++) {
            x_low = fmin(x_low, line[l].x[i]);
            x_high = fmax(x_high, line[l].x[i]);
            low = fmin(low, line[l].y[i]);
            high = fmax(high, line[l].y[i]);
        }
    const struct axis x = axis_of(x_low, x_high, 2, LEFT, right);
    const struct axis y = axis_of(low, high, 10, bottom, TOP);
    int r = begin(&file, path, title, HEIGHT);
    if (r < 0)
        return se_trace(r);
    marks_below(file, &x, TOP, bottom);
    marks_aside(file, &y, LEFT, right);
    words(file, right, bottom + 34, "end", x_text);
    words(file, LEFT - 6, TOP - 10, "end", unit);
    if (limit > 0)
        stroke(file, LEFT, place(&y, limit), right, place(&y, limit), marked);
    for (size_t l = 0; l < n; l++) {
        const double key = TOP + 18 * (double)(l + 1);
        draw_line(file, &line[l], &x, &y, colours[l % COLOURS]);
        stroke(file, LEFT + 10, key - 4, LEFT + 34, key - 4, colours[l % COLOURS]);
        words(file, LEFT + 40, key, "start", line[l].text);
    }
    return end(file, path);
}
