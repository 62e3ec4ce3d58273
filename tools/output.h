/* SPDX-License-Identifier: Apache-2.0 */
/* tools/output.h - standard output, of which somebody may have had enough. */
#ifndef SE_TOOLS_OUTPUT_H
#define SE_TOOLS_OUTPUT_H

/* Writes what standard output still holds. 0, SE_OUTCOME_CLOSED, or -errno, also for what failed
 * to be written before. */
int se_output_flush(void);

#endif
