/* SPDX-License-Identifier: Apache-2.0 */
/* transport/proof_words.h - what is said at the beginning of a link with keys, as bytes.
 *
 * docs/wire-format.md draws them. Pure but for the signatures, which take the time of some
 * arithmetic. Any thread. */
#ifndef SE_TRANSPORT_PROOF_WORDS_H
#define SE_TRANSPORT_PROOF_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/frame.h"
#include "transport/guard.h"

enum { SE_PROOF_NONCE_B = 32 };

enum se_proof_word {
    SE_PROOF_NONE, /* it is none of these, or has not its length */
    SE_PROOF_CHALLENGE,
    SE_PROOF_PROOF,
    SE_PROOF_ACCEPT,
    SE_PROOF_REFUSE
};
enum se_proof_word se_proof_word_of(const struct se_frame *frame);

/* All that both sides sign. */
struct se_proof_talk {
    uint8_t server_nonce[SE_PROOF_NONCE_B], edge_nonce[SE_PROOF_NONCE_B];
    struct se_key server, edge;
};

/* Each writes a frame of SE_PROOF_FRAME_B bytes or more. 0 or -errno. challenge and prove make up
 * their nonce and put it into talk. */
int se_proof_challenge(struct se_frame *frame, struct se_proof_talk *talk);
int se_proof_prove(struct se_frame *frame, struct se_proof_talk *talk,
                   const struct se_key_pair *edge);
int se_proof_accept(struct se_frame *frame, const struct se_proof_talk *talk,
                    const struct se_key_pair *server);
void se_proof_refuse(struct se_frame *frame, enum se_guard_refusal why);

/* Each reads a frame of which se_proof_word_of() said that it is one. */
void se_proof_challenged(const struct se_frame *frame, struct se_proof_talk *talk);
bool se_proof_proved(const struct se_frame *frame, struct se_proof_talk *talk);
bool se_proof_accepted(const struct se_frame *frame, const struct se_proof_talk *talk);
/* SE_GUARD_REFUSALS: a reason that this build does not know. */
enum se_guard_refusal se_proof_refused(const struct se_frame *frame);

#endif
