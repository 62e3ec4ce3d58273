/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/output.h"

#include <stdio.h>
#include <string.h>

#include "tools/outcome.h"

int se_output_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    if (errno == EPIPE)
        return SE_OUTCOME_CLOSED;
    return se_fail(errno ? -errno : -EIO, "standard output: %s", strerror(errno ? errno : EIO));
}
