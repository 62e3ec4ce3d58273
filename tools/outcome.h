/* SPDX-License-Identifier: Apache-2.0 */
/* tools/outcome.h - how a program's work may end, beside done (0) and failed (-errno).
 *
 * A program may have outcomes of its own, from SE_OUTCOME_OWN on; its table of ends says the
 * exit code of each (tools/program.h). */
#ifndef SE_TOOLS_OUTCOME_H
#define SE_TOOLS_OUTCOME_H

#include <errno.h>

#include "runtime/base/err.h"

enum {
    SE_OUTCOME_USAGE = 1,   /* the command line makes no sense; se_err_text() says why */
    SE_OUTCOME_INTERRUPTED, /* by the user; all is tidied up */
    SE_OUTCOME_CLOSED,      /* nobody reads the output any more */
    SE_OUTCOME_OWN          /* the first that a program may give a meaning of its own */
};

#define se_usage(...) (se_fail(-EINVAL, __VA_ARGS__), SE_OUTCOME_USAGE)

#endif
