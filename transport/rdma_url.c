/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/rdma_url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <infiniband/verbs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"

enum { SCHEME_B = sizeof("rdma://") - 1, NAMES_B = 256, GIDS_MAX = 256, SMALL_B = 256 };
static const char soft_roce[] =
    "without hardware there is Soft-RoCE: modprobe rdma_rxe && rdma link add rxe0 type rxe netdev "
    "eth0 (docs/rdma.md)";

/* ---- devices */

int se_rdma_check_devices(const char *url)
{
    static const char manager[] = "/dev/infiniband/rdma_cm";
    int n = 0;
    struct ibv_device **list = ibv_get_device_list(&n);
    if (list != NULL)
        ibv_free_device_list(list);
    if (list == NULL || n == 0)
        return se_fail(-ENODEV, "'%s': this machine has no RDMA device; %s", url, soft_roce);
    if (access(manager, F_OK) < 0)
        return se_fail(-ENODEV, "'%s': there is no %s: modprobe rdma_ucm", url, manager);
    if (access(manager, R_OK | W_OK) < 0)
        return se_fail(-EACCES,
                       "'%s': no permission to use %s: it belongs to a group that this user "
                       "is not in, or chmod 0666 it (ls -l /dev/infiniband)",
                       url, manager);
    return 0;
}

static void list_names(struct ibv_device **list, int n, char *names)
{
    size_t at = 0;
    names[0] = 0;
    for (int i = 0; i < n && at < NAMES_B; i++)
        at += (size_t)snprintf(names + at, NAMES_B - at, "%s%s", i ? ", " : "",
                               ibv_get_device_name(list[i]));
}

/* The address that an entry of a device's table stands for; false: for none. Link-local ones
 * would need a scope. */
static bool address_of(const union ibv_gid *gid, union se_rdma_address *out)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    static const uint8_t nothing[16];
    memset(out, 0, sizeof(*out));
    if (memcmp(gid->raw, nothing, sizeof(nothing)) == 0 ||
        (gid->raw[0] == 0xfe && (gid->raw[1] & 0xc0) == 0x80))
        return false;
    if (memcmp(gid->raw, mapped, sizeof(mapped)) == 0) {
        out->v4.sin_family = AF_INET;
        memcpy(&out->v4.sin_addr, gid->raw + sizeof(mapped), 4);
    } else {
        out->v6.sin6_family = AF_INET6;
        memcpy(&out->v6.sin6_addr, gid->raw, 16);
    }
    return true;
}

/* The first address, or that of the wanted entry. */
static int find_address(struct se_rdma_url *u, const char *url, struct ibv_context *device)
{
    struct ibv_port_attr port;
    union ibv_gid gid;
    if (ibv_query_port(device, 1, &port) != 0)
        return se_fail(-EIO, "'%s': device %s does not tell about its port", url, u->device);
    if (port.state != IBV_PORT_ACTIVE)
        return se_fail(-ENETDOWN, "'%s': the port of device %s is down", url, u->device);
    const int first = u->gid < 0 ? 0 : u->gid;
    const int end =
        u->gid < 0 ? (port.gid_tbl_len < GIDS_MAX ? port.gid_tbl_len : GIDS_MAX) : u->gid + 1;
    if (u->gid >= port.gid_tbl_len)
        return se_fail(-EINVAL, "'%s': the table of device %s ends at gid=%d", url, u->device,
                       port.gid_tbl_len - 1);
    for (int i = first; i < end; i++) {
        if (ibv_query_gid(device, 1, i, &gid) == 0 && address_of(&gid, &u->own))
            return 0;
    }
    return se_fail(-EADDRNOTAVAIL,
                   "'%s': device %s has no IP address%s: give its network interface one", url,
                   u->device, u->gid < 0 ? "" : " in that entry");
}

static int find_device(struct se_rdma_url *u, const char *url)
{
    char names[NAMES_B];
    int n = 0, at = 0, r;
    struct ibv_device **list = ibv_get_device_list(&n);
    while (list != NULL && at < n && strcmp(ibv_get_device_name(list[at]), u->device) != 0)
        at++;
    if (list == NULL || at == n) {
        list_names(list, n, names);
        r = se_fail(-ENODEV, "'%s': there is no RDMA device '%s', but %s", url, u->device, names);
    } else {
        struct ibv_context *device = ibv_open_device(list[at]);
        r = device != NULL
                ? find_address(u, url, device)
                : se_fail(-errno, "'%s': device %s cannot be opened: %s (ls -l /dev/infiniband)",
                          url, u->device, strerror(errno));
        if (device != NULL)
            ibv_close_device(device);
    }
    if (list != NULL)
        ibv_free_device_list(list);
    return r;
}

/* ---- the text */

/* A whole number within limits, up to end. */
static int read_number(const char *url, const char *text, const char *end, int least, int most,
                       int *out)
{
    char *stop;
    const long number = strtol(text, &stop, 10);
    if (*text < '0' || *text > '9' || stop != end || number < least || number > most)
        return se_fail(-EINVAL, "'%s': '%.*s' is no number from %d to %d", url, (int)(end - text),
                       text, least, most);
    *out = (int)number;
    return 0;
}

