/* SPDX-License-Identifier: Apache-2.0 */
/* tools/progress.h - a bar on standard error, when that is a terminal; nothing otherwise. */
#ifndef SE_TOOLS_PROGRESS_H
#define SE_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct se_progress {
    const char *label;
    uint64_t shown_ns; /* when it was drawn last */
    uint64_t begun_ns;
    bool terminal, drawn;
};

/* label must live as long as the bar. */
void se_progress_begin(struct se_progress *progress, const char *label);
/* Draws at most ten times a second. */
void se_progress_at(struct se_progress *progress, uint64_t done, uint64_t total);
/* Wipes the bar away. */
void se_progress_end(struct se_progress *progress);

#endif
