/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/socket.h - TCP between the machines whose ranks share a model.
 *
 * An address is HOST:PORT, HOST being a name, an IPv4 address, or an IPv6 address in brackets.
 * All sockets from here are non-blocking, send at once what they are given, and notice within
 * half a minute a peer that vanished in silence, also while nobody says anything. Any thread. */
#ifndef SE_RUNTIME_MODEL_SOCKET_H
#define SE_RUNTIME_MODEL_SOCKET_H

#include <stdint.h>

enum { SE_SOCKET_NAME_B = 80 }; /* of an address as text, "[2001:db8::7]:7078" */

/* Whether it could be one. 0 or -EINVAL. */
int se_socket_check(const char *address);

/* Listens there and nowhere else; PORT 0: one that is free. On 0 *fd is the caller's, to close,
 * and name says what was bound. */
int se_socket_listen(int *fd, const char *address, char name[SE_SOCKET_NAME_B]);

/* The next that knocks: *fd, the caller's, with its address as name. -EAGAIN: nobody. */
int se_socket_accept(int *fd, int listener, char name[SE_SOCKET_NAME_B]);

/* Connects until then, by se_clock_ns(). On 0 *fd is the caller's. -EAGAIN: nobody answers there
 * (yet), with the reason as the sentence. */
int se_socket_connect(int *fd, const char *address, uint64_t until_ns);

/* Where the other end is; "?" where the system does not know. */
void se_socket_peer(int fd, char name[SE_SOCKET_NAME_B]);

#endif
