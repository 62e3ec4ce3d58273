/* SPDX-License-Identifier: Apache-2.0 */
/* transport/proof.h - a link that stands before another and lets only who has a key through.
 *
 *   server                                     edge
 *   JOINED behind:  CHALLENGE nonce ─────────►
 *                   ◄───── PROOF nonce, key, signature     the key is in the ring?
 *   JOINED          ACCEPT signature ────────► JOINED      the server is the expected one?
 *                or REFUSE reason ───────────► leaves, and comes back after a pause
 *
 * docs/wire-format.md draws every byte. Only the beginning is signed: who can write into a
 * connection that stands can say what it likes, so this is for memory and for fabrics that the
 * operator trusts. What links over ZeroMQ have instead is CURVE (transport/zap.h).
 *
 * Nobody who has not proved a key is heard of outside. A peer that says anything else, or
 * nothing for options.silence_ns, is dropped; until then it has one of the peers_max seats. */
#ifndef SE_TRANSPORT_PROOF_H
#define SE_TRANSPORT_PROOF_H

#include "transport/link.h"

/* As the operations of the link behind, with options.guard: 0 and the link is the caller's, or
 * -errno. Frames must have room for a PROOF, SE_PROOF_FRAME_B bytes. */
enum { SE_PROOF_FRAME_B = 132 };
int se_proof_listen(struct se_link **out, const struct se_link_ops *behind, const char *urls,
                    const struct se_link_options *options);
int se_proof_connect(struct se_link **out, const struct se_link_ops *behind, const char *url,
                     const struct se_link_options *options);

#endif
