/* SPDX-License-Identifier: Apache-2.0 */
/* transport/frame.h - a pool of frames: bytes on their way, in blocks of one size.
 *
 * All memory is taken at the start, and a page of it costs nothing before it is written; so
 * a pool may be generous, and nothing that a peer does makes it grow. One thread gets, any
 * thread puts: a frame may be put where it arrived, far from where it was got. */
#ifndef SE_TRANSPORT_FRAME_H
#define SE_TRANSPORT_FRAME_H

#include <stdint.h>

enum { SE_FRAME_MAX = 65536 }; /* bytes in the largest frame of any link */

struct se_frames;

struct se_frame {
    unsigned char *data; /* cap_b bytes, SE_MEM_ALIGN-aligned */
    uint32_t len_b;      /* of them in use; 0 when the frame is got */
    uint32_t cap_b;
    /* The rest belongs to the pool. */
    struct se_frames *home;
    struct se_frame *next;
};

/* n frames of cap_b bytes, 1 <= cap_b <= SE_FRAME_MAX. The calling thread, or the one it
 * hands the pool to, is the one that gets. 0 or -errno. */
int se_frames_new(struct se_frames **out, uint32_t n, uint32_t cap_b);

/* Gives the pool up. Frames that are still out stay good; the last put frees the memory.
 * NULL is fine. */
void se_frames_free(struct se_frames *frames);

/* A frame of the caller's, or NULL when all are out. */
struct se_frame *se_frame_get(struct se_frames *frames);

/* Any thread, also after se_frames_free(). NULL is fine. */
void se_frame_put(struct se_frame *frame);

/* How many are out; exact when no put is going on. The getting thread. */
uint32_t se_frames_out(const struct se_frames *frames);
uint32_t se_frames_cap_b(const struct se_frames *frames);

#endif
