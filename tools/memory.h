/* SPDX-License-Identifier: Apache-2.0 */
/* tools/memory.h - how much memory this process could still take. */
#ifndef SE_TOOLS_MEMORY_H
#define SE_TOOLS_MEMORY_H

#include <stdint.h>

/* Bytes: what the system calls available, or what the limits of its control groups leave, if
 * that is less. 0: it cannot be told. */
uint64_t se_memory_free(void);

#endif
