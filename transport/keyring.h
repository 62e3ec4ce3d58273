/* SPDX-License-Identifier: Apache-2.0 */
/* transport/keyring.h - who may come, and how much each may have: a file as authorized_keys of ssh.
 *
 *   # words
 *   PUBLIC NAME [sessions=N] [tokens-per-second=N] [admin] [revoked]
 *
 * A ring is read once and then stays as it is; a new one takes its place. Any thread may read. */
#ifndef SE_TRANSPORT_KEYRING_H
#define SE_TRANSPORT_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/key.h"

enum { SE_KEYRING_NAME_B = 32, SE_KEYRING_MAX = 65536 };

struct se_keyring_entry {
    struct se_key key, curve;
    char name[SE_KEYRING_NAME_B]; /* letters, digits, . _ - @; its own in the whole file */
    uint32_t sessions;            /* at once; 0: as many as there are */
    uint32_t tokens_per_s;        /* of text; 0: as many as it can get */
    bool admin;                   /* may ask the admin endpoint */
    bool revoked;
    uint32_t line;
};

struct se_keyring;

/* 0, or -errno with a sentence that names file, line and what is wrong. A file without keys is a
 * ring that lets nobody in. */
int se_keyring_load(struct se_keyring **out, const char *path);
int se_keyring_parse(struct se_keyring **out, const char *text, size_t len, const char *path);
void se_keyring_free(struct se_keyring *ring); /* NULL is fine */

uint32_t se_keyring_n(const struct se_keyring *ring);
const struct se_keyring_entry *se_keyring_at(const struct se_keyring *ring, uint32_t i);
/* NULL: not in the ring. Revoked ones are found. */
const struct se_keyring_entry *se_keyring_find(const struct se_keyring *ring,
                                               const struct se_key *key);
const struct se_keyring_entry *se_keyring_find_curve(const struct se_keyring *ring,
                                                     const struct se_key *curve);

#endif
