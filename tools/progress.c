/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "runtime/base/clock.h"

enum { WIDTH = 32, EVERY_NS = 100000000 };

void se_progress_begin(struct se_progress *progress, const char *label)
{
    *progress = (struct se_progress){ .label = label,
                                      .begun_ns = se_clock_ns(),
                                      .terminal = isatty(STDERR_FILENO) == 1 };
    progress->shown_ns = progress->begun_ns;
}

void se_progress_at(struct se_progress *progress, uint64_t done, uint64_t total)
{
    if (!progress->terminal || total == 0)
        return;
    uint64_t now = se_clock_ns();
    if (now - progress->shown_ns < EVERY_NS)
        return; /* what is over before the first tenth of a second needs no bar */
    progress->shown_ns = now;
    progress->drawn = true;
    double share = done < total ? (double)done / (double)total : 1;
    double passed_s = (double)(now - progress->begun_ns) * 1e-9;
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < (int)(share * WIDTH) ? '#' : '.';
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3d %%  %.0f s left \033[K", progress->label, bar,
            (int)(share * 100), share > 0 ? passed_s / share - passed_s : 0.0);
    fflush(stderr);
}

void se_progress_end(struct se_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}
