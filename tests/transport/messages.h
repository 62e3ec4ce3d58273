/* SPDX-License-Identifier: Apache-2.0 */
/* tests/transport/messages.h - messages made up for tests, valid and of any size. */
#ifndef SE_TESTS_TRANSPORT_MESSAGES_H
#define SE_TESTS_TRANSPORT_MESSAGES_H

#include "runtime/base/rng.h"
#include "transport/wire.h"

/* Memory for one message's lists. */
struct lists {
    int32_t parent[SE_WIRE_NODES_MAX];
    uint32_t id[SE_WIRE_IDS_MAX];
};

struct se_wire_room room_of(struct lists *lists);

/* Any message of this type that may be sent; its lists lie in lists. nodes and ids: at most so
 * many. */
void message_any(struct se_rng *rng, enum se_wire_type type, uint32_t nodes, uint32_t ids,
                 struct lists *lists, struct se_wire *message);

/* A random tree with parent[i] < i, in level order or in any. */
void tree_any(struct se_rng *rng, uint32_t n, bool ordered, int32_t *parent);

/* One message of each type, always the same. */
void message_fixed(enum se_wire_type type, struct lists *lists, struct se_wire *message);

#endif
