/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tube.h - frames one way through memory that the other end can write too.
 *
 * One writer, one reader, in two threads or two processes. Neither trusts the other: what
 * an end needs to know of itself it keeps to itself, and what it reads in the tube it reads
 * once and checks. An end that breaks the rules can lose frames and spoil their bytes, and
 * that is all. Nothing here waits; who finds the tube empty may leave word that it sleeps. */
#ifndef SE_TRANSPORT_TUBE_H
#define SE_TRANSPORT_TUBE_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/frame.h"

enum {                   /* outcomes to handle on the spot */
       SE_TUBE_FULL = 1, /* put: no room, or so many frames are in it */
       SE_TUBE_ASLEEP,   /* put: done, and the reader sleeps: wake it */
       SE_TUBE_EMPTY,    /* next: there is none */
       SE_TUBE_BROKEN    /* the other end broke the rules: have no more to do with it */
};

/* A frame lies in whole lines, its length before it. Two of the longest have room. */
enum { SE_TUBE_LINE_B = 64, SE_TUBE_LENGTH_B = 4 };
enum { SE_TUBE_LINES = 2 * ((SE_TUBE_LENGTH_B + SE_FRAME_MAX - 1) / SE_TUBE_LINE_B + 1) };
enum { SE_TUBE_B = SE_TUBE_LINES * SE_TUBE_LINE_B };

/* What both see: all zero at the beginning. Lines and frames are counted from then on,
 * modulo 2^32. The words lie two cache lines apart, because processors fetch them in pairs. */
struct se_tube {
    _Alignas(128) _Atomic uint64_t tail; /* the writer's: lines; SE_TUBE_SLEEPS */
    _Alignas(128) _Atomic uint64_t head; /* the reader's: frames << 32 | lines */
    _Alignas(128) unsigned char line[SE_TUBE_B];
};
#define SE_TUBE_SLEEPS (UINT64_C(1) << 63)

/* What one end knows, all zero at the beginning but the tube. */
struct se_tube_end {
    struct se_tube *tube;
    uint32_t lines, frames;           /* put, or taken */
    uint32_t at_b;                    /* of the next frame in the tube */
    uint32_t seen_lines, seen_frames; /* how far the other end was at the last look */
    uint32_t next_b;                  /* reader: length of the next frame, 0 when not looked at */
    bool last;                        /* reader: there is nothing behind seen_lines */
};

/* 0, FULL, ASLEEP, BROKEN. len_b is 1 to SE_FRAME_MAX. */
int se_tube_put(struct se_tube_end *writer, const void *data, uint32_t len_b, uint32_t frames_max);

/* 0, EMPTY, BROKEN; a frame of 0 bytes or more than max_b breaks the rules. The next frame
 * stays where it is, and is the same when asked again. max_b <= SE_FRAME_MAX. */
int se_tube_next(struct se_tube_end *reader, uint32_t max_b, uint32_t *len_b);

/* After a next() that was 0: copies the frame, whose place is then free. */
void se_tube_take(struct se_tube_end *reader, void *data);

/* A guess without consequences: false when the tube was empty a moment ago. */
bool se_tube_has(const struct se_tube_end *reader);

/* True: it is empty, and the next put says ASLEEP. False: ask next(). */
bool se_tube_sleep(struct se_tube_end *reader);

/* The writer is gone: what it has put until now is all there will be. */
void se_tube_end(struct se_tube_end *reader);

#endif
