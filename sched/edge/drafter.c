/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/edge/drafter.h"

#include "runtime/base/err.h"

int se_drafter_check(struct se_drafter *drafter)
{
    return drafter->ops->check ? se_trace(drafter->ops->check(drafter)) : 0;
}

void se_drafter_close(struct se_drafter *drafter)
{
    if (drafter)
        drafter->ops->close(drafter);
}
