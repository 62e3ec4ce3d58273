/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_drafter.h - who guesses for se-run: a model of a folder, the text itself, nobody.
 *
 * One thread. */
#ifndef SE_TOOLS_SE_RUN_DRAFTER_H
#define SE_TOOLS_SE_RUN_DRAFTER_H

#include <limits.h>

#include "sched/edge/drafter.h"
#include "tools/rig.h"
#include "tools/se_run_options.h"
#include "tools/se_run_words.h"

struct se_run_drafter {
    struct se_rig rig;          /* of a draft model */
    struct se_drafter *drafter; /* NULL: nobody */
    char folder[PATH_MAX];      /* of the model */
};
#define SE_RUN_DRAFTER_NULL ((struct se_run_drafter){ 0 })

enum { SE_RUN_DRAFTER_OTHER = 1 }; /* it guesses in tokens that are not those of words */

/* What can be wrong with it, known before anything is loaded, its own weights or others. 0,
 * SE_RUN_DRAFTER_OTHER with the sentence, or -errno. */
int se_run_drafter_check(const struct se_run_options *options, const struct se_run_words *words);
/* Loads the weights, with a progress bar. 0 or -errno. */
int se_run_drafter_open(struct se_run_drafter *drafter, const struct se_run_options *options,
                        const struct se_run_words *words);
/* It has seen nothing, and knows nothing of how it was sampled before. */
void se_run_drafter_reset(struct se_run_drafter *drafter);
void se_run_drafter_close(struct se_run_drafter *drafter);

#endif
