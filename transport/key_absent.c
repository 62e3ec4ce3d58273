/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for key.c in a build without libsodium. */
#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "transport/key.h"

static int absent(void) { return se_fail(-ENOTSUP, "this build has no keys (libsodium)"); }

int se_key_make(struct se_key_pair *pair)
{
    (void)pair;
    return absent();
}

int se_key_load(struct se_key_pair *pair, const char *path)
{
    (void)pair, (void)path;
    return absent();
}

int se_key_save(const struct se_key_pair *pair, const char *path, const char *name)
{
    (void)pair, (void)path, (void)name;
    return absent();
}

void se_key_wipe(struct se_key_pair *pair) { memset(pair, 0, sizeof(*pair)); }

const char *se_key_text(const struct se_key *key, char text[SE_KEY_TEXT_B])
{
    (void)key;
    text[0] = 0;
    return text;
}

int se_key_parse(struct se_key *key, const char *text, size_t len)
{
    (void)key, (void)text, (void)len;
    return absent();
}

int se_key_parse_both(struct se_key *key, struct se_key *curve, const char *text, size_t len)
{
    (void)key, (void)curve, (void)text, (void)len;
    return absent();
}

bool se_key_equal(const struct se_key *a, const struct se_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

int se_key_curve(struct se_key *curve, const struct se_key *key)
{
    (void)curve, (void)key;
    return absent();
}

int se_key_sign(uint8_t seal[SE_KEY_SEAL_B], const struct se_key_pair *pair, const void *message,
                size_t len)
{
    (void)seal, (void)pair, (void)message, (void)len;
    return absent();
}

bool se_key_signed(const uint8_t seal[SE_KEY_SEAL_B], const struct se_key *key, const void *message,
                   size_t len)
{
    (void)seal, (void)key, (void)message, (void)len;
    return false;
}

int se_key_random(void *buffer, size_t len)
{
    (void)buffer, (void)len;
    return absent();
}
