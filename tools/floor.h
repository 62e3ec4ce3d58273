/* SPDX-License-Identifier: Apache-2.0 */
/* tools/floor.h - what memory and arithmetic of this machine do at most, with a pool's threads.
 *
 * No step takes less than its bytes over the one and its operations over the other. */
#ifndef SE_TOOLS_FLOOR_H
#define SE_TOOLS_FLOOR_H

#include "kernels/matmul.h"
#include "runtime/base/thread.h"

struct se_floor {
    double read_b;    /* bytes a second, streaming from memory */
    double rate;      /* operations a second with weights of the dtype; 0: not known here */
    const char *what; /* the instruction that was counted, or NULL */
};

/* Takes about a second. 0 or -ENOMEM. */
int se_floor_measure(struct se_floor *floor, struct se_pool *pool, enum se_dtype dtype);

#endif
