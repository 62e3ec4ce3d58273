/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/state.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/err.h"

/* Every folder of the path, up to its last slash; what is there already stays as it is. */
static int make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int r = mkdir(path, 0700) < 0 && errno != EEXIST
                    ? se_fail(-errno, "%s: %s", path, strerror(errno))
                    : 0;
        *slash = '/';
        if (r < 0)
            return r;
    }
    return 0;
}

int se_state_path(char **path, const char *name)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    bool given = state && state[0] == '/'; /* one that is relative is to be ignored */
    if (!given && !(home && home[0] == '/'))
        return se_fail(-ENOENT, "neither XDG_STATE_HOME nor HOME names a folder");
    int n = given ? asprintf(path, "%s/specedge/%s", state, name)
                  : asprintf(path, "%s/.local/state/specedge/%s", home, name);
    if (n < 0)
        return se_fail(-ENOMEM, "out of memory");
    int r = make_folders(*path);
    if (r < 0) {
        free(*path);
        *path = NULL;
    }
    return r;
}
