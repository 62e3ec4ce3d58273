/* SPDX-License-Identifier: Apache-2.0 */
/* tools/pass.h - what a program shows at a server's door: its own key, and whose door it must be.
 *
 * Two options, for all programs that connect to a server with keys. */
#ifndef SE_TOOLS_PASS_H
#define SE_TOOLS_PASS_H

#include "runtime/base/conf.h"
#include "transport/guard.h"

#define SE_PASS_ROWS(type, key_member, server_member) \
    { "key", \
      0, \
      SE_CONF_TEXT, \
      offsetof(type, key_member), \
      NULL, \
      0, \
      0, \
      "FILE", \
      "own secret key, made by se-key new, for a server that asks for keys" }, \
    { \
        "server-key", 0, SE_CONF_TEXT, offsetof(type, server_member), NULL, 0, 0, "KEY", \
            "the server's public key, which se-key show prints there; with --key" \
    }

/* key: a file, or NULL or ""; server: the text of a key, or the same. Whether they are given
 * together, and the server's is one. -EINVAL with a sentence. */
int se_pass_check(const char *key, const char *server);

/* After check. *guard is NULL when no key is given, else it points to *room. 0, or -errno with a
 * sentence that names the file. */
int se_pass_open(struct se_guard **guard, struct se_guard *room, const char *key,
                 const char *server);
void se_pass_close(struct se_guard *guard); /* NULL is fine */

#endif
