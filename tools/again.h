/* SPDX-License-Identifier: Apache-2.0 */
/* tools/again.h - this program once more, with other arguments, for the JSON that it prints. */
#ifndef SE_TOOLS_AGAIN_H
#define SE_TOOLS_AGAIN_H

#include <jansson.h>

/* argument: those behind the program's name, and NULL at the end. 0: *out is the caller's; -errno
 * with what it says, or SE_OUTCOME_INTERRUPTED: then so is what runs. */
int se_again(json_t **out, const char *const *argument);

#endif
