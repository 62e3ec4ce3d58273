/* SPDX-License-Identifier: Apache-2.0 */
/* transport/rdma_url.h - "rdma://HOST:PORT?KEY=VALUE&...", and the device that it asks for.
 *
 *   device=NAME      only this one, "rxe0" (HOST may then be "*" to listen)
 *   gid=N            this entry of its table of addresses
 *   ack_timeout=N    4.096 us * 2^N until a packet is sent again, 0 to 31; else the device's own
 *   retry=N          how often, 0 to 7, before the connection is lost
 *   rnr_retry=N      the same when the other end had nothing to receive into; 7: for ever
 *   inline=N         without a copy up to so many bytes, 0 to 1024
 *   write=N          1: an edge writes its frames into a server's memory, where both want it; 0
 */
#ifndef SE_TRANSPORT_RDMA_URL_H
#define SE_TRANSPORT_RDMA_URL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { SE_RDMA_HOST_B = 256, SE_RDMA_DEVICE_B = 64, SE_RDMA_URL_B = 512 };

union se_rdma_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct se_rdma_url {
    char host[SE_RDMA_HOST_B];     /* without brackets; "*": any */
    char device[SE_RDMA_DEVICE_B]; /* "": any */
    int port, gid, ack_timeout;    /* -1: none was given */
    int retry, rnr_retry, small_b, write;
    union se_rdma_address address; /* of HOST and PORT */
    union se_rdma_address own;     /* of the device; family 0: any will do */
};

/* Reads it, looks HOST up, and the device. -EINVAL, -ENODEV or another -errno, with a sentence that
 * helps. May wait for a name server. */
int se_rdma_url_read(struct se_rdma_url *out, const char *url, bool listens);

/* As others write it to get here: with this port, and without what is one machine's own. */
void se_rdma_url_write(const struct se_rdma_url *url, int port, char *out, size_t size_b);

/* 0 when there is a device, and we may use it; else -errno with a sentence that helps. */
int se_rdma_check_devices(const char *url);

#endif
