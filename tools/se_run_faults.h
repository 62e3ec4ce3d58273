/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_faults.h - what tests do to the frames of se-run.
 *
 *   SE_FAULTS="seed=1,drop=0.05,twice=0.05,late=0.05,delay=1ms..3ms"
 *
 * Shares of the frames, both ways, that are lost, doubled and overtaken by others, and how long
 * each is on the way. One thread. */
#ifndef SE_TOOLS_SE_RUN_FAULTS_H
#define SE_TOOLS_SE_RUN_FAULTS_H

#include "transport/frame.h"
#include "transport/link.h"

/* When SE_FAULTS is set, a link with these faults before *link takes its place; otherwise nothing
 * is done. frames: of the link. 0, or -errno and *link is as it was. */
int se_run_faults_wrap(struct se_link **link, struct se_frames *frames);

#endif
