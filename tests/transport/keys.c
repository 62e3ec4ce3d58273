/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/transport/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"

static const char *const names[KEYS_N] = { "server", "ann", "bob", "stranger", "other" };

static void must(int r)
{
    if (r >= 0)
        return;
    printf("%s: %s\n", r == -ENOTSUP ? "skipped" : "keys", se_err_text());
    exit(r == -ENOTSUP ? 77 : 1);
}

void keys_ring(struct keys *keys, const char *list)
{
    char text[1024], key[SE_KEY_TEXT_B];
    size_t n = 0;
    for (const char *at = list; *at != 0; at = strchr(at, '\n') + 1) {
        const size_t len = strcspn(at, " ");
        for (int i = 0; i < KEYS_N; i++) {
            if (strlen(names[i]) == len && memcmp(names[i], at, len) == 0)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s\n",
                                      se_key_text(&keys->pair[i].open, key),
                                      (int)(strcspn(at, "\n") - len), at + len);
        }
    }
    struct se_keyring *old = keys->ring;
    must(se_keyring_parse(&keys->ring, text, n, "test"));
    keys->server.ring = keys->ring;
    se_keyring_free(old);
}

void keys_init(struct keys *keys)
{
    memset(keys, 0, sizeof(*keys));
    for (int i = 0; i < KEYS_N; i++)
        must(se_key_make(&keys->pair[i]));
    for (int i = 0; i < KEYS_N; i++) {
        keys->edge[i].own = keys->pair[i];
        keys->edge[i].server = keys->pair[KEYS_SERVER].open;
    }
    keys->server.own = keys->pair[KEYS_SERVER];
    keys_ring(keys, "server s admin\nann ann\nbob bob revoked\n");
}

void keys_fini(struct keys *keys)
{
    se_keyring_free(keys->ring);
    memset(keys, 0, sizeof(*keys));
}

struct se_guard *keys_suite(void)
{
    static struct keys keys;
    uint8_t byte;
    if (se_key_random(&byte, sizeof(byte)) == -ENOTSUP)
        return NULL;
    if (keys.ring == NULL) {
        keys_init(&keys);
        keys.server.server = keys.pair[KEYS_SERVER].open;
    }
    return &keys.server;
}
