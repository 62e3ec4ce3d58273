/* SPDX-License-Identifier: Apache-2.0 */
/* tools/bench_url.h - where a server to be measured listens, in a word. */
#ifndef SE_TOOLS_BENCH_URL_H
#define SE_TOOLS_BENCH_URL_H

#include <stddef.h>

/* "loop", "shm", "tcp" or "ipc": an address of that kind that nobody else has; a URL: itself. 0,
 * or SE_OUTCOME_USAGE. */
int se_bench_url(const char *word, char *url, size_t size_b);

#endif
