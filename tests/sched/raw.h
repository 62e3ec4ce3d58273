/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sched/raw.h - a peer of a server that says whatever a test wants it to say. */
#ifndef SE_TESTS_SCHED_RAW_H
#define SE_TESTS_SCHED_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/link.h"
#include "transport/wire.h"

enum { RAW_SESSIONS = 256, RAW_FRAMES = 96 }; /* frames: enough for each */

/* What a WELCOME told, and what was answered since. */
struct raw_session {
    uint64_t id, token[2];
    uint32_t round, base, root;
};

struct raw {
    struct se_frames *frames; /* the caller's, its own */
    struct se_link *link;
    bool joined, deaf; /* deaf: does not read */
    uint32_t lost;     /* connections */
    struct raw_session session[RAW_SESSIONS];
    uint32_t n_sessions;
    uint64_t said, refused; /* frames; refused: there was no room, or no connection */
    uint64_t heard[SE_WIRE_TYPE_END], no[SE_WIRE_E_END];
};

/* 0 or -errno. */
int raw_begin(struct raw *raw, const char *url, struct se_frames *frames);
void raw_end(struct raw *raw);
/* A new connection; sessions are kept. */
int raw_again(struct raw *raw, const char *url);

/* Reads all that came; true if something did. */
bool raw_hear(struct raw *raw);

/* False: there is no room or no connection. */
bool raw_send(struct raw *raw, const void *bytes, size_t n);
/* The same of a message; one that does not encode is not sent. */
bool raw_say(struct raw *raw, const struct se_wire *message);

/* A HELLO as an honest edge says it. */
struct se_wire raw_hello(uint64_t nonce, uint64_t fingerprint, uint32_t tokens);

#endif
