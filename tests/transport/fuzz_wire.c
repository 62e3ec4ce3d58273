/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a frame: refused, or a message that encodes to the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/pack.h"
#include "transport/shape.h"
#include "transport/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int32_t parent[SE_WIRE_NODES_MAX];
static uint32_t id[SE_WIRE_IDS_MAX], path[SE_WIRE_NODES_MAX];

static void try_frame(const uint8_t *frame, size_t len_b, uint32_t vocab)
{
    static uint8_t again[SE_WIRE_FRAME_MAX];
    struct se_wire_room room = { parent, id, SE_WIRE_NODES_MAX, SE_WIRE_IDS_MAX, vocab };
    struct se_wire message;
    enum se_wire_type type;
    uint64_t session;
    size_t again_b = 0;
    int peeked = se_wire_peek(frame, len_b, &type, &session);
    int r = se_wire_decode(frame, len_b, &room, &message);
    if ((peeked && r != peeked) || r < 0 || r >= SE_WIRE_FAULT_END)
        abort();
    if (r)
        return;
    if (se_wire_encode(&message, again, sizeof again, &again_b) || again_b != len_b ||
        memcmp(again, frame, len_b) != 0)
        abort();
    if (message.type == SE_WIRE_VERIFY)
        se_shape_path(parent, message.verify.nodes, message.verify.nodes - 1u, 2, path);
}

/* As it came, and with a header that is right, so that the bodies are reached soon. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_frame(data, size, 0);
    if (size < SE_WIRE_HEADER_B)
        return 0;
    uint8_t *frame = malloc(size);
    if (!frame)
        return 0;
    memcpy(frame, data, size);
    memcpy(frame, "SE", 2);
    frame[2] = SE_WIRE_VERSION;
    se_pack_put(frame + 4, size, 4);
    try_frame(frame, size, 0);
    try_frame(frame, size, 151936);
    free(frame);
    return 0;
}