static int read_key(struct se_rdma_url *u, const char *url, const char *key, const char *end)
{
    const struct {
        const char *name;
        int most, *value;
    } rows[] = {
        { "gid", 65535, &u->gid },       { "ack_timeout", 31, &u->ack_timeout },
        { "retry", 7, &u->retry },       { "rnr_retry", 7, &u->rnr_retry },
        { "inline", 1024, &u->small_b }, { "write", 1, &u->write },
    };
    const char *equals = memchr(key, '=', (size_t)(end - key));
    const size_t len = equals != NULL ? (size_t)(equals - key) : 0;
    if (len == strlen("device") && memcmp(key, "device", len) == 0) {
        const int size = (int)(end - equals) - 1;
        if (size <= 0 || size >= SE_RDMA_DEVICE_B)
            return se_fail(-EINVAL, "'%s': a device's name has 1 to %d letters", url,
                           SE_RDMA_DEVICE_B - 1);
        snprintf(u->device, sizeof(u->device), "%.*s", size, equals + 1);
        return 0;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (len == strlen(rows[i].name) && memcmp(key, rows[i].name, len) == 0)
            return read_number(url, equals + 1, end, 0, rows[i].most, rows[i].value);
    }
    return se_fail(
        -EINVAL,
        "'%s': '%.*s' is not one of device=, gid=, ack_timeout=, retry=, rnr_retry=, inline=, "
        "write=",
        url, (int)(end - key), key);
}

static int read_text(struct se_rdma_url *u, const char *url, bool listens)
{
    const char *host = url + SCHEME_B; /* link.c has seen the scheme */
    const char *query = strchrnul(host, '?');
    const char *colon = memrchr(host, ':', (size_t)(query - host));
    if (strlen(url) >= SE_RDMA_URL_B)
        return se_fail(-EINVAL, "'%.40s...' is longer than %d letters", url, SE_RDMA_URL_B - 1);
    if (colon == NULL || colon == host)
        return se_fail(-EINVAL, "'%s' has no port: rdma://HOST:PORT", url);
    const char *end = colon;
    if (*host == '[' && end[-1] == ']') {
        host++;
        end--;
    }
    if (end - host >= SE_RDMA_HOST_B || end == host)
        return se_fail(-EINVAL, "'%s' has no host that one could look up", url);
    snprintf(u->host, sizeof(u->host), "%.*s", (int)(end - host), host);
    if (strcmp(u->host, "*") == 0 && !listens)
        return se_fail(-EINVAL, "'%s': an edge connects to one host", url);
    int r = read_number(url, colon + 1, query, listens ? 0 : 1, 65535, &u->port);
    while (r == 0 && *query != 0) {
        const char *key = query + 1;
        query = strchrnul(key, '&');
        r = read_key(u, url, key, query);
    }
    return r;
}

static int look_up(struct se_rdma_url *u, const char *url)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (strcmp(u->host, "*") == 0) {
        u->address.v6.sin6_family = AF_INET6; /* and IPv4 with it */
        if (u->own.any.sa_family != 0)
            u->address = u->own;
        return 0;
    }
    const int r = getaddrinfo(u->host, NULL, &hints, &found);
    if (r != 0)
        return se_fail(r == EAI_MEMORY ? -ENOMEM : -EADDRNOTAVAIL, "'%s': no address of '%s': %s",
                       url, u->host, gai_strerror(r));
    const bool fits = found->ai_addrlen <= sizeof(u->address);
    if (fits)
        memcpy(&u->address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return fits ? 0 : se_fail(-EADDRNOTAVAIL, "'%s': '%s' is no IP address", url, u->host);
}

int se_rdma_url_read(struct se_rdma_url *out, const char *url, bool listens)
{
    *out = (struct se_rdma_url){
        .gid = -1, .ack_timeout = -1, .retry = 7, .rnr_retry = 7, .small_b = SMALL_B
    };
    int r = read_text(out, url, listens);
    if (r == 0 && out->gid >= 0 && out->device[0] == 0)
        r = se_fail(-EINVAL, "'%s': gid= wants device= beside it", url);
    if (r == 0)
        r = se_rdma_check_devices(url);
    if (r == 0 && out->device[0] != 0)
        r = find_device(out, url);
    if (r == 0)
        r = look_up(out, url);
    if (r < 0)
        return r;
    const in_port_t port = htons((uint16_t)out->port);
    if (out->address.any.sa_family == AF_INET6)
        out->address.v6.sin6_port = port;
    else
        out->address.v4.sin_port = port;
    return 0;
}

void se_rdma_url_write(const struct se_rdma_url *u, int port, char *out, size_t size_b)
{
    char own[INET6_ADDRSTRLEN];
    const char *host = u->host;
    if (strcmp(host, "*") == 0 && u->own.any.sa_family == AF_INET)
        host = inet_ntop(AF_INET, &u->own.v4.sin_addr, own, sizeof(own));
    else if (strcmp(host, "*") == 0 && u->own.any.sa_family == AF_INET6)
        host = inet_ntop(AF_INET6, &u->own.v6.sin6_addr, own, sizeof(own));
    const bool brackets = strchr(host, ':') != NULL;
    int at = snprintf(out, size_b, "rdma://%s%s%s:%d", brackets ? "[" : "", host,
                      brackets ? "]" : "", port);
    const struct {
        const char *name;
        int value, usual;
    } rows[] = {
        { "ack_timeout", u->ack_timeout, -1 },
        { "retry", u->retry, 7 },
        { "rnr_retry", u->rnr_retry, 7 },
        { "inline", u->small_b, SMALL_B },
        { "write", u->write, 0 },
    };
    char mark = '?';
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].value == rows[i].usual || at < 0 || (size_t)at >= size_b)
            continue;
        at += snprintf(out + at, size_b - (size_t)at, "%c%s=%d", mark, rows[i].name, rows[i].value);
        mark = '&';
    }
}
