/* SPDX-License-Identifier: Apache-2.0 */
/* transport/zmq.h - the link over ZeroMQ, "tcp://HOST:PORT" and "ipc:///PATH".
 *
 * The server has a ROUTER, the edge a DEALER, and a frame is a message of one part; anything
 * else that arrives is dropped. Without libzmq, zmq_absent.c stands in: the operations are
 * all NULL. */
#ifndef SE_TRANSPORT_ZMQ_H
#define SE_TRANSPORT_ZMQ_H

#include "transport/link.h"

extern const struct se_link_ops se_zmq_ops;

#endif
