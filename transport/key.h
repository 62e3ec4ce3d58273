/* SPDX-License-Identifier: Apache-2.0 */
/* transport/key.h - who somebody is: a pair of Ed25519 keys, and the file that keeps it.
 *
 *   secret file (mode 0600):           what its owner gives away, and what an operator writes
 *     # words                          into the list of those who may come:
 *     secret TEXT                        PUBLIC NAME
 *
 * One pair serves every kind of link: signatures are made with it, and ZeroMQ's CURVE takes the
 * Curve25519 pair that belongs to it. The text of a key is base64 with - and _, not padded: 43
 * characters. Without libsodium (key_absent.c) everything here is -ENOTSUP, with words. Any thread. */
#ifndef SE_TRANSPORT_KEY_H
#define SE_TRANSPORT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SE_KEY_B = 32, SE_KEY_SEAL_B = 64, SE_KEY_TEXT_B = 44 }; /* TEXT_B: with the zero */

struct se_key {
    uint8_t b[SE_KEY_B];
};

struct se_key_pair {
    struct se_key open;           /* may be known to all */
    uint8_t secret[2 * SE_KEY_B]; /* as libsodium keeps it */
    struct se_key curve_open;     /* the same for CURVE */
    uint8_t curve_secret[SE_KEY_B];
};

/* All that return int: 0 or -errno with a sentence. */
int se_key_make(struct se_key_pair *pair);
/* Refuses a file that others than its owner may read, and one that does not hold a key: the
 * sentence names file and line. */
int se_key_load(struct se_key_pair *pair, const char *path);
/* Never over a file that is there. name goes into its words. */
int se_key_save(const struct se_key_pair *pair, const char *path, const char *name);
/* Forgets the secrets in memory. */
void se_key_wipe(struct se_key_pair *pair);

const char *se_key_text(const struct se_key *key, char text[SE_KEY_TEXT_B]);
/* len bytes of text. Refuses what is no point of the curve, or has a small order. */
int se_key_parse(struct se_key *key, const char *text, size_t len);
/* And what se_key_curve() says of it, at no further cost: that is what the check computes. */
int se_key_parse_both(struct se_key *key, struct se_key *curve, const char *text, size_t len);
bool se_key_equal(const struct se_key *a, const struct se_key *b);
/* The public key that CURVE knows it by. */
int se_key_curve(struct se_key *curve, const struct se_key *key);

/* Signatures of a message by a pair, and random bytes that nobody can guess. */
int se_key_sign(uint8_t seal[SE_KEY_SEAL_B], const struct se_key_pair *pair, const void *message,
                size_t len);
bool se_key_signed(const uint8_t seal[SE_KEY_SEAL_B], const struct se_key *key, const void *message,
                   size_t len);
int se_key_random(void *buffer, size_t len);

#endif
