/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/pass.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"

int se_pass_check(const char *key, const char *server)
{
    struct se_key parsed;
    const bool has_key = key && *key, has_server = server && *server;
    if (has_key && !has_server)
        return se_fail(-EINVAL,
                       "--key %s: and the server's? Say --server-key KEY, the public key "
                       "that \"se-key show\" prints at the server",
                       key);
    if (has_server && !has_key)
        return se_fail(-EINVAL,
                       "--server-key: and the own one? Make it with \"se-key new FILE\", have its "
                       "public line written into the server's list, and say --key FILE");
    if (has_server && se_key_parse(&parsed, server, strlen(server)) < 0)
        return se_fail(-EINVAL, "--server-key %.60s: %s", server, se_err_text());
    return 0;
}

int se_pass_open(struct se_guard **guard, struct se_guard *room, const char *key,
                 const char *server)
{
    *guard = NULL;
    *room = (struct se_guard){ .ring = NULL };
    if (!key || !*key)
        return 0;
    int r = se_key_load(&room->own, key);
    if (r == 0)
        r = se_key_parse(&room->server, server, strlen(server));
    if (r < 0) {
        se_key_wipe(&room->own);
        return se_trace(r);
    }
    *guard = room;
    return 0;
}

void se_pass_close(struct se_guard *guard)
{
    if (guard)
        se_key_wipe(&guard->own);
}
