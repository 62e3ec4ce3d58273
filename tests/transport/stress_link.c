/* SPDX-License-Identifier: Apache-2.0 */
/* stress_link loop|shm|URL - a server and its edges, each on a thread of its own; edges come and
 * go. Over loop and under ThreadSanitizer this is the test of the edges [loop.*], [bell.ring]
 * and [frame.*]. Over shm each end maps the memory for itself, so that ThreadSanitizer sees
 * no edge between them; stress_tube is the test of those. The URL is one to listen on and to connect to: RDMA. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "transport/link.h"

enum { EDGES = 3, LIVES = 8, FRAMES = 400, AHEAD = 8, ROOM = 3, SERVER_FRAMES = 256 };
#define DEADLINE_NS 60000000000u
static char folder[] = "/tmp/specedge-stress-XXXXXX", url[64] = "loop://stress";

static _Atomic int faults, left = EDGES;
static uint64_t deadline;

static bool fault(const char *what)
{
    fprintf(stderr, "%s\n", what);
    atomic_fetch_add(&faults, 1);
    return false;
}

static bool late(void) { return se_clock_ns() > deadline; }

static bool send_number(struct se_link *link, struct se_frames *frames, uint32_t number)
{
    struct se_frame *frame = se_frame_get(frames);
    int r = SE_LINK_AGAIN;
    if (frame == NULL)
        return fault("no frame: one was not put back");
    frame->len_b = sizeof(number);
    memcpy(frame->data, &number, sizeof(number));
    while (r == SE_LINK_AGAIN && !late()) {
        r = se_link_send(link, SE_LINK_SERVER, frame);
        if (r == SE_LINK_AGAIN)
            se_link_wait(link, 100000);
    }
    if (r != 0)
        se_frame_put(frame);
    return r == 0 || fault("an edge cannot send");
}

static bool recv_number(struct se_link *link, uint32_t number)
{
    struct se_frame *frame = NULL;
    se_link_peer peer;
    int r;
    while ((r = se_link_recv(link, &peer, &frame)) == SE_LINK_AGAIN) {
        if (se_link_wait(link, DEADLINE_NS) == SE_LINK_AGAIN)
            return fault("an answer does not come");
    }
    if (r != 0)
        return fault("an outcome in place of an answer");
    const bool right = memcmp(frame->data, &number, sizeof(number)) == 0;
    se_frame_put(frame);
    return right || fault("a wrong answer");
}

static bool live(struct se_link *link, struct se_frames *frames)
{
    struct se_frame *frame;
    se_link_peer peer;
    int r;
    while ((r = se_link_recv(link, &peer, &frame)) == SE_LINK_AGAIN && !late())
        se_link_wait(link, DEADLINE_NS);
    if (r != SE_LINK_JOINED)
        return fault("an edge does not join");
    for (uint32_t i = 0; i < FRAMES + AHEAD; i++) {
        if (i < FRAMES && !send_number(link, frames, i))
            return false;
        if (i >= AHEAD && !recv_number(link, i - AHEAD))
            return false;
    }
    /* One more that nobody waits for. */
    return send_number(link, frames, FRAMES);
}

static void *edge_main(void *context)
{
    struct se_link *server = context;
    for (int i = 0; i < LIVES; i++) {
        struct se_frames *frames;
        struct se_link *link;
        if (se_frames_new(&frames, 2 * AHEAD + 4, 64) < 0) {
            fault("no pool");
            break;
        }
        struct se_link_options options = se_link_options(frames);
        options.queue_frames = ROOM; /* fewer than are under way: it is full at times */
        const bool good = se_link_connect(&link, url, &options) == 0 && live(link, frames);
        if (!good)
            break;
        se_link_fini(link);
        se_frames_free(frames); /* frames of it may still be with the server */
    }
    atomic_fetch_sub(&left, 1);
    se_link_wake(server);
    return NULL;
}

/* Every second frame goes back as it is, the others are answered by one of the server's and
 * put after that, so that the two pools' frames are put by all sides. */
static void answer(struct se_link *server, se_link_peer peer, struct se_frame *frame,
                   struct se_frames *frames)
{
    struct se_frame *reply = frame, *used = NULL;
    if (frame->data[0] % 2 != 0) {
        used = frame;
        reply = se_frame_get(frames);
        if (reply == NULL) {
            fault("no frame on the server");
            se_frame_put(used);
            return;
        }
        memcpy(reply->data, used->data, used->len_b);
        reply->len_b = used->len_b;
    }
    if (se_link_send(server, peer, reply) != 0)
        se_frame_put(reply); /* it left, or does not listen: its loss */
    se_frame_put(used);
}

int main(int argc, char **argv)
{
    struct se_frames *frames;
    struct se_link *server;
    pthread_t thread[EDGES];
    int joined = 0, gone = 0;
    const bool shm = argc == 2 && strcmp(argv[1], "shm") == 0;
    deadline = se_clock_ns() + DEADLINE_NS;
    if (shm && mkdtemp(folder) == NULL)
        return 1;
    if (shm)
        snprintf(url, sizeof(url), "shm://%s/socket", folder);
    else if (argc == 2 && strstr(argv[1], "://") != NULL)
        snprintf(url, sizeof(url), "%s", argv[1]);
    if (se_frames_new(&frames, SERVER_FRAMES, 64) < 0)
        return 1;
    const struct se_link_options options = se_link_options(frames);
    if (se_link_listen(&server, url, &options) < 0)
        return 1;
    for (int i = 0; i < EDGES; i++)
        pthread_create(&thread[i], NULL, edge_main, server);
    while (!late() && (atomic_load(&left) > 0 || gone < joined)) {
        struct se_frame *frame = NULL;
        se_link_peer peer;
        const int r = se_link_recv(server, &peer, &frame);
        if (r == 0)
            answer(server, peer, frame, frames);
        joined += r == SE_LINK_JOINED;
        gone += r == SE_LINK_GONE;
        if (r == SE_LINK_AGAIN)
            se_link_wait(server, DEADLINE_NS);
    }
    for (int i = 0; i < EDGES; i++)
        pthread_join(thread[i], NULL);
    se_link_fini(server);
    se_frames_free(frames);
    if (shm && rmdir(folder) < 0)
        fault("the socket's file is left");
    if (joined != EDGES * LIVES || gone != joined)
        fault("not every edge came and went");
    printf("%d edges joined, %d left, %d faults\n", joined, gone, atomic_load(&faults));
    return atomic_load(&faults) != 0;
}
