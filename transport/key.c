/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that knows libsodium. What it needs of it has been there since 1.0.14. */
#include "transport/key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"

enum { FILE_B = 4096, SEED_B = crypto_sign_SEEDBYTES };
static const char word[] = "secret";

_Static_assert((int)SE_KEY_B == crypto_sign_PUBLICKEYBYTES && (int)SEED_B == SE_KEY_B, "Ed25519");
_Static_assert(2 * SE_KEY_B == crypto_sign_SECRETKEYBYTES, "as libsodium keeps it");
_Static_assert((int)SE_KEY_SEAL_B == crypto_sign_BYTES, "of a signature");
_Static_assert((int)SE_KEY_B == crypto_scalarmult_curve25519_BYTES, "Curve25519");
_Static_assert((int)SE_KEY_TEXT_B ==
                   sodium_base64_ENCODED_LEN(SE_KEY_B, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
               "the text of a key");

/* It does nothing the second time, and may be called by several threads at once. */
static int begin(void)
{
    return sodium_init() < 0 ? se_fail(-EIO, "libsodium finds no source of random bytes") : 0;
}

/* ---- text */

static const char *to_text(const uint8_t b[SE_KEY_B], char text[SE_KEY_TEXT_B])
{
    return sodium_bin2base64(text, SE_KEY_TEXT_B, b, SE_KEY_B,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* One text for each key: libsodium refuses leftover bits that are not zero. */
static bool from_text(uint8_t b[SE_KEY_B], const char *text, size_t len)
{
    size_t got = 0;
    return len == SE_KEY_TEXT_B - 1 &&
           sodium_base642bin(b, SE_KEY_B, text, len, NULL, &got, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           got == SE_KEY_B;
}

const char *se_key_text(const struct se_key *key, char text[SE_KEY_TEXT_B])
{
    return to_text(key->b, text);
}

int se_key_parse_both(struct se_key *key, struct se_key *curve, const char *text, size_t len)
{
    struct se_key read;
    if (!from_text(read.b, text, len))
        return se_fail(-EINVAL, "no key: %d characters of A-Z a-z 0-9 - _ are one",
                       SE_KEY_TEXT_B - 1);
    const int r = se_key_curve(curve, &read);
    if (r == 0)
        *key = read;
    return r;
}

int se_key_parse(struct se_key *key, const char *text, size_t len)
{
    struct se_key curve;
    return se_key_parse_both(key, &curve, text, len);
}

bool se_key_equal(const struct se_key *a, const struct se_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* It looks whether the point lies on the curve, and in the large group. */
int se_key_curve(struct se_key *curve, const struct se_key *key)
{
    return crypto_sign_ed25519_pk_to_curve25519(curve->b, key->b) == 0
               ? 0
               : se_fail(-EINVAL, "a key that nobody can have: a character may be wrong");
}

/* ---- pairs */

static int from_seed(struct se_key_pair *pair, const uint8_t seed[SEED_B])
{
    crypto_sign_seed_keypair(pair->open.b, pair->secret, seed);
    crypto_sign_ed25519_sk_to_curve25519(pair->curve_secret, pair->secret);
    return se_key_curve(&pair->curve_open, &pair->open);
}

int se_key_make(struct se_key_pair *pair)
{
    uint8_t seed[SEED_B];
    int r = begin();
    if (r < 0)
        return r;
    randombytes_buf(seed, sizeof(seed));
    r = from_seed(pair, seed);
    sodium_memzero(seed, sizeof(seed));
    return r;
}

void se_key_wipe(struct se_key_pair *pair)
{
    sodium_memzero(pair->secret, sizeof(pair->secret));
    sodium_memzero(pair->curve_secret, sizeof(pair->curve_secret));
}

/* ---- the secret file */

/* One line: words, nothing, or the secret. */
static int read_line(uint8_t seed[SEED_B], bool *there, const char *line, size_t len)
{
    const size_t word_b = sizeof(word) - 1;
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
        len--;
    if (len == 0 || line[0] == '#')
        return 0;
    if (len < word_b + 1 || memcmp(line, word, word_b) != 0 || line[word_b] != ' ')
        return se_fail(-EINVAL, "neither '# words' nor '%s TEXT'; se-key new makes such a file",
                       word);
    if (*there)
        return se_fail(-EINVAL, "a second secret: a file holds one");
    if (!from_text(seed, line + word_b + 1, len - word_b - 1))
        return se_fail(-EINVAL, "no secret: '%s' and %d characters of A-Z a-z 0-9 - _", word,
                       SE_KEY_TEXT_B - 1);
    *there = true;
    return 0;
}

static int read_text(struct se_key_pair *pair, const char *path, const char *text, size_t len)
{
    uint8_t seed[SEED_B];
    char why[160];
    bool there = false;
    int r = 0;
    uint32_t number = 1;
    for (size_t at = 0; at < len && r == 0; number++) {
        const char *end = memchr(text + at, '\n', len - at);
        const size_t line_b = end != NULL ? (size_t)(end - text) - at : len - at;
        r = read_line(seed, &there, text + at, line_b);
        at += line_b + 1;
    }
    if (r < 0) {
        snprintf(why, sizeof(why), "%s", se_err_text());
        r = se_fail(r, "%s:%u: %s", path, number - 1, why);
    } else if (!there) {
        r = se_fail(-EINVAL, "%s: there is no secret in it; se-key new makes such a file", path);
    } else {
        r = from_seed(pair, seed);
    }
    sodium_memzero(seed, sizeof(seed));
    return r;
}

static int check_file(int fd, const char *path)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return se_fail(-EINVAL, "%s: not a regular file", path);
    if (info.st_uid != geteuid() && info.st_uid != 0 && geteuid() != 0)
        return se_fail(-EACCES, "%s: it belongs to another user, who knows the secret", path);
    if ((info.st_mode & 077) != 0)
        return se_fail(-EACCES,
                       "%s: others than its owner may use it (mode %04o): chmod 600 it, and think "
                       "whether they know the secret by now",
                       path, (unsigned)info.st_mode & 07777);
    return 0;
}

/* How many bytes the file has, or -errno. */
static int read_file(int fd, const char *path, char text[FILE_B])
{
    size_t n = 0;
    for (;;) {
        const ssize_t got = read(fd, text + n, FILE_B - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return se_fail(-errno, "%s: %s", path, strerror(errno));
        n += (size_t)got;
        if (got == 0)
            return (int)n;
        if (n == FILE_B)
            return se_fail(-EFBIG, "%s: too long for a secret file, %d bytes or more", path,
                           FILE_B);
    }
}

int se_key_load(struct se_key_pair *pair, const char *path)
{
    char text[FILE_B];
    int r = begin();
    if (r < 0)
        return r;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (fd < 0)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    r = check_file(fd, path);
    if (r == 0)
        r = read_file(fd, path, text);
    if (r >= 0)
        r = read_text(pair, path, text, (size_t)r);
    sodium_memzero(text, sizeof(text));
    close(fd);
    return r;
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int se_key_save(const struct se_key_pair *pair, const char *path, const char *name)
{
    char text[512], secret[SE_KEY_TEXT_B], open_text[SE_KEY_TEXT_B];
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return se_fail(-EEXIST, "%s is there already: a key is not written over another", path);
    if (fd < 0)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    to_text(pair->secret, secret); /* its first half is the seed that the rest is made of */
    snprintf(text, sizeof(text),
             "# A secret key: who has it is taken for its owner. Its line in a list of keys:\n"
             "# %s %.64s\n%s %s\n",
             se_key_text(&pair->open, open_text), name, word, secret);
    int r = write_all(fd, text, strlen(text));
    if (close(fd) < 0 && r == 0)
        r = -errno;
    sodium_memzero(text, sizeof(text));
    sodium_memzero(secret, sizeof(secret));
    if (r == 0)
        return 0;
    unlink(path);
    return se_fail(r, "%s: %s", path, strerror(-r));
}

/* ---- signatures */

int se_key_sign(uint8_t seal[SE_KEY_SEAL_B], const struct se_key_pair *pair, const void *message,
                size_t len)
{
    return crypto_sign_detached(seal, NULL, message, len, pair->secret) == 0
               ? 0
               : se_fail(-EIO, "libsodium does not sign");
}

bool se_key_signed(const uint8_t seal[SE_KEY_SEAL_B], const struct se_key *key, const void *message,
                   size_t len)
{
    return crypto_sign_verify_detached(seal, message, len, key->b) == 0;
}

int se_key_random(void *buffer, size_t len)
{
    const int r = begin();
    if (r == 0)
        randombytes_buf(buffer, len);
    return r;
}
