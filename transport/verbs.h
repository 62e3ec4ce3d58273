/* SPDX-License-Identifier: Apache-2.0 */
/* transport/verbs.h - what all connections at one RDMA device share.
 *
 *   in:  chunks ──posted──► one shared receive queue ──► completion: chunk, queue pair, word
 *   out: data ──copied──► a free chunk, or into the request itself ──► completion: chunk is free
 *
 * A message may also be written: its bytes then lie in a slot of the other end when its word
 * arrives, and the chunk that the word takes stays empty.
 *
 * All memory is pinned at the start and is the same for one connection as for ten thousand. A
 * message has 32 bits beside its bytes, the word. One thread. */
#ifndef SE_TRANSPORT_VERBS_H
#define SE_TRANSPORT_VERBS_H

#include <stdbool.h>
#include <stdint.h>

struct ibv_context;
struct ibv_qp;
struct rdma_cm_id;
struct se_verbs;

enum { SE_VERBS_OUT_MAX = 4096 }; /* chunks to send from */

struct se_verbs_shape {
    uint32_t in_b, n_in; /* chunks to receive into: fewer when the device has no more, but
                            * not fewer than n_in_least */
    uint32_t n_in_least;
    uint32_t out_b, n_out; /* chunks to send from, 1 to SE_VERBS_OUT_MAX */
    uint32_t sends_max;    /* requests that are under way at once, of all connections */
    uint32_t n_slots;      /* of in_b, that others may write into */
};

/* Of one message. */
struct se_verbs_message {
    const unsigned char *data;
    uint32_t len_b; /* at most out_b */
    uint32_t word;
    uint64_t slot_at; /* where it is written to; 0: it is sent */
    uint32_t slot_key;
    uint64_t tag;     /* of whoever sends; below 2^47, comes back with the completion */
    bool wakes;       /* a receiver that sleeps */
    uint32_t small_b; /* up to so much lies in the request itself */
};

/* What has been completed. */
struct se_verbs_done {
    bool ok;
    bool out;                  /* a message of ours has been taken; else one arrived */
    uint64_t tag;              /* out */
    uint32_t qp_num;           /* in: of the connection */
    bool written;              /* in: its bytes are in a slot, whichever was next */
    const unsigned char *data; /* in, ok, not written: good until it is popped */
    uint32_t len_b, word;
    const char *why; /* not ok */
};

/* -errno with a sentence that helps: memory that may not be pinned, no permission. */
int se_verbs_new(struct se_verbs **out, struct ibv_context *device,
                 const struct se_verbs_shape *shape);
void se_verbs_free(struct se_verbs *v); /* its queue pairs are gone; NULL is fine */

struct ibv_context *se_verbs_device(const struct se_verbs *v);
uint32_t se_verbs_n_in(const struct se_verbs *v);
uint64_t se_verbs_pinned_b(const struct se_verbs *v);

/* A slot's bytes, and what others must know to write there. */
unsigned char *se_verbs_slot(const struct se_verbs *v, uint32_t at);
uint32_t se_verbs_slot_key(const struct se_verbs *v);

/* Makes the queue pair of id, with so many messages under way. 0, or -errno; *small_b is what a
 * request holds by itself, want_b or less. */
int se_verbs_join(struct se_verbs *v, struct rdma_cm_id *id, uint32_t depth, uint32_t want_b,
                  uint32_t *small_b);

/* After the queue pair of whoever sent with this tag was destroyed, with so many messages not
 * completed: their chunks are free. */
void se_verbs_part(struct se_verbs *v, uint64_t tag, uint32_t n);

/* Room for n messages, in chunks or in the request itself. */
bool se_verbs_has_room(const struct se_verbs *v, uint32_t n, bool small);

/* One message; there was room. 0 or -errno. */
int se_verbs_send(struct se_verbs *v, struct ibv_qp *qp, const struct se_verbs_message *message);

/* Asks whether the other end's device still answers; nobody there hears of it. There was room for a
 * small one. 0 or -errno. */
int se_verbs_probe(struct se_verbs *v, struct ibv_qp *qp, uint64_t tag);

/* True when there is a completion: the oldest, the same until it is popped. */
bool se_verbs_peek(struct se_verbs *v, struct se_verbs_done *done);

/* Its chunk may be written again. Out, and whoever sent it is still there: it is one message
 * less that is under way. */
void se_verbs_pop(struct se_verbs *v, bool still_there);

/* Before a sleep on se_verbs_fd(): what completes from now on is told by it; without `all` only
 * messages that wake. Look again afterwards. */
void se_verbs_arm(struct se_verbs *v, bool all);
int se_verbs_fd(const struct se_verbs *v);
void se_verbs_heard(struct se_verbs *v); /* after the sleep */

#endif
