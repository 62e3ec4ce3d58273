/* SPDX-License-Identifier: Apache-2.0 */
/* transport/path.h - the file of a local socket: who listens there, and whether it may be taken. */
#ifndef SE_TRANSPORT_PATH_H
#define SE_TRANSPORT_PATH_H

#include <sys/un.h>

/* 0, or -ENAMETOOLONG. */
int se_path_address(const char *path, struct sockaddr_un *address);

/* A socket of this type (SOCK_STREAM, ...) that is connected to whoever listens there and does not
 * block, or -errno. */
int se_path_knock(const char *path, int type);

/* Makes room for a socket of this type. 0: nothing is there any more; a socket's file that nobody
 * listened at was removed. -EADDRINUSE: somebody listens. -ENOTSOCK: the file is something else. */
int se_path_clear(const char *path, int type);

/* strerror() of these, in words that help. */
const char *se_path_error(int code);

#endif
