/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for zmq.c in a build without libzmq. */
#include "transport/zmq.h"

const struct se_link_ops se_zmq_ops = { .name = "zmq" };
