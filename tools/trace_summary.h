/* SPDX-License-Identifier: Apache-2.0 */
/* tools/trace_summary.h - a merged trace as a table, a line for each session. One thread. */
#ifndef SE_TOOLS_TRACE_SUMMARY_H
#define SE_TOOLS_TRACE_SUMMARY_H

#include <stdio.h>

#include "tools/trace_merge.h"

/* 0 or -ENOMEM; whether all was written the stream knows. */
int se_trace_summary_print(const struct se_trace_merge *merge, FILE *to);

#endif
