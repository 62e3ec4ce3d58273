/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/address.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "transport/link.h"

enum { SCHEMES_B = 128, NAME_B = 256, PORT_MAX = 65535 };
static const char mark[] = "://";

/* A URL within urls, cut into its parts. */
struct address {
    const char *url, *scheme, *rest;
    int len, scheme_len, rest_len;
};

/* The first URL of urls; a scheme_len of 0: it has none. */
static struct address cut(const char *urls)
{
    struct address a = { .url = urls, .scheme = urls, .len = (int)strcspn(urls, ",") };
    const char *at = memmem(urls, (size_t)a.len, mark, sizeof mark - 1);
    if (!at)
        return a;
    a.scheme_len = (int)(at - urls);
    a.rest = at + sizeof mark - 1;
    a.rest_len = a.len - a.scheme_len - (int)(sizeof mark - 1);
    return a;
}

static bool is(const char *text, int len, const char *wanted)
{
    return (size_t)len == strlen(wanted) && !memcmp(text, wanted, (size_t)len);
}

/* In "loop, tcp, ipc". */
static bool is_among(const char *schemes, const char *scheme, int len)
{
    for (const char *at = schemes; *at; at += strspn(at, ", ")) {
        size_t word = strcspn(at, ", ");
        if (word == (size_t)len && !memcmp(at, scheme, word))
            return true;
        at += word;
    }
    return false;
}

/* Where ":PORT" begins at the end of HOST:PORT; NULL: there is none. */
static const char *port_of(const struct address *a)
{
    const char *colon = memrchr(a->rest, ':', (size_t)a->rest_len);
    const char *end = a->rest + a->rest_len;
    unsigned port = 0;
    if (!colon || colon == a->rest || colon + 1 == end)
        return NULL;
    for (const char *at = colon + 1; at < end; at++) {
        if (*at < '0' || *at > '9')
            return NULL;
        port = port * 10 + (unsigned)(*at - '0');
        if (port > PORT_MAX)
            return NULL;
    }
    return colon;
}

static int check_one(const struct address *a)
{
    char there[SCHEMES_B];
    se_link_schemes(there, sizeof there);
    if (a->scheme_len == 0)
        return se_fail(-EINVAL, "'%.*s' is no URL: SCHEME://ADDRESS, with one of %s", a->len,
                       a->url, there);
    if (!is_among(there, a->scheme, a->scheme_len))
        return se_fail(-EINVAL, "'%.*s': unknown scheme '%.*s'; there is %s", a->len, a->url,
                       a->scheme_len, a->scheme, there);
    if (a->rest_len == 0)
        return se_fail(-EINVAL, "'%.*s' has no address", a->len, a->url);
    if (is(a->scheme, a->scheme_len, "tcp") && !port_of(a))
        return se_fail(-EINVAL, "'%.*s' has no port: tcp://HOST:PORT, PORT from 0 to %d", a->len,
                       a->url, PORT_MAX);
    return 0;
}

int se_address_check(const char *urls)
{
    for (const char *at = urls;; at++) {
        struct address a = cut(at);
        int r = check_one(&a);
        if (r < 0)
            return r;
        at += a.len;
        if (!*at)
            return 0;
    }
}

/* Memory and files: whatever else there will be, goes over a network. */
static bool stays_here(const struct address *a)
{
    return is(a->scheme, a->scheme_len, "loop") || is(a->scheme, a->scheme_len, "shm") ||
           is(a->scheme, a->scheme_len, "ipc");
}

/* 127.0.0.0/8, and not a name that begins like it. */
static bool is_loopback(const char *host, int len)
{
    static const char mapped[] = "[::ffff:";
    if (is(host, len, "localhost") || is(host, len, "[::1]"))
        return true;
    if (len > (int)sizeof mapped && !memcmp(host, mapped, sizeof mapped - 1)) {
        host += sizeof mapped - 1;
        len -= (int)sizeof mapped; /* and the bracket at its end */
    }
    return len > 4 && !memcmp(host, "127.", 4) && (int)strspn(host, "0123456789.") == len;
}

const char *se_address_open(const char *urls, int *len)
{
    for (const char *at = urls;; at++) {
        struct address a = cut(at);
        const char *port = port_of(&a);
        int host_len = port ? (int)(port - a.rest) : a.rest_len;
        if (!stays_here(&a) && !is_loopback(a.rest, host_len)) {
            *len = a.len;
            return a.url;
        }
        at += a.len;
        if (!*at)
            return NULL;
    }
}

const char *se_address_reach(const char *urls, char *buffer, size_t size_b)
{
    char name[NAME_B] = "";
    struct address a = cut(urls);
    const char *port = port_of(&a);
    int host_len = port ? (int)(port - a.rest) : 0;
    bool all = is(a.rest, host_len, "*") || is(a.rest, host_len, "0.0.0.0") ||
               is(a.rest, host_len, "[::]");
    if (all && gethostname(name, sizeof name - 1) == 0)
        snprintf(buffer, size_b, "%.*s%s%s%.*s", a.scheme_len, a.url, mark, name,
                 a.rest_len - host_len, port);
    else
        snprintf(buffer, size_b, "%.*s", a.len, a.url);
    return buffer;
}
