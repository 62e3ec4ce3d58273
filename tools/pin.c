/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/pin.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "runtime/base/err.h"

int se_pin(int processor)
{
    cpu_set_t set;
    if (processor < 0)
        return 0;
    CPU_ZERO(&set);
    if (processor < CPU_SETSIZE)
        CPU_SET((size_t)processor, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0)
        return 0;
    return se_fail(-errno, "pin: this process cannot run on processor %d: %s", processor,
                   strerror(errno));
}
