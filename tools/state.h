/* SPDX-License-Identifier: Apache-2.0 */
/* tools/state.h - where a program keeps what it remembers of its user from run to run.
 *
 * $XDG_STATE_HOME/specedge, or ~/.local/state/specedge. */
#ifndef SE_TOOLS_STATE_H
#define SE_TOOLS_STATE_H

/* The path of a file in it, whose folder is made when it is not there, for this user alone.
 * *path belongs to the caller (free). 0, or -errno: -ENOENT when no home is known. */
int se_state_path(char **path, const char *name);

#endif
