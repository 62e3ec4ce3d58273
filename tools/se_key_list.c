/* SPDX-License-Identifier: Apache-2.0 */
/* A list of keys, read as a server reads it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/output.h"
#include "tools/se_key.h"
#include "transport/keyring.h"

static const char *limit(char text[16], uint32_t n)
{
    snprintf(text, 16, n == 0 ? "-" : "%" PRIu32, n);
    return text;
}

static int width(const struct se_keyring *ring)
{
    size_t most = strlen("name");
    for (uint32_t i = 0; i < se_keyring_n(ring); i++) {
        const size_t len = strlen(se_keyring_at(ring, i)->name);
        most = len > most ? len : most;
    }
    return (int)most;
}

static void print(const struct se_keyring *ring)
{
    char key[SE_KEY_TEXT_B], sessions[16], tokens[16];
    const int names = width(ring);
    printf("%-*s  %-*s  %8s  %17s  %s\n", names, "name", SE_KEY_TEXT_B - 1, "key", "sessions",
           "tokens-per-second", "flags");
    for (uint32_t i = 0; i < se_keyring_n(ring); i++) {
        const struct se_keyring_entry *e = se_keyring_at(ring, i);
        const char *flags = e->admin && e->revoked ? "admin revoked"
                            : e->admin             ? "admin"
                            : e->revoked           ? "revoked"
                                                   : "-";
        printf("%-*s  %s  %8s  %17s  %s\n", names, e->name, se_key_text(&e->key, key),
               limit(sessions, e->sessions), limit(tokens, e->tokens_per_s), flags);
    }
}

static int run(const void *values, char **argument)
{
    struct se_keyring *ring = NULL;
    (void)values;
    int r = se_keyring_load(&ring, argument[0]);
    if (r < 0)
        return se_trace(r);
    print(ring);
    se_keyring_free(ring);
    return se_output_flush();
}

const struct se_verb se_verb_check = {
    .name = "check",
    .arguments = "LIST",
    .n_arguments = 1,
    .summary = "reads a list of keys as a server does, and shows who may come",
    .more = "A hyphen stands where there is no limit, or no flag.",
    .run = run,
};
