/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for rdma.c in a build without librdmacm and libibverbs. */
#include "transport/rdma.h"

const struct se_link_ops se_rdma_ops = { .name = "rdma" };
