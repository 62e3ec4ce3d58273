/* SPDX-License-Identifier: Apache-2.0 */
/* tests/transport/relay.h - a wire between one client and a server, of which all bytes are kept. */
#ifndef SE_TESTS_TRANSPORT_RELAY_H
#define SE_TESTS_TRANSPORT_RELAY_H

#include <stddef.h>
#include <stdint.h>

struct relay;

/* Listens at a port of its own of 127.0.0.1 and passes on to the other one, in a thread. */
struct relay *relay_new(uint16_t to_port, uint16_t *port);

/* Ends the thread; the bytes, both ways in the order of passing, are the caller's to free. */
unsigned char *relay_free(struct relay *relay, size_t *len_b);

#endif
