/* SPDX-License-Identifier: Apache-2.0 */
/* tools/plot.h - figures drawn as SVG, on logarithmic axes: they are decades apart. */
#ifndef SE_TOOLS_PLOT_H
#define SE_TOOLS_PLOT_H

#include <stdbool.h>
#include <stddef.h>

enum { SE_PLOT_POINTS_MAX = 64 };

struct se_plot_bar {
    char text[64];
    double value, most; /* the end of the bar, and of the line that goes on from it */
    bool floor;         /* drawn paler: what is to be compared with the bar above */
};

/* Bars from the left, one below the other. Values above 0, at least one. 0 or -errno. */
int se_plot_bars(const char *path, const char *title, const char *unit,
                 const struct se_plot_bar *bar, size_t n);

struct se_plot_line {
    char text[64];
    size_t n;
    double x[SE_PLOT_POINTS_MAX], y[SE_PLOT_POINTS_MAX]; /* x rising, both above 0 */
};

/* limit: a level that is marked, 0: none. The same. */
int se_plot_lines(const char *path, const char *title, const char *x_text, const char *unit,
                  const struct se_plot_line *line, size_t n, double limit);

#endif
