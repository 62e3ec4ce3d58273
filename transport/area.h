/* SPDX-License-Identifier: Apache-2.0 */
/* transport/area.h - memory that an edge makes and a server gets over a socket of the machine.
 *
 * Its shape is always the same, so nothing about it is believed. It cannot shrink under who
 * uses it, and costs what is written to: nothing at first. */
#ifndef SE_TRANSPORT_AREA_H
#define SE_TRANSPORT_AREA_H

#include "transport/tube.h"

enum {                    /* outcomes to handle on the spot; < 0 is -errno */
       SE_AREA_AGAIN = 1, /* recv: nothing has come yet */
       SE_AREA_BAD        /* recv: what came is no area, or nothing will come any more */
};

struct se_area {
    struct se_tube up, down; /* to the server, and back */
};

/* The edge: makes one and sends it, as the first words on a connected SOCK_SEQPACKET. *out is
 * the caller's, for se_area_free(). */
int se_area_send(int socket, struct se_area **out);

/* The server: never blocks. On 0, *out is the caller's, for se_area_free(). */
int se_area_recv(int socket, struct se_area **out);

/* The other end keeps its own. NULL is fine. */
void se_area_free(struct se_area *area);

#endif
