/* SPDX-License-Identifier: Apache-2.0 */
/* transport/rdma.h - the link over RDMA, "rdma://HOST:PORT".
 *
 * Reliable connections that librdmacm sets up; what may follow the port stands in
 * transport/rdma_url.h. Without the libraries, rdma_absent.c stands in: the operations are all
 * NULL. */
#ifndef SE_TRANSPORT_RDMA_H
#define SE_TRANSPORT_RDMA_H

#include "transport/link.h"

extern const struct se_link_ops se_rdma_ops;

#endif
