/* SPDX-License-Identifier: Apache-2.0 */
/* Any frames at the beginning of a link with keys: nobody gets in, and nobody is let in.
 *
 * The first byte chooses the side; then come frames, two bytes of length before each. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/transport/keys.h"
#include "transport/link.h"
#include "transport/proof_words.h"

enum { FRAME_B = 256, N_FRAMES = 32, TURNS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keys keys;
static struct se_frames *frames;

static void must(bool good)
{
    if (!good)
        abort();
}

/* Neither JOINED nor a frame. */
static void look(struct se_link *guarded)
{
    struct se_frame *frame;
    se_link_peer peer;
    for (int i = 0; i < TURNS; i++)
        must(se_link_recv(guarded, &peer, &frame) == SE_LINK_AGAIN);
}

/* The peer of the raw end, when it has one. */
static bool listen_to(struct se_link *raw, se_link_peer *peer, bool *there)
{
    struct se_frame *frame;
    se_link_peer from;
    const int r = se_link_recv(raw, &from, &frame);
    if (r == 0)
        se_frame_put(frame);
    if (r == SE_LINK_JOINED)
        *peer = from;
    *there = (*there || r == SE_LINK_JOINED) && r != SE_LINK_GONE;
    return r != SE_LINK_AGAIN;
}

static void try_frames(struct se_link *raw, struct se_link *guarded, const uint8_t *data,
                       size_t size)
{
    se_link_peer peer = 0;
    bool there = false;
    while (size >= 2) {
        size_t len = (size_t)(data[0] | data[1] << 8) % FRAME_B;
        data += 2;
        size -= 2;
        len = len < size ? len : size;
        look(guarded);
        for (int i = 0; i < TURNS && listen_to(raw, &peer, &there); i++)
            look(guarded);
        struct se_frame *frame = se_frame_get(frames);
        must(frame != NULL);
        memcpy(frame->data, data, len);
        frame->len_b = (uint32_t)len;
        if (len == 0 || !there || se_link_send(raw, peer, frame) != 0)
            se_frame_put(frame);
        data += len;
        size -= len;
    }
    look(guarded);
}

static void run(bool server, const uint8_t *data, size_t size)
{
    struct se_link *raw = NULL, *guarded = NULL;
    struct se_link_options options = se_link_options(frames);
    options.peers_max = 2;
    options.queue_frames = 8;
    if (server) {
        options.guard = &keys.server;
        must(se_link_listen(&guarded, "loop://fuzz", &options) == 0);
        options.guard = NULL;
        must(se_link_connect(&raw, "loop://fuzz", &options) == 0);
    } else {
        must(se_link_listen(&raw, "loop://fuzz", &options) == 0);
        options.guard = &keys.edge[KEYS_ANN];
        must(se_link_connect(&guarded, "loop://fuzz", &options) == 0);
    }
    try_frames(raw, guarded, data, size);
    se_link_fini(server ? raw : guarded);
    se_link_fini(server ? guarded : raw);
    must(se_frames_out(frames) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (frames == NULL) {
        keys_init(&keys);
        must(se_frames_new(&frames, N_FRAMES, FRAME_B) == 0);
    }
    if (size > 0)
        run((data[0] & 1) == 0, data + 1, size - 1);
    return 0;
}
